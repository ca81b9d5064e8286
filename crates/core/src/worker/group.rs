//! Group commit: writes of many callers in one transaction, so that they share the cost of one commit.
//!
//! Nobody can tell but by the time it takes. Every outcome is delivered after the commit, in order. When a member does anything
//! that reaches beyond itself (it ends the transaction, breaks a deferred foreign key, is interrupted, finds the disk full),
//! everything is rolled back, the members before it run again, it runs alone, and those after it form another group.

use std::time::{Duration, Instant};

use super::answered::Answered;
use super::members::{Member, Members, Outcome};
use super::recovery::fail_members;
use super::run::{Caller, Doorway, Joint};
use super::writer::Writer;
use super::{Disposition, Job, Next, Work, disposition_after, explain_interrupt, guard, is_clean};
use crate::connection::{Policy, PrepareError, Route};
use crate::error::{Error, ErrorCode, Result};
use crate::gate::Class;
use crate::manager::{Ahead, GroupLimits, Permit};
use crate::metrics::{Metrics, Series};
use crate::query::Request;
use crate::statement::{Written, unknown_outcome};

/// The members of the transaction that is open.
pub(super) struct Group<'m> {
    pub(super) members: Members,
    /// How long they have waited at the gate.
    pub(super) waits: Series<'m>,
    since: Instant,
    /// When the last member had run, or one of the few before it: the clock is asked once for each job, and now and then for calls.
    pub(super) now: Instant,
    /// How many calls have run since, and after how many it is asked again.
    untimed: u32,
    stretch: u32,
    pub(super) bytes: usize,
}

impl<'m> Group<'m> {
    fn begin(metrics: &'m Metrics) -> Self {
        let now = Instant::now();
        Self {
            members: Members::default(),
            waits: metrics.write_waits.series(),
            since: now,
            now,
            untimed: 0,
            stretch: 1,
            bytes: 0,
        }
    }

    /// Makes the job in the doorway a member.
    fn add(&mut self, doorway: &mut Option<Job>, outcome: Outcome) {
        self.bytes += outcome.as_ref().map_or(0, Answered::bytes);
        let job = doorway.take().expect("BUG: nobody stands in the doorway");
        self.members.push(Member { job, outcome });
    }

    /// A member that `caller` asked for has run, maybe for `many` steps: sees what time it is, if that is due. Returns how long it was since the
    /// clock was asked before.
    fn look_at_clock(&mut self, caller: Caller<'_>, many: bool) -> Option<Duration> {
        self.untimed += 1;
        let is_due = match caller {
            Caller::Job(_) => true,
            Caller::Call(_) => many || self.untimed >= self.stretch,
        };
        if is_due { self.catch_up() } else { None }
    }

    /// Sees what time it is, if members have run since the clock was asked. Returns how long ago that was.
    pub(super) fn catch_up(&mut self) -> Option<Duration> {
        if self.untimed == 0 {
            return None;
        }
        let now = Instant::now();
        let elapsed = now.duration_since(self.now);
        self.stretch = if elapsed < SHORT * self.untimed { STRETCH } else { 1 };
        (self.now, self.untimed) = (now, 0);
        Some(elapsed)
    }

    /// For how many more members there is room.
    fn room(&self, limits: GroupLimits) -> usize {
        (limits.statements as usize).saturating_sub(self.members.count())
    }

    pub(super) fn is_full(&self, limits: GroupLimits) -> bool {
        self.room(limits) == 0 || self.is_spent(limits)
    }

    /// Whether it is full however few members it has.
    pub(super) fn is_spent(&self, limits: GroupLimits) -> bool {
        self.bytes >= limits.bytes || self.now.duration_since(self.since) >= limits.time
    }
}

/// How many calls may run one after another before the clock is asked again, where those before them were short: to ask takes a
/// twentieth of the time of a short one. It is asked sooner after one that makes many steps; what takes long in a few steps is found out late, by the
/// time that so many calls take.
const STRETCH: u32 = 4;

