//! What text makes of the transaction of a private handle.

use super::control::rolled_back;
use super::{Ran, Side};
use crate::completion::{Delivery, Reply};
use crate::connection::{Denial, Policy, PrepareError, Route};
use crate::error::Error;
use crate::query::{Outcome, Request};
use crate::session::{SessionKind, SessionState, Transaction, What};
use crate::worker::answered::Answered;

/// Whether a private handle asks for something while it has no transaction.
pub(super) fn is_free<'c>(side: &mut impl Side<'c>, session: &SessionState) -> bool {
    session.kind == SessionKind::Private && side.connection().raw().is_autocommit()
}

/// Runs a text that begins a transaction. Any other goes where it would go on a shared handle.
pub(super) fn run_free<'c>(side: &mut impl Side<'c>, request: &Request, reply: &Reply) -> Ran {
    match side.statements().class(&request.query, Policy::Statement) {
        Err(PrepareError::Denied(Denial::Transaction)) => side.run_statement(request, Policy::Lease, reply).into(),
        Ok(class) if class.route == Route::Read && !side.shared().runs_all_on_the_writer() => Ran::OnAReader,
        Ok(_) | Err(PrepareError::Denied(_) | PrepareError::Text(_) | PrepareError::Sqlite(_)) => Ran::Elsewhere,
    }
}

/// Says what a text does to a transaction that is gone: `ROLLBACK` succeeds, `COMMIT` does not, and either is the end of it.
pub(super) fn judge<'c>(side: &mut impl Side<'c>, request: &Request, error: &Error) -> Ran {
    let class = side.statements().class(&request.query, Policy::Lease);
    match class {
        Ok(class) if class.log.rolls_back() => {
            let outcome = Outcome { changes: 0, last_insert_rowid: None, route: Route::Write };
            Ran::Ended(Answered::last(Delivery::End(None, None, outcome)))
        }
        Ok(class) if class.log.commits() => Ran::Settled(error.clone().into()),
        Ok(_) | Err(_) => Ran::Broke(error.clone()),
    }
}

/// What text has made of the transaction of a private handle: how the session ends, if it does.
pub(super) fn follow_text<'c>(side: &mut impl Side<'c>, session: &SessionState, what: &What, ran: Ran) -> Ran {
    if session.kind != SessionKind::Private {
        return ran;
    }
    let is_open = !side.connection().raw().is_autocommit();
    let was_open = session.with_transaction(|transaction| match transaction {
        Transaction::None => {
            if is_open {
                *transaction = Transaction::Open;
            }
            false
        }
        Transaction::Open | Transaction::Committing | Transaction::Aborted(_) => true,
    });
    let is_control = match what {
        What::Query(request) | What::Open { request, .. } => !request.query.is_known_plain(),
        What::Script(_) => true,
        What::Begin | What::Judge(..) | What::Control(_) | What::Fetch { .. } => false,
    };
    if is_open {
        return ran;
    }
    match ran {
        Ran::Done(answered) if is_control || was_open == Some(false) => Ran::Ended(answered),
        Ran::Done(_) => Ran::Broke(rolled_back()),
        Ran::Failed(failure) if was_open == Some(false) => Ran::Settled(failure),
        Ran::Failed(failure) => Ran::Aborted(failure),
        ran @ (Ran::Ended(_) | Ran::Settled(_) | Ran::Broke(_) | Ran::Aborted(_) | Ran::Elsewhere | Ran::OnAReader) => {
            ran
        }
    }
}
