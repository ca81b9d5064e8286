//! Group commit: writes of many callers in one transaction, so that they share the cost of one commit.
//!
//! Nobody can tell but by the time it takes. Every outcome is delivered after the commit, in order. When a member does anything
//! that reaches beyond itself (it ends the transaction, breaks a deferred foreign key, is interrupted, finds the disk full),
//! everything is rolled back, the members before it run again, it runs alone, and those after it form another group.

use std::time::Instant;

use super::answered::{Answered, answer_all};
use super::writer::Writer;
use super::{
    Disposition, Job, Next, Work, disposition_after, explain_interrupt, guard, is_clean, of_commit, unknown_outcome,
};
use crate::completion::Failure;
use crate::connection::{Policy, PrepareError, Route};
use crate::error::{Error, ErrorCode, Result};
use crate::gate::Class;
use crate::manager::{GroupLimits, Permit};
use crate::metrics::{Metrics, Series};
use crate::query::{Request, Take};
use crate::statement::Written;

/// A statement that has run in the group, and what it will be answered once that is committed.
struct Member {
    job: Job,
    outcome: Result<Answered, Failure>,
}

/// The members of the transaction that is open.
struct Group<'m> {
    members: Vec<Member>,
    /// How long they have waited at the gate.
    waits: Series<'m>,
    since: Instant,
    /// When the last member had run: the clock is asked once for each.
    now: Instant,
    bytes: usize,
}

impl<'m> Group<'m> {
    /// Begins with room for as many members as may be expected.
    fn begin(expected: usize, metrics: &'m Metrics) -> Self {
        let now = Instant::now();
        Self { members: Vec::with_capacity(expected), waits: metrics.write_waits.series(), since: now, now, bytes: 0 }
    }

    /// Makes the job in the doorway a member.
    fn add(&mut self, doorway: &mut Option<Job>, outcome: Result<Answered, Failure>) {
        self.bytes += outcome.as_ref().map_or(0, Answered::bytes);
        let job = doorway.take().expect("BUG: nobody stands in the doorway");
        self.members.push(Member { job, outcome });
    }

    fn is_full(&self, limits: GroupLimits) -> bool {
        self.members.len() >= limits.statements as usize
            || self.bytes >= limits.bytes
            || self.now.duration_since(self.since) >= limits.time
    }
}

/// What became of the job that stood in the doorway of a group. Jobs are large: it is moved once, when it becomes a member.
enum Joined {
    /// It is a member, or has gone where it belongs; or nobody stood there.
    Yes,
    /// It stands there still: it must run alone, and has not run.
    No,
    /// It stands there still, and reached beyond itself.
    Broke(Offence),
}

/// How a member reached beyond itself.
enum Offence {
    /// What it did will be done by it alone.
    RunAlone,
    /// It has its answer: it was stopped.
    Stopped(Error),
    /// It has its answer: it panicked.
    Panicked(Error),
}

