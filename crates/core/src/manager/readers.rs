//! The readers: opened lazily, reused last in first out, pruned when idle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::timers::due;
use super::waiting::closed;
use super::{Permit, Shared};
use crate::connection::{PolicedConnection, open_reader};
use crate::error::{Error, ErrorCode, Result};
use crate::trace::{self, tell};
use crate::worker::{CloseReceipt, Exit, Job, Message, Worker, guard, serve_reader};

/// After a reader could not be opened, the connections that are open serve alone for so long: no storm of attempts.
const OPEN_BACKOFF: Duration = Duration::from_millis(100);

/// The readers of one manager. Pure: it opens and closes nothing.
#[derive(Default)]
pub(super) struct Readers {
    /// Every worker with a connection, or about to have one.
    open: Vec<Arc<Worker>>,
    /// Those without work, the one used last at the end.
    idle: Vec<Idle>,
    named: u64,
    failed_at: Option<Instant>,
}

struct Idle {
    worker: Arc<Worker>,
    since: Instant,
}

/// What serves an admitted read.
enum Served {
    By(Arc<Worker>),
    ByNew(Arc<Worker>),
    /// None is idle, and opening one failed a moment ago.
    ByNone,
}

impl Readers {
    /// Takes the idle reader that was used last, or makes room for a new one.
    fn take(&mut self, now: Instant) -> Served {
        if let Some(idle) = self.idle.pop() {
            return Served::By(idle.worker);
        }
        let backing_off = self.failed_at.is_some_and(|failed| now.duration_since(failed) < OPEN_BACKOFF);
        if backing_off {
            return Served::ByNone;
        }
        self.named += 1;
        let worker = Worker::new(format!("reader.{}", self.named));
        self.open.push(Arc::clone(&worker));
        Served::ByNew(worker)
    }

    /// Takes the idle reader that was used last, if there is one.
    pub(super) fn take_idle(&mut self) -> Option<Arc<Worker>> {
        self.idle.pop().map(|idle| idle.worker)
    }

    /// Takes out the readers that have been idle for `ttl` at `now`. Active readers are not among the idle ones (I10).
    pub(super) fn prune(&mut self, now: Instant, ttl: Duration) -> Vec<Arc<Worker>> {
        let expired = self.idle.iter().take_while(|idle| now.duration_since(idle.since) >= ttl).count();
        let pruned: Vec<_> = self.idle.drain(..expired).map(|idle| idle.worker).collect();
        for worker in &pruned {
            self.forget(worker);
        }
        pruned
    }

    /// When the next reader can expire.
    pub(super) fn next_expiry(&self, ttl: Duration) -> Option<Instant> {
        self.idle.first().map(|idle| due(idle.since, ttl))
    }

    fn forget(&mut self, worker: &Arc<Worker>) {
        self.open.retain(|open| !Arc::ptr_eq(open, worker));
    }

    fn remove(&mut self, worker: &Arc<Worker>) {
        self.idle.retain(|idle| !Arc::ptr_eq(&idle.worker, worker));
        self.forget(worker);
    }

    fn did_not_open(&mut self, worker: &Arc<Worker>) {
        self.remove(worker);
        self.failed_at = Some(Instant::now());
    }

    fn drain_idle(&mut self) -> Vec<Arc<Worker>> {
        let idle: Vec<_> = self.idle.drain(..).map(|idle| idle.worker).collect();
        for worker in &idle {
            self.forget(worker);
        }
        idle
    }

    pub(super) fn open(&self) -> &[Arc<Worker>] {
        &self.open
    }

    pub(super) fn idle_count(&self) -> usize {
        self.idle.len()
    }
}

/// Counts a reader's thread from before its connection is opened until after it is closed.
struct AliveReader(Arc<Shared>);

