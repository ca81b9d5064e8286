//! Opening connections: what a location means, what the errors are, and what holds on a connection once it is open.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::{Connection, ffi};
use sluice_core::connection::{
    ConnectionConfig, Durability, FileIdentity, JournalMode, Location, PolicedConnection, Policy, WalRequest,
    apply_durability, build, journal_mode, open_reader, open_writer,
};
use sluice_core::error::{Error, ErrorCode, Result};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn file(folder: &TempDir, name: &str) -> Location {
    Location::File(folder.path().join(name))
}

fn writer(location: &Location, config: &ConnectionConfig) -> Result<(PolicedConnection, JournalMode)> {
    open_writer(location, config, WalRequest::default())
}

fn run(conn: &PolicedConnection, sql: &str) -> Result<()> {
    let _policy = conn.with_policy(Policy::Internal);
    Ok(conn.raw().execute_batch(sql)?)
}

fn one(conn: &PolicedConnection, sql: &str) -> String {
    let _policy = conn.with_policy(Policy::Internal);
    conn.raw().query_row(sql, [], |row| row.get_ref(0).map(|value| format!("{value:?}"))).expect(sql)
}

/// A config that gives up on locks at once.
fn impatient() -> ConnectionConfig {
    ConnectionConfig { busy_timeout: Duration::ZERO, ..ConnectionConfig::default() }
}

fn assert_sqlite(error: &Error, primary_code: i32, path: &Path) {
    assert_eq!(error.primary_code(), Some(primary_code), "{error}");
    assert!(error.message.contains(&path.display().to_string()), "the path is named: {error}");
}

/// Opens as writer and as reader, and asserts that both fail in the same way and leave the file as it was.
fn assert_fails_to_open(path: &Path, primary_code: i32) {
    let before = std::fs::read(path).ok();
    let location = Location::File(path.to_owned());
    assert_sqlite(&writer(&location, &impatient()).expect_err("as writer"), primary_code, path);
    assert_sqlite(&open_reader(&location, &impatient()).expect_err("as reader"), primary_code, path);
    assert_eq!(std::fs::read(path).ok(), before, "the file is unchanged");
}

#[test]
fn a_path_with_a_nul_is_refused_before_any_system_call() {
    let location = Location::File(PathBuf::from("/no/such\0/folder"));
    let error = writer(&location, &ConnectionConfig::default()).expect_err("NUL");
    assert_eq!(error.code, ErrorCode::InvalidArgument);
}

#[test]
fn a_relative_path_is_refused() {
    let location = Location::File(PathBuf::from("app.db"));
    let error = writer(&location, &ConnectionConfig::default()).expect_err("relative");
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    assert!(!Path::new("app.db").exists());
}

#[test]
fn a_path_that_looks_like_a_uri_is_a_literal_name() {
    let folder = folder();
    for name in ["file:x?mode=memory", "file:y?nolock=1&immutable=1", "z?vfs=memdb", "a#b%41\nc", ":memory:"] {
        let path = folder.path().join(name);
        let (conn, _) = writer(&Location::File(path.clone()), &ConnectionConfig::default()).expect(name);
        run(&conn, "CREATE TABLE t(a)").expect(name);
        assert!(path.is_file(), "{name}");
    }
    let uri = Location::File(PathBuf::from(format!("file:{}/u?mode=memory", folder.path().display())));
    assert_eq!(writer(&uri, &ConnectionConfig::default()).expect_err("no URI").code, ErrorCode::InvalidArgument);
}

#[test]
fn a_uri_is_one_when_asked_for() {
    let folder = folder();
    let config = ConnectionConfig { uri: true, ..ConnectionConfig::default() };
    let uri = Location::File(PathBuf::from(format!("file:{}/u.db?mode=rwc", folder.path().display())));
    let (conn, _) = writer(&uri, &config).expect("open");
    run(&conn, "CREATE TABLE t(a)").expect("create");
    assert!(folder.path().join("u.db").is_file());
    let literal = folder.path().join("file:v?mode=memory");
    writer(&Location::File(literal.clone()), &config).expect("open");
    assert!(literal.is_file(), "only a text that begins with file: is a URI");
}

