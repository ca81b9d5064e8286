//! A connection's own thread and its queue of messages. Everything SQLite does happens on one of these threads.

mod answered;
mod asker;
mod batch;
mod checkpointer;
mod company;
mod group;
mod guard;
mod hold;
mod in_session;
mod loan;
mod members;
mod next;
mod own_work;
mod reader;
mod reads;
mod recovery;
mod run;
mod running;
mod snapshot;
mod tray;
mod unannounced;
mod vigil;
mod writer;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use rusqlite::InterruptHandle;
use tokio::sync::oneshot;

use crate::cancel::{Cancel, CancelReason};
use crate::completion::{Failure, Reply};
use crate::connection::{PolicedConnection, Policy};
use crate::error::{Error, ErrorCode, Result};
use crate::manager::{Permit, Place};
use crate::query::{Query, Request, Scope};
use crate::session::Asked;

use self::asker::Asker;
use self::hold::Held;
use self::loan::Loan;
use self::next::{Next, Queued};
use self::running::Running;
use self::vigil::Vigil;

pub(crate) use checkpointer::{Checkpointer, Found, answer_checkpoint};
pub(crate) use guard::guard;
pub(crate) use hold::RanIn;
pub(crate) use own_work::OwnWork;
pub(crate) use reader::serve_reader;
pub(crate) use running::Current;
pub(crate) use writer::serve_writer;

/// The stack of a worker: SQLite's parser needs about 1 KiB per level of a nested expression, whose depth it limits to 1,000.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// What a job runs.
#[derive(Debug)]
pub(crate) enum Work {
    Query(Request),
    Script(Arc<Query>),
    /// Statements that are one transaction, each with its own answer.
    Batch(Vec<(Request, Reply)>),
}

impl Work {
    /// Whether it is expected to take no longer than passing it on does.
    fn runs_short(&self) -> bool {
        match self {
            Self::Query(request) => request.query.runs_short(),
            Self::Script(_) | Self::Batch(_) => false,
        }
    }

    /// In whose callback it was asked for.
    pub(crate) fn scope(&self) -> Scope {
        match self {
            Self::Query(request) => request.scope,
            Self::Script(_) | Self::Batch(_) => Scope::Outside,
        }
    }

    /// Answers that it failed, to whoever waits for any part of it.
    fn fail(self, reply: Reply, failure: Failure) {
        match self {
            Self::Query(_) | Self::Script(_) => {}
            Self::Batch(items) => items.into_iter().for_each(|(_, item)| item.fail(failure.clone())),
        }
        reply.fail(failure);
    }

    fn query(&self) -> &Arc<Query> {
        match self {
            Self::Query(request) => &request.query,
            Self::Script(script) => script,
            Self::Batch(items) => items.first().map_or_else(|| nothing(), |(request, _)| &request.query),
        }
    }
}

/// What a batch without statements shows.
pub(crate) fn nothing() -> &'static Arc<Query> {
    static NOTHING: OnceLock<Arc<Query>> = OnceLock::new();
    NOTHING.get_or_init(|| Query::new(""))
}

/// A call on its way to a connection.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) reply: Reply,
    /// The place in the write queue that an unclassified statement holds until it is known to be a read. One that arrives on
    /// the writer with it was admitted there because no reader was free, and is still not classified.
    pub(crate) place: Option<Place>,
    /// The means to stop it, when somebody has them.
    pub(crate) cancel: Option<Arc<Cancel>>,
}

impl Job {
    /// Makes a job that nobody can stop.
    pub(crate) fn new(work: Work, reply: Reply) -> Self {
        Self { work, reply, place: None, cancel: None }
    }

    /// Answers that it failed, and withdraws its place.
    pub(crate) fn fail(self, error: Error) {
        let Self { work, reply, place, .. } = self;
        drop(place);
        work.fail(reply, error.into());
    }
}

/// How a lease hands its connection back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The connection is clean and may serve others.
    Reuse,
    /// The connection is replaced.
    Discard,
}

impl Disposition {
    /// Whichever is safer.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Reuse, Self::Reuse) => Self::Reuse,
            (Self::Discard, _) | (_, Self::Discard) => Self::Discard,
        }
    }
}

/// What a worker is told.
pub(crate) enum Message {
    /// Runs a job under its own permit.
    Run(Job, Permit),
    /// Runs a job of the lease that holds this worker, under the lease's policy.
    RunLeased(Job, Policy),
    /// Does what a session asks of the connection it has leased.
    Asked(Box<Asked>),
    /// Does the driver's own work on the connection of the lease that holds this worker. Dropped undone when there is none.
    Lend(OwnWork),
    /// Closes a cursor of the session that has the connection.
    CloseCursor(u32),
    /// Ends the hold of a reader, and does nothing else: every message does that. Dropping the sender tells.
    EndHold(oneshot::Sender<()>),
    /// Ends a lease.
    Release(Permit, Disposition),
    /// Closes the connection and ends the thread. The sender is told the result, or dropped with it.
    Close(CloseReceipt),
}

