//! Answers that wait a moment for company, so that one wake-up serves many.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::answered::deliver_quietly;
use super::tray::Tray;
use super::{Job, guard};
use crate::completion::{Delivery, Reply, Sink};
use crate::control;
use crate::manager::Shared;

/// For how long answers may wait for others.
pub(super) const PATIENCE: Duration = Duration::from_micros(100);

/// For how long answers wait at most when a read that was expected to run short does not.
const GRACE: Duration = Duration::from_millis(4);

/// The answers of one worker that nobody has been woken for. Dropping it announces them.
///
/// A wake-up costs both threads more than a point read does. So a worker that goes from one short read straight to the next
/// leaves its answers quiet, for twice [`PATIENCE`] and one short read at most, the second time while it runs several calls: anything that may
/// take longer is preceded by the announcement, and a read that takes longer all the same is overtaken by the [`Watch`].
#[derive(Default)]
pub(super) struct Unannounced {
    quiet: Option<(Arc<dyn Sink>, Instant)>,
}

impl Unannounced {
    /// Answers a call at the moment `now`.
    pub(super) fn answer(&mut self, reply: Reply, delivery: Delivery, now: Instant) {
        let sink = reply.settle_quietly(delivery);
        self.are_quiet(&sink, now);
    }

    /// Answers several calls of one sink, each by its number, at the moment `now`.
    pub(super) fn answer_all(&mut self, sink: &Arc<dyn Sink>, ready: &mut VecDeque<(u32, Delivery)>, now: Instant) {
        deliver_quietly(sink, ready);
        self.are_quiet(sink, now);
    }

    fn are_quiet(&mut self, sink: &Arc<dyn Sink>, now: Instant) {
        match &self.quiet {
            Some((known, _)) if Arc::ptr_eq(known, sink) => {}
            Some(_) | None => {
                self.announce();
                self.quiet = Some((Arc::clone(sink), now));
            }
        }
    }

    /// Announces what is there, unless it is for the same sink as what comes, which will probably not keep it waiting.
    pub(super) fn before_more(&mut self, next: &Arc<dyn Sink>, now: Instant) {
        if self.quiet.as_ref().is_some_and(|(sink, since)| !Arc::ptr_eq(sink, next) || is_late(*since, now)) {
            self.announce();
        }
    }

    /// Announces what is there, unless `next` will probably not keep it waiting.
    pub(super) fn before(&mut self, next: &Job, now: Instant, watch: &mut Watch) {
        let Some((sink, since)) = &self.quiet else { return };
        if !next.work.runs_short() || is_late(*since, now) {
            self.announce();
        } else {
            watch.over(sink);
        }
    }

    pub(super) fn announce(&mut self) {
        if let Some((sink, _)) = self.quiet.take() {
            announce(sink);
        }
    }
}

fn is_late(since: Instant, now: Instant) -> bool {
    now.duration_since(since) >= PATIENCE
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

/// Does from the control plane what a worker that is busy for too long has left undone: announces its answers, and relieves it of what is on its
/// tray. One turn covers all that happens until it comes, so that it costs next to nothing.
pub(super) struct Watch {
    shared: Weak<Shared>,
    tray: Arc<Tray>,
    last: Option<Turn>,
}

struct Turn {
    sink: Weak<dyn Sink>,
    has_come: Arc<AtomicBool>,
}

impl Turn {
    /// Whether it is still to come, and is for `sink`: it finds all that was done before this is asked.
    fn covers(&self, sink: &Arc<dyn Sink>) -> bool {
        std::ptr::addr_eq(self.sink.as_ptr(), Arc::as_ptr(sink)) && !self.has_come.load(Ordering::SeqCst)
    }
}

impl Watch {
    pub(super) fn new(shared: &Arc<Shared>, tray: &Arc<Tray>) -> Self {
        Self { shared: Arc::downgrade(shared), tray: Arc::clone(tray), last: None }
    }

    /// Makes sure of that for `sink`, and what is quiet and on the tray now, within [`GRACE`] or soon after.
    pub(super) fn over(&mut self, sink: &Arc<dyn Sink>) {
        if self.last.as_ref().is_some_and(|turn| turn.covers(sink)) {
            return;
        }
        let turn = Turn { sink: Arc::downgrade(sink), has_come: Arc::default() };
        let (watched, has_come) = (Weak::clone(&turn.sink), Arc::clone(&turn.has_come));
        let (shared, tray) = (Weak::clone(&self.shared), Arc::clone(&self.tray));
        self.last = Some(turn);
        control::spawn(async move {
            tokio::time::sleep(GRACE).await;
            has_come.store(true, Ordering::SeqCst);
            let present = tray.present();
            if let Some(sink) = watched.upgrade() {
                sink.announce();
            }
            let Some((number, since)) = present else { return };
            tokio::time::sleep(GRACE.saturating_sub(since.elapsed())).await;
            if let Some(shared) = shared.upgrade() {
                tray.relieve(number, &shared);
            }
            if let Some(sink) = watched.upgrade() {
                sink.announce();
            }
        });
    }
}