impl AliveReader {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.alive_readers.send_modify(|alive| *alive += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for AliveReader {
    fn drop(&mut self) {
        self.0.alive_readers.send_modify(|alive| {
            *alive = alive.checked_sub(1).expect("BUG: I5 a reader ended twice");
        });
    }
}

/// The life of a reader's thread.
fn be_a_reader(alive: AliveReader, worker: &Arc<Worker>) {
    let shared = Arc::clone(&alive.0);
    let connection = match shared.open_reader_connection() {
        Ok(connection) => connection,
        Err(error) => {
            drop(alive);
            return shared.reader_did_not_open(worker, &error);
        }
    };
    worker.serves(&connection);
    shared.counters.reader_opens.add();
    tell!(DEBUG, "sluice::reader", "opened");
    let exit = guard(|| serve_reader(worker, &shared, &connection));
    shared.readers.lock().remove(worker);
    let left = worker.end();
    let result = close(connection);
    shared.counters.reader_closes.add();
    tell!(DEBUG, "sluice::reader", "closed");
    drop(alive);
    match exit {
        Ok(Exit::Discard(permit)) => {
            shared.counters.discards.add();
            drop(permit);
        }
        Ok(Exit::Close(receipt)) => drop(receipt.send(result)),
        Ok(Exit::Renew) => shared.counters.discards.add(),
        // Not a job's own panic, but one of whoever took its answer. The permit is back already.
        Err(_) => {
            shared.counters.panics.add();
            shared.counters.discards.add();
        }
    }
    shared.redirect(left);
}

impl Shared {
    /// Waits until no reader has a connection, or is about to have one.
    pub(super) async fn no_reader_is_alive(&self) {
        let mut alive = self.alive_readers.subscribe();
        alive.wait_for(|alive| *alive == 0).await.expect("BUG: the sender lives in what we borrow");
    }

    pub(super) fn run_on_a_reader(self: &Arc<Self>, job: Job, permit: Permit) {
        match self.take_reader() {
            Ok(Some(worker)) => {
                if let Err(Message::Run(job, permit)) = worker.send(Message::Run(job, permit)) {
                    // The thread ended between the two steps: its connection broke, or could not be opened.
                    self.readers.lock().remove(&worker);
                    self.run_on_a_reader(job, permit);
                }
            }
            Ok(None) => self.run_without_a_reader(job, permit),
            Err(error) => self.fail_run(job, permit, error),
        }
    }

    /// The writer is always open: it serves what no reader can, one call after another.
    fn run_without_a_reader(self: &Arc<Self>, job: Job, permit: Permit) {
        drop(permit);
        if let Some(cancel) = &job.cancel {
            cancel.paused();
        }
        self.forward_to_writer(job);
    }

    pub(super) fn lease_reader(self: &Arc<Self>) -> Result<Arc<Worker>> {
        self.take_reader()?.ok_or_else(no_connection)
    }

    fn take_reader(self: &Arc<Self>) -> Result<Option<Arc<Worker>>> {
        if let Some(error) = self.lost() {
            return Err(error);
        }
        // A call that was admitted before, and is late: a reader that it opened would outlive the writer.
        if self.is_finishing() {
            return Err(closed());
        }
        let served = self.readers.lock().take(Instant::now());
        match served {
            Served::By(worker) => Ok(Some(worker)),
            Served::ByNew(worker) => Ok(self.start_reader(worker)),
            Served::ByNone => Ok(None),
        }
    }

    fn start_reader(self: &Arc<Self>, worker: Arc<Worker>) -> Option<Arc<Worker>> {
        let name = self.thread_name(worker.role());
        let (alive, body) = (AliveReader::new(self), Arc::clone(&worker));
        let life = move || {
            trace::enter_thread(&alive.0.location, body.role());
            be_a_reader(alive, &body);
        };
        if let Err(error) = Worker::start(name, life) {
            let database = &*trace::name(&self.location);
            tracing::warn!(target: "sluice::reader", database, %error, "no thread");
            self.readers.lock().did_not_open(&worker);
            return None;
        }
        Some(worker)
    }

    pub(crate) fn open_reader_connection(&self) -> Result<PolicedConnection> {
        self.check_identity()?;
        let connection = open_reader(&self.location, &self.connection_config())?;
        self.check_identity()?;
        Ok(connection)
    }

    /// What was meant for a reader that could not be opened goes to the writer, unless the file is not there any more.
    fn reader_did_not_open(self: &Arc<Self>, worker: &Arc<Worker>, error: &Error) {
        tell!(WARN, "sluice::reader", "could not be opened", error = %error);
        self.readers.lock().did_not_open(worker);
        let lost = error.code == ErrorCode::DatabaseReplaced;
        for message in worker.end() {
            match message {
                Message::Run(job, permit) if lost => self.fail_run(job, permit, error.clone()),
                Message::Run(job, permit) => self.run_without_a_reader(job, permit),
                Message::RunLeased(job, _) => job.fail(error.clone()),
                Message::Asked(asked) => asked.fail_for_good(error.clone()),
                Message::CloseCursor(_) | Message::Lend(_) | Message::EndHold(_) => {}
                Message::Release(permit, _) => drop(permit),
                Message::Close(receipt) => drop(receipt),
            }
        }
    }

    /// Serves elsewhere what a reader that ended had not begun.
    fn redirect(self: &Arc<Self>, messages: impl IntoIterator<Item = Message>) {
        for message in messages {
            match message {
                Message::Run(job, permit) => self.run_on_a_reader(job, permit),
                Message::RunLeased(job, _) => job.fail(self.lost_or_closed()),
                Message::Asked(asked) => asked.fail_for_good(self.lost_or_closed()),
                Message::CloseCursor(_) | Message::Lend(_) | Message::EndHold(_) => {}
                Message::Release(permit, _) => drop(permit),
                Message::Close(receipt) => drop(receipt),
            }
        }
    }

    /// Puts a reader back. Its permit is dropped after that, so that whoever is admitted next finds it.
    pub(crate) fn give_back_reader(self: &Arc<Self>, worker: Arc<Worker>, now: Instant) {
        self.readers.lock().idle.push(Idle { worker, since: now });
        self.prune_timer.arm(self);
    }

    /// Closes the readers that have been idle for too long, on their own threads. Returns when to look again.
    pub(super) fn prune(&self, now: Instant) -> Option<Instant> {
        let ttl = self.options.idle_ttl;
        let (pruned, next) = {
            let mut readers = self.readers.lock();
            let pruned = readers.prune(now, ttl);
            // Under the lock, so that nobody finds them gone and not counted.
            for _ in &pruned {
                self.counters.prunes.add();
            }
            (pruned, readers.next_expiry(ttl))
        };
        for worker in pruned {
            let database = &*trace::name(&self.location);
            tracing::debug!(target: "sluice::reader", database, worker = &**worker.role(), "pruned");
            drop(close_worker(&worker));
        }
        next
    }

    /// Closes every idle reader, the checkpointer and the watcher's connection, and waits until they are closed.
    pub(crate) async fn close_readers(&self) {
        let idle = self.readers.lock().drain_idle();
        for worker in &idle {
            drop(close_worker(worker));
        }
        self.no_reader_is_alive().await;
        self.observer.close().await;
        self.checkpointer.close().await;
    }
}

/// The error of a read for which there is no connection.
pub(super) fn no_connection() -> Error {
    let message = "no reader is idle, and another could not be opened";
    Error { extended_code: Some(rusqlite::ffi::SQLITE_CANTOPEN), ..Error::new(ErrorCode::Sqlite, message) }
}

/// Closes a connection. SQLite refuses only when a statement is still open, which would be a bug; the handle is kept alive then.
pub(super) fn close(connection: PolicedConnection) -> Result<()> {
    // An interrupt that came too late stays on the connection until a statement begins. Closing would heed it, and leave the
    // write-ahead log behind.
    drop(connection.refresh_schema());
    connection.close().map_err(|(connection, error)| {
        tell!(ERROR, "sluice::worker", "BUG: I7 a connection was closed with an open statement", error = %error);
        drop(connection);
        error
    })
}

impl Shared {
    /// Fails a job that was admitted and cannot run.
    pub(super) fn fail_run(&self, job: Job, permit: Permit, error: Error) {
        drop(permit);
        self.metrics.failed(&error);
        job.fail(error);
    }
}

/// Tells a worker to close. The receiver ends with it.
pub(super) fn close_worker(worker: &Arc<Worker>) -> oneshot::Receiver<Result<()>> {
    let (receipt, closed): (CloseReceipt, _) = oneshot::channel();
    drop(worker.send(Message::Close(receipt)));
    closed
}
