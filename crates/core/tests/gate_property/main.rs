//! Compares the admission gate's state machine with a naive reference model, over random schedules.
#![cfg(not(feature = "model-check"))]

mod reference;

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use sluice_core::gate::{
    Admission, AdmissionStatus, Admitted, Class, Concurrency, Decision, ReadKind, Ticket, UnclassifiedDecision,
};

use self::reference::{Answer, Id, Model, Setup, Want, is_place};

/// Schedules for each property.
const SCHEDULES: u32 = 100_000;

/// One event. A number picks among what the event can apply to; where that is nothing, the event is skipped.
#[derive(Clone, Copy, Debug)]
enum Event {
    Request(Class),
    Unclassified,
    Confirm(usize),
    Withdraw(usize),
    Cancel(usize),
    Release(usize),
    /// Pass the permit on, or release it when that is not possible.
    Pass(usize),
    /// Pass a permit on to so many ahead of their turns.
    PassAhead(usize, usize),
    /// Put the last so many of those back that one was passed on to.
    PutBack(usize, usize),
    /// The others of those have used it.
    Used(usize),
    /// A quick read is slow.
    Slow(usize),
    SetConcurrency(Concurrency),
    Close,
}

/// Runs the machine and the model side by side.
struct Pair {
    machine: Admission,
    model: Model,
    ids: HashMap<Ticket, Id>,
    tickets: HashMap<Id, Ticket>,
    /// Places neither confirmed nor withdrawn, whether they are still queued or not.
    places: Vec<Id>,
    next_id: Id,
}

impl Pair {
    fn new(setup: Setup) -> Self {
        Self {
            machine: setup.machine(),
            model: Model::new(setup),
            ids: HashMap::new(),
            tickets: HashMap::new(),
            places: Vec::new(),
            next_id: 0,
        }
    }

    fn apply(&mut self, event: Event) -> Result<(), TestCaseError> {
        match event {
            Event::Request(class) => self.request(class)?,
            Event::Unclassified => self.unclassified()?,
            Event::Confirm(pick) => self.confirm(pick)?,
            Event::Withdraw(pick) => self.withdraw(pick)?,
            Event::Cancel(pick) => self.cancel(pick)?,
            Event::Release(pick) => self.release(pick)?,
            Event::Pass(pick) => self.pass(pick)?,
            Event::PassAhead(pick, count) => self.pass_ahead(pick, count)?,
            Event::PutBack(pick, count) => self.put_back(pick, count)?,
            Event::Used(pick) => self.used(pick),
            Event::Slow(pick) => self.slow(pick)?,
            Event::SetConcurrency(concurrency) => self.set_concurrency(concurrency),
            Event::Close => self.close()?,
        }
        prop_assert_eq!(self.machine.status(), self.model.status());
        Ok(())
    }

    fn request(&mut self, class: Class) -> Result<(), TestCaseError> {
        let id = self.new_id();
        let before = self.machine.status();
        let mut trial = self.machine.clone();
        let tried = trial.on_try(class);
        let decision = self.machine.on_request(class);
        prop_assert_eq!(tried, decision == Decision::Admitted);
        let after = if tried { self.machine.status() } else { before };
        prop_assert_eq!(trial.status(), after, "who only tries does not wait");
        prop_assert_eq!(answer(decision, class), self.model.request(&[(id, Want::Permit(class))]));
        match decision {
            Decision::Queued(ticket) => {
                self.name(id, ticket);
                self.assert_cancelling_leaves_no_trace(&[ticket], before)?;
            }
            Decision::Admitted => {}
            Decision::Overloaded | Decision::Closed => prop_assert_eq!(self.machine.status(), before),
        }
        let mut admitted = Vec::new();
        self.machine.on_widen(&mut admitted);
        prop_assert_eq!(self.named(&admitted), self.model.widen());
        Ok(())
    }

