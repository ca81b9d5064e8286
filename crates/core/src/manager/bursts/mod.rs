//! Bursts of inline reads: the snapshots that they leave open, and who ends them.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Manager, Shared};
use crate::worker::Worker;

/// For how long a snapshot is held, however long the reads go on: it keeps the log from being reset.
const MAX_AGE: Duration = Duration::from_millis(10);

/// The workers whose snapshots the inline reads of one handle have left open.
#[derive(Debug, Default)]
pub(super) struct Bursts {
    /// Whether there may be any.
    some: AtomicBool,
    workers: Mutex<Vec<Arc<Worker>>>,
}

impl Bursts {
    /// Remembers that a read has left a snapshot open.
    pub(super) fn begin(&self, worker: &Arc<Worker>) {
        let mut workers = self.workers.lock();
        // Some may have ended by themselves.
        workers.retain(|known| !Arc::ptr_eq(known, worker) && known.held().is_some());
        workers.push(Arc::clone(worker));
        self.some.store(true, Ordering::Release);
    }

    fn end(&self) {
        if self.some.load(Ordering::Relaxed) && self.some.swap(false, Ordering::AcqRel) {
            let workers = std::mem::take(&mut *self.workers.lock());
            for worker in &workers {
                worker.end_hold_here();
            }
        }
    }
}

impl Manager {
    /// Ends the snapshots that inline reads through this handle have left open: [`Inline::held`](super::Inline::held).
    ///
    /// To be called when the caller has nothing more to read for now. Everything that is submitted through this handle does it too, and
    /// after 10 ms, or when something is committed in this process, it is done without a call.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sluice_core::Result<()> {
    /// use sluice_core::{Manager, Options, Params, Query, Request};
    /// # let dir = tempfile::TempDir::new().expect("a temporary directory");
    /// # let path = dir.path().join("app.db");
    /// let manager = Manager::open(path, Options::default()).await?;
    /// let request = Request::new(Query::new("SELECT count(*) FROM sqlite_schema"), Params::none());
    /// let mut is_held = false;
    /// for _ in 0..100 {
    ///     match manager.try_inline(&request) {
    ///         Some(inline) => is_held |= inline.held,
    ///         None => drop(manager.run(request.clone()).await?),
    ///     }
    /// }
    /// if is_held {
    ///     manager.end_burst();
    /// }
    /// # manager.close().await
    /// # }
    /// ```
    pub fn end_burst(&self) {
        self.member.bursts().end();
    }
}

impl Shared {
    /// How many snapshots inline reads have left open.
    pub(crate) fn holds(&self) -> &AtomicUsize {
        &self.holds
    }

    /// Lets nothing be held for too long from now on.
    pub(super) fn follow_hold(self: &Arc<Self>) {
        self.hold_timer.arm(self);
    }

    /// Has every snapshot ended that inline reads have left open. The receivers end when that is done. A commit makes them useless, and they
    /// would keep the log from being reset.
    pub(super) fn end_holds(&self) -> Vec<oneshot::Receiver<()>> {
        // One that is just being left open is ended by the next read, or by time.
        if self.holds.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let readers = self.readers.lock().open().to_vec();
        readers.iter().filter(|worker| worker.held().is_some()).map(|worker| worker.end_hold()).collect()
    }

    /// Waits until the snapshots have ended that inline reads hold now. Only a permit that keeps reads away keeps new ones away.
    pub(super) async fn no_hold_is_open(&self) {
        for ended in self.end_holds() {
            // The sender is dropped when it has.
            drop(ended.await);
        }
    }

    /// Ends what has been held for too long. Returns when to look again.
    pub(super) fn end_old_holds(&self, now: Instant) -> Option<Instant> {
        let readers =
            if self.holds.load(Ordering::SeqCst) == 0 { Vec::new() } else { self.readers.lock().open().to_vec() };
        let mut next = None;
        for worker in readers {
            let Some(held) = worker.held() else { continue };
            let due = held.since + MAX_AGE;
            if due <= now {
                drop(worker.end_hold());
            } else {
                next = Some(next.map_or(due, |next: Instant| next.min(due)));
            }
        }
        next
    }
}
