//! Cursors: statements that are stepped bit by bit, beside what else their session asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Ran, Side};
use crate::cancel::Cancel;
use crate::completion::{Delivery, Reply};
use crate::connection::{Policy, Route};
use crate::error::{Error, ErrorCode};
use crate::query::{Outcome, Request};
use crate::statement::{Fetched, ReadError, Suspended};
use crate::worker::answered::Answered;

/// The cursors of the session that has the connection.
pub(in crate::worker) type Cursors<'c> = HashMap<u32, Suspended<'c>>;

pub(super) fn open<'c>(
    side: &mut impl Side<'c>,
    cursor: u32,
    request: &Request,
    policy: Policy,
    rows: usize,
    reply: &Reply,
    cancel: Option<&Cancel>,
) -> Ran {
    let is_own = cursor == 0;
    match side.statements().open(request, policy) {
        Ok(Some(suspended)) => {
            let ran = fetch(side, cursor, suspended, rows, reply);
            if is_own && ran.error().is_some_and(is_refusal) { Ran::Elsewhere } else { ran }
        }
        // It writes, and SQLite does all of that before the first row.
        Ok(None) => match cancel.map_or(Ok(()), |cancel| cancel.writing(side.worker())) {
            Ok(()) => side.run_statement(request, policy, reply).into(),
            Err(reason) => Ran::Failed(reason.to_error().into()),
        },
        Err(ReadError::NotARead(_)) if is_own => Ran::Elsewhere,
        Err(ReadError::NotARead(error) | ReadError::Failed(error)) if is_own => Ran::Broke(error),
        Err(ReadError::NotARead(error) | ReadError::Failed(error)) => Ran::Failed(error.into()),
        Err(ReadError::Abandoned) => unreachable!("BUG: nothing was sent yet"),
    }
}

/// Whether a reader refuses, at the first step, what it had let be prepared: the schema has changed in between.
pub(super) fn is_refusal(error: &Error) -> bool {
    let refused = matches!(error.primary_code(), Some(rusqlite::ffi::SQLITE_AUTH | rusqlite::ffi::SQLITE_READONLY));
    refused || error.code == ErrorCode::NotAuthorized
}

pub(super) fn fetch<'c>(
    side: &mut impl Side<'c>,
    cursor: u32,
    mut suspended: Suspended<'c>,
    rows: usize,
    reply: &Reply,
) -> Ran {
    let fetched = suspended.fetch(rows, &mut |shape, chunk| side.send_rows(reply, (Arc::clone(shape), chunk)));
    let is_own = cursor == 0;
    match fetched {
        Ok(Fetched { shape, chunk, more: true }) => {
            side.cursors().insert(cursor, suspended);
            Ran::Done(Answered::last(Delivery::More(shape, chunk)))
        }
        Ok(Fetched { shape, chunk, more: false }) => {
            side.statements().close(suspended);
            let outcome = Outcome { changes: 0, last_insert_rowid: None, route: Route::Read };
            let answered = Answered::last(Delivery::End(shape.unless_empty(), chunk, outcome));
            if is_own { Ran::Ended(answered) } else { Ran::Done(answered) }
        }
        Err(error) => {
            side.statements().close(suspended);
            if is_own { Ran::Broke(error) } else { Ran::Failed(error.into()) }
        }
    }
}

pub(in crate::worker) fn close_cursor<'c>(side: &mut impl Side<'c>, cursor: u32) {
    if let Some(suspended) = side.cursors().remove(&cursor) {
        side.statements().close(suspended);
    }
    let any = !side.cursors().is_empty();
    side.worker().has_cursors.store(any, Ordering::SeqCst);
}

pub(super) fn close_cursors<'c>(side: &mut impl Side<'c>) {
    let cursors = std::mem::take(side.cursors());
    for suspended in cursors.into_values() {
        side.statements().close(suspended);
    }
    side.worker().has_cursors.store(false, Ordering::SeqCst);
}