/// How long a call may take that counts as short.
const SHORT: Duration = Duration::from_micros(20);

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
pub(super) enum Offence {
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
        // The transaction would lock every attached database, whichever the members write to.
        let locks_others = self.shared.is_pinned() && self.connection.has_attached();
        // A read would take the right to write from other processes; and in a transaction without that right, whoever joins later would not see
        // what they have committed since it began.
        !locks_others && class.is_ok_and(|class| class.groups() && class.route == Route::Write)
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
        let (mut group, mut next, mut permit) = (Group::begin(&self.shared.metrics), Some(first), permit);
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
            let passed = match permit.pass_on_ahead(|_| group.room(limits)) {
                Ok(passed) => passed,
                Err(alone) if self.company.wait(&alone, group.members.count()) => {
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
            let since = passed.waiter.since();
            let waiter = match passed.waiter.into_calls() {
                Ok(calls) => {
                    let ahead =
                        Ahead { first: passed.ticket, count: calls.count(), queued_at: passed.queued_at, since };
                    let Joint { left, doorway } = self.join_calls(&mut group, calls, since, limits);
                    self.shared.put_back(&mut permit, &ahead, left);
                    match doorway {
                        Doorway::Nobody => {}
                        Doorway::Unfit(job) => {
                            group.waits.add(group.now.saturating_duration_since(since));
                            next = Some(job);
                        }
                        Doorway::Broke(job, offence) => {
                            let disposition = self.recover(group, job, offence);
                            return self.expect_usable(disposition, permit);
                        }
                    }
                    continue;
                }
                Err(waiter) => waiter,
            };
            group.waits.add(group.now.saturating_duration_since(since));
            match waiter.into_job() {
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
        match self.run_member(group, request, Caller::Job(job), limits) {
            Ok(outcome) => {
                group.add(doorway, outcome);
                Joined::Yes
            }
            Err(offence) => Joined::Broke(offence),
        }
    }

    /// Runs a request that may be a member. Returns what it will be answered.
    ///
    /// # Errors
    /// How it reached beyond itself.
    pub(super) fn run_member(
        &mut self,
        group: &mut Group<'_>,
        request: &Request,
        caller: Caller<'_>,
        limits: GroupLimits,
    ) -> Result<Outcome, Offence> {
        let began = group.now;
        if let Err(reason) = caller.begin(self.worker, request, began) {
            return Ok(Err(reason.to_error().into()));
        }
        let result = guard(|| self.statements.write(request, Policy::Grouped));
        let stopped = self.worker.end_member(caller.cancel());
        if stopped.is_some() {
            self.shared.counters.interrupts.add();
        }
        let elapsed = group.look_at_clock(caller, self.connection.take_stepped());
        caller.has_run(group.now);
        if elapsed.is_some_and(|elapsed| elapsed > limits.time) {
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
    pub(super) fn is_broken_off(&self) -> bool {
        self.connection.raw().is_autocommit() || self.connection.breaks_deferred_foreign_keys()
    }

    /// Admits nobody more. Returns the members.
    pub(super) fn end(&self, group: Group<'_>) -> Members {
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
    pub(super) fn commit(&mut self, members: Members, since: Instant) -> Disposition {
        self.company.learn(members.count());
        let began = Instant::now();
        let committed = guard(|| self.transaction.commit());
        let ended = Instant::now();
        self.shared.metrics.follow_busy(self.connection);
        match committed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return self.after_failed_commit(members.singly(), &error),
            Err(panic) => return fail_members(&self.shared.metrics, members.singly(), &unknown_outcome(&panic)),
        }
        if let Err(error) = self.after_write_of(Policy::Grouped, false) {
            return fail_members(&self.shared.metrics, members.singly(), &error);
        }
        let counters = &self.shared.counters;
        let failed = members.failures().inspect(|failure| self.shared.metrics.failed(&failure.error)).count();
        counters.groups.add();
        counters.grouped_writes.add_many(members.count() as u64);
        counters.writes.add_many((members.count() - failed) as u64);
        counters.errors.add_many(failed as u64);
        self.shared.metrics.committed_group(members.count(), ended.duration_since(since), ended.duration_since(began));
        members.answer();
        Disposition::Reuse
    }
}

/// The request of a job that may be a member, as far as can be said without preparing it.
pub(super) fn grouped(work: &Work) -> Option<&Request> {
    match work {
        Work::Query(request) if request.may_share() => Some(request),
        Work::Query(_) | Work::Script(_) | Work::Batch(_) => None,
    }
}

/// Whether the caller stopped it.
pub(super) fn is_stop(error: &Error) -> bool {
    matches!(error.code, ErrorCode::Aborted | ErrorCode::Timeout)
}

/// Whether an error is none of a statement's own, so that it may be another one when the statement runs alone.
pub(super) fn ends_group(error: &Error) -> bool {
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
