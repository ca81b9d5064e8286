//! Handles on which `BEGIN` and `COMMIT` as text work.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::asked::What;
use super::cursor::{Cursor, Later, give_up};
use super::state::SessionState;
use super::{SessionKind, SessionLimits};
use crate::cancel::{Cancel, CancelReason};
use crate::completion::{Delivery, Reply, Sink};
use crate::connection::may_control_transactions;
use crate::control;
use crate::error::{Error, ErrorCode};
use crate::manager::Manager;
use crate::query::{Query, Request, Scope, Script};
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
pub(crate) struct Private {
    manager: Manager,
    idle: Option<Duration>,
    state: Mutex<State>,
    /// The session that was last asked for; it may still wait for its turn.
    asked_for: Mutex<Weak<SessionState>>,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    /// A call is under way that may begin or end a transaction: what came after it waits here.
    held: Option<VecDeque<Held>>,
    /// Whether a call is under way, and not answered, that may change the mode.
    is_deciding: bool,
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
    Batch(Vec<(Request, Reply)>),
    Iterate(Request, usize, SessionLimits, Later),
}

impl Asks {
    /// Answers that it does not run, to whoever waits for any part of it.
    fn fail(self, reply: Reply, error: &Error) {
        match self {
            Self::Query(_) | Self::Script(_) | Self::Iterate(..) => {}
            Self::Batch(items) => items.into_iter().for_each(|(_, item)| item.fail(error.clone())),
        }
        reply.fail(error.clone());
    }
}

impl Manager {
    /// Makes a handle on which `BEGIN` and `COMMIT` as text work. `idle` limits for how long its transaction may be idle.
    #[must_use]
    pub fn private_handle(&self, idle: Option<Duration>) -> PrivateHandle {
        let state = Mutex::new(State { mode: Mode::Free, held: None, is_deciding: false });
        let asked_for = Mutex::new(Weak::new());
        PrivateHandle { shared: Arc::new(Private { manager: self.clone(), idle, state, asked_for }) }
    }
}

impl PrivateHandle {
    /// Submits one request.
    pub fn submit(&self, request: Request, cancel: Option<Arc<Cancel>>, sink: Arc<dyn Sink>, call: u32) {
        let reply = self.shared.manager.reply(sink, call, &request.query, request.timed);
        self.shared.accept(Held { what: Asks::Query(request), cancel, reply });
    }

    /// Submits a script. Outside a transaction it has one of its own, if it begins one; in one it may end it.
    pub fn submit_script(
        &self,
        script: impl Into<Script>,
        cancel: Option<Arc<Cancel>>,
        sink: Arc<dyn Sink>,
        call: u32,
    ) {
        let Script { text, timed } = script.into();
        let reply = self.shared.manager.reply(sink, call, &text, timed);
        self.shared.accept(Held { what: Asks::Script(text), cancel, reply });
    }

    /// Steps a statement bit by bit: on the connection of the transaction that is open, or as [`Manager::iterate`].
    #[must_use]
    pub fn iterate(
        &self,
        request: Request,
        rows: usize,
        limits: SessionLimits,
        cancel: Option<Arc<Cancel>>,
        sink: Arc<dyn Sink>,
        call: u32,
    ) -> Cursor {
        let (cursor, later) = Cursor::later();
        let reply = self.shared.manager.reply(sink, call, &request.query, request.timed);
        let what = Asks::Iterate(request, rows, limits, later);
        self.shared.accept(Held { what, cancel, reply });
        cursor
    }

    /// Submits statements as one transaction, as [`Manager::submit_batch`]. Fails while a transaction is open on the handle.
    pub fn submit_batch(
        &self,
        items: Vec<(Request, u32)>,
        cancel: Option<Arc<Cancel>>,
        sink: &Arc<dyn Sink>,
        call: u32,
    ) {
        let (items, reply) = self.shared.manager.batch_replies(items, sink, call);
        self.shared.accept(Held { what: Asks::Batch(items), cancel, reply });
    }

    /// Tells whether a transaction that text has begun holds the writer: whatever else of the handle waits for that waits for itself. It does
    /// not while a text is under way that may end the transaction.
    #[must_use]
    pub fn holds_the_writer(&self) -> bool {
        let State { mode, held, is_deciding } = &mut *self.shared.state.lock();
        mode.follow();
        let waits = held.as_ref().is_some_and(|held| !held.is_empty());
        !*is_deciding && !waits && matches!(mode, Mode::Leased(_))
    }

    /// Rolls back what is open, and refuses what comes.
    pub fn close(&self) {
        let State { mode, held, .. } = {
            let mut state = self.shared.state.lock();
            std::mem::replace(&mut *state, State { mode: Mode::Closed, held: None, is_deciding: false })
        };
        match mode {
            Mode::Leased(session) => session.give_up(),
            Mode::Free | Mode::Aborted(_) | Mode::Closed => {}
        }
        for Held { what, reply, .. } in held.into_iter().flatten() {
            what.fail(reply, &closed());
        }
        let waiting = self.shared.asked_for.lock().upgrade();
        if let Some(session) = waiting {
            session.give_up_waiting(CancelReason::Closed);
        }
    }
}

