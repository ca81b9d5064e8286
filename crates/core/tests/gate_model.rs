//! Runs the real gate under loom, which tries every interleaving of its threads up to a bound on preemptions.
//!
//! `cargo test -p sluice-core --features model-check --test gate_model`
#![cfg(feature = "model-check")]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use sluice_core::gate::{
    Class, Concurrency, Gate, Passed, Permit, Phase, Place, ReadKind, Rejection, Request, Ticket, Waiter,
};

const SHORT: Class = Class::Read(ReadKind::Short);
/// How often loom may stop a thread that could go on, in one interleaving. More than that finds few bugs and takes long.
const PREEMPTIONS: usize = 5;

const QUICK: Class = Class::Read(ReadKind::Quick);
const SESSION: Class = Class::Read(ReadKind::Session);

/// Counts who is inside, and what became of every request.
struct Room {
    concurrency: Concurrency,
    readers: AtomicUsize,
    writers: AtomicUsize,
    admitted: AtomicUsize,
    rejected: AtomicUsize,
    /// How often the gate reported that it is closed.
    closed_calls: AtomicUsize,
    /// Whether a waiter was called, in this interleaving or an earlier one.
    admitted_late: Arc<AtomicBool>,
}

impl Room {
    fn use_permit(&self, permit: &Permit<Guest>) {
        self.admitted.fetch_add(1, Ordering::SeqCst);
        match permit.class() {
            Class::Read(_) => {
                self.readers.fetch_add(1, Ordering::SeqCst);
                assert!(self.may_share() || self.writers.load(Ordering::SeqCst) == 0, "I2 a read runs beside a write");
                self.readers.fetch_sub(1, Ordering::SeqCst);
            }
            Class::Write | Class::Exclusive => {
                assert_eq!(self.writers.fetch_add(1, Ordering::SeqCst), 0, "I1 two writers run");
                let alone = !self.may_share() || permit.class() == Class::Exclusive;
                assert!(
                    !alone || self.readers.load(Ordering::SeqCst) == 0,
                    "I2 a read runs beside an exclusive permit"
                );
                self.writers.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    fn may_share(&self) -> bool {
        self.concurrency == Concurrency::Wal
    }
}

/// Uses its permit in the call, and gives it back by returning it or by dropping it there.
struct Guest {
    room: Arc<Room>,
    drops_inside: bool,
    /// For how many others it stands.
    others: usize,
    place: Option<Place<Guest>>,
}

impl Waiter for Guest {
    fn admitted(self, permit: Permit<Self>) -> Option<Permit<Self>> {
        self.room.admitted_late.store(true, Relaxed);
        self.room.use_permit(&permit);
        if self.drops_inside {
            drop(permit);
            return None;
        }
        Some(permit)
    }

    fn rejected(self, _reason: Rejection) {
        self.room.rejected.fetch_add(self.requests(), Ordering::SeqCst);
    }

    fn requests(&self) -> usize {
        1 + self.others
    }

    fn take_first(&mut self, count: usize) -> Option<Self> {
        self.others = self.others.checked_sub(count)?;
        Some(Self { room: Arc::clone(&self.room), drops_inside: self.drops_inside, others: count - 1, place: None })
    }
}

#[derive(Clone)]
struct Stage {
    gate: Arc<Gate<Guest>>,
    room: Arc<Room>,
    now: Instant,
}

impl Stage {
    fn new(concurrency: Concurrency, max_readers: u32, run: &Run) -> Self {
        let room = Room {
            concurrency,
            readers: AtomicUsize::new(0),
            writers: AtomicUsize::new(0),
            admitted: AtomicUsize::new(0),
            rejected: AtomicUsize::new(0),
            closed_calls: AtomicUsize::new(0),
            admitted_late: Arc::clone(&run.admitted_late),
        };
        Self { gate: Gate::new(concurrency, max_readers, 10), room: Arc::new(room), now: run.now }
    }

    fn guest(&self) -> Guest {
        Guest { room: Arc::clone(&self.room), drops_inside: false, others: 0, place: None }
    }

    /// Requests, and does what the answer asks for. Returns whether the request is queued.
    fn visit(&self, class: Class) -> Option<Ticket> {
        self.settle(self.gate.request(class, self.guest(), self.now))
    }

    fn settle(&self, request: Request<Guest>) -> Option<Ticket> {
        match request {
            Request::Admitted(_guest, permit) => {
                self.room.use_permit(&permit);
                None
            }
            Request::Queued { ticket, .. } => Some(ticket),
            Request::Rejected(guest, reason) => {
                guest.rejected(reason);
                None
            }
        }
    }

    fn visit_and_cancel(&self, class: Class) {
        if let Some(guest) = self.visit(class).and_then(|ticket| self.gate.cancel(ticket)) {
            guest.rejected(Rejection::TimedOut);
        }
    }

    /// Takes a place, and confirms it if the read it came with ran at once; drops it with its waiter otherwise. Returns
    /// whether the waiter is queued.
    fn visit_unclassified(&self) -> Option<Ticket> {
        let request = self.gate.request_unclassified(self.now, |place| Guest { place: Some(place), ..self.guest() });
        match request {
            Request::Admitted(mut guest, permit) => {
                self.room.use_permit(&permit);
                let class = permit.class();
                drop(permit);
                let place = guest.place.take().expect("the guest keeps its place");
                match class {
                    Class::Read(_) => drop(self.settle(place.confirm(self.guest()))),
                    Class::Write | Class::Exclusive => drop(place),
                }
                None
            }
            waits @ (Request::Queued { .. } | Request::Rejected(..)) => self.settle(waits),
        }
    }

    fn spawn<T>(&self, visit: impl FnOnce(Stage) -> T + 'static) -> thread::JoinHandle<()> {
        let stage = self.clone();
        thread::spawn(move || {
            visit(stage);
        })
    }

    /// Every request ended once (I4, I5), and nobody is left: a lost wake-up would leave somebody waiting.
    fn assert_over(&self, requests: usize) {
        let status = self.gate.status();
        assert_eq!((status.active_readers, status.active_writer, status.active_exclusive), (0, false, false));
        assert_eq!((status.queued, status.places), (0, 0));
        let ended = self.room.admitted.load(Ordering::SeqCst) + self.room.rejected.load(Ordering::SeqCst);
        assert_eq!(ended, requests);
    }
}

/// What the interleavings of one scenario share: loom neither tracks nor resets it.
#[derive(Clone)]
struct Run {
    now: Instant,
    admitted_late: Arc<AtomicBool>,
}

fn check(scenario: impl Fn(&Run) + Sync + Send + 'static) {
    let run = Run { now: Instant::now(), admitted_late: Arc::new(AtomicBool::new(false)) };
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS);
    model.check({
        let run = run.clone();
        move || scenario(&run)
    });
    assert!(run.admitted_late.load(Relaxed), "no interleaving made a waiter wait and run");
}

fn join(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("a model thread does not panic");
    }
}

#[test]
fn i1_writers_run_one_at_a_time_and_none_is_forgotten() {
    check(|run| {
        let stage = Stage::new(Concurrency::Wal, 2, run);
        let threads = [(); 2].map(|()| stage.spawn(|stage| stage.visit(Class::Write)));
        stage.visit(Class::Write);
        join(threads);
        stage.assert_over(3);
    });
}

#[test]
fn i2_an_exclusive_permit_excludes_reads_and_writes() {
    check(|run| {
        let stage = Stage::new(Concurrency::Wal, 2, run);
        let threads = [Class::Exclusive, Class::Write].map(|class| stage.spawn(move |stage| stage.visit(class)));
        stage.visit(SHORT);
        join(threads);
        stage.assert_over(3);
    });
}

#[test]
fn i2_where_modes_alternate_a_write_excludes_reads() {
    check(|run| {
        let stage = Stage::new(Concurrency::Exclusive, 1, run);
        let threads = [Class::Write, SESSION].map(|class| stage.spawn(move |stage| stage.visit(class)));
        stage.visit(SHORT);
        join(threads);
        stage.assert_over(3);
    });
}

#[test]
fn i4_a_cancelled_writer_is_called_or_comes_back_and_wakes_the_readers_behind_it() {
    check(|run| {
        let stage = Stage::new(Concurrency::Exclusive, 2, run);
        let threads =
            [stage.spawn(|stage| stage.visit_and_cancel(Class::Write)), stage.spawn(|stage| stage.visit(SHORT))];
        stage.visit(SHORT);
        join(threads);
        stage.assert_over(3);
    });
}

#[test]
fn i4_a_waiter_that_expires_while_it_is_admitted_ends_once() {
    check(|run| {
        let stage = Stage::new(Concurrency::Exclusive, 1, run);
        let threads = [
            stage.spawn(|stage| stage.visit(Class::Write)),
            stage.spawn(|stage| stage.gate.expire(stage.now + Duration::from_secs(1))),
        ];
        stage.visit(SHORT);
        join(threads);
        stage.assert_over(2);
    });
}

#[test]
fn i5_permits_released_inside_calls_on_several_threads_come_back_once() {
    check(|run| {
        let stage = Stage::new(Concurrency::Wal, 1, run);
        let visit = |stage: Stage| {
            let guest = Guest { drops_inside: true, ..stage.guest() };
            let request = stage.gate.request(Class::Write, guest, stage.now);
            stage.settle(request);
        };
        let threads = [stage.spawn(visit), stage.spawn(visit)];
        visit(stage.clone());
        join(threads);
        stage.assert_over(3);
    });
}

#[test]
fn i8_close_admits_nothing_more_and_ends_once() {
    check(|run| {
        let stage = Stage::new(Concurrency::Exclusive, 1, run);
        let room = Arc::clone(&stage.room);
        stage.gate.on_closed(move || {
            room.closed_calls.fetch_add(1, Ordering::SeqCst);
        });
        let threads = [
            stage.spawn(|stage| stage.visit(Class::Write)),
            stage.spawn(|stage| {
                stage.gate.close();
                let request = stage.gate.request(SHORT, stage.guest(), stage.now);
                assert!(matches!(request, Request::Rejected(_, Rejection::Closed)), "I8 admitted after close");
                stage.settle(request);
            }),
        ];
        stage.visit(SHORT);
        join(threads);
        stage.assert_over(3);
        assert_eq!(stage.gate.status().phase, Phase::Closed);
        assert_eq!(stage.room.closed_calls.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn i8_two_closes_reject_a_waiter_once() {
    check(|run| {
        let stage = Stage::new(Concurrency::Wal, 1, run);
        let Request::Admitted(_guest, permit) = stage.gate.request(Class::Write, stage.guest(), stage.now) else {
            panic!("nothing else runs")
        };
        assert!(stage.visit(Class::Write).is_some());
        let threads = [(); 2].map(|()| stage.spawn(|stage| stage.gate.close()));
        drop(permit);
        join(threads);
        stage.assert_over(1);
        assert_eq!(stage.gate.status().phase, Phase::Closed);
    });
}

#[test]
fn a_place_confirmed_or_dropped_on_any_thread_leaves_nobody_behind_it() {
    for concurrency in [Concurrency::Wal, Concurrency::Exclusive] {
        check(move |run| {
            let stage = Stage::new(concurrency, 1, run);
            let threads =
                [stage.spawn(|stage| stage.visit_unclassified()), stage.spawn(|stage| stage.visit(Class::Write))];
            stage.visit(SHORT);
            join(threads);
            let unclassified_confirmed = stage.room.admitted.load(Ordering::SeqCst) - 3;
            assert!(unclassified_confirmed <= 1);
            stage.assert_over(3 + unclassified_confirmed);
        });
    }
}

#[test]
fn i4_an_unclassified_waiter_cancelled_while_a_reader_and_the_writer_come_free_ends_once() {
    check(|run| {
        let stage = Stage::new(Concurrency::Wal, 1, run);
        let permits = [SHORT, Class::Write].map(|class| {
            let Request::Admitted(_guest, permit) = stage.gate.request(class, stage.guest(), stage.now) else {
                panic!("nothing else runs")
            };
            permit
        });
        let ticket = stage.visit_unclassified().expect("both are busy");
        let threads = permits.map(|permit| stage.spawn(move |_| drop(permit)));
        if let Some(guest) = stage.gate.cancel(ticket) {
            guest.rejected(Rejection::TimedOut);
        }
        join(threads);
        stage.assert_over(1);
    });
}

#[test]
fn i8_a_place_that_meets_close_leaves_nothing_behind() {
    check(|run| {
        let stage = Stage::new(Concurrency::Wal, 1, run);
        let threads = [stage.spawn(|stage| stage.visit_unclassified()), stage.spawn(|stage| stage.visit(Class::Write))];
        stage.gate.close();
        join(threads);
        let status = stage.gate.status();
        assert_eq!((status.phase, status.queued, status.places), (Phase::Closed, 0, 0));
    });
}

#[test]
fn i4_writes_that_are_passed_the_permit_ahead_of_their_turns_and_put_back_each_end_once() {
    for closes in [false, true] {
        check(move |run| {
            let stage = Stage::new(Concurrency::Wal, 1, run);
            let Request::Admitted(_guest, permit) = stage.gate.request(Class::Write, stage.guest(), stage.now) else {
                panic!("nothing else runs")
            };
            let _ = stage.gate.request_all(Class::Write, [Guest { others: 2, ..stage.guest() }], stage.now);
            let writer = stage.spawn(move |stage| {
                let Ok(Passed { mut waiter, mut permit, ticket, queued_at, .. }) = permit.pass_on_ahead(|_| 3) else {
                    return;
                };
                if waiter.take_first(1).is_some() {
                    stage.room.use_permit(&permit);
                    if let Err(left) = permit.put_back(ticket.after(1), waiter, queued_at) {
                        left.rejected(Rejection::Closed);
                    }
                } else {
                    waiter.rejected(Rejection::Closed);
                }
            });
            let other = stage.spawn(|stage| stage.visit(Class::Write));
            if closes {
                stage.gate.close();
            } else {
                stage.visit(SHORT);
            }
            join([writer, other]);
            stage.assert_over(if closes { 4 } else { 5 });
        });
    }
}

#[test]
fn i4_reads_that_somebody_else_puts_back_or_their_reader_runs_each_end_once() {
    for closes in [false, true] {
        check(move |run| {
            let stage = Stage::new(Concurrency::Wal, 1, run);
            let Request::Admitted(_guest, permit) = stage.gate.request(SHORT, stage.guest(), stage.now) else {
                panic!("nothing else runs")
            };
            let _ = stage.gate.request_all(SHORT, [Guest { others: 2, ..stage.guest() }], stage.now);
            let Ok(Passed { mut waiter, mut permit, ticket, queued_at, .. }) = permit.pass_on_ahead(|_| 3) else {
                panic!("they asked for this class")
            };
            let first = waiter.take_first(1).expect("three were passed the permit");
            // What is left, and of how many the reader was relieved.
            let tray = Arc::new(loom::sync::Mutex::new((Some(waiter), 0)));
            let own = Arc::clone(&tray);
            let reader = stage.spawn(move |stage| {
                drop(first);
                stage.room.use_permit(&permit);
                let (left, relieved) = {
                    let mut tray = own.lock().expect("nobody panics");
                    (tray.0.take(), tray.1)
                };
                permit.were_settled(relieved);
                for _ in 0..left.map_or(0, |left| left.requests()) {
                    stage.room.use_permit(&permit);
                }
            });
            let other = stage.spawn(move |stage| {
                let mut tray = tray.lock().expect("nobody panics");
                let Some(left) = tray.0.take() else { return };
                tray.1 = left.requests();
                drop(tray);
                if let Err(left) = stage.gate.put_back_reads(ReadKind::Short, ticket.after(1), left, queued_at) {
                    left.rejected(Rejection::Closed);
                }
            });
            if closes {
                stage.gate.close();
            }
            join([reader, other]);
            stage.assert_over(3);
        });
    }
}

#[test]
fn i5_a_quick_read_that_somebody_else_slows_down_gives_one_permit_back() {
    check(|run| {
        let stage = Stage::new(Concurrency::Wal, 2, run);
        let Request::Admitted(_guest, mut permit) = stage.gate.request(QUICK, stage.guest(), stage.now) else {
            panic!("nothing else runs")
        };
        // Whether the reader has done with it, and whether it was slowed down.
        let tray = Arc::new(loom::sync::Mutex::new((false, false)));
        let own = Arc::clone(&tray);
        let reader = stage.spawn(move |stage| {
            stage.room.use_permit(&permit);
            let was_slow = {
                let mut tray = own.lock().expect("nobody panics");
                tray.0 = true;
                tray.1
            };
            if was_slow {
                permit.was_slowed_down();
            }
        });
        let other = stage.spawn(move |stage| {
            let mut tray = tray.lock().expect("nobody panics");
            let told = (!tray.0).then(|| stage.gate.slow_down());
            tray.1 = told.is_some();
            drop(tray);
            drop(told);
        });
        stage.visit(QUICK);
        join([reader, other]);
        stage.assert_over(2);
    });
}
