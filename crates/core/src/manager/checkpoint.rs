//! When the write-ahead log is moved into the database, and emptied: <https://sqlite.org/wal.html#ckpt>.
//!
//! SQLite would checkpoint inside a commit, and so delay its acknowledgement. Here a connection of its own does, as the log grows. It
//! waits for nobody: what is written meanwhile the writer moves itself, so that the log begins anew. That cannot be while reads overlap
//! without a gap: past a limit, or when nothing happens, the writer empties it. A read that begins when everything is moved does not read
//! from the log, so it waits only for those that are older, or, where they take long, for a gap at the gate.

mod gap;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::waiting::permit;
use super::{Manager, Permit, Shared};
use crate::completion::{Delivery, Reply, Sink};
use crate::connection::{PolicedConnection, Policy, Route, WalRequest, open_writer};
use crate::control;
use crate::error::{Error, ErrorCode, Result};
use crate::gate::Class;
use crate::lease::collect;
use crate::params::Params;
use crate::query::{Query, Request};
use crate::trace;
use crate::worker::{Found, Job, Work};
use gap::meeting_nobody;

/// After how many new pages in the log a checkpoint follows: SQLite's own choice, at which the work of one is small.
const PAGES: u32 = 1_000;

/// How large the file of the log may be, in bytes, before it is emptied although somebody reads.
const LIMIT: u64 = 64 * 1024 * 1024;

/// A smaller file is left as it is when nothing happens: it will be filled again, and to write over what is there takes a fifth of the time
/// that making a file longer does. The log begins anew before it is larger, with pages of 4 KiB.
const KEPT: u64 = 20 * 1024 * 1024;

/// How many pages the log must have before the writer moves the last of them, where they come fast: that takes it about a millisecond.
const LONG: u32 = 4_000;

/// For how long [`PAGES`] must have been written for that millisecond not to matter: the log need not be longer then.
const UNHURRIED: Duration = Duration::from_millis(20);

/// How many pages the checkpointer may have left for the writer, as many as are written while it moves the others: more would hold up the
/// next write for longer than a few milliseconds.
const LAST: u32 = 1_000;

/// For how long nothing must have been written before the log is emptied for tidiness.
const QUIET: Duration = Duration::from_secs(1);

/// The longest pause between two attempts to empty the log of which nobody has asked: each holds everybody up for as long as the longest
/// read takes.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How far a checkpoint goes: <https://sqlite.org/c3ref/wal_checkpoint_v2.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointMode {
    /// Moves what no reader needs any more, and waits for nobody.
    Passive,
    /// Moves everything.
    Full,
    /// Moves everything, so that the next write begins the log anew.
    Restart,
    /// Moves everything, and empties the file.
    Truncate,
}

impl CheckpointMode {
    /// Returns its name, as JavaScript and the logs have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passive => "passive",
            Self::Full => "full",
            Self::Restart => "restart",
            Self::Truncate => "truncate",
        }
    }

    fn statement(self) -> &'static str {
        match self {
            Self::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
            Self::Full => "PRAGMA wal_checkpoint(FULL)",
            Self::Restart => "PRAGMA wal_checkpoint(RESTART)",
            Self::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
        }
    }

    pub(crate) fn request(self) -> Request {
        let query = Query::new(self.statement());
        query.set_hint(Some(Route::Write));
        Request::new(query, Params::none())
    }
}

/// Measures a checkpoint that somebody asked for, or counts that it failed, and hands its answer on.
struct Measured {
    sink: Arc<dyn Sink>,
    mode: CheckpointMode,
    since: Instant,
    shared: Weak<Shared>,
}

impl Sink for Measured {
    fn deliver(&self, call: u32, delivery: Delivery) {
        if let Some(shared) = self.shared.upgrade() {
            if let Some(found) = delivery.chunk().and_then(Found::in_answer) {
                shared.metrics.checkpointed(self.mode, found, self.since.elapsed());
            }
            if let Some(failure) = delivery.failure() {
                shared.checkpoint_failed(self.mode, &failure.error);
            }
        }
        self.sink.deliver(call, delivery);
    }

