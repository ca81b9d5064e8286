//! A handle on a database.
#![expect(clippy::needless_pass_by_value, reason = "a string of JavaScript is copied, and given by value")]

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use napi::bindgen_prelude::{Either, Uint8Array};
use napi::{Env, Error, Result};
use napi_derive::napi;
use sluice_core::{
    Behavior, CheckpointMode, Delivery, ErrorCode, Failure, Inline, Manager, Options, PrivateHandle, Query, Request,
    Scope, Script, SessionKind, SessionLimits, Sink, control,
};

use crate::channel::{BindingChannel, OpenDatabase};
use crate::config::{BindingConfig, duration};
use crate::request;
use crate::requests::{Requests, Submission};
use crate::session::{BindingCursor, BindingSession};
use crate::status::{BindingStatus, count};

/// Of the time that an inline read took: it has left a snapshot open. `js/layout.ts` has the same number.
const HELD: u32 = 1 << 30;

/// A handle on a database that is or will be open.
#[napi]
pub struct BindingDatabase {
    requests: Requests,
    database: OpenDatabase,
    /// Only of a handle on which BEGIN and COMMIT as text work.
    private: Option<PrivateHandle>,
    path: PathBuf,
    /// Taken by `open`.
    options: RefCell<Option<sluice_core::Result<Options>>>,
    /// The batch that is being made.
    staged: RefCell<Vec<(Request, u32)>>,
}

/// Values that do not fit the request buffer.
pub(crate) type Extras = Option<Vec<Either<String, Uint8Array>>>;

#[napi]
impl BindingDatabase {
    /// Remembers what to open.
    #[napi(constructor)]
    pub fn new(channel: &BindingChannel, path: Either<String, Uint8Array>, config: BindingConfig) -> Self {
        let database: OpenDatabase = Arc::new(OnceLock::new());
        let requests = Requests::new(channel.shared());
        requests.register(&database);
        Self {
            requests,
            database,
            private: None,
            path: path_of(path),
            options: RefCell::new(Some(config.into_options())),
            staged: RefCell::default(),
        }
    }

    /// Opens it.
    #[napi]
    pub fn open(&self, call: u32) {
        let reply = self.requests.reply(call);
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
        self.requests.intern(sql)
    }

    /// Lets a number go. Calls in flight keep their text.
    #[napi]
    pub fn forget(&self, query: u32) {
        self.requests.forget(query);
    }

    /// Submits the requests that stand in the request buffer from `start` to `end`. With `extras`, that is one.
    #[napi]
    pub fn submit(&self, env: Env, start: u32, end: u32, extras: Extras) -> Result<()> {
        if let Some(manager) = self.database.get().filter(|_| self.private.is_none()) {
            let mut bunch = manager.bunch(self.requests.sink());
            return self.requests.add_all(env, start, end, extras, &mut bunch);
        }
        self.requests.take_all(env, start, end, extras, |Submission { request, cancel, call }| match &self.private {
            Some(private) => private.submit(request, cancel, self.requests.sink(), call),
            None => self.requests.reply(call).fail(not_open()),
        })
    }

    /// Submits the request that stands in the request buffer from `start` to `end`. If it runs at once, on this thread, its answer is the
    /// only one in the inbox, and how long it took is returned, in nanoseconds; with [`HELD`] if it has left a snapshot open, which `endBurst`
    /// ends. 0: a worker will answer.
    #[napi]
    pub fn submit_inline(&self, env: Env, start: u32, end: u32, extras: Extras) -> Result<u32> {
        let Some(manager) = self.database.get().filter(|_| self.private.is_none()) else {
            return self.submit(env, start, end, extras).map(|()| 0);
        };
        let mut took = 0;
        self.requests.take_all(env, start, end, extras, |Submission { request, cancel, call }| {
            match manager.try_inline(&request) {
                Some(Inline { delivery, took: duration, held }) => {
                    self.requests.put_alone(env, call, delivery);
                    let nanos = u32::try_from(duration.as_nanos()).unwrap_or(u32::MAX);
                    took = nanos.clamp(1, HELD - 1) | if held { HELD } else { 0 };
                }
                None => manager.submit(request, cancel, self.requests.sink(), call),
            }
        })?;
        Ok(took)
    }

    /// Ends the snapshots that inline reads have left open.
    #[napi]
    pub fn end_burst(&self) {
        if let Some(manager) = self.database.get() {
            manager.end_burst();
        }
    }

    /// Runs a script.
    #[napi]
    pub fn script(&self, call: u32, sql: String, cancellable: bool, timed: Option<bool>) {
        let (cancel, sink) = (self.requests.cancel(call, cancellable), self.requests.sink());
        let script = Script { text: Query::new(sql), timed: timed == Some(true) };
        match (&self.private, self.database.get()) {
            (Some(private), _) => private.submit_script(script, cancel, sink, call),
            (None, Some(manager)) => manager.submit_script(script, cancel, sink, call),
            (None, None) => self.requests.reply(call).fail(not_open()),
        }
    }

