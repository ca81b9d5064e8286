//! Handles: who shares a manager. The last one to leave closes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::bursts::Bursts;
use super::order::{Order, ReadOrder};
use super::{Manager, Shared, closed};
use crate::completion::Sink;
use crate::error::Result;

/// How many handles have a manager. Those who come after the last has left are too late.
#[derive(Debug, Default)]
pub(super) struct Members(AtomicU32);

impl Members {
    pub(super) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts one handle until it leaves, or is dropped.
#[derive(Debug)]
pub(super) struct Member {
    shared: Arc<Shared>,
    id: u64,
    left: AtomicBool,
    bursts: Bursts,
}

impl Member {
    /// Counts the handle that opened the database.
    pub(super) fn first(shared: &Arc<Shared>) -> Self {
        shared.members.0.fetch_add(1, Ordering::Relaxed);
        Self::new(shared, false)
    }

    /// Counts another handle. Returns nothing when the last one has left.
    pub(super) fn join(shared: &Arc<Shared>) -> Option<Self> {
        let one_more = |count: u32| if count == 0 { None } else { count.checked_add(1) };
        let joined = shared.members.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        joined.is_ok().then(|| Self::new(shared, false))
    }

    /// Stands for a handle that came too late.
    pub(super) fn late(shared: &Arc<Shared>) -> Self {
        Self::new(shared, true)
    }

    fn new(shared: &Arc<Shared>, left: bool) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::clone(shared), id, left: AtomicBool::new(left), bursts: Bursts::default() }
    }

    /// Tells the sessions of this handle from those of others.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn bursts(&self) -> &Bursts {
        &self.bursts
    }

    pub(super) fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Counts this one no more. Whoever is last begins to close the manager, which interrupts what still runs after `timeout`.
    pub(super) fn leave(&self, timeout: Duration) {
        if self.left.swap(true, Ordering::Relaxed) {
            return;
        }
        let before = self.shared.members.0.fetch_sub(1, Ordering::AcqRel);
        assert!(before > 0, "BUG: I5 a handle left twice");
        if before == 1 {
            self.shared.begin_close(timeout);
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.leave(self.shared.options.close_timeout);
    }
}

impl Manager {
    /// Makes another handle, which is closed by itself. One of a handle that is closed is closed.
    #[must_use]
    pub fn sibling(&self) -> Self {
        let joined = if self.member.has_left() { None } else { Member::join(&self.shared) };
        let member = Arc::new(joined.unwrap_or_else(|| Member::late(&self.shared)));
        let order = self.order.as_ref().and_then(|_| Order::of(ReadOrder::Submitted));
        Self { shared: Arc::clone(&self.shared), member, order }
    }

    /// Returns how many handles on this database there are in the process.
    #[must_use]
    pub fn handles(&self) -> u32 {
        self.shared.members.count()
    }

    /// Returns a number that handles on one database share, and others do not.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// Returns how many names the file has. Under another one SQLite looks for another write-ahead log: a process that opens the file
    /// by that corrupts it ([How to corrupt](https://sqlite.org/howtocorrupt.html), 2.5). 1 where the system does not tell, and in memory.
    #[must_use]
    pub fn hard_links(&self) -> u64 {
        self.shared.hard_links()
    }

    /// Counts a transaction that its owner tries again, because another process was in the way.
    pub fn count_retry(&self) {
        self.shared.counters.transaction_retries.add();
    }

    /// Ends the sessions that this handle began and that have a connection: they are rolled back.
    fn end_sessions(&self) {
        self.shared.sessions.end_of(self.member.id(), &closed());
    }

    /// Closes the handle: it admits nothing more. The last one closes the database: that waits for what is running, and closes every
    /// connection. Another one rolls back its own sessions, and leaves its other calls to come to their end.
    ///
    /// When the database closes, queued calls are rejected. What still runs after [`Options::close_timeout`](super::Options::close_timeout) is interrupted. Every
    /// caller gets the same result, once.
    ///
    /// # Errors
    /// What SQLite said when the writer was closed.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the closing.
    pub async fn close(&self) -> Result<()> {
        self.close_within(self.shared.options.close_timeout).await
    }

    /// Closes as [`Manager::close`], interrupting what still runs after `timeout`.
    ///
    /// Only the call that begins the closing says how long that is.
    ///
    /// # Errors
    /// As [`Manager::close`].
    ///
    /// # Cancel safety
    /// As [`Manager::close`].
    pub async fn close_within(&self, timeout: Duration) -> Result<()> {
        self.member.leave(timeout);
        if self.shared.is_closing() {
            return self.shared.closed().await;
        }
        self.end_sessions();
        Ok(())
    }

    /// Begins what [`Manager::close_within`] does, without waiting.
    pub fn begin_close(&self, timeout: Duration) {
        self.member.leave(timeout);
        if !self.shared.is_closing() {
            self.end_sessions();
        }
    }

    /// Blocks the thread until the database is closed, if it is closing, but no longer than `patience`. Returns whether there is nothing to wait for any more.
    ///
    /// # Panics
    /// In asynchronous code that runs on tokio, which must not be blocked.
    #[must_use]
    pub fn wait_closed(&self, patience: Duration) -> bool {
        if !self.shared.is_closing() {
            return true;
        }
        let closed = async { tokio::time::timeout(patience, self.shared.closed()).await };
        crate::control::handle().block_on(closed).is_ok()
    }

    /// Tells the sessions of this handle from those of others.
    pub(crate) fn handle_id(&self) -> u64 {
        self.member.id()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.member.has_left()
    }

    /// Stops what runs for `sink`, which nobody takes answers from any more: see [`Sink::is_closed`]. What others asked for goes on.
    pub fn abandon(&self, sink: &Arc<dyn Sink>) {
        let readers = self.shared.readers.lock().open().to_vec();
        for worker in readers.iter().chain([&self.shared.writer]) {
            worker.abandon(sink.number());
        }
    }
}
