//! Who asked for what a connection runs: it is stopped when they have gone, and nothing of others is.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The sink of the job that runs, as a number. A job holds its sink, and a group the jobs that have run, so that no other sink has the number
/// meanwhile.
#[derive(Debug, Default)]
pub(super) struct Asker(AtomicUsize);

/// Nothing runs, or nothing that may be stopped any more.
const NOBODY: usize = 0;
/// They have gone, and the job is just being stopped.
const LEAVING: usize = 1;
/// They have gone, and the job was stopped.
const LEFT: usize = 2;

impl Asker {
    /// A job begins for the sink of this number. Returns whether one was stopped that had only [paused](Asker::pause).
    pub(super) fn begin(&self, number: usize) -> bool {
        let found = self.0.load(Ordering::SeqCst);
        if found == number {
            return false;
        }
        let was_stopped = found != NOBODY && self.end();
        self.0.store(number, Ordering::SeqCst);
        was_stopped
    }

    /// The job has ended, but what runs next may be for the same sink, and is stopped with it until [`Asker::end`]. Returns whether it was
    /// stopped: then that has been called.
    pub(super) fn pause(&self) -> bool {
        matches!(self.0.load(Ordering::SeqCst), LEAVING | LEFT) && self.end()
    }

    /// The job has ended: nothing stops it any more. Returns whether it was stopped.
    pub(super) fn end(&self) -> bool {
        let mut found = self.0.load(Ordering::SeqCst);
        loop {
            match found {
                // Whoever stops it has a step to go, which must not reach the next job.
                LEAVING => {
                    std::hint::spin_loop();
                    found = self.0.load(Ordering::SeqCst);
                }
                LEFT => {
                    self.0.store(NOBODY, Ordering::SeqCst);
                    return true;
                }
                number => match self.0.compare_exchange(number, NOBODY, Ordering::SeqCst, Ordering::SeqCst) {
                    Ok(_) => return false,
                    Err(now) => found = now,
                },
            }
        }
    }

    /// Calls `stop` if what runs was asked for by the sink of this number.
    pub(super) fn leave(&self, number: usize, stop: impl FnOnce()) {
        if self.0.compare_exchange(number, LEAVING, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            stop();
            self.0.store(LEFT, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn only_what_was_asked_for_by_who_leaves_is_stopped() {
        let (asker, stopped) = (Asker::default(), Cell::new(0));
        let leave = |number| asker.leave(number, || stopped.set(stopped.get() + 1));
        leave(64);
        assert!(!asker.begin(128));
        leave(64);
        assert!(!asker.end());
        leave(128);
        assert_eq!(stopped.get(), 0, "the job of 128 had ended");
        assert!(!asker.begin(64));
        leave(64);
        leave(64);
        assert_eq!(stopped.get(), 1);
        assert!(asker.end());
        assert!(!asker.end(), "it is told once");
    }

    #[test]
    fn a_job_that_pauses_is_stopped_until_another_begins_or_it_ends() {
        let (asker, stopped) = (Asker::default(), Cell::new(0));
        let leave = |number| asker.leave(number, || stopped.set(stopped.get() + 1));
        assert!(!asker.begin(64));
        assert!(!asker.pause());
        assert!(!asker.begin(64), "the next is for the same");
        assert!(!asker.pause());
        leave(64);
        assert_eq!(stopped.get(), 1);
        assert!(asker.begin(128), "what stopped 64 must not reach 128");
        leave(128);
        assert!(asker.pause());
        assert!(!asker.pause(), "it is told once");
        assert!(!asker.begin(64));
        assert!(!asker.pause());
        assert!(!asker.begin(128));
        leave(64);
        assert_eq!(stopped.get(), 2, "128 runs");
        assert!(!asker.end());
        leave(128);
        assert_eq!(stopped.get(), 2, "nothing runs");
    }

    #[test]
    fn a_job_that_ends_while_it_is_stopped_learns_of_it() {
        for _ in 0..1_000 {
            let asker = Asker::default();
            assert!(!asker.begin(64));
            let stopped = AtomicUsize::new(0);
            let told = std::thread::scope(|scope| {
                scope.spawn(|| asker.leave(64, || stopped.store(1, Ordering::SeqCst)));
                asker.end()
            });
            assert_eq!(usize::from(told), stopped.load(Ordering::SeqCst));
        }
    }
}
