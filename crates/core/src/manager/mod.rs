//! The connection manager: admits calls, gives them connections, and closes in order.

mod activity;
mod bursts;
mod calls;
mod checkpoint;
mod close;
mod copy;
mod inline;
mod member;
mod options;
mod order;
mod pragma;
mod readers;
mod registry;
mod replacement;
mod status;
mod submit;
mod timers;
mod waiting;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::completion::Reply;
use crate::connection::{Classified, FileIdentity, Location, PolicedConnection, Route};
use crate::error::{Error, ErrorCode, Result};
use crate::gate::{Class, Gate, ReadKind};
use crate::lease::{ExclusiveLease, RawLease, ReadLease, RowSet, WriteLease, collect};
use crate::metrics::Metrics;
use crate::mirror::Observer;
use crate::params::Params;
use crate::query::{Integers, Query, Request, Scope};
use crate::rows::Limits;
use crate::session::Sessions;
use crate::statement::Statements;
use crate::trace;
use crate::worker::{Checkpointer, Worker};

use activity::Activity;
pub(crate) use calls::Calls;
pub use checkpoint::CheckpointMode;
use checkpoint::WalCare;
use close::CloseGate;
pub use copy::CopyOptions;
pub use inline::Inline;
use member::{Member, Members};
pub use options::{GroupLimits, Options};
use order::Order;
pub use order::ReadOrder;
pub(crate) use order::UnderWay;
use readers::Readers;
pub(crate) use replacement::Writable;
pub(crate) use status::Counter;
use status::Counters;
pub use status::{HolderStatus, ReaderStatus, Status, WalStatus, WriterStatus};
pub use submit::Bunch;
pub(crate) use submit::reentrant;
use timers::Timer;
pub(crate) use waiting::Ahead;
pub(crate) use waiting::{Waiting, closed, permit};
use writer::DatabaseFile;

pub(crate) type Permit = crate::gate::Permit<Waiting>;
pub(crate) type Place = crate::gate::Place<Waiting>;

/// A database that is open: many readers beside one writer, behind one admission gate.
///
/// It is a handle: whoever opens a file that is open in this process, under any name, shares its connections, and
/// [`Manager::sibling`] makes another handle too. The database is closed with its last handle. Clones stand for the same handle;
/// dropping the last of them closes it as [`Manager::close`] does, without waiting.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sluice_core::Result<()> {
/// use sluice_core::{Manager, Options, Params, Value};
/// let manager = Manager::open(":memory:", Options::default()).await?;
/// let mut writer = manager.write().await?;
/// writer.script("CREATE TABLE t(x); INSERT INTO t VALUES (1), (2)").await?;
/// drop(writer);
/// let rows = manager.query("SELECT x FROM t WHERE x > ?", Params::positional([Value::from(1)])).await?;
/// assert_eq!(rows.rows, [[Value::Integer(2)]]);
/// manager.close().await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Manager {
    shared: Arc<Shared>,
    member: Arc<Member>,
    order: Option<Arc<Order>>,
}

/// What the handles, the workers and the timers share.
pub(crate) struct Shared {
    /// Tells managers apart.
    id: u64,
    gate: Arc<Gate<Waiting>>,
    members: Members,
    options: Options,
    location: Location,
    file: Option<DatabaseFile>,
    readers: Mutex<Readers>,
    /// How many readers have a connection, or are about to have one: those that are closing among them.
    alive_readers: watch::Sender<usize>,
    writer: Arc<Worker>,
    /// Whether the writer has a connection.
    has_writer: AtomicBool,
    /// Whether the writer could write when the database was opened.
    was_writable: bool,
    /// Whether it can write now.
    writable: Mutex<Writable>,
    /// Temporary objects or attached databases live on the writer: everything goes there.
    pinned: AtomicBool,
    wal: Mutex<Option<FileIdentity>>,
    /// Why nothing may run any more, if so: the file on disk is not the one that was opened.
    lost: Mutex<Option<Error>>,
    /// Settings that every connection gets on top of the options.
    pragmas: Mutex<Vec<(String, String)>>,
    pub(crate) counters: Counters,
    pub(crate) activity: Activity,
    pub(crate) metrics: Metrics,
    pub(crate) sessions: Sessions,
    pub(crate) checkpointer: Checkpointer,
    pub(crate) wal_care: WalCare,
    pub(crate) observer: Observer,
    close: CloseGate,
    /// How many snapshots inline reads have left open.
    holds: AtomicUsize,
    hold_timer: Timer,
    queue_timer: Timer,
    prune_timer: Timer,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("location", &self.location).finish_non_exhaustive()
    }
}