/// What is told once a connection is closed: dropping it tells, too.
pub(crate) type CloseReceipt = oneshot::Sender<Result<()>>;

/// The handle of a worker thread.
pub(crate) struct Worker {
    /// `writer`, or `reader.` and a number.
    role: Arc<str>,
    queue: Mutex<Queue>,
    ready: Condvar,
    vigil: Vigil,
    loan: Loan,
    held: Held,
    interrupt: Mutex<Option<Interrupt>>,
    /// SQLite's interrupt stops every statement of the connection.
    has_cursors: AtomicBool,
    running: Running,
    asker: Asker,
}

/// What stops the statement that a connection runs.
struct Interrupt {
    handle: InterruptHandle,
    /// Seen by the progress handler, and by waits for other processes. SQLite forgets an interrupt that comes between two steps.
    stop: Arc<AtomicBool>,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// The thread has ended, or is about to: no message would be read.
    ended: bool,
}

/// Why a worker stopped serving a connection.
pub(crate) enum Exit {
    /// The connection must not be used again. The permit is released after it is closed.
    Discard(Permit),
    /// The connection is not as it should be, and nobody's permit goes with it: another takes its place.
    Renew,
    /// The manager closes it.
    Close(CloseReceipt),
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("current", &self.current()).finish_non_exhaustive()
    }
}

impl Worker {
    pub(crate) fn new(role: impl Into<Arc<str>>) -> Arc<Self> {
        Arc::new(Self {
            role: role.into(),
            queue: Mutex::default(),
            ready: Condvar::new(),
            vigil: Vigil::default(),
            loan: Loan::default(),
            held: Held::default(),
            interrupt: Mutex::new(None),
            has_cursors: AtomicBool::new(false),
            running: Running::default(),
            asker: Asker::default(),
        })
    }

    /// Returns what it is: `writer`, or `reader.` and a number.
    pub(crate) fn role(&self) -> &Arc<str> {
        &self.role
    }

    /// Starts the worker's thread.
    pub(crate) fn start(name: String, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        std::thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(body).map(drop)
    }

    /// Queues a message. Gives it back when the thread has ended.
    #[expect(clippy::result_large_err, reason = "the message comes back only when the thread has ended")]
    pub(crate) fn send(&self, message: Message) -> Result<(), Message> {
        let mut queue = self.queue.lock();
        if queue.ended {
            return Err(message);
        }
        queue.messages.push_back(message);
        self.vigil.call();
        drop(queue);
        self.ready.notify_one();
        Ok(())
    }

