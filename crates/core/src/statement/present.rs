//! The present row of a statement, read straight from SQLite.
//!
//! rusqlite looks a column up anew in each of the up to four calls of `sqlite3_column_…` that a value takes, and each of them checks the
//! statement. Here a column is looked up once: <https://sqlite.org/c3ref/column_blob.html>, <https://sqlite.org/c3ref/value_blob.html>.
#![expect(unsafe_code, reason = "rusqlite has no safe form of sqlite3_column_value")]

use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

use rusqlite::ffi::{self, sqlite3_stmt, sqlite3_value};
use rusqlite::types::ValueRef;
use rusqlite::{Row, Rows, Statement};

use crate::connection::PolicedConnection;
use crate::error::{Error, Result};

/// A statement, and SQLite's own handle of it.
pub(super) struct Prepared<'c> {
    connection: &'c PolicedConnection,
    /// Never replaced: whoever borrows it binds values and steps it.
    statement: Statement<'c>,
    handle: Handle,
}

/// The handle of a statement. It is looked for when the statement gives its second row: many are run once, for one row.
#[derive(Clone, Copy)]
enum Handle {
    /// No row has come yet.
    Unsought,
    /// One row has come.
    Due,
    /// It has been looked for, and could not be told from others if there is none.
    Sought(Option<NonNull<sqlite3_stmt>>),
}

impl<'c> Prepared<'c> {
    /// Takes a statement that was prepared on `connection`.
    pub(super) fn new(connection: &'c PolicedConnection, statement: Statement<'c>) -> Self {
        Self { connection, statement, handle: Handle::Unsought }
    }

    /// Steps it with the values that are bound.
    pub(super) fn present_rows(&mut self) -> PresentRows<'_> {
        PresentRows { connection: self.connection, handle: &mut self.handle, rows: self.statement.raw_query() }
    }
}

impl<'c> Deref for Prepared<'c> {
    type Target = Statement<'c>;

    fn deref(&self) -> &Self::Target {
        &self.statement
    }
}

impl DerefMut for Prepared<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.statement
    }
}

/// The rows of a statement that is being stepped. Dropped, it resets the statement.
pub(super) struct PresentRows<'s> {
    connection: &'s PolicedConnection,
    handle: &'s mut Handle,
    rows: Rows<'s>,
}

impl PresentRows<'_> {
    /// Steps to the next row.
    ///
    /// # Errors
    /// SQLite's.
    pub(super) fn next(&mut self) -> Result<Option<PresentRow<'_>>> {
        let Some(row) = self.rows.next().map_err(|error| Error::from_sqlite(&error))? else { return Ok(None) };
        let handle = match *self.handle {
            Handle::Sought(handle) => handle,
            Handle::Due => {
                let handle = handle_of(self.connection, row.as_ref());
                *self.handle = Handle::Sought(handle);
                handle
            }
            Handle::Unsought => {
                *self.handle = Handle::Due;
                None
            }
        };
        Ok(Some(PresentRow { handle, row }))
    }
}

/// The row that a statement stands on.
#[derive(Clone, Copy)]
pub(crate) struct PresentRow<'r> {
    handle: Option<NonNull<sqlite3_stmt>>,
    row: &'r Row<'r>,
}

impl<'r> PresentRow<'r> {
    /// Returns its statement.
    pub(super) fn statement(&self) -> &Statement<'_> {
        self.row.as_ref()
    }

    /// Returns the value of a column.
    ///
    /// # Errors
    /// SQLite's: a text that is stored as UTF-16 is converted, which needs memory.
    #[expect(clippy::inline_always, reason = "a call per value makes large results a tenth slower")]
    #[inline(always)]
    pub(crate) fn value(&self, column: usize) -> Result<ValueRef<'r>> {
        let (Some(handle), Ok(index)) = (self.handle, i32::try_from(column)) else {
            return self.row.get_ref(column).map_err(|error| Error::from_sqlite(&error));
        };
        // SAFETY: the handle is that of the statement which `row` borrows, so it is alive; for a column that there is not SQLite returns
        // the value NULL. Where the connection has no mutex, and all of ours have none, an unprotected value is as good as a protected
        // one, and this thread alone uses the connection.
        let value = unsafe { ffi::sqlite3_column_value(handle.as_ptr(), index) };
        // SAFETY: as above. The value stays as it is until the statement is stepped again, which needs `row` back.
        unsafe { read(value) }
    }
}

