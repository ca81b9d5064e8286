//! Sessions that wait at the gate for their connections.

use std::sync::Arc;
use std::time::Instant;

use super::SessionKind;
use super::asked::What;
use super::state::SessionState;
use crate::completion::Reply;
use crate::control;
use crate::error::Error;
use crate::gate::{Class, Mode, ReadKind};
use crate::manager::Permit;

/// A session at the gate.
#[derive(Debug)]
pub(crate) struct Wanted {
    session: Arc<SessionState>,
    first: What,
    reply: Reply,
    ended: Option<Reply>,
}

impl Wanted {
    /// Makes one whose connection is asked for `first`.
    pub(super) fn new(session: &Arc<SessionState>, first: What, reply: Reply, ended: Option<Reply>) -> Self {
        Self { session: Arc::clone(session), first, reply, ended }
    }

    /// Waits for a permit of this class.
    pub(super) fn request(self, class: Class) {
        let session = Arc::clone(&self.session);
        session.shared.request_session(class, self, &session.cancel);
    }

    /// Gives it its connection. In exclusive mode every reader is closed before.
    pub(crate) fn admit(self, permit: Permit, since: Instant) {
        if self.session.has_waited_for_writes(&permit) {
            drop(permit);
            self.session.cancel.paused();
            return self.request(Class::Read(ReadKind::Session));
        }
        let Self { session, first, reply, ended } = self;
        match session.kind {
            SessionKind::Transaction(_) | SessionKind::Unchecked(_) | SessionKind::Private | SessionKind::Read(_) => {
                session.activate(permit, first, reply, ended);
            }
            SessionKind::Exclusive => {
                control::spawn(async move {
                    session.shared.close_readers().await;
                    session.shared.metrics.switched(session.shared.location(), Mode::Write, since.elapsed());
                    session.activate(permit, first, reply, ended);
                });
            }
        }
    }

    /// Answers that there will be no connection.
    pub(crate) fn reject(self, error: &Error) {
        let Self { session, reply, ended, .. } = self;
        session.fail_to_begin(reply, ended, error);
    }
}
