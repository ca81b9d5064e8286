//! The checkpointer: moves pages from the write-ahead log into the database beside the readers and the writer, on a connection and
//! a thread of its own: <https://sqlite.org/wal.html#ckpt>.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::{Worker, guard};
use crate::connection::{PolicedConnection, Policy};
use crate::error::Result;
use crate::manager::Shared;

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
    /// Who waits until it is closed.
    closing: Vec<oneshot::Sender<()>>,
}

/// What a checkpoint found: <https://sqlite.org/pragma.html#pragma_wal_checkpoint>.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) pages: u32,
    pub(crate) moved: u32,
}

enum Next {
    Run,
    Close,
}

impl Checkpointer {
    /// Has the log looked at. Starts the thread if there is none.
    pub(crate) fn nudge(&self, shared: &Arc<Shared>) {
        let mut post = self.post.lock();
        post.due = true;
        if post.alive {
            self.ready.notify_one();
            return;
        }
        post.alive = true;
        drop(post);
        let body = Arc::clone(shared);
        let started = Worker::start(shared.thread_name("checkpointer"), move || be_the_checkpointer(&body));
        if let Err(error) = started {
            tracing::warn!(%error, "no thread for the checkpointer");
            self.ended();
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

    fn next(&self) -> Next {
        let mut post = self.post.lock();
        loop {
            if !post.closing.is_empty() {
                return Next::Close;
            }
            if std::mem::take(&mut post.due) {
                return Next::Run;
            }
            self.ready.wait(&mut post);
        }
    }

    fn ended(&self) {
        let mut post = self.post.lock();
        post.alive = false;
        post.due = false;
        post.closing.clear();
    }
}

fn be_the_checkpointer(shared: &Arc<Shared>) {
    match guard(|| serve(shared)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) | Err(error) => {
            shared.counters.checkpoint_errors.add();
            tracing::warn!(%error, "the checkpointer has ended");
        }
    }
    shared.checkpointer.ended();
}

fn serve(shared: &Arc<Shared>) -> Result<()> {
    let connection = shared.open_checkpointer_connection()?;
    loop {
        match shared.checkpointer.next() {
            Next::Run => match checkpoint(&connection) {
                Ok(found) => {
                    shared.counters.checkpoints.add();
                    shared.after_checkpoint(found);
                }
                Err(error) => {
                    shared.counters.checkpoint_errors.add();
                    tracing::warn!(%error, "a checkpoint failed");
                }
            },
            Next::Close => return connection.close().map_err(|(_, error)| error),
        }
    }
}

/// Moves what no reader needs any more. It waits for nobody, and delays no commit.
fn checkpoint(connection: &PolicedConnection) -> Result<Found> {
    let _policy = connection.with_policy(Policy::Internal);
    let sql = "PRAGMA wal_checkpoint(PASSIVE)";
    // -1: there is no log.
    let pages = |count: i64| u32::try_from(count).unwrap_or(0);
    let found = connection.raw().query_row(sql, [], |row| Ok((row.get(1)?, row.get(2)?)))?;
    Ok(Found { pages: pages(found.0), moved: pages(found.1) })
}
