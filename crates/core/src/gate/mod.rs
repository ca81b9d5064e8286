//! The admission gate: decides who may read, write, or have the database for itself, and tells those who waited.
//!
//! [`Admission`] is the decision, a pure state machine; [`Gate`] is its shell, which adds a lock, the waiters and RAII:
//! - [`Permit`] is the right to proceed. Its drop is the release.
//! - [`Place`] is a position among the writes for a statement that may turn out to be one. Its drop withdraws it, unless the
//!   statement was admitted as a write meanwhile.
//! - [`Waiter`] is whatever wants to be told, for one request or for several that were made together. The gate owns it while it is
//!   queued, and every request leaves exactly once: through [`Waiter::admitted`], [`Waiter::rejected`], [`Gate::cancel`], or with a permit that is passed on.
//!
//! Waiters are called outside the lock, on the thread whose release, cancellation or close concerned them. What such a call
//! leads to on that thread follows after it returned. A panic in one is caught and reported; the gate and the others go on.
//! The gate reads no clock: times are passed in.

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use crate::sync::Mutex;

mod admission;
mod delivery;
mod permit;
mod permits;
mod place;
mod queues;
mod request;
mod status;
#[cfg(all(test, not(feature = "model-check")))]
mod tests;
mod waiters;

pub use self::delivery::Told;
use self::delivery::{Call, deliver};
use self::place::Standing;
use self::waiters::{Waiters, Waiting};

pub use self::admission::Admission;
pub use self::permit::{Passed, Permit};
pub use self::place::Place;
pub use self::request::{Admitted, Class, Concurrency, Decision, ReadKind, Ticket, UnclassifiedDecision};
pub use self::status::{AdmissionStatus, Mode, Phase};

/// Waits for a permit. The gate calls [`Waiter::admitted`] or [`Waiter::rejected`], at most once, and never under its lock.
///
/// Such a call should hand over and return: the thread that makes it has others to make, and must not wait for one of them.
pub trait Waiter: Send + Sized + 'static {
    /// Takes the permit. Returning it says that nobody waits any more, and releases it.
    fn admitted(self, permit: Permit<Self>) -> Option<Permit<Self>>;

    /// Learns that there will be no permit.
    fn rejected(self, reason: Rejection);

    /// Returns how many requests it stands for, at least 1. Each of them has a ticket and is answered by itself. More than one only where it is
    /// given to [`Gate::request_all`] or [`Permit::put_back`]. Called under the gate's lock.
    fn requests(&self) -> usize {
        1
    }

    /// Takes so many requests off, the first ones. Returns nothing when it stands for no more than that. Called under the gate's lock.
    fn take_first(&mut self, _count: usize) -> Option<Self> {
        None
    }
}

/// Says why a request gets no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The gate is closing or closed.
    Closed,
    /// The queue is full.
    Overloaded,
    /// The request was queued for too long: [`Gate::expire`].
    TimedOut,
}

/// Answers a request.
#[must_use = "an unused permit is released at once"]
pub enum Request<W: Waiter> {
    /// The request runs now. The waiter comes back; nothing was allocated for it.
    Admitted(W, Permit<W>),
    /// The gate keeps the waiter until it can run.
    Queued {
        /// Names the request for [`Gate::cancel`].
        ticket: Ticket,
        /// Whether nobody is queued for longer: a timer that calls [`Gate::expire`] has to be set anew.
        first: bool,
    },
    /// The request will not run. The waiter comes back, without having been called.
    Rejected(W, Rejection),
}

/// Answers several requests that were made together.
#[must_use = "an unused permit is released at once"]
pub struct RequestedAll<W: Waiter> {
    /// Those that were not queued, in their order.
    pub unqueued: SmallVec<[Request<W>; 1]>,
    /// As in [`Request::Queued`], of those that were.
    pub first: bool,
}

