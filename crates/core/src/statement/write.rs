//! Running statements on the writer: each has an effect as a whole, or none.

use super::commit::{may_commit, of_write};
use super::undo::Undo;
use super::{Answer, Statements, bind, explain, fetch, internal, is_interrupt, rowid};
use crate::connection::{Classified, PolicedConnection, Policy, PrepareError, Route, gather};
use crate::error::{ErrorCode, Result};
use crate::query::{Outcome, Request, Take};
use crate::rows::Chunk;

/// What a write did.
#[derive(Debug)]
pub(crate) struct Written {
    /// The chunks before the last, which may only go out now that the statement has committed.
    #[expect(clippy::vec_box, reason = "an answer carries them boxed")]
    pub(crate) chunks: Vec<Box<Chunk>>,
    pub(crate) answer: Answer,
    pub(crate) class: Classified,
    /// Temporary objects or attached databases may have come or gone.
    pub(crate) touched_private_schema: bool,
}

/// Whether a statement may read what earlier ones left on the connection.
#[derive(Clone, Copy)]
enum StateReads {
    /// As far as it asked for that when it was prepared.
    AsPrepared,
    Possible,
}

impl Statements<'_> {
    /// Runs a request on the writer, under `policy`.
    pub(crate) fn write(&mut self, request: &Request, policy: Policy) -> Result<Written> {
        match self.try_write(request, policy, StateReads::AsPrepared) {
            // The schema has changed since the statement was prepared: what it uses, a trigger or a view, asks for the state of the connection
            // now. It was refused as it was prepared again, before it did anything.
            Err(_) if self.connection.authorizer().denied_state() => {
                self.cache.remove(&request.query.id());
                self.try_write(request, policy, StateReads::Possible)
            }
            other => other,
        }
    }

    fn try_write(&mut self, request: &Request, policy: Policy, state: StateReads) -> Result<Written> {
        let connection = self.connection;
        let limits = self.limits;
        let query = &request.query;
        self.renew_described(request)?;
        let cached = self.cached(query, policy).map_err(PrepareError::into_error)?;
        bind(cached, request)?;
        let class = cached.class;
        let runs = request.take != Take::Describe;
        let is_alone = connection.raw().is_autocommit();
        let may_commit = policy != Policy::Internal && may_commit(class, is_alone);
        let _gathering = is_alone.then(gather);
        // Rows are encoded before the commit, so that one that cannot be delivered undoes the statement.
        let returns_rows = cached.statement.as_ref().is_some_and(|statement| statement.column_count() > 0);
        let undo = (class.dml() && returns_rows && runs).then(|| Undo::begin(connection)).transpose()?;
        connection.authorizer().clear();
        let policy = connection.with_policy(class.step_policy(policy));
        let reads_state = match state {
            StateReads::AsPrepared => class.log.state_read(),
            StateReads::Possible => true,
        };
        let hidden = (!reads_state).then(|| connection.authorizer().hide_state());
        let inserted = (class.inserts() && runs).then(|| rowid::Watch::begin(connection, reads_state));
        let mut chunks = Vec::new();
        let fetched = connection.run_without_part(class.log, || {
            fetch(cached, request, limits, &mut None, &mut |_, chunk| {
                chunks.push(chunk);
                true
            })
        });
        let changes = if class.dml() && runs { connection.raw().changes() } else { 0 };
        let last_insert_rowid = inserted.and_then(|watch| watch.end(changes));
        let outcome = Outcome { changes, last_insert_rowid, route: Route::Write };
        drop(hidden);
        drop(policy);
        let touched_private_schema = may_touch_private_schema(connection, class);
        let fetched = fetched.map_err(|error| explain(connection, error));
        if fetched.is_err() {
            self.cache.remove(&query.id());
        }
        self.let_go(query);
        let settled = match undo {
            Some(undo) => settle(undo, fetched),
            None => undo_interrupted(connection, class, fetched),
        };
        let (shape, chunk) = settled.map_err(|error| if may_commit { of_write(error) } else { error })?;
        let answer = Answer { shape, chunk, outcome };
        Ok(Written { chunks, answer, class, touched_private_schema })
    }
}

/// Whether temporary objects or attached databases may have come or gone with a statement that was stepped just now.
///
/// After a schema change SQLite prepares it anew, and it may drop a temporary table where it dropped another one, or nothing, before.
fn may_touch_private_schema(connection: &PolicedConnection, class: Classified) -> bool {
    let stepped = connection.authorizer().log();
    class.temp_or_attach() || class.log.is_empty() || stepped.temp() || stepped.attach()
}

/// Keeps what a statement did, or undoes it when its rows cannot be delivered.
///
/// What SQLite refused it has undone by itself, but for the rows that `OR FAIL` keeps.
fn settle<T>(undo: Undo<'_>, fetched: Result<T>) -> Result<T> {
    match fetched {
        Ok(fetched) => undo.keep().map(|()| fetched),
        // An interrupt may be told of a statement that is done, and has not been undone.
        Err(error) if error.code == ErrorCode::Sqlite && !is_interrupt(&error) => undo.keep().and(Err(error)),
        Err(error) => undo.undo().and(Err(error)),
    }
}

/// Rolls back what a write did that was interrupted. Most often SQLite has done so; but it asks whether to go on once more when the write
/// is done, and then leaves it in its transaction, although it says that it was interrupted.
pub(super) fn undo_interrupted<T>(connection: &PolicedConnection, class: Classified, result: Result<T>) -> Result<T> {
    match result {
        Err(error) if is_interrupt(&error) && class.route == Route::Write && !connection.raw().is_autocommit() => {
            internal(connection, "ROLLBACK").and(Err(error))
        }
        result => result,
    }
}
