//! When a write permit passes from one to the next without a release.

use super::tests::{SHORT, exclusive, wal};
use super::*;

#[test]
fn a_write_permit_passes_to_the_next_write_where_modes_alternate_too() {
    for (mut gate, switches) in [(wal(2), 0), (exclusive(2), 3)] {
        gate.admit_now(Class::Write);
        let next = [gate.queue(Class::Write), gate.queue(Class::Write)];
        for ticket in next {
            assert!(gate.has_heir_of_write());
            assert_eq!(gate.pass_to(Class::Write), Some(ticket));
        }
        assert!(!gate.has_heir_of_write());
        assert_eq!(gate.pass_to(Class::Write), None);
        assert_eq!(gate.status().mode_switches, switches, "each is a turn of its own");
        gate.release(Class::Write);
        gate.admit_now(SHORT);
    }
}

#[test]
fn where_modes_alternate_a_write_permit_passes_no_reader_that_waits() {
    let mut gate = exclusive(2);
    gate.admit_now(Class::Write);
    let next = gate.queue(Class::Write);
    let read = gate.queue(SHORT);
    assert!(!gate.has_heir_of_write());
    assert_eq!(gate.pass_to(Class::Write), None);
    assert!(gate.status().active_writer, "nothing has happened");
    assert_eq!(gate.release(Class::Write), [read]);
    assert_eq!(gate.release(SHORT), [next]);
}

#[test]
fn a_permit_passes_to_none_of_another_class_and_an_exclusive_one_to_nobody() {
    for mut gate in [wal(2), exclusive(2)] {
        gate.admit_now(Class::Write);
        let next = [gate.queue(Class::Exclusive), gate.queue(Class::Exclusive)];
        assert!(!gate.has_heir_of_write());
        assert_eq!(gate.pass_to(Class::Write), None);
        assert_eq!(gate.release(Class::Write), next[..1]);
        assert_eq!(gate.pass_to(Class::Exclusive), None);
        assert_eq!(gate.release(Class::Exclusive), next[1..]);
    }
}
