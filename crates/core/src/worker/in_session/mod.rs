//! What sessions ask, on whichever connection they have leased: the writer, or a reader.

mod control;
mod cursors;
mod text;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::answered::Answered;
use super::{Disposition, Job, Work, Worker, disposition_after, explain_interrupt, guard, is_clean};
use crate::cancel::{Cancel, CancelReason};
use crate::completion::{Failure, Reply};
use crate::connection::{PolicedConnection, Policy, Route};
use crate::error::{Error, ErrorCode, Result};
use crate::manager::{Permit, Shared};
use crate::metrics::OpenTransaction;
use crate::query::{Query, Request};
use crate::session::{Asked, SessionKind, SessionState, Transaction, What};
use crate::statement::{Statements, Stopped, internal};

use control::{ASKED, aborted, begin, follow_transaction, notice_rollback, rolled_back_after, run_control};
use cursors::{close_cursors, fetch, open};
use text::{follow_text, is_free, judge, run_free};

pub(super) use cursors::{Cursors, close_cursor};

/// What a worker offers to the session that has leased its connection.
pub(super) trait Side<'c> {
    fn worker(&self) -> &Arc<Worker>;
    fn shared(&self) -> &Arc<Shared>;
    fn connection(&self) -> &'c PolicedConnection;
    fn statements(&mut self) -> &mut Statements<'c>;
    fn cursors(&mut self) -> &mut Cursors<'c>;
    /// What is known of the session's transaction, where it can have one.
    fn session_transaction(&mut self) -> Option<&mut OpenTransaction>;
    /// Runs one statement to its end.
    fn run_statement(&mut self, request: &Request, policy: Policy, reply: &Reply) -> Result<Answered>;
    fn run_script(&mut self, script: &Query, policy: Policy) -> Result<(), Stopped>;
    /// Looks at what was changed beside rows, before that is answered.
    fn after_write(&mut self, policy: Policy) -> Result<()>;
    /// Takes rows ahead of the end of an answer. Returns `false` when nobody will ever take them.
    fn send_rows(&mut self, reply: &Reply, rows: Rows) -> bool;
}

/// Rows ahead of the end of an answer.
pub(super) type Rows = (Arc<crate::query::Shape>, Box<crate::rows::Chunk>);

/// What became of a thing asked.
enum Ran {
    /// It was done, and the session goes on.
    Done(Answered),
    /// It was done, and was the end of the session.
    Ended(Answered),
    /// It failed, and the session goes on.
    Failed(Failure),
    /// It failed, and that was the end of the session.
    Broke(Error),
    /// It failed, and there was no more to the session than that.
    Settled(Failure),
    /// It failed, and SQLite rolled back what the session was for.
    Aborted(Failure),
    /// It is none of the session's, and runs as a whole on the writer: a statement that cannot be stepped bit by bit.
    Elsewhere,
    /// It is none of the session's, and runs on a reader.
    OnAReader,
}

impl Ran {
    fn error(&self) -> Option<&Error> {
        match self {
            Self::Done(_) | Self::Ended(_) | Self::Elsewhere | Self::OnAReader => None,
            Self::Failed(failure) | Self::Settled(failure) | Self::Aborted(failure) => Some(&failure.error),
            Self::Broke(error) => Some(error),
        }
    }
}

impl From<Result<Answered, Error>> for Ran {
    fn from(result: Result<Answered, Error>) -> Self {
        result.map_err(Failure::from).into()
    }
}

impl From<Result<Answered, Failure>> for Ran {
    fn from(result: Result<Answered, Failure>) -> Self {
        result.map_or_else(Self::Failed, Self::Done)
    }
}

