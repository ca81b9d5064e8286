//! A connection's own thread and its queue of messages. Everything SQLite does happens on one of these threads.

mod reader;
mod snapshot;
mod unannounced;
mod writer;

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use rusqlite::InterruptHandle;
use tokio::sync::oneshot;

use crate::completion::Reply;
use crate::connection::{PolicedConnection, Policy};
use crate::error::{Error, ErrorCode, Result};
use crate::gate::{Passed, Ticket, Waiter};
use crate::manager::{Permit, Place};
use crate::query::{Query, Request};

pub(crate) use reader::serve_reader;
pub(crate) use writer::serve_writer;

/// The stack of a worker: SQLite's parser needs about 1 KiB per level of a nested expression, whose depth it limits to 1,000.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// What a job runs.
#[derive(Debug)]
pub(crate) enum Work {
    Query(Request),
    Script(Arc<Query>),
}

impl Work {
    /// Whether it is expected to take no longer than passing it on does.
    fn runs_short(&self) -> bool {
        match self {
            Self::Query(request) => request.query.runs_short(),
            Self::Script(_) => false,
        }
    }

    fn query(&self) -> &Arc<Query> {
        match self {
            Self::Query(request) => &request.query,
            Self::Script(script) => script,
        }
    }
}

/// A call on its way to a connection.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) reply: Reply,
    /// The place in the write queue that an unclassified statement holds until it is known to be a read. One that arrives on
    /// the writer with it was admitted there because no reader was free, and is still not classified.
    pub(crate) place: Option<Place>,
}

/// How a lease hands its connection back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The connection is clean and may serve others.
    Reuse,
    /// The connection is replaced.
    Discard,
}

/// What a worker is told.
pub(crate) enum Message {
    /// Runs a job under its own permit.
    Run(Job, Permit),
    /// Runs a job of the lease that holds this worker, under the lease's policy.
    RunLeased(Job, Policy),
    /// Ends a lease.
    Release(Permit, Disposition),
    /// Closes the connection and ends the thread. The sender is told the result, or dropped with it.
    Close(CloseReceipt),
}

/// What is told once a connection is closed: dropping it tells, too.
pub(crate) type CloseReceipt = oneshot::Sender<Result<()>>;

/// The handle of a worker thread.
pub(crate) struct Worker {
    queue: Mutex<Queue>,
    ready: Condvar,
    interrupt: Mutex<Option<InterruptHandle>>,
    current: Mutex<Option<Current>>,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// The thread has ended, or is about to: no message would be read.
    ended: bool,
}

/// What a worker is running.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) query: Arc<Query>,
    pub(crate) since: Instant,
}

/// Why a worker stopped serving a connection.
pub(crate) enum Exit {
    /// The connection must not be used again. The permit is released after it is closed.
    Discard(Permit),
    /// The manager closes it.
    Close(CloseReceipt),
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("current", &self.current()).finish_non_exhaustive()
    }
}

impl Worker {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::default(),
            ready: Condvar::new(),
            interrupt: Mutex::new(None),
            current: Mutex::new(None),
        })
    }

    /// Starts the worker's thread.
    pub(crate) fn start(name: String, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        std::thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(body).map(drop)
    }

    /// Queues a message. Gives it back when the thread has ended.
    pub(crate) fn send(&self, message: Message) -> Result<(), Message> {
        let mut queue = self.queue.lock();
        if queue.ended {
            return Err(message);
        }
        queue.messages.push_back(message);
        drop(queue);
        self.ready.notify_one();
        Ok(())
    }

    /// Waits for the next message.
    pub(crate) fn next(&self) -> Message {
        let mut queue = self.queue.lock();
        loop {
            if let Some(message) = queue.messages.pop_front() {
                return message;
            }
            self.ready.wait(&mut queue);
        }
    }

    /// Puts a message back that was read too early.
    pub(crate) fn take_back(&self, message: Message) {
        self.queue.lock().messages.push_front(message);
    }

    /// Takes no more messages, and returns those that were not read.
    pub(crate) fn end(&self) -> VecDeque<Message> {
        *self.interrupt.lock() = None;
        let mut queue = self.queue.lock();
        queue.ended = true;
        std::mem::take(&mut queue.messages)
    }

    pub(crate) fn set_interrupt(&self, handle: InterruptHandle) {
        *self.interrupt.lock() = Some(handle);
    }

    /// Stops what the worker is running, if anything: <https://sqlite.org/c3ref/interrupt.html>.
    pub(crate) fn interrupt(&self) {
        if let Some(handle) = self.interrupt.lock().as_ref() {
            handle.interrupt();
        }
    }

    pub(crate) fn current(&self) -> Option<Current> {
        self.current.lock().clone()
    }

    fn begin(&self, query: &Arc<Query>, since: Instant) {
        *self.current.lock() = Some(Current { query: Arc::clone(query), since });
    }

    pub(crate) fn finish(&self) {
        let finished = self.current.lock().take();
        drop(finished);
    }
}

/// When a job was queued, in tickets.
#[derive(Clone, Copy)]
struct Queued {
    ticket: Ticket,
    /// Greater than the ticket of whatever was queued before the job began.
    horizon: Ticket,
}

/// What a worker does when a job is done.
enum Next {
    /// The job of whoever waited next, with the same permit: no way through the queues.
    Run(Job, Permit, Option<Queued>),
    /// Nothing more. The permit goes back when this is dropped; a lease on this worker may hold it already.
    Rest(Option<Permit>),
}

impl Next {
    /// A job that came with a permit of its own.
    fn first(job: Job, permit: Permit) -> Self {
        Self::Run(job, permit, None)
    }

    fn after(permit: Permit) -> Self {
        let Passed { waiter, permit, ticket, horizon } = match permit.pass_on() {
            Ok(passed) => passed,
            Err(permit) => return Self::Rest(Some(permit)),
        };
        match waiter.into_job() {
            Ok(job) => Self::Run(job, permit, Some(Queued { ticket, horizon })),
            Err(waiting) => Self::Rest(waiting.admitted(permit)),
        }
    }
}

/// A connection that may be broken is replaced: <https://sqlite.org/rescode.html>.
fn disposition_after(error: &Error) -> Disposition {
    use rusqlite::ffi::{SQLITE_CORRUPT, SQLITE_IOERR, SQLITE_NOMEM, SQLITE_NOTADB};
    match error.primary_code() {
        Some(SQLITE_CORRUPT | SQLITE_IOERR | SQLITE_NOMEM | SQLITE_NOTADB) => Disposition::Discard,
        _ => Disposition::Reuse,
    }
}

/// I7: a connection goes back only with no open statement and no open transaction.
fn is_clean(connection: &PolicedConnection) -> bool {
    connection.raw().is_autocommit() && !connection.raw().is_busy()
}

/// I9: a panic fails its own job.
pub(crate) fn guard<T>(work: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let message = format!("the job panicked: {}", panic_message(payload.as_ref()));
        tracing::error!(message);
        Error::new(ErrorCode::Panic, message)
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
