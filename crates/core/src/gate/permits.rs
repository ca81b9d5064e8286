//! The counters of the permits that are out.

use super::request::{Class, ReadKind};

/// The permits that are out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Permits {
    pub(super) readers: u32,
    /// How many of `readers` are sessions.
    pub(super) sessions: u32,
    /// How many of `readers` run quick reads.
    pub(super) quicks: u32,
    pub(super) writers: u32,
    pub(super) exclusives: u32,
}

impl Permits {
    pub(super) fn take(&mut self, class: Class) {
        match class {
            Class::Read(ReadKind::Short | ReadKind::Nested) => self.readers += 1,
            Class::Read(ReadKind::Quick) => {
                self.readers += 1;
                self.quicks += 1;
            }
            Class::Read(ReadKind::Session) => {
                self.readers += 1;
                self.sessions += 1;
            }
            Class::Write => self.writers += 1,
            Class::Exclusive => self.exclusives += 1,
        }
    }

    pub(super) fn give_back(&mut self, class: Class) {
        let decrement = |count: u32| count.checked_sub(1).expect("BUG: I5 a permit is released that is not out");
        match class {
            Class::Read(ReadKind::Short | ReadKind::Nested) => self.readers = decrement(self.readers),
            Class::Read(ReadKind::Quick) => {
                self.readers = decrement(self.readers);
                self.quicks = decrement(self.quicks);
            }
            Class::Read(ReadKind::Session) => {
                self.readers = decrement(self.readers);
                self.sessions = decrement(self.sessions);
            }
            Class::Write => self.writers = decrement(self.writers),
            Class::Exclusive => self.exclusives = decrement(self.exclusives),
        }
    }

    /// A reader that runs a quick read does not any more: it runs a short one.
    pub(super) fn slow_down(&mut self) {
        self.quicks = self.quicks.checked_sub(1).expect("BUG: I5 a quick read is slow that does not run");
    }

    pub(super) fn writing(self) -> u32 {
        self.writers + self.exclusives
    }

    pub(super) fn total(self) -> u32 {
        self.readers + self.writing()
    }
}