/// Does what a session asks. Returns what to do with the connection when its lease ends.
pub(super) fn run_asked<'c>(side: &mut impl Side<'c>, asked: Box<Asked>) -> Disposition {
    let held_since = match asked.session.expect_active() {
        Ok(since) => since,
        Err(error) => {
            side.shared().metrics.failed(&error);
            asked.fail(error);
            return Disposition::Reuse;
        }
    };
    let worker = Arc::clone(side.worker());
    let shown = asked.what.shown(asked.session.kind);
    let began = Instant::now();
    let accepted = worker.begin(shown, began, asked.cancel.as_ref(), &asked.reply);
    // Others wait for the session, and not for this call alone.
    worker.show(shown, held_since);
    if let Err(reason) = accepted {
        let session = Arc::clone(&asked.session);
        rest(&worker, &session);
        let error = reason.to_error();
        side.shared().metrics.failed(&error);
        fail_stopped(*asked, error);
        return Disposition::Reuse;
    }
    let Asked { session, what, reply, cancel, pending } = *asked;
    let ran = guard(|| run(side, &session, &what, &reply, cancel.as_deref()));
    side.shared().metrics.follow_busy(side.connection());
    let interrupted = worker.end_job(cancel.as_ref());
    if interrupted.is_some() {
        side.shared().counters.interrupts.add();
    }
    let (ran, mut disposition) = match ran {
        Ok(ran) => (ran, Disposition::Reuse),
        Err(panic) => {
            side.shared().counters.panics.add();
            // A commit that panicked is under way no more.
            session.commit_failed();
            (Ran::Broke(panic), Disposition::Discard)
        }
    };
    let ran = match interrupted {
        Some(reason) => close_interrupted(side, &what, ran, reason),
        None => ran,
    };
    let explain = |error: Error| {
        let error = explain_interrupt(interrupted, error);
        let is_interrupt = error.primary_code() == Some(rusqlite::ffi::SQLITE_INTERRUPT);
        // Stopped not for its caller, but because the session was ended.
        if is_interrupt { session.expect_active().err().unwrap_or(error) } else { error }
    };
    let ran = match ran {
        Ran::Failed(Failure { error, statement }) => Ran::Failed(Failure { error: explain(error), statement }),
        Ran::Broke(error) => Ran::Broke(explain(error)),
        ran @ (Ran::Settled(_) | Ran::Aborted(_) | Ran::Done(_) | Ran::Ended(_) | Ran::Elsewhere | Ran::OnAReader) => {
            ran
        }
    };
    if let Some(error) = ran.error() {
        side.shared().counters.errors.add();
        side.shared().metrics.failed(error);
        disposition = disposition.or(disposition_after(error));
    }
    let ran = follow_text(side, &session, &what, ran);
    notice_rollback(side, &session, &ran);
    if may_write(session.kind) {
        follow_transaction(side, began, ran.error().map_or(ASKED, Error::code_name));
    }
    worker.has_cursors.store(!side.cursors().is_empty(), Ordering::SeqCst);
    rest(&worker, &session);
    drop(pending);
    let told = guard(|| tell(side, &session, what, reply, cancel, ran));
    if let Err(panic) = told {
        // Not of the job, but of whoever took its answer: what the session did goes with its connection.
        side.shared().counters.panics.add();
        session.finish(Err(panic));
        return Disposition::Discard;
    }
    disposition
}

/// Answers what was asked. The session ends before its holder is told, who may go on at once.
fn tell<'c>(
    side: &mut impl Side<'c>,
    session: &SessionState,
    what: What,
    reply: Reply,
    cancel: Option<Arc<Cancel>>,
    ran: Ran,
) {
    match ran {
        Ran::Done(answered) => answered.send(reply),
        Ran::Failed(failure) => reply.fail(failure),
        Ran::Ended(answered) => {
            let (shared, connection) = (side.shared(), side.connection());
            // Whoever is told finds the concurrency that goes with the journal mode. Elsewhere a transaction may be open still, or the
            // connection be in doubt: the end of the lease sees to that first.
            session.finish_after(Ok(()), |permit: &Permit| shared.writer_released(connection, permit));
            answered.send(reply);
        }
        Ran::Broke(error) => {
            session.finish(Err(error.clone()));
            reply.fail(error);
        }
        Ran::Settled(failure) => {
            session.finish(Ok(()));
            reply.fail(failure);
        }
        Ran::Aborted(failure) => {
            session.finish(Err(rolled_back_after(Some(&failure.error))));
            reply.fail(failure);
        }
        Ran::Elsewhere => {
            session.finish(Ok(()));
            pass_on(side.shared(), Route::Write, what, reply, cancel);
        }
        Ran::OnAReader => {
            session.finish(Ok(()));
            pass_on(side.shared(), Route::Read, what, reply, cancel);
        }
    }
}

/// Closes a cursor whose fetch was interrupted when it had its rows: SQLite would stop the next statement beside it instead.
fn close_interrupted<'c>(side: &mut impl Side<'c>, what: &What, ran: Ran, reason: CancelReason) -> Ran {
    let (What::Open { cursor, .. } | What::Fetch { cursor, .. }) = what else { return ran };
    if !matches!(ran, Ran::Done(_)) || !side.cursors().contains_key(cursor) {
        return ran;
    }
    close_cursor(side, *cursor);
    if *cursor == 0 { Ran::Broke(reason.to_error()) } else { Ran::Failed(reason.to_error().into()) }
}

/// Sends a statement where it belongs: one that cannot be stepped bit by bit to the writer, a read to a reader.
fn pass_on(shared: &Arc<Shared>, to: Route, what: What, reply: Reply, cancel: Option<Arc<Cancel>>) {
    if let Some(cancel) = &cancel {
        cancel.paused();
    }
    reply.goes_on();
    let request = match what {
        What::Open { request, .. } | What::Query(request) => request,
        What::Begin | What::Judge(..) | What::Script(_) | What::Control(_) | What::Fetch { .. } => {
            unreachable!("BUG: only a statement is passed on")
        }
    };
    let job = Job { cancel, ..Job::new(Work::Query(request), reply) };
    match to {
        Route::Read => shared.request_reader(job),
        Route::Write => shared.forward_to_writer(job),
    }
}

