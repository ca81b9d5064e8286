//! What sessions ask, on whichever connection they have leased: the writer, or a reader.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::answered::Answered;
use super::{Disposition, Job, Work, Worker, disposition_after, explain_interrupt, guard, is_clean};
use crate::cancel::Cancel;
use crate::completion::{Delivery, Failure, Reply};
use crate::connection::{PolicedConnection, Policy, Route};
use crate::error::{Error, ErrorCode, Result};
use crate::manager::Shared;
use crate::query::{Outcome, Query, Request};
use crate::session::{Asked, Behavior, Control, SessionKind, SessionState, Transaction, What};
use crate::statement::{Fetched, ReadError, Statements, Suspended, internal};

/// The cursors of the session that has the connection.
pub(super) type Cursors<'c> = HashMap<u32, Suspended<'c>>;

/// What a worker offers to the session that has leased its connection.
pub(super) trait Side<'c> {
    fn worker(&self) -> &Arc<Worker>;
    fn shared(&self) -> &Arc<Shared>;
    fn connection(&self) -> &'c PolicedConnection;
    fn statements(&mut self) -> &mut Statements<'c>;
    fn cursors(&mut self) -> &mut Cursors<'c>;
    /// Runs one statement to its end.
    fn run_statement(&mut self, request: &Request, policy: Policy, reply: &Reply) -> Result<Answered>;
    fn run_script(&mut self, script: &Query, policy: Policy) -> Result<(), Failure>;
    /// Looks at what was changed beside rows, before that is answered.
    fn after_write(&mut self, policy: Policy) -> Result<()>;
    /// Takes rows ahead of the end of an answer. Returns `false` when nobody will ever take them.
    fn send_rows(&mut self, reply: &Reply, rows: Rows) -> bool;
}

/// Rows ahead of the end of an answer.
pub(super) type Rows = (Arc<crate::query::Shape>, crate::rows::Chunk);

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
    /// A cursor was asked for a statement that is no read: it runs as a whole on the writer.
    Elsewhere,
    /// A private handle asked for a read, outside a transaction: it runs on a reader.
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
#[expect(clippy::boxed_local, reason = "as it comes in its message")]
pub(super) fn run_asked<'c>(side: &mut impl Side<'c>, asked: Box<Asked>) -> Disposition {
    if let Err(error) = asked.session.expect_active() {
        asked.fail(error);
        return Disposition::Reuse;
    }
    let worker = Arc::clone(side.worker());
    let shown = asked.what.shown(asked.session.kind);
    if let Err(reason) = worker.begin(shown, Instant::now(), asked.cancel.as_ref()) {
        let session = Arc::clone(&asked.session);
        rest(&worker, &session);
        fail_stopped(*asked, reason.to_error());
        return Disposition::Reuse;
    }
    let Asked { session, what, reply, cancel, pending } = *asked;
    let ran = guard(|| run(side, &session, &what, &reply));
    let interrupted = worker.end_job(cancel.as_ref());
    if interrupted.is_some() {
        side.shared().counters.interrupts.add();
    }
    let (ran, mut disposition) = match ran {
        Ok(ran) => (ran, Disposition::Reuse),
        Err(panic) => {
            side.shared().counters.panics.add();
            (Ran::Broke(panic), Disposition::Discard)
        }
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
        disposition = disposition.or(disposition_after(error));
    }
    let ran = follow_text(side, &session, &what, ran);
    notice_rollback(side, &session, &ran);
    worker.has_cursors.store(!side.cursors().is_empty(), Ordering::SeqCst);
    rest(&worker, &session);
    drop(pending);
    // The session ends before its holder is told, who may go on at once.
    match ran {
        Ran::Done(answered) => answered.send(reply),
        Ran::Failed(failure) => reply.fail(failure),
        Ran::Ended(answered) => {
            session.finish(Ok(()));
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
        Ran::Elsewhere | Ran::OnAReader => {
            session.finish(Ok(()));
            pass_on(side.shared(), what, reply, cancel);
        }
    }
    disposition
}

/// Sends a statement where it belongs: one that cannot be stepped bit by bit to the writer, a read to a reader.
fn pass_on(shared: &Arc<Shared>, what: What, reply: Reply, cancel: Option<Arc<Cancel>>) {
    if let Some(cancel) = &cancel {
        cancel.paused();
    }
    let job = |request| Job { cancel, ..Job::new(Work::Query(request), reply) };
    match what {
        What::Open { request, .. } => shared.forward_to_writer(job(request)),
        What::Query(request) => shared.request_reader(job(request)),
        What::Begin | What::Judge(..) | What::Script(_) | What::Control(_) | What::Fetch { .. } => {
            unreachable!("BUG: only a statement is passed on")
        }
    }
}

/// Whether a private handle that has no transaction asks for a read, which need not hold up any write.
fn is_free_read<'c>(side: &mut impl Side<'c>, session: &SessionState, request: &Request) -> bool {
    let is_free = session.kind == SessionKind::Private && side.connection().raw().is_autocommit();
    if !is_free || side.shared().runs_all_on_the_writer() {
        return false;
    }
    let class = side.statements().class(&request.query, Policy::Lease);
    class.is_ok_and(|class| class.route == Route::Read)
}

