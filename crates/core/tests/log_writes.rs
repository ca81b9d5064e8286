//! The frames of a commit are written together, and nobody can tell but by the number of writes: not by what is read, nor when they fail.
#![cfg(target_os = "linux")]

use std::ffi::{c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rusqlite::ffi;
use sluice_core::{Durability, ErrorCode, GroupLimits, Manager, Options, Params, Query, Request, Result, Value};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinSet;

const ENOSPC: c_int = 28;
const PAGE_BYTES: usize = 4096;
const FRAME_BYTES: u64 = 24 + PAGE_BYTES as u64;

/// The writes to logs are counted for the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::const_new(());
static WRITES: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
/// From which write on the disk is full.
static FULL_FROM: AtomicU64 = AtomicU64::new(u64::MAX);
/// Whether the write that finds it full still writes half of what it should.
static WRITES_HALF: AtomicBool = AtomicBool::new(false);

type Write = unsafe extern "C" fn(c_int, *const c_void, usize, i64) -> isize;
static SYSTEM: OnceLock<Write> = OnceLock::new();

fn is_log(fd: c_int) -> bool {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).is_ok_and(|path| path.to_string_lossy().ends_with("-wal"))
}

unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
}

unsafe extern "C" fn pwrite(fd: c_int, from: *const c_void, count: usize, offset: i64) -> isize {
    let system = SYSTEM.get().expect("it is answered here only after that");
    let mut count = count;
    if is_log(fd) {
        let number = WRITES.fetch_add(1, Ordering::SeqCst) + 1;
        let full_from = FULL_FROM.load(Ordering::SeqCst);
        if number == full_from && WRITES_HALF.load(Ordering::SeqCst) && count > 1 {
            count /= 2;
        } else if number >= full_from {
            // SAFETY: the C library returns a pointer to the error number of this thread, always valid.
            unsafe { *__errno_location() = ENOSPC };
            return -1;
        }
        BYTES.fetch_add(count as u64, Ordering::SeqCst);
    }
    // SAFETY: the arguments are those SQLite calls it with, or fewer bytes.
    unsafe { system(fd, from, count, offset) }
}

fn count_writes() {
    SYSTEM.get_or_init(|| {
        // SAFETY: the default file layer lives as long as the process and has both functions; `pwrite` has the signature of the call that it
        // replaces, and so has what is returned.
        unsafe {
            let layer = ffi::sqlite3_vfs_find(std::ptr::null());
            let get = (*layer).xGetSystemCall.expect("the layer of unix has it");
            let set = (*layer).xSetSystemCall.expect("the layer of unix has it");
            let before = get(layer, c"pwrite".as_ptr()).expect("SQLite calls it");
            let by = std::mem::transmute::<*const c_void, unsafe extern "C" fn()>(pwrite as *const c_void);
            assert_eq!(set(layer, c"pwrite".as_ptr(), Some(by)), ffi::SQLITE_OK);
            std::mem::transmute::<unsafe extern "C" fn(), Write>(before)
        }
    });
}

fn fill_disk_from(write: u64, half: bool) {
    WRITES.store(0, Ordering::SeqCst);
    WRITES_HALF.store(half, Ordering::SeqCst);
    FULL_FROM.store(write, Ordering::SeqCst);
}

fn mend_disk() {
    FULL_FROM.store(u64::MAX, Ordering::SeqCst);
}

/// A table whose rows fill a page each.
struct Opened {
    manager: Manager,
    path: PathBuf,
    _dir: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        mend_disk();
    }
}

const ROWS: u32 = 300;

async fn open(cache_pages: u32) -> Result<Opened> {
    let alone = ALONE.lock().await;
    count_writes();
    let dir = TempDir::new().expect("a temporary directory");
    let path = dir.path().join("app.db");
    let pragmas = vec![("cache_size".to_owned(), cache_pages.to_string())];
    let group_commit = Some(GroupLimits { time: Duration::from_secs(10), ..GroupLimits::default() });
    // Nothing is synced then, which would have everything written.
    let durability = Durability::Normal;
    let options = Options { pragmas, group_commit, durability, ..Options::default() };
    let manager = Manager::open(&path, options).await?;
    run(&manager, "CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, filling TEXT NOT NULL)").await?;
    let insert = format!(
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {ROWS}) \
         INSERT INTO t SELECT i, 0, hex(zeroblob(1800)) FROM c"
    );
    run(&manager, &insert).await?;
    Ok(Opened { manager, path, _dir: dir, _alone: alone })
}

