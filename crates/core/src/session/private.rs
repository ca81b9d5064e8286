//! Handles on which `BEGIN` and `COMMIT` as text work.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::asked::What;
use super::state::SessionState;
use super::{SessionKind, SessionLimits};
use crate::cancel::Cancel;
use crate::completion::{Delivery, Reply, Sink};
use crate::control;
use crate::error::{Error, ErrorCode};
use crate::manager::{Manager, Shared};
use crate::query::{Query, Request, Scope};
use crate::worker::{Job, Work};

/// A handle on which `BEGIN`, `COMMIT` and `SAVEPOINT` as text work, on a lease of its own: <https://sqlite.org/lang_transaction.html>.
///
/// While no transaction is open, its calls go where those of a shared handle go. From the submission of a text that may begin one,
/// its calls run in order, on the connection that the transaction has leased, until it has ended. When SQLite rolled it back by
/// itself, or it was idle for too long, every call fails with [`ErrorCode::TxAborted`] or [`ErrorCode::TxTimeout`] until a `COMMIT`,
/// which fails too, or a `ROLLBACK`. Dropping the handle rolls back.
#[derive(Debug)]
pub struct PrivateHandle {
    shared: Arc<Private>,
}

#[derive(Debug)]
struct Private {
    manager: Arc<Shared>,
    idle: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    /// A call is under way that may begin or end a transaction: what came after it waits here.
    held: Option<VecDeque<Held>>,
}

#[derive(Debug)]
enum Mode {
    Free,
    Leased(Arc<SessionState>),
    Aborted(Error),
    Closed,
}

/// A call of the handle.
#[derive(Debug)]
struct Held {
    what: Asks,
    cancel: Option<Arc<Cancel>>,
    reply: Reply,
}

#[derive(Debug)]
enum Asks {
    Query(Request),
    Script(Arc<Query>),
}

impl Manager {
    /// Makes a handle on which `BEGIN` and `COMMIT` as text work. `idle` limits for how long its transaction may be idle.
    #[must_use]
    pub fn private_handle(&self, idle: Option<Duration>) -> PrivateHandle {
        let state = Mutex::new(State { mode: Mode::Free, held: None });
        PrivateHandle { shared: Arc::new(Private { manager: Arc::clone(self.shared()), idle, state }) }
    }
}

impl PrivateHandle {
    /// Submits one request.
    pub fn submit(&self, request: Request, cancel: Option<Arc<Cancel>>, sink: Arc<dyn Sink>, call: u32) {
        self.shared.accept(Held { what: Asks::Query(request), cancel, reply: Reply::new(sink, call) });
    }

    /// Submits a script. Outside a transaction it has one of its own, if it begins one; in one it may end it.
    pub fn submit_script(&self, script: Arc<Query>, cancel: Option<Arc<Cancel>>, sink: Arc<dyn Sink>, call: u32) {
        self.shared.accept(Held { what: Asks::Script(script), cancel, reply: Reply::new(sink, call) });
    }

    /// Rolls back what is open, and refuses what comes.
    pub fn close(&self) {
        let State { mode, held } = {
            let mut state = self.shared.state.lock();
            std::mem::replace(&mut *state, State { mode: Mode::Closed, held: None })
        };
        match mode {
            Mode::Leased(session) => session.give_up(),
            Mode::Free | Mode::Aborted(_) | Mode::Closed => {}
        }
        for held in held.into_iter().flatten() {
            held.reply.fail(closed());
        }
    }
}

impl Drop for PrivateHandle {
    fn drop(&mut self) {
        self.close();
    }
}

fn closed() -> Error {
    Error::new(ErrorCode::Closed, "the handle has been closed")
}

impl Private {
    fn accept(self: &Arc<Self>, held: Held) {
        let mut state = self.state.lock();
        if let Some(waiting) = &mut state.held {
            return waiting.push_back(held);
        }
        self.dispatch(&mut state, held);
    }

