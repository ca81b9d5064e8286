//! What the user says about a database, and where it is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::{ReadOrder, Shared};
use crate::connection::{ConnectionConfig, Durability, Location, names_uri};
use crate::error::{Error, ErrorCode, Result};
use crate::gate::Concurrency;

/// The most readers: SQLite's WAL index has room for few read marks, and each reader is a thread.
const MAX_READERS: u32 = 1_024;

/// Options of a manager. Start from `Options::default()`.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent question to the user")]
pub struct Options {
    /// Opens the file for reading only; every write then fails with `SQLITE_READONLY`. Default: false.
    pub readonly: bool,
    /// Makes the file when it is missing. Default: true.
    pub create: bool,
    /// Takes a path that starts with `file:` as a URI: <https://sqlite.org/uri.html>. Default: false, a path is a literal name.
    pub uri: bool,
    /// Follows symbolic links in the path. Otherwise one in any part of it is `SQLITE_CANTOPEN_SYMLINK`, also where the file is open
    /// already. Default: true.
    pub follow_links: bool,
    /// How reads and writes meet. Default (`None`): [`Concurrency::Wal`] for a file whose journal mode is WAL, or can be made
    /// so; else [`Concurrency::Exclusive`].
    pub concurrency: Option<Concurrency>,
    /// The most readers; 0 runs everything on the writer. Default: the number of cores, at least 2, at most 8.
    pub max_readers: u32,
    /// For how long a reader may be unused before it is closed. Default: 60 s.
    pub idle_ttl: Duration,
    /// What a committed write survives. Default: [`Durability::Full`].
    pub durability: Durability,
    /// How far writes that wait at the same time share one transaction. Default: [`GroupLimits::default`]; `None`: each has its own.
    pub group_commit: Option<GroupLimits>,
    /// Which writes a read sees for sure. Default: [`ReadOrder::Acknowledged`].
    pub read_order: ReadOrder,
    /// How long a call may wait in the queue. Default: 30 s.
    pub acquire_timeout: Duration,
    /// How long SQLite may wait for a lock that another process holds. Default: 5 s.
    pub busy_timeout: Duration,
    /// The most calls in the queue. Default: 262,144.
    pub max_queued: usize,
    /// The most bytes of one result: 56 for each row, 8 for each value, and those of its texts and blobs. Default: 1 GiB.
    pub max_result_bytes: usize,
    /// The most bytes of one text, for callers whose strings have a limit of their own. Default: none.
    pub max_text_bytes: usize,
    /// How many prepared statements each connection keeps. Default: 128.
    pub statement_cache_size: usize,
    /// After how many short runs in a row, of at most 100 us on a reader, a statement may run on the thread of its caller:
    /// [`Manager::try_inline`](super::Manager::try_inline). Default: 4; `None`: never.
    pub inline_reads: Option<u16>,
    /// Enforces foreign keys: <https://sqlite.org/foreignkeys.html>. Default: true.
    pub foreign_keys: bool,
    /// Settings for every connection: <https://sqlite.org/pragma.html>. Default: none.
    pub pragmas: Vec<(String, String)>,
    /// How long `close` waits for what is running before it interrupts it. Default: 10 s.
    pub close_timeout: Duration,
    /// The options that the user left out, by the names that messages give them, such as `maxReaders`: where the file is open already, they
    /// agree with what it was opened with. Default: none, every option counts.
    pub left_out: Vec<String>,
}

/// When a group of writes is committed, at the latest. It is earlier when nobody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLimits {
    /// After so many statements. Default: 512.
    pub statements: u32,
    /// After so much work, or up to three more calls of one statement that take long in few steps. Default: 5 ms.
    pub time: Duration,
    /// After so many bytes of results. Default: 1 MiB.
    pub bytes: usize,
}

impl Default for GroupLimits {
    fn default() -> Self {
        Self { statements: 512, time: Duration::from_millis(5), bytes: 1024 * 1024 }
    }
}

impl Default for Options {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            readonly: false,
            create: true,
            uri: false,
            follow_links: true,
            concurrency: None,
            max_readers: u32::try_from(cores.clamp(2, 8)).expect("BUG: at most 8"),
            idle_ttl: Duration::from_mins(1),
            durability: Durability::Full,
            group_commit: Some(GroupLimits::default()),
            read_order: ReadOrder::default(),
            acquire_timeout: Duration::from_secs(30),
            busy_timeout: Duration::from_secs(5),
            max_queued: 262_144,
            max_result_bytes: 1024 * 1024 * 1024,
            max_text_bytes: usize::MAX,
            statement_cache_size: 128,
            inline_reads: Some(4),
            foreign_keys: true,
            pragmas: Vec::new(),
            close_timeout: Duration::from_secs(10),
            left_out: Vec::new(),
        }
    }
}

