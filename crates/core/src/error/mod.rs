//! Errors as data: a code from a closed list, and what a reader of the message needs to act.

mod codes;

use std::fmt;

pub use codes::sqlite_code_name;

/// The closed list of the driver's own error codes. `docs/ERRORS.md` explains each.
///
/// Errors of SQLite itself carry [`ErrorCode::Sqlite`] and their extended result code in [`Error::extended_code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// SQLite answered with a result code: see [`Error::extended_code`].
    Sqlite,
    /// An argument is of the wrong kind, or cannot be used as it is.
    InvalidArgument,
    /// An option is unknown, of the wrong kind, or out of range.
    InvalidOption,
    /// Parameters do not fit the statement: too few, too many, unknown, mixed, or of a kind SQLite cannot hold.
    InvalidParameter,
    /// A number cannot be carried exactly in the asked form.
    OutOfRange,
    /// The text holds more than one statement.
    MultipleStatements,
    /// `BEGIN`, `COMMIT`, `ROLLBACK`, `SAVEPOINT` or `RELEASE` as text on a shared handle.
    ManualTransaction,
    /// The statement asks for something that this connection refuses.
    NotAuthorized,
    /// A PRAGMA that the driver owns, or that must be applied through `pragma`.
    Pragma,
    /// `last_insert_rowid()`, `changes()` or `total_changes()` on a shared connection.
    ConnectionState,
    /// The database is closing or closed.
    Closed,
    /// The wait for the gate passed `acquire_timeout`.
    AcquireTimeout,
    /// The queue is full: `max_queued`.
    Overloaded,
    /// A result passed `max_result_bytes`.
    TooLarge,
    /// The file at the path is not the one that was opened.
    DatabaseReplaced,
    /// The write-ahead log was deleted or replaced while open: an acknowledged write would be lost.
    WalGone,
    /// WAL cannot work on this file system.
    NetworkFileSystem,
    /// The transaction or session has ended.
    TxClosed,
    /// SQLite rolled the transaction back by itself.
    TxAborted,
    /// The transaction was rolled back because it was idle, or lasted, for too long.
    TxTimeout,
    /// The read session was ended because it lasted longer than `max_read_lease`.
    ReadLeaseTimeout,
    /// The call was stopped because it took longer than its caller allows.
    Timeout,
    /// The call was stopped because its caller gave it up.
    Aborted,
    /// The call would wait for the callback in which it was made.
    Reentrant,
    /// The commit failed in a way that does not tell whether it took effect.
    OutcomeUnknown,
    /// The SQLite library was not built as the driver needs it.
    SqliteBuild,
    /// A job panicked: its call failed and its connection was replaced.
    Panic,
}

impl ErrorCode {
    /// Every code, in the order of its declaration.
    const ALL: [Self; 27] = [
        Self::Sqlite,
        Self::InvalidArgument,
        Self::InvalidOption,
        Self::InvalidParameter,
        Self::OutOfRange,
        Self::MultipleStatements,
        Self::ManualTransaction,
        Self::NotAuthorized,
        Self::Pragma,
        Self::ConnectionState,
        Self::Closed,
        Self::AcquireTimeout,
        Self::Overloaded,
        Self::TooLarge,
        Self::DatabaseReplaced,
        Self::WalGone,
        Self::NetworkFileSystem,
        Self::TxClosed,
        Self::TxAborted,
        Self::TxTimeout,
        Self::ReadLeaseTimeout,
        Self::Timeout,
        Self::Aborted,
        Self::Reentrant,
        Self::OutcomeUnknown,
        Self::SqliteBuild,
        Self::Panic,
    ];

    /// Returns whether `name` is what [`Error::code_name`] may return.
    pub(crate) fn is_known_name(name: &str) -> bool {
        Self::ALL.iter().any(|code| code.as_str() == name) || codes::is_sqlite_code_name(name)
    }

