//! The order in which the calls of one handle see each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Which writes a read sees for sure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadOrder {
    /// Those that were answered before the read was submitted. The default.
    #[default]
    Acknowledged,
    /// Those that were submitted on the same handle before it, too. While there are such, reads run on the writer, behind them. Where a
    /// transaction holds the writer, they wait for it; but for those that are asked for in its callback ([`Scope`](crate::Scope)).
    Submitted,
}

/// The writes of one handle that are under way, of those that are to be seen by its later reads.
#[derive(Debug, Default)]
pub(crate) struct Order {
    writes: AtomicUsize,
}

impl Order {
    /// Makes the order of a new handle; none where reads see what was answered.
    pub(crate) fn of(order: ReadOrder) -> Option<Arc<Self>> {
        match order {
            ReadOrder::Acknowledged => None,
            ReadOrder::Submitted => Some(Arc::default()),
        }
    }

    /// Whether a read on a reader might miss a write.
    pub(crate) fn has_writes(&self) -> bool {
        // Pairs with the release at the end of a write: the snapshot of a reader that is taken now has it.
        self.writes.load(Ordering::Acquire) > 0
    }

    /// Counts what may write, until it is answered.
    pub(crate) fn enter(self: &Arc<Self>) -> UnderWay {
        self.writes.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }
}

/// Counts as a write that is under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Order>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.writes.fetch_sub(1, Ordering::Release);
    }
}
