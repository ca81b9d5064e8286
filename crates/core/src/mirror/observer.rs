//! Looks whether a database was changed, on one connection of its own: <https://sqlite.org/pragma.html#pragma_data_version>.
//!
//! The number that SQLite gives can only be compared with an earlier one of the same connection. A look takes a permit like any read,
//! so that it is in nobody's way: neither where reads and writes take turns, nor in exclusive write mode, for which the connection is
//! closed.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak, mpsc};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use crate::connection::{Bell, PolicedConnection, Policy};
use crate::control;
use crate::error::{Error, ErrorCode, Result};
use crate::gate::{Class, ReadKind};
use crate::manager::{Permit, Shared, closed, permit};
use crate::trace;
use crate::worker::{Worker, guard};

/// How long after a look the next one is, at the least: many commits are one change.
const BREATH: Duration = Duration::from_millis(2);

/// What the watchers of a database are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    changes: u64,
    /// Whether there will be no more.
    pub(super) ended: bool,
}

/// Looks on behalf of all who watch a database.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    bell: Arc<Bell>,
    seen: watch::Sender<Seen>,
    watchers: Mutex<Watchers>,
    line: Mutex<Option<Line>>,
}

#[derive(Debug, Default)]
struct Watchers {
    /// How often each wants the file to be looked at.
    polls: BTreeMap<u64, Duration>,
    numbered: u64,
    /// Whether somebody looks, until nobody watches any more.
    looking: bool,
}

/// The way to the thread that has the connection.
#[derive(Debug)]
struct Line {
    /// None where nobody watches any more: the thread closes its connection then.
    looks: Option<mpsc::Sender<Look>>,
    /// Dropped when the connection is closed.
    closed: oneshot::Receiver<()>,
}

/// Asks whether the database was changed since the last look.
struct Look {
    permit: Permit,
    answer: oneshot::Sender<Result<()>>,
}

impl Observer {
    /// Rings when something is committed here.
    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Lets somebody watch, and has the database looked at from now on.
    pub(super) fn begin(&self, shared: &Arc<Shared>, poll: Duration) -> (u64, watch::Receiver<Seen>) {
        let mut watchers = self.watchers.lock();
        watchers.numbered += 1;
        let number = watchers.numbered;
        watchers.polls.insert(number, poll);
        self.bell.listen(true);
        if !std::mem::replace(&mut watchers.looking, true) {
            let shared = Arc::downgrade(shared);
            control::spawn(async move { keep_looking(&shared).await });
        }
        (number, self.seen.subscribe())
    }

    pub(super) fn leave(&self, number: u64) {
        self.watchers.lock().polls.remove(&number);
        // So that whoever looks finds out.
        self.bell.ring();
    }

    /// How long to wait for a ring, where others may change the database, before the next look. Returns nothing when nobody watches any more.
    fn patience(&self) -> Option<Duration> {
        let mut watchers = self.watchers.lock();
        let shortest = watchers.polls.values().min().copied();
        if shortest.is_none() {
            watchers.looking = false;
            self.bell.listen(false);
            if let Some(line) = self.line.lock().as_mut() {
                line.looks = None;
            }
        }
        shortest
    }

    /// Looks once, and tells everybody if there was a change.
    ///
    /// # Errors
    /// Those of waiting for a permit, of opening a connection, and of reading.
    pub(super) async fn look(&self, shared: &Arc<Shared>) -> Result<()> {
        let class = if shared.has_readers() { Class::Read(ReadKind::Short) } else { Class::Write };
        let permit = permit(shared, class).await?;
        let (answer, looked) = oneshot::channel();
        self.send(shared, Look { permit, answer })?;
        looked.await.unwrap_or_else(|_| Err(shared.lost_or_broken()))
    }