    /// Returns the code as JavaScript sees it, `ERR_SLUICE_…`, but for [`ErrorCode::Aborted`], which has the name Node gives it. [`ErrorCode::Sqlite`] has none of its own.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLITE_ERROR",
            Self::InvalidArgument => "ERR_SLUICE_INVALID_ARGUMENT",
            Self::InvalidOption => "ERR_SLUICE_INVALID_OPTION",
            Self::InvalidParameter => "ERR_SLUICE_INVALID_PARAMETER",
            Self::OutOfRange => "ERR_SLUICE_OUT_OF_RANGE",
            Self::MultipleStatements => "ERR_SLUICE_MULTIPLE_STATEMENTS",
            Self::ManualTransaction => "ERR_SLUICE_MANUAL_TRANSACTION",
            Self::NotAuthorized => "ERR_SLUICE_NOT_AUTHORIZED",
            Self::Pragma => "ERR_SLUICE_PRAGMA",
            Self::ConnectionState => "ERR_SLUICE_CONNECTION_STATE",
            Self::Closed => "ERR_SLUICE_CLOSED",
            Self::AcquireTimeout => "ERR_SLUICE_ACQUIRE_TIMEOUT",
            Self::Overloaded => "ERR_SLUICE_OVERLOADED",
            Self::TooLarge => "ERR_SLUICE_TOO_LARGE",
            Self::DatabaseReplaced => "ERR_SLUICE_DATABASE_REPLACED",
            Self::WalGone => "ERR_SLUICE_WAL_GONE",
            Self::NetworkFileSystem => "ERR_SLUICE_NETWORK_FILE_SYSTEM",
            Self::TxClosed => "ERR_SLUICE_TX_CLOSED",
            Self::TxAborted => "ERR_SLUICE_TX_ABORTED",
            Self::TxTimeout => "ERR_SLUICE_TX_TIMEOUT",
            Self::ReadLeaseTimeout => "ERR_SLUICE_READ_LEASE_TIMEOUT",
            Self::Timeout => "ERR_SLUICE_TIMEOUT",
            Self::Aborted => "ABORT_ERR",
            Self::Reentrant => "ERR_SLUICE_REENTRANT",
            Self::OutcomeUnknown => "ERR_SLUICE_OUTCOME_UNKNOWN",
            Self::SqliteBuild => "ERR_SLUICE_SQLITE_BUILD",
            Self::Panic => "ERR_SLUICE_PANIC",
        }
    }
}

/// Which parameter of a statement is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// By its index, from 1.
    Index(usize),
    /// By its name: as the caller wrote it when the caller did, otherwise as SQLite does, with its prefix.
    Name(Box<str>),
}

/// What went wrong, as data. Bound values never enter it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The code.
    pub code: ErrorCode,
    /// SQLite's extended result code, when `code` is [`ErrorCode::Sqlite`]: <https://sqlite.org/rescode.html>.
    pub extended_code: Option<i32>,
    /// The byte offset into the SQL text at which SQLite saw the error.
    pub offset: Option<u32>,
    /// The parameter at fault, when there is one; boxed, because most errors are about none.
    pub parameter: Option<Box<Parameter>>,
    /// One sentence for a human.
    pub message: String,
}

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes an error of the driver's own.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, extended_code: None, offset: None, parameter: None, message: message.into() }
    }

    /// Makes an error from one of `rusqlite`'s, which carries SQLite's code, message and offset.
    #[must_use]
    pub fn from_sqlite(error: &rusqlite::Error) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "all others are rusqlite's own, and say so in words")]
        let (code, offset, message) = match error {
            rusqlite::Error::SqliteFailure(e, message) => (e.extended_code, None, message.clone()),
            rusqlite::Error::SqlInputError { error, msg, offset, .. } => {
                (error.extended_code, u32::try_from(*offset).ok(), Some(msg.clone()))
            }
            other => (rusqlite::ffi::SQLITE_ERROR, None, Some(other.to_string())),
        };
        let message = message.unwrap_or_else(|| rusqlite::ffi::code_to_str(code).to_owned());
        Self { code: ErrorCode::Sqlite, extended_code: Some(code), offset, parameter: None, message }
    }

    /// Returns the code as JavaScript sees it: `ERR_SLUICE_…`, `ABORT_ERR`, or the name of SQLite's extended result code.
    #[must_use]
    pub fn code_name(&self) -> &'static str {
        match (self.code, self.extended_code) {
            (ErrorCode::Sqlite, Some(code)) => sqlite_code_name(code),
            (code, _) => code.as_str(),
        }
    }

    /// Returns the same error, about `parameter`.
    #[must_use]
    pub fn about(mut self, parameter: Parameter) -> Self {
        self.parameter = Some(Box::new(parameter));
        self
    }

    /// Returns the same error with `context` in front of its message.
    #[must_use]
    pub fn in_context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// Returns which constraint failed, as SQLite names it: the columns of a `UNIQUE`, `NOT NULL` or `PRIMARY KEY`, the name or
    /// expression of a `CHECK`, nothing for a foreign key.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        let failed = self.primary_code() == Some(rusqlite::ffi::SQLITE_CONSTRAINT);
        let (_, constraint) = self.message.split_once("constraint failed: ").filter(|_| failed)?;
        Some(constraint)
    }

    /// Returns SQLite's primary result code: the low byte of the extended one.
    #[must_use]
    pub fn primary_code(&self) -> Option<i32> {
        self.extended_code.map(|code| code & 0xff)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::from_sqlite(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_codes_holds_every_code() {
        for (place, code) in ErrorCode::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, place, "{code:?}");
        }
        assert_eq!(ErrorCode::ALL.len(), ErrorCode::Panic as usize + 1, "Panic is the last");
        assert!(ErrorCode::is_known_name("SQLITE_BUSY_SNAPSHOT"));
        assert!(ErrorCode::is_known_name("ERR_SLUICE_CLOSED"));
        assert!(!ErrorCode::is_known_name("SQLITE_BUSSY"));
    }
}