    fn unclassified(&mut self) -> Result<(), TestCaseError> {
        let (place_id, read_id) = (self.new_id(), self.new_id());
        let before = self.machine.status();
        let decision = self.machine.on_unclassified();
        let short = Class::Read(ReadKind::Short);
        let expected = self.model.request(&[(place_id, Want::Place(read_id)), (read_id, Want::Permit(short))]);
        let answer = match decision {
            UnclassifiedDecision::Admitted { place } => {
                self.name(place_id, place);
                self.places.push(place_id);
                Answer::Admitted(short)
            }
            UnclassifiedDecision::AdmittedAsWrite => Answer::Admitted(Class::Write),
            UnclassifiedDecision::Queued { place, read } => {
                self.name(place_id, place);
                self.name(read_id, read);
                self.places.push(place_id);
                self.assert_cancelling_leaves_no_trace(&[place, read], before)?;
                self.assert_cancelling_leaves_no_trace(&[read, place], before)?;
                Answer::Queued
            }
            UnclassifiedDecision::Overloaded => Answer::Overloaded,
            UnclassifiedDecision::Closed => Answer::Closed,
        };
        prop_assert_eq!(answer, expected);
        Ok(())
    }

    fn confirm(&mut self, pick: usize) -> Result<(), TestCaseError> {
        let Some(place) = self.pick_place(pick) else { return Ok(()) };
        let is_void = !self.model.closing && !self.model.line.iter().any(|waiting| waiting.id == place);
        if is_void {
            return Ok(());
        }
        let decision = self.machine.on_confirm(self.tickets[&place]);
        prop_assert_eq!(answer(decision, Class::Write), self.model.confirm(place));
        Ok(())
    }

    fn withdraw(&mut self, pick: usize) -> Result<(), TestCaseError> {
        let Some(place) = self.pick_place(pick) else { return Ok(()) };
        self.cancel_id(place)
    }

    fn cancel(&mut self, pick: usize) -> Result<(), TestCaseError> {
        let wanted = self.model.line.iter().filter(|waiting| !is_place(waiting));
        let candidates: Vec<_> = wanted.map(|waiting| waiting.id).collect();
        if candidates.is_empty() {
            return Ok(());
        }
        self.cancel_id(candidates[pick % candidates.len()])
    }

    fn cancel_id(&mut self, id: Id) -> Result<(), TestCaseError> {
        let was_queued = self.model.line.iter().any(|waiting| waiting.id == id);
        let mut admitted = Vec::new();
        prop_assert_eq!(self.machine.on_cancel(self.tickets[&id], &mut admitted), was_queued);
        prop_assert_eq!(self.named(&admitted), self.model.cancel(id));
        Ok(())
    }

    fn release(&mut self, pick: usize) -> Result<(), TestCaseError> {
        if self.model.running.is_empty() {
            return Ok(());
        }
        let index = pick % self.model.running.len();
        self.machine.on_used(self.model.use_ahead(index));
        let mut admitted = Vec::new();
        self.machine.on_release(self.model.running[index].1, &mut admitted);
        prop_assert_eq!(self.named(&admitted), self.model.release(index));
        Ok(())
    }

    fn pass(&mut self, pick: usize) -> Result<(), TestCaseError> {
        if self.model.running.is_empty() {
            return Ok(());
        }
        let index = pick % self.model.running.len();
        let class = self.model.running[index].1;
        self.machine.on_used(self.model.use_ahead(index));
        let before = self.machine.status();
        let has_heir = self.machine.has_heir_of_write();
        let heir = self.machine.on_pass(class);
        prop_assert!(class != Class::Write || has_heir == heir.is_some(), "has_heir_of_write tells what on_pass does");
        let mut released = self.model.clone();
        let admitted = released.release_to_one(index);
        let fits = |(_, next): &(Id, Class)| *next == class || (is_single_read(class) && is_single_read(*next));
        let may_pass = !self.model.closing && class != Class::Exclusive && admitted.first().is_some_and(fits);
        prop_assert_eq!(heir.map(|heir| (self.ids[&heir.ticket], heir.class)), may_pass.then(|| admitted[0]));
        if may_pass {
            prop_assert_eq!(admitted.len(), 1);
            self.model = released;
            return Ok(());
        }
        prop_assert_eq!(self.machine.status(), before);
        self.release(index)
    }

    fn pass_ahead(&mut self, pick: usize, count: usize) -> Result<(), TestCaseError> {
        if self.model.running.is_empty() {
            return Ok(());
        }
        let index = pick % self.model.running.len();
        for _ in 0..count {
            let next = self.machine.on_pass_ahead(self.model.running[index].1);
            prop_assert_eq!(next.map(|ticket| self.ids[&ticket]), self.model.pass_ahead(index));
        }
        Ok(())
    }

