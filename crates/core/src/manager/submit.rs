//! How calls are submitted: each finds the queue that it belongs in.

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::calls::Calls;
use super::order::Order;
use super::waiting::{Waiting, closed};
use super::{Manager, Shared};
use crate::cancel::Cancel;
use crate::completion::{Reply, Sink};
use crate::connection::Route;
use crate::error::{Error, ErrorCode};
use crate::gate::{Class, Concurrency, ReadKind, RequestedAll};
use crate::params::PackedParams;
use crate::query::{Query, Request, Scope, Script};
use crate::trace;
use crate::worker::{Job, Work, nothing};

/// For how many calls of a [`Bunch`] there is room in place.
const IN_PLACE: usize = 8;

impl Manager {
    /// Submits one request, whose answer goes to `sink` under the number `call`. `cancel` stops it.
    pub fn submit(&self, request: Request, cancel: Option<Arc<Cancel>>, sink: Arc<dyn Sink>, call: u32) {
        let reply = self.reply(sink, call, &request.query, request.timed);
        self.submit_job(Job { cancel, ..Job::new(Work::Query(request), reply) });
    }

    /// Begins to submit requests together, whose answers all go to `sink`.
    pub fn bunch(&self, sink: Arc<dyn Sink>) -> Bunch<'_> {
        Bunch { manager: self, sink, class: Class::Write, waiting: SmallVec::new(), grows: false }
    }

    /// Submits a script: many statements, stopped at the first that fails, on the writer. `cancel` stops it.
    pub fn submit_script(
        &self,
        script: impl Into<Script>,
        cancel: Option<Arc<Cancel>>,
        sink: Arc<dyn Sink>,
        call: u32,
    ) {
        let Script { text, timed } = script.into();
        let reply = self.reply(sink, call, &text, timed);
        self.submit_job(Job { cancel, ..Job::new(Work::Script(text), reply) });
    }

    /// Submits statements to run as one transaction: all or nothing. Each item is answered under its own number, and then the whole
    /// under `call`: with [`Delivery::Done`](crate::Delivery::Done), or the failure, which tells the item. The whole tells its times if
    /// one of the requests asks for that.
    pub fn submit_batch(
        &self,
        items: Vec<(Request, u32)>,
        cancel: Option<Arc<Cancel>>,
        sink: &Arc<dyn Sink>,
        call: u32,
    ) {
        let (items, reply) = self.batch_replies(items, sink, call);
        self.submit_job(Job { cancel, ..Job::new(Work::Batch(items), reply) });
    }

    /// Makes the duty to answer a call of `query`.
    pub(crate) fn reply(&self, sink: Arc<dyn Sink>, call: u32, query: &Arc<Query>, timed: bool) -> Reply {
        Reply::watched(sink, call, query, timed, &self.shared.location)
    }

    /// Makes the duties to answer the items of a batch, and the whole. The whole tells its times if an item asks for that; the items
    /// never do.
    pub(crate) fn batch_replies(
        &self,
        items: Vec<(Request, u32)>,
        sink: &Arc<dyn Sink>,
        call: u32,
    ) -> (Vec<(Request, Reply)>, Reply) {
        let timed = items.iter().any(|(request, _)| request.timed);
        let reply = if timed {
            self.reply(Arc::clone(sink), call, nothing(), true)
        } else {
            Reply::new(Arc::clone(sink), call)
        };
        let item = |(request, item): (Request, u32)| {
            let reply = self.reply(Arc::clone(sink), item, &request.query, false);
            (request, reply)
        };
        (items.into_iter().map(item).collect(), reply)
    }

    pub(crate) fn submit_job(&self, job: Job) {
        if self.member.has_left() {
            return job.fail(closed());
        }
        self.end_burst();
        self.shared.submit(job, self.order.as_ref());
    }

    /// Whether a read outside any callback has to run on the writer, to see what was submitted before it.
    pub(crate) fn reads_behind_writes(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.has_writes())
    }
}

/// Requests that are submitted together, the last of them when this is dropped. They run as if they had been submitted one after another.
///
/// Those that follow one another into one queue of the gate enter it as one step; but for those that can be stopped, and those of which nobody
/// knows yet whether they read or write, which enter by themselves.
#[must_use = "it is submitted when it is dropped"]
pub struct Bunch<'m> {
    manager: &'m Manager,
    sink: Arc<dyn Sink>,
    /// What those ask for that wait to be submitted.
    class: Class,
    waiting: SmallVec<[Waiting; IN_PLACE]>,
    /// Whether the request that was added last is one of several calls that are alike.
    grows: bool,
}