    /// Sends a call where the transaction\'s state says. What may change that state holds back what comes after it.
    fn dispatch(self: &Arc<Self>, state: &mut State, Held { what, cancel, reply }: Held) {
        state.mode.follow();
        let is_plain = match &what {
            Asks::Query(request) => request.query.is_known_plain(),
            // Outside a transaction it ends the one that it begins.
            Asks::Script(_) => matches!(state.mode, Mode::Free),
        };
        match (&state.mode, what) {
            (Mode::Closed, _) => reply.fail(closed()),
            (Mode::Aborted(error), Asks::Script(_)) => reply.fail(error.clone()),
            (Mode::Aborted(error), Asks::Query(_)) if is_plain => reply.fail(error.clone()),
            (Mode::Aborted(error), Asks::Query(request)) => {
                let judged = What::Judge(request, error.clone());
                self.begin(judged, cancel, reply, &mut state.held);
            }
            // In a callback that it would wait for, what begins a transaction is refused like any write.
            (Mode::Free, Asks::Query(request)) if is_plain || request.scope != Scope::Outside => {
                self.manager.submit(Job { cancel, ..Job::new(Work::Query(request), reply) });
            }
            (Mode::Free, Asks::Script(script)) => {
                self.manager.submit(Job { cancel, ..Job::new(Work::Script(script), reply) });
            }
            (Mode::Free, Asks::Query(request)) => self.begin(What::Query(request), cancel, reply, &mut state.held),
            (Mode::Leased(session), Asks::Query(request)) if is_plain => {
                session.ask(What::Query(request), cancel, reply);
            }
            (Mode::Leased(session), what) => {
                let what = match what {
                    Asks::Query(request) => What::Query(request),
                    Asks::Script(script) => What::Script(script),
                };
                let session = Arc::clone(session);
                state.held = Some(VecDeque::new());
                let reply = self.deciding(Arc::clone(&session), reply);
                // As in `begin`, and after what was asked before, because what comes later waits.
                control::spawn(async move { session.ask(what, cancel, reply) });
            }
        }
    }

    /// Runs a call that may begin a transaction, on the writer.
    fn begin(
        self: &Arc<Self>,
        what: What,
        cancel: Option<Arc<Cancel>>,
        reply: Reply,
        held: &mut Option<VecDeque<Held>>,
    ) {
        *held = Some(VecDeque::new());
        let limits = SessionLimits { idle: self.idle, total: None };
        let session = SessionState::new(&self.manager, SessionKind::Private, limits, cancel.unwrap_or_default());
        let reply = self.deciding(Arc::clone(&session), reply);
        // Not under the lock of the state: the call may be refused at once, and so be decided.
        control::spawn(async move { session.request(what, reply, None) });
    }

    fn deciding(self: &Arc<Self>, session: Arc<SessionState>, reply: Reply) -> Reply {
        let (sink, call) = reply.into_parts();
        Reply::new(Arc::new(Deciding { sink, private: Arc::downgrade(self), session }), call)
    }

    /// Goes on with what waited for a call, now that it is known what became of the transaction.
    fn decided(self: &Arc<Self>, session: &Arc<SessionState>) {
        let mut state = self.state.lock();
        if matches!(state.mode, Mode::Closed) {
            drop(state);
            return session.give_up();
        }
        state.mode = match (session.told(), &state.mode) {
            (None, _) => Mode::Leased(Arc::clone(session)),
            (Some(error), _) if is_abort(&error) => Mode::Aborted(error),
            (Some(_), _) => Mode::Free,
        };
        let mut waiting = state.held.take().unwrap_or_default();
        while let Some(held) = waiting.pop_front() {
            self.dispatch(&mut state, held);
            if let Some(held) = &mut state.held {
                held.append(&mut waiting);
            }
        }
    }
}

impl Mode {
    /// Takes note of a transaction that has ended meanwhile.
    fn follow(&mut self) {
        let told = match self {
            Self::Leased(session) => session.told(),
            Self::Free | Self::Aborted(_) | Self::Closed => None,
        };
        if let Some(error) = told {
            *self = if is_abort(&error) { Self::Aborted(error) } else { Self::Free };
        }
    }
}

/// Whether a transaction ended without its holder having said so.
fn is_abort(error: &Error) -> bool {
    matches!(error.code, ErrorCode::TxAborted | ErrorCode::TxTimeout)
}

/// Takes the answer of a call that may have begun or ended a transaction.
struct Deciding {
    sink: Arc<dyn Sink>,
    private: Weak<Private>,
    session: Arc<SessionState>,
}

impl Sink for Deciding {
    fn deliver(&self, call: u32, delivery: Delivery) {
        let is_last = match delivery {
            Delivery::Rows(..) => false,
            Delivery::More(..) | Delivery::End(..) | Delivery::Failed(_) | Delivery::Done => true,
        };
        self.sink.deliver(call, delivery);
        if is_last && let Some(private) = self.private.upgrade() {
            private.decided(&self.session);
        }
    }

    fn wait_for_room(&self) -> bool {
        self.sink.wait_for_room()
    }
}