    /// Adds the requests that stand in the request buffer from `start` to `end` to the batch that is being made. With `extras`, that is one.
    #[napi]
    pub fn stage(&self, env: Env, start: u32, end: u32, extras: Extras) -> Result<()> {
        let mut staged = self.staged.borrow_mut();
        self.requests.take_all(env, start, end, extras, |Submission { request, cancel: _, call }| {
            staged.push((request, call));
        })
    }

    /// Forgets the batch that is being made.
    #[napi]
    pub fn unstage(&self) {
        self.staged.borrow_mut().clear();
    }

    /// Runs the batch that was made: its requests answer under their own numbers, and the whole under `call`.
    #[napi]
    pub fn batch(&self, call: u32, cancellable: bool) {
        let items = std::mem::take(&mut *self.staged.borrow_mut());
        let cancel = self.requests.cancel(call, cancellable);
        let sink: Arc<dyn Sink> = self.requests.sink();
        match (&self.private, self.database.get()) {
            (Some(private), _) => private.submit_batch(items, cancel, &sink, call),
            (None, Some(manager)) => manager.submit_batch(items, cancel, &sink, call),
            (None, None) => self.requests.reply(call).fail(not_open()),
        }
    }

    /// Begins a session. Answers `call` when it may be used, and `ended` when it has ended. A limit of 0 is none.
    #[napi]
    pub fn session(
        &self,
        call: u32,
        ended: u32,
        #[napi(
            ts_arg_type = "'immediate' | 'exclusive' | 'deferred' | 'uncheckedImmediate' | 'uncheckedExclusive' | 'uncheckedDeferred' | 'read' | 'readInCallback' | 'readInTransaction' | 'writeMode'"
        )]
        kind: String,
        idle_ms: f64,
        total_ms: f64,
        cancellable: bool,
    ) -> Result<BindingSession> {
        let kind = session_kind(&kind)?;
        let limits = SessionLimits { idle: limit(idle_ms)?, total: limit(total_ms)? };
        let Some(manager) = self.database.get() else { return Err(Error::from_reason("the database is not open")) };
        let cancel = self.requests.cancel(call, cancellable);
        let sink: Arc<dyn Sink> = self.requests.sink();
        let session = manager.session(kind, limits, cancel, &sink, call, ended);
        Ok(BindingSession::new(session, self.requests.clone()))
    }

    /// Steps the request in the request buffer bit by bit. A limit of 0 is none.
    #[napi]
    pub fn iterate(
        &self,
        env: Env,
        byte_length: u32,
        extras: Extras,
        rows: u32,
        total_ms: f64,
    ) -> Result<Option<BindingCursor>> {
        let Some(Submission { request, cancel, call }) = self.requests.take(env, byte_length, extras)? else {
            return Ok(None);
        };
        let limits = SessionLimits { idle: None, total: limit(total_ms)? };
        let (rows, sink) = (rows as usize, self.requests.sink());
        let cursor = match (&self.private, self.database.get()) {
            (Some(private), _) => private.iterate(request, rows, limits, cancel, sink, call),
            (None, Some(manager)) => manager.iterate(request, rows, limits, cancel, sink, call),
            (None, None) => {
                self.requests.reply(call).fail(not_open());
                return Ok(None);
            }
        };
        Ok(Some(BindingCursor::new(cursor, self.requests.clone())))
    }

    /// Makes a handle on the same database, on which BEGIN and COMMIT as text work.
    #[napi]
    pub fn sibling(&self, idle_ms: f64) -> Result<BindingDatabase> {
        let Some(manager) = self.database.get() else { return Err(Error::from_reason("the database is not open")) };
        let manager = manager.sibling();
        let private = manager.private_handle(limit(idle_ms)?);
        let database: OpenDatabase = Arc::new(OnceLock::from(manager));
        self.requests.register(&database);
        Ok(Self {
            requests: self.requests.sibling(),
            database,
            private: Some(private),
            path: self.path.clone(),
            options: RefCell::new(None),
            staged: RefCell::default(),
        })
    }

    /// Returns how many handles on the database there are in the process, this one among them.
    #[napi(getter)]
    pub fn handles(&self) -> u32 {
        self.database.get().map_or(1, Manager::handles)
    }

    /// Returns a number that handles on one database share; 0 before it is open.
    #[napi(getter)]
    pub fn manager_id(&self) -> f64 {
        self.database.get().map_or(0.0, |manager| count(manager.id()))
    }

    /// Returns how many names the file has.
    #[napi(getter)]
    pub fn hard_links(&self) -> f64 {
        self.database.get().map_or(1.0, |manager| count(manager.hard_links()))
    }

    /// Whether a transaction that was begun as text holds the writer.
    #[napi(getter)]
    pub fn holds_the_writer(&self) -> bool {
        self.private.as_ref().is_some_and(PrivateHandle::holds_the_writer)
    }

    /// Ends the transaction that was begun as text, and rejects what waits for it: the handle is about to be closed.
    #[napi]
    pub fn end_text(&self) {
        if let Some(private) = &self.private {
            private.close();
        }
    }

    /// Counts a transaction that is tried again.
    #[napi]
    pub fn count_retry(&self) {
        if let Some(manager) = self.database.get() {
            manager.count_retry();
        }
    }

    /// Reads or sets a PRAGMA.
    #[napi]
    pub fn pragma(&self, call: u32, name: String, value: Option<String>, scope: u32) {
        let reply = self.requests.reply(call);
        let Some(manager) = self.database.get().cloned() else { return reply.fail(not_open()) };
        let scope = request::scope(scope);
        control::spawn(async move { manager.answer_pragma(&name, value.as_deref(), scope, reply).await });
    }

    /// Moves pages from the write-ahead log into the database. Answers with one row, as `PRAGMA wal_checkpoint` does.
    #[napi]
    pub fn checkpoint(
        &self,
        call: u32,
        #[napi(ts_arg_type = "'passive' | 'full' | 'restart' | 'truncate'")] mode: String,
    ) -> Result<()> {
        let reply = self.requests.reply(call);
        let mode = checkpoint_mode(&mode)?;
        match self.database.get() {
            Some(manager) => manager.answer_checkpoint(mode, reply),
            None => reply.fail(not_open()),
        }
        Ok(())
    }

    /// Returns the numbers of this moment.
    #[napi]
    pub fn status(&self) -> Option<BindingStatus> {
        self.database.get().map(|manager| BindingStatus::new(&manager.status()))
    }

    /// Returns every metric, as text.
    #[napi]
    pub fn metrics(&self) -> Option<String> {
        self.database.get().map(Manager::metrics)
    }

    /// Returns one metric, or why there is none.
    #[napi]
    pub fn metric(&self, name: String, labels: Vec<(String, String)>) -> Option<Either<f64, String>> {
        let manager = self.database.get()?;
        let labels: Vec<_> = labels.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect();
        Some(match manager.metric(&name, &labels) {
            Ok(number) => Either::A(number),
            Err(error) => Either::B(error.message),
        })
    }

    /// Closes the handle, and the database with its last one.
    #[napi]
    pub fn close(&self, call: u32, timeout_ms: f64) {
        if let Some(private) = &self.private {
            private.close();
        }
        let reply = self.requests.reply(call);
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
}

