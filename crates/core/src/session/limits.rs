//! How long sessions may take: one timer for all of a manager.

use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::state::SessionState;
use crate::control;
use crate::error::Error;

/// The sessions that have a connection.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    watched: Arc<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    list: Mutex<List>,
    /// A session has come whose limit is nearer than what the timer waits for.
    nearer: Notify,
}

#[derive(Debug, Default)]
struct List {
    sessions: Vec<Weak<SessionState>>,
    timer: Timer,
}

/// What the timer does.
#[derive(Debug, Default)]
enum Timer {
    /// There is none.
    #[default]
    Off,
    /// It is about to look at the sessions.
    Looking,
    Until(Instant),
}

impl Sessions {
    /// Watches the limits of a session that has its connection.
    pub(crate) fn register(&self, session: &Arc<SessionState>) {
        let due = session.due(Instant::now()).and_then(Result::ok);
        let mut list = self.watched.list.lock();
        list.sessions.retain(|known| known.strong_count() > 0);
        list.sessions.push(Arc::downgrade(session));
        let Some(due) = due else { return };
        match list.timer {
            Timer::Looking => {}
            Timer::Until(next) if next <= due => {}
            Timer::Until(_) => self.watched.nearer.notify_one(),
            Timer::Off => {
                list.timer = Timer::Looking;
                control::spawn(watch(Arc::clone(&self.watched)));
            }
        }
    }

    /// Ends the sessions that a handle began with `error`.
    pub(crate) fn end_of(&self, handle: u64, error: &Error) {
        let sessions: Vec<_> = self.watched.list.lock().sessions.iter().filter_map(Weak::upgrade).collect();
        for session in sessions.iter().filter(|session| session.handle == handle) {
            session.end(error);
        }
    }

    /// Ends every session with `error`.
    pub(crate) fn end_all(&self, error: &Error) {
        let sessions = std::mem::take(&mut self.watched.list.lock().sessions);
        for session in sessions.iter().filter_map(Weak::upgrade) {
            session.end(error);
        }
    }
}

/// Ends the sessions that take too long, until there is none with a limit.
async fn watch(watched: Arc<Watched>) {
    loop {
        let Some(next) = watched.look(Instant::now()) else { return };
        // Whichever comes first: the moment, or a session whose limit is nearer.
        drop(tokio::time::timeout_at(next.into(), watched.nearer.notified()).await);
    }
}

impl Watched {
    /// Ends what is due, and returns when something is due again. `None` ends the timer.
    fn look(&self, now: Instant) -> Option<Instant> {
        let mut over = Vec::new();
        let next = {
            let mut list = self.list.lock();
            let mut next: Option<Instant> = None;
            list.sessions.retain(|session| {
                let Some(session) = session.upgrade() else { return false };
                match session.due(now) {
                    Some(Ok(due)) => next = Some(next.map_or(due, |next| next.min(due))),
                    Some(Err(error)) => over.push((session, error)),
                    None => {}
                }
                true
            });
            list.timer = next.map_or(Timer::Off, Timer::Until);
            next
        };
        for (session, error) in over {
            session.time_out(&error);
        }
        next
    }
}
