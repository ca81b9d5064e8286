//! A handle on a database.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use napi::bindgen_prelude::{Either, Uint8Array};
use napi::{Env, Error, Result};
use napi_derive::napi;
use sluice_core::completion::Reply;
use sluice_core::{Channel, Delivery, ErrorCode, Failure, Manager, Options, Query, Request, Value, control};

use crate::channel::{BindingChannel, OpenDatabase, Shared};
use crate::config::{BindingConfig, duration};
use crate::request::Packed;
use crate::status::BindingStatus;

/// A database that is or will be open.
#[napi]
pub struct BindingDatabase {
    shared: Rc<Shared>,
    database: OpenDatabase,
    path: PathBuf,
    /// Taken by `open`.
    options: RefCell<Option<sluice_core::Result<Options>>>,
    queries: RefCell<Queries>,
}

/// The texts that JavaScript names by number.
#[derive(Default)]
struct Queries {
    by_id: Vec<Option<Arc<Query>>>,
    free: Vec<u32>,
}

#[napi]
impl BindingDatabase {
    /// Remembers what to open.
    #[napi(constructor)]
    pub fn new(channel: &BindingChannel, path: Either<String, Uint8Array>, config: BindingConfig) -> Self {
        let database: OpenDatabase = Arc::new(OnceLock::new());
        channel.shared().register(&database);
        Self {
            shared: Rc::clone(channel.shared()),
            database,
            path: path_of(path),
            options: RefCell::new(Some(config.into_options())),
            queries: RefCell::default(),
        }
    }

    /// Opens it.
    #[napi]
    pub fn open(&self, call: u32) {
        let reply = self.reply(call);
        let Some(options) = self.options.borrow_mut().take() else {
            return reply.fail(sluice_core::Error::new(ErrorCode::InvalidArgument, "the database is open already"));
        };
        let options = match options {
            Ok(options) => options,
            Err(error) => return reply.fail(error),
        };
        let (path, database) = (self.path.clone(), Arc::clone(&self.database));
        control::spawn(async move {
            match Manager::open(path, options).await {
                Ok(manager) => {
                    let first = database.set(manager).is_ok();
                    debug_assert!(first, "BUG: a database is opened once");
                    reply.settle(Delivery::Done);
                }
                Err(error) => reply.fail(error),
            }
        });
    }

    /// Names a text by a number.
    #[napi]
    pub fn intern(&self, sql: String) -> Result<u32> {
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

    /// Lets a number go. Calls in flight keep their text.
    #[napi]
    pub fn forget(&self, query: u32) {
        let mut queries = self.queries.borrow_mut();
        let Some(slot) = queries.by_id.get_mut(query as usize) else { return };
        if slot.take().is_some() {
            queries.free.push(query);
        }
    }

    /// Submits the request in the request buffer.
    #[napi]
    pub fn submit(&self, env: Env, byte_length: u32, extras: Option<Vec<Either<String, Uint8Array>>>) -> Result<()> {
        let extras = extras.unwrap_or_default().into_iter().map(value).collect();
        let requests = self.shared.requests.borrow();
        let bytes = requests.as_ref().and_then(|memory| memory.bytes(&env).get(..byte_length as usize));
        let packed = bytes.and_then(|bytes| Packed::read(bytes, extras));
        let Packed { call, query, take, integers, params } = packed.ok_or_else(|| Error::from_reason("no request"))?;
        let query = self.queries.borrow().by_id.get(query as usize).cloned().flatten();
        let query = query.ok_or_else(|| Error::from_reason("no such statement"))?;
        match (self.database.get(), params) {
            (Some(manager), Ok(params)) => {
                manager.submit(Request { query, params, take, integers }, self.sink(), call);
            }
            (Some(_), Err(error)) => self.reply(call).fail(error),
            (None, _) => self.reply(call).fail(not_open()),
        }
        Ok(())
    }

    /// Runs a script.
    #[napi]
    pub fn script(&self, call: u32, sql: String) {
        match self.database.get() {
            Some(manager) => manager.submit_script(Query::new(sql), self.sink(), call),
            None => self.reply(call).fail(not_open()),
        }
    }

    /// Reads or sets a PRAGMA.
    #[napi]
    pub fn pragma(&self, call: u32, name: String, value: Option<String>) {
        let reply = self.reply(call);
        let Some(manager) = self.database.get().cloned() else { return reply.fail(not_open()) };
        control::spawn(async move { manager.answer_pragma(&name, value.as_deref(), reply).await });
    }

    /// Returns the numbers of this moment.
    #[napi]
    pub fn status(&self) -> Option<BindingStatus> {
        self.database.get().map(|manager| BindingStatus::new(&manager.status()))
    }

    /// Closes it.
    #[napi]
    pub fn close(&self, call: u32, timeout_ms: f64) {
        let reply = self.reply(call);
        let Some(manager) = self.database.get().cloned() else { return reply.fail(not_open()) };
        let timeout = match duration("timeoutMs", timeout_ms) {
            Ok(timeout) => timeout,
            Err(error) => return reply.fail(error),
        };
        control::spawn(async move {
            match manager.close_within(timeout).await {
                Ok(()) => reply.settle(Delivery::Done),
                Err(error) => reply.fail(error),
            }
        });
    }

    fn sink(&self) -> Arc<Channel> {
        Arc::clone(&self.shared.completions)
    }

    fn reply(&self, call: u32) -> Reply {
        Reply::new(self.sink(), call)
    }
}

fn not_open() -> Failure {
    sluice_core::Error::new(ErrorCode::Closed, "the database is not open").into()
}

fn value(extra: Either<String, Uint8Array>) -> Value {
    match extra {
        Either::A(text) => Value::Text(text),
        Either::B(blob) => Value::Blob(blob.to_vec()),
    }
}

#[cfg(unix)]
fn path_of(path: Either<String, Uint8Array>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    match path {
        Either::A(path) => path.into(),
        Either::B(bytes) => std::ffi::OsString::from_vec(bytes.to_vec()).into(),
    }
}

#[cfg(not(unix))]
fn path_of(path: Either<String, Uint8Array>) -> PathBuf {
    match path {
        Either::A(path) => path.into(),
        Either::B(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
    }
}
