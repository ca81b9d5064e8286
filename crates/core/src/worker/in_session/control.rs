//! Beginning and ending transactions and savepoints, and noticing that SQLite has ended one by itself.

use std::sync::Arc;
use std::time::Instant;

use super::cursors::close_cursors;
use super::{Ran, Side, policy_of};
use crate::connection::gather;
use crate::error::{Error, ErrorCode, Result};
use crate::session::{Behavior, Control, SessionKind, SessionState, Transaction};
use crate::statement::{internal, of_commit};
use crate::worker::answered::Answered;

/// Why nothing more runs in the session's transaction, if SQLite rolled it back.
pub(super) fn aborted(session: &SessionState) -> Option<Error> {
    session.with_transaction(|transaction| match transaction {
        Transaction::Aborted(error) => Some(error.clone()),
        Transaction::None | Transaction::Open | Transaction::Committing => None,
    })?
}

pub(super) fn begin<'c>(side: &mut impl Side<'c>, session: &SessionState) -> Result<()> {
    if let Some(lost) = side.shared().lost() {
        return Err(lost);
    }
    match session.kind {
        SessionKind::Transaction(behavior) => begin_transaction(side, session, behavior),
        // The end of the lease resumes it, however that comes.
        SessionKind::Unchecked(behavior) => {
            side.connection().suspend_foreign_keys()?;
            begin_transaction(side, session, behavior)
        }
        SessionKind::Read(_) => {
            internal(side.connection(), "BEGIN")?;
            // SQLite takes the snapshot with the first read.
            side.connection().refresh_schema()
        }
        SessionKind::Exclusive | SessionKind::Private => Ok(()),
    }
}

pub(super) fn begin_transaction<'c>(
    side: &mut impl Side<'c>,
    session: &SessionState,
    behavior: Behavior,
) -> Result<()> {
    let sql = match behavior {
        Behavior::Immediate => "BEGIN IMMEDIATE",
        Behavior::Exclusive => "BEGIN EXCLUSIVE",
        Behavior::Deferred => "BEGIN DEFERRED",
    };
    internal(side.connection(), sql)?;
    session.with_transaction(|transaction| *transaction = Transaction::Open);
    Ok(())
}

pub(super) fn run_control<'c>(side: &mut impl Side<'c>, session: &SessionState, control: Control) -> Ran {
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

pub(super) fn is_transaction(session: &SessionState) -> bool {
    match session.kind {
        SessionKind::Transaction(_) | SessionKind::Unchecked(_) => true,
        SessionKind::Read(_) | SessionKind::Exclusive | SessionKind::Private => false,
    }
}

pub(super) fn roll_back<'c>(side: &mut impl Side<'c>, session: &SessionState, control: Control) -> Ran {
    close_cursors(side);
    let rolled_back =
        if side.connection().raw().is_autocommit() { Ok(()) } else { internal(side.connection(), "ROLLBACK") };
    session.with_transaction(|transaction| *transaction = Transaction::None);
    match rolled_back {
        Ok(()) if is_transaction(session) || control == Control::End => Ran::Ended(Answered::done()),
        Ok(()) => Ran::Done(Answered::done()),
        Err(error) => Ran::Broke(error),
    }
}

pub(super) fn commit<'c>(side: &mut impl Side<'c>, session: &SessionState) -> Ran {
    if session.with_transaction(|transaction| *transaction = Transaction::Committing).is_none() {
        return Ran::Failed(session.expect_active().err().unwrap_or_else(rolled_back).into());
    }
    close_cursors(side);
    let began = Instant::now();
    let gathering = gather();
    let committed = internal(side.connection(), "COMMIT");
    drop(gathering);
    let ends = is_transaction(session);
    let Err(error) = committed else {
        side.shared().metrics.committed(began.elapsed());
        let looked = side.after_write(policy_of(session.kind));
        let ends_with = session.committed();
        return match (looked, ends_with) {
            // What ends with its commit has ended as its holder said, and not as somebody said meanwhile.
            (Ok(()), _) if ends => Ran::Ended(Answered::done()),
            // The commit stands; but a holder that has been given up must not keep the others waiting.
            (Err(error), _) | (Ok(()), Some(error)) => Ran::Broke(error),
            (Ok(()), None) => Ran::Done(Answered::done()),
        };
    };
    // Still open, after a lock of another process or a broken foreign key: it may be mended, and committed again. What SQLite has
    // rolled back is noticed as ever.
    let ends_with = session.commit_failed();
    if let Some(error) = ends_with {
        return Ran::Broke(error);
    }
    if error.primary_code() == Some(rusqlite::ffi::SQLITE_IOERR) {
        return Ran::Broke(of_commit(error));
    }
    Ran::Failed(error.into())
}

pub(super) fn rolled_back() -> Error {
    rolled_back_after(None)
}

pub(super) fn rolled_back_after(error: Option<&Error>) -> Error {
    let after = error.map_or_else(String::new, |error| format!(" after an error: {error}"));
    Error::new(ErrorCode::TxAborted, format!("SQLite rolled the transaction back{after}"))
}

/// Remembers that SQLite rolled the transaction back by itself, so that nothing after it commits by itself.
pub(super) fn notice_rollback<'c>(side: &mut impl Side<'c>, session: &SessionState, ran: &Ran) {
    if !side.connection().raw().is_autocommit() {
        return;
    }
    session.with_transaction(|transaction| match transaction {
        Transaction::Open => *transaction = Transaction::Aborted(rolled_back_after(ran.error())),
        Transaction::None | Transaction::Committing | Transaction::Aborted(_) => {}
    });
}

/// Why a transaction was rolled back that its holder wanted to be.
pub(super) const ASKED: &str = "asked";

/// Counts a transaction that has begun or ended in what began at `since`, however that came about. `why` is for one that was rolled
/// back.
pub(super) fn follow_transaction<'c>(side: &mut impl Side<'c>, since: Instant, why: &str) {
    let (shared, connection) = (Arc::clone(side.shared()), side.connection());
    let Some(transaction) = side.session_transaction() else { return };
    match (transaction.is_known(), !connection.raw().is_autocommit()) {
        (false, true) => {
            connection.take_rolled_back();
            shared.counters.transactions.add();
            transaction.began(since);
        }
        (true, false) if connection.take_rolled_back() => {
            shared.counters.rollbacks.add();
            transaction.rolled_back(&shared.metrics, why);
        }
        (true, false) => {
            shared.counters.commits.add();
            transaction.committed(&shared.metrics);
        }
        (false, false) | (true, true) => {}
    }
}
