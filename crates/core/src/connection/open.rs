//! Opening connections, so that whatever a connection later runs, its guarantees already hold.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, ffi};

use super::commits::BellSlot;
use super::noticed::Noticed;
use super::pragma::{self, PragmaKind};
use super::step_limit::StepLimit;
use super::{Authorizer, PolicedConnection, Policy, build, commits, identity, log_writes};
use crate::error::{Error, ErrorCode, Result};

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// A file, by its absolute path; or, with [`ConnectionConfig::uri`], by a text that begins with `file:`.
    File(PathBuf),
    /// Memory, under a name that only this process uses. It lives as long as one connection to it is open.
    Memory(String),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Memory(name) => write!(f, "the in-memory database {name}"),
        }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The one connection that writes.
    Writer,
    /// One of those that only read.
    Reader,
}

/// What an acknowledged write survives: <https://sqlite.org/pragma.html#pragma_synchronous>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// Power loss. The default.
    #[default]
    Full,
    /// The end of the process, but not power loss.
    Normal,
    /// Nothing: a crash of the system may corrupt the file.
    Off,
}

/// How the file is kept consistent: <https://sqlite.org/pragma.html#pragma_journal_mode>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JournalMode {
    /// A rollback journal, deleted at commit.
    Delete,
    /// A rollback journal, truncated at commit.
    Truncate,
    /// A rollback journal, whose header is zeroed at commit.
    Persist,
    /// A rollback journal in memory.
    Memory,
    /// A write-ahead log.
    Wal,
    /// No journal.
    Off,
}

impl JournalMode {
    fn from_name(name: &str) -> Self {
        [
            ("delete", Self::Delete),
            ("truncate", Self::Truncate),
            ("persist", Self::Persist),
            ("memory", Self::Memory),
            ("wal", Self::Wal),
            ("off", Self::Off),
        ]
        .into_iter()
        .find_map(|(known, mode)| (known == name).then_some(mode))
        .expect("BUG: SQLite has six journal modes")
    }
}

/// Whether opening the writer switches the file to a write-ahead log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WalRequest {
    /// When the file can be written and nobody is in the way; else it keeps its mode. The default.
    #[default]
    WhenPossible,
    /// Yes, or opening fails.
    Required,
    /// No: the file keeps its mode.
    Keep,
}

/// How connections are opened.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of open, independent of the others")]
pub struct ConnectionConfig {
    /// Whether nothing may be written, by any connection. Default: false.
    pub readonly: bool,
    /// Whether a file that is not there is made. Default: true.
    pub create: bool,
    /// Whether a path that begins with `file:` is a URI: <https://sqlite.org/uri.html>. Default: false.
    pub uri: bool,
    /// Whether symbolic links in the path are followed; otherwise one is an error. Default: true.
    pub follow_links: bool,
    /// How long to wait for a lock of another process. Default: 5 s.
    pub busy_timeout: Duration,
    /// What an acknowledged write survives. Default: [`Durability::Full`].
    pub durability: Durability,
    /// Whether foreign keys are enforced. Default: true.
    pub foreign_keys: bool,
    /// Settings for every connection, by name and value. [`check_pragmas`] says which are taken. Default: none.
    pub pragmas: Vec<(String, String)>,
    /// Ends every wait for another process, in `open` too, once it is true. Default: a flag of its own.
    pub closing: Arc<AtomicBool>,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            readonly: false,
            create: true,
            uri: false,
            follow_links: true,
            busy_timeout: Duration::from_secs(5),
            durability: Durability::default(),
            foreign_keys: true,
            pragmas: Vec::new(),
            closing: Arc::default(),
        }
    }
}

/// PRAGMAs that must be set before the first page of a new file is written. Existing files ignore them until VACUUM.
const BEFORE_FIRST_PAGE: [&str; 3] = ["page_size", "auto_vacuum", "encoding"];

/// After how many steps of its virtual machine, about 10 us, a statement looks whether it was stopped:
/// <https://sqlite.org/c3ref/progress_handler.html>.
const PROGRESS_STEPS: i32 = 1_000;

/// How long to wait before a lock of another process is tried again. Constant, because a growing pause starves the one that waits.
const BUSY_INTERVAL: Duration = Duration::from_millis(2);

