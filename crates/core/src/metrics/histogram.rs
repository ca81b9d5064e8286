//! Histograms that any thread may add to, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many bounds a histogram of durations has: 16 µs, and twice that, up to 67 s.
pub(crate) const DURATION_BOUNDS: usize = 23;

/// How many bounds a histogram of sizes has: 1, 2, 4, up to 65,536.
pub(crate) const SIZE_BOUNDS: usize = 17;

/// The lowest bound of a duration, in microseconds.
const LOWEST_MICROS: u64 = 16;

/// How often a number was at most so large, for bounds that double each time.
#[derive(Debug)]
pub(crate) struct Histogram<const BOUNDS: usize> {
    /// The first bound.
    lowest: u64,
    counts: [AtomicU64; BOUNDS],
    above: AtomicU64,
    sum: AtomicU64,
}

/// What a histogram held at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Observed {
    pub(crate) sum: f64,
    /// The bounds and how many numbers were between them and those before. The last bound is infinite.
    pub(crate) buckets: Vec<(f64, u64)>,
}

impl Observed {
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

impl<const BOUNDS: usize> Histogram<BOUNDS> {
    fn new(lowest: u64) -> Self {
        let counts = std::array::from_fn(|_| AtomicU64::new(0));
        Self { lowest, counts, above: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    /// Counts `number` in, and adds `amount` to the sum.
    fn add(&self, number: u64, amount: u64) {
        self.add_many(self.place(number), 1, amount);
    }

    /// Returns the place among the bounds of the first that `number` does not pass.
    fn place(&self, number: u64) -> u32 {
        number.div_ceil(self.lowest).next_power_of_two().trailing_zeros()
    }

    /// Counts so many numbers of one place in, and adds `amount` to the sum.
    fn add_many(&self, place: u32, count: u64, amount: u64) {
        self.counts.get(place as usize).unwrap_or(&self.above).fetch_add(count, Ordering::Relaxed);
        self.sum.fetch_add(amount, Ordering::Relaxed);
    }

    /// Returns what it holds, with bounds and sum divided.
    #[expect(clippy::cast_precision_loss, reason = "what is shown need not be exact beyond 2^53")]
    fn observed(&self, bounds_by: f64, sum_by: f64) -> Observed {
        let bounds = (0..BOUNDS).map(|doublings| (self.lowest << doublings) as f64 / bounds_by);
        let counts = self.counts.iter().chain([&self.above]).map(|count| count.load(Ordering::Relaxed));
        let buckets = bounds.chain([f64::INFINITY]).zip(counts).collect();
        Observed { sum: self.sum.load(Ordering::Relaxed) as f64 / sum_by, buckets }
    }
}

/// How long things took.
#[derive(Debug)]
pub(crate) struct Durations(Histogram<DURATION_BOUNDS>);

impl Default for Durations {
    fn default() -> Self {
        Self(Histogram::new(LOWEST_MICROS))
    }
}

impl Durations {
    pub(crate) fn add(&self, duration: Duration) {
        let nanos = nanos(duration);
        self.0.add(nanos.div_ceil(1_000), nanos);
    }

    /// Begins to add durations that are alike.
    pub(crate) fn series(&self) -> Series<'_> {
        Series { durations: self, place: 0, count: 0, nanos: 0 }
    }

    /// Returns them in seconds.
    pub(crate) fn observed(&self) -> Observed {
        self.0.observed(1e6, 1e9)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Adds durations one after another: as long as they count under the same bound, together. The last of them when it is dropped.
#[derive(Debug)]
pub(crate) struct Series<'d> {
    durations: &'d Durations,
    /// Where those count that are not added yet, how many they are, and how long together.
    place: u32,
    count: u64,
    nanos: u64,
}

impl Series<'_> {
    pub(crate) fn add(&mut self, duration: Duration) {
        let nanos = nanos(duration);
        let place = self.durations.0.place(nanos.div_ceil(1_000));
        if place != self.place {
            self.flush();
            self.place = place;
        }
        self.count += 1;
        self.nanos = self.nanos.saturating_add(nanos);
    }

    /// Adds what is not added yet.
    pub(crate) fn flush(&mut self) {
        let (count, nanos) = (std::mem::take(&mut self.count), std::mem::take(&mut self.nanos));
        if count > 0 {
            self.durations.0.add_many(self.place, count, nanos);
        }
    }
}

impl Drop for Series<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

/// How large things were.
#[derive(Debug)]
pub(crate) struct Sizes(Histogram<SIZE_BOUNDS>);

impl Default for Sizes {
    fn default() -> Self {
        Self(Histogram::new(1))
    }
}

impl Sizes {
    pub(crate) fn add(&self, size: usize) {
        let size = size as u64;
        self.0.add(size, size);
    }

    pub(crate) fn observed(&self) -> Observed {
        self.0.observed(1.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(observed: &Observed) -> Vec<(f64, u64)> {
        observed.buckets.iter().copied().filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn a_duration_counts_under_the_first_bound_that_it_does_not_pass() {
        let durations = Durations::default();
        for micros in [0, 1, 16, 17, 32, 33] {
            durations.add(Duration::from_micros(micros));
        }
        durations.add(Duration::from_nanos(16_001));
        let observed = durations.observed();
        assert_eq!(filled(&observed), [(16e-6, 3), (32e-6, 3), (64e-6, 1)]);
        assert!((observed.sum - 115.001e-6).abs() < 1e-12);
        assert_eq!(observed.count(), 7);
    }

    #[test]
    fn a_series_counts_as_durations_that_are_added_one_by_one() {
        let (series, single) = (Durations::default(), Durations::default());
        let mut adding = series.series();
        for micros in [1, 2, 16, 17, 33, 34, 35, 1, 80_000_000, 90_000_000] {
            adding.add(Duration::from_micros(micros));
            single.add(Duration::from_micros(micros));
        }
        drop(adding);
        assert_eq!(series.observed(), single.observed());
        assert_eq!(series.observed().count(), 10);
    }

    #[test]
    fn what_is_longer_than_every_bound_counts_under_the_infinite_one() {
        let durations = Durations::default();
        durations.add(Duration::from_hours(1));
        durations.add(Duration::from_secs(67));
        assert_eq!(filled(&durations.observed()), [(67.108_864, 1), (f64::INFINITY, 1)]);
    }

    #[test]
    fn a_size_counts_under_the_first_bound_that_it_does_not_pass() {
        let sizes = Sizes::default();
        for size in [1, 2, 3, 4, 512, 513, 65_537] {
            sizes.add(size);
        }
        let expected = [(1.0, 1), (2.0, 1), (4.0, 2), (512.0, 1), (1_024.0, 1), (f64::INFINITY, 1)];
        assert_eq!(filled(&sizes.observed()), expected);
    }
}