/// Admits requests to one database, and queues those that must wait. Shared as `Arc<Gate<W>>`.
///
/// # Examples
/// ```
/// use std::sync::mpsc::{Sender, channel};
/// use std::time::Instant;
///
/// use sluice_core::gate::{Class, Concurrency, Gate, Permit, Rejection, Request, Waiter};
///
/// struct Job(Sender<&'static str>);
///
/// impl Waiter for Job {
///     fn admitted(self, permit: Permit<Self>) -> Option<Permit<Self>> {
///         self.0.send("admitted").err().map(|_| permit)
///     }
///     fn rejected(self, _reason: Rejection) {
///         self.0.send("rejected").ok();
///     }
/// }
///
/// let (sender, outcomes) = channel();
/// let gate = Gate::new(Concurrency::Wal, 4, 1_000);
/// let Request::Admitted(_job, permit) = gate.request(Class::Write, Job(sender.clone()), Instant::now()) else {
///     unreachable!("nothing else runs")
/// };
/// let Request::Queued { .. } = gate.request(Class::Write, Job(sender), Instant::now()) else {
///     unreachable!("one write runs at a time")
/// };
/// drop(permit);
/// assert_eq!(outcomes.recv(), Ok("admitted"));
/// assert_eq!(gate.status().queued, 0);
/// ```
pub struct Gate<W: Waiter> {
    state: Mutex<State<W>>,
}

struct State<W: Waiter> {
    admission: Admission,
    /// Places have no entry: their statement waits as a read.
    waiting: Waiters<W>,
    on_closed: Vec<Box<dyn FnOnce() + Send>>,
    last_requested_at: Option<Instant>,
    /// The requests that the current event admitted. Empty between events; kept for its memory.
    admitted: Vec<Admitted>,
}

