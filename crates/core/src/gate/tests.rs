//! The shell: who is called, where, how often, and that nothing is lost when a call goes wrong.

mod passing;
mod together;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use super::*;

const SHORT: Class = Class::Read(ReadKind::Short);

/// What a waiter does with its permit.
#[derive(Clone, Copy)]
enum Manner {
    Keeps,
    IsGone,
    DropsInside,
    Panics,
}

struct Probe {
    name: u32,
    /// For how many others it stands, whose names follow its own.
    others: u32,
    manner: Manner,
    events: Sender<Event>,
    place: Option<Place<Probe>>,
}

enum Event {
    Admitted(u32, Permit<Probe>),
    Rejected(u32, Rejection),
}

impl Waiter for Probe {
    fn admitted(self, permit: Permit<Self>) -> Option<Permit<Self>> {
        match self.manner {
            Manner::Keeps => {
                self.events.send(Event::Admitted(self.name, permit)).expect("the test listens");
                None
            }
            Manner::IsGone => Some(permit),
            Manner::DropsInside => {
                drop(permit);
                None
            }
            Manner::Panics => panic!("a waiter panics on purpose"),
        }
    }

    fn rejected(self, reason: Rejection) {
        match self.manner {
            Manner::Keeps | Manner::IsGone | Manner::DropsInside => {
                self.events.send(Event::Rejected(self.name, reason)).expect("the test listens");
            }
            Manner::Panics => panic!("a waiter panics on purpose"),
        }
    }

    fn requests(&self) -> usize {
        1 + self.others as usize
    }

    fn take_first(&mut self, count: usize) -> Option<Self> {
        let count = u32::try_from(count).ok().filter(|count| *count <= self.others)?;
        let first = Self { others: count - 1, events: self.events.clone(), place: None, ..*self };
        (self.name, self.others) = (self.name + count, self.others - count);
        Some(first)
    }
}

/// A gate, the waiters it called, and a clock that moves when it is told to.
struct Stage {
    gate: Arc<Gate<Probe>>,
    sender: Sender<Event>,
    events: Receiver<Event>,
    now: Instant,
}

impl Stage {
    fn new(concurrency: Concurrency, max_readers: u32, max_queued: usize) -> Self {
        let (sender, events) = channel();
        Self { gate: Gate::new(concurrency, max_readers, max_queued), sender, events, now: Instant::now() }
    }

    fn probe(&self, name: u32, manner: Manner) -> Probe {
        Probe { name, others: 0, manner, events: self.sender.clone(), place: None }
    }

    fn request(&self, class: Class, name: u32, manner: Manner) -> Request<Probe> {
        self.gate.request(class, self.probe(name, manner), self.now)
    }

    fn unclassified(&self, name: u32) -> Request<Probe> {
        let probe = self.probe(name, Manner::Keeps);
        self.gate.request_unclassified(self.now, |place| Probe { place: Some(place), ..probe })
    }

    fn take(&self, class: Class) -> Permit<Probe> {
        admitted(self.request(class, 0, Manner::Keeps)).1
    }

    fn queue(&self, class: Class, name: u32) -> Ticket {
        queued(self.request(class, name, Manner::Keeps)).0
    }

    fn next_admitted(&self) -> (u32, Permit<Probe>) {
        match self.events.try_recv().expect("a waiter was called") {
            Event::Admitted(name, permit) => (name, permit),
            Event::Rejected(name, reason) => panic!("{name} was rejected: {reason:?}"),
        }
    }

    fn rejections(&self) -> Vec<(u32, Rejection)> {
        let rejection = |event| match event {
            Event::Rejected(name, reason) => (name, reason),
            Event::Admitted(name, _) => panic!("{name} was admitted"),
        };
        self.events.try_iter().map(rejection).collect()
    }

    fn assert_idle(&self) {
        let status = self.gate.status();
        assert_eq!((status.active_readers, status.active_writer, status.active_exclusive), (0, false, false));
        assert_eq!(status.queued, 0);
    }
}

