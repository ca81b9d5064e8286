//! The header of the index of a write-ahead log, which tells whether anything has been committed: <https://sqlite.org/walformat.html#walidxfmt>.
//!
//! The index is memory that every connection to the database shares, in all processes. Its header is there twice, and every commit writes
//! both: first the second one, then the first. SQLite compares them with what it knows when a read transaction begins. Here the same
//! comparison is made without one.
#![expect(
    unsafe_code,
    reason = "the index is memory shared with other processes, to which SQLite gives a bare pointer"
)]

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering, fence};

use rusqlite::ffi;

use super::{JournalMode, PolicedConnection, journal_mode};

/// How long one copy of the header is, in words of 32 bits.
const WORDS: usize = 12;
/// The word that says, in one of its bytes, whether there is an index yet.
const IS_INIT: usize = 3;
/// The size of the first part of the index, in which the header is: SQLite maps it in parts of this size.
const REGION_BYTES: i32 = 32 * 1024;
/// The first version of a file's methods that knows of shared memory.
const SHM_VERSION: i32 = 2;

/// The header at one moment: it changes with every commit, of whatever process, and with nothing that a reader does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WalHeader([u32; WORDS]);

/// Where a connection has the header in its memory.
#[derive(Debug)]
pub(crate) struct WalIndex<'c> {
    /// Two copies, one behind the other.
    header: NonNull<[[AtomicU32; WORDS]; 2]>,
    connection: PhantomData<&'c PolicedConnection>,
}

impl<'c> WalIndex<'c> {
    /// Finds it for a connection that has read the database, and that never changes the journal mode. Returns nothing where the database has
    /// no write-ahead log, or an index that not everybody who writes can see.
    pub(crate) fn of(connection: &'c PolicedConnection) -> Option<Self> {
        // Whoever has the log open keeps a lock on the database, without which no process can change the mode.
        if journal_mode(connection).ok()? != JournalMode::Wal {
            return None;
        }
        let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
        // SAFETY: the handle is that of a live connection, which this thread alone uses; the name ends with a NUL; and this operation puts a
        // pointer to the file of the database where its argument points.
        let found = unsafe {
            let database = connection.raw().handle();
            let into = (&raw mut file).cast::<c_void>();
            ffi::sqlite3_file_control(database, c"main".as_ptr(), ffi::SQLITE_FCNTL_FILE_POINTER, into)
        };
        if found != ffi::SQLITE_OK {
            return None;
        }
        // SAFETY: SQLite keeps the file for as long as the connection is open; its methods are null before it is opened, and constant after.
        let methods = unsafe { file.as_ref()?.pMethods.as_ref()? };
        let map = methods.xShmMap.filter(|_| methods.iVersion >= SHM_VERSION)?;
        let mut region: *mut c_void = ptr::null_mut();
        // SAFETY: the file is open and has a write-ahead log, so its shared memory is open, and SQLite has mapped the first part of it when it
        // began to read: nothing is made or changed, and a pointer to what is there is put into `region`.
        let mapped = unsafe { map(file, 0, REGION_BYTES, 0, &raw mut region) };
        // Any other answer means an index of this connection's own, or one that is not there yet.
        if mapped != ffi::SQLITE_OK {
            return None;
        }
        Some(Self { header: NonNull::new(region.cast())?, connection: PhantomData })
    }

    /// Returns the header, or nothing while it is being written. It tells of every commit of which this thread can know.
    pub(crate) fn header(&self) -> Option<WalHeader> {
        // SAFETY: the first part of the index is longer than two headers, and begins at a page. It stays where it is until the connection
        // closes the log, which it does only when it is closed itself, or changes the journal mode: `'c` excludes the one, and whoever
        // calls `of` the other. Other threads and processes write it, so it is read by atomic loads alone.
        let [first, second] = unsafe { self.header.as_ref() };
        let first = load(first);
        // The other half of the barrier between the two writes: if the first copy is new, so is the second.
        fence(Ordering::Acquire);
        let is_whole = first == load(second) && first.0[IS_INIT] != 0;
        is_whole.then_some(first)
    }
}

#[inline]
fn load(copy: &[AtomicU32; WORDS]) -> WalHeader {
    WalHeader(std::array::from_fn(|word| copy[word].load(Ordering::Relaxed)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{ConnectionConfig, Location, WalRequest, open_reader, open_writer};
    use crate::error::Result;

    #[test]
    fn it_changes_with_every_commit_and_with_nothing_else() -> Result<()> {
        let dir = tempfile::TempDir::new().expect("a temporary directory");
        let location = Location::File(dir.path().join("app.db"));
        let (writer, _) = open_writer(&location, &ConnectionConfig::default(), WalRequest::Required)?;
        let reader = open_reader(&location, &ConnectionConfig::default())?;
        let index = WalIndex::of(&reader).expect("there is a log");
        let run = |sql: &str| {
            let _policy = writer.with_policy(crate::connection::Policy::Internal);
            writer.raw().execute_batch(sql).expect("it runs");
        };
        run("CREATE TABLE t(x)");
        let mut seen = index.header().expect("nobody is writing it");
        for _ in 0..3 {
            run("INSERT INTO t VALUES (1)");
            let now = index.header().expect("nobody is writing it");
            assert_ne!(now, seen);
            run("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)");
            assert_eq!(index.header(), Some(now), "it is not committed");
            run("ROLLBACK; PRAGMA wal_checkpoint(PASSIVE)");
            reader.refresh_schema()?;
            assert_eq!(index.header(), Some(now), "nothing was committed");
            seen = now;
        }
        Ok(())
    }

    #[test]
    fn there_is_none_without_a_log_and_none_is_made() -> Result<()> {
        let dir = tempfile::TempDir::new().expect("a temporary directory");
        let location = Location::File(dir.path().join("app.db"));
        let (writer, _) = open_writer(&location, &ConnectionConfig::default(), WalRequest::Keep)?;
        let reader = open_reader(&location, &ConnectionConfig::default())?;
        assert!(WalIndex::of(&writer).is_none() && WalIndex::of(&reader).is_none());
        let names: Vec<_> =
            dir.path().read_dir().expect("it is a directory").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, ["app.db"]);
        let memory = Location::Memory("index".to_owned());
        let (memory, _) = open_writer(&memory, &ConnectionConfig::default(), WalRequest::WhenPossible)?;
        assert!(WalIndex::of(&memory).is_none());
        Ok(())
    }
}