    fn wait_for_room(&self) -> bool {
        self.sink.wait_for_room()
    }

    fn is_closed(&self) -> bool {
        self.sink.is_closed()
    }

    fn number(&self) -> usize {
        self.sink.number()
    }
}

/// Hands the answer of a checkpoint on, unless it says that somebody was in the way.
struct UnlessBusy(Mutex<Option<Asked>>);

/// Who asked, and where the question goes back to if it was not answered.
type Asked = (Reply, oneshot::Sender<Reply>);

impl UnlessBusy {
    /// Returns what to answer instead of `reply`, and the future of `reply`: there is none once it is answered.
    fn instead_of(reply: Reply) -> (Reply, oneshot::Receiver<Reply>) {
        let (unanswered, busy) = oneshot::channel();
        let sink = Self(Mutex::new(Some((reply, unanswered))));
        (Reply::new(Arc::new(sink), 0), busy)
    }
}

impl Sink for UnlessBusy {
    fn deliver(&self, _call: u32, delivery: Delivery) {
        let Some((reply, unanswered)) = self.0.lock().take() else { return };
        let delivery = delivery.untimed();
        if delivery.chunk().and_then(Found::in_answer).is_some_and(|found| found.is_busy) {
            drop(unanswered.send(reply));
        } else {
            reply.settle(delivery);
        }
    }
}

/// What is known of the growth of the log.
#[derive(Debug, Default)]
pub(crate) struct WalCare {
    /// How many pages it had when it was last looked at.
    seen: AtomicU32,
    /// How many pages of a log that is long the checkpointer has just moved, all there were; 0 when nothing is to be done about it.
    moved: AtomicU32,
    /// When the checkpointer was last nudged.
    nudged: Mutex<Option<Instant>>,
    /// Whether the [`PAGES`] before that took [`UNHURRIED`] or longer to come.
    unhurried: AtomicBool,
    /// Whether it is about to be emptied.
    emptying: AtomicBool,
    /// Whether somebody waits to see if nothing happens.
    waiting_for_quiet: AtomicBool,
}

impl WalCare {
    /// Forgets what was known of a log that is gone.
    pub(crate) fn begin_anew(&self) {
        self.seen.store(0, Ordering::Relaxed);
        self.moved.store(0, Ordering::Relaxed);
    }

    fn time_nudge(&self) {
        let now = Instant::now();
        let before = self.nudged.lock().replace(now);
        let unhurried = before.is_some_and(|before| now.duration_since(before) >= UNHURRIED);
        self.unhurried.store(unhurried, Ordering::Relaxed);
    }
}

impl Manager {
    /// Moves pages from the write-ahead log into the database, and answers `reply` with one row, as the PRAGMA does: whether
    /// somebody was in the way, the pages in the log, and those of them that are in the database now.
    ///
    /// [`CheckpointMode::Passive`] waits for nobody, unless the database is in exclusive mode. Every other mode does the same first, and then
    /// waits until no write of this process runs, nor a read that needs the log as it was: one that it met would make it fail. New writes
    /// are held back for that; new reads only if those that run take longer than 10 ms. What another process has in the way is waited for
    /// as long as the busy timeout says, while reads and writes go on.
    pub fn answer_checkpoint(&self, mode: CheckpointMode, reply: Reply) {
        let shared = Arc::clone(&self.shared);
        self.end_burst();
        let reply = reply
            .through(|sink| Arc::new(Measured { sink, mode, since: Instant::now(), shared: Arc::downgrade(&shared) }));
        match mode {
            CheckpointMode::Passive if shared.may_checkpoint_beside() => shared.checkpointer.ask(&shared, mode, reply),
            CheckpointMode::Passive => self.submit_job(Job::new(Work::Query(mode.request()), reply)),
            CheckpointMode::Full | CheckpointMode::Restart | CheckpointMode::Truncate => {
                let patient_until = Instant::now() + shared.options.busy_timeout;
                control::spawn(async move {
                    shared.move_ahead().await;
                    meeting_nobody(&shared, mode, reply, patient_until).await;
                });
            }
        }
    }
}

