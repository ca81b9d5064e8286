//! Whether a statement inserted a row, which SQLite does not say: <https://sqlite.org/c3ref/last_insert_rowid.html> keeps the
//! rowid of some earlier insert.
#![expect(unsafe_code, reason = "rusqlite has no safe form of sqlite3_set_last_insert_rowid")]

use crate::connection::PolicedConnection;

/// A rowid that no table hands out by itself. A row inserted under exactly this rowid is reported as not inserted.
const NEVER: i64 = i64::MIN + 0x51_0C1CE;

/// Watches for an insert from `begin` to `end`, and leaves `last_insert_rowid()` as a plain connection would.
pub(super) struct Watch<'c> {
    connection: &'c PolicedConnection,
    /// The rowid of an earlier insert; `None` when it was left where it is.
    before: Option<i64>,
}

impl<'c> Watch<'c> {
    /// Begins. With `is_read`, the statement itself may ask for the rowid of an earlier insert, and must find it.
    pub(super) fn begin(connection: &'c PolicedConnection, is_read: bool) -> Self {
        let before = (!is_read).then(|| connection.raw().last_insert_rowid());
        if before.is_some() {
            set(connection, NEVER);
        }
        Self { connection, before }
    }

    /// Returns the rowid of the last row inserted since `begin` by a statement that changed so many rows.
    pub(super) fn end(self, changes: u64) -> Option<i64> {
        let now = self.connection.raw().last_insert_rowid();
        match self.before {
            // Whether it inserted is not known, so that the update of an upsert counts as an insert here.
            None => (changes > 0).then_some(now),
            Some(before) if now == NEVER => {
                set(self.connection, before);
                None
            }
            Some(_) => Some(now),
        }
    }
}

fn set(connection: &PolicedConnection, rowid: i64) {
    // SAFETY: the handle is that of a live connection, borrowed for the whole call and used by this thread alone
    // (`rusqlite::Connection` is not `Sync`); the function only stores an integer in it.
    unsafe {
        rusqlite::ffi::sqlite3_set_last_insert_rowid(connection.raw().handle(), rowid);
    }
}