impl Bunch<'_> {
    /// Adds one request, which is answered under the number `call`. `cancel` stops it.
    pub fn add(&mut self, request: Request, cancel: Option<Arc<Cancel>>, call: u32) {
        let added = match self.class_of_call(&request) {
            Some(class) if cancel.is_none() => self.add_call(class, request, call),
            _ => Err(request),
        };
        self.grows = added.is_ok();
        let Err(request) = added else { return };
        let reply = self.manager.reply(Arc::clone(&self.sink), call, &request.query, request.timed);
        let mut job = Job { cancel, ..Job::new(Work::Query(request), reply) };
        if self.manager.member.has_left() {
            return job.fail(closed());
        }
        let way = self.manager.shared.way(&mut job, self.manager.order.as_ref());
        match way {
            // The means to stop it have to learn its ticket.
            Way::Request(class) if job.cancel.is_none() => {
                if class != self.class {
                    self.submit();
                    self.class = class;
                }
                let since = self.since().unwrap_or_else(Instant::now);
                self.waiting.push(Waiting::job(&self.manager.shared, job, since));
            }
            Way::Request(_) | Way::Unclassified | Way::Refuse => {
                self.submit();
                self.manager.end_burst();
                self.manager.shared.send(job, way);
            }
        }
    }

    /// Whether the request that was added last may be added again: it waits with those that are like it. One waits by itself that can be stopped,
    /// or is told of by itself, or has to be seen by later reads, or was made in a callback, or of which nobody knows whether it writes.
    #[must_use]
    pub fn grows(&self) -> bool {
        self.grows && !self.manager.member.has_left()
    }

    /// Adds the request that was added last once more, with these values, to be answered under the number `call`. Returns whether it could be:
    /// if [`Bunch::grows`], and the values are of the same kind and number as its own, of which none travels apart. Nothing has been added
    /// otherwise, and [`Bunch::add`] does it.
    ///
    /// This is [`Bunch::add`] for many calls of one query that differ in their values alone, and takes a fraction of its time.
    #[must_use = "what was not added is not answered"]
    pub fn add_again(&mut self, params: PackedParams<'_>, call: u32) -> bool {
        if !self.grows() {
            return false;
        }
        let calls = self.waiting.last_mut().and_then(Waiting::calls_mut);
        calls.is_some_and(|calls| calls.add_again(params, call))
    }

    /// What a call asks for that need not be known before its turn comes: nobody measures it, and no read has to see what it writes.
    fn class_of_call(&self, request: &Request) -> Option<Class> {
        let Manager { shared, member, order } = self.manager;
        if member.has_left() || order.is_some() || trace::is_told() {
            return None;
        }
        match shared.route_of(request)? {
            Route::Read if request.query.runs_quickly() => Some(Class::Read(ReadKind::Quick)),
            Route::Read => Some(Class::Read(ReadKind::Short)),
            Route::Write => Some(Class::Write),
        }
    }

    /// Adds a call to those that it follows and that are like it, or as the first of others. Gives it back if it cannot be one of these.
    fn add_call(&mut self, class: Class, request: Request, call: u32) -> Result<(), Request> {
        if class != self.class {
            self.submit();
            self.class = class;
        }
        let request = match self.waiting.last_mut().and_then(Waiting::calls_mut) {
            Some(calls) => match calls.add(request, call) {
                Ok(()) => return Ok(()),
                Err(request) => request,
            },
            None => request,
        };
        let calls = Calls::new(request, &self.sink, call)?;
        let since = self.since().unwrap_or_else(Instant::now);
        self.waiting.push(Waiting::calls(&self.manager.shared, calls, since));
        Ok(())
    }

    /// When the first of those was added that wait to be submitted.
    fn since(&self) -> Option<Instant> {
        self.waiting.first().map(Waiting::since)
    }

    /// Submits those that wait for that.
    fn submit(&mut self) {
        let Some(since) = self.since() else { return };
        self.manager.end_burst();
        let shared = &self.manager.shared;
        let RequestedAll { unqueued, first } = shared.gate.request_all(self.class, self.waiting.drain(..), since);
        if first {
            shared.queue_timer.arm(shared);
        }
        for request in unqueued {
            shared.settle_request(request);
        }
    }
}

impl Drop for Bunch<'_> {
    fn drop(&mut self) {
        self.submit();
    }
}

/// Where a call goes.
#[derive(Clone, Copy)]
enum Way {
    /// It asks for a permit of this class.
    Request(Class),
    /// It is not known whether it reads or writes.
    Unclassified,
    /// It would wait for the callback in which it was made.
    Refuse,
}

impl Shared {
    fn submit(self: &Arc<Self>, mut job: Job, order: Option<&Arc<Order>>) {
        let way = self.way(&mut job, order);
        self.send(job, way);
    }

