//! Running a statement on the thread of its caller.

use super::{Answer, Statements, bind, explains, fetch};
use crate::connection::{Policy, Route};
use crate::query::{Outcome, Request, Take};
use crate::rows::{CHUNK_BYTES, Limits};

/// How often SQLite asks whether to go on before an inline run is stopped: after 20,000 steps of its virtual machine, about 200 us.
const MAX_CALLS: u32 = 20;

/// Why a statement did not run inline. Nothing was delivered: a worker runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotInline {
    /// This connection has not prepared it. Nothing was tried.
    Unprepared,
    /// It would have had to be prepared anew: the schema has changed.
    Changed,
    /// The connection is in a transaction that does not end. Nothing was delivered.
    Stuck,
    /// It took too long, or its result was too large, or another process was in the way, or it failed.
    Unfit,
}

impl Statements<'_> {
    /// Runs a read that this connection has prepared, if that takes little: it prepares nothing, waits for nobody, and answers with one
    /// chunk of rows at most, or a JSON text that is no longer. What fails is left to a worker too, which finds out why.
    pub(crate) fn read_inline(&mut self, request: &Request) -> Result<Answer, NotInline> {
        let (connection, limits) = (self.connection, self.limits);
        if request.take == Take::Describe {
            return Err(NotInline::Unprepared);
        }
        let cached = self.cache.get_mut(&request.query.id()).ok_or(NotInline::Unprepared)?;
        let is_read = cached.policy == Policy::Reader && cached.class.route == Route::Read;
        if !is_read || cached.statement.is_none() || explains(cached.statement.as_deref()) {
            return Err(NotInline::Unprepared);
        }
        let reprepares = cached.reprepares;
        connection.authorizer().clear();
        let policy = connection.with_policy(Policy::Inline);
        let limited = connection.limit_steps(MAX_CALLS);
        let mut too_large = false;
        let limits = inline_limits(request, limits);
        let mut spare = Some(self.chunks.take());
        let fetched = bind(cached, request).and_then(|()| {
            fetch(cached, request, limits, &mut spare, &mut |_, _| {
                too_large = true;
                false
            })
        });
        self.chunks.put(spare);
        drop((policy, limited));
        let outcome = Outcome { changes: 0, last_insert_rowid: None, route: Route::Read };
        match fetched {
            Ok((shape, chunk)) if !too_large => {
                debug_assert!(reprepares == cached.reprepares, "BUG: a statement was prepared inline");
                self.counts.hit();
                Ok(Answer { shape, chunk, outcome })
            }
            Err(error) if error.primary_code() == Some(rusqlite::ffi::SQLITE_AUTH) => Err(NotInline::Changed),
            Ok(_) | Err(_) => Err(NotInline::Unfit),
        }
    }
}

/// A JSON text goes out as a whole: its length is limited as that of a chunk is.
fn inline_limits(request: &Request, limits: Limits) -> Limits {
    match request.take {
        Take::Json(_) => Limits { max_result_bytes: limits.max_result_bytes.min(CHUNK_BYTES), ..limits },
        Take::All | Take::First | Take::None | Take::Describe => limits,
    }
}