#[cfg(unix)]
#[test]
fn a_name_that_is_no_text_is_opened_as_it_is() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = folder();
    let path = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff\xfe.db"));
    let location = Location::File(path.clone());
    let (conn, mode) = writer(&location, &ConnectionConfig::default()).expect("open");
    run(&conn, "CREATE TABLE t(a)").expect("create");
    assert_eq!(mode, JournalMode::Wal);
    assert!(path.is_file());
    let reader = open_reader(&location, &ConnectionConfig::default()).expect("open");
    assert_eq!(one(&reader, "SELECT count(*) FROM t"), "Integer(0)");
    assert!(format!("{reader:?}").contains("Reader"));
}

#[test]
fn a_name_too_long_for_sqlite_is_an_error() {
    let folder = folder();
    let path = folder.path().join("x".repeat(200)).join("y".repeat(4000));
    assert_fails_to_open(&path, ffi::SQLITE_CANTOPEN);
}

#[test]
fn a_missing_folder_or_a_folder_cannot_be_opened() {
    let folder = folder();
    assert_fails_to_open(&folder.path().join("missing/app.db"), ffi::SQLITE_CANTOPEN);
    assert_fails_to_open(folder.path(), ffi::SQLITE_CANTOPEN);
}

#[test]
fn a_missing_file_is_not_made_unless_asked_for() {
    let folder = folder();
    let path = folder.path().join("app.db");
    let location = Location::File(path.clone());
    let must_exist = ConnectionConfig { create: false, ..ConnectionConfig::default() };
    let readonly = ConnectionConfig { readonly: true, ..ConnectionConfig::default() };
    assert_sqlite(&writer(&location, &must_exist).expect_err("must exist"), ffi::SQLITE_CANTOPEN, &path);
    assert_sqlite(&writer(&location, &readonly).expect_err("readonly"), ffi::SQLITE_CANTOPEN, &path);
    assert_sqlite(&open_reader(&location, &must_exist).expect_err("reader"), ffi::SQLITE_CANTOPEN, &path);
    assert!(!path.exists());
}

#[test]
fn what_is_no_database_is_an_error_and_stays_as_it_is() {
    let folder = folder();
    let path = folder.path().join("noise.db");
    std::fs::write(&path, "this is not a database, it only looks like a file ".repeat(100)).expect("write");
    assert_fails_to_open(&path, ffi::SQLITE_NOTADB);
}

/// Makes a database in rollback mode, so that all of it is in one file, and returns its bytes.
fn database_bytes(path: &Path) -> Vec<u8> {
    let conn = Connection::open(path).expect("open");
    conn.execute_batch("CREATE TABLE t(a); CREATE TABLE u(b); INSERT INTO t VALUES (zeroblob(9000))").expect("fill");
    drop(conn);
    std::fs::read(path).expect("read")
}

#[test]
fn a_page_size_of_zero_is_an_error() {
    let folder = folder();
    let path = folder.path().join("app.db");
    let mut bytes = database_bytes(&path);
    bytes[16..18].fill(0);
    std::fs::write(&path, bytes).expect("write");
    assert_fails_to_open(&path, ffi::SQLITE_NOTADB);
}

#[test]
fn a_truncated_or_broken_schema_is_an_error() {
    let folder = folder();
    let path = folder.path().join("app.db");
    let whole = database_bytes(&path);
    std::fs::write(&path, &whole[..300]).expect("write");
    assert_fails_to_open(&path, ffi::SQLITE_CORRUPT);
    let mut broken = whole;
    broken[100..108].fill(0xee);
    std::fs::write(&path, broken).expect("write");
    assert_fails_to_open(&path, ffi::SQLITE_CORRUPT);
}

#[test]
fn a_database_locked_by_another_is_busy_at_open() {
    let folder = folder();
    let path = folder.path().join("app.db");
    let other = Connection::open(&path).expect("open");
    other.execute_batch("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE t(a)").expect("lock");
    let config = ConnectionConfig { busy_timeout: Duration::from_millis(20), ..ConnectionConfig::default() };
    let error = writer(&Location::File(path.clone()), &config).expect_err("locked");
    assert_sqlite(&error, ffi::SQLITE_BUSY, &path);
    drop(other);
    writer(&Location::File(path), &config).expect("free again");
}

