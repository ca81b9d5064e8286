//! What happens when the system fails underneath: SQLite's calls of it are answered here, for every file of this process.
#![cfg(target_os = "linux")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::ffi;
use sluice_core::{Concurrency, Error, ErrorCode, Manager, Options, Params, Result, Value, WriteLease};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

const EIO: c_int = 5;
const ENODEV: c_int = 19;
const ENOSPC: c_int = 28;
const ENOSYS: c_int = 38;
const F_SETLK: c_int = 6;
const EROFS: c_int = 30;
const O_WRITING: c_int = 0o1 | 0o2 | 0o100;

/// What the system does wrong.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Fault {
    None,
    /// The file system may only be read.
    ReadOnly,
    /// The disk is full.
    Full,
    /// The disk does not answer reads.
    NoReads,
    /// The file system cannot share memory between processes.
    NoSharedMemory,
    /// The file system has no locks.
    NoLocks,
}

static FAULT: AtomicU8 = AtomicU8::new(Fault::None as u8);
static OPENED: AtomicU64 = AtomicU64::new(0);
/// A fault is one of the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

fn is_now(fault: Fault) -> bool {
    FAULT.load(Ordering::SeqCst) == fault as u8
}

fn set(fault: Fault) {
    FAULT.store(fault as u8, Ordering::SeqCst);
}

type Open = unsafe extern "C" fn(*const c_char, c_int, c_int) -> c_int;
type Read = unsafe extern "C" fn(c_int, *mut c_void, usize, i64) -> isize;
type Write = unsafe extern "C" fn(c_int, *const c_void, usize, i64) -> isize;
type Truncate = unsafe extern "C" fn(c_int, i64) -> c_int;
type Map = unsafe extern "C" fn(*mut c_void, usize, c_int, c_int, c_int, i64) -> *mut c_void;
type Control = unsafe extern "C" fn(c_int, c_int, ...) -> c_int;
type Unlink = unsafe extern "C" fn(*const c_char) -> c_int;

/// What SQLite called before.
struct System {
    open: Open,
    pread: Read,
    pwrite: Write,
    ftruncate: Truncate,
    unlink: Unlink,
    mmap: Map,
    fcntl: Control,
}

static SYSTEM: OnceLock<System> = OnceLock::new();

fn system() -> &'static System {
    SYSTEM.get().expect("the calls are answered here only after that")
}

unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
}

fn failing(errno: c_int) -> c_int {
    // SAFETY: the C library returns a pointer to the error number of this thread, always valid.
    unsafe { *__errno_location() = errno };
    -1
}

unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    OPENED.fetch_add(1, Ordering::SeqCst);
    if is_now(Fault::ReadOnly) && flags & O_WRITING != 0 {
        return failing(EROFS);
    }
    // SAFETY: the arguments are those SQLite calls it with.
    unsafe { (system().open)(path, flags, mode) }
}

unsafe extern "C" fn pread(fd: c_int, to: *mut c_void, count: usize, offset: i64) -> isize {
    if is_now(Fault::NoReads) {
        return failing(EIO) as isize;
    }
    // SAFETY: the arguments are those SQLite calls it with.
    unsafe { (system().pread)(fd, to, count, offset) }
}

unsafe extern "C" fn pwrite(fd: c_int, from: *const c_void, count: usize, offset: i64) -> isize {
    if is_now(Fault::ReadOnly) {
        return failing(EROFS) as isize;
    }
    if is_now(Fault::Full) {
        return failing(ENOSPC) as isize;
    }
    // SAFETY: the arguments are those SQLite calls it with.
    unsafe { (system().pwrite)(fd, from, count, offset) }
}

unsafe extern "C" fn ftruncate(fd: c_int, length: i64) -> c_int {
    if is_now(Fault::ReadOnly) {
        return failing(EROFS);
    }
    // SAFETY: the arguments are those SQLite calls it with.
    unsafe { (system().ftruncate)(fd, length) }
}

unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    if is_now(Fault::ReadOnly) {
        return failing(EROFS);
    }
    // SAFETY: the arguments are those SQLite calls it with.
    unsafe { (system().unlink)(path) }
}