/// What was stopped before it began fails; a session that was to begin with it ends.
fn fail_stopped(asked: Asked, error: Error) {
    let begins = matches!(asked.what, What::Begin) || matches!(asked.what, What::Open { cursor: 0, .. });
    let session = Arc::clone(&asked.session);
    if let What::Judge(_, gone) = &asked.what {
        // It has not said what becomes of the transaction.
        session.finish(Err(gone.clone()));
        return asked.fail(error);
    }
    let is_empty = session.with_transaction(|transaction| matches!(transaction, Transaction::None));
    if session.kind == SessionKind::Private && is_empty == Some(true) {
        // Before its holder is told, whose calls go elsewhere from then on.
        session.finish(Ok(()));
    }
    asked.fail(error.clone());
    if begins {
        session.finish(Err(error));
    }
}

/// Shows that the session has its connection and runs nothing.
fn rest(worker: &Worker, session: &SessionState) {
    match session.at_rest() {
        Some((query, since)) => worker.rest(query, since),
        None => worker.finish(),
    }
}

fn may_write(kind: SessionKind) -> bool {
    match kind {
        SessionKind::Transaction(_) | SessionKind::Unchecked(_) | SessionKind::Exclusive | SessionKind::Private => true,
        SessionKind::Read(_) => false,
    }
}

fn policy_of(kind: SessionKind) -> Policy {
    match kind {
        SessionKind::Transaction(_) | SessionKind::Unchecked(_) => Policy::Transaction,
        SessionKind::Read(_) => Policy::Reader,
        SessionKind::Exclusive => Policy::Exclusive,
        SessionKind::Private => Policy::Lease,
    }
}

/// The policy for what a session asks now: the transaction that the driver began is ended by the driver.
fn policy_in(session: &SessionState) -> Policy {
    let in_transaction = || session.with_transaction(|transaction| !matches!(transaction, Transaction::None));
    if session.kind == SessionKind::Exclusive && in_transaction() == Some(true) {
        Policy::Transaction
    } else {
        policy_of(session.kind)
    }
}

fn run<'c>(
    side: &mut impl Side<'c>,
    session: &SessionState,
    what: &What,
    reply: &Reply,
    cancel: Option<&Cancel>,
) -> Ran {
    let policy = policy_in(session);
    match what {
        What::Begin => match begin(side, session) {
            Ok(()) => Ran::Done(Answered::done()),
            Err(error) => Ran::Broke(error),
        },
        What::Control(control) => run_control(side, session, *control),
        What::Query(_) | What::Judge(..) | What::Script(_) | What::Open { .. } | What::Fetch { .. }
            if aborted(session).is_some() =>
        {
            Ran::Failed(aborted(session).expect("BUG: asked just now").into())
        }
        What::Judge(request, error) => judge(side, request, error),
        What::Query(request) if is_free(side, session) => run_free(side, request, reply),
        What::Query(request) => side.run_statement(request, policy, reply).into(),
        What::Script(script) => match side.run_script(script, policy) {
            Ok(()) => Ran::Done(Answered::done()),
            // It had ended the transaction itself, before it failed.
            Err(stopped) if stopped.outside && session.kind == SessionKind::Private => Ran::Settled(stopped.failure),
            Err(stopped) => Ran::Failed(stopped.failure),
        },
        What::Open { cursor, request, rows } => open(side, *cursor, request, policy, *rows, reply, cancel),
        What::Fetch { cursor, rows, .. } => match side.cursors().remove(cursor) {
            Some(suspended) => fetch(side, *cursor, suspended, *rows, reply),
            None => Ran::Failed(Error::new(ErrorCode::TxClosed, "the rows have all been fetched").into()),
        },
    }
}

/// Ends a lease on its connection: what is open is rolled back, an interrupt that came too late is forgotten. Returns whether the
/// connection may serve others.
pub(super) fn end_lease<'c>(side: &mut impl Side<'c>) -> Disposition {
    close_cursors(side);
    side.worker().clear_interrupt();
    side.worker().finish();
    let connection = side.connection();
    let rolled_back = if connection.raw().is_autocommit() { Ok(()) } else { internal(connection, "ROLLBACK") };
    follow_transaction(side, Instant::now(), "the session has ended");
    let resumed = connection.resume_foreign_keys();
    if rolled_back.is_ok() && resumed.is_ok() && is_clean(connection) {
        Disposition::Reuse
    } else {
        Disposition::Discard
    }
}
