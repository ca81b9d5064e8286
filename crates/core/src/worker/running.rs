//! What a worker runs, for whoever wants to see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::query::Query;

/// What a worker is running, and since when.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) query: Arc<Query>,
    pub(crate) since: Instant,
}

/// That, as its worker shows it.
///
/// The worker writes it for each job, and it is seldom read: where many runs of one statement follow each other, a lock for each, and a
/// reference that whoever submits them counts on another core, would be more than the statement's own time is worth.
#[derive(Debug)]
pub(super) struct Running {
    query: Mutex<Option<Arc<Query>>>,
    /// The number of that query, or [`NOTHING`].
    id: AtomicU64,
    /// What `since` counts from.
    epoch: Instant,
    /// In nanoseconds.
    since: AtomicU64,
}

/// No query has this number.
const NOTHING: u64 = 0;

impl Default for Running {
    fn default() -> Self {
        Self { query: Mutex::default(), id: AtomicU64::new(NOTHING), epoch: Instant::now(), since: AtomicU64::new(0) }
    }
}

impl Running {
    /// `query` runs since then.
    pub(super) fn show(&self, query: &Arc<Query>, since: Instant) {
        let since = u64::try_from(since.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX);
        if self.id.load(Ordering::Relaxed) == query.id() {
            return self.since.store(since, Ordering::Relaxed);
        }
        let mut shown = self.query.lock();
        let before = shown.replace(Arc::clone(query));
        self.since.store(since, Ordering::Relaxed);
        self.id.store(query.id(), Ordering::Relaxed);
        drop(shown);
        drop(before);
    }

    /// Nothing runs.
    pub(super) fn clear(&self) {
        let mut shown = self.query.lock();
        self.id.store(NOTHING, Ordering::Relaxed);
        let before = shown.take();
        drop(shown);
        drop(before);
    }

    /// Returns what runs.
    pub(super) fn current(&self) -> Option<Current> {
        let shown = self.query.lock();
        let since = self.epoch + Duration::from_nanos(self.since.load(Ordering::Relaxed));
        shown.as_ref().map(|query| Current { query: Arc::clone(query), since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_run_is_shown_with_its_beginning() {
        let (running, [one, other]) = (Running::default(), [Query::new("SELECT 1"), Query::new("SELECT 2")]);
        let at = |millis| running.epoch + Duration::from_millis(millis);
        let seen = || running.current().map(|current| (current.query.sql().to_owned(), current.since));
        assert_eq!(seen(), None);
        for (query, millis) in [(&one, 1), (&one, 2), (&other, 3), (&one, 4)] {
            running.show(query, at(millis));
            assert_eq!(seen(), Some((query.sql().to_owned(), at(millis))));
        }
        running.clear();
        assert_eq!(seen(), None);
        running.show(&one, at(5));
        assert_eq!(seen(), Some((one.sql().to_owned(), at(5))));
    }
}
