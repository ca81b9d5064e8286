//! Whether a write may expect others right behind it.

use std::time::{Duration, Instant};

use crate::cores;
use crate::manager::Permit;

/// For how long a group waits for the next write. Those who were answered together call again within a few microseconds of one another,
/// unless their thread has to take answers in between, or is not given a processor.
const PATIENCE: Duration = Duration::from_micros(50);

/// How often the gate is not looked at while waiting: a look takes its lock, which the callers need.
const SPINS: u32 = 64;

/// In how many parts a member is counted to tell how many are usual: without them a few would be expected for good after they have come once.
const PARTS: usize = 16;

/// After how many groups of one in a row no company is expected any more: the callers may only have been late.
const GROUPS_OF_ONE: u32 = 8;

/// What the last writes tell of the next: about how many come together, or that they come one by one.
///
/// Callers that were all answered by one commit all call again, one after another, and each call takes about as long as the write. Without
/// a moment of patience each would be committed by itself: then every caller is answered by itself, calls again by itself, and it
/// stays like that. So a group waits until as many have come as usual, or nobody comes.
#[derive(Debug)]
pub(super) struct Company {
    /// As many members as may be expected, in sixteenths. It grows at once, and shrinks slowly: a group that was committed too early parts the
    /// callers, and must not let the next ones be committed earlier still.
    usual: usize,
    /// How many more groups of one may come before none is expected.
    groups_of_one: u32,
    /// Whether somebody else can run while a thread waits without sleeping.
    can_wait: bool,
}

impl Default for Company {
    fn default() -> Self {
        Self { usual: 0, groups_of_one: 0, can_wait: cores::are_several() }
    }
}

impl Company {
    /// Whether a write that nobody waits behind is worth a transaction that others can join.
    pub(super) fn is_expected(&self) -> bool {
        self.can_wait && self.groups_of_one > 0
    }

    /// Learns how many writes a group had.
    pub(super) fn learn(&mut self, members: usize) {
        self.usual = (members * PARTS).max(self.usual - self.usual / PARTS);
        if members > 1 {
            self.groups_of_one = GROUPS_OF_ONE;
        } else if self.groups_of_one > 0 {
            self.groups_of_one -= 1;
        }
    }

    /// Whether a group of so many is smaller than usual.
    fn expects_more_than(&self, members: usize) -> bool {
        self.is_expected() && members < self.usual.div_ceil(PARTS)
    }

    /// Waits a moment for the next write of a group of so many, if one is to be expected, unless all cores have work: whoever could call needs one.
    /// Returns whether there is one.
    pub(super) fn wait(&self, permit: &Permit, members: usize) -> bool {
        if !self.expects_more_than(members) {
            return false;
        }
        let since = Instant::now();
        loop {
            for _ in 0..SPINS {
                std::hint::spin_loop();
            }
            if permit.has_heir() {
                return true;
            }
            if since.elapsed() > PATIENCE || cores::are_taken() {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn company_of(members: usize) -> Company {
        let mut company = Company { can_wait: true, ..Company::default() };
        company.learn(members);
        company
    }

    #[test]
    fn fewer_callers_than_once_are_waited_for_as_many_as_they_are() {
        for (many, few) in [(4, 2), (15, 2), (64, 4), (512, 2)] {
            let mut company = company_of(many);
            let is_learnt = (0..100).any(|_| {
                company.learn(few);
                !company.expects_more_than(few)
            });
            assert!(is_learnt, "{many} came once, and {few} since");
        }
    }

    #[test]
    fn a_few_groups_that_are_committed_early_part_no_callers() {
        for usual in [2, 8, 64] {
            let mut company = company_of(usual);
            for _ in 0..GROUPS_OF_ONE - 1 {
                company.learn(1);
                assert!(company.expects_more_than(usual / 2), "{usual} are usual");
            }
        }
    }

    #[test]
    fn nobody_is_waited_for_after_writes_one_by_one() {
        let mut company = company_of(2);
        for _ in 0..GROUPS_OF_ONE {
            assert!(company.expects_more_than(1));
            company.learn(1);
        }
        assert!(!company.expects_more_than(1));
    }
}
