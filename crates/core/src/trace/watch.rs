//! What is measured of one call, when somebody asks: the caller for its answer, or a log.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::{Connection, connection, micros, shortened};
use crate::completion::{Delivery, Timed};
use crate::connection::Route;
use crate::query::Query;

/// Measures one call, from its submission to its answer.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    query: Arc<Query>,
    database: Arc<str>,
    /// Whether the answer is to tell.
    answers: bool,
    asked: Instant,
    began: Cell<Option<Instant>>,
    ended: Cell<Option<Instant>>,
    rows: Cell<usize>,
}

/// Whether somebody listens to what statements do.
pub(crate) fn is_told() -> bool {
    tracing::enabled!(target: "sluice::statement", tracing::Level::TRACE)
}

impl Stopwatch {
    /// Begins to measure a call of `query`, if its answer is to tell (`answers`), or somebody listens.
    #[inline]
    pub(crate) fn start(query: &Arc<Query>, answers: bool, database: impl FnOnce() -> Arc<str>) -> Option<Box<Self>> {
        (answers || is_told()).then(|| {
            Box::new(Self {
                query: Arc::clone(query),
                database: database(),
                answers,
                asked: Instant::now(),
                began: Cell::new(None),
                ended: Cell::new(None),
                rows: Cell::new(0),
            })
        })
    }

    /// The call begins to run on the connection of this thread.
    pub(crate) fn begins(&self, now: Instant) {
        // A reader that goes from job to job looks at the clock between them: this one may have come after that.
        self.began.set(Some(now.max(self.asked)));
        self.ended.set(None);
    }

    /// The call has not run, and goes elsewhere.
    pub(crate) fn goes_on(&self) {
        self.began.set(None);
    }

    /// The call has run, and its answer waits for others.
    pub(crate) fn has_run(&self, now: Instant) {
        self.ended.set(Some(now));
    }

    /// Rows go out ahead of the answer.
    pub(crate) fn count_rows(&self, rows: usize) {
        self.rows.set(self.rows.get() + rows);
    }

    /// The call is answered. Returns the answer, with the times if it is to tell them.
    pub(crate) fn stop(&self, delivery: Delivery) -> Delivery {
        let now = Instant::now();
        let queued = self.began.get().unwrap_or(now).saturating_duration_since(self.asked);
        let ended = self.ended.get().unwrap_or(now);
        let ran = self.began.get().map_or(Duration::ZERO, |began| ended.saturating_duration_since(began));
        if is_told() {
            self.tell(&delivery, queued, ran, now);
        }
        if self.answers { Delivery::Timed(Box::new(Timed { delivery, queued, ran })) } else { delivery }
    }

    fn tell(&self, delivery: &Delivery, queued: Duration, ran: Duration, now: Instant) {
        let rows = delivery.chunk().map_or(0, |chunk| chunk.rows);
        let (changes, route) = match delivery {
            Delivery::End(_, _, outcome) => (outcome.changes, Some(outcome.route)),
            Delivery::Rows(..) | Delivery::More(..) | Delivery::Failed(_) | Delivery::Done | Delivery::Timed(_) => {
                (0, None)
            }
        };
        let code = match delivery {
            Delivery::Failed(failure) => Some(failure.error.code_name()),
            Delivery::Rows(..) | Delivery::More(..) | Delivery::End(..) | Delivery::Done | Delivery::Timed(_) => None,
        };
        let sql = shortened(self.query.sql());
        let sql = &*sql;
        let (database, queued_us) = (&*self.database, micros(queued));
        let Some(began) = self.began.get() else {
            tracing::trace!(
                target: "sluice::statement",
                database, sql, queuedUs = queued_us, code, "refused"
            );
            return;
        };
        let worker = connection().map(|Connection { worker, .. }| worker);
        let worker = worker.as_deref();
        let route = route.unwrap_or(if worker == Some("writer") { Route::Write } else { Route::Read });
        let route = match route {
            Route::Read => "read",
            Route::Write => "write",
        };
        tracing::trace!(
            target: "sluice::statement",
            database,
            worker,
            sql,
            route,
            queuedUs = queued_us,
            ranUs = micros(ran),
            rows = self.rows.get() + rows,
            changes,
            code,
            startedMs = epoch_ms(now.saturating_duration_since(began)),
            "ran"
        );
    }
}

/// How many milliseconds after the beginning of 1970 it was so long ago.
fn epoch_ms(ago: Duration) -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(ago).as_secs_f64() * 1e3
}