    fn put_back(&mut self, pick: usize, count: usize) -> Result<(), TestCaseError> {
        if self.model.running.is_empty() {
            return Ok(());
        }
        let index = pick % self.model.running.len();
        let mut back = self.model.ahead_of(index);
        back.drain(..back.len() - count.min(back.len()));
        // A permit may have become one of a short read since.
        let Some((_, Want::Permit(class))) = back.last().copied() else { return Ok(()) };
        let back: Vec<_> = back.into_iter().map(|(id, _)| id).collect();
        let tickets: Vec<_> = back.iter().map(|id| self.tickets[id]).collect();
        let mut admitted = Vec::new();
        prop_assert_eq!(self.machine.on_put_back(class, &tickets, &mut admitted), !self.model.closing);
        prop_assert_eq!(self.named(&admitted), self.model.put_back(&back));
        Ok(())
    }

    fn used(&mut self, pick: usize) {
        if !self.model.running.is_empty() {
            let index = pick % self.model.running.len();
            self.machine.on_used(self.model.use_ahead(index));
        }
    }

    fn slow(&mut self, pick: usize) -> Result<(), TestCaseError> {
        let quick = |(_, (_, class)): &(usize, &(Id, Class))| *class == Class::Read(ReadKind::Quick);
        let quicks: Vec<_> = self.model.running.iter().enumerate().filter(quick).map(|(index, _)| index).collect();
        if quicks.is_empty() {
            return Ok(());
        }
        let mut admitted = Vec::new();
        self.machine.on_slow(&mut admitted);
        prop_assert_eq!(self.named(&admitted), self.model.slow(quicks[pick % quicks.len()]));
        Ok(())
    }

    fn set_concurrency(&mut self, concurrency: Concurrency) {
        if self.model.running.iter().any(|(_, class)| *class == Class::Exclusive) {
            self.machine.set_concurrency(concurrency);
            self.model.concurrency = concurrency;
        }
    }

    fn close(&mut self) -> Result<(), TestCaseError> {
        let mut rejected = Vec::new();
        self.machine.on_close(&mut rejected);
        let rejected: Vec<_> = rejected.iter().map(|ticket| self.ids[ticket]).collect();
        prop_assert_eq!(rejected, self.model.close());
        Ok(())
    }

    /// Ends every permit and place, as their owners do in the end. Whoever is still waiting then waits for ever.
    fn finish(&mut self) -> Result<(), TestCaseError> {
        while !self.places.is_empty() {
            self.withdraw(0)?;
        }
        while !self.model.running.is_empty() {
            self.release(0)?;
        }
        prop_assert_eq!(self.machine.status(), self.model.status());
        prop_assert_eq!(self.machine.status().queued, 0);
        Ok(())
    }

    fn assert_cancelling_leaves_no_trace(
        &self,
        tickets: &[Ticket],
        before: AdmissionStatus,
    ) -> Result<(), TestCaseError> {
        let mut machine = self.machine.clone();
        let mut admitted = Vec::new();
        for ticket in tickets {
            prop_assert!(machine.on_cancel(*ticket, &mut admitted));
        }
        prop_assert!(admitted.is_empty());
        prop_assert_eq!(machine.status(), before);
        Ok(())
    }

    fn new_id(&mut self) -> Id {
        self.next_id += 1;
        self.next_id
    }

    fn name(&mut self, id: Id, ticket: Ticket) {
        assert!(self.ids.insert(ticket, id).is_none(), "a ticket is used once");
        self.tickets.insert(id, ticket);
    }

    fn named(&self, admitted: &[Admitted]) -> Vec<(Id, Class)> {
        admitted.iter().map(|admitted| (self.ids[&admitted.ticket], admitted.class)).collect()
    }

    fn pick_place(&mut self, pick: usize) -> Option<Id> {
        (!self.places.is_empty()).then(|| self.places.remove(pick % self.places.len()))
    }
}

fn is_single_read(class: Class) -> bool {
    matches!(class, Class::Read(ReadKind::Short | ReadKind::Quick))
}

/// What the machine answered, where `class` is what it was asked for.
fn answer(decision: Decision, class: Class) -> Answer {
    match decision {
        Decision::Admitted => Answer::Admitted(class),
        Decision::Queued(_) => Answer::Queued,
        Decision::Overloaded => Answer::Overloaded,
        Decision::Closed => Answer::Closed,
    }
}

/// The tickets that a request waits under.
fn queued(decision: Decision) -> Vec<Ticket> {
    match decision {
        Decision::Queued(ticket) => vec![ticket],
        Decision::Admitted | Decision::Overloaded | Decision::Closed => Vec::new(),
    }
}