async fn run(manager: &Manager, sql: &str) -> Result<Vec<Vec<Value>>> {
    let run = manager.query(sql, Params::none());
    tokio::time::timeout(Duration::from_mins(1), run).await.expect("done within the deadline").map(|rows| rows.rows)
}

fn integer(rows: &[Vec<Value>]) -> i64 {
    match rows[0][0] {
        Value::Integer(x) => x,
        Value::Null | Value::Real(_) | Value::Text(_) | Value::Blob(_) => panic!("no integer: {rows:?}"),
    }
}

async fn sum(manager: &Manager) -> Result<i64> {
    run(manager, "SELECT sum(n) FROM t").await.map(|rows| integer(&rows))
}

/// Reads the file as another process would.
fn look(path: &Path) -> (String, i64) {
    let other =
        rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).expect("it opens");
    let check = other.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it is checked");
    (check, other.query_row("SELECT sum(n) FROM t", [], |row| row.get(0)).expect("it is read"))
}

/// Runs updates of single rows at once, in one group. Returns how many failed, all with a full disk.
async fn update_together(manager: &Manager, count: u32) -> Result<usize> {
    let groups = || manager.status().counters.iter().find(|(name, _)| *name == "groups").expect("the counter").1;
    let update = Query::new("UPDATE t SET n = n + 1 WHERE id = ?");
    // From here on it is known to be a write, and needs no reader to find out.
    manager.run(Request::new(Arc::clone(&update), Params::positional(vec![Value::Integer(-1)]))).await?;
    let (before, lease) = (groups(), manager.write().await?);
    let mut updates = JoinSet::new();
    for id in 1..=count {
        let request = Request::new(Arc::clone(&update), Params::positional(vec![Value::Integer(id.into())]));
        let manager = manager.clone();
        updates.spawn(async move { manager.run(request).await });
    }
    while manager.status().queued < count as usize {
        tokio::task::yield_now().await;
    }
    drop(lease);
    let mut failed = 0;
    while let Some(result) = updates.join_next().await {
        match result.expect("no panic") {
            Ok(_) => {}
            Err(error) => {
                assert_eq!((error.code, error.primary_code()), (ErrorCode::Sqlite, Some(ffi::SQLITE_FULL)), "{error}");
                failed += 1;
            }
        }
    }
    if failed == 0 {
        assert_eq!(groups() - before, 1, "they were a group");
    } else {
        assert_eq!(failed, count as usize);
    }
    Ok(failed)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_group_are_written_with_one_call() -> Result<()> {
    let opened = open(2_000).await?;
    let manager = &opened.manager;
    update_together(manager, 20).await?;
    fill_disk_from(u64::MAX, false);
    BYTES.store(0, Ordering::SeqCst);
    assert_eq!(update_together(manager, 20).await?, 0);
    assert_eq!(WRITES.load(Ordering::SeqCst), 1);
    assert_eq!(BYTES.load(Ordering::SeqCst) % FRAME_BYTES, 0);
    assert!(BYTES.load(Ordering::SeqCst) >= 20 * FRAME_BYTES);
    assert_eq!(look(&opened.path), ("ok".to_owned(), 40));
    opened.manager.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_by_itself_is_written_with_one_call() -> Result<()> {
    let opened = open(2_000).await?;
    for sql in ["UPDATE t SET n = n + 1 WHERE id = 7", "UPDATE t SET n = n + 1 WHERE id = 7 RETURNING n"] {
        fill_disk_from(u64::MAX, false);
        run(&opened.manager, sql).await?;
        assert_eq!(WRITES.load(Ordering::SeqCst), 1, "{sql}");
    }
    assert_eq!(look(&opened.path), ("ok".to_owned(), 2));
    opened.manager.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_cache_is_read_back_from_the_log() -> Result<()> {
    let opened = open(10).await?;
    let manager = &opened.manager;
    // Each row comes somewhere else: its page has left the cache since it was changed last.
    run(manager, "CREATE TABLE u(key TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID").await?;
    let scatter = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000) \
                   INSERT INTO u SELECT printf('%0400d', i * 7919 % 2003), i FROM c";
    run(manager, scatter).await?;
    assert_eq!(integer(&run(manager, "SELECT sum(n) FROM u").await?), 2_001_000);
    run(manager, "UPDATE t SET n = n + 1").await?;
    run(manager, "UPDATE t SET n = n + 1, filling = upper(filling)").await?;
    assert_eq!(sum(manager).await?, 2 * i64::from(ROWS));
    assert_eq!(look(&opened.path), ("ok".to_owned(), 2 * i64::from(ROWS)));
    let mut lease = manager.write().await?;
    lease.query("BEGIN", Params::none()).await?;
    for round in 1..=3 {
        lease.query("UPDATE t SET n = n + 1", Params::none()).await?;
        let seen = lease.query("SELECT sum(n) FROM t", Params::none()).await?.rows;
        assert_eq!(integer(&seen), (2 + round) * i64::from(ROWS));
    }
    lease.query("ROLLBACK", Params::none()).await?;
    drop(lease);
    run(manager, "VACUUM").await?;
    assert_eq!(look(&opened.path), ("ok".to_owned(), 2 * i64::from(ROWS)));
    opened.manager.close().await
}

/// Has the disk fill up at each of the first writes of a change, and at some of the later ones. It is made wholly or not at all, and its caller knows.
async fn fill_disk_during(opened: &Opened, change: impl AsyncFn(&Manager) -> Result<usize>, by: i64) -> Result<()> {
    let manager = &opened.manager;
    for half in [false, true] {
        let mut write = 1;
        loop {
            let before = sum(manager).await?;
            fill_disk_from(write, half);
            let result = change(manager).await;
            let was_hit = WRITES.load(Ordering::SeqCst) >= write;
            mend_disk();
            match result {
                Ok(0) => {
                    assert!(!was_hit, "write {write}: success, although the disk was full");
                    assert_eq!(look(&opened.path), ("ok".to_owned(), before + by));
                    break;
                }
                Ok(failed) => assert!(failed > 0),
                Err(error) => assert_eq!(error.primary_code(), Some(ffi::SQLITE_FULL), "{error}"),
            }
            assert!(was_hit);
            assert_eq!(sum(manager).await?, before, "write {write}");
            assert_eq!(look(&opened.path), ("ok".to_owned(), before), "write {write}");
            write += 1 + write / 4;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_during_a_commit_undoes_it() -> Result<()> {
    let opened = open(2_000).await?;
    let all = "UPDATE t SET n = n + 1";
    fill_disk_during(&opened, async |manager| run(manager, all).await.map(|_| 0), i64::from(ROWS)).await?;
    fill_disk_during(&opened, async |manager| update_together(manager, 100).await, 100).await?;
    fill_disk_during(&opened, async |manager| run(manager, "VACUUM").await.map(|_| 0), 0).await?;
    opened.manager.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_while_the_cache_overflows_undoes_it() -> Result<()> {
    let opened = open(10).await?;
    let all = "UPDATE t SET n = n + 1, filling = upper(filling)";
    fill_disk_during(&opened, async |manager| run(manager, all).await.map(|_| 0), i64::from(ROWS)).await?;
    run(&opened.manager, "CREATE INDEX by_filling ON t(filling, id)").await?;
    let scatter = "UPDATE t SET n = n + 1, filling = printf('%0600d', id * 7919 % 2003)";
    fill_disk_during(&opened, async |manager| run(manager, scatter).await.map(|_| 0), i64::from(ROWS)).await?;
    fill_disk_during(&opened, async |manager| run(manager, "VACUUM").await.map(|_| 0), 0).await?;
    opened.manager.close().await
}
