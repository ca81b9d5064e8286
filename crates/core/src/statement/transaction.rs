//! The transactions that the writer makes of calls: groups and batches.

use super::kept::Kept;
use crate::connection::{PolicedConnection, gather};
use crate::error::Result;

/// Begins and ends transactions of one connection: <https://sqlite.org/lang_transaction.html>.
pub(crate) struct Transaction<'c> {
    connection: &'c PolicedConnection,
    begin: Kept<'c>,
    commit: Kept<'c>,
    rollback: Kept<'c>,
}

impl<'c> Transaction<'c> {
    pub(crate) fn new(connection: &'c PolicedConnection) -> Self {
        let (begin, commit) = (Kept::new("BEGIN IMMEDIATE"), Kept::new("COMMIT"));
        Self { connection, begin, commit, rollback: Kept::new("ROLLBACK") }
    }

    /// Begins one with the right to write, waiting for other processes as long as the busy timeout says. A deferred one would fail
    /// at its first write, without any wait, if another process had written meanwhile.
    ///
    /// # Errors
    /// SQLite's.
    pub(crate) fn begin(&mut self) -> Result<()> {
        self.begin.run(self.connection)
    }

    /// Commits. A lock of another process is waited for as in [`Transaction::begin`].
    ///
    /// # Errors
    /// SQLite's; the transaction may still be open then, and is to be rolled back.
    pub(crate) fn commit(&mut self) -> Result<()> {
        let _gathering = gather();
        self.commit.run(self.connection)
    }

    /// Rolls back what is open, if anything is: SQLite may have done so by itself.
    ///
    /// # Errors
    /// SQLite's; the connection must not be used any more then.
    pub(crate) fn rollback(&mut self) -> Result<()> {
        if self.connection.raw().is_autocommit() { Ok(()) } else { self.rollback.run(self.connection) }
    }
}