/// Opens the connection that writes, and says which journal mode is really there.
///
/// It rests under [`Policy::Statement`]. With [`ConnectionConfig::readonly`] it cannot write either.
///
/// # Errors
/// SQLite's, with the path in the message: `SQLITE_CANTOPEN`, `SQLITE_NOTADB`, `SQLITE_CORRUPT`, `SQLITE_BUSY` once
/// `busy_timeout` has passed. [`ErrorCode::InvalidArgument`] for a path that is not absolute or holds a NUL,
/// [`ErrorCode::InvalidOption`] for a PRAGMA that cannot be an option, [`ErrorCode::NetworkFileSystem`], [`ErrorCode::SqliteBuild`].
pub fn open_writer(
    location: &Location,
    config: &ConnectionConfig,
    wal: WalRequest,
) -> Result<(PolicedConnection, JournalMode)> {
    check_pragmas(&config.pragmas)?;
    let conn = connect(location, config, Role::Writer)?;
    let prepared = prepare_writer(&conn, location, config, wal);
    let mode = prepared.map_err(|error| with_cause(error, location))?;
    Ok((conn, mode))
}

/// Opens a connection that only reads, under [`Policy::Reader`].
///
/// # Errors
/// As [`open_writer`].
pub fn open_reader(location: &Location, config: &ConnectionConfig) -> Result<PolicedConnection> {
    check_pragmas(&config.pragmas)?;
    let conn = connect(location, config, Role::Reader)?;
    let prepared = prepare_reader(&conn, config);
    prepared.map_err(|error| with_path(error, location))?;
    Ok(conn)
}

/// Checks that `pragmas` can be set when a connection opens: those of one connection, and `page_size`, `auto_vacuum` and
/// `encoding` for new files.
///
/// # Errors
/// [`ErrorCode::InvalidOption`], naming the first that cannot.
pub fn check_pragmas(pragmas: &[(String, String)]) -> Result<()> {
    let refused =
        pragmas.iter().find(|(name, _)| pragma::kind(name) != PragmaKind::PerConnection && !is_before_first_page(name));
    refused.map_or(Ok(()), |(name, _)| {
        let hint = pragma::advice(name).map_or(String::new(), |advice| format!("; {advice}"));
        Err(Error::new(
            ErrorCode::InvalidOption,
            format!("the PRAGMA {name} cannot be set in the option pragmas{hint}"),
        ))
    })
}

/// Returns the journal mode of the main database.
///
/// # Errors
/// SQLite's.
pub fn journal_mode(conn: &PolicedConnection) -> Result<JournalMode> {
    let _policy = conn.with_policy(Policy::Internal);
    let name: String = conn.raw().pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    Ok(JournalMode::from_name(&name))
}

/// Sets `synchronous` so that `durability` holds in `mode`. To be called again when the journal mode changes.
///
/// # Errors
/// SQLite's.
pub fn apply_durability(conn: &PolicedConnection, durability: Durability, mode: JournalMode) -> Result<()> {
    let synchronous = match (durability, mode) {
        (Durability::Full, JournalMode::Wal) => "FULL",
        // FULL leaves the directory entry of a deleted rollback journal unsynced: the journal may come back.
        (
            Durability::Full,
            JournalMode::Delete | JournalMode::Truncate | JournalMode::Persist | JournalMode::Memory | JournalMode::Off,
        ) => "EXTRA",
        (Durability::Normal, _) => "NORMAL",
        (Durability::Off, _) => "OFF",
    };
    let _policy = conn.with_policy(Policy::Internal);
    conn.raw().pragma_update(None, "synchronous", synchronous)?;
    // Of macOS only, where fsync alone does not reach the disk; elsewhere SQLite ignores it.
    conn.raw().pragma_update(None, "fullfsync", durability == Durability::Full)?;
    Ok(())
}