fn admitted(request: Request<Probe>) -> (Probe, Permit<Probe>) {
    match request {
        Request::Admitted(probe, permit) => (probe, permit),
        Request::Queued { ticket, .. } => panic!("queued as {ticket:?}"),
        Request::Rejected(_, reason) => panic!("rejected: {reason:?}"),
    }
}

fn queued(request: Request<Probe>) -> (Ticket, bool) {
    match request {
        Request::Queued { ticket, first } => (ticket, first),
        Request::Admitted(probe, _) => panic!("{} was admitted", probe.name),
        Request::Rejected(_, reason) => panic!("rejected: {reason:?}"),
    }
}

fn rejected(request: Request<Probe>) -> (Probe, Rejection) {
    match request {
        Request::Rejected(probe, reason) => (probe, reason),
        Request::Admitted(probe, _) => panic!("{} was admitted", probe.name),
        Request::Queued { ticket, .. } => panic!("queued as {ticket:?}"),
    }
}

#[test]
fn dropping_a_permit_admits_the_next_waiter() {
    let stage = Stage::new(Concurrency::Wal, 1, 10);
    let first = stage.take(Class::Write);
    stage.queue(Class::Write, 1);
    stage.queue(Class::Write, 2);
    drop(first);
    let (name, permit) = stage.next_admitted();
    assert_eq!((name, permit.class()), (1, Class::Write));
    drop(permit);
    assert_eq!(stage.next_admitted().0, 2);
    stage.assert_idle();
}

#[test]
fn i4_a_cancelled_waiter_comes_back_uncalled_and_wakes_those_behind_it() {
    let stage = Stage::new(Concurrency::Exclusive, 2, 10);
    let read = stage.take(SHORT);
    let before = stage.gate.status();
    let write = stage.queue(Class::Write, 1);
    let held_back = stage.queue(SHORT, 2);
    assert_eq!(stage.gate.cancel(write).map(|probe| probe.name), Some(1));
    assert_eq!(stage.next_admitted().0, 2);
    assert!(stage.gate.cancel(held_back).is_none(), "it was admitted");
    assert!(stage.gate.cancel(write).is_none(), "it was cancelled");
    assert_eq!(stage.gate.status(), before);
    drop(read);
    stage.assert_idle();
}

#[test]
fn i8_close_rejects_every_waiter_in_order_and_ends_with_the_last_permit() {
    let stage = Stage::new(Concurrency::Exclusive, 1, 10);
    let permit = stage.take(SHORT);
    stage.queue(Class::Write, 1);
    queued(stage.unclassified(2));
    stage.queue(SHORT, 3);
    let (sender, closed) = channel();
    stage.gate.on_closed({
        let sender = sender.clone();
        move || sender.send("registered before").expect("the test listens")
    });

    stage.gate.close();
    stage.gate.close();
    let expected = [1, 2, 3].map(|name| (name, Rejection::Closed));
    assert_eq!(stage.rejections(), expected);
    assert_eq!(rejected(stage.request(SHORT, 4, Manner::Keeps)).1, Rejection::Closed);
    assert_eq!(rejected(stage.unclassified(5)).1, Rejection::Closed);
    assert_eq!(closed.try_iter().count(), 0, "a permit is out");

    drop(permit);
    assert_eq!(closed.try_iter().collect::<Vec<_>>(), ["registered before"]);
    stage.gate.on_closed(move || sender.send("registered after").expect("the test listens"));
    assert_eq!(closed.try_iter().collect::<Vec<_>>(), ["registered after"]);
}

#[test]
fn a_full_queue_gives_the_waiter_back() {
    let stage = Stage::new(Concurrency::Wal, 1, 1);
    let _write = stage.take(Class::Write);
    stage.queue(Class::Write, 1);
    let (probe, reason) = rejected(stage.request(Class::Write, 2, Manner::Keeps));
    assert_eq!((probe.name, reason), (2, Rejection::Overloaded));
    let (probe, reason) = rejected(stage.unclassified(3));
    assert_eq!((reason, stage.gate.status().places), (Rejection::Overloaded, 0));
    let place = probe.place.expect("the probe keeps its place");
    assert_eq!(rejected(place.confirm(stage.probe(4, Manner::Keeps))).1, Rejection::Overloaded);
}

