//! The members of a group: what has run in its transaction, and what it will be answered once that is committed.

use super::Job;
use super::answered::{Answered, Answers};
use crate::completion::Failure;
use crate::manager::Calls;

/// What a member will be answered.
pub(super) type Outcome = Result<Answered, Failure>;

/// A job that has run.
pub(super) struct Member {
    pub(super) job: Job,
    pub(super) outcome: Outcome,
}

/// Calls that have run one after another. As long as it is built there are more calls than outcomes.
pub(super) struct Run {
    pub(super) calls: Calls,
    pub(super) outcomes: Vec<Outcome>,
}

/// What became a member at once.
enum Part {
    One(Member),
    Several(Run),
}

/// The members, in the order in which they ran.
#[derive(Default)]
pub(super) struct Members {
    parts: Vec<Part>,
    count: usize,
}

impl Members {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn push(&mut self, member: Member) {
        self.count += 1;
        self.parts.push(Part::One(member));
    }

    pub(super) fn push_run(&mut self, run: Run) {
        self.count += run.outcomes.len();
        self.parts.push(Part::Several(run));
    }

    /// Those that failed.
    pub(super) fn failures(&self) -> impl Iterator<Item = &Failure> {
        let outcomes = self.parts.iter().flat_map(|part| match part {
            Part::One(member) => std::slice::from_ref(&member.outcome),
            Part::Several(run) => run.outcomes.as_slice(),
        });
        outcomes.filter_map(|outcome| outcome.as_ref().err())
    }

    /// Makes each a member by itself.
    pub(super) fn singly(self) -> Vec<Member> {
        let mut members = Vec::with_capacity(self.count);
        for part in self.parts {
            match part {
                Part::One(member) => members.push(member),
                Part::Several(Run { mut calls, outcomes }) => {
                    let jobs = std::iter::from_fn(|| calls.next());
                    members.extend(jobs.zip(outcomes).map(|(job, outcome)| Member { job, outcome }));
                }
            }
        }
        members
    }

    /// Tells each what it is answered, in order.
    pub(super) fn answer(self) {
        let mut answers = Answers::with_capacity(self.count);
        for part in self.parts {
            match part {
                Part::One(Member { job, outcome }) => answers.add(job.reply, outcome),
                Part::Several(Run { calls, outcomes }) => {
                    let mut outcomes = outcomes.into_iter();
                    calls.answer(|sink, call| {
                        let outcome = outcomes.next().expect("BUG: a call has not run that is answered");
                        answers.add_call(sink, call, outcome);
                    });
                }
            }
        }
        answers.send();
    }
}

impl FromIterator<Member> for Members {
    fn from_iter<I: IntoIterator<Item = Member>>(members: I) -> Self {
        let parts: Vec<_> = members.into_iter().map(Part::One).collect();
        Self { count: parts.len(), parts }
    }
}
