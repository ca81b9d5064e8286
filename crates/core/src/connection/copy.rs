//! Copies of a database in memory, by SQLite's backup API: <https://sqlite.org/c3ref/backup_finish.html>.

use rusqlite::backup::{Backup, StepResult};
use rusqlite::ffi;

use super::open::connect;
use super::{ConnectionConfig, Location, PolicedConnection, Policy, Role};
use crate::error::{Error, ErrorCode, Result};

/// How much is copied before somebody is asked whether to go on.
const STEP_BYTES: u32 = 1024 * 1024;

/// The largest database that SQLite keeps in memory under a name, in bytes: <https://sqlite.org/compile.html> (`MEMDB_DEFAULT_MAXSIZE`).
pub const MAX_MEMORY_BYTES: u64 = 1024 * 1024 * 1024;

/// Opens a connection that keeps what is at `location`, in memory, while others are closed. It takes no lock, and is not meant to be read.
///
/// # Errors
/// SQLite's.
pub fn keep_in_memory(location: &Location, config: &ConnectionConfig) -> Result<PolicedConnection> {
    connect(location, config, Role::Reader)
}

/// Copies what `source` sees of its main database to `location`, which is in memory, and returns the connection that keeps it there.
///
/// The copy has one state of the source: that of the moment when this began. Attached databases and temporary objects are not part of it.
/// `may_go_on` is asked after each MiB.
///
/// # Errors
/// [`ErrorCode::TooLarge`] for a database of more than `max_bytes`; what `may_go_on` returned; SQLite's.
pub fn copy_into_memory(
    source: &PolicedConnection,
    location: &Location,
    config: &ConnectionConfig,
    max_bytes: u64,
    may_go_on: &dyn Fn() -> Result<()>,
) -> Result<PolicedConnection> {
    let _policy = source.with_policy(Policy::Internal);
    // Without a read transaction each commit would make the backup begin anew.
    source.raw().execute_batch("BEGIN")?;
    let copied = copy_snapshot(source, location, config, max_bytes, may_go_on);
    let ended = source.raw().execute_batch("ROLLBACK");
    let copy = copied?;
    ended?;
    Ok(copy)
}

fn copy_snapshot(
    source: &PolicedConnection,
    location: &Location,
    config: &ConnectionConfig,
    max_bytes: u64,
    may_go_on: &dyn Fn() -> Result<()>,
) -> Result<PolicedConnection> {
    let page_size: u32 = source.raw().pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages: u32 = source.raw().pragma_query_value(None, "page_count", |row| row.get(0))?;
    let bytes = u64::from(pages) * u64::from(page_size);
    let limit = max_bytes.min(MAX_MEMORY_BYTES);
    if bytes > limit {
        let message = format!("the database has {bytes} bytes; a copy in memory may have {limit}");
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    let mut copy = connect(location, config, Role::Writer)?;
    prepare(&copy, page_size)?;
    fill(source, &mut copy, STEP_BYTES / page_size, may_go_on)?;
    settle(&copy)?;
    Ok(copy)
}

/// Makes ready an empty database in memory. In memory, unlike in a file, a backup does not change the size of its pages; and what it
/// copies of a database with a write-ahead log can only be opened by whoever has it for itself.
fn prepare(copy: &PolicedConnection, page_size: u32) -> Result<()> {
    let _policy = copy.with_policy(Policy::Internal);
    copy.raw().pragma_update(None, "page_size", page_size)?;
    copy.raw().pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    Ok(())
}

fn fill(
    source: &PolicedConnection,
    copy: &mut PolicedConnection,
    pages: u32,
    may_go_on: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let pages = i32::try_from(pages.max(1)).expect("BUG: a step has few pages");
    let backup = Backup::new(source.raw(), copy.raw_mut())?;
    loop {
        may_go_on()?;
        match backup.step(pages)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            // Nobody else knows the copy, and the snapshot of the source is held.
            StepResult::Busy | StepResult::Locked => return Err(locked()),
            other => unreachable!("BUG: a step of a backup ended with {other:?}"),
        }
    }
}

fn locked() -> Error {
    let message = "the database was locked while it was copied into memory";
    Error { extended_code: Some(ffi::SQLITE_BUSY), ..Error::new(ErrorCode::Sqlite, message) }
}

/// Lets others open the copy.
fn settle(copy: &PolicedConnection) -> Result<()> {
    let _policy = copy.with_policy(Policy::Internal);
    copy.raw().pragma_update(None, "journal_mode", "DELETE")?;
    copy.raw().pragma_update(None, "locking_mode", "NORMAL")?;
    // The lock is given up by the next transaction.
    copy.refresh_schema()
}