    /// Decides where a call goes.
    fn way(&self, job: &mut Job, order: Option<&Arc<Order>>) -> Way {
        let route = self.route(&job.work);
        match job.work.scope() {
            Scope::Outside => match order.map_or(route, |order| in_order(order, route, job)) {
                Some(Route::Read) => Way::Request(Class::Read(ReadKind::Short)),
                Some(Route::Write) => Way::Request(Class::Write),
                None => Way::Unclassified,
            },
            Scope::Read | Scope::Transaction if route == Some(Route::Write) => Way::Refuse,
            Scope::Read => Way::Request(Class::Read(ReadKind::Nested)),
            Scope::Transaction if self.gate.status().concurrency == Concurrency::Wal => {
                Way::Request(Class::Read(ReadKind::Short))
            }
            Scope::Transaction | Scope::Exclusive => Way::Refuse,
        }
    }

    fn send(self: &Arc<Self>, job: Job, way: Way) {
        match way {
            Way::Request(class) => self.request(class, job),
            Way::Unclassified => {
                let cancel = job.cancel.clone();
                let now = Instant::now();
                let make = |place| Waiting::job(self, Job { place: Some(place), ..job }, now);
                let request = self.gate.request_unclassified(now, make);
                self.settle_cancellable(request, cancel.as_ref());
            }
            Way::Refuse => self.refuse_reentrant(job),
        }
    }

    fn route(&self, work: &Work) -> Option<Route> {
        match work {
            Work::Script(_) | Work::Batch(_) => Some(Route::Write),
            Work::Query(request) => self.route_of(request),
        }
    }

    fn route_of(&self, request: &Request) -> Option<Route> {
        if self.runs_all_on_the_writer() { Some(Route::Write) } else { request.query.hint() }
    }

    /// Whether there are no readers, or what they would read may not be what the writer sees.
    pub(crate) fn runs_all_on_the_writer(&self) -> bool {
        self.options.max_readers == 0 || self.is_pinned()
    }

    fn request(self: &Arc<Self>, class: Class, job: Job) {
        let cancel = job.cancel.clone();
        let now = Instant::now();
        let request = self.gate.request(class, Waiting::job(self, job, now), now);
        self.settle_cancellable(request, cancel.as_ref());
    }

    /// Sends a job that a reader would not run to the writer, into the place that it holds.
    pub(crate) fn forward_to_writer(self: &Arc<Self>, mut job: Job) {
        if job.work.scope() != Scope::Outside {
            return self.refuse_reentrant(job);
        }
        let Some(place) = job.place.take() else {
            self.counters.fallbacks.add();
            return self.request(Class::Write, job);
        };
        let cancel = job.cancel.clone();
        let request = place.confirm(Waiting::job(self, job, Instant::now()));
        self.settle_cancellable(request, cancel.as_ref());
    }

    /// Asks for a reader for one job, which the writer found to be a read.
    pub(crate) fn request_reader(self: &Arc<Self>, job: Job) {
        self.request(Class::Read(ReadKind::Short), job);
    }

    /// Asks for exclusive write mode for one job.
    pub(crate) fn request_exclusive(self: &Arc<Self>, job: Job) {
        self.request(Class::Exclusive, job);
    }

    /// Whether a request cannot be stepped bit by bit on a read lease of its own; the ordinary way refuses what must not run at all.
    pub(crate) fn must_run_as_a_whole(&self, request: &Request) -> bool {
        let may_stream = match request.scope {
            Scope::Outside | Scope::Transaction => true,
            Scope::Read | Scope::Exclusive => false,
        };
        let writes = self.runs_all_on_the_writer() || request.query.hint() == Some(Route::Write);
        !may_stream || writes || self.gate.status().concurrency == Concurrency::Exclusive
    }

    /// Refuses a call that would wait for the callback in which it was made.
    fn refuse_reentrant(&self, job: Job) {
        let error = reentrant(job.work.scope());
        self.metrics.failed(&error);
        job.fail(error);
    }
}

/// Sends a read to the writer while a write is under way that it has to see, and lets later reads know of what may write. A read counts for
/// nothing wherever it goes: those that overlap would keep each other on the writer for good.
fn in_order(order: &Arc<Order>, route: Option<Route>, job: &mut Job) -> Option<Route> {
    let is_behind_writes = order.has_writes();
    if route != Some(Route::Read) {
        job.reply.counts(order.enter());
    }
    if is_behind_writes { Some(Route::Write) } else { route }
}

/// The error of a call that would wait for the callback in which it was made.
pub(crate) fn reentrant(scope: Scope) -> Error {
    let (callback, instead) = match scope {
        Scope::Outside | Scope::Transaction => ("transaction", "use the tx of the callback"),
        Scope::Read => ("read", "write after it"),
        Scope::Exclusive => ("writeMode", "use the w of the callback"),
    };
    let message = format!(
        "this call on the database would wait for the {callback} callback in which it is made: {instead}, \
         or pass {{ detached: true }} if the callback does not wait for it"
    );
    Error::new(ErrorCode::Reentrant, message)
}