impl Drop for PrivateHandle {
    fn drop(&mut self) {
        self.close();
    }
}

fn closed() -> Error {
    CancelReason::Closed.to_error()
}

/// What is to be done for a call, when the state is not locked any more: it may be answered at once.
enum Action {
    Fail(Asks, Reply, Error),
    /// Nobody waits for it any more.
    Drop(Reply),
    Submit(Job),
    Iterate(Request, usize, SessionLimits, Later, Option<Arc<Cancel>>, Reply),
    Ask(Arc<SessionState>, What, Option<Arc<Cancel>>, Reply),
    Begin(Arc<SessionState>, What, Reply),
}

impl Action {
    fn run(self, manager: &Manager) {
        match self {
            Self::Fail(what, reply, error) => what.fail(reply, &error),
            Self::Drop(reply) => give_up(reply),
            Self::Submit(job) => manager.submit_job(job),
            Self::Iterate(request, rows, limits, later, cancel, reply) => {
                manager.open_cursor(request, rows, limits, cancel, reply, later);
            }
            Self::Ask(session, what, cancel, reply) => session.ask(what, cancel, reply),
            Self::Begin(session, what, reply) => session.request(what, reply, None),
        }
    }
}

impl Private {
    fn accept(self: &Arc<Self>, call: Held) {
        let action = {
            let mut state = self.state.lock();
            if let Some(held) = &mut state.held {
                let stopped = call.cancel.as_ref().and_then(|cancel| cancel.held(self).err());
                let Some(reason) = stopped else { return held.push_back(call) };
                drop(state);
                return call.what.fail(call.reply, &reason.to_error());
            }
            let (action, decides) = self.dispatch(&mut state.mode, call);
            state.held = decides.then(VecDeque::new);
            state.is_deciding = decides;
            action
        };
        action.run(&self.manager);
    }

    /// Fails a call that waits behind another, and can be stopped by `cancel`.
    pub(crate) fn withdraw(&self, cancel: &Arc<Cancel>, error: &Error) {
        let is_meant = |call: &Held| call.cancel.as_ref().is_some_and(|known| Arc::ptr_eq(known, cancel));
        let found = {
            let mut state = self.state.lock();
            state.held.as_mut().and_then(|held| held.iter().position(is_meant).and_then(|at| held.remove(at)))
        };
        if let Some(Held { what, reply, .. }) = found {
            self.manager.shared().metrics.failed(error);
            what.fail(reply, error);
        }
    }

    /// Says where a call goes, by the state of the transaction, and whether it may change that state: then it holds back what comes after
    /// it.
    fn dispatch(self: &Arc<Self>, mode: &mut Mode, Held { what, cancel, reply }: Held) -> (Action, bool) {
        mode.follow();
        let is_plain = match &what {
            // In a transaction what is not known is waited for: those that follow have to find what became of it.
            Asks::Query(request) => {
                let is_free = matches!(mode, Mode::Free);
                request.query.is_known_plain() || (is_free && !may_control_transactions(request.query.sql()))
            }
            // Outside a transaction it ends the one that it begins.
            Asks::Script(_) => matches!(mode, Mode::Free),
            Asks::Batch(_) | Asks::Iterate(..) => true,
        };
        match (mode, what) {
            (Mode::Closed, what) => (Action::Fail(what, reply, closed()), false),
            (Mode::Aborted(error), Asks::Query(request)) if !is_plain => {
                (self.begin(What::Judge(request, error.clone()), cancel, reply), true)
            }
            (Mode::Aborted(error), what) => (Action::Fail(what, reply, error.clone()), false),
            // In a callback that it would wait for, what begins a transaction is refused like any write.
            (Mode::Free, Asks::Query(request)) if is_plain || request.scope != Scope::Outside => {
                (Action::Submit(Job { cancel, ..Job::new(Work::Query(request), reply) }), false)
            }
            (Mode::Free, Asks::Query(request)) => (self.begin(What::Query(request), cancel, reply), true),
            (Mode::Free, Asks::Script(script)) => {
                (Action::Submit(Job { cancel, ..Job::new(Work::Script(script), reply) }), false)
            }
            (Mode::Free, Asks::Batch(items)) => {
                (Action::Submit(Job { cancel, ..Job::new(Work::Batch(items), reply) }), false)
            }
            (Mode::Free, Asks::Iterate(request, rows, limits, later)) => {
                (Action::Iterate(request, rows, limits, later, cancel, reply), false)
            }
            (Mode::Leased(session), Asks::Query(request)) if is_plain => {
                (Action::Ask(Arc::clone(session), What::Query(request), cancel, reply), false)
            }
            (Mode::Leased(session), Asks::Query(request)) => {
                (self.deciding_ask(session, What::Query(request), cancel, reply), true)
            }
            (Mode::Leased(session), Asks::Script(script)) => {
                (self.deciding_ask(session, What::Script(script), cancel, reply), true)
            }
            (Mode::Leased(_), what @ Asks::Batch(_)) => {
                let message = "a batch is a transaction of its own, and one is open on this handle: end it first";
                (Action::Fail(what, reply, Error::new(ErrorCode::ManualTransaction, message)), false)
            }
            (Mode::Leased(session), Asks::Iterate(request, rows, _, later)) => {
                let cursor = session.next_cursor();
                let (query, cancel) = (Arc::clone(&request.query), cancel.unwrap_or_default());
                if later.is(Cursor::within(Arc::clone(session), cursor, query, Arc::clone(&cancel))) {
                    let open = What::Open { cursor, request, rows };
                    (Action::Ask(Arc::clone(session), open, Some(cancel), reply), false)
                } else {
                    (Action::Drop(reply), false)
                }
            }
        }
    }

