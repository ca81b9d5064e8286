//! Calls of one query that were made together and are alike but for their values.

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::completion::{Reply, Sink};
use crate::params::PackedParams;
use crate::query::{Query, Request, Scope};
use crate::worker::{Job, Work, guard};

/// How many bytes of values there is room for as soon as there are several calls.
const ROOM: usize = 256;

/// Calls of one query, in order, which nobody can stop or measures, made outside every callback.
///
/// What each has for itself is small and stands in a row. A job is large, and owns what they share: to make one for each where they are
/// made, and to take it apart on another core, takes about as long there as SQLite takes for a short statement.
///
/// Calls that are dropped are answered as jobs are: that they were lost.
pub(crate) struct Calls {
    /// What they share. The values are those of the call that was shown last, or of the first one.
    request: Request,
    sink: Arc<dyn Sink>,
    calls: SmallVec<[Call; 1]>,
    /// The values of each as they were packed, one behind the other. Those of a call that was made alone stand in the request.
    packed: Vec<u8>,
    /// How many have been taken off.
    taken: usize,
}

#[derive(Clone, Copy)]
struct Call {
    number: u32,
    /// Where its values end among those of all.
    end: usize,
}

impl Calls {
    /// Makes a first one, if it may be one; else gives it back.
    pub(super) fn new(request: Request, sink: &Arc<dyn Sink>, number: u32) -> Result<Self, Request> {
        if request.scope != Scope::Outside || request.timed {
            return Err(request);
        }
        let calls = SmallVec::from_buf([Call { number, end: 0 }]);
        Ok(Self { request, sink: Arc::clone(sink), calls, packed: Vec::new(), taken: 0 })
    }

    /// Adds another one for the same sink, if it is alike; else gives it back.
    pub(super) fn add(&mut self, request: Request, number: u32) -> Result<(), Request> {
        let Request { query, params, take, integers, scope, timed } = &request;
        let own = &self.request;
        let is_alike = Arc::ptr_eq(query, &own.query) && *take == own.take && *integers == own.integers;
        if !is_alike || *scope != own.scope || *timed != own.timed {
            return Err(request);
        }
        match params.packed() {
            Some(params) if self.add_again(params, number) => Ok(()),
            _ => Err(request),
        }
    }

    /// Adds another one that differs in nothing but its values. Returns whether it could.
    pub(super) fn add_again(&mut self, params: PackedParams<'_>, number: u32) -> bool {
        let own = &self.request.params;
        let Some(first) = own.packed().filter(|_| own.are_like(&params)) else { return false };
        if let [first_call] = self.calls.as_mut_slice() {
            self.packed.reserve((first.bytes().len() + params.bytes().len()).max(ROOM));
            self.packed.extend_from_slice(first.bytes());
            first_call.end = self.packed.len();
        }
        self.packed.extend_from_slice(params.bytes());
        self.calls.push(Call { number, end: self.packed.len() });
        true
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

    /// Returns the request of one of those that are left.
    pub(crate) fn request(&mut self, index: usize) -> &Request {
        let values = self.values(self.taken + index);
        if !values.is_empty() {
            self.request.params.replace(&self.packed[values]);
        }
        &self.request
    }

    /// Where the values of a call stand.
    fn values(&self, at: usize) -> Range<usize> {
        at.checked_sub(1).map_or(0, |before| self.calls[before].end)..self.calls[at].end
    }

    /// Takes so many of them off, the first ones. Returns nothing if there are no more than that.
    pub(crate) fn take_first(&mut self, count: usize) -> Option<Self> {
        if count >= self.count() {
            return None;
        }
        let (first, after) = (self.values(self.taken).start, self.values(self.taken + count).start);
        let taken = &self.calls[self.taken..self.taken + count];
        let calls = taken.iter().map(|call| Call { end: call.end - first, ..*call }).collect();
        self.taken += count;
        let (request, sink) = (self.request.clone(), Arc::clone(&self.sink));
        Some(Self { request, sink, calls, packed: self.packed[first..after].to_vec(), taken: 0 })
    }

    /// Takes the first of them off.
    pub(crate) fn next(&mut self) -> Option<Job> {
        let number = self.calls.get(self.taken)?.number;
        let request = if self.count() == 1 {
            // The last one needs no copy of its values, which may be large if it was made alone.
            self.request(0);
            let params = std::mem::take(&mut self.request.params);
            Request { params, ..self.request.clone() }
        } else {
            self.request(0).clone()
        };
        self.taken += 1;
        Some(Job::new(Work::Query(request), Reply::new(Arc::clone(&self.sink), number)))
    }

    /// Takes the only one that is left.
    pub(super) fn last(mut self) -> Job {
        assert!(self.count() == 1, "BUG: I4 one permit is for one call");
        self.next().expect("BUG: one is left")
    }

    /// Hands the number of each to `answer`, whose duty it is from then on to answer it.
    pub(crate) fn answer(mut self, mut answer: impl FnMut(&Arc<dyn Sink>, u32)) {
        while let Some(call) = self.calls.get(self.taken) {
            self.taken += 1;
            answer(&self.sink, call.number);
        }
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
