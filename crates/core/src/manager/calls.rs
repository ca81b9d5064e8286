//! Calls of one query that were made together and are alike but for their values.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::completion::{Reply, Sink};
use crate::params::Params;
use crate::query::{Query, Request, Scope};
use crate::worker::{Job, Work, guard};

/// Calls of one query, in order, which nobody can stop or measures, made outside every callback.
///
/// What each has for itself is small and stands in a row. A job is large, and owns what they share: to make one for each where they are
/// made, and to take it apart on another core, takes about as long there as SQLite takes for a short statement.
///
/// Calls that are dropped are answered as jobs are: that they were lost.
pub(crate) struct Calls {
    /// What they share; the values are those of the call that runs.
    request: Request,
    sink: Arc<dyn Sink>,
    calls: SmallVec<[Call; 1]>,
    /// How many have been taken off.
    taken: usize,
}

struct Call {
    number: u32,
    params: Params,
}

impl Calls {
    /// Makes a first one, if it may be one; else gives it back.
    pub(super) fn new(mut request: Request, sink: &Arc<dyn Sink>, number: u32) -> Result<Self, Request> {
        if request.scope != Scope::Outside || request.timed {
            return Err(request);
        }
        let params = std::mem::take(&mut request.params);
        Ok(Self::of(request, sink, SmallVec::from_buf([Call { number, params }])))
    }

    fn of(request: Request, sink: &Arc<dyn Sink>, calls: SmallVec<[Call; 1]>) -> Self {
        Self { request, sink: Arc::clone(sink), calls, taken: 0 }
    }

    /// Adds another one for the same sink, if it is alike; else gives it back.
    pub(super) fn add(&mut self, request: Request, number: u32) -> Result<(), Request> {
        let Request { query, params: _, take, integers, scope, timed } = &request;
        let own = &self.request;
        let is_alike = Arc::ptr_eq(query, &own.query) && *take == own.take && *integers == own.integers;
        if !is_alike || *scope != own.scope || *timed != own.timed {
            return Err(request);
        }
        self.calls.push(Call { number, params: request.params });
        Ok(())
    }

    /// How many are left.
    pub(crate) fn count(&self) -> usize {
        self.calls.len() - self.taken
    }

    pub(crate) fn query(&self) -> &Arc<Query> {
        &self.request.query
    }

    pub(crate) fn sink(&self) -> &Arc<dyn Sink> {
        &self.sink
    }

    /// Shows the request of one of them to `run`.
    pub(crate) fn with_request<R>(&mut self, index: usize, run: impl FnOnce(&Request) -> R) -> R {
        let call = &mut self.calls[self.taken + index];
        std::mem::swap(&mut self.request.params, &mut call.params);
        let result = run(&self.request);
        std::mem::swap(&mut self.request.params, &mut call.params);
        result
    }

    /// Takes so many of them off, the first ones. Returns nothing if there are no more than that.
    pub(crate) fn take_first(&mut self, count: usize) -> Option<Self> {
        if count >= self.count() {
            return None;
        }
        let calls = (0..count).map_while(|_| self.next_call()).collect();
        Some(Self::of(self.request.clone(), &self.sink, calls))
    }

    /// Takes the first of them off.
    pub(crate) fn next(&mut self) -> Option<Job> {
        let Call { number, params } = self.next_call()?;
        let reply = Reply::new(Arc::clone(&self.sink), number);
        Some(Job::new(Work::Query(Request { params, ..self.request.clone() }), reply))
    }

    /// Takes the only one that is left.
    pub(super) fn last(mut self) -> Job {
        assert!(self.count() == 1, "BUG: I4 one permit is for one call");
        self.next().expect("BUG: one is left")
    }

    /// Hands the number of each to `answer`, whose duty it is from then on to answer it.
    pub(crate) fn answer(mut self, mut answer: impl FnMut(&Arc<dyn Sink>, u32)) {
        while let Some(Call { number, .. }) = self.next_call() {
            answer(&self.sink, number);
        }
    }

    fn next_call(&mut self) -> Option<Call> {
        let Call { number, params } = self.calls.get_mut(self.taken)?;
        let call = Call { number: *number, params: std::mem::take(params) };
        self.taken += 1;
        Some(call)
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        // A sink that panics at one of them leaves the others theirs.
        while let Some(job) = self.next() {
            drop(guard(|| drop(job)));
        }
    }
}