    /// Asks the session for what may end its transaction.
    fn deciding_ask(
        self: &Arc<Self>,
        session: &Arc<SessionState>,
        what: What,
        cancel: Option<Arc<Cancel>>,
        reply: Reply,
    ) -> Action {
        let reply = self.deciding(Arc::clone(session), reply);
        Action::Ask(Arc::clone(session), what, cancel, reply)
    }

    /// Runs a call that may begin a transaction, on the writer.
    fn begin(self: &Arc<Self>, what: What, cancel: Option<Arc<Cancel>>, reply: Reply) -> Action {
        let limits = SessionLimits { idle: self.idle, total: None };
        let cancel = cancel.unwrap_or_default();
        let session = Arc::new(SessionState::new(&self.manager, SessionKind::Private, limits, cancel, false));
        *self.asked_for.lock() = Arc::downgrade(&session);
        let reply = self.deciding(Arc::clone(&session), reply);
        Action::Begin(session, what, reply)
    }

    fn deciding(self: &Arc<Self>, session: Arc<SessionState>, reply: Reply) -> Reply {
        reply.through(|sink| Arc::new(Deciding { sink, private: Arc::downgrade(self), session }))
    }

    /// Takes note of what became of the transaction. Whoever is answered then may ask at once.
    fn decide(&self, session: &Arc<SessionState>) {
        let mut state = self.state.lock();
        state.is_deciding = false;
        state.mode = match (&state.mode, session.told()) {
            (Mode::Closed, _) => return,
            (_, None) => Mode::Leased(Arc::clone(session)),
            (_, Some(error)) if is_orderly(&error) => Mode::Free,
            // Whatever kept the call from saying what becomes of it, the transaction is gone as before.
            (Mode::Aborted(before), Some(error)) => {
                Mode::Aborted(if is_abort(&error) { error } else { before.clone() })
            }
            (Mode::Leased(_), Some(error)) => Mode::Aborted(error),
            // A text that was to begin a transaction has not.
            (Mode::Free, Some(_)) => Mode::Free,
        };
    }

    /// Goes on with what waited for a call, which is answered.
    fn go_on(self: &Arc<Self>, session: &Arc<SessionState>) {
        if matches!(self.state.lock().mode, Mode::Closed) {
            return session.give_up();
        }
        while let Some((action, decides)) = self.next_held() {
            if decides {
                // Answered at once, it would come back here, as deep as there are calls that wait.
                let manager = self.manager.clone();
                control::spawn(async move { action.run(&manager) });
                return;
            }
            action.run(&self.manager);
        }
    }

    /// Takes the next call that waited. Those that come meanwhile wait behind the others.
    fn next_held(self: &Arc<Self>) -> Option<(Action, bool)> {
        let mut state = self.state.lock();
        let next = state.held.as_mut().and_then(VecDeque::pop_front);
        match &next {
            None => state.held = None,
            Some(Held { cancel: Some(cancel), .. }) => cancel.paused(),
            Some(Held { cancel: None, .. }) => {}
        }
        let (action, decides) = self.dispatch(&mut state.mode, next?);
        state.is_deciding = decides;
        Some((action, decides))
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
            *self = if is_orderly(&error) { Self::Free } else { Self::Aborted(error) };
        }
    }
}

/// Whether a transaction ended because its holder said so.
fn is_orderly(error: &Error) -> bool {
    error.code == ErrorCode::TxClosed
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
            Delivery::More(..) | Delivery::End(..) | Delivery::Failed(_) | Delivery::Done | Delivery::Timed(_) => true,
        };
        let private = self.private.upgrade().filter(|_| is_last);
        if let Some(private) = &private {
            private.decide(&self.session);
        }
        self.sink.deliver(call, delivery);
        if let Some(private) = private {
            private.go_on(&self.session);
        }
    }

    fn wait_for_room(&self) -> bool {
        self.sink.wait_for_room()
    }

    fn is_closed(&self) -> bool {
        self.sink.is_closed()
    }

    fn number(&self) -> usize {
        self.sink.number()
    }
}
