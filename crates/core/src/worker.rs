//! A connection's own thread and its queue of messages. Everything SQLite does happens on one of these threads.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use rusqlite::InterruptHandle;
use tokio::sync::oneshot;

use crate::completion::{Delivery, Failure, Reply};
use crate::connection::{PolicedConnection, Policy, Route};
use crate::error::{Error, ErrorCode, Result};
use crate::gate::{Class, Waiter};
use crate::manager::{Permit, Place, Shared};
use crate::query::{Query, Request, Shape};
use crate::rows::Chunk;
use crate::statement::{ReadError, Statements, run_script};

/// The stack of a worker: SQLite's parser needs about 1 KiB per level of a nested expression, whose depth it limits to 1,000.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// What a job runs.
#[derive(Debug)]
pub(crate) enum Work {
    Query(Request),
    Script(Arc<Query>),
}

impl Work {
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
    /// The place in the write queue that an unclassified statement holds until it is known to be a read.
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

    fn next(&self) -> Message {
        let mut queue = self.queue.lock();
        loop {
            if let Some(message) = queue.messages.pop_front() {
                return message;
            }
            self.ready.wait(&mut queue);
        }
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

    fn begin(&self, query: &Arc<Query>) {
        *self.current.lock() = Some(Current { query: Arc::clone(query), since: Instant::now() });
    }

    fn finish(&self) {
        let finished = self.current.lock().take();
        drop(finished);
    }
}

/// What a worker does when a job is done.
enum Next {
    /// The job of whoever waited next, with the same permit: no way through the queues.
    Run(Job, Permit),
    /// Nothing more. The permit goes back when this is dropped; a lease on this worker may hold it already.
    Rest { _permit: Option<Permit> },
}

impl Next {
    fn after(permit: Permit) -> Self {
        let (waiting, permit) = match permit.pass_on() {
            Ok(passed) => passed,
            Err(permit) => return Self::Rest { _permit: Some(permit) },
        };
        match waiting.into_job() {
            Ok(job) => Self::Run(job, permit),
            Err(waiting) => Self::Rest { _permit: waiting.admitted(permit) },
        }
    }
}

/// Serves a reader's connection until it is closed or discarded.
pub(crate) fn serve_reader(worker: &Arc<Worker>, shared: &Arc<Shared>, connection: &PolicedConnection) -> Exit {
    let mut statements = shared.statements(connection);
    // Whether a job of the present lease left the connection in doubt.
    let mut broken = false;
    loop {
        match worker.next() {
            Message::Run(job, permit) => {
                let mut next = Next::Run(job, permit);
                while let Next::Run(job, permit) = next {
                    let (disposition, forwarded) = run_on_reader(worker, shared, &mut statements, job, Asked::Alone);
                    if let Some(job) = forwarded {
                        shared.forward_to_writer(job);
                    }
                    if disposition == Disposition::Discard || !is_clean(connection) {
                        return Exit::Discard(permit);
                    }
                    next = Next::after(permit);
                }
                worker.finish();
                // Before its permit is released, so that whoever is admitted by that finds it.
                shared.give_back_reader(worker);
                drop(next);
            }
            Message::RunLeased(job, _) => {
                let (disposition, _) = run_on_reader(worker, shared, &mut statements, job, Asked::ByLease);
                worker.finish();
                broken |= disposition == Disposition::Discard;
            }
            Message::Release(permit, Disposition::Reuse) if !broken && is_clean(connection) => {
                shared.give_back_reader(worker);
                drop(permit);
            }
            Message::Release(permit, _) => return Exit::Discard(permit),
            Message::Close(receipt) => return Exit::Close(receipt),
        }
    }
}

/// Who asked for a read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// A call by itself: what a reader refuses goes to the writer.
    Alone,
    /// A lease: what its reader refuses is final.
    ByLease,
}

fn run_on_reader(
    worker: &Worker,
    shared: &Arc<Shared>,
    statements: &mut Statements<'_>,
    job: Job,
    asked: Asked,
) -> (Disposition, Option<Job>) {
    let Job { work: Work::Query(request), reply, place } = job else {
        job.reply.fail(Error::new(ErrorCode::NotAuthorized, "a reader runs no scripts"));
        return (Disposition::Reuse, None);
    };
    worker.begin(&request.query);
    let result = guard(|| statements.read(&request, &reply));
    match result {
        Ok(Ok(answer)) => {
            request.query.set_hint(Some(Route::Read));
            shared.counters.reads.add();
            // A read needs no place: it goes before the answer, so that whoever is answered finds the queue without it.
            drop(place);
            reply.settle(Delivery::End(answer.shape, answer.chunk, answer.outcome));
            (Disposition::Reuse, None)
        }
        Ok(Err(ReadError::NotARead(error))) if asked == Asked::ByLease => {
            shared.counters.denied.add();
            reply.fail(error);
            (Disposition::Reuse, None)
        }
        Ok(Err(ReadError::NotARead(_))) => {
            let known_write = statements.class_of(&request.query).is_some();
            request.query.set_hint(known_write.then_some(Route::Write));
            (Disposition::Reuse, Some(Job { work: Work::Query(request), reply, place }))
        }
        Ok(Err(ReadError::Failed(error))) => {
            shared.counters.errors.add();
            let disposition = disposition_after(&error);
            drop(place);
            reply.fail(error);
            (disposition, None)
        }
        Ok(Err(ReadError::Abandoned)) => (Disposition::Reuse, None),
        Err(panic) => {
            shared.counters.panics.add();
            drop(place);
            reply.fail(panic);
            (Disposition::Discard, None)
        }
    }
}

