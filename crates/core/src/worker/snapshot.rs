//! One snapshot for many short reads.

use std::time::{Duration, Instant};

use crate::connection::PolicedConnection;
use crate::error::Result;
use crate::gate::Ticket;
use crate::statement::Kept;

/// For how long it serves reads that were queued before it: it keeps the log from being reset.
const MAX_AGE: Duration = Duration::from_millis(1);

/// A read transaction that a reader keeps open from one short read of its backlog to the next.
///
/// To begin and end one costs more than a point read: locks on the log's index, and a look at the size of a file. A read may
/// use a snapshot that was taken after it was submitted: it then sees every write that was acknowledged before. So a snapshot
/// serves the reads that were queued before its horizon, and no later one.
pub(super) struct Snapshot<'c> {
    connection: &'c PolicedConnection,
    begin: Kept<'c>,
    end: Kept<'c>,
    /// `None` while there is none.
    open: Option<Open>,
}

struct Open {
    /// Reads that were queued under smaller tickets may use it.
    horizon: Ticket,
    since: Instant,
}

impl<'c> Snapshot<'c> {
    pub(super) fn new(connection: &'c PolicedConnection) -> Self {
        Self { connection, begin: Kept::new("BEGIN"), end: Kept::new("COMMIT"), open: None }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether a read that was queued under `ticket`, and begins now, may use it.
    pub(super) fn covers(&self, ticket: Ticket, now: Instant) -> bool {
        self.open.as_ref().is_some_and(|open| ticket < open.horizon && now.duration_since(open.since) < MAX_AGE)
    }

    /// Begins one for the reads that were queued before `horizon`. SQLite takes it with the first read, and so not too early.
    pub(super) fn open(&mut self, horizon: Ticket, now: Instant) -> Result<()> {
        self.begin.run(self.connection)?;
        self.open = Some(Open { horizon, since: now });
        Ok(())
    }

    /// Ends it, if there is one.
    pub(super) fn close(&mut self) -> Result<()> {
        match self.open.take() {
            Some(_) => self.end.run(self.connection),
            None => Ok(()),
        }
    }
}