impl<W: Waiter> Gate<W> {
    /// Makes an open gate.
    ///
    /// `max_readers` limits the read permits (0: reads must not be requested); `max_queued` limits everything that waits.
    #[must_use]
    pub fn new(concurrency: Concurrency, max_readers: u32, max_queued: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                admission: Admission::new(concurrency, max_readers, max_queued),
                waiting: Waiters::default(),
                on_closed: Vec::new(),
                last_requested_at: None,
                admitted: Vec::new(),
            }),
        })
    }

    /// Requests a permit of `class`. `now` is when the wait begins, if there is one.
    ///
    /// # Panics
    /// On a read request if `max_readers` is 0.
    pub fn request(self: &Arc<Self>, class: Class, waiter: W, now: Instant) -> Request<W> {
        let mut widened = Told::default();
        let mut state = self.state.lock();
        let queued_at = state.not_before_the_last(now);
        let decision = state.admission.on_request(class);
        let request = state.settle(self, decision, class, Waiting { waiter, queued_at });
        state.widen(self, class, &mut widened);
        request
    }

    /// Requests a permit of `class` for each of `waiters`, in their order, as one step: nobody comes between them. One that stands for
    /// several requests is asked for a permit for each of these.
    ///
    /// They are counted off under the lock: to ask for the next must do no more than hand it over.
    ///
    /// # Panics
    /// On read requests if `max_readers` is 0.
    pub fn request_all(
        self: &Arc<Self>,
        class: Class,
        waiters: impl IntoIterator<Item = W>,
        now: Instant,
    ) -> RequestedAll<W> {
        // Declared before the lock is taken, so that even an unwinding drops waiters and permits after it is free.
        let mut widened = Told::default();
        let mut requested = RequestedAll { unqueued: SmallVec::new(), first: false };
        let mut waiters = waiters.into_iter();
        let mut state = self.state.lock();
        let queued_at = state.not_before_the_last(now);
        for waiter in waiters.by_ref() {
            state.settle_all(self, class, Waiting { waiter, queued_at }, &mut requested);
        }
        state.widen(self, class, &mut widened);
        requested
    }

    /// Returns a permit of `class` if a request for one would be admitted at once. Otherwise nothing happens: nobody waits.
    ///
    /// # Panics
    /// On a read request if `max_readers` is 0.
    pub fn try_request(self: &Arc<Self>, class: Class) -> Option<Permit<W>> {
        let admitted = self.state.lock().admission.on_try(class);
        admitted.then(|| Permit::new(Arc::clone(self), class))
    }

    /// Requests a short read for a statement that may turn out to be a write, and takes a place among the writes for it, as
    /// one step, so that the statement keeps its position in either case.
    ///
    /// The permit is a write permit if the writer is free before a reader is: [`Permit::class`] tells. The place is void then;
    /// whoever runs the statement classifies it, and may find that it belongs on a reader.
    ///
    /// `make` puts the place into the waiter, and is called before anything is requested. If the request is rejected, that
    /// place never stood in the queue.
    ///
    /// # Panics
    /// If `max_readers` is 0.
    pub fn request_unclassified(self: &Arc<Self>, now: Instant, make: impl FnOnce(Place<W>) -> W) -> Request<W> {
        let (place, standing) = Place::new(self);
        let waiter = make(place);
        let read = Class::Read(ReadKind::Short);

        let mut state = self.state.lock();
        let queued_at = state.not_before_the_last(now);
        let queued = |ticket| Standing::Queued { ticket, queued_at };
        let (stands, decision, class) = match state.admission.on_unclassified() {
            UnclassifiedDecision::Admitted { place } => (queued(place), Decision::Admitted, read),
            UnclassifiedDecision::AdmittedAsWrite => (Standing::Void, Decision::Admitted, Class::Write),
            UnclassifiedDecision::Queued { place, read: ticket } => (queued(place), Decision::Queued(ticket), read),
            UnclassifiedDecision::Overloaded => (Standing::Refused(Rejection::Overloaded), Decision::Overloaded, read),
            UnclassifiedDecision::Closed => (Standing::Refused(Rejection::Closed), Decision::Closed, read),
        };
        let known = standing.set(stands);
        let request = state.settle(self, decision, class, Waiting { waiter, queued_at });
        drop(state);

        if let (Standing::Queued { ticket, queued_at: _ }, Err(_)) = (stands, known) {
            // `make` did not keep the place, so nobody else will withdraw it.
            self.cancel_place(ticket);
        }
        request
    }

    /// Takes a waiter out of the queue and gives it back, uncalled. Returns `None` if it is not queued any more.
    pub fn cancel(self: &Arc<Self>, ticket: Ticket) -> Option<W> {
        self.change(|state, _| {
            // Not the queues but the waiters say whether it is there: a caller never holds the ticket of a place.
            let waiting = state.waiting.remove(ticket)?;
            state.cancel_queued(ticket);
            Some(waiting.waiter)
        })
    }

    /// Rejects, as timed out, every waiter that was queued before `queued_before`, oldest first. Returns how many.
    ///
    /// A write whose statement was classified first counts as queued since its place was taken.
    pub fn expire(self: &Arc<Self>, queued_before: Instant) -> usize {
        self.change(|state, calls| {
            let mut count = 0;
            let overdue = |state: &State<W>| state.waiting.oldest().filter(|(_, queued_at)| *queued_at < queued_before);
            while let Some((ticket, _)) = overdue(state) {
                let waiting = state.waiting.remove(ticket).expect("BUG: I4 the oldest waiter is gone");
                calls.push(Call::Reject(waiting.waiter, Rejection::TimedOut));
                state.cancel_queued(ticket);
                state.collect_admitted(self, calls);
                count += 1;
            }
            count
        })
    }

    /// Returns since when the oldest waiter has been queued.
    pub fn oldest_queued(&self) -> Option<Instant> {
        self.state.lock().waiting.oldest().map(|(_, queued_at)| queued_at)
    }

    /// Ends admission and rejects every queued waiter, oldest first. Does nothing a second time.
    pub fn close(self: &Arc<Self>) {
        self.change(|state, calls| {
            let mut rejected = Vec::new();
            state.admission.on_close(&mut rejected);
            let waiting = rejected.iter().filter_map(|ticket| state.waiting.remove(*ticket));
            calls.extend(waiting.map(|waiting| Call::Reject(waiting.waiter, Rejection::Closed)));
        });
    }

    /// Calls `on_closed` once, as soon as the gate is closed and every permit came back: at once, if that is now.
    ///
    /// The last permit may come back on another thread while the one in [`Gate::close`] still rejects waiters.
    pub fn on_closed(self: &Arc<Self>, on_closed: impl FnOnce() + Send + 'static) {
        self.change(|state, _| state.on_closed.push(Box::new(on_closed)));
    }

    /// Returns every number at once, as they are at one moment.
    pub fn status(&self) -> AdmissionStatus {
        self.state.lock().admission.status()
    }

    /// Changes the concurrency, when the journal mode changed. `exclusive` proves that nothing else runs.
    ///
    /// # Panics
    /// If `exclusive` is not an exclusive permit of this gate.
    pub fn set_concurrency(self: &Arc<Self>, exclusive: &Permit<W>, concurrency: Concurrency) {
        assert!(Arc::ptr_eq(self, exclusive.gate()), "BUG: I2 the permit is another gate's");
        assert!(
            exclusive.class() == Class::Exclusive,
            "BUG: I2 the concurrency changes only under an exclusive permit"
        );
        self.state.lock().admission.set_concurrency(concurrency);
    }

    fn confirm(self: &Arc<Self>, place: Ticket, waiter: W, queued_at: Instant) -> Request<W> {
        let mut state = self.state.lock();
        let decision = state.admission.on_confirm(place);
        state.settle(self, decision, Class::Write, Waiting { waiter, queued_at })
    }

    fn cancel_place(self: &Arc<Self>, place: Ticket) {
        // False after `close`, which took the place away, and once the statement was admitted as a write.
        self.change(|state, _| state.admission.on_cancel(place, &mut state.admitted));
    }

    fn release(self: &Arc<Self>, class: Class, used: usize) {
        self.change(|state, _| {
            state.admission.on_used(used);
            state.admission.on_release(class, &mut state.admitted);
        });
    }

    /// Says that the quick read of a permit is slow: nobody waits for it any more because of its kind, and whoever waits for a quick read waits for a
    /// short one. For whoever does not have that permit, which has to be told of it: [`Permit::was_slowed_down`]. Those who run now are called when
    /// what is returned is dropped.
    ///
    /// # Panics
    /// If no permit of a quick read is out.
    pub fn slow_down(self: &Arc<Self>) -> Told<W> {
        let mut told = Told::default();
        let mut state = self.state.lock();
        let State { admission, admitted, .. } = &mut *state;
        admission.on_slow(admitted);
        state.collect_admitted(self, &mut told.0);
        drop(state);
        told
    }

    /// Tells that so many have used a permit that it was passed on to ahead of their turns, as [`Permit::used`]; for whoever does not have that
    /// permit, which has to be told of it: [`Permit::were_settled`].
    ///
    /// # Panics
    /// If no permit was passed on to so many.
    pub fn used(&self, count: usize) {
        self.state.lock().admission.on_used(count);
    }

    /// Puts reads of a kind back that a permit was passed on to ahead of their turns, as [`Permit::put_back`]; for whoever does not have that permit,
    /// which has to be told of it: [`Permit::were_settled`].
    ///
    /// # Errors
    /// The waiter itself, when the gate was closed meanwhile.
    ///
    /// # Panics
    /// If no permit was passed on to them ahead of their turns.
    pub fn put_back_reads(
        self: &Arc<Self>,
        kind: ReadKind,
        first: Ticket,
        waiter: W,
        queued_at: Instant,
    ) -> Result<bool, W> {
        self.put_back(Class::Read(kind), 0, first, Waiting { waiter, queued_at })
    }

    fn put_back(self: &Arc<Self>, class: Class, used: usize, first: Ticket, waiting: Waiting<W>) -> Result<bool, W> {
        let tickets: Vec<_> = (0..waiting.waiter.requests()).map(|request| first.after(request)).collect();
        self.change(|state, _| {
            state.admission.on_used(used);
            let is_back = state.admission.on_put_back(class, &tickets, &mut state.admitted);
            if is_back { Ok(state.waiting.insert(first, waiting)) } else { Err(waiting.waiter) }
        })
    }

    /// Runs one event under the lock, and makes the calls it leads to after the lock is free.
    fn change<R>(self: &Arc<Self>, event: impl FnOnce(&mut State<W>, &mut Vec<Call<W>>) -> R) -> R {
        // Declared before the lock is taken, so that even an unwinding drops waiters and permits after it is free.
        let mut calls = Vec::new();
        let mut state = self.state.lock();
        let result = event(&mut state, &mut calls);
        state.collect_admitted(self, &mut calls);
        state.collect_closed(&mut calls);
        drop(state);
        deliver(calls);
        result
    }
}