#[test]
fn a_wait_for_another_process_ends_when_told_to() {
    let folder = folder();
    let path = folder.path().join("app.db");
    let location = Location::File(path.clone());
    // Far longer than the test may take: only the flags can end the wait.
    let config = ConnectionConfig { busy_timeout: Duration::from_hours(1), ..ConnectionConfig::default() };
    let (conn, _) = writer(&location, &config).expect("open");
    let other = Connection::open(&path).expect("open");
    other.execute_batch("BEGIN IMMEDIATE").expect("lock");

    conn.interrupted().store(true, Ordering::Relaxed);
    let error = run(&conn, "BEGIN IMMEDIATE").expect_err("interrupted");
    assert_eq!(error.primary_code(), Some(ffi::SQLITE_BUSY));
    conn.interrupted().store(false, Ordering::Relaxed);
    config.closing.store(true, Ordering::Relaxed);
    let error = run(&conn, "BEGIN IMMEDIATE").expect_err("closing");
    assert_eq!(error.primary_code(), Some(ffi::SQLITE_BUSY));
}

#[test]
fn a_new_file_becomes_wal_and_an_existing_one_when_it_can() {
    let folder = folder();
    let location = file(&folder, "new.db");
    assert_eq!(writer(&location, &ConnectionConfig::default()).expect("open").1, JournalMode::Wal);

    let existing = folder.path().join("old.db");
    database_bytes(&existing);
    let location = Location::File(existing.clone());
    let keep = |wal| open_writer(&location, &impatient(), wal).map(|(_, mode)| mode);
    assert_eq!(keep(WalRequest::Keep), Ok(JournalMode::Delete));

    let other = Connection::open(&existing).expect("open");
    other.execute_batch("BEGIN; SELECT * FROM t").expect("read");
    assert_eq!(keep(WalRequest::WhenPossible), Ok(JournalMode::Delete), "somebody reads it");
    assert_eq!(keep(WalRequest::Required).expect_err("busy").primary_code(), Some(ffi::SQLITE_BUSY));
    other.execute_batch("COMMIT").expect("commit");
    assert_eq!(keep(WalRequest::WhenPossible), Ok(JournalMode::Wal));
    assert_eq!(keep(WalRequest::Keep), Ok(JournalMode::Wal));
}

#[test]
fn a_readonly_database_is_read_and_never_written() {
    let folder = folder();
    let location = file(&folder, "app.db");
    let (maker, _) = writer(&location, &ConnectionConfig::default()).expect("open");
    run(&maker, "CREATE TABLE t(a); INSERT INTO t VALUES (1)").expect("fill");
    let config = ConnectionConfig { readonly: true, ..ConnectionConfig::default() };
    let (conn, mode) = writer(&location, &config).expect("open");
    assert_eq!((conn.is_readonly(), mode), (Ok(true), JournalMode::Wal));
    let reader = open_reader(&location, &config).expect("open");
    for conn in [&conn, &reader] {
        assert_eq!(one(conn, "SELECT a FROM t"), "Integer(1)");
        let error = run(conn, "INSERT INTO t VALUES (2)").expect_err("readonly");
        assert_eq!(error.primary_code(), Some(ffi::SQLITE_READONLY));
    }
}

#[cfg(unix)]
#[test]
fn a_file_without_write_permission_is_opened_to_read() {
    let folder = folder();
    let path = folder.path().join("app.db");
    let location = Location::File(path.clone());
    let (maker, _) = writer(&location, &ConnectionConfig::default()).expect("open");
    run(&maker, "CREATE TABLE t(a); INSERT INTO t VALUES (1)").expect("fill");
    drop(maker);
    let mut permissions = std::fs::metadata(&path).expect("metadata").permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).expect("chmod");
    let superuser = std::fs::OpenOptions::new().write(true).open(&path).is_ok();

    let (conn, mode) = writer(&location, &ConnectionConfig::default()).expect("open");
    assert_eq!(conn.is_readonly(), Ok(!superuser));
    assert_eq!(mode, JournalMode::Wal);
    assert_eq!(one(&conn, "SELECT a FROM t"), "Integer(1)");
    let written = run(&conn, "INSERT INTO t VALUES (2)").map_err(|error| error.primary_code());
    assert_eq!(written, if superuser { Ok(()) } else { Err(Some(ffi::SQLITE_READONLY)) });
}

