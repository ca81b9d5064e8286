//! How many handles there are on a database.

use std::cell::Cell;
use std::rc::Rc;

/// Counts one handle as long as it lives and has not been closed.
pub(crate) struct HandleCount {
    all: Rc<Cell<u32>>,
    left: Cell<bool>,
}

impl HandleCount {
    /// Counts the first handle.
    pub(crate) fn first() -> Self {
        Self { all: Rc::new(Cell::new(1)), left: Cell::new(false) }
    }

    /// Counts another one on the same database.
    pub(crate) fn another(&self) -> Self {
        self.all.set(self.all.get() + 1);
        Self { all: Rc::clone(&self.all), left: Cell::new(false) }
    }

    pub(crate) fn count(&self) -> u32 {
        self.all.get()
    }

    /// Counts this one no more.
    pub(crate) fn leave(&self) {
        if !self.left.replace(true) {
            let all = self.all.get().checked_sub(1).expect("BUG: a handle is counted once");
            self.all.set(all);
        }
    }
}

impl Drop for HandleCount {
    fn drop(&mut self) {
        self.leave();
    }
}
