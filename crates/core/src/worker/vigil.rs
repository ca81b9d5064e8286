//! Waiting awake, for a moment, for the next message.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::cores;

/// How long a worker waits awake. To wake a thread that sleeps takes tens of microseconds, most of all where its core sleeps too; a caller
/// that awaits one call after another is back sooner than that.
const VIGIL: Duration = Duration::from_micros(60);

/// A message that comes this soon would have been met awake, had the worker not slept.
const SOON: Duration = Duration::from_micros(120);

/// How many messages in a row that come late end the vigils, until one comes soon again.
const PATIENCE: u32 = 4;

/// How often the clock is not looked at.
const SPINS: u32 = 32;

/// Whether a worker waits awake, which it does where the last messages came soon.
#[derive(Debug, Default)]
pub(super) struct Vigil {
    /// Whether there is a message. Only a hint: the queue knows.
    called: AtomicBool,
    /// How many more late messages are put up with. Only the worker's own thread writes it.
    patience: AtomicU32,
}

impl Vigil {
    /// Ends the wait that is or will be kept.
    pub(super) fn call(&self) {
        self.called.store(true, Ordering::Release);
    }

    /// Waits awake for a message, if one is to be expected soon.
    pub(super) fn keep(&self, since: Instant) {
        if self.called.load(Ordering::Acquire) || self.patience.load(Ordering::Relaxed) == 0 {
            return;
        }
        let Some(_idle) = cores::idle() else { return };
        let mut now = since;
        while now.duration_since(since) < VIGIL {
            if self.is_called_soon() || cores::are_wanted(&mut now) {
                return;
            }
        }
    }

    fn is_called_soon(&self) -> bool {
        (0..SPINS).any(|_| {
            std::hint::spin_loop();
            self.called.load(Ordering::Acquire)
        })
    }

    /// Learns when a message came, and whether it was the last one there is. The caller has the queue locked.
    pub(super) fn end(&self, since: Instant, was_last: bool) {
        if was_last {
            self.called.store(false, Ordering::Release);
        }
        let patience = self.patience.load(Ordering::Relaxed);
        let left = if since.elapsed() < SOON { PATIENCE } else { patience.saturating_sub(1) };
        self.patience.store(left, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long_ago() -> Instant {
        Instant::now().checked_sub(SOON * 2).expect("the clock has run for longer than that")
    }

    #[test]
    fn messages_that_come_late_end_the_vigils_and_one_that_comes_soon_begins_them_again() {
        let vigil = Vigil::default();
        let is_kept = || vigil.patience.load(Ordering::Relaxed) > 0;
        assert!(!is_kept(), "a new worker sleeps");
        vigil.end(Instant::now(), true);
        for late in 1..=PATIENCE {
            assert!(is_kept(), "after {} late messages", late - 1);
            vigil.end(long_ago(), true);
        }
        assert!(!is_kept());
        vigil.end(long_ago(), true);
        assert!(!is_kept());
        vigil.end(Instant::now(), true);
        assert!(is_kept());
    }

    #[test]
    fn a_vigil_ends_by_itself_and_at_once_when_there_is_a_message() {
        let vigil = Vigil::default();
        vigil.end(Instant::now(), true);
        // Nobody calls.
        vigil.keep(Instant::now());
        vigil.call();
        vigil.keep(Instant::now());
        assert!(vigil.called.load(Ordering::Acquire));
        vigil.end(Instant::now(), false);
        assert!(vigil.called.load(Ordering::Acquire), "there are more messages");
        vigil.end(Instant::now(), true);
        assert!(!vigil.called.load(Ordering::Acquire));
    }
}