/// Says what a text does to a transaction that is gone: `ROLLBACK` succeeds, `COMMIT` does not, and either is the end of it.
fn judge<'c>(side: &mut impl Side<'c>, request: &Request, error: &Error) -> Ran {
    let class = side.statements().class(&request.query, Policy::Lease);
    match class {
        Ok(class) if class.log.rolls_back() => {
            let outcome = Outcome { changes: 0, last_insert_rowid: None, route: Route::Write };
            let shape = request.query.shape(Vec::new());
            Ran::Ended(Answered::last(Delivery::End(shape, crate::rows::Chunk::default(), outcome)))
        }
        Ok(class) if class.log.commits() => Ran::Settled(error.clone().into()),
        Ok(_) | Err(_) => Ran::Broke(error.clone()),
    }
}

/// What text has made of the transaction of a private handle: how the session ends, if it does.
fn follow_text<'c>(side: &mut impl Side<'c>, session: &SessionState, what: &What, ran: Ran) -> Ran {
    if session.kind != SessionKind::Private {
        return ran;
    }
    let is_open = !side.connection().raw().is_autocommit();
    let was_open = session.with_transaction(|transaction| match transaction {
        Transaction::None => {
            if is_open {
                *transaction = Transaction::Open;
            }
            false
        }
        Transaction::Open | Transaction::Committing | Transaction::Aborted(_) => true,
    });
    let is_control = match what {
        What::Query(request) => !request.query.is_known_plain(),
        What::Script(_) => true,
        What::Begin | What::Judge(..) | What::Control(_) | What::Open { .. } | What::Fetch { .. } => false,
    };
    if is_open {
        return ran;
    }
    match ran {
        Ran::Done(answered) if is_control || was_open == Some(false) => Ran::Ended(answered),
        Ran::Done(_) => Ran::Broke(rolled_back()),
        Ran::Failed(failure) if was_open == Some(false) => Ran::Settled(failure),
        Ran::Failed(failure) => Ran::Aborted(failure),
        ran @ (Ran::Ended(_) | Ran::Settled(_) | Ran::Broke(_) | Ran::Aborted(_) | Ran::Elsewhere | Ran::OnAReader) => {
            ran
        }
    }
}

/// What was stopped before it began fails; a session that was to begin with it ends.
fn fail_stopped(asked: Asked, error: Error) {
    let begins = matches!(asked.what, What::Begin) || matches!(asked.what, What::Open { cursor: 0, .. });
    let session = Arc::clone(&asked.session);
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

fn policy_of(kind: SessionKind) -> Policy {
    match kind {
        SessionKind::Transaction(_) => Policy::Transaction,
        SessionKind::Read => Policy::Reader,
        SessionKind::Exclusive => Policy::Exclusive,
        SessionKind::Private => Policy::Lease,
    }
}

fn run<'c>(side: &mut impl Side<'c>, session: &SessionState, what: &What, reply: &Reply) -> Ran {
    let policy = policy_of(session.kind);
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
        What::Query(request) if is_free_read(side, session, request) => Ran::OnAReader,
        What::Query(request) => side.run_statement(request, policy, reply).into(),
        What::Script(script) => side.run_script(script, policy).map(|()| Answered::done()).into(),
        What::Open { cursor, request, rows } => open(side, *cursor, request, policy, *rows, reply),
        What::Fetch { cursor, rows } => match side.cursors().remove(cursor) {
            Some(suspended) => fetch(side, *cursor, suspended, *rows, reply),
            None => Ran::Failed(Error::new(ErrorCode::TxClosed, "the rows have all been fetched").into()),
        },
    }
}

/// Why nothing more runs in the session's transaction, if SQLite rolled it back.
fn aborted(session: &SessionState) -> Option<Error> {
    session.with_transaction(|transaction| match transaction {
        Transaction::Aborted(error) => Some(error.clone()),
        Transaction::None | Transaction::Open | Transaction::Committing => None,
    })?
}

