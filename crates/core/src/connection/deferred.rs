//! Foreign keys whose check waits for the end of the transaction: <https://sqlite.org/foreignkeys.html#fk_deferred>.
#![expect(unsafe_code, reason = "rusqlite has no safe form of sqlite3_db_status")]

use super::PolicedConnection;

impl PolicedConnection {
    /// Returns whether the open transaction breaks a deferred foreign key, so that it could not be committed as it is:
    /// <https://sqlite.org/c3ref/c_dbstatus_options.html>.
    #[must_use]
    pub fn breaks_deferred_foreign_keys(&self) -> bool {
        let (mut current, mut highest) = (0, 0);
        // SAFETY: the handle is that of a live connection, borrowed for the whole call and used by this thread alone
        // (`rusqlite::Connection` is not `Sync`); the function writes to the two integers, which outlive it.
        let code = unsafe {
            let (current, highest) = (&raw mut current, &raw mut highest);
            rusqlite::ffi::sqlite3_db_status(
                self.raw().handle(),
                rusqlite::ffi::SQLITE_DBSTATUS_DEFERRED_FKS,
                current,
                highest,
                0,
            )
        };
        // In doubt the transaction is treated as one that cannot be committed.
        code != rusqlite::ffi::SQLITE_OK || current != 0
    }
}