/// The tickets that an unclassified statement waits under, in the order in which its waiter gives them up.
fn queued_unclassified(decision: UnclassifiedDecision) -> Vec<Ticket> {
    match decision {
        UnclassifiedDecision::Queued { place, read } => vec![read, place],
        UnclassifiedDecision::Admitted { .. }
        | UnclassifiedDecision::AdmittedAsWrite
        | UnclassifiedDecision::Overloaded
        | UnclassifiedDecision::Closed => Vec::new(),
    }
}

fn any_class() -> impl Strategy<Value = Class> {
    prop_oneof![
        4 => Just(Class::Read(ReadKind::Short)),
        4 => Just(Class::Read(ReadKind::Quick)),
        2 => Just(Class::Read(ReadKind::Session)),
        1 => Just(Class::Read(ReadKind::Nested)),
        4 => Just(Class::Write),
        1 => Just(Class::Exclusive),
    ]
}

fn any_concurrency() -> impl Strategy<Value = Concurrency> {
    prop_oneof![Just(Concurrency::Wal), Just(Concurrency::Exclusive)]
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        24 => any_class().prop_map(Event::Request),
        6 => Just(Event::Unclassified),
        3 => (0_usize..8).prop_map(Event::Confirm),
        3 => (0_usize..8).prop_map(Event::Withdraw),
        5 => (0_usize..8).prop_map(Event::Cancel),
        14 => (0_usize..8).prop_map(Event::Release),
        8 => (0_usize..8).prop_map(Event::Pass),
        5 => ((0_usize..8), (1_usize..6)).prop_map(|(pick, count)| Event::PassAhead(pick, count)),
        4 => ((0_usize..8), (1_usize..6)).prop_map(|(pick, count)| Event::PutBack(pick, count)),
        1 => (0_usize..8).prop_map(Event::Used),
        1 => (0_usize..8).prop_map(Event::Slow),
        1 => any_concurrency().prop_map(Event::SetConcurrency),
        1 => Just(Event::Close),
    ]
}

fn any_limits() -> impl Strategy<Value = (u32, usize, usize)> {
    (1_u32..4, prop_oneof![1 => 0_usize..6, 3 => Just(1_000)], prop_oneof![3 => 1_usize..4, 1 => 8_usize..10])
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn agree(setup: Setup, events: &[Event]) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(setup);
    for event in events {
        pair.apply(*event)?;
    }
    pair.finish()
}

proptest! {
    #![proptest_config(config(SCHEDULES))]

    #[test]
    fn with_wal_concurrency_the_gate_agrees_with_its_model(
        (max_readers, max_queued, quicks_of_a_reader) in any_limits(),
        events in vec(any_event(), 1..48),
    ) {
        agree(Setup { concurrency: Concurrency::Wal, max_readers, max_queued, quicks_of_a_reader }, &events)?;
    }

    #[test]
    fn with_exclusive_concurrency_the_gate_agrees_with_its_model(
        (max_readers, max_queued, quicks_of_a_reader) in any_limits(),
        events in vec(any_event(), 1..48),
    ) {
        agree(Setup { concurrency: Concurrency::Exclusive, max_readers, max_queued, quicks_of_a_reader }, &events)?;
    }

    /// Before each event of one of two gates, a request or an unclassified statement comes and, if it has to wait, is cancelled.
    #[test]
    fn i4_cancelled_requests_change_nothing_that_follows(
        concurrency in any_concurrency(),
        max_readers in 1_u32..4,
        events in vec((any_event(), option::of(any_class())), 1..48),
    ) {
        let setup = Setup { concurrency, max_readers, max_queued: 1_000, quicks_of_a_reader: 2 };
        let (mut untouched, mut disturbed) = (Pair::new(setup), Pair::new(setup));
        for (event, cancelled) in events {
            let mut trial = disturbed.machine.clone();
            let queued = match cancelled {
                Some(class) => queued(trial.on_request(class)),
                None => queued_unclassified(trial.on_unclassified()),
            };
            for ticket in &queued {
                prop_assert!(trial.on_cancel(*ticket, &mut Vec::new()));
            }
            if !queued.is_empty() {
                disturbed.machine = trial;
            }
            untouched.apply(event)?;
            disturbed.apply(event)?;
            prop_assert_eq!(untouched.machine.status(), disturbed.machine.status());
        }
        untouched.finish()?;
        disturbed.finish()?;
    }
}
