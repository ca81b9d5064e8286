//! What SQLite tells a connection's hooks in passing, until the worker looks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Written and read on the connection's own thread; atomic only because SQLite's hooks must be fit to move to another one.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    busy_retries: AtomicU64,
    busy_nanos: AtomicU64,
    rolled_back: AtomicBool,
    stepped: AtomicBool,
    committing: AtomicBool,
}

impl Noticed {
    /// Another process held a lock, and it was tried again after so long.
    pub(super) fn busy(&self, paused: Duration) {
        let nanos = u64::try_from(paused.as_nanos()).unwrap_or(u64::MAX);
        self.busy_retries.fetch_add(1, Ordering::Relaxed);
        self.busy_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn take_busy(&self) -> Option<(u64, Duration)> {
        if self.busy_retries.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let retries = self.busy_retries.swap(0, Ordering::Relaxed);
        Some((retries, Duration::from_nanos(self.busy_nanos.swap(0, Ordering::Relaxed))))
    }

    /// A transaction was rolled back.
    pub(super) fn rolled_back(&self) {
        self.rolled_back.store(true, Ordering::Relaxed);
    }

    /// A statement has made many steps, or several have together.
    pub(super) fn stepped(&self) {
        self.stepped.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn take_stepped(&self) -> bool {
        // To look costs less than to exchange, and most often there is nothing to take.
        self.stepped.load(Ordering::Relaxed) && self.stepped.swap(false, Ordering::Relaxed)
    }

    /// A statement begins.
    #[inline]
    pub(super) fn begins(&self) {
        self.committing.store(false, Ordering::Relaxed);
    }

    /// A statement has come to its commit.
    pub(super) fn commits(&self) {
        self.committing.store(true, Ordering::Relaxed);
    }

    /// Whether the last statement that began has come to its commit: nothing can stop it any more.
    pub(super) fn is_committing(&self) -> bool {
        self.committing.load(Ordering::Relaxed)
    }

    pub(super) fn take_rolled_back(&self) -> bool {
        self.rolled_back.swap(false, Ordering::Relaxed)
    }
}