impl Shared {
    /// Has the log looked at when it has grown enough since the last time. `permit` is that of the writer, which is about to be released.
    pub(crate) fn follow_wal(self: &Arc<Self>, connection: &PolicedConnection, permit: &Permit) {
        match permit.class() {
            Class::Read(_) | Class::Write => {}
            // No other connection may be open.
            Class::Exclusive => return self.follow_wal_later(connection.wal_pages()),
        }
        let pages = connection.wal_pages();
        if self.wal_care.moved.load(Ordering::Relaxed) > 0 {
            self.move_the_last(connection, pages);
        }
        let seen = self.wal_care.seen.load(Ordering::Relaxed);
        if grown(seen, pages) >= PAGES && !self.is_closing() {
            self.wal_care.seen.store(pages, Ordering::Relaxed);
            self.wal_care.time_nudge();
            self.checkpointer.nudge(self);
        }
    }

    /// Has the log looked at when exclusive write mode, in which it has grown to so many pages, has ended.
    fn follow_wal_later(self: &Arc<Self>, pages: u32) {
        if grown(self.wal_care.seen.load(Ordering::Relaxed), pages) < PAGES || self.is_closing() {
            return;
        }
        let shared = Arc::clone(self);
        control::spawn(async move {
            let Ok(_permit) = permit(&shared, Class::Write).await else { return };
            if shared.may_checkpoint_beside() {
                shared.wal_care.seen.store(pages, Ordering::Relaxed);
                shared.checkpointer.nudge(&shared);
            }
        });
    }

    /// Moves the pages that were written while the checkpointer moved all the others, so that the next write begins the log anew. Under
    /// writes without a pause nobody else can: there are always some more when the checkpointer is done. The log would grow up to its limit.
    fn move_the_last(&self, connection: &PolicedConnection, pages: u32) {
        let moved = self.wal_care.moved.swap(0, Ordering::Relaxed);
        if pages.checked_sub(moved).is_none_or(|left| left > LAST) || self.is_closing() {
            return;
        }
        // After this the log has nothing that was not looked at.
        self.wal_care.seen.store(pages, Ordering::Relaxed);
        self.checkpoint_passively(connection);
    }

    /// Moves what no reader needs any more. It waits for nobody, and delays no commit. Returns what there is in the log, if it went well.
    pub(crate) fn checkpoint_passively(&self, connection: &PolicedConnection) -> Option<Found> {
        let began = Instant::now();
        match checkpoint(connection) {
            Ok(found) => {
                self.counters.checkpoints.add();
                self.metrics.checkpointed(CheckpointMode::Passive, found, began.elapsed());
                Some(found)
            }
            Err(error) => {
                self.checkpoint_failed(CheckpointMode::Passive, &error);
                None
            }
        }
    }

    /// Counts and tells that a checkpoint failed, unless the database is closed.
    fn checkpoint_failed(&self, mode: CheckpointMode, error: &Error) {
        if error.code == ErrorCode::Closed {
            return;
        }
        self.counters.checkpoint_errors.add();
        let (database, mode) = (&*trace::name(&self.location), mode.name());
        tracing::warn!(target: "sluice::checkpoint", database, mode, %error, "failed");
    }

    /// Moves what can be moved while reads and writes go on, so that those who are in the way of the rest wait a short time. What fails here
    /// fails there too.
    async fn move_ahead(self: &Arc<Self>) {
        if self.may_checkpoint_beside() {
            let (sink, moved) = collect();
            self.checkpointer.ask(self, CheckpointMode::Passive, Reply::new(sink, 0));
            drop(moved.await);
        }
    }

