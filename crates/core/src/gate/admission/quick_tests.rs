//! Quick reads, few of which share one reader.

use super::tests::{SHORT, wal};
use super::*;

const QUICK: Class = Class::Read(ReadKind::Quick);

fn widened(gate: &mut Admission) -> Vec<Ticket> {
    let mut admitted = Vec::new();
    gate.on_widen(&mut admitted);
    admitted.into_iter().map(|admitted| admitted.ticket).collect()
}

#[test]
fn few_quick_reads_share_one_reader_and_many_do_not() {
    let mut gate = wal(3).with_quicks_of_a_reader(16);
    gate.admit_now(QUICK);
    let mut waiting: Vec<_> = (0..16).map(|_| gate.queue(QUICK)).collect();
    assert!(widened(&mut gate).is_empty());
    waiting.push(gate.queue(QUICK));
    assert_eq!(widened(&mut gate), [waiting.remove(0)], "the oldest runs beside");
    assert_eq!(gate.status().active_readers, 2);
    for ticket in waiting.drain(..14) {
        assert_eq!(gate.pass_to(QUICK), Some(ticket), "both stay as long as more than two wait for the other");
    }
    assert_eq!(gate.pass_to(QUICK), None);
    assert!(gate.release(QUICK).is_empty(), "one is enough for what is left");
    for ticket in waiting {
        assert_eq!(gate.pass_to(QUICK), Some(ticket));
    }
    assert!(gate.release(QUICK).is_empty());
    assert_eq!(gate.status().active_readers, 0);
}

#[test]
fn who_waits_for_a_quick_read_runs_when_that_is_slow() {
    let mut gate = wal(2);
    gate.admit_now(QUICK);
    let next = [gate.queue(QUICK), gate.queue(QUICK)];
    let mut admitted = Vec::new();
    gate.on_slow(&mut admitted);
    assert_eq!(admitted, [Admitted { ticket: next[0], class: QUICK }]);
    assert!(gate.release(SHORT).is_empty(), "the slow one has a permit of a short read");
    assert_eq!(gate.release(QUICK), [next[1]]);
}

#[test]
fn short_reads_pass_quick_ones_whose_reader_is_at_work_and_permits_go_from_one_kind_to_the_other_by_age() {
    let mut gate = wal(2);
    gate.admit_now(QUICK);
    let quick = gate.queue(QUICK);
    gate.admit_now(SHORT);
    let (short, later) = (gate.queue(SHORT), gate.queue(QUICK));
    assert_eq!(gate.pass_to(QUICK), Some(quick));
    assert_eq!(gate.on_pass(QUICK), Some(Admitted { ticket: short, class: SHORT }));
    assert_eq!(gate.on_pass(SHORT), Some(Admitted { ticket: later, class: QUICK }));
}

#[test]
fn quick_reads_wait_for_who_has_the_database_for_itself() {
    let mut gate = wal(2);
    gate.admit_now(QUICK);
    let exclusive = gate.queue(Class::Exclusive);
    let quick = gate.queue(QUICK);
    assert_eq!(gate.pass_to(QUICK), None);
    assert_eq!(gate.release(QUICK), [exclusive]);
    assert_eq!(gate.release(Class::Exclusive), [quick]);
}
