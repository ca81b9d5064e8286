//! The transactions that the writer makes of calls: groups and batches.

use super::kept::Kept;
use crate::connection::{PolicedConnection, gather};
use crate::error::Result;

/// When a transaction takes the lock that it needs to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteLock {
    /// As it begins, waiting for other processes as long as the busy timeout says. A transaction that reads first would fail at its first
    /// write, without any wait, if another process had written meanwhile.
    AtOnce,
    /// With its first write: until then it is in nobody's way, and nobody in its.
    WhenNeeded,
}

/// Begins and ends transactions of one connection: <https://sqlite.org/lang_transaction.html>.
pub(crate) struct Transaction<'c> {
    connection: &'c PolicedConnection,
    begin: Kept<'c>,
    begin_deferred: Kept<'c>,
    commit: Kept<'c>,
    rollback: Kept<'c>,
}

impl<'c> Transaction<'c> {
    pub(crate) fn new(connection: &'c PolicedConnection) -> Self {
        Self {
            connection,
            begin: Kept::new("BEGIN IMMEDIATE"),
            begin_deferred: Kept::new("BEGIN DEFERRED"),
            commit: Kept::new("COMMIT"),
            rollback: Kept::new("ROLLBACK"),
        }
    }

    /// Begins one.
    ///
    /// # Errors
    /// SQLite's.
    pub(crate) fn begin(&mut self, lock: WriteLock) -> Result<()> {
        match lock {
            WriteLock::AtOnce => self.begin.run(self.connection),
            WriteLock::WhenNeeded => self.begin_deferred.run(self.connection),
        }
    }

    /// Commits. A lock of another process is waited for as long as the busy timeout says.
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
