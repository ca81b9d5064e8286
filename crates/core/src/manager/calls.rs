//! Calls of one query that were made together and are alike but for their values, of which each has as many, and none that travels apart.

use std::ops::Range;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::completion::{Reply, Sink};
use crate::params::{PackedParams, Params};
use crate::query::{Query, Request, Scope};
use crate::worker::{Job, Work, guard};

/// For how many calls of a number each there is room in place: what one thread allocates and another frees makes both wait.
const IN_PLACE: usize = 8;

/// How many bytes the values of several calls may have.
const MAX_BYTES: usize = 1024 * 1024;

/// Calls of one query, in order, which nobody can stop or measures, made outside every callback.
///
/// What each has for itself is small and stands in a row. A job is large, and owns what they share: to make one for each where they are
/// made, and to take it apart on another core, takes about as long there as SQLite takes for a short statement.
///
/// Calls that are dropped are answered as jobs are: that they were lost.
pub(crate) struct Calls {
    /// What they share. The values are those of the call that was made alone, or of one that was shown; of several they have the kind and the number.
    request: Request,
    sink: Arc<dyn Sink>,
    calls: SmallVec<[Call; IN_PLACE]>,
    /// The values of each as they were packed, one behind the other. Those of a call that was made alone stand in the request.
    packed: SmallVec<[u8; IN_PLACE * 8]>,
    /// How many have been taken off.
    taken: usize,
}

#[derive(Clone, Copy)]
struct Call {
    number: u32,
    /// Where its values end among those of all.
    end: u32,
}

impl Calls {
    /// Makes a first one, if it may be one; else gives it back.
    pub(super) fn new(request: Request, sink: &Arc<dyn Sink>, number: u32) -> Result<Self, Request> {
        if request.scope != Scope::Outside || request.timed {
            return Err(request);
        }
        let calls = smallvec![Call { number, end: 0 }];
        Ok(Self { request, sink: Arc::clone(sink), calls, packed: SmallVec::new(), taken: 0 })
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
        if self.packed.len() + first.bytes().len() + params.bytes().len() > MAX_BYTES {
            return false;
        }
        if let [first_call] = self.calls.as_mut_slice() {
            self.packed.extend_from_slice(first.bytes());
            first_call.end = end_of(&self.packed);
        }
        self.packed.extend_from_slice(params.bytes());
        self.calls.push(Call { number, end: end_of(&self.packed) });
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

    fn number(&self, index: usize) -> u32 {
        self.calls[self.taken + index].number
    }

    /// Returns the request of one of those that are left.
    pub(crate) fn request(&mut self, index: usize) -> &Request {
        let values = self.values(self.taken + index);
        if !values.is_empty() {
            self.request.params.replace(&self.packed[values]);
        }
        &self.request
    }

    /// Makes a request to put the values of one after another into: [`Calls::next_into`].
    pub(crate) fn template(&self) -> Request {
        self.share(self.request.params.with(&[]))
    }

    /// Takes the first of them off, and puts its values into `request`. Returns its number, whose duty it is from then on to answer it.
    pub(crate) fn next_into(&mut self, request: &mut Request) -> Option<u32> {
        let number = self.calls.get(self.taken)?.number;
        if self.calls.len() == 1 && self.packed.is_empty() {
            request.params = std::mem::take(&mut self.request.params);
        } else {
            request.params.replace(&self.packed[self.values(self.taken)]);
        }
        self.taken += 1;
        Some(number)
    }

    /// Where the values of a call stand.
    fn values(&self, at: usize) -> Range<usize> {
        self.start(at) as usize..self.calls[at].end as usize
    }

    fn start(&self, at: usize) -> u32 {
        at.checked_sub(1).map_or(0, |before| self.calls[before].end)
    }

    /// Takes so many of them off, the first ones. Returns nothing if there are no more than that.
    pub(crate) fn take_first(&mut self, count: usize) -> Option<Self> {
        if count >= self.count() {
            return None;
        }
        let sink = Arc::clone(&self.sink);
        if count == 1 {
            let (request, number) = (self.request_of(self.taken), self.number(0));
            self.taken += 1;
            return Self::new(request, &sink, number).ok();
        }
        let (first, after) = (self.start(self.taken), self.start(self.taken + count));
        let taken = &self.calls[self.taken..self.taken + count];
        let calls = taken.iter().map(|call| Call { end: call.end - first, ..*call }).collect();
        self.taken += count;
        let request = self.share(self.request.params.with(&[]));
        Some(Self {
            request,
            sink,
            calls,
            packed: SmallVec::from_slice(&self.packed[first as usize..after as usize]),
            taken: 0,
        })
    }

    /// Makes a request of one of several.
    fn request_of(&self, at: usize) -> Request {
        self.share(self.request.params.with(&self.packed[self.values(at)]))
    }

    /// Makes a request of what they share, with these values.
    fn share(&self, params: Params) -> Request {
        let Request { query, params: _, take, integers, scope, timed } = &self.request;
        Request { query: Arc::clone(query), params, take: *take, integers: *integers, scope: *scope, timed: *timed }
    }

    /// Takes the first of them off.
    pub(crate) fn next(&mut self) -> Option<Job> {
        let number = self.calls.get(self.taken)?.number;
        // Those that stand in the request are most often few, and may be large.
        let request = if self.calls.len() == 1 && self.packed.is_empty() {
            let params = std::mem::take(&mut self.request.params);
            self.share(params)
        } else {
            self.request_of(self.taken)
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

fn end_of(packed: &[u8]) -> u32 {
    u32::try_from(packed.len()).expect("BUG: the values of several calls are not so many")
}

impl Drop for Calls {
    fn drop(&mut self) {
        // A sink that panics at one of them leaves the others theirs.
        while let Some(job) = self.next() {
            drop(guard(|| drop(job)));
        }
    }
}
