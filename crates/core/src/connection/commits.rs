//! Telling that something was committed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

/// Rings when a connection commits, if anybody listens. Rings that nobody has heard yet are one.
#[derive(Debug, Default)]
pub struct Bell {
    listened: AtomicBool,
    rung: Notify,
}

impl Bell {
    /// Rings, if somebody listens.
    pub fn ring(&self) {
        if self.listened.load(Ordering::Relaxed) {
            self.rung.notify_one();
        }
    }

    /// Says whether anybody listens. Until then a ring costs one look at a flag.
    pub fn listen(&self, listened: bool) {
        self.listened.store(listened, Ordering::Relaxed);
    }

    /// Waits for a ring, or takes the one that has come since the last wait.
    ///
    /// # Cancel safety
    /// A ring is lost only by whoever waited for it.
    pub async fn rung(&self) {
        self.rung.notified().await;
    }
}

/// The bell of one connection, once it has one.
pub(super) type BellSlot = Arc<OnceLock<Arc<Bell>>>;

/// Rings the bell of a connection, if it has one.
pub(super) fn ring(slot: &BellSlot) {
    if let Some(bell) = slot.get() {
        bell.ring();
    }
}
