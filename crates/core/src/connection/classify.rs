//! Preparing a statement, and saying where it may run.

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::{Batch, ErrorCode as SqliteCode, PrepFlags, Statement, ffi};

use super::PolicedConnection;
use super::auth_log::AuthLog;
use super::authorizer::StateReader;
use super::denial::Denial;
use super::policy::Policy;
use crate::error::{Error, ErrorCode};

/// Where a statement may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// On any reader.
    Read,
    /// On the writer only.
    Write,
}

/// What a prepared statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classified {
    /// Where it may run.
    pub route: Route,
    /// What SQLite says of it. By itself that proves little: it is also true of `BEGIN`, `ATTACH` and many PRAGMAs.
    pub readonly: bool,
    /// Whether it is an `EXPLAIN` or `EXPLAIN QUERY PLAN`, which lists and does nothing.
    pub explain: bool,
    /// What it asked the authorizer for.
    pub log: AuthLog,
}

impl Classified {
    /// A text without a statement in it.
    const EMPTY: Self = Self { route: Route::Read, readonly: true, explain: false, log: AuthLog::EMPTY };

    fn of(statement: &Statement<'_>, log: AuthLog) -> Self {
        let (readonly, explain) = (statement.readonly(), statement.is_explain() != 0);
        let looks = log.select() || log.pragma_read() || explain;
        // SQLite counts `PRAGMA journal_mode` as writing even where it only asks.
        let only_asks = readonly || (log.only_pragma_read() && statement.column_count() > 0);
        let is_read = only_asks && looks && log.only_reads_or_dml();
        Self { route: if is_read { Route::Read } else { Route::Write }, readonly, explain, log }
    }

    /// Returns whether it inserts, updates or deletes rows and does nothing else: only then does `changes` count.
    #[must_use]
    pub fn dml(&self) -> bool {
        !self.readonly && !self.explain && self.log.dml() && self.log.only_reads_or_dml()
    }

    /// Returns whether it is DML that inserts by itself, not by a trigger alone: only then is there a last inserted rowid.
    #[must_use]
    pub fn inserts(&self) -> bool {
        self.dml() && self.log.insert()
    }

    /// Returns whether it may share a transaction with statements of other callers, none of whom can tell: it reads or changes
    /// rows, and asks for nothing else. A statement that asked for nothing is none: `VACUUM`, and what had nothing to do yet.
    #[must_use]
    pub fn groups(&self) -> bool {
        !self.log.is_empty() && !self.log.state_read() && (self.route == Route::Read || self.dml())
    }

    /// Returns whether its log may hold what a virtual table asked for while connecting.
    fn is_ambiguous(self) -> bool {
        !self.readonly && self.log.is_ambiguous()
    }

    /// Returns whether it changes the schema.
    #[must_use]
    pub fn ddl(&self) -> bool {
        !self.explain && self.log.ddl()
    }

    /// Returns whether it makes objects or attaches databases that no other connection sees.
    #[must_use]
    pub fn temp_or_attach(&self) -> bool {
        !self.explain && (self.log.temp() || self.log.attach())
    }

    /// Returns whether every other connection must be out of the database: it sets the journal mode.
    #[must_use]
    pub fn needs_exclusive(&self) -> bool {
        !self.explain && self.log.journal_mode()
    }

    /// Returns the policy to step it under, when it was prepared under `policy`.
    ///
    /// The policy holds in `step` too, because SQLite prepares again there after a schema change. A statement that asked
    /// for nothing is the exception: `VACUUM` raises its own ATTACH and BEGIN while running, and none of its kind can
    /// become anything that a writer refuses.
    #[must_use]
    pub fn step_policy(&self, policy: Policy) -> Policy {
        if self.log.is_empty() && policy != Policy::Reader { Policy::Internal } else { policy }
    }

    /// Returns the error for a statement that routes to the writer where only reads may run: inside `read()`.
    #[must_use]
    pub fn to_read_only_error(&self) -> Error {
        if self.log.dml() {
            let message = "attempt to write a readonly database";
            Error { extended_code: Some(ffi::SQLITE_READONLY), ..Error::new(ErrorCode::Sqlite, message) }
        } else {
            Error::new(
                ErrorCode::NotAuthorized,
                "the statement is not one that only reads, and this connection runs no other",
            )
        }
    }
}

/// Why a text could not be prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrepareError {
    /// The text itself is refused, on every connection alike.
    Text(Error),
    /// The policy refused it. Another policy, on the writer, may not.
    Denied(Denial),
    /// SQLite refused it. A reader whose schema is old may refuse what the writer accepts.
    Sqlite(Error),
}

impl PrepareError {
    /// Returns the error to show when nothing else will be tried.
    #[must_use]
    pub fn into_error(self) -> Error {
        match self {
            Self::Text(error) | Self::Sqlite(error) => error,
            Self::Denied(denial) => denial.to_error(),
        }
    }
}

