//! Requests that are made together.

use super::*;

/// The numbers of those that were admitted at once, and of those that were rejected, and why.
#[derive(Debug, PartialEq, Eq)]
struct Answers {
    admitted: Vec<u32>,
    rejected: Vec<(u32, Rejection)>,
    first: bool,
}

/// Makes `count` requests, together or one by one.
fn request(stage: &Stage, class: Class, count: u32, together: bool, permits: &mut Vec<Permit<Probe>>) -> Answers {
    let probe = |name| stage.probe(name, Manner::Keeps);
    let (unqueued, mut first): (Vec<_>, bool) = if together {
        let RequestedAll { unqueued, first } = stage.gate.request_all(class, (1..=count).map(probe), stage.now);
        (unqueued.into_vec(), first)
    } else {
        ((1..=count).map(|name| stage.gate.request(class, probe(name), stage.now)).collect(), false)
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
fn admissions(stage: &Stage, mut permits: Vec<Permit<Probe>>) -> Vec<u32> {
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
                let run = |together| {
                    let stage = Stage::new(concurrency, 2, 5);
                    let mut permits: Vec<_> = before.map(|class| stage.take(class)).into_iter().collect();
                    let answers = request(&stage, class, 9, together, &mut permits);
                    let status = stage.gate.status();
                    (answers, status, admissions(&stage, permits))
                };
                assert_eq!(run(true), run(false), "{class:?} after {before:?}, {concurrency:?}");
            }
        }
    }
}

#[test]
fn requests_made_together_at_a_closed_gate_are_all_rejected() {
    let stage = Stage::new(Concurrency::Wal, 1, 10);
    stage.gate.close();
    let answers = request(&stage, Class::Write, 3, true, &mut Vec::new());
    let rejected = (1..=3).map(|name| (name, Rejection::Closed)).collect();
    assert_eq!(answers, Answers { admitted: Vec::new(), rejected, first: false });
}

#[test]
fn requests_made_together_wait_from_the_same_moment() {
    let stage = Stage::new(Concurrency::Wal, 1, 10);
    let permit = stage.take(Class::Write);
    let mut permits = vec![permit];
    assert!(request(&stage, Class::Write, 3, true, &mut permits).first, "nobody waited before");
    assert!(!request(&stage, Class::Write, 1, true, &mut permits).first, "somebody did");
    assert_eq!(stage.gate.expire(stage.now), 0);
    assert_eq!(stage.gate.expire(stage.now + Duration::from_nanos(1)), 4);
    assert_eq!(stage.rejections().len(), 4);
}
