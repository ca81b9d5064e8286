//! Timers that run only while there is something to wait for, and keep nothing alive.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::Shared;
use crate::control;

/// Does what is due at a moment, and returns when something is due again.
type Act = fn(&Shared, Instant) -> Option<Instant>;

/// A timer on the control plane. All waits of one timer are equally long, so the earliest is always known.
pub(super) struct Timer {
    act: Act,
    armed: Arc<AtomicBool>,
    task: Mutex<Option<AbortHandle>>,
}

impl Timer {
    pub(super) fn new(act: Act) -> Self {
        Self { act, armed: Arc::default(), task: Mutex::new(None) }
    }

    /// Makes sure that the timer runs. Cheap when it does.
    pub(super) fn arm(&self, shared: &Arc<Shared>) {
        if self.armed.load(Ordering::SeqCst) || self.armed.swap(true, Ordering::SeqCst) {
            return;
        }
        self.start(shared);
    }

    /// Makes sure that the timer looks at once at what is due: something may be due sooner than it knows of.
    pub(super) fn look_again(&self, shared: &Arc<Shared>) {
        self.stop();
        self.armed.store(true, Ordering::SeqCst);
        self.start(shared);
    }

    fn start(&self, shared: &Arc<Shared>) {
        let task = run(Arc::downgrade(shared), self.act, Arc::clone(&self.armed));
        *self.task.lock() = Some(control::spawn(task));
    }

    pub(super) fn stop(&self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }
}

async fn run(shared: Weak<Shared>, act: Act, armed: Arc<AtomicBool>) {
    loop {
        let Some(next) = shared.upgrade().map(|shared| act(&shared, Instant::now())) else { return };
        if let Some(next) = next {
            tokio::time::sleep_until(next.into()).await;
            continue;
        }
        armed.store(false, Ordering::SeqCst);
        // Something may have come between the look and the store; whoever came then found the timer armed.
        let Some(missed) = shared.upgrade().and_then(|shared| act(&shared, Instant::now())) else { return };
        if armed.swap(true, Ordering::SeqCst) {
            return;
        }
        tokio::time::sleep_until(missed.into()).await;
    }
}

/// A wait that the clock cannot tell the end of looks again after so long.
const FAR: Duration = Duration::from_hours(24);

/// Returns when a wait that began at `since` ends, or when to look again if it is longer than the clock can tell.
pub(super) fn due(since: Instant, wait: Duration) -> Instant {
    since.checked_add(wait).unwrap_or_else(|| Instant::now() + FAR)
}

impl Shared {
    /// Rejects what has waited for longer than the acquire timeout.
    pub(super) fn expire(&self, now: Instant) -> Option<Instant> {
        let timeout = self.options.acquire_timeout;
        if let Some(cutoff) = now.checked_sub(timeout) {
            self.gate.expire(cutoff);
        }
        self.gate.oldest_queued().map(|oldest| due(oldest, timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_longer_than_the_clock_can_tell_is_due_later_and_no_panic() {
        let now = Instant::now();
        assert_eq!(due(now, Duration::from_secs(1)), now + Duration::from_secs(1));
        assert!(due(now, Duration::MAX) > now);
    }
}
