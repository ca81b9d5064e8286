//! What a worker does when a job is done.

use std::time::Instant;

use super::Job;
use crate::gate::{Passed, Ticket};
use crate::manager::{Ahead, Calls, Permit, Waiting};

/// When a job was queued, in tickets and in time.
#[derive(Clone, Copy)]
pub(super) struct Queued {
    pub(super) ticket: Ticket,
    /// Greater than the ticket of whatever was queued before the job began.
    pub(super) horizon: Ticket,
    pub(super) since: Instant,
}

/// What a worker does when a job is done.
pub(super) enum Next {
    /// The job of whoever waited next, with the same permit: no way through the queues.
    Run(Job, Permit, Option<Queued>),
    /// Whoever waited next wants something else than a job run here, and gets the permit: when the worker is at rest, because they may use its
    /// connection, or close it.
    HandOver(Waiting, Permit),
    /// Nothing more: the permit goes back.
    Rest(Permit),
}

/// Several calls that a permit was passed on to.
pub(super) struct Taken {
    pub(super) calls: Calls,
    pub(super) passed: Ahead,
    /// Greater than the tickets of all that were queued before.
    pub(super) horizon: Ticket,
}

/// What a reader does when a job is done.
pub(super) enum NextRead {
    One(Next),
    /// Runs several calls, with the same permit.
    Several(Taken, Permit),
}

impl NextRead {
    /// What comes after what ran with `permit`: up to `limit` calls that are expected to run short, or one of anything else.
    pub(super) fn after(permit: Permit, limit: usize) -> Self {
        let Passed { waiter, permit, ticket, horizon, queued_at } =
            match permit.pass_on_ahead(|waiting| if waiting.runs_short() { limit } else { 1 }) {
                Ok(passed) => passed,
                Err(permit) => return Self::One(Next::Rest(permit)),
            };
        let since = waiter.since();
        match waiter.into_calls() {
            Ok(calls) => {
                let passed = Ahead { first: ticket, count: calls.count(), queued_at, since };
                Self::Several(Taken { calls, passed, horizon }, permit)
            }
            Err(waiter) => Self::One(Next::of(waiter, permit, Queued { ticket, horizon, since })),
        }
    }
}

impl Next {
    /// A job that came with a permit of its own.
    pub(super) fn first(job: Job, permit: Permit) -> Self {
        Self::Run(job, permit, None)
    }

    pub(super) fn after(permit: Permit) -> Self {
        let Passed { waiter, permit, ticket, horizon, queued_at: _ } = match permit.pass_on() {
            Ok(passed) => passed,
            Err(permit) => return Self::Rest(permit),
        };
        let since = waiter.since();
        Self::of(waiter, permit, Queued { ticket, horizon, since })
    }

    fn of(waiter: Waiting, permit: Permit, queued: Queued) -> Self {
        match waiter.into_job() {
            Ok(job) => Self::Run(job, permit, Some(queued)),
            Err(waiting) => Self::HandOver(waiting, permit),
        }
    }
}

/// Gives the permit to whoever waits for it, or back. The worker is at rest.
pub(super) fn let_go(heir: Option<Waiting>, permit: Permit) {
    match heir {
        Some(waiting) => drop(waiting.admit(permit)),
        None => drop(permit),
    }
}
