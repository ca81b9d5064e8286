//! Statements of one connection: prepared once, bound, stepped, encoded.

mod commit;
mod cursor;
mod encoding;
mod inline;
mod kept;
mod present;
mod rowid;
mod script;
mod transaction;
mod undo;
mod write;

use std::sync::Arc;

use hashlink::LruCache;
use rusqlite::{Statement, StatementStatus};

use crate::connection::{Classified, PolicedConnection, Policy, PrepareError, Route, prepare};
use crate::error::{Error, ErrorCode, Result};
use crate::json::JsonEncoder;
use crate::metrics::CacheCount;
use crate::params::ParameterNames;
use crate::query::{Column, Outcome, Query, Request, Scope, Shape, Take};
use crate::rows::{Chunk, Encoder, Limits};
use crate::spares::Stock;

pub(crate) use commit::{of_commit, unknown_outcome};
pub(crate) use cursor::{Fetched, Suspended};
use encoding::Encode;
pub(crate) use inline::NotInline;
pub(crate) use kept::Kept;
use present::Prepared;
pub(crate) use present::PresentRow;
pub(crate) use script::{Stopped, run_script};
pub(crate) use transaction::Transaction;
pub(crate) use write::Written;
use write::undo_interrupted;

/// The statement of a longer text, in bytes, is not kept: whoever gives such texts seldom gives one twice, and each may take several times its
/// length in memory.
const MAX_KEPT_TEXT: usize = 1024 * 1024;

/// The end of a result: the columns, the rows that were not sent ahead, and what the statement did.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Nothing if there are no columns.
    pub(crate) shape: Option<Arc<Shape>>,
    pub(crate) chunk: Option<Box<Chunk>>,
    pub(crate) outcome: Outcome,
}

/// Why a reader did not answer.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The statement is not a read, or a reader refuses it: the writer must be asked. Nothing was delivered. The error is what
    /// a read lease, which has no writer to ask, answers.
    NotARead(Error),
    /// The statement failed.
    Failed(Error),
    /// Nobody will ever take the rows.
    Abandoned,
}

impl ReadError {
    /// Says of what was asked in a callback, which the writer is not asked for, what is wrong with it: not that it would wait for the callback,
    /// where the writer would refuse it too.
    fn told_in(self, scope: Scope) -> Self {
        match self {
            Self::NotARead(error) if scope != Scope::Outside && is_refused_by_all(&error) => Self::Failed(error),
            Self::NotARead(_) | Self::Failed(_) | Self::Abandoned => self,
        }
    }
}

/// Whether what a reader refused with this error the writer would refuse too: it is wrong, or speaks of what others did.
fn is_refused_by_all(error: &Error) -> bool {
    use rusqlite::ffi::{SQLITE_AUTH, SQLITE_READONLY};
    let is_state = error.code == ErrorCode::ConnectionState;
    is_state || error.primary_code().is_some_and(|code| !matches!(code, SQLITE_AUTH | SQLITE_READONLY))
}

/// The statements of one connection, most recently used first.
pub(crate) struct Statements<'c> {
    connection: &'c PolicedConnection,
    cache: LruCache<u64, Cached<'c>>,
    counts: CacheCount,
    limits: Limits,
    chunks: Stock,
}

struct Cached<'c> {
    /// `None` for a text without a statement: blanks, comments, `;`.
    statement: Option<Prepared<'c>>,
    class: Classified,
    /// Under which policy it was prepared.
    policy: Policy,
    parameters: ParameterNames,
    shape: Arc<Shape>,
    /// How often SQLite had prepared the statement anew when `shape` was read.
    reprepares: i32,
}

impl<'c> Statements<'c> {
    pub(crate) fn new(connection: &'c PolicedConnection, capacity: usize, limits: Limits, counts: CacheCount) -> Self {
        Self { connection, cache: LruCache::new(capacity.max(1)), counts, limits, chunks: Stock::default() }
    }

    /// Runs a request on a reader. Full chunks go to `emit` ahead of the end. `classified` is called once it is known to be a
    /// read, before it runs.
    pub(crate) fn read(
        &mut self,
        request: &Request,
        emit: Emit<'_>,
        classified: &mut dyn FnMut(),
    ) -> Result<Answer, ReadError> {
        let read = match self.try_read(request, emit, classified) {
            // A denial can come from a schema that this connection had not yet seen to change.
            Err(ReadError::NotARead(_)) if self.cache.remove(&request.query.id()).is_some() => {
                self.try_read(request, emit, classified)
            }
            other => other,
        };
        read.map_err(|error| error.told_in(request.scope))
    }

