//! Scripts: many statements in one text, run in order on the writer.

use rusqlite::Batch;

use super::commit::{may_commit, of_write};
use super::{explain, internal, undo_interrupted};
use crate::completion::Failure;
use crate::connection::{PolicedConnection, Policy, PrepareError, prepare_next};
use crate::error::{Error, ErrorCode, Result};
use crate::params::ParameterNames;

/// Why a script stopped before its end.
pub(crate) struct Stopped {
    pub(crate) failure: Failure,
    /// No transaction was open before the statement that failed: had there been one, the script had ended it.
    pub(crate) outside: bool,
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self { failure: error.into(), outside: false }
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        stopped.failure
    }
}

/// Runs every statement of `sql` up to the first that fails. A transaction that the script left open is rolled back. After each that sets
/// the journal mode `follow` is called, before the next can set another.
pub(crate) fn run_script(
    connection: &PolicedConnection,
    sql: &str,
    policy: Policy,
    follow: impl Fn() -> Result<()>,
) -> Result<(), Stopped> {
    if sql.as_bytes().contains(&0) {
        return Err(Error::new(ErrorCode::InvalidArgument, "the script holds a NUL character").into());
    }
    let began_in_transaction = !connection.raw().is_autocommit();
    let result = run_statements(connection, sql, policy, follow);
    if began_in_transaction || connection.raw().is_autocommit() || matches!(policy, Policy::Lease | Policy::Exclusive) {
        return result;
    }
    internal(connection, "ROLLBACK")?;
    result.and_then(|()| {
        let message = "the script left a transaction open, so it was rolled back: end it with COMMIT";
        Err(Error::new(ErrorCode::ManualTransaction, message).into())
    })
}

fn run_statements(
    connection: &PolicedConnection,
    sql: &str,
    policy: Policy,
    follow: impl Fn() -> Result<()>,
) -> Result<(), Stopped> {
    let mut batch = Batch::new(connection.raw(), sql);
    for index in 0.. {
        let outside = connection.raw().is_autocommit();
        let ran = run_next(connection, &mut batch, policy, &follow);
        if !ran.map_err(|error| Stopped { failure: at(index, error), outside })? {
            break;
        }
    }
    Ok(())
}

/// Runs the next statement. Returns whether there was one.
fn run_next<'c>(
    connection: &'c PolicedConnection,
    batch: &mut Batch<'c, '_>,
    policy: Policy,
    follow: impl Fn() -> Result<()>,
) -> Result<bool> {
    let Some((mut statement, class)) = prepare_next(connection, batch, policy).map_err(PrepareError::into_error)?
    else {
        return Ok(false);
    };
    // Not at the end of the script: all of it has been done then.
    connection.expect_not_interrupted()?;
    ParameterNames::of(&statement).expect_none()?;
    let may_commit = may_commit(class, connection.raw().is_autocommit());
    let stepping = connection.with_policy(class.step_policy(policy));
    let stepped = connection.run_without_part(class.log, || {
        let mut rows = statement.raw_query();
        loop {
            match rows.next() {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(true),
                Err(error) => return Err(explain(connection, Error::from_sqlite(&error))),
            }
        }
    });
    let ran = undo_interrupted(connection, class, stepped);
    let ran = ran.map_err(|error| if may_commit { of_write(error) } else { error })?;
    drop(stepping);
    drop(statement);
    if class.log.journal_mode() {
        follow()?;
    }
    Ok(ran)
}

fn at(index: usize, error: Error) -> Failure {
    let error = error.in_context(format_args!("statement {} of the script", index + 1));
    // SQLite counts the offset from the beginning of the statement, whose place in the script it does not tell.
    Failure { error: Error { offset: None, ..error }, statement: Some(index) }
}
