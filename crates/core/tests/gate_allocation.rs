//! Counts what the gate allocates for a request that runs at once: nothing.
#![cfg(not(feature = "model-check"))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Instant;

use sluice_core::gate::{Class, Concurrency, Gate, Permit, ReadKind, Rejection, Request, Waiter};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system allocator unchanged; counting neither allocates nor unwinds, because the
// thread-local is initialised by a constant and `try_with` does not panic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.try_with(|count| count.set(count.get() + 1)).ok();
        // SAFETY: the caller keeps the contract of `alloc`, which is the same for both.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above with this layout, so from the system allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Nobody;

impl Waiter for Nobody {
    fn admitted(self, permit: Permit<Self>) -> Option<Permit<Self>> {
        Some(permit)
    }

    fn rejected(self, _reason: Rejection) {}
}

fn allocations() -> usize {
    ALLOCATIONS.with(Cell::get)
}

#[test]
fn a_request_admitted_at_once_allocates_nothing_nor_does_its_release() {
    let now = Instant::now();
    for concurrency in [Concurrency::Wal, Concurrency::Exclusive] {
        let gate = Gate::new(concurrency, 4, 100);
        let before = allocations();
        for class in [Class::Read(ReadKind::Short), Class::Read(ReadKind::Session), Class::Write, Class::Exclusive] {
            let request = gate.request(class, Nobody, now);
            assert!(matches!(request, Request::Admitted(..)));
        }
        assert_eq!(allocations(), before);
    }
    assert!(allocations() > 0, "the counter counts");
}
