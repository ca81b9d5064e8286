//! Statements of the driver's own that are run again and again.

use rusqlite::Statement;

use crate::connection::{PolicedConnection, Policy};
use crate::error::Result;

/// A statement without values and rows, prepared when it is first run.
pub(crate) struct Kept<'c> {
    sql: &'static str,
    statement: Option<Statement<'c>>,
}

impl<'c> Kept<'c> {
    pub(crate) fn new(sql: &'static str) -> Self {
        Self { sql, statement: None }
    }

    /// Runs it, under no policy but the driver's own.
    ///
    /// # Errors
    /// SQLite's.
    pub(crate) fn run(&mut self, connection: &'c PolicedConnection) -> Result<()> {
        let _policy = connection.with_policy(Policy::Internal);
        let statement = match &mut self.statement {
            Some(statement) => statement,
            none => none.insert(connection.raw().prepare(self.sql)?),
        };
        statement.raw_execute()?;
        Ok(())
    }
}
