//! A database whose writer can be held, and a sink that tells the order of its answers.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sluice_core::{
    Cancel, Channel, Delivery, Error, GroupLimits, Manager, Options, Outcome, Params, Query, Request, Result, Sink,
    Value, WriteLease,
};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub(crate) async fn in_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("done within the deadline")
}

/// Limits that no test reaches unless it wants to.
pub(crate) const WIDE: GroupLimits = GroupLimits { statements: 512, time: Duration::from_hours(1), bytes: 1 << 30 };

/// A database, and a sink that tells the order of its answers.
pub(crate) struct Bench {
    dir: TempDir,
    pub(crate) manager: Manager,
    pub(crate) channel: Arc<Channel>,
    pub(crate) wakes: UnboundedReceiver<()>,
    pub(crate) calls: u32,
}

pub(crate) type Answer = (u32, Result<Outcome>);

impl Bench {
    pub(crate) async fn open(schema: &str, group_commit: Option<GroupLimits>) -> Result<Self> {
        Self::open_with(None, schema, Options { group_commit, ..Options::default() }).await
    }

    /// Opens a file, unless `path` says what else.
    pub(crate) async fn open_with(path: Option<&Path>, schema: &str, options: Options) -> Result<Self> {
        let dir = TempDir::new().expect("a temporary directory");
        let file = dir.path().join("app.db");
        let manager = Manager::open(path.unwrap_or(&file), options).await?;
        manager.write().await?.script(schema).await?;
        let (sender, wakes) = unbounded_channel();
        let channel = Channel::new(move || sender.send(()).unwrap_or_default());
        Ok(Self { dir, manager, channel, wakes, calls: 0 })
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("app.db")
    }

    /// Holds the writer, so that what is submitted meanwhile waits together.
    pub(crate) async fn hold(&self) -> Result<WriteLease> {
        self.manager.write().await
    }

    /// Lets go of the writer when so many calls are known to be writes, and wait for it.
    pub(crate) async fn release(&self, lease: WriteLease, writes: usize) {
        while self.manager.status().writer.waiting < writes {
            tokio::task::yield_now().await;
        }
        drop(lease);
    }

    pub(crate) fn submit(&mut self, sql: &str) -> u32 {
        self.submit_with(sql, None)
    }

    pub(crate) fn submit_with(&mut self, sql: &str, cancel: Option<Arc<Cancel>>) -> u32 {
        self.calls += 1;
        let sink: Arc<dyn Sink> = self.channel.clone();
        self.manager.submit(Request::new(Query::new(sql), Params::none()), cancel, sink, self.calls);
        self.calls
    }

    /// Waits for so many answers, in the order in which they came.
    pub(crate) async fn answers(&mut self, count: usize) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut taken = VecDeque::new();
        while answers.len() < count {
            self.channel.take(&mut taken);
            if taken.is_empty() {
                self.wakes.recv().await.expect("the channel lives");
            }
            for (call, delivery) in taken.drain(..) {
                match delivery {
                    Delivery::Rows(..) | Delivery::More(..) => {}
                    Delivery::End(_, _, outcome) => answers.push((call, Ok(outcome))),
                    Delivery::Failed(failure) => answers.push((call, Err(failure.error))),
                    Delivery::Done | Delivery::Timed(_) => panic!("a statement is answered with what it did"),
                }
            }
        }
        answers
    }

    pub(crate) async fn integers(&self, sql: &str) -> Result<Vec<i64>> {
        let rows = self.manager.query(sql, Params::none()).await?.rows;
        Ok(rows
            .iter()
            .flatten()
            .filter_map(|value| if let Value::Integer(i) = value { Some(*i) } else { None })
            .collect())
    }

    pub(crate) fn counter(&self, name: &str) -> u64 {
        let counters = self.manager.status().counters;
        counters.iter().find(|(known, _)| *known == name).expect("a counter of this name").1
    }
}

pub(crate) fn ok(answers: &[Answer]) -> Vec<u32> {
    answers.iter().filter(|(_, result)| result.is_ok()).map(|(call, _)| *call).collect()
}

pub(crate) fn failed(answers: &[Answer]) -> Vec<(u32, &Error)> {
    answers.iter().filter_map(|(call, result)| result.as_ref().err().map(|error| (*call, error))).collect()
}

pub(crate) fn order(answers: &[Answer]) -> Vec<u32> {
    answers.iter().map(|(call, _)| *call).collect()
}
