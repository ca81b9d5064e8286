//! Requests that are made together.

use super::*;

/// The numbers of those that were admitted at once, and of those that were rejected, and why.
#[derive(Debug, PartialEq, Eq)]
struct Answers {
    admitted: Vec<u32>,
    rejected: Vec<(u32, Rejection)>,
    first: bool,
}

/// How several requests are made.
#[derive(Clone, Copy, Debug)]
enum How {
    OneByOne,
    Together,
    /// One waiter stands for all of them.
    AsOne,
}

/// A waiter that stands for so many requests.
pub(super) fn several(stage: &Stage, first: u32, count: u32) -> Probe {
    Probe { others: count - 1, ..stage.probe(first, Manner::Keeps) }
}

/// Makes `count` requests.
fn request(stage: &Stage, class: Class, count: u32, how: How, permits: &mut Vec<Permit<Probe>>) -> Answers {
    let probe = |name| stage.probe(name, Manner::Keeps);
    let all = |waiters: Vec<Probe>| {
        let RequestedAll { unqueued, first } = stage.gate.request_all(class, waiters, stage.now);
        (unqueued.into_vec(), first)
    };
    let (unqueued, mut first): (Vec<_>, bool) = match how {
        How::OneByOne => ((1..=count).map(|name| stage.gate.request(class, probe(name), stage.now)).collect(), false),
        How::Together => all((1..=count).map(probe).collect()),
        How::AsOne => all(vec![several(stage, 1, count)]),
    };
    let (mut admitted, mut rejected) = (Vec::new(), Vec::new());
    for answer in unqueued {
        match answer {
            Request::Admitted(probe, permit) => {
                admitted.push(probe.name);
                permits.push(permit);
            }
            Request::Queued { first: is_first, .. } => first |= is_first,
            Request::Rejected(probe, reason) => rejected.push((probe.name, reason)),
        }
    }
    Answers { admitted, rejected, first }
}

/// Who is admitted, in which order, when permits come back one after another.
pub(super) fn admissions(stage: &Stage, mut permits: Vec<Permit<Probe>>) -> Vec<u32> {
    let mut names = Vec::new();
    while !permits.is_empty() {
        drop(permits.remove(0));
        for event in stage.events.try_iter() {
            let Event::Admitted(name, permit) = event else { panic!("a waiter was rejected") };
            names.push(name);
            permits.push(permit);
        }
    }
    stage.assert_idle();
    names
}

#[test]
fn requests_made_together_are_answered_as_those_made_one_by_one() {
    let session = Class::Read(ReadKind::Session);
    for concurrency in [Concurrency::Wal, Concurrency::Exclusive] {
        for class in [SHORT, session, Class::Write, Class::Exclusive] {
            for before in [None, Some(Class::Write), Some(SHORT)] {
                let run = |how| {
                    let stage = Stage::new(concurrency, 2, 5);
                    let mut permits: Vec<_> = before.map(|class| stage.take(class)).into_iter().collect();
                    let answers = request(&stage, class, 9, how, &mut permits);
                    let status = stage.gate.status();
                    (answers, status, admissions(&stage, permits))
                };
                for how in [How::Together, How::AsOne] {
                    assert_eq!(run(how), run(How::OneByOne), "{how:?}: {class:?} after {before:?}, {concurrency:?}");
                }
            }
        }
    }
}

#[test]
fn requests_made_together_at_a_closed_gate_are_all_rejected() {
    for how in [How::Together, How::AsOne] {
        let stage = Stage::new(Concurrency::Wal, 1, 10);
        stage.gate.close();
        let answers = request(&stage, Class::Write, 3, how, &mut Vec::new());
        let rejected = (1..=3).map(|name| (name, Rejection::Closed)).collect();
        assert_eq!(answers, Answers { admitted: Vec::new(), rejected, first: false });
    }
}

#[test]
fn requests_made_together_wait_from_the_same_moment() {
    for how in [How::Together, How::AsOne] {
        let stage = Stage::new(Concurrency::Wal, 1, 10);
        let permit = stage.take(Class::Write);
        let mut permits = vec![permit];
        assert!(request(&stage, Class::Write, 3, how, &mut permits).first, "nobody waited before");
        assert!(!request(&stage, Class::Write, 1, how, &mut permits).first, "somebody did");
        assert_eq!(stage.gate.expire(stage.now), 0);
        assert_eq!(stage.gate.expire(stage.now + Duration::from_nanos(1)), 4);
        let names: Vec<_> = stage.rejections().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [1, 2, 3, 1]);
    }
}

#[test]
fn those_that_wait_as_one_are_each_rejected_by_close() {
    let stage = Stage::new(Concurrency::Wal, 1, 10);
    let mut permits = vec![stage.take(Class::Write)];
    request(&stage, Class::Write, 3, How::AsOne, &mut permits);
    stage.gate.close();
    assert_eq!(stage.rejections(), [1, 2, 3].map(|name| (name, Rejection::Closed)));
    drop(permits);
    stage.assert_idle();
}