impl Writer<'_> {
    /// Whether a job is worth a transaction that others can join: somebody waits, and the job is one that may share.
    pub(super) fn begins_group(&mut self, job: &Job, permit: &Permit) -> bool {
        let may_share = permit.class() == Class::Write && self.shared.group_limits().is_some();
        let has_company = || self.company.is_expected() || permit.has_heir();
        let Some(request) = grouped(&job.work).filter(|_| may_share && has_company()) else { return false };
        // Outside a transaction, because preparing some statements acts.
        let class = self.statements.class(&request.query, Policy::Statement);
        let belongs_here = job.place.is_none() || self.shared.runs_all_on_the_writer();
        class.is_ok_and(|class| class.groups() && (class.route == Route::Write || belongs_here))
    }

    /// Runs a job and those that wait for the same permit in one transaction, as far as they may share it. Returns what comes next.
    ///
    /// # Errors
    /// The permit, when the connection must not be used again.
    pub(super) fn run_group(&mut self, first: Job, permit: Permit) -> Result<Next, Permit> {
        let limits = self.shared.group_limits().expect("BUG: a group begins only where there are groups");
        if let Err(error) = self.begin_group(&first) {
            let disposition = disposition_after(&error);
            self.shared.counters.errors.add();
            self.shared.metrics.failed(&error);
            first.fail(error);
            return self.expect_usable(disposition, permit);
        }
        let _writing = self.shared.activity.begin_writing();
        let (mut group, mut next, mut permit) =
            (Group::begin(self.company.usual(), &self.shared.metrics), Some(first), permit);
        loop {
            match self.join(&mut group, &mut next, limits) {
                Joined::Yes => {}
                Joined::No => {
                    let job = next.expect("BUG: a job that did not join has gone");
                    let disposition = self.commit_group(group);
                    return match self.keep_usable(disposition, permit) {
                        Ok(permit) => Ok(Next::first(job, permit)),
                        Err(permit) => {
                            job.fail(self.shared.lost_or_broken());
                            Err(permit)
                        }
                    };
                }
                Joined::Broke(offence) => {
                    let job = next.expect("BUG: a job that broke its group has gone");
                    let disposition = self.recover(group, job, offence);
                    return self.expect_usable(disposition, permit);
                }
            }
            if group.is_full(limits) {
                let disposition = self.commit_group(group);
                return self.expect_usable(disposition, permit);
            }
            let passed = match permit.pass_on() {
                Ok(passed) => passed,
                Err(alone) if self.company.wait(&alone, group.members.len()) => {
                    permit = alone;
                    group.now = Instant::now();
                    continue;
                }
                Err(permit) => {
                    let disposition = self.commit_group(group);
                    return self.keep_usable(disposition, permit).map(Next::Rest);
                }
            };
            permit = passed.permit;
            let waited = group.now.saturating_duration_since(passed.waiter.since());
            group.waits.add(waited);
            match passed.waiter.into_job() {
                Ok(job) => next = Some(job),
                Err(lease) => {
                    // Its holder may begin only when the transaction has ended.
                    let disposition = self.commit_group(group);
                    return match self.keep_usable(disposition, permit) {
                        Ok(permit) => Ok(Next::HandOver(lease, permit)),
                        Err(permit) => {
                            lease.fail(self.shared.lost_or_broken());
                            Err(permit)
                        }
                    };
                }
            }
        }
    }

    /// Begins the transaction of a group. Another process may hold the file: whoever gives up the first member ends that wait.
    fn begin_group(&mut self, first: &Job) -> Result<()> {
        if let Some(lost) = self.shared.lost() {
            return Err(lost);
        }
        let cancel = first.cancel.as_ref();
        if let Err(reason) = self.worker.begin(first.work.query(), Instant::now(), cancel, &first.reply) {
            return Err(reason.to_error());
        }
        let began = self.transaction.begin();
        self.shared.metrics.follow_busy(self.connection);
        let stopped = self.worker.end_job(cancel);
        if let Some(cancel) = cancel {
            cancel.paused();
        }
        began.map_err(|error| explain_interrupt(stopped, error))
    }

    /// Returns the permit as an error when the connection must not be used again.
    fn keep_usable(&mut self, disposition: Disposition, permit: Permit) -> Result<Permit, Permit> {
        if disposition == Disposition::Discard || !is_clean(self.connection) {
            self.worker.finish();
            return Err(permit);
        }
        self.shared.follow_wal(self.connection, &permit);
        Ok(permit)
    }

    /// Runs the job in the doorway as a member of the group, if it may be one.
    fn join(&mut self, group: &mut Group<'_>, doorway: &mut Option<Job>, limits: GroupLimits) -> Joined {
        let Some(job) = doorway else { return Joined::Yes };
        let Some(request) = grouped(&job.work) else { return Joined::No };
        match self.statements.class(&request.query, Policy::Grouped) {
            Ok(class) if !class.groups() => return Joined::No,
            Ok(class) => {
                let unclassified = job.place.take().is_some();
                if unclassified && class.route == Route::Read && !self.shared.runs_all_on_the_writer() {
                    request.query.set_hint(Some(Route::Read));
                    if let Some(cancel) = &job.cancel {
                        cancel.paused();
                    }
                    if let Some(job) = doorway.take() {
                        group.waits.flush();
                        self.shared.request_reader(job);
                    }
                    return Joined::Yes;
                }
            }
            Err(PrepareError::Denied(_)) => return Joined::No,
            Err(PrepareError::Sqlite(error)) if ends_group(&error) => return Joined::No,
            Err(error @ (PrepareError::Text(_) | PrepareError::Sqlite(_))) => {
                job.place = None;
                group.add(doorway, Err(error.into_error().into()));
                return Joined::Yes;
            }
        }
        match self.run_member(group, job, request, limits) {
            Ok(outcome) => {
                group.add(doorway, outcome);
                Joined::Yes
            }
            Err(offence) => Joined::Broke(offence),
        }
    }

    /// Runs the request of a job that may be a member. Returns what it will be answered.
    ///
    /// # Errors
    /// How it reached beyond itself.
    fn run_member(
        &mut self,
        group: &mut Group<'_>,
        job: &Job,
        request: &Request,
        limits: GroupLimits,
    ) -> Result<Result<Answered, Failure>, Offence> {
        let began = group.now;
        if let Err(reason) = self.worker.begin(&request.query, began, job.cancel.as_ref(), &job.reply) {
            return Ok(Err(reason.to_error().into()));
        }
        let result = guard(|| self.statements.write(request, Policy::Grouped));
        let stopped = self.worker.end_member(job.cancel.as_ref());
        if stopped.is_some() {
            self.shared.counters.interrupts.add();
        }
        group.now = Instant::now();
        job.reply.has_run(group.now);
        if group.now.duration_since(began) > limits.time {
            request.query.set_writes_long(true);
        }
        if let Ok(Ok(Written { class, .. })) = &result {
            self.shared.learn_from_writer(&request.query, *class);
        }
        match result {
            Err(panic) => Err(Offence::Panicked(panic)),
            Ok(Err(error)) => match explain_interrupt(stopped, error) {
                error if is_stop(&error) => Err(Offence::Stopped(error)),
                error if self.is_broken_off() || ends_group(&error) => Err(Offence::RunAlone),
                error => Ok(Err(error.into())),
            },
            Ok(Ok(_)) if self.is_broken_off() => Err(Offence::RunAlone),
            Ok(Ok(Written { chunks, answer, .. })) => Ok(Ok(Answered::new(chunks, answer))),
        }
    }

    /// Whether the transaction is gone, or could not be committed any more.
    fn is_broken_off(&self) -> bool {
        self.connection.raw().is_autocommit() || self.connection.breaks_deferred_foreign_keys()
    }

    /// Undoes the transaction that a member broke, does again what the others did, and then what it has to do alone.
    fn recover(&mut self, group: Group<'_>, job: Job, offence: Offence) -> Disposition {
        self.shared.counters.group_retries.add();
        let members = self.end(group);
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
        self.commit(again, since)
    }

    /// Runs a member once more. Returns nothing if it reached beyond itself this time.
    fn repeat(&mut self, job: &Job) -> Option<Result<Answered, Failure>> {
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

    /// Admits nobody more. Returns the members.
    fn end(&self, group: Group<'_>) -> Vec<Member> {
        self.worker.end_members();
        // Whoever is answered finds its wait counted.
        drop(group.waits);
        group.members
    }

    /// Commits what the members of a group did, and answers them.
    fn commit_group(&mut self, group: Group<'_>) -> Disposition {
        let since = group.since;
        let members = self.end(group);
        self.commit(members, since)
    }

    /// Commits what the members did since `since`, and answers them.
    fn commit(&mut self, members: Vec<Member>, since: Instant) -> Disposition {
        self.company.learn(members.len());
        let began = Instant::now();
        let committed = guard(|| self.transaction.commit());
        let ended = Instant::now();
        self.shared.metrics.follow_busy(self.connection);
        match committed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return self.after_failed_commit(members, &error),
            Err(panic) => return fail_members(&self.shared.metrics, members, &unknown_outcome(&panic)),
        }
        if let Err(error) = self.after_write_of(Policy::Grouped, false) {
            return fail_members(&self.shared.metrics, members, &error);
        }
        let counters = &self.shared.counters;
        let failures = members.iter().filter_map(|member| member.outcome.as_ref().err());
        let failed = failures.inspect(|failure| self.shared.metrics.failed(&failure.error)).count();
        counters.groups.add();
        counters.grouped_writes.add_many(members.len() as u64);
        counters.writes.add_many((members.len() - failed) as u64);
        counters.errors.add_many(failed as u64);
        self.shared.metrics.committed_group(members.len(), ended.duration_since(since), ended.duration_since(began));
        answer_all(members.into_iter().map(|Member { job, outcome }| (job.reply, outcome)));
        Disposition::Reuse
    }

    /// What the members are told rests on rows that others of them wrote: so the commit's error is that of all.
    fn after_failed_commit(&mut self, members: Vec<Member>, error: &Error) -> Disposition {
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

/// The request of a job that may be a member, as far as can be said without preparing it.
fn grouped(work: &Work) -> Option<&Request> {
    match work {
        Work::Query(request) if request.take != Take::Describe && !request.query.writes_long() => Some(request),
        Work::Query(_) | Work::Script(_) | Work::Batch(_) => None,
    }
}

/// Whether the caller stopped it.
fn is_stop(error: &Error) -> bool {
    matches!(error.code, ErrorCode::Aborted | ErrorCode::Timeout)
}

/// Whether an error is none of a statement's own, so that it may be another one when the statement runs alone.
fn ends_group(error: &Error) -> bool {
    use rusqlite::ffi::{
        SQLITE_AUTH, SQLITE_BUSY, SQLITE_CORRUPT, SQLITE_FULL, SQLITE_INTERRUPT, SQLITE_IOERR, SQLITE_LOCKED,
        SQLITE_NOMEM, SQLITE_NOTADB, SQLITE_READONLY,
    };
    let sqlite = matches!(
        error.primary_code(),
        Some(
            SQLITE_AUTH
                | SQLITE_BUSY
                | SQLITE_CORRUPT
                | SQLITE_FULL
                | SQLITE_INTERRUPT
                | SQLITE_IOERR
                | SQLITE_LOCKED
                | SQLITE_NOMEM
                | SQLITE_NOTADB
                | SQLITE_READONLY
        )
    );
    sqlite || is_refusal(error.code)
}

/// Whether the policy of the group refused what the one of a statement alone may allow.
fn is_refusal(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotAuthorized | ErrorCode::Pragma | ErrorCode::ManualTransaction | ErrorCode::ConnectionState
    )
}

/// Answers members with an error that is none of theirs. Returns what to do with the connection.
fn fail_members(metrics: &Metrics, members: impl IntoIterator<Item = Member>, error: &Error) -> Disposition {
    for Member { job, outcome: _ } in members {
        metrics.failed(error);
        let Job { work, reply, .. } = job;
        work.fail(reply, error.clone().into());
    }
    Disposition::Discard
}