impl<W: Waiter> State<W> {
    /// Turns a decision into the answer for the caller, and keeps the waiter if it is queued. `class` is what was admitted, if so.
    fn settle(&mut self, gate: &Arc<Gate<W>>, decision: Decision, class: Class, waiting: Waiting<W>) -> Request<W> {
        match decision {
            Decision::Admitted => Request::Admitted(waiting.waiter, Permit::new(Arc::clone(gate), class)),
            Decision::Queued(ticket) => Request::Queued { ticket, first: self.waiting.insert(ticket, waiting) },
            Decision::Overloaded => Request::Rejected(waiting.waiter, Rejection::Overloaded),
            Decision::Closed => Request::Rejected(waiting.waiter, Rejection::Closed),
        }
    }

    /// Decides each request that a waiter stands for, in order. Where all that are left have to wait they stay together.
    fn settle_all(&mut self, gate: &Arc<Gate<W>>, class: Class, waiting: Waiting<W>, requested: &mut RequestedAll<W>) {
        let Waiting { waiter: mut several, queued_at } = waiting;
        loop {
            let decision = self.admission.on_request(class);
            let others = several.requests() - 1;
            if let Decision::Queued(ticket) = decision
                && self.admission.has_room_for(others)
            {
                for _ in 0..others {
                    let decision = self.admission.on_request(class);
                    assert!(matches!(decision, Decision::Queued(_)), "BUG: I3 a request overtook one like it");
                }
                requested.first |= self.waiting.insert(ticket, Waiting { waiter: several, queued_at });
                return;
            }
            let (waiter, rest) = match several.take_first(1) {
                Some(first) => (first, Some(several)),
                None => (several, None),
            };
            match self.settle(gate, decision, class, Waiting { waiter, queued_at }) {
                Request::Queued { ticket: _, first } => requested.first |= first,
                answer @ (Request::Admitted(..) | Request::Rejected(..)) => requested.unqueued.push(answer),
            }
            let Some(rest) = rest else { return };
            several = rest;
        }
    }

