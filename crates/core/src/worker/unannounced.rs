//! Answers that wait a moment for company, so that one wake-up serves many.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Job;
use crate::completion::{Delivery, Reply, Sink};

/// For how long answers may wait for others.
const PATIENCE: Duration = Duration::from_micros(100);

/// The answers of one worker that nobody has been woken for. Dropping it announces them.
///
/// A wake-up costs both threads more than a point read does. So a worker that goes from one short read straight to the next
/// leaves its answers quiet, for [`PATIENCE`] and one short read at most: anything that may take longer is preceded by the
/// announcement.
#[derive(Default)]
pub(super) struct Unannounced {
    quiet: Option<(Arc<dyn Sink>, Instant)>,
}

impl Unannounced {
    /// Answers a call at the moment `now`.
    pub(super) fn answer(&mut self, reply: Reply, delivery: Delivery, now: Instant) {
        let sink = reply.settle_quietly(delivery);
        match &self.quiet {
            Some((known, _)) if Arc::ptr_eq(known, &sink) => {}
            Some(_) | None => {
                self.announce();
                self.quiet = Some((sink, now));
            }
        }
    }

    /// Announces what is there, unless `next` will probably not keep it waiting.
    pub(super) fn before(&mut self, next: &Job, now: Instant) {
        let Some((_, since)) = &self.quiet else { return };
        if !next.work.runs_short() || now.duration_since(*since) >= PATIENCE {
            self.announce();
        }
    }

    pub(super) fn announce(&mut self) {
        if let Some((sink, _)) = self.quiet.take() {
            sink.announce();
        }
    }
}

impl Drop for Unannounced {
    fn drop(&mut self) {
        self.announce();
    }
}