fn begin<'c>(side: &mut impl Side<'c>, session: &SessionState) -> Result<()> {
    if let Some(lost) = side.shared().lost() {
        return Err(lost);
    }
    match session.kind {
        SessionKind::Transaction(behavior) => begin_transaction(side, session, behavior),
        SessionKind::Read => {
            internal(side.connection(), "BEGIN")?;
            // SQLite takes the snapshot with the first read.
            side.connection().refresh_schema()
        }
        SessionKind::Exclusive | SessionKind::Private => Ok(()),
    }
}

fn begin_transaction<'c>(side: &mut impl Side<'c>, session: &SessionState, behavior: Behavior) -> Result<()> {
    let sql = match behavior {
        Behavior::Immediate => "BEGIN IMMEDIATE",
        Behavior::Exclusive => "BEGIN EXCLUSIVE",
        Behavior::Deferred => "BEGIN DEFERRED",
    };
    internal(side.connection(), sql)?;
    session.with_transaction(|transaction| *transaction = Transaction::Open);
    side.shared().counters.transactions.add();
    Ok(())
}

fn run_control<'c>(side: &mut impl Side<'c>, session: &SessionState, control: Control) -> Ran {
    let done = |result: Result<()>| Ran::from(result.map(|()| Answered::done()));
    let savepoint = |sql: &str, depth: u32| format!("{sql} sluice_{depth}");
    let connection = side.connection();
    match (control, aborted(session)) {
        (Control::Commit, None) => commit(side, session),
        (Control::Commit, Some(error)) => {
            session.with_transaction(|transaction| *transaction = Transaction::None);
            if is_transaction(session) { Ran::Broke(error) } else { Ran::Failed(error.into()) }
        }
        (Control::Rollback | Control::End, _) => roll_back(side, session, control),
        (_, Some(error)) => Ran::Failed(error.into()),
        (Control::Begin(behavior), None) => done(begin_transaction(side, session, behavior)),
        (Control::Savepoint(depth), None) => done(internal(connection, &savepoint("SAVEPOINT", depth))),
        (Control::Release(depth), None) => done(internal(connection, &savepoint("RELEASE", depth))),
        (Control::RollbackTo(depth), None) => {
            let (back, gone) = (savepoint("ROLLBACK TO", depth), savepoint("RELEASE", depth));
            done(internal(connection, &back).and_then(|()| internal(connection, &gone)))
        }
    }
}

fn is_transaction(session: &SessionState) -> bool {
    match session.kind {
        SessionKind::Transaction(_) => true,
        SessionKind::Read | SessionKind::Exclusive | SessionKind::Private => false,
    }
}

fn roll_back<'c>(side: &mut impl Side<'c>, session: &SessionState, control: Control) -> Ran {
    close_cursors(side);
    let rolled_back = if side.connection().raw().is_autocommit() {
        Ok(())
    } else {
        side.shared().counters.rollbacks.add();
        internal(side.connection(), "ROLLBACK")
    };
    session.with_transaction(|transaction| *transaction = Transaction::None);
    match rolled_back {
        Ok(()) if is_transaction(session) || control == Control::End => Ran::Ended(Answered::done()),
        Ok(()) => Ran::Done(Answered::done()),
        Err(error) => Ran::Broke(error),
    }
}

fn commit<'c>(side: &mut impl Side<'c>, session: &SessionState) -> Ran {
    if session.with_transaction(|transaction| *transaction = Transaction::Committing).is_none() {
        return Ran::Failed(session.expect_active().err().unwrap_or_else(rolled_back).into());
    }
    close_cursors(side);
    let committed = internal(side.connection(), "COMMIT");
    let ends = is_transaction(session);
    let Err(error) = committed else {
        side.shared().counters.commits.add();
        let looked = side.after_write(policy_of(session.kind));
        session.with_transaction(|transaction| *transaction = Transaction::None);
        return match looked {
            Ok(()) if ends => Ran::Ended(Answered::done()),
            Ok(()) => Ran::Done(Answered::done()),
            Err(error) => Ran::Broke(error),
        };
    };
    // Still open, after a lock of another process or a broken foreign key: it may be mended, and committed again. What SQLite has
    // rolled back is noticed as ever.
    let ends_with = session.commit_failed();
    if let Some(error) = ends_with {
        return Ran::Broke(error);
    }
    if error.primary_code() == Some(rusqlite::ffi::SQLITE_IOERR) {
        return Ran::Broke(unknown_outcome(&error));
    }
    Ran::Failed(error.into())
}

/// The error of a commit of which nobody knows whether it took effect.
pub(super) fn unknown_outcome(error: &Error) -> Error {
    let message = format!("the commit failed, and it is not known whether it took effect: {error}");
    Error::new(ErrorCode::OutcomeUnknown, message)
}

