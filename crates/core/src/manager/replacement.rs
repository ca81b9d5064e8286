//! A writer in the place of one that broke.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Shared;
use super::readers::close;
use crate::connection::{PolicedConnection, WalRequest, open_writer};
use crate::error::{Error, Result};
use crate::trace::tell;
use crate::worker::{Message, Worker};

/// How long after a failed attempt the next one is made: no storm of attempts.
const REOPEN_BACKOFF: Duration = Duration::from_millis(100);

impl Shared {
    /// Closes a writer that broke, and opens another. What lived only on that connection is gone, and said to be.
    ///
    /// # Errors
    /// Those of opening. What is lost for good is remembered: the file or its log is not the one that was opened.
    pub(super) fn replace_writer(&self, broken: PolicedConnection) -> Result<PolicedConnection> {
        let files = self.check_files();
        drop(close(broken));
        self.counters.writer_replacements.add();
        let pinned = self.pinned.swap(false, Ordering::AcqRel);
        tell!(WARN, "sluice::writer", "replaced", temporaryObjectsLost = pinned);
        files.and_then(|()| self.open_another_writer())
    }

    fn open_another_writer(&self) -> Result<PolicedConnection> {
        if let Some(error) = self.lost() {
            return Err(error);
        }
        self.check_identity()?;
        let opened = open_writer(&self.location, &self.connection_config(), WalRequest::Keep);
        let (connection, mode) =
            opened.inspect_err(|error| tell!(ERROR, "sluice::writer", "could not be opened", error = %error))?;
        // Closing the last connection removed the log that was known.
        *self.wal.lock() = self.wal_identity(mode);
        Ok(connection)
    }

    /// Serves the writer's messages without a connection, trying again to open one for each job. Returns `None` when the manager
    /// is closed.
    pub(super) fn reopen_writer(self: &Arc<Self>, worker: &Arc<Worker>) -> Option<PolicedConnection> {
        let mut failed: Option<(Error, Instant)> = None;
        loop {
            let (job, permit) = match worker.next() {
                Message::Run(job, permit) => (job, permit),
                Message::RunLeased(job, _) => {
                    job.reply.fail(self.lost_or(failed.as_ref()));
                    continue;
                }
                Message::Asked(asked) => {
                    asked.fail_for_good(self.lost_or(failed.as_ref()));
                    continue;
                }
                Message::CloseCursor(_) | Message::Lend(_) => continue,
                Message::Release(permit, _) => {
                    drop(permit);
                    continue;
                }
                Message::Close(receipt) => {
                    let left = worker.end();
                    drop(receipt.send(Ok(())));
                    for message in left {
                        self.refuse(message);
                    }
                    return None;
                }
            };
            let backing_off = failed.as_ref().is_some_and(|(_, at)| at.elapsed() < REOPEN_BACKOFF);
            let opened = if backing_off { Err(self.lost_or(failed.as_ref())) } else { self.open_another_writer() };
            match opened {
                Ok(connection) => {
                    worker.take_back(Message::Run(job, permit));
                    return Some(connection);
                }
                Err(error) => {
                    if !backing_off {
                        failed = Some((error.clone(), Instant::now()));
                    }
                    self.fail_run(job, permit, error);
                }
            }
        }
    }

    /// Why there is no writer.
    fn lost_or(&self, failed: Option<&(Error, Instant)>) -> Error {
        failed.map_or_else(|| self.lost_or_closed(), |(error, _)| error.clone())
    }
}
