//! Foreign keys that are not enforced for a while: <https://sqlite.org/lang_altertable.html#making_other_kinds_of_table_schema_changes>.

use rusqlite::config::DbConfig;

use super::PolicedConnection;
use crate::error::Result;

impl PolicedConnection {
    /// Stops enforcing foreign keys, until [`Self::resume_foreign_keys`]. To be called outside a transaction.
    ///
    /// # Errors
    /// SQLite's.
    pub fn suspend_foreign_keys(&self) -> Result<()> {
        if self.raw().db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY)? {
            self.raw().set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
            self.foreign_keys_suspended.set(true);
        }
        Ok(())
    }

    /// Enforces foreign keys again, if that was suspended.
    ///
    /// # Errors
    /// SQLite's.
    pub fn resume_foreign_keys(&self) -> Result<()> {
        if self.foreign_keys_suspended.replace(false) {
            self.raw().set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
        }
        Ok(())
    }
}