unsafe extern "C" fn mmap(
    at: *mut c_void,
    size: usize,
    rights: c_int,
    flags: c_int,
    fd: c_int,
    offset: i64,
) -> *mut c_void {
    if is_now(Fault::NoSharedMemory) {
        failing(ENODEV);
        // MAP_FAILED.
        return std::ptr::without_provenance_mut(usize::MAX);
    }
    // SAFETY: the arguments are those SQLite calls it with.
    unsafe { (system().mmap)(at, size, rights, flags, fd, offset) }
}

unsafe extern "C" fn fcntl(fd: c_int, command: c_int, argument: *mut c_void) -> c_int {
    if command == F_SETLK && is_now(Fault::NoLocks) {
        return failing(ENOSYS);
    }
    // SAFETY: the arguments are those SQLite calls it with, of which there is never more than one more.
    unsafe { (system().fcntl)(fd, command, argument) }
}

/// Replaces one of SQLite's calls of the system, and returns the one before: <https://sqlite.org/c3ref/vfs.html>.
fn replace(name: &CStr, by: *const c_void) -> *const c_void {
    // SAFETY: the default file layer lives as long as the process, has both functions, and `by` has the signature of the call it
    // replaces. A function pointer and a pointer have one size.
    unsafe {
        let layer = ffi::sqlite3_vfs_find(std::ptr::null());
        let get = (*layer).xGetSystemCall.expect("the layer of unix has it");
        let before = get(layer, name.as_ptr()).expect("SQLite calls it");
        let set = (*layer).xSetSystemCall.expect("the layer of unix has it");
        let by = std::mem::transmute::<*const c_void, unsafe extern "C" fn()>(by);
        assert_eq!(set(layer, name.as_ptr(), Some(by)), ffi::SQLITE_OK);
        before as *const c_void
    }
}

fn answer_system_calls() {
    SYSTEM.get_or_init(|| {
        // SAFETY: SQLite declares these calls as they are declared here.
        unsafe {
            System {
                open: std::mem::transmute::<*const c_void, Open>(replace(c"open", open as *const c_void)),
                pread: std::mem::transmute::<*const c_void, Read>(replace(c"pread", pread as *const c_void)),
                pwrite: std::mem::transmute::<*const c_void, Write>(replace(c"pwrite", pwrite as *const c_void)),
                ftruncate: std::mem::transmute::<*const c_void, Truncate>(replace(
                    c"ftruncate",
                    ftruncate as *const c_void,
                )),
                unlink: std::mem::transmute::<*const c_void, Unlink>(replace(c"unlink", unlink as *const c_void)),
                mmap: std::mem::transmute::<*const c_void, Map>(replace(c"mmap", mmap as *const c_void)),
                fcntl: std::mem::transmute::<*const c_void, Control>(replace(c"fcntl", fcntl as *const c_void)),
            }
        }
    });
}

/// Mends the system at the end of a test.
struct Mended(#[expect(dead_code, reason = "the next test waits until it is dropped")] MutexGuard<'static, ()>);

impl Drop for Mended {
    fn drop(&mut self) {
        set(Fault::None);
    }
}

async fn in_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("done within the deadline")
}

/// A database with one row, whose readers are open.
async fn open_filled(options: Options) -> Result<(Mended, TempDir, Manager)> {
    let alone = ALONE.lock().await;
    answer_system_calls();
    let dir = TempDir::new().expect("a temporary directory");
    let manager = Manager::open(dir.path().join("app.db"), options).await?;
    run(&manager, "CREATE TABLE t(x)").await?;
    run(&manager, "INSERT INTO t VALUES (1)").await?;
    assert_eq!(rows(&manager).await?, [1]);
    Ok((Mended(alone), dir, manager))
}

async fn run(manager: &Manager, sql: &str) -> Result<Vec<Vec<Value>>> {
    manager.query(sql, Params::none()).await.map(|rows| rows.rows)
}

async fn rows(manager: &Manager) -> Result<Vec<i64>> {
    let rows = run(manager, "SELECT x FROM t ORDER BY x").await?;
    Ok(rows
        .into_iter()
        .map(|row| match row[0] {
            Value::Integer(x) => x,
            Value::Null | Value::Real(_) | Value::Text(_) | Value::Blob(_) => panic!("no integer: {row:?}"),
        })
        .collect())
}