impl BindingDatabase {
    /// Makes what stands for a copy of this one, which is not there yet.
    pub(crate) fn copy_to_be(&self) -> Self {
        let database: OpenDatabase = Arc::new(OnceLock::new());
        self.requests.register(&database);
        Self {
            requests: self.requests.sibling(),
            database,
            private: None,
            path: PathBuf::new(),
            options: RefCell::new(None),
            staged: RefCell::default(),
        }
    }

    pub(crate) fn opened(&self) -> &OpenDatabase {
        &self.database
    }

    pub(crate) fn requests(&self) -> &Requests {
        &self.requests
    }
}

pub(crate) fn not_open() -> Failure {
    sluice_core::Error::new(ErrorCode::Closed, "the database is not open").into()
}

fn session_kind(name: &str) -> Result<SessionKind> {
    match name {
        "immediate" => Ok(SessionKind::Transaction(Behavior::Immediate)),
        "exclusive" => Ok(SessionKind::Transaction(Behavior::Exclusive)),
        "deferred" => Ok(SessionKind::Transaction(Behavior::Deferred)),
        "uncheckedImmediate" => Ok(SessionKind::Unchecked(Behavior::Immediate)),
        "uncheckedExclusive" => Ok(SessionKind::Unchecked(Behavior::Exclusive)),
        "uncheckedDeferred" => Ok(SessionKind::Unchecked(Behavior::Deferred)),
        "read" => Ok(SessionKind::Read(Scope::Outside)),
        "readInCallback" => Ok(SessionKind::Read(Scope::Read)),
        "readInTransaction" => Ok(SessionKind::Read(Scope::Transaction)),
        "writeMode" => Ok(SessionKind::Exclusive),
        other => Err(Error::from_reason(format!("no such session: {other}"))),
    }
}

fn checkpoint_mode(name: &str) -> Result<CheckpointMode> {
    match name {
        "passive" => Ok(CheckpointMode::Passive),
        "full" => Ok(CheckpointMode::Full),
        "restart" => Ok(CheckpointMode::Restart),
        "truncate" => Ok(CheckpointMode::Truncate),
        other => Err(Error::from_reason(format!("no such checkpoint: {other}"))),
    }
}

/// A limit in milliseconds; 0 is none.
fn limit(milliseconds: f64) -> Result<Option<Duration>> {
    let limit = duration("limit", milliseconds).map_err(|error| Error::from_reason(error.message))?;
    Ok((!limit.is_zero()).then_some(limit))
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
