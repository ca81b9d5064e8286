//! Quick reads: each takes about as long as to hand it over, so that few of them are better off with one reader.

use super::Admission;
use crate::gate::request::{Admitted, ReadKind};
use crate::gate::status::Phase;

/// For how many quick reads that wait one reader is enough: another has to be woken, and takes time from whoever makes the calls.
pub(super) const QUICKS_OF_A_READER: usize = 1_024;

/// A reader stays beside others as long as not so many times fewer wait.
const STAYS: usize = 8;

/// Which quick reads run beside others of their kind.
#[derive(Clone, Copy)]
pub(super) enum Reach {
    /// None.
    Narrow,
    /// If more wait than are enough for the readers that run others.
    Wide,
    /// If a reader that has just run one need not rest yet.
    Staying,
}

impl Admission {
    /// Says for how many quick reads that wait one reader is enough, instead of 1,024.
    #[must_use]
    pub fn with_quicks_of_a_reader(self, quicks: usize) -> Self {
        Self { quicks_of_a_reader: quicks, ..self }
    }

    /// Requests were queued: appends to `admitted` the quick reads that run now because many wait, in order.
    pub fn on_widen(&mut self, admitted: &mut Vec<Admitted>) {
        if self.phase == Phase::Open {
            self.admit_waiting(admitted);
        }
        self.check_invariants();
    }

    /// A reader that runs a quick read takes longer than that: its permit is of a short read from here on, and all that wait for quick reads wait
    /// for short ones, because most of them will be like it. Appends to `admitted` the requests that run now, in order.
    ///
    /// # Panics
    /// If no such permit is out.
    pub fn on_slow(&mut self, admitted: &mut Vec<Admitted>) {
        self.permits.slow_down();
        self.queues.slow_down();
        self.on_widen(admitted);
    }

    /// Says whether one more reader may run quick reads than those that do.
    pub(super) fn may_read_quickly(&self, reach: Reach) -> bool {
        let (readers, waiting) = (self.permits.quicks as usize, self.queues.waiting(ReadKind::Quick));
        let beside = match reach {
            Reach::Narrow => false,
            Reach::Wide => waiting > self.quicks_of_a_reader * readers,
            Reach::Staying => waiting > self.quicks_of_a_reader / STAYS * readers,
        };
        readers == 0 || beside
    }
}