/// Reads a value.
///
/// # Safety
/// It must be a live value of SQLite's that stays as it is for `'v`, and that no other thread uses.
#[expect(clippy::inline_always, reason = "as `PresentRow::value`, of which it is the most")]
#[inline(always)]
unsafe fn read<'v>(value: *mut sqlite3_value) -> Result<ValueRef<'v>> {
    // SAFETY: the value is alive, as the caller says.
    let kind = unsafe { ffi::sqlite3_value_type(value) };
    match kind {
        // SAFETY: as above.
        ffi::SQLITE_INTEGER => Ok(ValueRef::Integer(unsafe { ffi::sqlite3_value_int64(value) })),
        // SAFETY: as above.
        ffi::SQLITE_FLOAT => Ok(ValueRef::Real(unsafe { ffi::sqlite3_value_double(value) })),
        ffi::SQLITE_TEXT => {
            // SAFETY: as above. The text is asked for before its length, because that may convert it.
            let (text, length) = unsafe { (ffi::sqlite3_value_text(value), ffi::sqlite3_value_bytes(value)) };
            if text.is_null() {
                return Err(out_of_memory());
            }
            // SAFETY: the text has so many bytes, which stay where they are for as long as the value does.
            Ok(ValueRef::Text(unsafe { bytes_at(text.cast(), length) }))
        }
        ffi::SQLITE_BLOB => {
            // SAFETY: as above.
            let (blob, length) = unsafe { (ffi::sqlite3_value_blob(value), ffi::sqlite3_value_bytes(value)) };
            if blob.is_null() && length > 0 {
                return Err(out_of_memory());
            }
            // SAFETY: as for a text.
            Ok(ValueRef::Blob(unsafe { bytes_at(blob.cast(), length) }))
        }
        _ => Ok(ValueRef::Null),
    }
}

/// Returns the bytes at `start`, which may be null when there are none.
///
/// # Safety
/// There must be `length` bytes, which stay as they are for `'v`.
#[inline]
unsafe fn bytes_at<'v>(start: *const u8, length: i32) -> &'v [u8] {
    let length = usize::try_from(length).expect("BUG: SQLite says a length below 0");
    if length == 0 {
        return &[];
    }
    // SAFETY: as the caller says; it is not null, because it has bytes.
    unsafe { std::slice::from_raw_parts(start, length) }
}

fn out_of_memory() -> Error {
    Error::from_sqlite(&rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_NOMEM), None))
}

/// Finds SQLite's handle of a statement: the only one of its connection whose first column has its name at the same place in memory.
///
/// Some statements share the names, those of EXPLAIN for instance; they have no handle here.
fn handle_of(connection: &PolicedConnection, statement: &Statement<'_>) -> Option<NonNull<sqlite3_stmt>> {
    if statement.column_count() == 0 {
        return None;
    }
    let name = statement.column_name(0).ok()?.as_ptr();
    // SAFETY: the handle is that of a live connection, which this thread alone uses.
    let connection = unsafe { connection.raw().handle() };
    let mut found = None;
    let mut handle = ptr::null_mut();
    loop {
        // SAFETY: the connection is alive, and `handle` is null or was returned by the call before, with no statement ended since.
        handle = unsafe { ffi::sqlite3_next_stmt(connection, handle) };
        let Some(present) = NonNull::new(handle) else { return found };
        // SAFETY: the statement is one of the connection's, and so alive.
        let its_name = unsafe { ffi::sqlite3_column_name(present.as_ptr(), 0) };
        if ptr::eq(its_name.cast(), name) && found.replace(present).is_some() {
            return None;
        }
    }
}