    fn try_read(
        &mut self,
        request: &Request,
        emit: Emit<'_>,
        classified: &mut dyn FnMut(),
    ) -> Result<Answer, ReadError> {
        let (connection, limits) = (self.connection, self.limits);
        self.renew_described(request).map_err(ReadError::Failed)?;
        let mut spare = Some(self.chunks.take());
        let cached = self.cached(&request.query, Policy::Reader).map_err(not_prepared)?;
        if cached.class.route == Route::Write {
            return Err(ReadError::NotARead(cached.class.to_read_only_error()));
        }
        classified();
        bind(cached, request).map_err(ReadError::Failed)?;
        connection.authorizer().clear();
        let _policy = connection.with_policy(Policy::Reader);
        let (mut sent, mut abandoned) = (false, false);
        let fetched = fetch(cached, request, limits, &mut spare, &mut |shape, chunk| {
            sent = true;
            abandoned = !emit(shape, chunk);
            !abandoned
        });
        self.chunks.put(spare);
        self.let_go(&request.query);
        let outcome = Outcome { changes: 0, last_insert_rowid: None, route: Route::Read };
        match fetched {
            _ if abandoned => Err(ReadError::Abandoned),
            Ok((shape, chunk)) => Ok(Answer { shape, chunk, outcome }),
            Err(error) if !sent && is_refusal(connection, &error) => {
                Err(ReadError::NotARead(explain(connection, error)))
            }
            Err(error) => Err(ReadError::Failed(explain(connection, error))),
        }
    }

    /// Prepares and binds a request to be stepped bit by bit under `policy`. Returns nothing when it is not a read: it must run as a
    /// whole then.
    ///
    /// # Errors
    /// As [`Statements::read`]: on a reader a refusal is [`ReadError::NotARead`].
    pub(crate) fn open(&mut self, request: &Request, policy: Policy) -> Result<Option<Suspended<'c>>, ReadError> {
        let refused = |error: PrepareError| {
            let error =
                if policy == Policy::Reader { not_prepared(error) } else { ReadError::Failed(error.into_error()) };
            error.told_in(request.scope)
        };
        let cached = self.cached(&request.query, policy).map_err(refused)?;
        if cached.class.route == Route::Write {
            let refusal = cached.class.to_read_only_error();
            return if policy == Policy::Reader { Err(ReadError::NotARead(refusal)) } else { Ok(None) };
        }
        bind(cached, request).map_err(ReadError::Failed)?;
        let cached = self.cache.remove(&request.query.id()).expect("BUG: it was cached just now");
        Ok(Some(Suspended::new(self.connection, cached, request, self.limits, policy)))
    }

    fn keep(&mut self, query: &Query, cached: Cached<'c>) {
        self.cache.insert(query.id(), cached);
        self.let_go(query);
    }

    /// Ends a statement that has run and is not worth keeping.
    fn let_go(&mut self, query: &Query) {
        if query.sql().len() > MAX_KEPT_TEXT {
            self.cache.remove(&query.id());
        }
    }

    /// Returns whether a request changes the journal mode.
    pub(crate) fn needs_exclusive(&mut self, request: &Request) -> Result<bool> {
        let cached = self.cached(&request.query, Policy::Statement).map_err(PrepareError::into_error)?;
        Ok(request.take != Take::Describe && cached.class.needs_exclusive())
    }

    /// Prepares a query on the writer, and returns where it belongs.
    pub(crate) fn route_of(&mut self, query: &Query) -> Result<Route> {
        self.cached(query, Policy::Statement).map(|cached| cached.class.route).map_err(PrepareError::into_error)
    }

    /// Refuses what is no read, on a connection that could write.
    pub(crate) fn expect_read(&mut self, request: &Request) -> Result<()> {
        let cached = self.cached(&request.query, Policy::Reader).map_err(PrepareError::into_error)?;
        if cached.class.route == Route::Read { Ok(()) } else { Err(cached.class.to_read_only_error()) }
    }

    /// Prepares a query under `policy`, if it is not, and returns what it is.
    pub(crate) fn class(&mut self, query: &Query, policy: Policy) -> Result<Classified, PrepareError> {
        self.cached(query, policy).map(|cached| cached.class)
    }

    /// The classification of a query whose statement is cached.
    pub(crate) fn class_of(&mut self, query: &Query) -> Option<Classified> {
        self.cache.get(&query.id()).map(|cached| cached.class)
    }

    /// Has a statement that is only to be described prepared anew. Others notice at their first step that the schema has changed.
    fn renew_described(&mut self, request: &Request) -> Result<()> {
        if request.take != Take::Describe {
            return Ok(());
        }
        self.cache.remove(&request.query.id());
        self.connection.refresh_schema()
    }

    fn cached(&mut self, query: &Query, policy: Policy) -> Result<&mut Cached<'c>, PrepareError> {
        let id = query.id();
        // The one that was used last need not be looked for: most often it is wanted several times, one after another.
        if self.cache.iter().next_back().is_none_or(|(latest, _)| *latest != id) {
            self.cache.get(&id);
        }
        let latest = self.cache.iter().next_back();
        if latest.is_some_and(|(latest, cached)| *latest == id && cached.serves(policy)) {
            self.counts.hit();
        } else {
            self.counts.miss();
            self.prepare(query, policy)?;
        }
        let latest = self.cache.iter_mut().next_back();
        Ok(latest.map(|(_, cached)| cached).expect("BUG: a statement was used just now"))
    }

    /// Prepares a query under `policy`, instead of as it was prepared before.
    fn prepare(&mut self, query: &Query, policy: Policy) -> Result<(), PrepareError> {
        self.cache.remove(&query.id());
        let known_single = query.is_known_single();
        let (mut statement, mut class) = prepare(self.connection, query.sql(), policy, known_single)?;
        if explains(statement.as_ref()) {
            drop(statement);
            self.connection.refresh_schema().map_err(PrepareError::Sqlite)?;
            (statement, class) = prepare(self.connection, query.sql(), policy, known_single)?;
        }
        // An EXPLAIN is prepared as a new text each time, so that the PRAGMA that it may explain does not act.
        if !class.explain {
            query.set_known_single();
        }
        if !class.log.transaction() {
            query.set_known_plain();
        }
        let statement = statement.map(|statement| Prepared::new(self.connection, statement));
        self.cache.insert(query.id(), Cached::new(statement, class, policy, query));
        Ok(())
    }
}

