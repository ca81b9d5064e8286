//! Calls that a reader runs one after another under one permit: what they share is looked at once.

use std::sync::Arc;
use std::time::Duration;

use super::guard;
use super::next::Taken;
use super::reader::{Judged, Reader};
use super::tray::answered;
use super::unannounced::{PATIENCE, Unannounced};
use super::{Job, Queued, Work};
use crate::completion::{Delivery, Reply, Sink};
use crate::manager::Permit;
use crate::query::{Request, Shape};

/// How many calls a reader takes at a time, at most.
const MOST: usize = 8;

/// For about how long they may take together.
const STRETCH: Duration = Duration::from_micros(50);

/// How many calls like the one before, which took so long, a reader takes at a time.
pub(super) fn how_many(took: Duration) -> usize {
    let fit = STRETCH.as_nanos() / took.as_nanos().max(1);
    usize::try_from(fit).map_or(MOST, |fit| fit.clamp(1, MOST))
}

/// The duty to answer the call that runs. Dropped unanswered, it answers that the call was lost.
struct Duty<'s> {
    sink: &'s Arc<dyn Sink>,
    call: u32,
}

impl<'s> Duty<'s> {
    fn new(sink: &'s Arc<dyn Sink>, call: u32) -> Self {
        Self { sink, call }
    }

    /// Makes the answer, which others deliver.
    fn answer(self, delivery: Delivery) -> (u32, Delivery) {
        let call = self.call;
        std::mem::forget(self);
        (call, delivery)
    }

    /// Leaves it to somebody else to answer.
    fn into_reply(self) -> Reply {
        let (sink, call) = (Arc::clone(self.sink), self.call);
        std::mem::forget(self);
        Reply::new(sink, call)
    }
}

impl Drop for Duty<'_> {
    fn drop(&mut self) {
        drop(Reply::new(Arc::clone(self.sink), self.call));
    }
}

/// What became of one of several calls.
struct CallRan {
    /// Nothing if somebody else answers it, or nobody takes the answer.
    answer: Option<(u32, Delivery)>,
    /// Whether the connection may be used again.
    is_usable: bool,
}

impl Reader<'_> {
    /// Runs calls that the permit was passed on to, all but the first ahead of their turns, and puts those back that would wait for long. The answers
    /// are ready then, for the sink that is returned. Returns also whether the connection may be used again.
    pub(super) fn run_calls(
        &mut self,
        taken: Taken,
        permit: &mut Permit,
        answers: &mut Unannounced,
    ) -> (bool, Arc<dyn Sink>) {
        let Taken { mut calls, passed, horizon } = taken;
        let (shared, began) = (self.shared, self.now);
        let (mut request, sink) = (calls.template(), Arc::clone(calls.sink()));
        answers.before_more(&sink, began);
        // Who is not ahead of its turn is not put back.
        let mut next = calls.next_into(&mut request);
        let serving = self.tray.load(permit, began, Some((calls, passed)));
        self.watch.over(&sink);
        let mut count = 0;
        let mut ran = CallRan { answer: None, is_usable: true };
        let mut reading = None;
        let mut waits = shared.metrics.read_waits.series();
        while let Some(call) = next {
            waits.add(self.now.saturating_duration_since(passed.since));
            let queued = Queued { ticket: passed.first.after(count), horizon, since: passed.since };
            ran = self.run_call(&request, Duty::new(&sink, call), queued, &mut || {
                reading.get_or_insert_with(|| shared.activity.begin_reading());
            });
            count += 1;
            let goes_on = ran.is_usable && self.now.duration_since(began) < PATIENCE;
            next = if goes_on { serving.next(&mut ran.answer, &mut request) } else { None };
        }
        drop((reading, waits));
        self.worker.end_members();
        shared.metrics.follow_busy(self.connection);
        let left = serving.clear(&mut self.ready);
        self.ready.extend(ran.answer);
        self.slow_down_unless_quick(permit);
        // Whoever is answered finds it counted.
        shared.counters.reads.add_many(answered(&self.ready));
        if left.is_some() {
            shared.put_back(permit, &passed, left);
        }
        (ran.is_usable, sink)
    }

    fn run_call(&mut self, request: &Request, duty: Duty<'_>, queued: Queued, classified: &mut dyn FnMut()) -> CallRan {
        if let Err(error) = self.choose_snapshot(Some(queued)) {
            return CallRan { answer: Some(duty.answer(Delivery::failed(error))), is_usable: false };
        }
        let (sink, call) = (duty.sink, duty.call);
        if let Err(reason) = self.worker.begin_for(&request.query, self.now, sink.number(), || sink.is_closed()) {
            let error = reason.to_error();
            self.shared.metrics.failed(&error);
            return CallRan { answer: Some(duty.answer(Delivery::failed(error))), is_usable: true };
        }
        let mut send = |shape: &Arc<Shape>, chunk| {
            sink.deliver(call, Delivery::Rows(Arc::clone(shape), chunk));
            sink.wait_for_room()
        };
        let result = guard(|| self.statements.read(request, &mut send, classified));
        let interrupted = self.worker.end_member(None);
        let judged = self.judge(request, result, interrupted);
        let is_usable = !matches!(judged, Judged::Broken(_)) && self.is_in_order();
        let answer = match judged {
            Judged::Answered(delivery) => Some(duty.answer(delivery)),
            Judged::Failed(error) | Judged::Broken(error) => Some(duty.answer(Delivery::failed(error))),
            Judged::NotARead(_) => {
                self.learn_not_a_read(&request.query);
                self.shared.forward_to_writer(Job::new(Work::Query(request.clone()), duty.into_reply()));
                None
            }
            Judged::Abandoned => {
                drop(duty.answer(Delivery::Done));
                None
            }
        };
        CallRan { answer, is_usable }
    }
}