    /// Has the checkpointer do what can be done without waiting for anybody, and answer. Returns `reply` if somebody was in the way.
    async fn checkpoint_beside(self: &Arc<Self>, mode: CheckpointMode, reply: Reply) -> Option<Reply> {
        let (reply, busy) = UnlessBusy::instead_of(reply);
        self.checkpointer.ask(self, mode, reply);
        busy.await.ok()
    }

    /// Whether another connection may be opened, to a log that there is.
    fn may_checkpoint_beside(&self) -> bool {
        let status = self.gate.status();
        let has_log = self.wal.lock().is_some();
        has_log && !status.active_exclusive && !self.is_closing() && !self.options.readonly
    }

    pub(crate) fn open_checkpointer_connection(&self) -> Result<PolicedConnection> {
        self.check_identity()?;
        let (connection, _) = open_writer(&self.location, &self.connection_config(), WalRequest::Keep)?;
        self.check_identity()?;
        // Without a read before it, a checkpoint answers that all is well, and does nothing.
        connection.refresh_schema()?;
        Ok(connection)
    }

    /// Looks at what a checkpoint left in the log.
    pub(crate) fn after_checkpoint(self: &Arc<Self>, found: Found) {
        let is_moved = found.moved == found.pages;
        if is_moved && (found.pages >= LONG || self.wal_care.unhurried.load(Ordering::Relaxed)) {
            self.wal_care.moved.store(found.moved, Ordering::Relaxed);
        }
        let bytes = self.wal_bytes();
        if bytes > LIMIT {
            self.empty();
        } else if bytes > KEPT && is_moved {
            self.empty_when_quiet();
        }
    }

    /// Empties the log, as soon as nobody has a session.
    fn empty(self: &Arc<Self>) {
        if self.wal_care.emptying.swap(true, Ordering::SeqCst) {
            return;
        }
        let shared = Arc::downgrade(self);
        control::spawn(async move { empty_between_sessions(&shared).await });
    }

    /// Empties the log when nothing has been written for a while.
    fn empty_when_quiet(self: &Arc<Self>) {
        if self.wal_care.waiting_for_quiet.swap(true, Ordering::SeqCst) {
            return;
        }
        let shared = Arc::downgrade(self);
        control::spawn(async move { wait_for_quiet(&shared).await });
    }
}

/// By how many pages the log has grown. It begins anew when everything in it was moved and nobody reads from it.
fn grown(seen: u32, pages: u32) -> u32 {
    pages.checked_sub(seen).unwrap_or(pages)
}

fn checkpoint(connection: &PolicedConnection) -> Result<Found> {
    let _policy = connection.with_policy(Policy::Internal);
    let sql = CheckpointMode::Passive.statement();
    // -1: there is no log.
    let pages = |count: i64| u32::try_from(count).unwrap_or(0);
    let (busy, in_log, moved): (i64, i64, i64) =
        connection.raw().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(Found { is_busy: busy != 0, pages: pages(in_log), moved: pages(moved) })
}

/// Empties the log, for tidiness. Returns whether there is nothing more to be done about it: somebody outside may be in the way.
async fn empty(shared: &Arc<Shared>) -> bool {
    let (sink, emptied) = collect();
    let (reply, busy) = UnlessBusy::instead_of(Reply::new(sink, 0));
    meeting_nobody(shared, CheckpointMode::Truncate, reply, Instant::now()).await;
    if busy.await.is_ok() {
        return false;
    }
    match emptied.await {
        Ok(_) => shared.counters.wal_truncations.add(),
        Err(error) => shared.checkpoint_failed(CheckpointMode::Truncate, &error),
    }
    true
}