impl<'c> Cached<'c> {
    /// Whether it can be run under `policy` as it is. What one policy lets through another may refuse, which only shows while it is prepared.
    fn serves(&self, policy: Policy) -> bool {
        (self.policy == policy || self.class.groups()) && !explains(self.statement.as_deref())
    }

    fn new(statement: Option<Prepared<'c>>, class: Classified, policy: Policy, query: &Query) -> Self {
        let columns = statement.as_deref().map(columns_of).unwrap_or_default();
        let parameters = statement.as_deref().map(ParameterNames::of).unwrap_or_default();
        let reprepares = statement.as_deref().map_or(0, reprepares_of);
        Self { shape: query.shape(columns), statement, class, policy, parameters, reprepares }
    }
}

/// Whether it is an EXPLAIN: that tells of the schema as it was when it was prepared, because it runs nothing that would notice a change.
fn explains(statement: Option<&Statement<'_>>) -> bool {
    statement.is_some_and(|statement| statement.is_explain() != 0)
}

/// What it means that a reader could not prepare a text: the writer may be able to, but what was stopped must not begin again there.
fn not_prepared(error: PrepareError) -> ReadError {
    match error {
        PrepareError::Text(error) => ReadError::Failed(error),
        PrepareError::Sqlite(error) if is_interrupt(&error) => ReadError::Failed(error),
        PrepareError::Sqlite(_) | PrepareError::Denied(_) => ReadError::NotARead(error.into_error()),
    }
}

/// Whether a reader refused, as opposed to failed: our authorizer, or SQLite because the connection only reads.
///
/// A step can be refused too, because it prepares again after a schema change. SQLite has no code of its own for a function.
fn is_refusal(connection: &PolicedConnection, error: &Error) -> bool {
    let refused = matches!(error.primary_code(), Some(rusqlite::ffi::SQLITE_AUTH | rusqlite::ffi::SQLITE_READONLY));
    refused || connection.authorizer().denial().is_some()
}

/// Says what the policy refused, where SQLite says only that something was.
fn explain(connection: &PolicedConnection, error: Error) -> Error {
    connection.authorizer().denial().map_or(error, |denial| denial.to_error())
}

