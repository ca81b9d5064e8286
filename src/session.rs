//! Sessions and cursors of JavaScript. Collected unclosed, they close themselves.
#![expect(clippy::needless_pass_by_value, reason = "a string of JavaScript is copied, and given by value")]

use napi::{Env, Error, Result};
use napi_derive::napi;
use sluice_core::{Behavior, CancelReason, Control, Cursor, Query, Script, Session};

use crate::database::Extras;
use crate::requests::{Requests, Submission};

/// A connection of one's own over many calls.
#[napi]
pub struct BindingSession {
    session: Session,
    requests: Requests,
}

impl BindingSession {
    pub(crate) fn new(session: Session, requests: Requests) -> Self {
        Self { session, requests }
    }
}

#[napi]
impl BindingSession {
    /// Submits the requests that stand in the request buffer from `start` to `end`. With `extras`, that is one.
    #[napi]
    pub fn submit(&self, env: Env, start: u32, end: u32, extras: Extras) -> Result<()> {
        self.requests.take_all(env, start, end, extras, |Submission { request, cancel, call }| {
            self.session.submit(request, cancel, self.requests.sink(), call);
        })
    }

    /// Runs a script.
    #[napi]
    pub fn script(&self, call: u32, sql: String, cancellable: bool, timed: Option<bool>) {
        let cancel = self.requests.cancel(call, cancellable);
        let script = Script { text: Query::new(sql), timed: timed == Some(true) };
        self.session.submit_script(script, cancel, self.requests.sink(), call);
    }

    /// Steps the request in the request buffer bit by bit.
    #[napi]
    pub fn iterate(&self, env: Env, byte_length: u32, extras: Extras, rows: u32) -> Result<Option<BindingCursor>> {
        let Some(Submission { request, cancel, call }) = self.requests.take(env, byte_length, extras)? else {
            return Ok(None);
        };
        let cursor = self.session.iterate(request, rows as usize, cancel, self.requests.sink(), call);
        Ok(Some(BindingCursor::new(cursor, self.requests.clone())))
    }

    /// Begins or ends what is within the session, or itself. `depth` is that of a savepoint, from 1.
    #[napi]
    pub fn control(
        &self,
        call: u32,
        #[napi(
            ts_arg_type = "'immediate' | 'exclusive' | 'deferred' | 'commit' | 'rollback' | 'savepoint' | 'release' | 'rollbackTo' | 'end'"
        )]
        control: String,
        depth: u32,
    ) -> Result<()> {
        let control = match control.as_str() {
            "immediate" => Control::Begin(Behavior::Immediate),
            "exclusive" => Control::Begin(Behavior::Exclusive),
            "deferred" => Control::Begin(Behavior::Deferred),
            "commit" => Control::Commit,
            "rollback" => Control::Rollback,
            "savepoint" => Control::Savepoint(depth),
            "release" => Control::Release(depth),
            "rollbackTo" => Control::RollbackTo(depth),
            "end" => Control::End,
            other => return Err(Error::from_reason(format!("no such control: {other}"))),
        };
        self.session.control(control, None, self.requests.sink(), call);
        Ok(())
    }

    /// Stops what runs, rolls back, and ends the session.
    #[napi]
    pub fn abort(&self, timed_out: bool) {
        self.session.abort(if timed_out { CancelReason::TimedOut } else { CancelReason::Aborted });
    }
}

/// A result that is fetched bit by bit.
#[napi]
pub struct BindingCursor {
    cursor: Cursor,
    requests: Requests,
}

impl BindingCursor {
    pub(crate) fn new(cursor: Cursor, requests: Requests) -> Self {
        Self { cursor, requests }
    }
}

#[napi]
impl BindingCursor {
    /// Answers `call` with the next `rows` rows.
    #[napi]
    pub fn fetch(&self, call: u32, rows: u32, cancellable: bool) {
        let cancel = self.requests.cancel(call, cancellable);
        self.cursor.fetch(rows as usize, cancel, self.requests.sink(), call);
    }

    /// Gives back what it holds.
    #[napi]
    pub fn close(&self) {
        self.cursor.close();
    }
}
