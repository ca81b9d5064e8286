//! The numbers of a moment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Shared;
use crate::connection::file_size;
use crate::gate::{Concurrency, Mode, Phase};
use crate::worker::Current;

/// How much of a statement's text is shown.
const SQL_CHARS: usize = 200;

/// The state of a manager at one moment. Reading it takes two short locks, and the size of the write-ahead log from the file
/// system.
#[derive(Clone, Debug)]
pub struct Status {
    /// Read mode, or exclusive write mode.
    pub mode: Mode,
    /// Open, draining or closed.
    pub phase: Phase,
    /// How reads and writes meet.
    pub concurrency: Concurrency,
    /// The readers.
    pub readers: ReaderStatus,
    /// The writer.
    pub writer: WriterStatus,
    /// Calls in the queue, of every kind.
    pub queued: usize,
    /// Handles on the database, in the whole process.
    pub handles: u32,
    /// The write-ahead log.
    pub wal: WalStatus,
    /// Everything that is counted, by name.
    pub counters: Vec<(&'static str, u64)>,
    /// How many calls were answered with which error, by code: those with which none was are left out.
    pub errors: Vec<(&'static str, u64)>,
}

/// The readers at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReaderStatus {
    /// Connections that are open, or being opened.
    pub open: usize,
    /// Read permits that are out.
    pub active: usize,
    /// Connections without work.
    pub idle: usize,
    /// Reads in the queue.
    pub waiting: usize,
    /// The most there may be.
    pub max: u32,
}

/// The writer at one moment.
#[derive(Clone, Debug)]
pub struct WriterStatus {
    /// Whether a write or exclusive permit is out.
    pub active: bool,
    /// Writes in the queue.
    pub waiting: usize,
    /// What holds the writer: a statement, or a session with what it runs now.
    pub holder: Option<HolderStatus>,
}

/// What holds a connection.
#[derive(Clone, Debug)]
pub struct HolderStatus {
    /// The first 200 characters of the SQL text that runs, without values; in parentheses what stands for a session that runs nothing.
    pub sql: String,
    /// For how long: a session, since it has the connection.
    pub elapsed: Duration,
}

/// The write-ahead log at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalStatus {
    /// The size of the `-wal` file; 0 when there is none.
    pub bytes: u64,
    /// For how long the oldest read or session of reads has kept it from being reset, or the oldest snapshot that inline reads have left
    /// open.
    pub oldest_reader: Option<Duration>,
    /// The first 200 characters of what runs there, of the statement that a cursor steps, or of the read that left the snapshot open,
    /// without values; in parentheses what stands for a session that runs nothing.
    pub oldest_reader_sql: Option<String>,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_many(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a manager counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) reads: Counter,
    pub(crate) inline_reads: Counter,
    pub(crate) inline_reuses: Counter,
    pub(crate) inline_fallbacks: Counter,
    pub(crate) writes: Counter,
    pub(crate) groups: Counter,
    pub(crate) grouped_writes: Counter,
    pub(crate) group_retries: Counter,
    pub(crate) fallbacks: Counter,
    pub(crate) denied: Counter,
    pub(crate) errors: Counter,
    pub(crate) sessions: Counter,
    pub(crate) transactions: Counter,
    pub(crate) commits: Counter,
    pub(crate) rollbacks: Counter,
    pub(crate) transaction_retries: Counter,
    pub(crate) session_timeouts: Counter,
    pub(crate) interrupts: Counter,
    pub(crate) panics: Counter,
    pub(crate) checkpoints: Counter,
    pub(crate) checkpoint_errors: Counter,
    pub(crate) wal_truncations: Counter,
    pub(crate) reader_opens: Counter,
    pub(crate) reader_closes: Counter,
    pub(crate) prunes: Counter,
    pub(crate) discards: Counter,
    pub(crate) writer_replacements: Counter,
}

impl Counters {
    fn list(&self) -> [(&'static str, u64); 27] {
        [
            ("reads", self.reads.get()),
            ("inlineReads", self.inline_reads.get()),
            ("inlineReuses", self.inline_reuses.get()),
            ("inlineFallbacks", self.inline_fallbacks.get()),
            ("writes", self.writes.get()),
            ("groups", self.groups.get()),
            ("groupedWrites", self.grouped_writes.get()),
            ("groupRetries", self.group_retries.get()),
            ("fallbacks", self.fallbacks.get()),
            ("denied", self.denied.get()),
            ("errors", self.errors.get()),
            ("sessions", self.sessions.get()),
            ("transactions", self.transactions.get()),
            ("commits", self.commits.get()),
            ("rollbacks", self.rollbacks.get()),
            ("transactionRetries", self.transaction_retries.get()),
            ("sessionTimeouts", self.session_timeouts.get()),
            ("interrupts", self.interrupts.get()),
            ("panics", self.panics.get()),
            ("checkpoints", self.checkpoints.get()),
            ("checkpointErrors", self.checkpoint_errors.get()),
            ("walTruncations", self.wal_truncations.get()),
            ("readerOpens", self.reader_opens.get()),
            ("readerCloses", self.reader_closes.get()),
            ("prunes", self.prunes.get()),
            ("discards", self.discards.get()),
            ("writerReplacements", self.writer_replacements.get()),
        ]
    }
}

impl Shared {
    pub(crate) fn status(&self) -> Status {
        let gate = self.gate.status();
        let (open, idle) = {
            let readers = self.readers.lock();
            (readers.open().to_vec(), readers.idle_count())
        };
        let now = Instant::now();
        let elapsed = |current: &Current| now.saturating_duration_since(current.since);
        let reads = open.iter().flat_map(|worker| [worker.current(), worker.held()]).flatten();
        let oldest = reads.min_by_key(|current| current.since);
        let shown = |current: &Current| current.query.sql().chars().take(SQL_CHARS).collect();
        let holder =
            self.writer.current().map(|current| HolderStatus { elapsed: elapsed(&current), sql: shown(&current) });
        let mut counters = self.counters.list().to_vec();
        let (peak_readers, peak_readers_beside_writer) = self.activity.peaks();
        let cache = self.metrics.cache.sum();
        counters.extend([
            ("peakReaders", u64::from(peak_readers)),
            ("peakReadersBesideWriter", u64::from(peak_readers_beside_writer)),
            ("modeSwitches", gate.mode_switches),
            ("busyRetries", self.metrics.busy_retries.get()),
            ("statementCacheHits", cache.hits),
            ("statementCacheMisses", cache.misses),
        ]);
        Status {
            mode: gate.mode,
            phase: if self.is_closed() {
                Phase::Closed
            } else if self.is_closing() {
                Phase::Draining
            } else {
                gate.phase
            },
            concurrency: gate.concurrency,
            readers: ReaderStatus {
                open: open.len(),
                active: gate.active_readers as usize,
                idle,
                waiting: gate.waiting_readers,
                max: self.options.max_readers,
            },
            writer: WriterStatus {
                active: gate.active_writer || gate.active_exclusive,
                waiting: gate.waiting_writers,
                holder,
            },
            queued: gate.queued,
            handles: self.members.count(),
            wal: WalStatus {
                bytes: self.wal_bytes(),
                oldest_reader: oldest.as_ref().map(elapsed),
                oldest_reader_sql: oldest.as_ref().map(shown),
            },
            counters,
            errors: self.metrics.errors(),
        }
    }

    pub(super) fn wal_bytes(&self) -> u64 {
        self.wal_path().map_or(0, file_size)
    }
}
