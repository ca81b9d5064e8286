//! Calls that run one after another as members of a group: what they share is looked at once.

use std::sync::Arc;
use std::time::Instant;

use super::answered::Answered;
use super::group::{Group, Offence};
use super::members::Run;
use super::writer::Writer;
use super::{Job, Worker};
use crate::cancel::{Cancel, CancelReason};
use crate::completion::Sink;
use crate::connection::Policy;
use crate::manager::{Calls, GroupLimits};
use crate::query::Request;

/// Why calls are left that have not run.
pub(super) enum Halt {
    /// There is no more room for them, if there are any.
    Full,
    /// They are nothing for the group, as far as can be told: whoever looks at each by itself knows.
    Unfit,
    /// The first of them reached beyond itself.
    Broke(Offence),
}

/// Who asked for a member.
#[derive(Clone, Copy)]
pub(super) enum Caller<'c> {
    Job(&'c Job),
    /// One of several calls that this sink answers.
    Call(&'c Arc<dyn Sink>),
}

impl Caller<'_> {
    pub(super) fn begin(self, worker: &Arc<Worker>, request: &Request, now: Instant) -> Result<(), CancelReason> {
        match self {
            Self::Job(job) => worker.begin(&request.query, now, job.cancel.as_ref(), &job.reply),
            Self::Call(sink) => worker.begin_for(&request.query, now, sink.number(), || sink.is_closed()),
        }
    }

    pub(super) fn cancel(&self) -> Option<&Arc<Cancel>> {
        match self {
            Self::Job(job) => job.cancel.as_ref(),
            Self::Call(_) => None,
        }
    }

    pub(super) fn has_run(self, now: Instant) {
        match self {
            Self::Job(job) => job.reply.has_run(now),
            Self::Call(_) => {}
        }
    }
}

impl Writer<'_> {
    /// Runs calls, which have waited since then, as members of the group, as far as they may be and there is room. Returns those that have not run,
    /// and why.
    pub(super) fn join_calls(
        &mut self,
        group: &mut Group<'_>,
        calls: Calls,
        since: Instant,
        limits: GroupLimits,
    ) -> (Option<Calls>, Halt) {
        let mut run = Run { outcomes: Vec::with_capacity(calls.count()), calls };
        let halt = self.run_calls(group, &mut run, since, limits);
        let ran = run.outcomes.len();
        let rest = match run.calls.take_first(ran) {
            Some(first) => Some(std::mem::replace(&mut run.calls, first)),
            None => None,
        };
        if ran > 0 {
            group.members.push_run(run);
        }
        (rest, halt)
    }

    fn run_calls(&mut self, group: &mut Group<'_>, run: &mut Run, since: Instant, limits: GroupLimits) -> Halt {
        if !run.calls.with_request(0, Request::may_share) || !self.groups(&run.calls) {
            return Halt::Unfit;
        }
        let sink = Arc::clone(run.calls.sink());
        let (mut now, mut waited) = (group.now, group.now.saturating_duration_since(since));
        for index in 0..run.calls.count() {
            if group.now != now {
                (now, waited) = (group.now, group.now.saturating_duration_since(since));
            }
            group.waits.add(waited);
            let ran =
                run.calls.with_request(index, |request| self.run_member(group, request, Caller::Call(&sink), limits));
            let outcome = match ran {
                Ok(outcome) => outcome,
                Err(offence) => return Halt::Broke(offence),
            };
            let has_failed = outcome.is_err();
            group.bytes += outcome.as_ref().map_or(0, Answered::bytes);
            run.outcomes.push(outcome);
            // What failed is prepared anew, and may be something else then.
            if has_failed && !self.groups(&run.calls) {
                return Halt::Unfit;
            }
            if group.is_spent(limits) {
                break;
            }
        }
        Halt::Full
    }

    /// Whether their statement may share a transaction.
    fn groups(&mut self, calls: &Calls) -> bool {
        self.statements.class(calls.query(), Policy::Grouped).is_ok_and(|class| class.groups())
    }
}
