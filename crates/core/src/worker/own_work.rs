//! What the driver does for itself on a connection that somebody has leased.

use std::sync::Arc;
use std::time::Instant;

use super::{Disposition, Worker, guard};
use crate::connection::PolicedConnection;
use crate::query::Query;

/// What the driver does for itself on a connection, and what is shown as running meanwhile.
pub(crate) struct OwnWork {
    pub(crate) shown: &'static Arc<Query>,
    pub(crate) work: Box<dyn FnOnce(&PolicedConnection) + Send>,
}

impl OwnWork {
    /// Does it. Returns what becomes of the connection: after a panic it is in doubt.
    pub(super) fn run(self, worker: &Worker, connection: &PolicedConnection) -> Disposition {
        worker.rest(self.shown, Instant::now());
        let work = self.work;
        let done = guard(|| work(connection));
        worker.finish();
        if done.is_ok() { Disposition::Reuse } else { Disposition::Discard }
    }
}