    /// Hands a look to the thread, which is started if there is none.
    fn send(&self, shared: &Arc<Shared>, look: Look) -> Result<()> {
        let mut line = self.line.lock();
        if self.seen.borrow().ended {
            return Err(closed());
        }
        // A thread that has ended, because its connection broke, takes nothing more.
        let refused = match line.as_ref().and_then(|line| line.looks.as_ref()) {
            Some(looks) => looks.send(look).err().map(|mpsc::SendError(look)| look),
            None => Some(look),
        };
        let Some(look) = refused else { return Ok(()) };
        let (looks, taken) = mpsc::channel();
        let (closing, closed) = oneshot::channel();
        let body = Arc::clone(shared);
        let before = line.take().map(|line| line.closed);
        Worker::start(shared.thread_name("watcher"), move || {
            // Whoever waits until this connection is closed waits for the one before it, too.
            if let Some(before) = before {
                drop(before.blocking_recv());
            }
            trace::enter_thread(body.location(), &"watcher".into());
            be_the_watcher(&body, &taken, closing);
        })
        .map_err(|error| Error::new(ErrorCode::Panic, format!("no thread for the watcher: {error}")))?;
        drop(looks.send(look));
        *line = Some(Line { looks: Some(looks), closed });
        Ok(())
    }

    /// Closes the connection, and waits until it is closed. The next look opens another.
    pub(crate) async fn close(&self) {
        let line = self.line.lock().take();
        if let Some(Line { looks, closed }) = line {
            drop(looks);
            drop(closed.await);
        }
    }

    /// Tells everybody who watches that the database closes.
    pub(crate) fn end(&self) {
        self.seen.send_modify(|seen| seen.ended = true);
        self.bell.ring();
    }
}

/// Looks again and again, for as long as somebody watches.
async fn keep_looking(shared: &Weak<Shared>) {
    let mut failed = false;
    loop {
        let (bell, poll) = {
            let Some(shared) = shared.upgrade() else { return };
            let observer = &shared.observer;
            let Some(patience) = observer.patience() else { return };
            let only_rings = shared.is_in_memory() && !failed;
            (Arc::clone(&observer.bell), if only_rings { None } else { Some(patience) })
        };
        match poll {
            Some(poll) => drop(tokio::time::timeout(poll, bell.rung()).await),
            None => bell.rung().await,
        }
        let Some(shared) = shared.upgrade().filter(|shared| !shared.observer.seen.borrow().ended) else { return };
        let looked = shared.observer.look(&shared).await;
        failed = looked.is_err();
        if let Err(error) = looked {
            let database = &*trace::name(shared.location());
            tracing::debug!(target: "sluice::mirror", database, %error, "a look for changes failed");
        }
        drop(shared);
        tokio::time::sleep(BREATH).await;
    }
}

/// The life of the watcher's thread.
fn be_the_watcher(shared: &Arc<Shared>, looks: &mpsc::Receiver<Look>, closing: oneshot::Sender<()>) {
    let mut open = None;
    while let Ok(Look { permit, answer }) = looks.recv() {
        let looked = guard(|| has_changed(shared, &mut open)).flatten().map(|changed| {
            // Here, so that whoever looked later was told of it before.
            if changed {
                shared.observer.seen.send_modify(|seen| seen.changes += 1);
            }
        });
        // Whoever is told finds the permit given back.
        drop(permit);
        let failed = looked.is_err();
        drop(answer.send(looked));
        if failed {
            break;
        }
    }
    drop(open);
    drop(closing);
}

/// Compares the version of the database with the last one that was seen. A new connection has none to compare with: there may have been a
/// change.
fn has_changed(shared: &Arc<Shared>, open: &mut Option<(PolicedConnection, i64)>) -> Result<bool> {
    if let Some((connection, seen)) = open {
        let now = version(connection)?;
        return Ok(std::mem::replace(seen, now) != now);
    }
    let connection = shared.open_reader_connection()?;
    let now = version(&connection)?;
    *open = Some((connection, now));
    Ok(true)
}

fn version(connection: &PolicedConnection) -> Result<i64> {
    let _policy = connection.with_policy(Policy::Internal);
    Ok(connection.raw().pragma_query_value(None, "data_version", |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_closes_waits_for_the_connection_of_those_who_watch_no_more() {
        let observer = Observer::default();
        let (looks, taken) = mpsc::channel();
        let (closing, closed) = oneshot::channel();
        *observer.line.lock() = Some(Line { looks: Some(looks), closed });
        assert_eq!(observer.patience(), None);
        assert!(taken.recv().is_err(), "its thread is told to end");
        let close = observer.close();
        tokio::pin!(close);
        let early = tokio::time::timeout(Duration::from_millis(20), &mut close).await;
        assert!(early.is_err(), "the connection is still open");
        drop(closing);
        close.await;
    }
}