/// Prepares the one statement in `sql` under `policy`, and classifies it. `None`: there is no statement in it.
///
/// Nothing of `sql` acts, unless `policy` allows a PRAGMA that does so while it is prepared. Step the statement under
/// [`Classified::step_policy`]. The authorizer's log is empty afterwards, so that it shows what stepping adds.
///
/// `known_single` says that this text was prepared before and held one statement: it skips the look at what comes after
/// it, and tells SQLite that the statement will be kept.
///
/// # Errors
/// [`PrepareError`], by what may be tried next.
pub fn prepare<'c>(
    conn: &'c PolicedConnection,
    sql: &str,
    policy: Policy,
    known_single: bool,
) -> Result<(Option<Statement<'c>>, Classified), PrepareError> {
    reject_nul(sql)?;
    let attempt = || if known_single { prepare_kept(conn, sql, policy) } else { prepare_new(conn, sql, policy) };
    let mut prepared = attempt();
    if matches!(&prepared, Ok(Some((_, first))) if first.is_ambiguous()) {
        // A virtual table raises the actions of its own statements when it connects, which it now has.
        prepared = attempt();
    }
    conn.authorizer().clear();
    Ok(match prepared? {
        Some((statement, classified)) => (Some(statement), classified),
        None => (None, Classified::EMPTY),
    })
}

type Prepared<'c> = Option<(Statement<'c>, Classified)>;

/// Prepares the next statement of a script under `policy`. `None`: the script is at its end.
///
/// # Errors
/// [`PrepareError`]; the script cannot go on after it.
pub fn prepare_next<'c>(
    conn: &'c PolicedConnection,
    script: &mut Batch<'c, '_>,
    policy: Policy,
) -> Result<Prepared<'c>, PrepareError> {
    finish(conn, logged(conn, policy, || script.next()))
}

/// Prepares a text for the first time: nothing of it acts before it is known to hold one statement, and no `EXPLAIN`.
fn prepare_new<'c>(conn: &'c PolicedConnection, sql: &str, policy: Policy) -> Result<Prepared<'c>, PrepareError> {
    let mut text = Batch::new(conn.raw(), sql);
    let prepared = conn.authorizer().hold_pragmas(|| prepare_next(conn, &mut text, policy))?;
    let Some((statement, class)) = prepared else {
        return Ok(None);
    };
    if !is_at_end(conn, &mut text)? {
        return Err(several_statements());
    }
    if class.explain || !class.log.held() {
        return Ok(Some((statement, class)));
    }
    drop(statement);
    prepare_next(conn, &mut Batch::new(conn.raw(), sql), policy)
}

fn prepare_kept<'c>(conn: &'c PolicedConnection, sql: &str, policy: Policy) -> Result<Prepared<'c>, PrepareError> {
    let kept = logged(conn, policy, || conn.raw().prepare_with_flags(sql, PrepFlags::SQLITE_PREPARE_PERSISTENT));
    // Only a text without a statement has no SQL to expand; where something was asked for, there is one.
    let is_statement = |kept: &Statement<'_>| !conn.authorizer().log().is_empty() || kept.expanded_sql().is_some();
    finish(conn, kept.map(|kept| Some(kept).filter(is_statement)))
}

/// Prepares under `policy`, with a log of that alone.
fn logged<T>(conn: &PolicedConnection, policy: Policy, prepare: impl FnOnce() -> T) -> T {
    conn.authorizer().clear();
    let _policy = conn.with_policy(policy);
    prepare()
}

/// Turns what SQLite answered, and what the log says, into a classified statement or a refusal.
fn finish<'c>(
    conn: &PolicedConnection,
    prepared: rusqlite::Result<Option<Statement<'c>>>,
) -> Result<Prepared<'c>, PrepareError> {
    let Some(statement) = prepared.map_err(|error| refusal(conn, &error))? else {
        return Ok(None);
    };
    let log = conn.authorizer().log();
    refuse_state_outside_triggers(conn)?;
    let classified = Classified::of(&statement, log);
    Ok(Some((statement, classified)))
}

/// Refuses connection state that a view or common table expression read where only a trigger may.
fn refuse_state_outside_triggers(conn: &PolicedConnection) -> Result<(), PrepareError> {
    for StateReader { part, function } in conn.authorizer().state_readers() {
        if !conn.is_trigger(&part).map_err(PrepareError::Sqlite)? {
            return Err(PrepareError::Denied(Denial::ConnectionState { function }));
        }
    }
    Ok(())
}

/// Says whether nothing but blanks, comments and semicolons is left. Text that cannot be prepared is something.
fn is_at_end(conn: &PolicedConnection, text: &mut Batch<'_, '_>) -> Result<bool, PrepareError> {
    let _policy = conn.with_policy(Policy::Tail);
    match text.next() {
        Ok(next) => Ok(next.is_none()),
        Err(error) => match error.sqlite_error_code() {
            Some(SqliteCode::OperationInterrupted | SqliteCode::OutOfMemory) => {
                Err(PrepareError::Sqlite(Error::from_sqlite(&error)))
            }
            _ => Ok(false),
        },
    }
}

fn reject_nul(sql: &str) -> Result<(), PrepareError> {
    if sql.as_bytes().contains(&0) {
        let message = "the SQL text holds a NUL character, at which SQLite would stop reading";
        return Err(PrepareError::Text(Error::new(ErrorCode::InvalidArgument, message)));
    }
    Ok(())
}

fn several_statements() -> PrepareError {
    let message = "the text holds more than one statement; use db.exec for scripts";
    PrepareError::Text(Error::new(ErrorCode::MultipleStatements, message))
}

fn refusal(conn: &PolicedConnection, error: &rusqlite::Error) -> PrepareError {
    if matches!(error, rusqlite::Error::MultipleStatement) {
        return several_statements();
    }
    match conn.authorizer().denial() {
        Some(denial) => PrepareError::Denied(denial),
        None => PrepareError::Sqlite(Error::from_sqlite(error)),
    }
}
