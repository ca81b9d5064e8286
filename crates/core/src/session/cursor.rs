//! Results that are fetched bit by bit.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::asked::What;
use super::state::SessionState;
use crate::cancel::{Cancel, CancelReason};
use crate::completion::{Reply, Sink};
use crate::error::{Error, ErrorCode};
use crate::query::Query;

/// The cursor of a session that is for it alone.
pub(super) const OWN: u32 = 0;

/// A statement whose rows are fetched bit by bit. Dropping it closes it.
///
/// # Examples
/// [`Manager::iterate`](crate::Manager::iterate) opens one on a snapshot of its own,
/// [`Session::iterate`](crate::Session::iterate) one on a session's connection.
#[derive(Debug)]
pub struct Cursor(Source);

#[derive(Debug)]
enum Source {
    /// It was closed before it was decided where it is.
    Closed,
    /// All rows come at once, with an answer that may be stopped.
    Whole(Arc<Cancel>),
    /// The session is for it alone, and ends with it.
    Owning { session: Arc<SessionState>, query: Arc<Query> },
    /// One of a session.
    Within {
        session: Arc<SessionState>,
        cursor: u32,
        query: Arc<Query>,
        /// Stops what was last asked of it.
        last: Mutex<Arc<Cancel>>,
    },
    /// It is not decided yet where it is.
    Later(Arc<OnceLock<Cursor>>),
}

/// Says where a cursor is that has been given out already.
#[derive(Debug)]
pub(super) struct Later(Arc<OnceLock<Cursor>>);

/// Answers a call whose cursor was closed before it was decided where it is: nobody waits for it.
pub(super) fn give_up(reply: Reply) {
    reply.fail(Error::new(ErrorCode::TxClosed, "the iterator has been closed"));
}

impl Later {
    /// The cursor is this one. Returns `false`, and closes it, when whoever has it has closed it meanwhile.
    pub(super) fn is(self, cursor: Cursor) -> bool {
        self.0.set(cursor).is_ok()
    }
}

impl Cursor {
    pub(super) fn closed() -> Self {
        Self(Source::Closed)
    }

    pub(super) fn whole(cancel: Arc<Cancel>) -> Self {
        Self(Source::Whole(cancel))
    }

    pub(super) fn owning(session: Arc<SessionState>, query: Arc<Query>) -> Self {
        Self(Source::Owning { session, query })
    }

    /// Makes a cursor before it is known where it is.
    pub(super) fn later() -> (Self, Later) {
        let cursor = Arc::new(OnceLock::new());
        (Self(Source::Later(Arc::clone(&cursor))), Later(cursor))
    }

    /// Makes one of a session. `opening` stops the call that opens it.
    pub(super) fn within(session: Arc<SessionState>, cursor: u32, query: Arc<Query>, opening: Arc<Cancel>) -> Self {
        Self(Source::Within { session, cursor, query, last: Mutex::new(opening) })
    }

    /// Answers `call` with the next `rows` rows: with [`Delivery::More`](crate::Delivery::More) at their end when there may be more,
    /// else with [`Delivery::End`](crate::Delivery::End), after which there is nothing to fetch. To be called when the answer before
    /// it has come. `cancel` stops it, and closes the cursor.
    pub fn fetch(&self, rows: usize, cancel: Option<Arc<Cancel>>, sink: Arc<dyn Sink>, call: u32) {
        if let Source::Later(cursor) = &self.0 {
            // The answer before has come, so that it has been decided.
            return cursor.get_or_init(Self::closed).fetch(rows, cancel, sink, call);
        }
        let reply = Reply::new(sink, call);
        match &self.0 {
            Source::Closed | Source::Whole(_) | Source::Later(_) => {
                reply.fail(Error::new(ErrorCode::TxClosed, "the rows have all been fetched"));
            }
            Source::Owning { session, query } => {
                session.ask(What::Fetch { cursor: OWN, query: Arc::clone(query), rows }, cancel, reply);
            }
            Source::Within { session, cursor, query, last } => {
                let cancel = cancel.unwrap_or_default();
                *last.lock() = Arc::clone(&cancel);
                let fetch = What::Fetch { cursor: *cursor, query: Arc::clone(query), rows };
                session.ask(fetch, Some(cancel), reply);
            }
        }
    }

    /// Closes it: the statement is reset, and a lease of its own goes back. What still waits or runs is stopped, wherever it is, and what it
    /// wrote is undone. Only a write of [`Session::iterate`](crate::Session::iterate) that has begun goes on to its end, because SQLite would
    /// undo the whole transaction.
    pub fn close(&self) {
        match &self.0 {
            Source::Closed => {}
            Source::Later(cursor) => cursor.get_or_init(Self::closed).close(),
            Source::Whole(cancel) => cancel.cancel(CancelReason::Aborted),
            Source::Owning { session, .. } => session.give_up_cursor(),
            Source::Within { session, cursor, last, .. } => {
                session.close_cursor(*cursor);
                let last = Arc::clone(&last.lock());
                last.give_up();
            }
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.close();
    }
}
