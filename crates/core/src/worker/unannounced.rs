//! Answers that wait a moment for company, so that one wake-up serves many.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::{Job, guard};
use crate::completion::{Delivery, Reply, Sink};
use crate::control;

/// For how long answers may wait for others.
const PATIENCE: Duration = Duration::from_micros(100);

/// For how long answers wait at most when a read that was expected to run short does not.
const GRACE: Duration = Duration::from_millis(4);

/// The answers of one worker that nobody has been woken for. Dropping it announces them.
///
/// A wake-up costs both threads more than a point read does. So a worker that goes from one short read straight to the next
/// leaves its answers quiet, for [`PATIENCE`] and one short read at most: anything that may take longer is preceded by the
/// announcement, and a read that takes longer all the same is overtaken by the [`Watch`].
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
    pub(super) fn before(&mut self, next: &Job, now: Instant, watch: &mut Watch) {
        let Some((sink, since)) = &self.quiet else { return };
        if !next.work.runs_short() || now.duration_since(*since) >= PATIENCE {
            self.announce();
        } else {
            watch.over(sink, now);
        }
    }

    pub(super) fn announce(&mut self) {
        if let Some((sink, _)) = self.quiet.take() {
            announce(sink);
        }
    }
}

/// Wakes whoever takes the answers. That, or dropping a sink that nobody else has, may panic: no other call is to suffer for it.
pub(super) fn announce(sink: Arc<dyn Sink>) {
    drop(guard(move || sink.announce()));
}

impl Drop for Unannounced {
    fn drop(&mut self) {
        self.announce();
    }
}

/// Announces from the control plane what a worker that is busy has left quiet. One of them covers all that happens until it is
/// over, so that it costs next to nothing.
#[derive(Default)]
pub(super) struct Watch {
    last: Option<(Weak<dyn Sink>, Instant)>,
}

impl Watch {
    /// Makes sure that `sink` is announced to within [`GRACE`] of `now`, or soon after.
    fn over(&mut self, sink: &Arc<dyn Sink>, now: Instant) {
        let covers =
            |known: &Weak<dyn Sink>, until| now < until && std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(sink));
        if self.last.as_ref().is_some_and(|(known, until)| covers(known, *until)) {
            return;
        }
        let watched = Arc::downgrade(sink);
        self.last = Some((Weak::clone(&watched), now + GRACE));
        control::spawn(async move {
            tokio::time::sleep(GRACE).await;
            if let Some(sink) = watched.upgrade() {
                sink.announce();
            }
        });
    }
}
