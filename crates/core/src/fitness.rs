//! Whether a statement is fit to run inline: on the thread of its caller, where it must not take long.

use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};
use std::time::Duration;

/// How long a run may take that counts as short. To hand a statement to a worker and back takes about a third of that.
const SHORT: Duration = Duration::from_micros(100);

/// How long an inline run may take. Two in a row that take longer bar the statement: one alone may be the machine's fault.
const LONG: Duration = Duration::from_micros(200);

/// How often the number of short runs that are asked for doubles: 4 becomes 4,096.
const MOST_BARS: u8 = 10;

/// After how many inline runs in a row that were not long a doubling is taken back.
const PARDON: u16 = 1_000;

/// What has been learnt about how long a statement runs. It has to run short on workers, several times in a row, before it may run
/// inline; each time that it proves too long there doubles how often.
#[derive(Debug, Default)]
pub(crate) struct Fitness {
    /// Short runs on workers, in a row.
    short: AtomicU16,
    /// How often the number that is asked for has been doubled.
    bars: AtomicU8,
    /// Whether the last inline run was long.
    was_long: AtomicU8,
    /// Inline runs since it was last barred or pardoned.
    good: AtomicU16,
}

impl Fitness {
    /// Whether it may run inline, where `runs` short runs are asked for.
    pub(crate) fn is_fit(&self, runs: u16) -> bool {
        let asked = u32::from(runs.max(1)) << self.bars.load(Ordering::Relaxed);
        u32::from(self.short.load(Ordering::Relaxed)) >= asked
    }

    /// It has run on a worker.
    pub(crate) fn ran_on_a_worker(&self, elapsed: Duration) {
        let runs = self.short.load(Ordering::Relaxed);
        let learnt = if elapsed > SHORT { 0 } else { runs.saturating_add(1) };
        if learnt != runs {
            self.short.store(learnt, Ordering::Relaxed);
        }
    }

    /// It has run inline to its end.
    pub(crate) fn ran_inline(&self, elapsed: Duration) {
        if elapsed > LONG {
            if self.was_long.swap(1, Ordering::Relaxed) == 1 {
                self.bar();
            }
            return;
        }
        if self.was_long.load(Ordering::Relaxed) != 0 {
            self.was_long.store(0, Ordering::Relaxed);
        }
        let bars = self.bars.load(Ordering::Relaxed);
        if bars == 0 {
            return;
        }
        let good = self.good.load(Ordering::Relaxed) + 1;
        if good >= PARDON {
            self.bars.store(bars - 1, Ordering::Relaxed);
        }
        self.good.store(good % PARDON, Ordering::Relaxed);
    }

    /// It has to show anew that it runs short, twice as often as before.
    pub(crate) fn bar(&self) {
        let bars = self.bars.load(Ordering::Relaxed);
        self.bars.store((bars + 1).min(MOST_BARS), Ordering::Relaxed);
        self.good.store(0, Ordering::Relaxed);
        self.begin_again();
    }

    /// It has to show anew that it runs short: what was learnt was about another plan, perhaps.
    pub(crate) fn begin_again(&self) {
        self.short.store(0, Ordering::Relaxed);
        self.was_long.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: u16 = 4;

    fn run_short(fitness: &Fitness, times: u16) {
        for _ in 0..times {
            fitness.ran_on_a_worker(SHORT);
        }
    }

    #[test]
    fn it_is_fit_after_several_short_runs_in_a_row() {
        let fitness = Fitness::default();
        run_short(&fitness, RUNS - 1);
        assert!(!fitness.is_fit(RUNS));
        fitness.ran_on_a_worker(SHORT * 2);
        run_short(&fitness, RUNS - 1);
        assert!(!fitness.is_fit(RUNS), "a long run came between");
        run_short(&fitness, 1);
        assert!(fitness.is_fit(RUNS));
    }

    #[test]
    fn one_long_inline_run_is_forgiven_and_two_in_a_row_are_not() {
        let fitness = Fitness::default();
        run_short(&fitness, RUNS);
        for _ in 0..3 {
            fitness.ran_inline(LONG * 2);
            fitness.ran_inline(LONG);
        }
        assert!(fitness.is_fit(RUNS));
        fitness.ran_inline(LONG * 2);
        fitness.ran_inline(LONG * 2);
        assert!(!fitness.is_fit(RUNS));
    }

    #[test]
    fn each_bar_doubles_what_is_asked_for_up_to_a_limit_and_good_runs_take_it_back() {
        let fitness = Fitness::default();
        for doublings in 1..=u32::from(MOST_BARS) + 2 {
            fitness.bar();
            let asked = RUNS << doublings.min(u32::from(MOST_BARS));
            run_short(&fitness, asked - 1);
            assert!(!fitness.is_fit(RUNS), "after {doublings} bars");
            run_short(&fitness, 1);
            assert!(fitness.is_fit(RUNS), "after {doublings} bars");
        }
        for _ in 0..u32::from(MOST_BARS) * u32::from(PARDON) {
            fitness.ran_inline(LONG);
        }
        fitness.begin_again();
        run_short(&fitness, RUNS);
        assert!(fitness.is_fit(RUNS));
    }
}