    /// Takes the first requests of the waiter with this ticket out, which the permit was passed on to that is asked for.
    fn take_passed(&mut self, ticket: Ticket, count: usize) -> impl FnOnce(Permit<W>) -> Passed<W> + use<W> {
        let waiting = self.waiting.remove_first(ticket, count);
        let Waiting { waiter, queued_at } = waiting.expect("BUG: I4 a request is admitted whose waiter is gone");
        let horizon = self.admission.horizon();
        move |permit| Passed { waiter, permit, ticket, queued_at, horizon }
    }

    /// Returns `now`, or the time of the last request if that thread read its clock later and came first: the order by ticket
    /// has to be the order by age.
    fn not_before_the_last(&mut self, now: Instant) -> Instant {
        let queued_at = self.last_requested_at.map_or(now, |last| last.max(now));
        self.last_requested_at = Some(queued_at);
        queued_at
    }

    /// Requests of `class` were made.
    fn widen(&mut self, gate: &Arc<Gate<W>>, class: Class, told: &mut Told<W>) {
        if class == Class::Read(ReadKind::Quick) {
            self.admission.on_widen(&mut self.admitted);
            self.collect_admitted(gate, &mut told.0);
        }
    }

    fn cancel_queued(&mut self, ticket: Ticket) {
        let was_queued = self.admission.on_cancel(ticket, &mut self.admitted);
        assert!(was_queued, "BUG: I4 a waiter is kept that is not queued");
    }

    fn collect_admitted(&mut self, gate: &Arc<Gate<W>>, calls: &mut Vec<Call<W>>) {
        for Admitted { ticket, class } in self.admitted.drain(..) {
            let Waiting { waiter, queued_at: _ } =
                self.waiting.remove(ticket).expect("BUG: I4 a request is admitted whose waiter is gone");
            calls.push(Call::Admit(waiter, Permit::new(Arc::clone(gate), class)));
        }
    }

    fn collect_closed(&mut self, calls: &mut Vec<Call<W>>) {
        match self.admission.phase() {
            Phase::Open | Phase::Draining => {}
            Phase::Closed => calls.extend(self.on_closed.drain(..).map(Call::Closed)),
        }
    }
}
