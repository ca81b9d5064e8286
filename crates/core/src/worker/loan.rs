//! Lending a connection to another thread, for the moment of one statement, while its own thread waits for messages.
//!
//! SQLite does not care which thread uses a connection, as long as no two do at once: <https://sqlite.org/threadsafe.html>, "multi-thread".
#![expect(
    unsafe_code,
    reason = "the desk of a connection crosses to another thread, and comes back, under one atomic state"
)]

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};
use std::time::Instant;

use super::hold::Desk;
use super::{Message, Worker};

/// The connection's own thread has it.
const HERE: u8 = 0;
/// It waits for messages, and may be lent.
const OFFERED: u8 = 1;
/// Another thread has it.
const LENT: u8 = 2;
/// Another thread has it, and its own waits to have it back.
const WANTED: u8 = 3;

/// Where a connection is, with its statements and its hold: its desk.
///
/// | from | to | by |
/// |---|---|---|
/// | `HERE` | `OFFERED` | its own thread, which begins to wait for messages |
/// | `OFFERED` | `HERE` | its own thread, which has a message |
/// | `OFFERED` | `LENT` | a borrower |
/// | `LENT` | `WANTED` | its own thread, which has a message |
/// | `LENT`, `WANTED` | `OFFERED` | the borrower, who wakes the owner after `WANTED` |
#[derive(Debug, Default)]
pub(super) struct Loan {
    state: AtomicU8,
    /// The owner's `Desk`; valid unless `HERE`.
    desk: AtomicPtr<()>,
}

/// The desk is offered, until this is dropped: it is back then.
struct Offer<'w>(&'w Loan);

impl Offer<'_> {
    /// Takes the desk back. Returns whether it is here; if not, the borrower wakes the owner.
    fn take_back(&self) -> bool {
        let state = &self.0.state;
        let mut found = state.load(Ordering::Relaxed);
        loop {
            let (wanted, is_here) = match found {
                OFFERED => (HERE, true),
                LENT => (WANTED, false),
                _ => return found == HERE,
            };
            match state.compare_exchange_weak(found, wanted, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return is_here,
                Err(now) => found = now,
            }
        }
    }
}

impl Drop for Offer<'_> {
    fn drop(&mut self) {
        while !self.take_back() {
            std::thread::yield_now();
        }
        self.0.desk.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

/// The desk is lent, until this is dropped.
struct Borrowed<'w>(&'w Worker);

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if self.0.loan.state.swap(OFFERED, Ordering::Release) == WANTED {
            // Under the lock, or the owner could just be about to sleep.
            drop(self.0.queue.lock());
            self.0.ready.notify_one();
        }
    }
}

impl Worker {
    /// Waits for the next message, as [`Worker::next`]. Meanwhile [`Worker::borrow`] lends `desk`; it is back when this returns.
    pub(super) fn next_lending(&self, desk: &mut Desk<'_, '_>) -> Message {
        let offer = self.offer(desk);
        let since = Instant::now();
        self.vigil.keep(since);
        let mut queue = self.queue.lock();
        loop {
            if !queue.messages.is_empty()
                && offer.take_back()
                && let Some(message) = queue.messages.pop_front()
            {
                self.vigil.end(since, queue.messages.is_empty());
                return message;
            }
            self.ready.wait(&mut queue);
        }
    }