    /// Waits for the next message.
    pub(crate) fn next(&self) -> Message {
        let since = Instant::now();
        self.vigil.keep(since);
        let mut queue = self.queue.lock();
        loop {
            if let Some(message) = queue.messages.pop_front() {
                self.vigil.end(since, queue.messages.is_empty());
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

    /// Lets [`Worker::interrupt`] reach `connection`.
    pub(crate) fn serves(&self, connection: &PolicedConnection) {
        let (handle, stop) = (connection.raw().get_interrupt_handle(), Arc::clone(connection.interrupted()));
        *self.interrupt.lock() = Some(Interrupt { handle, stop });
    }

    /// Stops the job that the worker is running, and leaves alone the cursors that are open beside it.
    pub(crate) fn interrupt(&self) {
        self.stop(!self.has_cursors.load(Ordering::SeqCst));
    }

    /// Stops whatever the worker is running: <https://sqlite.org/c3ref/interrupt.html>.
    pub(crate) fn interrupt_all(&self) {
        self.stop(true);
    }

    fn stop(&self, statements: bool) {
        if let Some(Interrupt { handle, stop }) = self.interrupt.lock().as_ref() {
            stop.store(true, Ordering::SeqCst);
            if statements {
                handle.interrupt();
            }
        }
    }

    /// Forgets an interrupt that came when nothing ran any more.
    fn clear_interrupt(&self) {
        if let Some(Interrupt { stop, .. }) = self.interrupt.lock().as_ref() {
            stop.store(false, Ordering::SeqCst);
        }
    }

    /// Shows what stands for a lease that runs nothing.
    fn rest(&self, query: &Arc<Query>, since: Instant) {
        self.show(query, since);
    }

    pub(crate) fn current(&self) -> Option<Current> {
        self.running.current()
    }

    /// Takes a job of a session out of the queue and fails it, if it has not begun.
    pub(crate) fn withdraw(&self, cancel: &Arc<Cancel>, error: &Error) {
        let is_meant = |message: &Message| match message {
            Message::Asked(asked) => asked.cancel.as_ref().is_some_and(|known| Arc::ptr_eq(known, cancel)),
            Message::Run(..)
            | Message::RunLeased(..)
            | Message::CloseCursor(_)
            | Message::Lend(_)
            | Message::EndHold(_)
            | Message::Release(..)
            | Message::Close(_) => false,
        };
        let mut queue = self.queue.lock();
        let found = queue.messages.iter().position(is_meant).and_then(|at| queue.messages.remove(at));
        drop(queue);
        if let Some(Message::Asked(asked)) = found {
            asked.fail(error.clone());
        }
    }

    /// Begins a job, which `reply` answers.
    ///
    /// # Errors
    /// Why it was stopped before.
    fn begin(
        self: &Arc<Self>,
        query: &Arc<Query>,
        since: Instant,
        cancel: Option<&Arc<Cancel>>,
        reply: &Reply,
    ) -> Result<(), CancelReason> {
        self.begin_for(query, since, reply.sink_number(), || reply.is_for_nobody())?;
        let begun = cancel.map_or(Ok(()), |cancel| cancel.running(self));
        match begun {
            Ok(()) => reply.begins(since),
            Err(_) => drop(self.end_job(None)),
        }
        begun
    }

    /// Begins a call for the sink of this number, which nobody can stop but by going.
    fn begin_for(
        &self,
        query: &Arc<Query>,
        since: Instant,
        sink: usize,
        has_gone: impl FnOnce() -> bool,
    ) -> Result<(), CancelReason> {
        self.show(query, since);
        // Before it is asked whether they have gone: who goes meanwhile finds it here.
        if self.asker.begin(sink) {
            self.clear_interrupt();
        }
        if has_gone() {
            self.end_job(None);
            return Err(CancelReason::Aborted);
        }
        Ok(())
    }

    /// Shows what runs.
    fn show(&self, query: &Arc<Query>, since: Instant) {
        self.running.show(query, since);
    }

    /// Ends a job that has begun: nothing can stop it any more. Returns why it was interrupted, if so.
    fn end_job(&self, cancel: Option<&Arc<Cancel>>) -> Option<CancelReason> {
        self.ended(self.asker.end(), cancel)
    }

    /// The same where others of one group follow: those for the same caller need not say so each. Somebody has to call
    /// [`Worker::end_members`] in the end. Until the next one begins an interrupt may hit what is prepared for it: it runs alone then.
    fn end_member(&self, cancel: Option<&Arc<Cancel>>) -> Option<CancelReason> {
        self.ended(self.asker.pause(), cancel)
    }

    fn ended(&self, was_left: bool, cancel: Option<&Arc<Cancel>>) -> Option<CancelReason> {
        let abandoned = was_left.then_some(CancelReason::Aborted);
        let reason = cancel.and_then(|cancel| cancel.ran()).or(abandoned)?;
        self.clear_interrupt();
        Some(reason)
    }

    /// Ends the last job of a group: what follows is for all of its callers.
    pub(crate) fn end_members(&self) {
        if self.asker.end() {
            self.clear_interrupt();
        }
    }

    /// Stops what the worker runs if it is for a sink that has gone.
    pub(crate) fn abandon(&self, sink: usize) {
        self.asker.leave(sink, || self.interrupt());
    }

    pub(crate) fn finish(&self) {
        self.running.clear();
    }
}

/// A connection that may be broken is replaced: <https://sqlite.org/rescode.html>.
fn disposition_after(error: &Error) -> Disposition {
    use rusqlite::ffi::{SQLITE_CORRUPT, SQLITE_IOERR, SQLITE_NOMEM, SQLITE_NOTADB};
    match (error.code, error.primary_code()) {
        (ErrorCode::OutcomeUnknown, _) | (_, Some(SQLITE_CORRUPT | SQLITE_IOERR | SQLITE_NOMEM | SQLITE_NOTADB)) => {
            Disposition::Discard
        }
        _ => Disposition::Reuse,
    }
}

/// I7: a connection goes back only with no open statement and no open transaction.
fn is_clean(connection: &PolicedConnection) -> bool {
    connection.raw().is_autocommit() && !connection.raw().is_busy()
}

/// What a job that was interrupted is answered: what its caller asked for, where SQLite tells only of the interrupt.
fn explain_interrupt(reason: Option<CancelReason>, error: Error) -> Error {
    use rusqlite::ffi::{SQLITE_BUSY, SQLITE_INTERRUPT};
    match (reason, error.primary_code()) {
        (Some(reason), Some(SQLITE_INTERRUPT | SQLITE_BUSY)) => reason.to_error(),
        _ => error,
    }
}
