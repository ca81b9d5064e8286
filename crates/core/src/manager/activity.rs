//! How many statements run at once: the proof that reads run in parallel, and beside a write.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// What is being stepped right now, and the most that ever was. Statements that are only being classified do not count.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    reading: AtomicU32,
    writing: AtomicBool,
    peak_reading: AtomicU32,
    peak_reading_beside_writer: AtomicU32,
}

/// A read that is being stepped, until it is dropped.
pub(crate) struct Reading<'a>(&'a Activity);

/// A statement that the writer runs, until it is dropped.
pub(crate) struct Writing<'a>(&'a Activity);

impl Activity {
    pub(crate) fn begin_reading(&self) -> Reading<'_> {
        let reading = self.reading.fetch_add(1, Ordering::SeqCst) + 1;
        raise(&self.peak_reading, reading);
        if self.writing.load(Ordering::SeqCst) {
            raise(&self.peak_reading_beside_writer, reading);
        }
        Reading(self)
    }

    pub(crate) fn begin_writing(&self) -> Writing<'_> {
        self.writing.store(true, Ordering::SeqCst);
        raise(&self.peak_reading_beside_writer, self.reading.load(Ordering::SeqCst));
        Writing(self)
    }

    pub(super) fn peaks(&self) -> (u32, u32) {
        (self.peak_reading.load(Ordering::Relaxed), self.peak_reading_beside_writer.load(Ordering::Relaxed))
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let before = self.0.reading.fetch_sub(1, Ordering::SeqCst);
        assert!(before > 0, "BUG: I5 a read ended twice");
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.writing.store(false, Ordering::SeqCst);
    }
}

/// Makes a peak at least as high as `now`: most often it is, and then its line of memory stays with all who read it.
fn raise(peak: &AtomicU32, now: u32) {
    if peak.load(Ordering::Relaxed) < now {
        peak.fetch_max(now, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_beside_a_write_are_counted_whoever_came_first() {
        let activity = Activity::default();
        let first = activity.begin_reading();
        drop(activity.begin_reading());
        assert_eq!(activity.peaks(), (2, 0));
        let write = activity.begin_writing();
        assert_eq!(activity.peaks(), (2, 1));
        let (second, third) = (activity.begin_reading(), activity.begin_reading());
        assert_eq!(activity.peaks(), (3, 3));
        drop((first, second, third, write));
        drop(activity.begin_reading());
        assert_eq!(activity.peaks(), (3, 3));
    }
}
