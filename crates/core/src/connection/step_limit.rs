//! A limit for a statement that must not take long, nor wait.

use std::sync::atomic::{AtomicU32, Ordering};

/// How often the progress handler may still be called for what runs on a connection.
#[derive(Debug)]
pub(super) struct StepLimit(AtomicU32);

const UNLIMITED: u32 = u32::MAX;

impl Default for StepLimit {
    fn default() -> Self {
        Self(AtomicU32::new(UNLIMITED))
    }
}

impl StepLimit {
    /// Counts a call of the progress handler. Returns whether it was one too many.
    pub(super) fn is_passed(&self) -> bool {
        match self.0.load(Ordering::Relaxed) {
            UNLIMITED => false,
            0 => true,
            left => {
                self.0.store(left - 1, Ordering::Relaxed);
                false
            }
        }
    }

    /// Whether there is a limit: what has one does not wait for other processes either.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) != UNLIMITED
    }

    pub(super) fn begin(&self, calls: u32) -> Limited<'_> {
        self.0.store(calls.min(UNLIMITED - 1), Ordering::Relaxed);
        Limited(self)
    }
}

/// A limit in force, until it is dropped.
#[must_use = "the limit ends when this is dropped"]
pub(crate) struct Limited<'c>(&'c StepLimit);

impl Drop for Limited<'_> {
    fn drop(&mut self) {
        self.0.0.store(UNLIMITED, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_lets_so_many_calls_pass_and_ends_with_its_guard() {
        let limit = StepLimit::default();
        assert!(!limit.is_set() && !limit.is_passed());
        let limited = limit.begin(2);
        assert!(limit.is_set());
        assert_eq!(
            [limit.is_passed(), limit.is_passed(), limit.is_passed(), limit.is_passed()],
            [false, false, true, true]
        );
        drop(limited);
        assert!(!limit.is_set() && !limit.is_passed());
    }
}