#[test]
fn a_dropped_place_lets_the_writes_behind_it_run() {
    let stage = Stage::new(Concurrency::Wal, 1, 10);
    let (probe, read) = admitted(stage.unclassified(1));
    stage.queue(Class::Write, 2);
    assert_eq!((stage.gate.status().places, stage.gate.status().waiting_writers), (1, 1));
    drop(probe);
    assert_eq!(stage.next_admitted().0, 2);
    drop(read);
    stage.assert_idle();
}

#[test]
fn a_confirmed_place_runs_before_later_writes() {
    let stage = Stage::new(Concurrency::Exclusive, 1, 10);
    let (probe, read) = admitted(stage.unclassified(1));
    stage.queue(Class::Write, 2);
    let place = probe.place.expect("the probe keeps its place");
    queued(place.confirm(stage.probe(3, Manner::Keeps)));
    drop(read);
    let (name, write) = stage.next_admitted();
    assert_eq!((name, write.class()), (3, Class::Write));
    drop(write);
    assert_eq!(stage.next_admitted().0, 2);
}

#[test]
fn a_place_confirmed_after_close_is_rejected() {
    let stage = Stage::new(Concurrency::Wal, 1, 10);
    let (probe, _read) = admitted(stage.unclassified(1));
    stage.gate.close();
    let place = probe.place.expect("the probe keeps its place");
    assert_eq!(rejected(place.confirm(stage.probe(2, Manner::Keeps))).1, Rejection::Closed);
}

#[test]
fn an_unclassified_statement_gets_the_write_permit_at_once_when_only_that_is_free() {
    let stage = Stage::new(Concurrency::Wal, 1, 10);
    let _read = stage.take(SHORT);
    let (probe, write) = admitted(stage.unclassified(1));
    assert_eq!((write.class(), stage.gate.status().places), (Class::Write, 0));
    stage.queue(Class::Write, 2);
    drop(probe);
    assert_eq!(stage.events.try_iter().count(), 0, "its place is void");
    drop(write);
    assert_eq!(stage.next_admitted().0, 2);
}

#[test]
fn a_place_at_the_head_gets_the_write_permit_when_that_is_free_first() {
    let stage = Stage::new(Concurrency::Wal, 1, 10);
    let (read, write) = (stage.take(SHORT), stage.take(Class::Write));
    let (ticket, _) = queued(stage.unclassified(1));
    stage.queue(Class::Write, 2);
    drop(write);
    let (name, write) = stage.next_admitted();
    assert_eq!((name, write.class()), (1, Class::Write));
    assert!(stage.gate.cancel(ticket).is_none(), "it was admitted");
    drop(read);
    drop(write);
    assert_eq!(stage.next_admitted().0, 2);
    stage.assert_idle();
}

#[test]
#[should_panic(expected = "BUG: I4")]
fn confirming_the_place_of_a_statement_that_runs_as_a_write_is_a_bug() {
    let stage = Stage::new(Concurrency::Wal, 1, 10);
    let _read = stage.take(SHORT);
    let (probe, _write) = admitted(stage.unclassified(1));
    let place = probe.place.expect("the probe keeps its place");
    let _ = place.confirm(stage.probe(2, Manner::Keeps));
}

#[test]
fn a_place_that_its_maker_drops_holds_nobody_back() {
    let stage = Stage::new(Concurrency::Wal, 1, 10);
    let read = admitted(stage.gate.request_unclassified(stage.now, |place| {
        drop(place);
        stage.probe(1, Manner::Keeps)
    }));
    assert_eq!(stage.gate.status().places, 0);
    drop(read);
    stage.assert_idle();
}

