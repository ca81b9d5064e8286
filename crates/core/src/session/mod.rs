//! Sessions: a connection of one's own over many calls, for a transaction, a snapshot, or exclusive write mode.

mod asked;
mod cursor;
mod limits;
mod private;
mod state;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use crate::cancel::{Cancel, CancelReason};
use crate::completion::{Reply, Sink};
use crate::manager::{Manager, closed, reentrant};
use crate::query::{Request, Scope, Script};
use crate::worker::{Job, Work};

use cursor::Later;

pub(crate) use asked::{Asked, What};
pub use cursor::Cursor;
pub(crate) use limits::Sessions;
pub(crate) use private::Private;
pub use private::PrivateHandle;
pub(crate) use state::{SessionState, Transaction};
pub(crate) use wanted::Wanted;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// A transaction on the writer: <https://sqlite.org/lang_transaction.html>.
    Transaction(Behavior),
    /// The same without enforcing foreign keys, for rebuilding tables:
    /// <https://sqlite.org/lang_altertable.html#making_other_kinds_of_table_schema_changes>.
    Unchecked(Behavior),
    /// A snapshot on a reader: a read transaction whose state is that of its beginning. The scope is that in which it is asked for: in that
    /// of a transaction it is refused where reads need the writer, which the transaction has.
    Read(Scope),
    /// Exclusive write mode: the writer, with no other connection open, and no transaction but those its holder begins.
    Exclusive,
    /// The transaction of a [`PrivateHandle`], which text begins and ends.
    Private,
}

/// How a transaction begins: <https://sqlite.org/lang_transaction.html#deferred_immediate_and_exclusive_transactions>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behavior {
    /// Holds the right to write from its beginning. The default.
    #[default]
    Immediate,
    /// As `Immediate`; without a write-ahead log it keeps readers of other processes out too.
    Exclusive,
    /// Takes the right to write with its first write, which fails if another process has written meanwhile.
    Deferred,
}

/// What begins and ends within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Begins a transaction in exclusive write mode.
    Begin(Behavior),
    /// Commits. In a session of kind `Transaction` it ends the session, if it succeeds or SQLite has rolled back.
    Commit,
    /// Rolls back. In a session of kind `Transaction` it ends the session. Succeeds where SQLite has rolled back by itself.
    Rollback,
    /// Begins the savepoint of this depth, from 1: <https://sqlite.org/lang_savepoint.html>.
    Savepoint(u32),
    /// Keeps what was done since the savepoint, as part of what is around it.
    Release(u32),
    /// Undoes what was done since the savepoint, and removes the savepoint.
    RollbackTo(u32),
    /// Ends the session. An open transaction is rolled back.
    End,
}

/// How long a session may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// How long nothing may be asked of it.
    pub idle: Option<Duration>,
    /// How long it may last, from its admission.
    pub total: Option<Duration>,
}

/// A connection of one's own, until it is ended or dropped. What is submitted runs in order.
///
/// Dropping it rolls back what is open, and stops what still runs.
#[derive(Debug)]
pub struct Session {
    state: Arc<SessionState>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.state.give_up();
    }
}

impl Manager {
    /// Begins a session. `call` is answered when it can be used; `ended` when it has ended: with nothing when its holder ended it,
    /// else with the error that says why. Nothing may be submitted to it before `call` is answered. `cancel` stops the beginning.
    #[must_use]
    pub fn session(
        &self,
        kind: SessionKind,
        limits: SessionLimits,
        cancel: Option<Arc<Cancel>>,
        sink: &Arc<dyn Sink>,
        call: u32,
        ended: u32,
    ) -> Session {
        let (reply, ended) = (Reply::new(Arc::clone(sink), call), Reply::new(Arc::clone(sink), ended));
        let behind_writes = kind == SessionKind::Read(Scope::Outside) && self.reads_behind_writes();
        let state = Arc::new(SessionState::new(self, kind, limits, cancel.unwrap_or_default(), behind_writes));
        // Where reads need the writer, such a one would wait for the transaction whose callback waits for it.
        let waits_for_itself = kind == SessionKind::Read(Scope::Transaction) && self.shared().runs_all_on_the_writer();
        if self.is_closed() {
            state.fail_to_begin(reply, Some(ended), &closed());
        } else if waits_for_itself {
            state.fail_to_begin(reply, Some(ended), &reentrant(Scope::Transaction));
        } else {
            state.request(What::Begin, reply, Some(ended));
        }
        Session { state }
    }

