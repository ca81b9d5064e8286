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

/// What became of calls that came to a group together.
pub(super) struct Joint {
    /// Those that have not run, but for the one in the doorway.
    pub(super) left: Option<Calls>,
    pub(super) doorway: Doorway,
}

/// Who stands in the doorway of a group: the first of the calls that are not members.
pub(super) enum Doorway {
    /// Nobody: all are members, or there is no room for more.
    Nobody,
    /// It is nothing for a group, as far as can be told: whoever looks at it by itself knows.
    Unfit(Job),
    /// It reached beyond itself.
    Broke(Job, Offence),
}

/// Why calls did not go on to run.
enum Halt {
    Full,
    Unfit,
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
    /// Runs calls, which have waited since then, as members of the group, as far as they may be and there is room.
    pub(super) fn join_calls(
        &mut self,
        group: &mut Group<'_>,
        calls: Calls,
        since: Instant,
        limits: GroupLimits,
    ) -> Joint {
        let query = Arc::clone(calls.query());
        let mut run = Run { outcomes: Vec::with_capacity(calls.count()), calls };
        let halt = self.run_calls(group, &mut run, since, limits);
        // What comes next is not charged with their time.
        if group.catch_up().is_some_and(|elapsed| elapsed > limits.time) {
            query.set_writes_long(true);
        }
        let ran = run.outcomes.len();
        let mut left = run.calls.take_first(ran).map(|first| std::mem::replace(&mut run.calls, first));
        if ran > 0 {
            group.members.push_run(run);
        }
        let mut first = || left.as_mut().and_then(Calls::next);
        let doorway = match halt {
            Halt::Full => Doorway::Nobody,
            Halt::Unfit => first().map_or(Doorway::Nobody, Doorway::Unfit),
            Halt::Broke(offence) => Doorway::Broke(first().expect("BUG: who broke the group has gone"), offence),
        };
        Joint { left: left.filter(|left| left.count() > 0), doorway }
    }

    fn run_calls(&mut self, group: &mut Group<'_>, run: &mut Run, since: Instant, limits: GroupLimits) -> Halt {
        if !run.calls.request(0).may_share() || !self.groups(&run.calls) {
            return Halt::Unfit;
        }
        let sink = Arc::clone(run.calls.sink());
        let (mut now, mut waited) = (group.now, group.now.saturating_duration_since(since));
        for index in 0..run.calls.count() {
            if group.now != now {
                (now, waited) = (group.now, group.now.saturating_duration_since(since));
            }
            group.waits.add(waited);
            let outcome = match self.run_member(group, run.calls.request(index), Caller::Call(&sink), limits) {
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