async fn wait_for_quiet(shared: &Weak<Shared>) {
    let mut written = None;
    loop {
        {
            let Some(shared) = shared.upgrade().filter(|shared| !shared.is_closing()) else { return };
            let now = shared.counters.writes.get();
            if written == Some(now) {
                shared.wal_care.waiting_for_quiet.store(false, Ordering::SeqCst);
                return shared.empty();
            }
            written = Some(now);
        }
        tokio::time::sleep(QUIET).await;
    }
}

async fn empty_between_sessions(shared: &Weak<Shared>) {
    let (mut pause, mut not_before) = (QUIET, Instant::now());
    loop {
        {
            let Some(shared) = shared.upgrade().filter(|shared| !shared.is_closing()) else { return };
            // Whoever has a session keeps the log as it is; a request that waited for that would hold back new ones.
            if shared.gate.status().active_sessions == 0 && Instant::now() >= not_before {
                if shared.wal_bytes() <= KEPT || empty(&shared).await {
                    shared.wal_care.emptying.store(false, Ordering::SeqCst);
                    return;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                not_before = Instant::now() + pause;
            }
        }
        tokio::time::sleep(QUIET).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::Options;

    fn left_to_writer(shared: &Shared) -> u32 {
        shared.wal_care.moved.load(Ordering::Relaxed)
    }

    async fn write(manager: &Manager) -> Result<()> {
        manager.query("INSERT INTO t VALUES (1)", Params::none()).await.map(drop)
    }

    /// Returns how many pages are in the log, all of which are moved by that.
    fn pages_in_log(shared: &Shared) -> Result<Found> {
        checkpoint(&shared.open_checkpointer_connection()?)
    }

    #[tokio::test]
    async fn the_writer_moves_what_was_written_beside_a_checkpoint_and_begins_the_log_anew() -> Result<()> {
        let dir = tempfile::TempDir::new().expect("a temporary directory");
        let manager = Manager::open(dir.path().join("app.db"), Options::default()).await?;
        let shared = &manager.shared;
        manager.query("CREATE TABLE t(x)", Params::none()).await?;
        for _ in 0..10 {
            write(&manager).await?;
        }
        assert_eq!(shared.counters.checkpoints.get(), 0);
        let bytes = shared.wal_bytes();
        // As if the checkpointer had moved the first pages of a long log.
        shared.wal_care.moved.store(3, Ordering::Relaxed);
        write(&manager).await?;
        // The writer looks after the answer: at the latest when it takes the next write.
        write(&manager).await?;
        assert_eq!((shared.counters.checkpoints.get(), left_to_writer(shared)), (1, 0));
        let found = pages_in_log(shared)?;
        assert!(found.pages <= 2 && found.moved == found.pages, "one of the last two writes began it anew: {found:?}");
        assert!(shared.wal_bytes() >= bytes, "it is written over what was there");
        assert_eq!(manager.query("SELECT x FROM t", Params::none()).await?.rows.len(), 12);
        manager.close().await
    }

    #[tokio::test]
    async fn what_is_left_to_the_writer_is_little_of_a_long_log() -> Result<()> {
        let dir = tempfile::TempDir::new().expect("a temporary directory");
        let manager = Manager::open(dir.path().join("app.db"), Options::default()).await?;
        let shared = &manager.shared;
        manager.query("CREATE TABLE t(x)", Params::none()).await?;
        for (pages, moved, left) in [(LONG - 1, LONG - 1, 0), (LONG, LONG - 1, 0), (LONG, LONG, LONG)] {
            shared.after_checkpoint(Found { is_busy: false, pages, moved });
            assert_eq!(left_to_writer(shared), left, "{moved} of {pages}");
        }
        // The log is shorter than what was moved: it has begun anew by itself.
        write(&manager).await?;
        write(&manager).await?;
        assert_eq!((shared.counters.checkpoints.get(), left_to_writer(shared)), (0, 0));
        manager.close().await
    }
}
