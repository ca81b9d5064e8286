//! Taking back one statement that has run to its end.

use super::internal;
use crate::connection::PolicedConnection;
use crate::error::Result;

/// What the driver began around one statement: a transaction, or a savepoint in the one that is open.
pub(super) struct Undo<'c> {
    connection: &'c PolicedConnection,
    around: Around,
}

enum Around {
    Transaction,
    Savepoint,
}

impl<'c> Undo<'c> {
    pub(super) fn begin(connection: &'c PolicedConnection) -> Result<Self> {
        let (around, begin) = if connection.raw().is_autocommit() {
            // The statement takes its locks as it would alone: of what it writes, and not of every attached database.
            (Around::Transaction, "BEGIN DEFERRED")
        } else {
            (Around::Savepoint, "SAVEPOINT sluice_statement")
        };
        internal(connection, begin)?;
        Ok(Self { connection, around })
    }

    /// Keeps what the statement did. What cannot be committed is undone.
    pub(super) fn keep(self) -> Result<()> {
        let keep = match self.around {
            Around::Transaction => "COMMIT",
            Around::Savepoint => "RELEASE sluice_statement",
        };
        if self.is_gone() {
            return Ok(());
        }
        internal(self.connection, keep).or_else(|error| self.undo().and(Err(error)))
    }

    /// Undoes what the statement did.
    pub(super) fn undo(self) -> Result<()> {
        let undo = match self.around {
            Around::Transaction => "ROLLBACK",
            Around::Savepoint => "ROLLBACK TO sluice_statement; RELEASE sluice_statement",
        };
        if self.is_gone() { Ok(()) } else { internal(self.connection, undo) }
    }

    /// SQLite ends the whole transaction by itself after some errors: `OR ROLLBACK`, a full disk, an interrupt.
    fn is_gone(&self) -> bool {
        self.connection.raw().is_autocommit()
    }
}
