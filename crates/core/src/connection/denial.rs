//! What the authorizer refused, and the error a user sees for it.

use rusqlite::ffi;

use super::pragma::{self, PragmaKind};
use crate::error::{Error, ErrorCode};

/// What a statement asked for that its policy refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// `BEGIN`, `COMMIT`, `ROLLBACK`, `SAVEPOINT` or `RELEASE`.
    Transaction,
    /// `ATTACH` or `DETACH`.
    Attach,
    /// A PRAGMA that this policy does not let act.
    Pragma {
        /// Its name, as written.
        name: String,
        /// What it changes.
        kind: PragmaKind,
    },
    /// A function that reads what an earlier statement left on the connection.
    ConnectionState {
        /// `last_insert_rowid`, `changes` or `total_changes`.
        function: String,
    },
    /// A function that reaches outside the database.
    Function {
        /// Its name, as SQLite spells it.
        name: String,
    },
    /// A change of the schema, on a reader.
    Schema,
    /// A temporary object, on a reader.
    Temp,
    /// An action that this driver does not know, from a newer SQLite.
    Unknown {
        /// Its number: <https://sqlite.org/c3ref/c_alter_table.html>.
        action: i32,
    },
}

impl Denial {
    /// Returns the error of a statement that is refused for good.
    #[must_use]
    pub fn to_error(&self) -> Error {
        match self {
            Self::Transaction => Error::new(
                ErrorCode::ManualTransaction,
                "BEGIN, COMMIT, ROLLBACK, SAVEPOINT and RELEASE are refused here, where the driver or others would be taken by \
                 surprise; use db.transaction(fn) or db.begin(), or db.handle() for transactions as text",
            ),
            Self::Attach => not_authorized("ATTACH and DETACH are refused on a connection that only reads"),
            Self::Pragma { name, kind } => pragma_error(name, *kind),
            Self::ConnectionState { function } => Error::new(
                ErrorCode::ConnectionState,
                format!(
                    "{function}() would answer for another caller's statement; \
                     use the result fields changes and lastInsertRowid, or call it in a transaction"
                ),
            ),
            Self::Function { name } => not_authorized(format!("the function {name}() is not authorized")),
            Self::Schema => Error {
                extended_code: Some(ffi::SQLITE_READONLY),
                ..Error::new(ErrorCode::Sqlite, "attempt to change the schema on a read-only connection")
            },
            Self::Temp => {
                not_authorized("temporary objects are the writer's own; a connection that only reads cannot make them")
            }
            Self::Unknown { action } => {
                not_authorized(format!("the action {action} of this SQLite is not known to Sluice"))
            }
        }
    }
}

fn not_authorized(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::NotAuthorized, message)
}

fn pragma_error(name: &str, kind: PragmaKind) -> Error {
    let message = match kind {
        PragmaKind::Reading => format!("PRAGMA {name} only reads: it takes no value"),
        PragmaKind::PerConnection => {
            format!("PRAGMA {name} sets one connection of many; use db.pragma('{name}', value), which sets them all")
        }
        PragmaKind::Database => format!("PRAGMA {name} changes the database; it is refused on a read-only connection"),
        PragmaKind::Transaction => {
            format!("PRAGMA {name} lasts until the transaction ends; use it in a transaction")
        }
        PragmaKind::JournalMode => {
            format!("PRAGMA {name} needs the database to itself; use db.pragma('{name}', value)")
        }
        PragmaKind::DriverOwned => {
            format!("PRAGMA {name} is set by the driver; {}", pragma::advice(name).unwrap_or("use the options of open"))
        }
        PragmaKind::Process => format!("PRAGMA {name} would change every database of the process"),
        PragmaKind::Unknown => format!("SQLite knows no PRAGMA {name}, and would ignore it"),
    };
    Error::new(ErrorCode::Pragma, message)
}