    fn offer(&self, desk: &mut Desk<'_, '_>) -> Offer<'_> {
        self.loan.desk.store(ptr::from_mut(desk).cast(), Ordering::Relaxed);
        let before = self.loan.state.swap(OFFERED, Ordering::Release);
        assert!(before == HERE, "BUG: a connection is offered that is not here");
        Offer(&self.loan)
    }

    /// Uses the connection of a worker that waits for messages, on this thread. Returns `None` when it does not wait, or has lent it to
    /// somebody else.
    pub(crate) fn borrow<R>(&self, work: impl FnOnce(&mut Desk<'_, '_>) -> R) -> Option<R> {
        let lend = self.loan.state.compare_exchange(OFFERED, LENT, Ordering::Acquire, Ordering::Relaxed);
        lend.ok()?;
        let _borrowed = Borrowed(self);
        let desk = self.loan.desk.load(Ordering::Relaxed).cast::<Desk<'_, '_>>();
        // SAFETY: the pointer was made from the `&mut` that `next_lending` holds until `Offer` is dropped, and that needs the state to
        // leave `LENT`, which only `_borrowed` brings about, after `work`. The state went from `OFFERED` to `LENT` here, so nobody else
        // has it; what the owner did before is visible (release in `offer`, acquire above), and what is done here will be to the owner.
        // `work` takes any lifetime, so that nothing it saw gets out. The types are not `Send` only because a connection must not be
        // used by two threads at once: it is opened for use by one at a time, and none of them refers to a thread.
        Some(work(unsafe { &mut *desk }))
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize};

    use tokio::sync::oneshot;

    use super::*;
    use crate::connection::{ConnectionConfig, Location, WalRequest, open_writer};
    use crate::metrics::CacheCounts;
    use crate::rows::Limits;
    use crate::statement::Statements;
    use crate::worker::hold::Hold;

    const LIMITS: Limits = Limits { max_result_bytes: 1_000, max_text_bytes: 1_000 };

    /// Runs `meanwhile` while another thread owns a connection and waits for one message.
    fn with_owner(meanwhile: impl FnOnce(&Arc<Worker>)) {
        let worker = Worker::new("reader.1");
        let owner = Arc::clone(&worker);
        let thread = std::thread::spawn(move || {
            let holds = AtomicUsize::new(0);
            let location = Location::Memory("loan".to_owned());
            let (connection, _) =
                open_writer(&location, &ConnectionConfig::default(), WalRequest::Keep).expect("a connection");
            let mut statements =
                Statements::new(&connection, 1, LIMITS, Arc::new(CacheCounts::default()).of_connection());
            let mut hold = Hold::new(&owner, &connection, &holds);
            let mut desk = Desk { statements: &mut statements, hold: &mut hold };
            drop(owner.next_lending(&mut desk));
            assert_eq!(owner.loan.state.load(Ordering::SeqCst), HERE);
        });
        while worker.loan.state.load(Ordering::SeqCst) != OFFERED {
            std::thread::yield_now();
        }
        meanwhile(&worker);
        thread.join().expect("the owner has its message");
    }

    fn send(worker: &Worker) {
        let (receipt, _) = oneshot::channel();
        assert!(worker.send(Message::Close(receipt)).is_ok());
    }

    #[test]
    fn what_is_lent_to_one_is_not_lent_to_another() {
        with_owner(|worker| {
            let again = worker.borrow(|_| worker.borrow(|_| ()).is_some());
            assert_eq!(again, Some(false));
            assert_eq!(worker.borrow(|_| ()), Some(()), "it was given back");
            send(worker);
        });
        let idle = Worker::new("reader.2");
        assert_eq!(idle.borrow(|_| ()), None, "nobody waits there");
    }

    #[test]
    fn a_message_waits_until_what_was_lent_is_back() {
        with_owner(|worker| {
            let done = Arc::new(AtomicBool::new(false));
            worker.borrow(|_| {
                send(worker);
                while worker.loan.state.load(Ordering::SeqCst) != WANTED {
                    std::thread::yield_now();
                }
                assert_eq!(worker.queue.lock().messages.len(), 1, "the owner has not taken it");
                done.store(true, Ordering::SeqCst);
            });
            assert!(done.load(Ordering::SeqCst));
        });
    }

    #[test]
    fn a_borrower_that_panics_gives_back() {
        with_owner(|worker| {
            let panicked = catch_unwind(AssertUnwindSafe(|| worker.borrow(|_| panic!("while it is lent"))));
            assert!(panicked.is_err());
            assert_eq!(worker.borrow(|_| ()), Some(()));
            send(worker);
        });
    }
}
