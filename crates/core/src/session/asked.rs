//! What a session asks of its connection.

use std::sync::{Arc, OnceLock};

use super::cursor::OWN;
use super::state::{Pending, SessionState, Transaction};
use super::{Control, SessionKind};
use crate::cancel::Cancel;
use crate::completion::Reply;
use crate::error::Error;
use crate::query::{Query, Request};

/// A thing that is asked.
#[derive(Debug)]
pub(crate) enum What {
    /// Begins the session itself.
    Begin,
    Query(Request),
    /// Says whether a text ends a transaction that is gone already: all others get the error that told of it.
    Judge(Request, Error),
    Script(Arc<Query>),
    Control(Control),
    /// Opens a cursor, and fetches its first rows.
    Open {
        cursor: u32,
        request: Request,
        rows: usize,
    },
    Fetch {
        cursor: u32,
        /// What it steps.
        query: Arc<Query>,
        rows: usize,
    },
}

impl What {
    /// What is shown to be running.
    pub(crate) fn shown(&self, kind: SessionKind) -> &Arc<Query> {
        match self {
            Self::Query(request) | Self::Judge(request, _) | Self::Open { request, .. } => &request.query,
            Self::Script(query) | Self::Fetch { query, .. } => query,
            Self::Begin | Self::Control(_) => stand_in(kind),
        }
    }
}

/// What stands for a session that runs nothing of its holder's.
pub(crate) fn stand_in(kind: SessionKind) -> &'static Arc<Query> {
    static STAND_INS: [OnceLock<Arc<Query>>; 3] = [const { OnceLock::new() }; 3];
    let (index, text) = match kind {
        SessionKind::Transaction(_) | SessionKind::Unchecked(_) | SessionKind::Private => {
            (0, "(a transaction that runs nothing)")
        }
        SessionKind::Read(_) => (1, "(a read session that runs nothing)"),
        SessionKind::Exclusive => (2, "(a writeMode callback that runs nothing)"),
    };
    STAND_INS[index].get_or_init(|| Query::new(text))
}

/// A thing asked, on its way to the worker that the session has leased.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) session: Arc<SessionState>,
    pub(crate) what: What,
    pub(crate) reply: Reply,
    pub(crate) cancel: Option<Arc<Cancel>>,
    /// The session is not idle while this lives. Dropped before the reply is settled, or with it.
    pub(crate) pending: Pending,
}

impl Asked {
    /// Whether nothing was asked of the connection for the session before.
    pub(crate) fn begins(&self) -> bool {
        let is_empty = || self.session.with_transaction(|transaction| matches!(transaction, Transaction::None));
        match &self.what {
            What::Begin | What::Open { cursor: OWN, .. } => true,
            What::Query(_) | What::Judge(..) | What::Script(_) => {
                self.session.kind == SessionKind::Private && is_empty() == Some(true)
            }
            What::Control(_) | What::Open { .. } | What::Fetch { .. } => false,
        }
    }

    /// Answers that it failed, and ends the session: its connection is gone.
    pub(crate) fn fail_for_good(self, error: Error) {
        self.session.end(&error);
        self.fail(error);
    }

    /// Answers that it failed.
    pub(crate) fn fail(self, error: Error) {
        let Self { reply, pending, .. } = self;
        drop(pending);
        reply.fail(error);
    }
}
