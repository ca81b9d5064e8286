//! What becomes of a group whose transaction is undone: its members run again, together or each by itself.

use std::time::Instant;

use super::answered::Answered;
use super::group::{Group, Offence, ends_group, grouped, is_stop};
use super::members::{Member, Outcome};
use super::writer::Writer;
use super::{Disposition, Job, guard, is_clean};
use crate::connection::Policy;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::statement::{Written, of_commit};

impl Writer<'_> {
    /// Undoes the transaction that a member broke, does again what the others did, and then what it has to do alone.
    pub(super) fn recover(&mut self, group: Group<'_>, job: Job, offence: Offence) -> Disposition {
        self.shared.counters.group_retries.add();
        let members = self.end(group).singly();
        let before = self.replay(members);
        if before == Disposition::Discard {
            let error = match offence {
                Offence::RunAlone => self.shared.lost_or_broken(),
                Offence::Stopped(error) | Offence::Panicked(error) => error,
            };
            job.fail(error);
            return before;
        }
        match offence {
            Offence::RunAlone => self.run_again_alone(job),
            Offence::Stopped(error) => {
                self.shared.counters.errors.add();
                self.shared.metrics.failed(&error);
                job.fail(error);
                Disposition::Reuse
            }
            Offence::Panicked(error) => {
                self.shared.counters.panics.add();
                self.shared.metrics.failed(&error);
                job.fail(error);
                Disposition::Discard
            }
        }
    }

    /// Rolls back, and runs members once more. Their callers cannot stop them any more: as far as they know they have run.
    fn replay(&mut self, members: Vec<Member>) -> Disposition {
        let since = Instant::now();
        if let Err(error) = self.transaction.rollback() {
            return fail_members(&self.shared.metrics, members, &error);
        }
        if members.is_empty() {
            return Disposition::Reuse;
        }
        if self.transaction.begin().is_err() {
            return self.run_each_alone(members);
        }
        let mut again: Vec<Member> = Vec::with_capacity(members.len());
        let mut left = members.into_iter();
        for Member { job, outcome } in left.by_ref() {
            if outcome.as_ref().is_err_and(|failure| is_stop(&failure.error)) {
                // It was stopped before it ran, and is not to run now.
                again.push(Member { job, outcome });
                continue;
            }
            let Some(outcome) = self.repeat(&job) else {
                again.push(Member { job, outcome: Ok(Answered::done()) });
                again.extend(left);
                return self.run_each_alone(again);
            };
            again.push(Member { job, outcome });
        }
        self.commit(again.into_iter().collect(), since)
    }

    /// Runs a member once more. Returns nothing if it reached beyond itself this time.
    fn repeat(&mut self, job: &Job) -> Option<Outcome> {
        let request = grouped(&job.work)?;
        let began = Instant::now();
        self.worker.show(&request.query, began);
        job.reply.begins(began);
        let written = guard(|| self.statements.write(request, Policy::Grouped)).ok()?;
        job.reply.has_run_now();
        match written {
            _ if self.is_broken_off() => None,
            Ok(Written { chunks, answer, .. }) => Some(Ok(Answered::new(chunks, answer))),
            Err(error) if ends_group(&error) => None,
            Err(error) => Some(Err(error.into())),
        }
    }

    /// Runs members one by one, each in a transaction of its own.
    fn run_each_alone(&mut self, members: Vec<Member>) -> Disposition {
        if let Err(error) = self.transaction.rollback() {
            return fail_members(&self.shared.metrics, members, &error);
        }
        let mut members = members.into_iter();
        for Member { job, outcome: _ } in members.by_ref() {
            if self.run_again_alone(job) == Disposition::Discard || !is_clean(self.connection) {
                return fail_members(&self.shared.metrics, members, &self.shared.lost_or_broken());
            }
        }
        Disposition::Reuse
    }

    /// Runs a job by itself whose work in a group was undone.
    fn run_again_alone(&mut self, job: Job) -> Disposition {
        if let Some(cancel) = &job.cancel {
            cancel.paused();
        }
        self.run(job, Policy::Statement, None)
    }

    /// What the members are told rests on rows that others of them wrote: so the commit's error is that of all.
    pub(super) fn after_failed_commit(&mut self, members: Vec<Member>, error: &Error) -> Disposition {
        use rusqlite::ffi::{SQLITE_BUSY, SQLITE_IOERR, SQLITE_LOCKED};
        match error.primary_code() {
            Some(SQLITE_IOERR) => {
                drop(self.transaction.rollback());
                fail_members(&self.shared.metrics, members, &of_commit(error.clone()));
                Disposition::Discard
            }
            Some(SQLITE_BUSY | SQLITE_LOCKED) => match self.transaction.rollback() {
                Ok(()) => {
                    fail_members(&self.shared.metrics, members, error);
                    Disposition::Reuse
                }
                Err(broken) => fail_members(&self.shared.metrics, members, &broken),
            },
            _ => {
                self.shared.counters.group_retries.add();
                self.run_each_alone(members)
            }
        }
    }
}

/// Answers members with an error that is none of theirs. Returns what to do with the connection.
pub(super) fn fail_members(metrics: &Metrics, members: impl IntoIterator<Item = Member>, error: &Error) -> Disposition {
    for Member { job, outcome: _ } in members {
        metrics.failed(error);
        let Job { work, reply, .. } = job;
        work.fail(reply, error.clone().into());
    }
    Disposition::Discard
}
