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

fn slow(gate: &mut Admission) -> Vec<Admitted> {
    let mut admitted = Vec::new();
    gate.on_slow(&mut admitted);
    admitted
}

#[test]
fn who_waits_for_a_quick_read_runs_when_that_is_slow() {
    let mut gate = wal(3);
    gate.admit_now(QUICK);
    let next = [(); 3].map(|()| gate.queue(QUICK));
    let admitted = [next[0], next[1]].map(|ticket| Admitted { ticket, class: SHORT });
    assert_eq!(slow(&mut gate), admitted, "as many as there are readers");
    for ticket in [Some(next[2]), None, None] {
        assert_eq!(gate.release(SHORT), Vec::from_iter(ticket), "the slow one has a permit of a short read, too");
    }
}

#[test]
fn who_waited_for_a_slow_read_waits_where_it_did() {
    let mut gate = wal(2);
    gate.admit_now(QUICK);
    gate.admit_now(SHORT);
    let waiting = [QUICK, SHORT, QUICK, QUICK, SHORT].map(|class| gate.queue(class));
    assert_eq!(slow(&mut gate), [], "both readers are at work");
    for ticket in waiting {
        assert_eq!(gate.release_to(SHORT), [Admitted { ticket, class: SHORT }]);
    }
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