#[test]
fn memory_is_shared_by_name_and_lives_as_long_as_one_connection() {
    let location = Location::Memory("sharing".to_owned());
    let config = ConnectionConfig::default();
    let (first, mode) = writer(&location, &config).expect("open");
    assert_ne!(mode, JournalMode::Wal);
    run(&first, "CREATE TABLE t(a); INSERT INTO t VALUES (7)").expect("fill");
    let readers = [open_reader(&location, &config).expect("open"), open_reader(&location, &config).expect("open")];
    for reader in &readers {
        assert_eq!(one(reader, "SELECT a FROM t"), "Integer(7)");
        let error = run(reader, "INSERT INTO t VALUES (8)").expect_err("a reader");
        assert_eq!(error.primary_code(), Some(ffi::SQLITE_READONLY));
    }
    drop(first);
    let (second, _) = writer(&location, &config).expect("open");
    assert_eq!(one(&second, "SELECT a FROM t"), "Integer(7)", "a reader kept it alive");
    drop(readers);
    drop(second);
    let (third, _) = writer(&location, &config).expect("open");
    assert_eq!(one(&third, "SELECT count(*) FROM sqlite_schema"), "Integer(0)");
    let (other, _) = writer(&Location::Memory("another".to_owned()), &config).expect("open");
    run(&third, "CREATE TABLE t(a)").expect("create");
    assert_eq!(one(&other, "SELECT count(*) FROM sqlite_schema"), "Integer(0)");
}

#[test]
fn durability_sets_synchronous_by_the_journal_mode() {
    let folder = folder();
    let (conn, _) = writer(&file(&folder, "app.db"), &ConnectionConfig::default()).expect("open");
    let cases = [
        (Durability::Full, JournalMode::Wal, "Integer(2)", "Integer(1)"),
        (Durability::Full, JournalMode::Delete, "Integer(3)", "Integer(1)"),
        (Durability::Normal, JournalMode::Wal, "Integer(1)", "Integer(0)"),
        (Durability::Off, JournalMode::Delete, "Integer(0)", "Integer(0)"),
    ];
    assert_eq!(one(&conn, "PRAGMA synchronous"), "Integer(2)", "the default, in WAL");
    for (durability, mode, synchronous, fullfsync) in cases {
        apply_durability(&conn, durability, mode).expect("set");
        assert_eq!(one(&conn, "PRAGMA synchronous"), synchronous, "{durability:?} in {mode:?}");
        assert_eq!(one(&conn, "PRAGMA fullfsync"), fullfsync, "{durability:?} in {mode:?}");
    }
    run(&conn, "PRAGMA journal_mode = DELETE").expect("switch");
    assert_eq!(journal_mode(&conn), Ok(JournalMode::Delete));
}

#[test]
fn every_connection_has_the_settings_that_are_promised() {
    let folder = folder();
    let location = file(&folder, "app.db");
    let (conn, _) = writer(&location, &ConnectionConfig::default()).expect("open");
    let reader = open_reader(&location, &ConnectionConfig::default()).expect("open");
    for (pragma, on_writer, on_reader) in [
        ("query_only", "Integer(0)", "Integer(1)"),
        ("foreign_keys", "Integer(1)", "Integer(1)"),
        ("trusted_schema", "Integer(0)", "Integer(0)"),
        ("mmap_size", "Integer(0)", "Integer(0)"),
        ("cell_size_check", "Integer(0)", "Integer(0)"),
        ("wal_autocheckpoint", "Integer(0)", "Integer(1000)"),
    ] {
        assert_eq!(one(&conn, &format!("PRAGMA {pragma}")), on_writer, "{pragma} of the writer");
        assert_eq!(one(&reader, &format!("PRAGMA {pragma}")), on_reader, "{pragma} of a reader");
    }
    let without = ConnectionConfig { foreign_keys: false, ..ConnectionConfig::default() };
    let (conn, _) = writer(&location, &without).expect("open");
    assert_eq!(one(&conn, "PRAGMA foreign_keys"), "Integer(0)");
}

