//! What is measured beside what is counted: durations, sizes, and errors by their code. Each is fed at one point, and told to the logs there.

mod cache;
mod histogram;
mod list;
mod lookup;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::connection::{Location, PolicedConnection, Role};
use crate::error::{Error, Result};
use crate::gate::{Class, Mode};
use crate::manager::{CheckpointMode, Counter, Manager};
use crate::trace::{self, micros, tell};
use crate::worker::Found;

pub(crate) use cache::{CacheCount, CacheCounts};
pub(crate) use histogram::Series;
use histogram::{Durations, Sizes};
use list::Moment;

/// The measurements of one manager.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) read_waits: Durations,
    pub(crate) write_waits: Durations,
    pub(crate) exclusive_waits: Durations,
    pub(crate) switches_to_write: Durations,
    pub(crate) switches_to_read: Durations,
    pub(crate) group_sizes: Sizes,
    pub(crate) commits: Durations,
    pub(crate) transactions: Durations,
    pub(crate) checkpoints: Durations,
    pub(crate) busy_waits: Durations,
    pub(crate) busy_retries: Counter,
    pub(crate) cache: Arc<CacheCounts>,
    errors: Mutex<BTreeMap<&'static str, u64>>,
}

impl Manager {
    /// Returns every metric, as text in the form of OpenMetrics 1.0.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sluice_core::Result<()> {
    /// use sluice_core::{Manager, Options, Params};
    /// let manager = Manager::open(":memory:", Options::default()).await?;
    /// manager.query("SELECT 1", Params::none()).await?;
    /// assert!(manager.metrics().contains("sluice_statements_total{"));
    /// assert_eq!(manager.metric("sluice_statements_total", &[])?, 1.0);
    /// manager.close().await
    /// # }
    /// ```
    #[must_use]
    pub fn metrics(&self) -> String {
        let shared = self.shared();
        let moment = Moment { status: shared.status(), metrics: &shared.metrics };
        text::write(&moment, &trace::name(shared.location()))
    }

    /// Returns one number of [`Manager::metrics`]: the sum of the samples of that name that have these labels.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`](crate::ErrorCode::InvalidArgument) for a name or a label that there is not.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
        let shared = self.shared();
        let moment = Moment { status: shared.status(), metrics: &shared.metrics };
        lookup::look_up(&moment, name, labels)
    }
}

/// Returns every name that [`Manager::metric`] knows.
#[must_use]
pub fn metric_names() -> Vec<String> {
    lookup::names()
}

impl Metrics {
    /// A request of `class` that had to wait at the gate is admitted.
    pub(crate) fn waited(&self, class: Class, waited: Duration) {
        match class {
            Class::Read(_) => self.read_waits.add(waited),
            Class::Write => self.write_waits.add(waited),
            Class::Exclusive => self.exclusive_waits.add(waited),
        }
    }

    /// Exclusive write mode has begun, which was asked for so long ago, or has ended, which took so long.
    pub(crate) fn switched(&self, location: &Location, to: Mode, took: Duration) {
        let (durations, from, to) = match to {
            Mode::Write => (&self.switches_to_write, "read", "write"),
            Mode::Read => (&self.switches_to_read, "write", "read"),
        };
        durations.add(took);
        let database = &*trace::name(location);
        tracing::debug!(target: "sluice::gate", database, from, to, tookUs = micros(took), "mode switched");
    }

    /// A group of so many statements is committed, on the writer's thread.
    pub(crate) fn committed_group(&self, statements: usize, took: Duration, commit: Duration) {
        self.group_sizes.add(statements);
        self.commits.add(commit);
        let (took, commit) = (micros(took), micros(commit));
        tell!(DEBUG, "sluice::group", "committed", statements, tookUs = took, commitUs = commit);
    }

    /// A transaction of a caller's, or a batch, is committed.
    pub(crate) fn committed(&self, commit: Duration) {
        self.commits.add(commit);
    }

    /// A checkpoint is done.
    pub(crate) fn checkpointed(&self, mode: CheckpointMode, found: Found, took: Duration) {
        self.checkpoints.add(took);
        let (mode, Found { is_busy: _, pages, moved }) = (mode.name(), found);
        tell!(DEBUG, "sluice::checkpoint", "done", mode, moved, pages, tookUs = micros(took));
    }

    /// Looks whether the connection of this thread has waited for another process since it was last looked at.
    #[inline]
    pub(crate) fn follow_busy(&self, connection: &PolicedConnection) {
        if let Some((retries, waited)) = connection.take_busy() {
            self.busy(connection.role(), retries, waited);
        }
    }

    fn busy(&self, role: Role, retries: u64, waited: Duration) {
        self.busy_retries.add_many(retries);
        self.busy_waits.add(waited);
        let waited = micros(waited);
        match role {
            Role::Writer => tell!(DEBUG, "sluice::writer", "busy", waitedUs = waited, retries),
            Role::Reader => tell!(DEBUG, "sluice::reader", "busy", waitedUs = waited, retries),
        }
    }

    /// A call is answered with an error.
    pub(crate) fn failed(&self, error: &Error) {
        *self.errors.lock().entry(error.code_name()).or_default() += 1;
    }

    /// Returns how many calls were answered with each code.
    pub(crate) fn errors(&self) -> Vec<(&'static str, u64)> {
        self.errors.lock().iter().map(|(code, count)| (*code, *count)).collect()
    }
}

/// A transaction that is open on a connection, from its beginning to its end.
#[derive(Debug, Default)]
pub(crate) struct OpenTransaction(Option<Instant>);

impl OpenTransaction {
    /// Whether one is open as far as is known.
    pub(crate) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// One has begun in a call that began at `since`.
    pub(crate) fn began(&mut self, since: Instant) {
        self.0 = Some(since);
        tell!(DEBUG, "sluice::transaction", "began", tookUs = micros(since.elapsed()));
    }

    /// It is committed.
    pub(crate) fn committed(&mut self, metrics: &Metrics) {
        let took = self.end(metrics);
        tell!(DEBUG, "sluice::transaction", "committed", tookUs = micros(took), why = "asked");
    }

    /// It is rolled back: `why` is the code of an error, or what its holder did.
    pub(crate) fn rolled_back(&mut self, metrics: &Metrics, why: &str) {
        let took = self.end(metrics);
        tell!(DEBUG, "sluice::transaction", "rolled back", tookUs = micros(took), why);
    }

    fn end(&mut self, metrics: &Metrics) -> Duration {
        let took = self.0.take().map_or(Duration::ZERO, |since| since.elapsed());
        metrics.transactions.add(took);
        took
    }
}