impl Manager {
    /// Returns what the events of this process call the file at `path`: the name under which it was opened first. None if it is not open;
    /// several if it is open in several ways that share no connections.
    #[must_use]
    pub fn names_in_events(path: &Path) -> Vec<String> {
        registry::names_in_events(path)
    }

    /// Opens the database at `path`, or a new in-memory one for `":memory:"` and `""`.
    ///
    /// A file that is open in this process is joined, by whatever name it was opened: by device and inode. Its options must agree then,
    /// but for those that go by the handle ([`Options::read_order`]) and those in [`Options::left_out`]. Handles that are
    /// [`Options::readonly`], and those opened by a URI, have connections of their own, and meet the others as another process would.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidOption`] and [`ErrorCode::InvalidArgument`] before anything is opened; SQLite's `CANTOPEN`,
    /// `NOTADB`, `CORRUPT` or `BUSY` with the path in the message; [`ErrorCode::NetworkFileSystem`].
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn open(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let location = options::locate(path.as_ref(), options.uri)?;
        options.validate()?;
        let read_order = options.read_order;
        let (shared, member) = registry::open(location, options).await?;
        let (database, handles) = (&*trace::name(&shared.location), shared.members.count());
        tracing::debug!(target: "sluice::open", database, handles, "opened");
        Ok(Self { shared, member: Arc::new(member), order: Order::of(read_order) })
    }

    /// Runs one statement wherever it belongs: on a reader if SQLite says that it reads, else on the writer.
    ///
    /// # Errors
    /// Those of SQLite, and every code of [`ErrorCode`] that concerns one statement.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the answer, not the statement.
    pub async fn query(&self, sql: &str, params: Params) -> Result<RowSet> {
        self.run(Request::new(Query::new(sql), params)).await
    }

    /// Runs one request: as [`Manager::query`], with a query that is prepared once, and the choice of rows in
    /// [`Request::take`]. A [`Value`](crate::Value) holds any integer, so that [`Request::integers`] does not matter here.
    ///
    /// # Errors
    /// As [`Manager::query`].
    ///
    /// # Cancel safety
    /// As [`Manager::query`].
    pub async fn run(&self, request: Request) -> Result<RowSet> {
        let request = Request { integers: Integers::BigInt, ..request };
        let (sink, answer) = collect();
        self.submit(request, None, sink, 1);
        answer.await
    }

    /// Waits for a reader of one's own.
    ///
    /// # Errors
    /// [`ErrorCode::Closed`], [`ErrorCode::AcquireTimeout`], [`ErrorCode::Overloaded`]; [`ErrorCode::InvalidOption`] where
    /// [`Options::max_readers`] is 0; `SQLITE_CANTOPEN` while readers cannot be opened. A reader that is opened for this lease
    /// and cannot be says so at the first [`ReadLease::query`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves no trace in the queue.
    pub async fn read(&self) -> Result<ReadLease> {
        if self.shared.options.max_readers == 0 {
            let message = "maxReaders is 0: there are no readers, everything runs on the writer";
            return Err(Error::new(ErrorCode::InvalidOption, message));
        }
        self.lease(Class::Read(ReadKind::Session)).await.map(ReadLease::new)
    }