fn with_pragmas(pragmas: &[(&str, &str)]) -> ConnectionConfig {
    let pragmas = pragmas.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    ConnectionConfig { pragmas, ..ConnectionConfig::default() }
}

#[test]
fn pragmas_of_the_option_are_set_on_every_connection() {
    let folder = folder();
    let location = file(&folder, "app.db");
    let config = with_pragmas(&[
        ("cache_size", "-4000"),
        ("page_size", "8192"),
        ("Auto_Vacuum", "incremental"),
        ("encoding", "UTF-16le"),
        ("case_sensitive_like", "on"),
    ]);
    let (conn, mode) = writer(&location, &config).expect("open");
    assert_eq!(mode, JournalMode::Wal);
    run(&conn, "CREATE TABLE t(a)").expect("create");
    let reader = open_reader(&location, &config).expect("open");
    for conn in [&conn, &reader] {
        assert_eq!(one(conn, "PRAGMA page_size"), "Integer(8192)");
        assert_eq!(one(conn, "PRAGMA auto_vacuum"), "Integer(2)");
        assert_eq!(one(conn, "SELECT encoding = 'UTF-16le' FROM pragma_encoding"), "Integer(1)");
        assert_eq!(one(conn, "PRAGMA cache_size"), "Integer(-4000)");
        assert_eq!(one(conn, "SELECT 'a' LIKE 'A'"), "Integer(0)");
    }
}

#[test]
fn pragmas_that_are_no_option_are_refused_by_name() {
    let folder = folder();
    for name in ["synchronous", "journal_mode", "user_version", "hard_heap_limit", "wal_checkpoint", "no_such", "a; b"]
    {
        let error = writer(&file(&folder, "app.db"), &with_pragmas(&[(name, "1")])).expect_err(name);
        assert_eq!(error.code, ErrorCode::InvalidOption, "{name}");
        assert!(error.message.contains(name), "{error}");
    }
    assert!(!folder.path().join("app.db").exists(), "refused before anything is opened");
}

#[cfg(unix)]
#[test]
fn the_identity_of_a_file_tells_a_replaced_one() {
    let folder = folder();
    let (path, other) = (folder.path().join("app.db"), folder.path().join("other.db"));
    database_bytes(&path);
    database_bytes(&other);
    let before = FileIdentity::of(&path).expect("metadata");
    assert_eq!(FileIdentity::of(&path).expect("metadata"), before);
    std::fs::rename(&other, &path).expect("rename");
    assert_ne!(FileIdentity::of(&path).expect("metadata"), before);
}

#[test]
fn the_build_is_the_one_that_is_promised() {
    assert_eq!(build::require_build(), Ok(()));
    let version: Vec<u32> = build::sqlite_version().split('.').map(|part| part.parse().expect("a number")).collect();
    assert!(version >= vec![3, 51, 3], "{version:?}");
    let options = build::compile_options();
    for flag in [
        "DQS=0",
        "DEFAULT_MEMSTATUS=0",
        "ENABLE_COLUMN_METADATA",
        "ENABLE_FTS5",
        "ENABLE_MATH_FUNCTIONS",
        "ENABLE_RTREE",
        "LIKE_DOESNT_MATCH_BLOBS",
        "MAX_EXPR_DEPTH=1000",
        "OMIT_SHARED_CACHE",
        "THREADSAFE=1",
    ] {
        assert!(options.iter().any(|option| option == flag), "{flag} is missing: {options:?}");
    }
    for flag in ["ENABLE_STAT4", "ENABLE_API_ARMOR", "SOUNDEX"] {
        assert!(!options.iter().any(|option| option == flag), "{flag} is there");
    }
}
