//! What submits requests: a handle on a database, or a session of one. They share the texts that JavaScript names by number.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use napi::bindgen_prelude::{Either, Uint8Array};
use napi::{Env, Error, Result};
use sluice_core::completion::Reply;
use sluice_core::{Bunch, Cancel, Channel, Delivery, Query, Request, Value};

use crate::channel::{OpenDatabase, Shared};
use crate::database::Extras;
use crate::request::Packed;

/// The requests of one handle.
#[derive(Clone)]
pub(crate) struct Requests {
    shared: Rc<Shared>,
    queries: Rc<RefCell<Queries>>,
}

/// The texts that JavaScript names by number.
#[derive(Default)]
struct Queries {
    by_id: Vec<Option<Arc<Query>>>,
    free: Vec<u32>,
}

/// A request that can be submitted.
pub(crate) struct Submission {
    pub(crate) request: Request,
    pub(crate) cancel: Option<Arc<Cancel>>,
    pub(crate) call: u32,
}

impl Requests {
    pub(crate) fn new(shared: &Rc<Shared>) -> Self {
        Self { shared: Rc::clone(shared), queries: Rc::default() }
    }

    /// Those of another handle in the same environment, with texts of its own.
    pub(crate) fn sibling(&self) -> Self {
        Self::new(&self.shared)
    }

    /// Lets the end of the environment find a database.
    pub(crate) fn register(&self, database: &OpenDatabase) {
        self.shared.register(database);
    }

    pub(crate) fn sink(&self) -> Arc<Channel> {
        Arc::clone(&self.shared.completions)
    }

    pub(crate) fn reply(&self, call: u32) -> Reply {
        Reply::new(self.sink(), call)
    }

    pub(crate) fn cancel(&self, call: u32, cancellable: bool) -> Option<Arc<Cancel>> {
        self.shared.cancel(call, cancellable)
    }

    pub(crate) fn intern(&self, sql: String) -> Result<u32> {
        let mut queries = self.queries.borrow_mut();
        let query = Some(Query::new(sql));
        if let Some(id) = queries.free.pop() {
            queries.by_id[id as usize] = query;
            return Ok(id);
        }
        let id = u32::try_from(queries.by_id.len()).map_err(|_| Error::from_reason("too many statements"))?;
        queries.by_id.push(query);
        Ok(id)
    }

    pub(crate) fn forget(&self, query: u32) {
        let mut queries = self.queries.borrow_mut();
        let Some(slot) = queries.by_id.get_mut(query as usize) else { return };
        if slot.take().is_some() {
            queries.free.push(query);
        }
    }

    /// Takes the request in the request buffer apart. Returns nothing if its values cannot be: the call is answered then.
    pub(crate) fn take(&self, env: Env, byte_length: u32, extras: Extras) -> Result<Option<Submission>> {
        let requests = self.shared.requests.borrow();
        let bytes = requests.as_ref().and_then(|memory| memory.bytes(&env).get(..byte_length as usize));
        self.read(bytes.and_then(Packed::read).ok_or_else(no_request)?, extras)
    }

    /// Takes the requests apart that stand in the request buffer from `start` to `end`, each in its turn.
    pub(crate) fn take_all(
        &self,
        env: Env,
        start: u32,
        end: u32,
        mut extras: Extras,
        mut submit: impl FnMut(Submission),
    ) -> Result<()> {
        self.for_each(env, start, end, |packed| {
            if let Some(submission) = self.read(packed, extras.take())? {
                submit(submission);
            }
            Ok(())
        })
    }

    /// The same, and adds them to `bunch`.
    pub(crate) fn add_all(
        &self,
        env: Env,
        start: u32,
        end: u32,
        mut extras: Extras,
        bunch: &mut Bunch<'_>,
    ) -> Result<()> {
        // Of the request that was added last, if it may be added again.
        let mut likeness = None;
        self.for_each(env, start, end, |packed| {
            if likeness == Some(packed.likeness())
                && packed.packed_params().is_ok_and(|params| bunch.add_again(params, packed.call))
            {
                return Ok(());
            }
            likeness = None;
            if let Some(Submission { request, cancel, call }) = self.read(packed, extras.take())? {
                bunch.add(request, cancel, call);
                likeness = bunch.grows().then(|| packed.likeness());
            }
            Ok(())
        })
    }

    fn for_each(&self, env: Env, start: u32, end: u32, mut each: impl FnMut(Packed<'_>) -> Result<()>) -> Result<()> {
        let requests = self.shared.requests.borrow();
        let range = start as usize..end as usize;
        let mut bytes = requests.as_ref().and_then(|memory| memory.bytes(&env).get(range)).ok_or_else(no_request)?;
        while !bytes.is_empty() {
            each(Packed::split(&mut bytes).ok_or_else(no_request)?)?;
        }
        Ok(())
    }

    /// Answers a call that has run on this thread: the answer is the only one in the inbox.
    pub(crate) fn put_alone(&self, env: Env, call: u32, delivery: Delivery) {
        self.shared.put_alone(env, call, delivery);
    }

    fn read(&self, packed: Packed<'_>, extras: Extras) -> Result<Option<Submission>> {
        let query = self.queries.borrow().by_id.get(packed.query as usize).cloned().flatten();
        let query = query.ok_or_else(|| Error::from_reason("no such statement"))?;
        let (call, timed) = (packed.call, packed.is_timed());
        match packed.params(extras.unwrap_or_default().into_iter().map(value).collect()) {
            Ok(params) => {
                let (take, integers, scope) = (packed.take(), packed.integers(), packed.scope());
                let request = Request { query, params, take, integers, scope, timed };
                Ok(Some(Submission { request, cancel: self.cancel(call, packed.is_cancellable()), call }))
            }
            Err(error) => {
                self.reply(call).fail(error);
                Ok(None)
            }
        }
    }
}

fn no_request() -> Error {
    Error::from_reason("no request")
}

fn value(extra: Either<String, Uint8Array>) -> Value {
    match extra {
        Either::A(text) => Value::Text(text),
        Either::B(blob) => Value::Blob(blob.to_vec()),
    }
}