fn counter(manager: &Manager, name: &str) -> u64 {
    manager.status().counters.iter().find(|(known, _)| *known == name).expect("a counter of this name").1
}

fn is_failure_of_writing(error: &Error) -> bool {
    let codes = [Some(ffi::SQLITE_READONLY), Some(ffi::SQLITE_IOERR), Some(ffi::SQLITE_CANTOPEN)];
    error.code == ErrorCode::OutcomeUnknown || codes.contains(&error.primary_code())
}

/// The kernel refuses to remount what is being written to; so a file system becomes read-only underneath when its disk, or the
/// machine that exports it, has a fault. Then it answers system calls as they are answered here.
async fn becomes_read_only_and_writable_again(options: Options) -> Result<()> {
    let (_mended, _dir, manager) = open_filled(options).await?;
    set(Fault::ReadOnly);
    for attempt in 0..5 {
        let error = run(&manager, "INSERT INTO t VALUES (2)").await.expect_err("nothing can be written");
        assert!(is_failure_of_writing(&error), "attempt {attempt}: {error:?}");
        let reads: Vec<_> = (0..4)
            .map(|_| {
                let manager = manager.clone();
                tokio::spawn(async move { rows(&manager).await })
            })
            .collect();
        for read in reads {
            assert_eq!(read.await.expect("no panic")?, [1], "attempt {attempt}");
        }
    }
    set(Fault::None);
    while let Err(error) = run(&manager, "INSERT INTO t VALUES (3)").await {
        assert!(is_failure_of_writing(&error), "{error:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(rows(&manager).await?, [1, 3], "what was rejected is not there");
    let integrity = run(&manager, "PRAGMA integrity_check").await?;
    assert_eq!(integrity, [[Value::Text("ok".to_owned())]]);
    manager.close().await
}

#[tokio::test]
async fn p14_a_file_system_that_becomes_read_only_fails_writes_and_no_read_and_recovers() -> Result<()> {
    in_deadline(becomes_read_only_and_writable_again(Options::default())).await
}

#[tokio::test]
async fn p14_so_it_does_where_the_writer_serves_all() -> Result<()> {
    in_deadline(becomes_read_only_and_writable_again(Options { max_readers: 0, ..Options::default() })).await
}

/// Mends the system, and returns the writer when it has been replaced by one that can write.
async fn writable(manager: &Manager) -> Result<WriteLease> {
    set(Fault::None);
    loop {
        let mut lease = manager.write().await?;
        if lease.execute("UPDATE t SET x = x", Params::none()).await.is_ok() {
            return Ok(lease);
        }
        drop(lease);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_commit_that_the_disk_fails_is_of_unknown_outcome_however_it_was_asked_for() -> Result<()> {
    in_deadline(async {
        let (_mended, _dir, manager) = open_filled(Options::default()).await?;
        let insert = "INSERT INTO t VALUES (2)";
        for script in [insert, "BEGIN; INSERT INTO t VALUES (2); COMMIT", "SAVEPOINT s; DELETE FROM t; RELEASE s"] {
            let mut lease = writable(&manager).await?;
            set(Fault::ReadOnly);
            let error = lease.script(script).await.expect_err("nothing can be written");
            assert_eq!(error.code, ErrorCode::OutcomeUnknown, "{script}: {error:?}");
        }
        for (before, last) in [("", insert), ("BEGIN; INSERT INTO t VALUES (2)", "COMMIT")] {
            let mut lease = writable(&manager).await?;
            lease.script(before).await?;
            set(Fault::ReadOnly);
            let error = lease.execute(last, Params::none()).await.expect_err("nothing can be written");
            assert_eq!(error.code, ErrorCode::OutcomeUnknown, "{last}: {error:?}");
        }
        drop(writable(&manager).await?);
        // What fails otherwise is known to have had no effect.
        let error = run(&manager, "INSERT INTO missing VALUES (1)").await.expect_err("there is no such table");
        assert_eq!(error.code, ErrorCode::Sqlite);
        assert_eq!(rows(&manager).await?, [1]);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn l20_a_copy_that_does_not_fit_the_disk_leaves_nothing_of_itself() -> Result<()> {
    in_deadline(async {
        let (_mended, dir, manager) = open_filled(Options::default()).await?;
        let copy = dir.path().join("copy.db");
        let sql = format!("VACUUM INTO '{}'", copy.display());
        set(Fault::Full);
        let error = run(&manager, &sql).await.expect_err("there is no room");
        assert_eq!(error.primary_code(), Some(ffi::SQLITE_FULL), "{error:?}");
        assert!(!copy.exists());
        // A file that was there is its owner's, empty as it is.
        std::fs::write(&copy, "").expect("an empty file");
        run(&manager, &sql).await.expect_err("there is no room");
        assert!(copy.exists());
        set(Fault::None);
        run(&manager, &sql).await?;
        assert_eq!(rows(&manager).await?, [1]);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn l11_a_connection_that_breaks_is_replaced_and_counted_and_there_is_no_storm() -> Result<()> {
    const CALLS: u64 = 300;
    in_deadline(async {
        let (_mended, dir, manager) = open_filled(Options { max_readers: 2, ..Options::default() }).await?;
        // What another connection wrote is in no cache of ours.
        let other = rusqlite::Connection::open(dir.path().join("app.db"))?;
        other.execute("UPDATE t SET x = 7", [])?;
        let (opened, began) = (OPENED.load(Ordering::SeqCst), Instant::now());
        set(Fault::NoReads);
        let mut failures = 0;
        for _ in 0..CALLS {
            let error = run(&manager, "SELECT x FROM t ORDER BY x").await.expect_err("the page cannot be read");
            // A connection that cannot read the file may take it for a damaged one.
            let codes = [Some(ffi::SQLITE_IOERR), Some(ffi::SQLITE_CORRUPT)];
            failures += u64::from(codes.contains(&error.primary_code()));
        }
        let opened = OPENED.load(Ordering::SeqCst) - opened;
        // One attempt per connection in 100 ms, each of at most three files; and those that broke first.
        let attempts = u64::try_from(began.elapsed().as_millis()).expect("short") / 100 + 3;
        assert!(opened <= 3 * 2 * attempts, "{opened} files were opened in {:?}", began.elapsed());
        assert_eq!(failures, CALLS);
        let errors: u64 = manager.status().errors.iter().map(|(_, count)| count).sum();
        assert_eq!((counter(&manager, "discards"), errors), (1, CALLS));
        set(Fault::None);
        drop(other);
        while rows(&manager).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(rows(&manager).await?, [7]);
        run(&manager, "INSERT INTO t VALUES (8)").await?;
        assert_eq!(rows(&manager).await?, [7, 8]);
        assert!(counter(&manager, "writerReplacements") > 0);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn p16_a_file_system_without_shared_memory_is_named_at_open_and_works_without_a_log() -> Result<()> {
    in_deadline(async {
        let (_mended, dir, manager) = open_filled(Options::default()).await?;
        manager.close().await?;
        set(Fault::NoSharedMemory);
        for path in [dir.path().join("app.db"), dir.path().join("new.db")] {
            let error = Manager::open(&path, Options::default()).await.expect_err("no log is possible");
            assert_eq!(error.code, ErrorCode::NetworkFileSystem, "{error:?}");
            assert!(error.message.contains(&path.display().to_string()), "{}", error.message);
            assert!(
                error.message.contains("shared memory") && error.message.contains("exclusive"),
                "{}",
                error.message
            );
        }
        let options = Options { concurrency: Some(Concurrency::Exclusive), ..Options::default() };
        let manager = Manager::open(dir.path().join("other.db"), options).await?;
        run(&manager, "CREATE TABLE t(x)").await?;
        run(&manager, "INSERT INTO t VALUES (1)").await?;
        assert_eq!(rows(&manager).await?, [1]);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn p16_a_file_system_without_locks_is_named_at_open() -> Result<()> {
    in_deadline(async {
        let (_mended, dir, manager) = open_filled(Options::default()).await?;
        manager.close().await?;
        set(Fault::NoLocks);
        let error =
            Manager::open(dir.path().join("app.db"), Options::default()).await.expect_err("no lock is possible");
        assert_eq!(error.code, ErrorCode::NetworkFileSystem, "{error:?}");
        assert!(error.message.contains("locks"), "{}", error.message);
        Ok(())
    })
    .await
}
