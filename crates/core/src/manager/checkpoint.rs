//! Checkpoints that somebody asks for: <https://sqlite.org/wal.html#ckpt>.

use super::Manager;
use crate::completion::Reply;
use crate::connection::Route;
use crate::params::Params;
use crate::query::{Query, Request};
use crate::worker::{Job, Work};

/// How far a checkpoint goes: <https://sqlite.org/c3ref/wal_checkpoint_v2.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointMode {
    /// Moves what no reader needs any more, and waits for nobody.
    Passive,
    /// Moves everything.
    Full,
    /// Moves everything, so that the next write begins the log anew.
    Restart,
    /// Moves everything, and empties the file.
    Truncate,
}

impl CheckpointMode {
    fn statement(self) -> &'static str {
        match self {
            Self::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
            Self::Full => "PRAGMA wal_checkpoint(FULL)",
            Self::Restart => "PRAGMA wal_checkpoint(RESTART)",
            Self::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
        }
    }
}

impl Manager {
    /// Moves pages from the write-ahead log into the database, and answers `reply` with one row, as the PRAGMA does: whether
    /// somebody was in the way, the pages in the log, and those of them that are in the database now.
    ///
    /// Every mode but [`CheckpointMode::Passive`] waits until no read and no write of this process runs, and holds new ones back.
    pub fn answer_checkpoint(&self, mode: CheckpointMode, reply: Reply) {
        let query = Query::new(mode.statement());
        query.set_hint(Some(Route::Write));
        let job = Job::new(Work::Query(Request::new(query, Params::none())), reply);
        match mode {
            CheckpointMode::Passive => self.shared.submit(job),
            CheckpointMode::Full | CheckpointMode::Restart | CheckpointMode::Truncate => {
                self.shared.request_exclusive(job);
            }
        }
    }
}
