//! How often prepared statements were found, and how often one had to be prepared.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// The counts of all connections. Each has its own, so that none waits for a number that another core has just changed.
#[derive(Debug, Default)]
pub(crate) struct CacheCounts {
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    open: Vec<Arc<Own>>,
    /// Of those that are closed.
    closed: Sum,
}

/// What a connection has counted. Whoever has the connection counts, one after another.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Own {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// How often statements were found, and prepared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

impl Sum {
    fn and(self, own: &Own) -> Self {
        let (hits, misses) = (own.hits.load(Ordering::Relaxed), own.misses.load(Ordering::Relaxed));
        Self { hits: self.hits + hits, misses: self.misses + misses }
    }
}

impl CacheCounts {
    /// Begins to count for one more connection.
    pub(crate) fn of_connection(self: &Arc<Self>) -> CacheCount {
        let own = Arc::new(Own::default());
        self.connections.lock().open.push(Arc::clone(&own));
        CacheCount { all: Arc::clone(self), own }
    }

    /// Returns what all connections have counted.
    pub(crate) fn sum(&self) -> Sum {
        let connections = self.connections.lock();
        connections.open.iter().fold(connections.closed, |sum, own| sum.and(own))
    }
}

/// The count of one connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct CacheCount {
    all: Arc<CacheCounts>,
    own: Arc<Own>,
}

impl CacheCount {
    /// A statement was found.
    pub(crate) fn hit(&self) {
        increment(&self.own.hits);
    }

    /// A statement had to be prepared.
    pub(crate) fn miss(&self) {
        increment(&self.own.misses);
    }
}

impl Drop for CacheCount {
    fn drop(&mut self) {
        let mut connections = self.all.connections.lock();
        connections.closed = connections.closed.and(&self.own);
        connections.open.retain(|open| !Arc::ptr_eq(open, &self.own));
    }
}

/// Nobody else counts meanwhile, so that a load and a store are as good as an addition, and cheaper.
fn increment(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_closed_connections_have_counted_stays_in_the_sum() {
        let counts = Arc::new(CacheCounts::default());
        let (one, other) = (counts.of_connection(), counts.of_connection());
        one.hit();
        one.miss();
        other.hit();
        assert_eq!(counts.sum(), Sum { hits: 2, misses: 1 });
        drop(one);
        assert_eq!(counts.sum(), Sum { hits: 2, misses: 1 });
        other.miss();
        drop(other);
        assert_eq!(counts.sum(), Sum { hits: 2, misses: 2 });
        assert_eq!(counts.connections.lock().open.len(), 0);
    }
}