fn rolled_back() -> Error {
    rolled_back_after(None)
}

fn rolled_back_after(error: Option<&Error>) -> Error {
    let after = error.map_or_else(String::new, |error| format!(" after an error: {error}"));
    Error::new(ErrorCode::TxAborted, format!("SQLite rolled the transaction back{after}"))
}

/// Remembers that SQLite rolled the transaction back by itself, so that nothing after it commits by itself.
fn notice_rollback<'c>(side: &mut impl Side<'c>, session: &SessionState, ran: &Ran) {
    if !side.connection().raw().is_autocommit() {
        return;
    }
    let gone = session.with_transaction(|transaction| match transaction {
        Transaction::Open => {
            *transaction = Transaction::Aborted(rolled_back_after(ran.error()));
            true
        }
        Transaction::None | Transaction::Committing | Transaction::Aborted(_) => false,
    });
    if gone == Some(true) {
        side.shared().counters.rollbacks.add();
    }
}

fn open<'c>(
    side: &mut impl Side<'c>,
    cursor: u32,
    request: &Request,
    policy: Policy,
    rows: usize,
    reply: &Reply,
) -> Ran {
    let is_own = cursor == 0;
    match side.statements().open(request, policy) {
        Ok(Some(suspended)) => {
            let ran = fetch(side, cursor, suspended, rows, reply);
            if is_own && ran.error().is_some_and(is_refusal) { Ran::Elsewhere } else { ran }
        }
        // It writes, and SQLite does all of that before the first row.
        Ok(None) => side.run_statement(request, policy, reply).into(),
        Err(ReadError::NotARead(_)) if is_own => Ran::Elsewhere,
        Err(ReadError::NotARead(error) | ReadError::Failed(error)) if is_own => Ran::Broke(error),
        Err(ReadError::NotARead(error) | ReadError::Failed(error)) => Ran::Failed(error.into()),
        Err(ReadError::Abandoned) => unreachable!("BUG: nothing was sent yet"),
    }
}

/// Whether a reader refuses, at the first step, what it had let be prepared: the schema has changed in between.
fn is_refusal(error: &Error) -> bool {
    let refused = matches!(error.primary_code(), Some(rusqlite::ffi::SQLITE_AUTH | rusqlite::ffi::SQLITE_READONLY));
    refused || error.code == ErrorCode::NotAuthorized
}

fn fetch<'c>(side: &mut impl Side<'c>, cursor: u32, mut suspended: Suspended<'c>, rows: usize, reply: &Reply) -> Ran {
    let fetched = suspended.fetch(rows, &mut |shape, chunk| side.send_rows(reply, (Arc::clone(shape), chunk)));
    let is_own = cursor == 0;
    match fetched {
        Ok(Fetched { shape, chunk, more: true }) => {
            side.cursors().insert(cursor, suspended);
            Ran::Done(Answered::last(Delivery::More(shape, chunk)))
        }
        Ok(Fetched { shape, chunk, more: false }) => {
            side.statements().close(suspended);
            let outcome = Outcome { changes: 0, last_insert_rowid: None, route: Route::Read };
            let answered = Answered::last(Delivery::End(shape, chunk, outcome));
            if is_own { Ran::Ended(answered) } else { Ran::Done(answered) }
        }
        Err(error) => {
            side.statements().close(suspended);
            if is_own { Ran::Broke(error) } else { Ran::Failed(error.into()) }
        }
    }
}

pub(super) fn close_cursor<'c>(side: &mut impl Side<'c>, cursor: u32) {
    if let Some(suspended) = side.cursors().remove(&cursor) {
        side.statements().close(suspended);
    }
    let any = !side.cursors().is_empty();
    side.worker().has_cursors.store(any, Ordering::SeqCst);
}

fn close_cursors<'c>(side: &mut impl Side<'c>) {
    let cursors = std::mem::take(side.cursors());
    for suspended in cursors.into_values() {
        side.statements().close(suspended);
    }
    side.worker().has_cursors.store(false, Ordering::SeqCst);
}

/// Ends a lease on its connection: what is open is rolled back, an interrupt that came too late is forgotten. Returns whether the
/// connection may serve others.
pub(super) fn end_lease<'c>(side: &mut impl Side<'c>) -> Disposition {
    close_cursors(side);
    side.worker().clear_interrupt();
    side.worker().finish();
    let connection = side.connection();
    let rolled_back = if connection.raw().is_autocommit() { Ok(()) } else { internal(connection, "ROLLBACK") };
    if rolled_back.is_ok() && is_clean(connection) { Disposition::Reuse } else { Disposition::Discard }
}