/// An option as messages show it.
type Shown = (&'static str, String);

impl Options {
    pub(super) fn validate(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::new(ErrorCode::InvalidOption, message));
        if self.max_readers > MAX_READERS {
            return invalid(format!("maxReaders is {}; at most {MAX_READERS}", self.max_readers));
        }
        if self.max_queued == 0 {
            return invalid("maxQueued is 0; at least 1".to_owned());
        }
        if self.statement_cache_size == 0 {
            return invalid("statementCacheSize is 0; at least 1".to_owned());
        }
        Ok(())
    }
}

impl Options {
    /// Compares the options of somebody who opens a file that is open with `self`.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidOption`], which names the first option that is not the same, and both of its values.
    pub(super) fn expect_agreement(&self, other: &Self) -> Result<()> {
        let pairs = self.of_the_database().into_iter().zip(other.of_the_database());
        let differs =
            |(ours, theirs): &(Shown, Shown)| ours.1 != theirs.1 && !other.left_out.iter().any(|name| name == ours.0);
        match pairs.into_iter().find(differs) {
            None => Ok(()),
            Some(((name, ours), (_, theirs))) => {
                let message = format!(
                    "the file is open in this process with {name} {ours}, and cannot be opened with {name} {theirs} beside that"
                );
                Err(Error::new(ErrorCode::InvalidOption, message))
            }
        }
    }

    /// The options that all handles on a database share.
    fn of_the_database(&self) -> [Shown; 14] {
        let ms = |duration: Duration| format!("{}", duration.as_secs_f64() * 1_000.0);
        let group = |limits: GroupLimits| {
            format!(
                "{{ maxStatements: {}, maxMs: {}, maxBytes: {} }}",
                limits.statements,
                ms(limits.time),
                limits.bytes
            )
        };
        let concurrency = |concurrency| match concurrency {
            Concurrency::Wal => "'wal'".to_owned(),
            Concurrency::Exclusive => "'exclusive'".to_owned(),
        };
        let durability = match self.durability {
            Durability::Full => "'full'",
            Durability::Normal => "'normal'",
            Durability::Off => "'off'",
        };
        let mut pragmas = self.pragmas.clone();
        pragmas.sort();
        [
            ("concurrency", self.concurrency.map_or_else(|| "by the journal mode".to_owned(), concurrency)),
            ("maxReaders", self.max_readers.to_string()),
            ("idleTtlMs", ms(self.idle_ttl)),
            ("durability", durability.to_owned()),
            ("groupCommit", self.group_commit.map_or_else(|| "false".to_owned(), group)),
            ("acquireTimeoutMs", ms(self.acquire_timeout)),
            ("busyTimeoutMs", ms(self.busy_timeout)),
            ("maxQueued", self.max_queued.to_string()),
            ("maxResultBytes", self.max_result_bytes.to_string()),
            ("maxTextBytes", self.max_text_bytes.to_string()),
            ("statementCacheSize", self.statement_cache_size.to_string()),
            ("inlineReads", if self.inline_reads.is_some() { "'auto'" } else { "'off'" }.to_owned()),
            ("foreignKeys", self.foreign_keys.to_string()),
            ("pragmas", format!("{pragmas:?}")),
        ]
    }
}

/// Fixes where `path` is, so that a later change of the working directory changes nothing.
///
/// `:memory:` and the empty name are a private in-memory database.
pub(super) fn locate(path: &Path, uri: bool) -> Result<Location> {
    let name = path.as_os_str();
    if name.as_encoded_bytes().contains(&0) {
        return Err(Error::new(ErrorCode::InvalidArgument, "the path contains a NUL character"));
    }
    if name.is_empty() || name == ":memory:" {
        return Ok(in_memory());
    }
    if uri && names_uri(path) {
        return Ok(Location::File(path.to_owned()));
    }
    std::path::absolute(path)
        .map(Location::File)
        .map_err(|error| Error::new(ErrorCode::InvalidArgument, format!("{}: {error}", path.display())))
}

/// Makes a place in memory.
pub(super) fn in_memory() -> Location {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Location::Memory(format!("sluice-{number}"))
}

impl Shared {
    pub(super) fn connection_config(&self) -> ConnectionConfig {
        let mut config = connection_config(&self.options, self.close.interrupted());
        config.pragmas.extend(self.pragmas.lock().iter().cloned());
        config
    }
}

/// How the connections of a manager are opened. `closing` ends their waits for other processes.
pub(super) fn connection_config(options: &Options, closing: &Arc<AtomicBool>) -> ConnectionConfig {
    ConnectionConfig {
        readonly: options.readonly,
        create: options.create,
        uri: options.uri,
        follow_links: options.follow_links,
        busy_timeout: options.busy_timeout,
        durability: options.durability,
        foreign_keys: options.foreign_keys,
        pragmas: options.pragmas.clone(),
        closing: Arc::clone(closing),
    }
}