/// Serves the writer's connection until it is closed or discarded.
pub(crate) fn serve_writer(worker: &Arc<Worker>, shared: &Arc<Shared>, connection: &PolicedConnection) -> Exit {
    let mut statements = shared.statements(connection);
    // Whether a job of the present lease left the connection in doubt.
    let mut broken = false;
    loop {
        match worker.next() {
            Message::Run(job, permit) => {
                let mut next = Next::Run(job, permit);
                while let Next::Run(job, permit) = next {
                    let policy = policy_of(&job, &permit);
                    let disposition = run_on_writer(worker, shared, &mut statements, connection, job, policy);
                    shared.writer_released(connection, &permit);
                    if disposition == Disposition::Discard || !is_clean(connection) {
                        worker.finish();
                        return Exit::Discard(permit);
                    }
                    next = Next::after(permit);
                }
                worker.finish();
                drop(next);
            }
            Message::RunLeased(job, policy) => {
                let disposition = run_on_writer(worker, shared, &mut statements, connection, job, policy);
                worker.finish();
                broken |= disposition == Disposition::Discard;
            }
            Message::Release(permit, disposition) => {
                shared.writer_released(connection, &permit);
                if broken || disposition == Disposition::Discard || !is_clean(connection) {
                    return Exit::Discard(permit);
                }
                drop(permit);
            }
            Message::Close(receipt) => return Exit::Close(receipt),
        }
    }
}

fn run_on_writer(
    worker: &Worker,
    shared: &Arc<Shared>,
    statements: &mut Statements<'_>,
    connection: &PolicedConnection,
    job: Job,
    policy: Policy,
) -> Disposition {
    let Job { work, reply, place } = job;
    drop(place);
    worker.begin(work.query());
    let result = guard(|| run_work(shared, statements, connection, &work, policy));
    match result {
        Ok(Ok(Done::Answered { chunks, last })) => {
            shared.counters.writes.add();
            for (shape, chunk) in chunks {
                reply.push(&shape, chunk);
            }
            reply.settle(last);
            Disposition::Reuse
        }
        Ok(Ok(Done::NeedsExclusive)) => {
            shared.request_exclusive(Job { work, reply, place: None });
            Disposition::Reuse
        }
        Ok(Err(failure)) => {
            shared.counters.errors.add();
            let disposition = disposition_after(&failure.error);
            reply.fail(failure);
            disposition
        }
        Err(panic) => {
            shared.counters.panics.add();
            reply.fail(panic);
            Disposition::Discard
        }
    }
}

/// What became of a job on the writer.
enum Done {
    Answered {
        chunks: Vec<(Arc<Shape>, Chunk)>,
        last: Delivery,
    },
    /// It changes the journal mode, and must wait until every other connection is closed.
    NeedsExclusive,
}

/// The policy for a job that was admitted by itself.
fn policy_of(job: &Job, permit: &Permit) -> Policy {
    match (&job.work, permit.class()) {
        (Work::Script(_), _) => Policy::Script,
        (Work::Query(_), Class::Exclusive) => Policy::Exclusive,
        (Work::Query(_), Class::Read(_) | Class::Write) => Policy::Statement,
    }
}

fn run_work(
    shared: &Arc<Shared>,
    statements: &mut Statements<'_>,
    connection: &PolicedConnection,
    work: &Work,
    policy: Policy,
) -> Result<Done, Failure> {
    match work {
        Work::Query(request) => {
            if policy == Policy::Statement && statements.needs_exclusive(request)? {
                return Ok(Done::NeedsExclusive);
            }
            let written = statements.write(request, policy)?;
            if let Some(class) = statements.class_of(&request.query) {
                shared.learn_from_writer(&request.query, class);
            }
            if policy == Policy::Exclusive {
                shared.after_exclusive(connection)?;
            }
            shared.after_write(connection, written.touched_private_schema)?;
            let answer = written.answer;
            let shape = Arc::clone(&answer.shape);
            let chunks = written.chunks.into_iter().map(|chunk| (Arc::clone(&shape), chunk)).collect();
            Ok(Done::Answered { chunks, last: Delivery::End(answer.shape, answer.chunk, answer.outcome) })
        }
        Work::Script(script) => {
            let result = run_script(connection, script.sql(), policy);
            if policy == Policy::Exclusive {
                shared.after_exclusive(connection)?;
            }
            shared.after_write(connection, true)?;
            result.map(|()| Done::Answered { chunks: Vec::new(), last: Delivery::Done })
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
fn guard<T>(work: impl FnOnce() -> T) -> Result<T> {
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
