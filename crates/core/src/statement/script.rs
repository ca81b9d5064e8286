//! Scripts: many statements in one text, run in order on the writer.

use rusqlite::Batch;

use super::{explain, internal};
use crate::completion::Failure;
use crate::connection::{PolicedConnection, Policy, PrepareError, prepare_next};
use crate::error::{Error, ErrorCode, Result};
use crate::params::ParameterNames;

/// Runs every statement of `sql` up to the first that fails. A transaction that the script left open is rolled back.
pub(crate) fn run_script(connection: &PolicedConnection, sql: &str, policy: Policy) -> Result<(), Failure> {
    if sql.as_bytes().contains(&0) {
        return Err(Error::new(ErrorCode::InvalidArgument, "the script holds a NUL character").into());
    }
    let began_in_transaction = !connection.raw().is_autocommit();
    let result = run_statements(connection, sql, policy);
    if began_in_transaction || connection.raw().is_autocommit() || matches!(policy, Policy::Lease | Policy::Exclusive) {
        return result;
    }
    internal(connection, "ROLLBACK")?;
    result.and_then(|()| {
        let message = "the script left a transaction open, so it was rolled back: end it with COMMIT";
        Err(Error::new(ErrorCode::ManualTransaction, message).into())
    })
}

fn run_statements(connection: &PolicedConnection, sql: &str, policy: Policy) -> Result<(), Failure> {
    let mut batch = Batch::new(connection.raw(), sql);
    let mut index = 0;
    while run_next(connection, &mut batch, policy).map_err(|error| at(index, error))? {
        index += 1;
    }
    Ok(())
}

/// Runs the next statement. Returns whether there was one.
fn run_next<'c>(connection: &'c PolicedConnection, batch: &mut Batch<'c, '_>, policy: Policy) -> Result<bool> {
    let Some((mut statement, class)) = prepare_next(connection, batch, policy).map_err(PrepareError::into_error)?
    else {
        return Ok(false);
    };
    ParameterNames::of(&statement).expect_none()?;
    let _policy = connection.with_policy(class.step_policy(policy));
    let mut rows = statement.raw_query();
    while rows.next().map_err(|error| explain(connection, Error::from_sqlite(&error)))?.is_some() {}
    Ok(true)
}

fn at(index: usize, error: Error) -> Failure {
    let error = error.in_context(format_args!("statement {} of the script", index + 1));
    // SQLite counts the offset from the beginning of the statement, whose place in the script it does not tell.
    Failure { error: Error { offset: None, ..error }, statement: Some(index) }
}
