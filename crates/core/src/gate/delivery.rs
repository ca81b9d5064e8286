//! Calls the waiters that an event of the gate concerns, outside its lock and without recursion.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Permit, Rejection, Waiter};
use crate::sync::thread_local;
use crate::trace::tell;

/// One call that an event of the gate leads to.
pub(super) enum Call<W: Waiter> {
    Admit(W, Permit<W>),
    Reject(W, Rejection),
    Closed(Box<dyn FnOnce() + Send>),
}

impl<W: Waiter> Call<W> {
    /// Makes the call. A panic in it ends here: the thread that released a permit is not to blame for the next waiter, and
    /// the waiters behind that one still have to be called.
    fn make(self) {
        let call = AssertUnwindSafe(|| match self {
            Self::Admit(waiter, permit) => drop(waiter.admitted(permit)),
            Self::Reject(waiter, rejection) => waiter.rejected(rejection),
            Self::Closed(on_closed) => on_closed(),
        });
        if catch_unwind(call).is_err() {
            tell!(ERROR, "sluice::gate", "a waiter panicked; its permit, if it had one, was released");
        }
    }
}

/// The calls that an event led to. They are made when it is dropped, which is to be where no lock is held.
#[must_use = "those who run now are called at once"]
pub struct Told<W: Waiter>(pub(super) Vec<Call<W>>);

impl<W: Waiter> Default for Told<W> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<W: Waiter> fmt::Debug for Told<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Told").field(&self.0.len()).finish()
    }
}

impl<W: Waiter> Drop for Told<W> {
    fn drop(&mut self) {
        deliver(std::mem::take(&mut self.0));
    }
}

type Job = Box<dyn FnOnce()>;

thread_local! {
    /// The calls that the running call led to. `Some` while this thread makes calls, for any gate.
    static POSTPONED: RefCell<Option<VecDeque<Job>>> = RefCell::new(None);
}

/// Makes the calls, in order, before it returns; or, from inside another call on this thread, after that one returned.
///
/// So a chain of waiters that each give their permit back at once takes a loop, not a stack frame each.
pub(super) fn deliver<W: Waiter>(calls: Vec<Call<W>>) {
    if calls.is_empty() {
        return;
    }
    match Turn::begin() {
        Some(_turn) => {
            make_all(calls);
            while let Some(job) = next_postponed() {
                job();
            }
        }
        None if is_delivering() => postpone(Box::new(move || make_all(calls))),
        // Thread-local storage is gone: the thread is ending, and a permit it kept there comes back.
        None => make_all(calls),
    }
}

fn make_all<W: Waiter>(calls: Vec<Call<W>>) {
    calls.into_iter().for_each(Call::make);
}

fn is_delivering() -> bool {
    POSTPONED.try_with(|postponed| postponed.borrow().is_some()).unwrap_or(false)
}

fn postpone(job: Job) {
    POSTPONED.with(|postponed| {
        postponed.borrow_mut().as_mut().expect("BUG: only a delivering thread postpones calls").push_back(job);
    });
}

fn next_postponed() -> Option<Job> {
    POSTPONED.with(|postponed| postponed.borrow_mut().as_mut().and_then(VecDeque::pop_front))
}

/// Marks this thread as delivering. Its drop ends that, also when a call unwinds after all, because a thread that stayed
/// marked would never call anybody again.
struct Turn;

impl Turn {
    /// Returns `None` if this thread delivers already, or is ending.
    fn begin() -> Option<Self> {
        let begin = |postponed: &RefCell<Option<_>>| {
            let mut postponed = postponed.borrow_mut();
            postponed.is_none().then(|| *postponed = Some(VecDeque::new()))
        };
        POSTPONED.try_with(begin).ok().flatten().map(|()| Self)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // What is left after an unwinding is dropped outside the borrow: it holds permits, whose release delivers again.
        let left = POSTPONED.with(|postponed| postponed.borrow_mut().take());
        drop(left);
    }
}
