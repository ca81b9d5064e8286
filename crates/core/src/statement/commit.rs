//! Commits that fail: what is known of their outcome.

use rusqlite::ffi;

use crate::connection::{Classified, Route};
use crate::error::{Error, ErrorCode};

/// The error of a commit that failed: where the disk failed, it may have taken effect, or not.
pub(crate) fn of_commit(error: Error) -> Error {
    if error.primary_code() != Some(ffi::SQLITE_IOERR) {
        return error;
    }
    unknown_outcome(&error)
}

/// The error of a commit of which nobody knows whether it took effect.
pub(crate) fn unknown_outcome(error: &Error) -> Error {
    let message = format!("the commit failed, and it is not known whether it took effect: {error}");
    Error::new(ErrorCode::OutcomeUnknown, message)
}

/// The same for a statement that commits by itself, which fails to write only when it commits, or that is the commit.
pub(super) fn of_write(error: Error) -> Error {
    use ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE};
    match error.extended_code {
        Some(SQLITE_IOERR_DIR_FSYNC | SQLITE_IOERR_FSYNC | SQLITE_IOERR_WRITE) => of_commit(error),
        _ => error,
    }
}

/// Whether a statement may commit: one that writes by itself does, outside a transaction, as does what may end one: `COMMIT`, or the `RELEASE` of
/// what began as a savepoint.
pub(super) fn may_commit(class: Classified, is_alone: bool) -> bool {
    let may_end = class.log.transaction() && !class.log.rolls_back();
    class.route == Route::Write && (is_alone || may_end)
}