#[test]
fn i4_rejecting_a_waiter_withdraws_the_place_it_held() {
    let stage = Stage::new(Concurrency::Exclusive, 1, 10);
    let write = stage.take(Class::Write);
    let (read, _) = queued(stage.unclassified(1));
    stage.queue(Class::Write, 2);
    assert_eq!((stage.gate.status().places, stage.gate.status().waiting_readers), (1, 1));
    drop(stage.gate.cancel(read));
    assert_eq!((stage.gate.status().places, stage.gate.status().waiting_readers), (0, 0));
    drop(write);
    assert_eq!(stage.next_admitted().0, 2);
}

#[test]
fn waiters_older_than_the_limit_are_rejected_oldest_first() {
    let mut stage = Stage::new(Concurrency::Exclusive, 1, 10);
    let start = stage.now;
    let held = stage.take(SHORT);
    assert_eq!(stage.gate.oldest_queued(), None);
    assert!(queued(stage.request(Class::Write, 1, Manner::Keeps)).1, "the timer has to be set");
    stage.now = start + Duration::from_secs(1);
    assert!(!queued(stage.unclassified(2)).1, "the timer runs already");
    stage.now = start + Duration::from_secs(2);
    stage.queue(Class::Write, 3);

    assert_eq!(stage.gate.oldest_queued(), Some(start));
    assert_eq!(stage.gate.expire(start), 0, "none is older");
    assert_eq!(stage.gate.expire(start + Duration::from_secs(2)), 2);
    assert_eq!(stage.rejections(), [(1, Rejection::TimedOut), (2, Rejection::TimedOut)]);
    assert_eq!(stage.gate.status().places, 0, "the place went with its waiter");
    drop(held);
    assert_eq!(stage.next_admitted().0, 3);
}

#[test]
fn a_waiter_freed_by_an_expired_one_is_admitted_not_rejected() {
    let stage = Stage::new(Concurrency::Exclusive, 2, 10);
    let _held = stage.take(SHORT);
    stage.queue(Class::Write, 1);
    stage.queue(SHORT, 2);
    assert_eq!(stage.gate.expire(stage.now + Duration::from_secs(1)), 1);
    let calls: Vec<_> = stage.events.try_iter().collect();
    assert!(matches!(calls[..], [Event::Rejected(1, Rejection::TimedOut), Event::Admitted(2, _)]));
}

#[test]
fn a_confirmed_write_has_waited_since_its_place_was_taken() {
    let mut stage = Stage::new(Concurrency::Wal, 2, 10);
    let start = stage.now;
    let _write = stage.take(Class::Write);
    let (probe, _read) = admitted(stage.unclassified(1));
    stage.now = start + Duration::from_secs(1);
    stage.queue(Class::Write, 2);
    let place = probe.place.expect("the probe keeps its place");
    let (_, first) = queued(place.confirm(stage.probe(3, Manner::Keeps)));
    assert!(first, "the timer was set for a younger waiter");
    assert_eq!(stage.gate.oldest_queued(), Some(start));
}

#[test]
fn a_clock_that_was_read_too_early_does_not_disturb_the_order_by_age() {
    let mut stage = Stage::new(Concurrency::Wal, 1, 10);
    let start = stage.now;
    let _write = stage.take(Class::Write);
    stage.now = start + Duration::from_secs(1);
    let first = stage.queue(Class::Write, 1);
    stage.now = start;
    assert!(!queued(stage.request(Class::Write, 2, Manner::Keeps)).1);
    drop(stage.gate.cancel(first));
    assert_eq!(
        stage.gate.oldest_queued(),
        Some(start + Duration::from_secs(1)),
        "the later ticket is not the older one"
    );
}

/// Without a loop in place of recursion, each gone waiter would need stack frames of its own.
fn many_waiters_fit_a_small_stack(manner: Manner, count: u32) {
    let run = move || {
        let stage = Stage::new(Concurrency::Exclusive, 1, 200_000);
        let first = stage.take(Class::Write);
        for name in 1..=count {
            queued(stage.request(Class::Write, name, manner));
        }
        stage.queue(Class::Write, 0);
        drop(first);
        assert_eq!(stage.next_admitted().0, 0);
        stage.assert_idle();
    };
    let small = thread::Builder::new().stack_size(128 * 1024).spawn(run).expect("a thread starts");
    small.join().expect("the thread did not panic");
}

