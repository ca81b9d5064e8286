//! What a worker does when a job is done.

use std::time::Instant;

use super::Job;
use crate::gate::{Passed, Ticket};
use crate::manager::{Permit, Waiting};

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
        match waiter.into_job() {
            Ok(job) => Self::Run(job, permit, Some(Queued { ticket, horizon, since })),
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
