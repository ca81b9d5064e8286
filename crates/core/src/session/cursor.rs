//! Results that are fetched bit by bit.

use std::sync::{Arc, OnceLock};

use super::asked::What;
use super::state::SessionState;
use crate::cancel::{Cancel, CancelReason};
use crate::completion::{Reply, Sink};
use crate::error::{Error, ErrorCode};

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
    Owning(Arc<SessionState>),
    /// One of a session.
    Within(Arc<SessionState>, u32),
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

    pub(super) fn owning(session: Arc<SessionState>) -> Self {
        Self(Source::Owning(session))
    }

    /// Makes a cursor before it is known where it is.
    pub(super) fn later() -> (Self, Later) {
        let cursor = Arc::new(OnceLock::new());
        (Self(Source::Later(Arc::clone(&cursor))), Later(cursor))
    }

    pub(super) fn within(session: Arc<SessionState>, cursor: u32) -> Self {
        Self(Source::Within(session, cursor))
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
            Source::Owning(session) => session.ask(What::Fetch { cursor: OWN, rows }, cancel, reply),
            Source::Within(session, cursor) => session.ask(What::Fetch { cursor: *cursor, rows }, cancel, reply),
        }
    }

    /// Closes it: the statement is reset, and a lease of its own goes back. One of [`Manager::iterate`](crate::Manager::iterate) that still
    /// waits or runs is stopped, wherever it is, and what it wrote is undone. One on a session's connection goes on until it has the rows
    /// that were asked for.
    pub fn close(&self) {
        match &self.0 {
            Source::Closed => {}
            Source::Later(cursor) => cursor.get_or_init(Self::closed).close(),
            Source::Whole(cancel) => cancel.cancel(CancelReason::Aborted),
            Source::Owning(session) => session.give_up_cursor(),
            Source::Within(session, cursor) => session.close_cursor(*cursor),
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.close();
    }
}
