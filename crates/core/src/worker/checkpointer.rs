//! The checkpointer: moves pages from the write-ahead log into the database beside the readers and the writer, on a connection and
//! a thread of its own: <https://sqlite.org/wal.html#ckpt>.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::answered::Answered;
use super::{Disposition, Worker, disposition_after, guard};
use crate::completion::Reply;
use crate::connection::{PolicedConnection, Policy};
use crate::cores;
use crate::error::{Error, ErrorCode, Result};
use crate::manager::{CheckpointMode, Shared};
use crate::rows::Chunk;
use crate::statement::Written;
use crate::trace::{self, tell};

/// The way to the checkpointer, whether it is there or not.
#[derive(Debug, Default)]
pub(crate) struct Checkpointer {
    post: Mutex<Post>,
    ready: Condvar,
}

#[derive(Debug, Default)]
struct Post {
    /// Whether there is a thread, or is about to be.
    alive: bool,
    /// Whether the log has grown since it last began.
    due: bool,
    /// Who asked for a checkpoint, and of which mode.
    asked: Vec<(CheckpointMode, Reply)>,
    /// Who waits until it is closed.
    closing: Vec<oneshot::Sender<()>>,
    /// Whether it is closed for good: the database is.
    ended: bool,
}

/// What a checkpoint found: <https://sqlite.org/pragma.html#pragma_wal_checkpoint>.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Whether somebody was in the way.
    pub(crate) is_busy: bool,
    pub(crate) pages: u32,
    pub(crate) moved: u32,
}

impl Found {
    /// Reads it from the row that SQLite answers with: whether somebody was in the way, the pages in the log, those moved.
    pub(crate) fn in_answer(chunk: &Chunk) -> Option<Self> {
        let &[busy, pages, moved] = chunk.cells.as_slice() else { return None };
        let [busy, pages, moved] = [busy, pages, moved].map(|cell| count(f64::from_bits(cell)));
        Some(Self { is_busy: busy != 0, pages, moved })
    }
}

/// A number of pages; there are none where there is no log, of which SQLite says -1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
fn count(pages: f64) -> u32 {
    pages as u32
}

enum Next {
    Run,
    Answer(Vec<(CheckpointMode, Reply)>),
    Close,
}

impl Checkpointer {
    /// Has the log looked at. Starts the thread if there is none.
    pub(crate) fn nudge(&self, shared: &Arc<Shared>) {
        self.post(shared, |post| post.due = true);
    }

    /// Has the log moved for somebody who waits for the answer. No mode waits for those who are in its way: the answer says so.
    pub(crate) fn ask(&self, shared: &Arc<Shared>, mode: CheckpointMode, reply: Reply) {
        self.post(shared, |post| post.asked.push((mode, reply)));
    }

    fn post(&self, shared: &Arc<Shared>, put: impl FnOnce(&mut Post)) {
        let mut post = self.post.lock();
        if post.ended {
            drop(post);
            // As if it had been there, and had closed just now.
            let mut late = Post::default();
            put(&mut late);
            return late.fail(&shared.lost_or_closed());
        }
        put(&mut post);
        if post.alive {
            self.ready.notify_one();
            return;
        }
        post.alive = true;
        drop(post);
        let body = Arc::clone(shared);
        let started = Worker::start(shared.thread_name("checkpointer"), move || {
            trace::enter_thread(body.location(), &"checkpointer".into());
            be_the_checkpointer(&body);
        });
        if let Err(error) = started {
            let database = &*trace::name(shared.location());
            tracing::warn!(target: "sluice::checkpoint", database, %error, "no thread");
            self.ended(&Error::new(ErrorCode::Panic, format!("no thread for the checkpointer: {error}")));
        }
    }

    /// Closes its connection, and waits until it is closed. A later nudge opens another.
    pub(crate) async fn close(&self) {
        let (closed, wait) = oneshot::channel();
        {
            let mut post = self.post.lock();
            if !post.alive {
                return;
            }
            post.closing.push(closed);
            self.ready.notify_one();
        }
        // The sender is dropped with the connection.
        drop(wait.await);
    }

    /// Closes its connection for good, and waits until it is closed.
    pub(crate) async fn end(&self) {
        self.post.lock().ended = true;
        self.close().await;
    }

    fn next(&self) -> Next {
        let mut post = self.post.lock();
        loop {
            if !post.asked.is_empty() {
                return Next::Answer(std::mem::take(&mut post.asked));
            }
            if !post.closing.is_empty() {
                return Next::Close;
            }
            if std::mem::take(&mut post.due) {
                return Next::Run;
            }
            self.ready.wait(&mut post);
        }
    }

    /// Answers whoever came too late with `error`. Returns whether somebody did who asked for a checkpoint.
    fn ended(&self, error: &Error) -> bool {
        let left = {
            let mut post = self.post.lock();
            let ended = post.ended;
            std::mem::replace(&mut *post, Post { ended, ..Post::default() })
        };
        let asked = !left.asked.is_empty();
        left.fail(error);
        asked
    }
}

impl Post {
    fn fail(self, error: &Error) {
        drop(self.closing);
        for (_, reply) in self.asked {
            reply.fail(error.clone());
        }
    }
}

fn be_the_checkpointer(shared: &Arc<Shared>) {
    cores::stand_back();
    match guard(|| serve(shared)) {
        Ok(Ok(())) => {
            shared.checkpointer.ended(&shared.lost_or_closed());
        }
        Ok(Err(error)) | Err(error) => {
            tell!(WARN, "sluice::checkpoint", "the checkpointer has ended", error = %error);
            // The failure of a checkpoint that was asked for is counted where it was.
            if !shared.checkpointer.ended(&error) {
                shared.counters.checkpoint_errors.add();
            }
        }
    }
}

fn serve(shared: &Arc<Shared>) -> Result<()> {
    let connection = shared.open_checkpointer_connection()?;
    loop {
        match shared.checkpointer.next() {
            Next::Run => {
                if let Some(found) = shared.checkpoint_passively(&connection) {
                    shared.after_checkpoint(found);
                }
            }
            Next::Answer(asked) => {
                for (mode, reply) in asked {
                    // Its own connection it keeps: nothing but checkpoints goes through it.
                    answer_checkpoint(shared, &connection, mode, reply);
                }
            }
            Next::Close => return connection.close().map_err(|(_, error)| error),
        }
    }
}

/// Answers `reply` with a checkpoint that waits for nobody: the answer says whether somebody was in its way. Returns what becomes of the
/// connection.
pub(crate) fn answer_checkpoint(
    shared: &Shared,
    connection: &PolicedConnection,
    mode: CheckpointMode,
    reply: Reply,
) -> Disposition {
    let _limit = connection.limit_steps(u32::MAX);
    let written = shared.statements(connection).write(&mode.request(), Policy::Internal);
    match written {
        Ok(Written { chunks, answer, .. }) => {
            if answer.chunk.as_deref().and_then(Found::in_answer).is_none_or(|found| !found.is_busy) {
                shared.counters.checkpoints.add();
            }
            Answered::new(chunks, answer).send(reply);
            Disposition::Reuse
        }
        Err(error) => {
            let disposition = disposition_after(&error);
            reply.fail(error);
            disposition
        }
    }
}