    /// Steps a statement bit by bit, on a snapshot and a read lease of its own. `call` is answered with the first `rows` rows:
    /// [`Delivery::More`](crate::Delivery::More) at the end when there may be more. What cannot be stepped like that is run as a
    /// whole: a statement that writes, and any where reads and writes take turns, so that nobody waits for whoever takes the rows.
    #[must_use]
    pub fn iterate(
        &self,
        request: Request,
        rows: usize,
        limits: SessionLimits,
        cancel: Option<Arc<Cancel>>,
        sink: Arc<dyn Sink>,
        call: u32,
    ) -> Cursor {
        let (cursor, later) = Cursor::later();
        let reply = self.reply(sink, call, &request.query, request.timed);
        self.open_cursor(request, rows, limits, cancel, reply, later);
        cursor
    }

    /// Opens a cursor that has been given out already. It is `later` before the first answer comes, after which rows may be fetched.
    fn open_cursor(
        &self,
        request: Request,
        rows: usize,
        limits: SessionLimits,
        cancel: Option<Arc<Cancel>>,
        reply: Reply,
        later: Later,
    ) {
        let shared = self.shared();
        let behind_writes = request.scope == Scope::Outside && self.reads_behind_writes();
        let cancel = cancel.unwrap_or_default();
        if behind_writes || shared.must_run_as_a_whole(&request) {
            if later.is(Cursor::whole(Arc::clone(&cancel))) {
                self.submit_job(Job { cancel: Some(cancel), ..Job::new(Work::Query(request), reply) });
            } else {
                cursor::give_up(reply);
            }
            return;
        }
        let state = Arc::new(SessionState::of_cursor(self, &request, limits, cancel));
        if self.is_closed() {
            return if later.is(Cursor::closed()) { reply.fail(closed()) } else { cursor::give_up(reply) };
        }
        if later.is(Cursor::owning(Arc::clone(&state), Arc::clone(&request.query))) {
            state.request(What::Open { cursor: cursor::OWN, request, rows }, reply, None);
        } else {
            cursor::give_up(reply);
        }
    }
}

impl Session {
    /// Submits one request to run in the session, after those before it.
    pub fn submit(&self, request: Request, cancel: Option<Arc<Cancel>>, sink: Arc<dyn Sink>, call: u32) {
        let reply = self.state.reply(sink, call, &request.query, request.timed);
        self.state.ask(What::Query(request), cancel, reply);
    }

    /// Submits a script.
    pub fn submit_script(
        &self,
        script: impl Into<Script>,
        cancel: Option<Arc<Cancel>>,
        sink: Arc<dyn Sink>,
        call: u32,
    ) {
        let Script { text, timed } = script.into();
        let reply = self.state.reply(sink, call, &text, timed);
        self.state.ask(What::Script(text), cancel, reply);
    }

    /// Begins or ends what is within it, or itself. Answered with [`Delivery::Done`](crate::Delivery::Done).
    pub fn control(&self, control: Control, cancel: Option<Arc<Cancel>>, sink: Arc<dyn Sink>, call: u32) {
        self.state.ask(What::Control(control), cancel, Reply::new(sink, call));
    }

    /// Steps a statement bit by bit, on the session's connection. See [`Manager::iterate`].
    #[must_use]
    pub fn iterate(
        &self,
        request: Request,
        rows: usize,
        cancel: Option<Arc<Cancel>>,
        sink: Arc<dyn Sink>,
        call: u32,
    ) -> Cursor {
        let cursor = self.state.next_cursor();
        let reply = self.state.reply(sink, call, &request.query, request.timed);
        let cancel = cancel.unwrap_or_default();
        let within = Cursor::within(Arc::clone(&self.state), cursor, Arc::clone(&request.query), Arc::clone(&cancel));
        self.state.ask(What::Open { cursor, request, rows }, Some(cancel), reply);
        within
    }

    /// Stops what the session runs, rolls it back and ends it, with the error of `reason`. Answered through `ended`.
    pub fn abort(&self, reason: CancelReason) {
        self.state.end(&self.state.aborted(reason));
    }
}
