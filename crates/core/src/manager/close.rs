//! The close gate: open → draining → closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::Shared;
use super::readers::close_worker;
use crate::control;
use crate::error::Result;
use crate::trace;

/// How long after an interrupt the next one follows, while something still runs.
const INTERRUPT_INTERVAL: Duration = Duration::from_millis(5);

/// How often readers are told to close, until none is left: one may be started by a call that was just being admitted.
const CLOSE_INTERVAL: Duration = Duration::from_millis(5);

/// What `close` leaves behind for everyone who waits for it.
pub(super) struct CloseGate {
    begun: AtomicBool,
    finishing: AtomicBool,
    /// Tells waits inside SQLite (for locks of other processes) to give up.
    interrupted: Arc<AtomicBool>,
    result: watch::Sender<Option<Result<()>>>,
}

impl CloseGate {
    pub(super) fn new(interrupted: Arc<AtomicBool>) -> Self {
        let (result, _) = watch::channel(None);
        Self { begun: AtomicBool::new(false), finishing: AtomicBool::new(false), interrupted, result }
    }

    pub(super) fn interrupted(&self) -> &Arc<AtomicBool> {
        &self.interrupted
    }
}

impl Shared {
    /// Claims the closing, or leaves it to who did. Blocks for nothing.
    pub(super) fn begin_close(self: &Arc<Self>, timeout: Duration) {
        if self.close.begun.swap(true, Ordering::SeqCst) {
            return;
        }
        self.gate.close();
        self.observer.end();
        let shared = Arc::clone(self);
        self.gate.on_closed(move || drop(control::spawn(shared.finish_close())));
        let shared = Arc::clone(self);
        control::spawn(async move { shared.force_close(timeout).await });
    }

    /// Waits until everything is closed.
    pub(super) async fn closed(&self) -> Result<()> {
        let mut result = self.close.result.subscribe();
        let result = result.wait_for(Option::is_some).await.expect("BUG: the sender lives in what we borrow");
        result.clone().expect("BUG: waited for it")
    }

    /// Interrupts what still runs after `timeout`, and takes the connections from leases that are idle.
    async fn force_close(self: Arc<Self>, timeout: Duration) {
        if tokio::time::timeout(timeout, self.closed()).await.is_ok() {
            return;
        }
        self.close.interrupted.store(true, Ordering::SeqCst);
        let database = &*trace::name(&self.location);
        tracing::warn!(target: "sluice::close", database, "interrupting what still runs");
        self.sessions.end_all(&super::waiting::closed());
        self.interrupt_all();
        let shared = Arc::clone(&self);
        control::spawn(async move { shared.finish_close().await });
        // An interrupt is lost on a connection that is being opened, or is between two statements.
        while tokio::time::timeout(INTERRUPT_INTERVAL, self.closed()).await.is_err() {
            self.interrupt_all();
        }
    }

    fn interrupt_all(&self) {
        let readers: Vec<_> = self.readers.lock().open().to_vec();
        for worker in readers.iter().chain([&self.writer]) {
            worker.interrupt_all();
        }
    }

    /// Closes the readers, then the checkpointer, then the writer: the last to close removes the write-ahead log.
    async fn finish_close(self: Arc<Self>) {
        if self.close.finishing.swap(true, Ordering::SeqCst) {
            return;
        }
        self.queue_timer.stop();
        self.hold_timer.stop();
        self.prune_timer.stop();
        // Readers that were pruned or discarded a moment ago are in no list any more, and may still be closing.
        while tokio::time::timeout(CLOSE_INTERVAL, self.no_reader_is_alive()).await.is_err() {
            let readers: Vec<_> = self.readers.lock().open().to_vec();
            for worker in &readers {
                drop(close_worker(worker));
            }
        }
        self.observer.close().await;
        self.checkpointer.end().await;
        // A receipt that is dropped belongs to a writer whose connection was gone already.
        let result = close_worker(&self.writer).await.unwrap_or(Ok(()));
        let (database, error) = (&*trace::name(&self.location), result.as_ref().err().map(ToString::to_string));
        tracing::debug!(target: "sluice::close", database, error, "closed");
        self.close.result.send_replace(Some(result));
    }

    pub(super) fn is_closing(&self) -> bool {
        self.close.begun.load(Ordering::SeqCst)
    }

    /// Whether connections are being closed, or are closed.
    pub(super) fn is_finishing(&self) -> bool {
        self.close.finishing.load(Ordering::SeqCst)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.close.result.borrow().is_some()
    }
}