    /// Waits for the writer. Writers are served first in, first out.
    ///
    /// # Errors
    /// [`ErrorCode::Closed`], [`ErrorCode::AcquireTimeout`], [`ErrorCode::Overloaded`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves no trace in the queue.
    pub async fn write(&self) -> Result<WriteLease> {
        self.lease(Class::Write).await.map(WriteLease::new)
    }

    /// Waits for exclusive write mode: readers are drained and closed, new ones held back, and the writer is the only
    /// connection. Readers that come afterwards are fresh.
    ///
    /// # Errors
    /// [`ErrorCode::Closed`], [`ErrorCode::AcquireTimeout`], [`ErrorCode::Overloaded`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves no trace in the queue.
    pub async fn exclusive(&self) -> Result<ExclusiveLease> {
        let lease = self.lease(Class::Exclusive).await?;
        self.shared.close_readers().await;
        Ok(ExclusiveLease::new(lease))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    async fn lease(&self, class: Class) -> Result<RawLease> {
        if self.member.has_left() {
            return Err(closed());
        }
        waiting::lease(&self.shared, class).await
    }

    /// Reads a PRAGMA, or sets it where it belongs: on every connection, present and future, when it is a setting of the
    /// connection; on the writer alone when it is one of the database.
    ///
    /// # Errors
    /// [`ErrorCode::Pragma`] for those the driver owns, and those SQLite does not know; [`ErrorCode::InvalidArgument`] for a name
    /// that is none; else as [`Manager::exclusive`] and [`Manager::query`].
    ///
    /// # Cancel safety
    /// Dropping the future may leave the setting on the writer alone: set it again.
    pub async fn pragma(&self, name: &str, value: Option<&str>) -> Result<RowSet> {
        self.run(Request::new(pragma::apply(self, name, value, Scope::Outside).await?, Params::none())).await
    }

    /// Runs [`Manager::pragma`], and answers `reply` with the rows.
    ///
    /// `scope` says in whose callback it is asked for; see [`Request::scope`].
    pub async fn answer_pragma(&self, name: &str, value: Option<&str>, scope: Scope, reply: Reply) {
        pragma::answer(self, name, value, scope, reply).await;
    }

    /// Returns the numbers of this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }
}

impl Shared {
    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    pub(crate) fn statements<'c>(&self, connection: &'c PolicedConnection) -> Statements<'c> {
        let Options { statement_cache_size, max_result_bytes, max_text_bytes, .. } = self.options;
        let counts = self.metrics.cache.of_connection();
        Statements::new(connection, statement_cache_size, Limits { max_result_bytes, max_text_bytes }, counts)
    }

    /// Returns how far writes share a transaction, if they do.
    pub(crate) fn group_limits(&self) -> Option<GroupLimits> {
        self.options.group_commit
    }

    /// Returns the error of a job that was not run because the connection broke under another one.
    pub(crate) fn lost_or_broken(&self) -> Error {
        let broken = || Error::new(ErrorCode::Panic, "the connection broke under another call; this one did not run");
        self.lost().unwrap_or_else(broken)
    }

    /// Returns why a worker has ended under somebody who relied on it.
    pub(crate) fn lost_or_closed(&self) -> Error {
        self.lost().unwrap_or_else(|| if self.is_closing() { closed() } else { readers::no_connection() })
    }

    pub(crate) fn is_pinned(&self) -> bool {
        self.pinned.load(Ordering::Acquire)
    }

    /// Remembers where a statement belongs, now that the writer has prepared it.
    pub(crate) fn learn_from_writer(&self, query: &Query, class: Classified) {
        if !self.runs_all_on_the_writer() {
            match (class.route, query.hint()) {
                (Route::Write, _) => query.set_hint(Some(Route::Write)),
                // What reads after all is looked at anew the next time.
                (Route::Read, Some(Route::Write)) => query.set_hint(None),
                (Route::Read, Some(Route::Read) | None) => {}
            }
        }
    }
}