pub(super) fn connect(location: &Location, config: &ConnectionConfig, role: Role) -> Result<PolicedConnection> {
    build::require_build()?;
    let flags = open_flags(location, config, role);
    let opened = match location {
        Location::File(path) => {
            require_openable(path, flags)?;
            Connection::open_with_flags_and_vfs(path, flags, log_writes::vfs()?)
        }
        Location::Memory(name) => Connection::open_with_flags_and_vfs(format!("/{name}"), flags, c"memdb"),
    };
    let mut conn = opened.map_err(|error| with_path(Error::from_sqlite(&error), location))?;
    let resting = match role {
        Role::Writer => Policy::Statement,
        Role::Reader => Policy::Reader,
    };
    let authorizer = Authorizer::new(resting);
    authorizer.install(&mut conn)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let noticed = Arc::new(Noticed::default());
    let step_limit = Arc::new(StepLimit::default());
    let waits = busy_handler(config, Arc::clone(&interrupted), Arc::clone(&noticed), Arc::clone(&step_limit));
    conn.busy_handler(Some(waits))?;
    let rolled_back = Arc::clone(&noticed);
    conn.rollback_hook(Some(move || rolled_back.rolled_back()))?;
    let stop = Arc::clone(&interrupted);
    let committing = Arc::clone(&noticed);
    let bell = BellSlot::default();
    let at_commit = Arc::clone(&bell);
    conn.commit_hook(Some(move || {
        committing.commits();
        commits::ring(&at_commit);
        false
    }))?;
    // SQLite asks again when a statement has committed, once for each stretch of steps that it made without being asked, and would say of it
    // that it was interrupted.
    let limit = Arc::clone(&step_limit);
    let passing = Arc::clone(&noticed);
    let stops = move || {
        passing.stepped();
        !passing.is_committing() && (stop.load(Ordering::Relaxed) || limit.is_passed())
    };
    conn.progress_handler(PROGRESS_STEPS, Some(stops))?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    let wal_pages = Arc::new(AtomicU32::new(0));
    if role == Role::Writer {
        // It takes the place of SQLite's own checkpoints, which would delay the acknowledgement of a commit.
        let pages = Arc::clone(&wal_pages);
        let after_commit = Arc::clone(&bell);
        conn.wal_hook(Some(move |_: &mut Wal, count| {
            commits::ring(&after_commit);
            pages.store(u32::try_from(count).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
    }
    let foreign_keys_suspended = std::cell::Cell::new(false);
    Ok(PolicedConnection {
        conn: Some(conn),
        authorizer,
        role,
        interrupted,
        wal_pages,
        bell,
        foreign_keys_suspended,
        noticed,
        step_limit,
    })
}

fn open_flags(location: &Location, config: &ConnectionConfig, role: Role) -> OpenFlags {
    let always = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let access = if config.readonly || role == Role::Reader {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else if config.create {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    };
    let uri = if config.uri && is_uri(location) { OpenFlags::SQLITE_OPEN_URI } else { OpenFlags::empty() };
    let links = if config.follow_links { OpenFlags::empty() } else { OpenFlags::SQLITE_OPEN_NOFOLLOW };
    always | access | uri | links
}

/// Whether SQLite takes a name for a URI, where it may: <https://sqlite.org/uri.html>.
pub(crate) fn names_uri(name: &Path) -> bool {
    name.as_os_str().as_encoded_bytes().starts_with(b"file:")
}

fn is_uri(location: &Location) -> bool {
    match location {
        Location::File(path) => names_uri(path),
        Location::Memory(_) => false,
    }
}

/// Refuses what SQLite would misread, or name by a consequence: reading a folder is a "disk I/O error" to it.
fn require_openable(path: &Path, flags: OpenFlags) -> Result<()> {
    let invalid = |cause| {
        let message = format!("the path {} cannot be opened: {cause}", path.display());
        Err(Error::new(ErrorCode::InvalidArgument, message))
    };
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return invalid("it holds a NUL character");
    }
    if !path.is_absolute() && !flags.contains(OpenFlags::SQLITE_OPEN_URI) {
        return invalid("it is not absolute");
    }
    if path.is_dir() {
        let error = Error::new(ErrorCode::Sqlite, format!("cannot open {}: it is a folder", path.display()));
        return Err(Error { extended_code: Some(ffi::SQLITE_CANTOPEN_ISDIR), ..error });
    }
    Ok(())
}

/// Makes the handler that SQLite asks whether to try again when another process holds a lock.
fn busy_handler(
    config: &ConnectionConfig,
    interrupted: Arc<AtomicBool>,
    noticed: Arc<Noticed>,
    step_limit: Arc<StepLimit>,
) -> impl FnMut(i32) -> bool + Send + 'static {
    let (timeout, closing) = (config.busy_timeout, Arc::clone(&config.closing));
    let mut since = Instant::now();
    move |earlier_calls| {
        if step_limit.is_set() {
            return false;
        }
        if earlier_calls == 0 {
            since = Instant::now();
        }
        let waited = since.elapsed();
        let left = timeout.saturating_sub(waited);
        if left.is_zero() || interrupted.load(Ordering::Relaxed) || closing.load(Ordering::Relaxed) {
            return false;
        }
        pause(left.min(BUSY_INTERVAL));
        noticed.busy(since.elapsed().saturating_sub(waited));
        true
    }
}

#[expect(clippy::disallowed_methods, reason = "another process holds the lock, and there is nothing it could wake")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

fn prepare_writer(
    conn: &PolicedConnection,
    location: &Location,
    config: &ConnectionConfig,
    wal: WalRequest,
) -> Result<JournalMode> {
    let _policy = conn.with_policy(Policy::Internal);
    let path = file_path(conn, location, config);
    let writable = !conn.is_readonly()?;
    let wal = if writable && path.is_some() { wal } else { WalRequest::Keep };
    if wal != WalRequest::Keep {
        require_local(path.as_deref())?;
    }
    conn.refresh_schema()?;
    if writable {
        set_pragmas(conn, &config.pragmas, is_before_first_page)?;
    }
    let mode = settle_journal_mode(conn, wal)?;
    if mode == JournalMode::Wal {
        require_local(path.as_deref())?;
        // A file that has just been switched gets its log with the first read, and whoever opened it may ask for it at once.
        conn.refresh_schema()?;
    }
    set_connection_pragmas(conn, config, mode)?;
    if config.readonly && path.is_none() {
        // Temporary objects and attached databases would lead every read to this connection.
        conn.raw().pragma_update(None, "query_only", true)?;
        conn.raw().set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    }
    Ok(mode)
}

/// Returns the path of the file, which a URI may name in another way.
fn file_path(conn: &PolicedConnection, location: &Location, config: &ConnectionConfig) -> Option<PathBuf> {
    match location {
        Location::File(_) if config.uri && is_uri(location) => {
            conn.raw().path().filter(|path| !path.is_empty()).map(PathBuf::from)
        }
        Location::File(path) => Some(path.clone()),
        Location::Memory(_) => None,
    }
}

/// Refuses a write-ahead log on a network file system, before SQLite meets it as an I/O error.
fn require_local(path: Option<&Path>) -> Result<()> {
    path.map_or(Ok(()), identity::require_local_file_system)
}

fn prepare_reader(conn: &PolicedConnection, config: &ConnectionConfig) -> Result<()> {
    let _policy = conn.with_policy(Policy::Internal);
    conn.refresh_schema()?;
    set_connection_pragmas(conn, config, journal_mode(conn)?)?;
    conn.raw().pragma_update(None, "query_only", true)?;
    Ok(())
}

fn settle_journal_mode(conn: &PolicedConnection, wal: WalRequest) -> Result<JournalMode> {
    let before = journal_mode(conn)?;
    if before == JournalMode::Wal || wal == WalRequest::Keep {
        return Ok(before);
    }
    match conn.raw().pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())) {
        Ok(()) => {}
        Err(error) => keep_mode_or_fail(Error::from_sqlite(&error), wal)?,
    }
    let after = journal_mode(conn)?;
    if wal == WalRequest::Required && after != JournalMode::Wal {
        return Err(Error::new(ErrorCode::InvalidOption, "the file cannot be switched to a write-ahead log"));
    }
    Ok(after)
}

/// Takes a refusal of the switch to WAL as an answer, unless it was required or says that something is broken.
fn keep_mode_or_fail(error: Error, wal: WalRequest) -> Result<()> {
    let in_the_way =
        [ffi::SQLITE_BUSY, ffi::SQLITE_LOCKED, ffi::SQLITE_READONLY, ffi::SQLITE_CANTOPEN, ffi::SQLITE_PERM];
    if wal == WalRequest::WhenPossible && error.primary_code().is_some_and(|code| in_the_way.contains(&code)) {
        return Ok(());
    }
    Err(error)
}

fn set_connection_pragmas(conn: &PolicedConnection, config: &ConnectionConfig, mode: JournalMode) -> Result<()> {
    apply_durability(conn, config.durability, mode)?;
    conn.raw().pragma_update(None, "foreign_keys", config.foreign_keys)?;
    conn.raw().pragma_update(None, "mmap_size", 0)?;
    set_pragmas(conn, &config.pragmas, |name| !is_before_first_page(name))
}

fn set_pragmas(conn: &PolicedConnection, pragmas: &[(String, String)], wanted: impl Fn(&str) -> bool) -> Result<()> {
    for (name, value) in pragmas.iter().filter(|(name, _)| wanted(name)) {
        conn.raw().pragma_update(None, name, value)?;
    }
    Ok(())
}

fn is_before_first_page(name: &str) -> bool {
    BEFORE_FIRST_PAGE.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn with_cause(error: Error, location: &Location) -> Error {
    match location {
        Location::File(path) => match identity::explain_file_system(path, error) {
            error if error.code == ErrorCode::NetworkFileSystem => error,
            error => with_path(error, location),
        },
        Location::Memory(_) => with_path(error, location),
    }
}

fn with_path(error: Error, location: &Location) -> Error {
    error.in_context(format_args!("cannot open {location}"))
}
