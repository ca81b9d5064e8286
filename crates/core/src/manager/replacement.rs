//! A writer in the place of one that broke.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::ffi::SQLITE_READONLY;

use super::readers::close;
use super::{Permit, Shared};
use crate::connection::{PolicedConnection, Policy, WalRequest, open_writer};
use crate::error::{Error, Result};
use crate::session::Asked;
use crate::trace::tell;
use crate::worker::{Job, Message, Worker};

/// How long after a failed attempt the next one is made: no storm of attempts.
const REOPEN_BACKOFF: Duration = Duration::from_millis(100);

/// Whether the writer's connection can write, where it should.
///
/// What cannot be written to SQLite opens for reading alone: the files of a file system that became read-only, after a fault of the
/// disk perhaps. Such a writer serves reads, and is replaced now and then, until one can write again.
#[derive(Clone, Copy, Default)]
pub(crate) struct Writable {
    lost_at: Option<Instant>,
}

impl Writable {
    /// Tries a connection that was just opened, and that nobody else has.
    fn try_out(connection: &PolicedConnection) -> Self {
        let is_lost = connection.is_readonly().unwrap_or(false) || cannot_begin(connection);
        Self { lost_at: is_lost.then(Instant::now) }
    }

    /// Whether it is time to open another. What lives only on this one is worth more.
    pub(crate) fn is_due_again(self, shared: &Shared) -> bool {
        self.lost_at.is_some_and(|lost| lost.elapsed() >= REOPEN_BACKOFF) && !shared.is_pinned()
    }
}

/// Whether the write-ahead log cannot be written to, although the file itself can. A lock of another process is not waited for: it
/// says nothing of that.
fn cannot_begin(connection: &PolicedConnection) -> bool {
    let _policy = connection.with_policy(Policy::Internal);
    connection.interrupted().store(true, Ordering::SeqCst);
    let begun = connection.raw().execute_batch("BEGIN IMMEDIATE; ROLLBACK");
    connection.interrupted().store(false, Ordering::SeqCst);
    connection.take_rolled_back();
    begun.is_err_and(|error| Error::from_sqlite(&error).primary_code() == Some(SQLITE_READONLY))
}

/// What may be the first on a new connection: what an old one knew is gone.
enum First {
    Job(Job, Permit),
    OfSession(Box<Asked>),
}

impl From<First> for Message {
    fn from(first: First) -> Self {
        match first {
            First::Job(job, permit) => Self::Run(job, permit),
            First::OfSession(asked) => Self::Asked(asked),
        }
    }
}

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
        if self.was_writable {
            *self.writable.lock() = Writable::try_out(&connection);
        }
        Ok(connection)
    }

    /// Serves the writer's messages without a connection, trying again to open one for each job, and for each session that begins. Returns
    /// `None` when the manager is closed.
    pub(super) fn reopen_writer(self: &Arc<Self>, worker: &Arc<Worker>) -> Option<PolicedConnection> {
        let mut failed: Option<(Error, Instant)> = None;
        loop {
            let first = match worker.next() {
                Message::Run(job, permit) => First::Job(job, permit),
                Message::Asked(asked) if asked.begins() => First::OfSession(asked),
                Message::RunLeased(job, _) => {
                    job.reply.fail(self.lost_or(failed.as_ref()));
                    continue;
                }
                Message::Asked(asked) => {
                    asked.fail_for_good(self.lost_or(failed.as_ref()));
                    continue;
                }
                Message::CloseCursor(_) | Message::Lend(_) | Message::EndHold(_) => continue,
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
                    worker.take_back(first.into());
                    return Some(connection);
                }
                Err(error) => {
                    if !backing_off {
                        failed = Some((error.clone(), Instant::now()));
                    }
                    match first {
                        First::Job(job, permit) => self.fail_run(job, permit, error),
                        First::OfSession(asked) => asked.fail_for_good(error),
                    }
                }
            }
        }
    }

    /// Whether the writer that is open now can write.
    pub(crate) fn writable(&self) -> Writable {
        *self.writable.lock()
    }

    /// Why there is no writer.
    fn lost_or(&self, failed: Option<&(Error, Instant)>) -> Error {
        failed.map_or_else(|| self.lost_or_closed(), |(error, _)| error.clone())
    }
}
