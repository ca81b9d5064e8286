//! Who uses the cores: nobody waits awake where somebody else has work for the core.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How many workers of the process have work.
static WORKING: AtomicUsize = AtomicUsize::new(0);

/// How many workers of the process are awake without work.
static IDLE: AtomicUsize = AtomicUsize::new(0);

/// How many consumers of results wait awake.
static WATCHING: AtomicUsize = AtomicUsize::new(0);

fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
}

/// A thread that is counted. Dropping it ends that.
pub(crate) struct Counted(&'static AtomicUsize);

impl Counted {
    fn among(count: &'static AtomicUsize) -> (Self, usize) {
        let others = count.fetch_add(1, Ordering::Relaxed);
        (Self(count), others)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let before = self.0.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "BUG: a thread was counted out twice");
    }
}

/// How long it takes at most to get a core back that nobody else wanted.
const RETURN: Duration = Duration::from_micros(40);

/// Offers the core of the calling thread to others, of any process. Returns whether one took it. `now` is when it was last looked at the
/// clock, a moment ago, and becomes the present.
pub(crate) fn are_wanted(now: &mut Instant) -> bool {
    let before = *now;
    std::thread::yield_now();
    *now = Instant::now();
    now.duration_since(before) > RETURN
}

/// Counts the calling thread as a worker that has work.
pub(crate) fn work() -> Counted {
    Counted::among(&WORKING).0
}

/// Whether another thread can run while one waits awake.
pub(crate) fn are_several() -> bool {
    cores() > 1
}

/// Whether workers that have work could take all cores.
pub(crate) fn are_taken() -> bool {
    WORKING.load(Ordering::Relaxed) >= cores()
}

/// Lets a worker stay awake without work. Half of the cores may be kept like that, so that there is always one for whom they wait; none
/// where there is one core.
pub(crate) fn idle() -> Option<Counted> {
    let (counted, others) = Counted::among(&IDLE);
    (others < cores() / 2).then_some(counted)
}

/// By how much the nice value of a thread that stands back is higher: its share of a core that others want is about a third of theirs. See
/// `man 7 sched`.
#[cfg(target_os = "linux")]
const BACK: i32 = 5;

/// Lets other threads have the core of the calling one first, as far as the system knows that for a thread: whoever is woken for a call does
/// not wait until what nobody waits for has used its share. Elsewhere than on Linux it does nothing.
pub(crate) fn stand_back() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpriority_process, setpriority_process};
        let thread = Some(rustix::thread::gettid());
        // Refused only where a sandbox forbids it: then it stands where it stood.
        let _ = getpriority_process(thread).and_then(|nice| setpriority_process(thread, nice + BACK));
    }
}

/// Lets a consumer of results wait awake, if there is a core for it beside the threads that are awake.
pub(crate) fn watch() -> Option<Counted> {
    let (counted, others) = Counted::among(&WATCHING);
    let awake = WORKING.load(Ordering::Relaxed) + IDLE.load(Ordering::Relaxed);
    (others + awake < cores()).then_some(counted)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_stands_back_stands_back_alone() {
        let nice = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).expect("it is alive");
        let before = nice();
        let behind = std::thread::spawn(move || {
            stand_back();
            nice()
        });
        assert_eq!(behind.join().expect("it ends"), (before + BACK).min(19));
        assert_eq!(nice(), before);
    }
}
