//! What became of a text, in one word.

use sluice_core::connection::{Classified, Denial, PolicedConnection, Policy, PrepareError, Route, prepare};
use sluice_core::error::ErrorCode;

/// What became of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    /// A read.
    Read,
    /// A write that only changes rows, and inserts some.
    Inserts,
    /// A write that only changes rows, and inserts none.
    Changes,
    /// A write that changes the schema.
    Ddl,
    /// A write that makes something no other connection sees.
    Private,
    /// A write that needs every other connection out.
    Exclusive,
    /// Any other write.
    Alone,
    /// No statement.
    Nothing,
    /// More than one statement.
    Several,
    /// SQLite's own refusal.
    SqlError,
    /// Ours.
    NoTransaction,
    NoAttach,
    NoPragma,
    NoState,
    NoFunction,
    NoSchema,
    NoTemp,
}

impl Is {
    pub(crate) fn of(conn: &PolicedConnection, sql: &str, policy: Policy, known_single: bool) -> Self {
        match prepare(conn, sql, policy, known_single) {
            Ok((None, _)) => Self::Nothing,
            Ok((Some(_), class)) => Self::of_class(class),
            Err(PrepareError::Text(error)) => {
                assert_eq!(error.code, ErrorCode::MultipleStatements, "{sql}");
                Self::Several
            }
            Err(PrepareError::Sqlite(_)) => Self::SqlError,
            Err(PrepareError::Denied(denial)) => Self::of_denial(&denial),
        }
    }

    pub(crate) fn of_class(class: Classified) -> Self {
        match class.route {
            Route::Read => Self::Read,
            Route::Write if class.temp_or_attach() => Self::Private,
            Route::Write if class.needs_exclusive() => Self::Exclusive,
            Route::Write if class.ddl() => Self::Ddl,
            Route::Write if class.inserts() => Self::Inserts,
            Route::Write if class.dml() => Self::Changes,
            Route::Write => Self::Alone,
        }
    }

    fn of_denial(denial: &Denial) -> Self {
        match denial {
            Denial::Transaction => Self::NoTransaction,
            Denial::Attach => Self::NoAttach,
            Denial::Pragma { .. } => Self::NoPragma,
            Denial::ConnectionState { .. } => Self::NoState,
            Denial::Function { .. } => Self::NoFunction,
            Denial::Schema => Self::NoSchema,
            Denial::Temp => Self::NoTemp,
            Denial::Unknown { action } => panic!("the action {action} has no name here"),
        }
    }
}