fn is_interrupt(error: &Error) -> bool {
    error.primary_code() == Some(rusqlite::ffi::SQLITE_INTERRUPT)
}

/// Runs statements of the driver's own.
pub(crate) fn internal(connection: &PolicedConnection, sql: &str) -> Result<()> {
    let _policy = connection.with_policy(Policy::Internal);
    connection.raw().execute_batch(sql).map_err(|error| Error::from_sqlite(&error))
}

fn bind(cached: &mut Cached<'_>, request: &Request) -> Result<()> {
    if request.take == Take::Describe {
        return Ok(());
    }
    match &mut cached.statement {
        Some(statement) => request.params.bind(statement, &cached.parameters),
        None => request.params.expect_empty(),
    }
}

/// Where full chunks go. Returns `false` to stop.
type Emit<'a> = &'a mut dyn FnMut(&Arc<Shape>, Box<Chunk>) -> bool;

/// The columns, as an [`Answer`] has them, and the last rows.
type Fetch = (Option<Arc<Shape>>, Option<Box<Chunk>>);

/// Steps a bound statement to the end of what is wanted. The first rows go into `spare`, if there is one.
fn fetch(
    cached: &mut Cached<'_>,
    request: &Request,
    limits: Limits,
    spare: &mut Option<Box<Chunk>>,
    emit: Emit<'_>,
) -> Result<Fetch> {
    let integers = request.integers;
    match request.take {
        Take::All | Take::First | Take::None | Take::Describe => fetch_with(cached, request, emit, |shape| {
            Encoder::new(shape, integers, limits, spare.take().unwrap_or_else(|| Box::new(Chunk::new())))
        }),
        Take::Json(rows) => fetch_with(cached, request, emit, |shape| JsonEncoder::new(shape, rows, integers, limits)),
    }
}

/// The same, with the encoder that `encode` makes for the first row.
fn fetch_with<E: Encode>(
    cached: &mut Cached<'_>,
    request: &Request,
    emit: Emit<'_>,
    mut encode: impl FnMut(Arc<Shape>) -> E,
) -> Result<Fetch> {
    let read_only = cached.class.route == Route::Read;
    let Some(statement) = cached.statement.as_mut().filter(|_| request.take != Take::Describe) else {
        return Ok((cached.shape.unless_empty(), None));
    };
    let mut encoder: Option<E> = None;
    let mut rows = statement.present_rows();
    while let Some(row) = rows.next()? {
        let wanted = match request.take {
            Take::All | Take::Json(_) => true,
            Take::First => encoder.is_none(),
            Take::None | Take::Describe => false,
        };
        if !wanted {
            // A write runs to its end for its effects; a read has none.
            if read_only && request.take == Take::First {
                break;
            }
            continue;
        }
        let encoder = match &mut encoder {
            Some(encoder) => encoder,
            none => {
                refresh_shape(&mut cached.shape, &mut cached.reprepares, row.statement(), &request.query);
                none.insert(encode(Arc::clone(&cached.shape)))
            }
        };
        if let Some(chunk) = encoder.take_full()
            && !emit(encoder.shape(), chunk)
        {
            break;
        }
        encoder.push(row)?;
        if read_only && request.take == Take::First {
            break;
        }
    }
    drop(rows);
    statement.clear_bindings();
    if let Some(encoder) = encoder {
        let shape = Arc::clone(encoder.shape());
        return Ok((Some(shape), Some(encoder.finish())));
    }
    refresh_shape(&mut cached.shape, &mut cached.reprepares, statement, &request.query);
    Ok((cached.shape.unless_empty(), None))
}

/// The first step may have prepared the statement anew, with other columns.
fn refresh_shape(shape: &mut Arc<Shape>, reprepares: &mut i32, statement: &Statement<'_>, query: &Query) {
    let now = reprepares_of(statement);
    if now != *reprepares {
        *reprepares = now;
        *shape = query.shape(columns_of(statement));
    }
}

fn reprepares_of(statement: &Statement<'_>) -> i32 {
    statement.get_status(StatementStatus::RePrepare)
}

fn columns_of(statement: &Statement<'_>) -> Vec<Column> {
    let declared = statement.columns();
    let origins = statement.columns_with_metadata();
    declared
        .zip(origins)
        .map(|(declared, origin)| Column {
            name: declared.name().into(),
            declared_type: declared.decl_type().map(Box::from),
            table: origin.table_name().map(Box::from),
            origin: origin.origin_name().map(Box::from),
        })
        .collect()
}
