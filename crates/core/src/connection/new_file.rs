//! The file that `VACUUM INTO` makes: <https://sqlite.org/lang_vacuum.html#vacuum_with_an_into_clause>.
//!
//! SQLite leaves what it has made of it when it is interrupted, or the disk is full. It attaches the file by a statement of its own, and so
//! the authorizer learns its name.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rusqlite::ffi::{SQLITE_FULL, SQLITE_INTERRUPT, SQLITE_IOERR, SQLITE_NOMEM};

use super::{AuthLog, PolicedConnection};
use crate::error::{Error, Result};
use crate::trace::tell;

/// Whether there was no file of the name that a statement attached.
#[derive(Debug, Default)]
pub(super) struct NewFile {
    is_awaited: AtomicBool,
    path: Mutex<Option<PathBuf>>,
}

impl NewFile {
    /// A statement attaches a file.
    pub(super) fn attaches(&self, name: &str) {
        // VACUUM without INTO attaches one that has no name.
        if !self.is_awaited.load(Ordering::Relaxed) || name.is_empty() {
            return;
        }
        let path = std::path::absolute(name).ok().filter(|path| path.symlink_metadata().is_err());
        *self.path.lock() = path;
    }
}

/// A statement that may make a file runs, until this is dropped.
struct Awaited<'c>(&'c NewFile);

impl<'c> Awaited<'c> {
    fn begin(file: &'c NewFile) -> Self {
        file.is_awaited.store(true, Ordering::Relaxed);
        Self(file)
    }

    /// Removes what was made by a statement that failed with `error`.
    fn remove_part(&self, error: &Error) {
        let Some(path) = self.0.path.lock().take() else { return };
        // With any other error SQLite has made nothing: there may be a file of somebody else by now.
        let breaks_off = [SQLITE_INTERRUPT, SQLITE_FULL, SQLITE_IOERR, SQLITE_NOMEM];
        if error.primary_code().is_some_and(|code| breaks_off.contains(&code)) {
            remove(&path);
        }
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.0.is_awaited.store(false, Ordering::Relaxed);
        *self.0.path.lock() = None;
    }
}

impl PolicedConnection {
    /// Runs a statement, which is reset when `run` returns. If it makes a file, and is broken off, what it has made is removed. Only one
    /// that asked for nothing while it was prepared can be VACUUM.
    pub(crate) fn run_without_part<T>(&self, asked: AuthLog, run: impl FnOnce() -> Result<T>) -> Result<T> {
        if !asked.is_empty() {
            return run();
        }
        let awaited = Awaited::begin(&self.authorizer.new_file);
        run().inspect_err(|error| awaited.remove_part(error))
    }
}

/// Nobody else knows of the file, and SQLite has closed it.
fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tell!(WARN, "sluice::open", "a part of a copy could not be removed", path = %path.display(), error = %error);
    }
}
