//! Whether a write may expect others right behind it.

use std::time::{Duration, Instant};

use crate::manager::Permit;

/// For how long a group waits for the next write. A caller that makes one call after another takes a microsecond or two for each, and
/// a commit, even without fsync, ten.
const PATIENCE: Duration = Duration::from_micros(20);

/// How often the gate is not looked at while waiting: a look takes its lock, which the callers need.
const SPINS: u32 = 64;

/// After how many groups of one in a row no company is expected any more: the callers may only have been late.
const GROUPS_OF_ONE: u32 = 8;

/// What the last writes tell of the next: they came together, or one by one.
///
/// Callers that were all answered by one commit all call again, one after another. Without a moment of patience the first of them
/// would be committed alone, and those behind it in small groups, each with a commit and a wake-up.
#[derive(Debug)]
pub(super) struct Company {
    /// After how many more groups of one none is expected any more.
    patience: u32,
    /// Whether somebody else can run while a thread waits without sleeping.
    can_wait: bool,
}

impl Default for Company {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { patience: 0, can_wait: cores > 1 }
    }
}

impl Company {
    /// Whether a write that nobody waits behind is worth a transaction that others can join.
    pub(super) fn is_expected(&self) -> bool {
        self.patience > 0 && self.can_wait
    }

    /// Learns how many writes a group had.
    pub(super) fn learn(&mut self, members: usize) {
        self.patience = if members > 1 { GROUPS_OF_ONE } else { self.patience.saturating_sub(1) };
    }

    /// Waits a moment for the next write, if one is to be expected. Returns whether there is one.
    pub(super) fn wait(&self, permit: &Permit) -> bool {
        if !self.is_expected() {
            return false;
        }
        let since = Instant::now();
        while !permit.has_heir() {
            if since.elapsed() > PATIENCE {
                return false;
            }
            for _ in 0..SPINS {
                std::hint::spin_loop();
            }
        }
        true
    }
}