#[test]
fn a_hundred_thousand_gone_waiters_need_no_recursion() {
    many_waiters_fit_a_small_stack(Manner::IsGone, 100_000);
}

#[test]
fn permits_dropped_inside_the_call_need_no_recursion() {
    many_waiters_fit_a_small_stack(Manner::DropsInside, 100_000);
}

#[test]
fn i5_a_panicking_waiter_loses_no_permit() {
    many_waiters_fit_a_small_stack(Manner::Panics, 100);
}

#[test]
fn a_panic_while_rejecting_stops_neither_the_others_nor_the_close() {
    let stage = Stage::new(Concurrency::Wal, 1, 10);
    let write = stage.take(Class::Write);
    queued(stage.request(Class::Write, 1, Manner::Panics));
    stage.queue(Class::Write, 2);
    stage.gate.close();
    assert_eq!(stage.rejections(), [(2, Rejection::Closed)]);
    let (sender, closed) = channel();
    stage.gate.on_closed(|| panic!("a callback panics on purpose"));
    stage.gate.on_closed(move || sender.send(()).expect("the test listens"));
    drop(write);
    assert_eq!(closed.try_iter().count(), 1);
}

#[test]
fn a_permit_dropped_by_an_unwinding_thread_admits_the_next_waiter() {
    let stage = Stage::new(Concurrency::Wal, 1, 10);
    let permit = stage.take(Class::Write);
    queued(stage.request(Class::Write, 1, Manner::Panics));
    stage.queue(Class::Write, 2);
    let holder = thread::spawn(move || {
        let _permit = permit;
        panic!("a holder panics on purpose");
    });
    holder.join().expect_err("the holder panicked");
    assert_eq!(stage.next_admitted().0, 2);
}

#[test]
fn calls_of_another_gate_made_inside_a_call_are_not_lost() {
    let stages = [Stage::new(Concurrency::Wal, 1, 10), Stage::new(Concurrency::Wal, 1, 10)];
    let (outer, inner) = (stages[0].take(Class::Write), stages[1].take(Class::Write));
    stages[1].queue(Class::Write, 1);
    stages[0].gate.close();
    stages[0].gate.on_closed(move || drop(inner));
    drop(outer);
    assert_eq!(stages[1].next_admitted().0, 1);
}

#[test]
fn who_only_tries_gets_a_permit_at_once_or_leaves_no_trace() {
    let stage = Stage::new(Concurrency::Exclusive, 1, 10);
    let read = Class::Read(ReadKind::Short);
    let permit = stage.gate.try_request(read).expect("nothing else runs");
    let status = stage.gate.status();
    assert_eq!((status.active_readers, status.queued), (1, 0));
    assert!(stage.gate.try_request(Class::Write).is_none());
    assert_eq!(stage.gate.status(), status);
    drop(permit);
    let _write = stage.take(Class::Write);
    assert!(stage.gate.try_request(read).is_none());
    stage.gate.close();
    assert_eq!(stage.gate.status().queued, 0);
}

#[test]
fn the_concurrency_is_changed_with_the_exclusive_permit() {
    let stage = Stage::new(Concurrency::Wal, 1, 10);
    let exclusive = stage.take(Class::Exclusive);
    stage.gate.set_concurrency(&exclusive, Concurrency::Exclusive);
    drop(exclusive);
    let _write = stage.take(Class::Write);
    assert_eq!(stage.gate.status().mode, Mode::Write);
}

#[test]
#[should_panic(expected = "BUG: I2")]
fn the_concurrency_is_not_changed_with_another_gates_permit() {
    let stages = [Stage::new(Concurrency::Wal, 1, 10), Stage::new(Concurrency::Wal, 1, 10)];
    let exclusive = stages[0].take(Class::Exclusive);
    stages[1].gate.set_concurrency(&exclusive, Concurrency::Exclusive);
}
