//! Copies of a database in memory, each with a manager of its own.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::oneshot;

use super::member::Member;
use super::options::{self, connection_config};
use super::waiting::{closed, lease};
use super::{Manager, Options, Shared, writer};
use crate::connection::{
    ConnectionConfig, Durability, Location, MAX_MEMORY_BYTES, PolicedConnection, copy_into_memory, keep_in_memory,
};
use crate::error::{Error, ErrorCode, Result};
use crate::gate::{Class, ReadKind};
use crate::query::Query;
use crate::worker::Worker;

/// What a copy in memory is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// The largest database that is copied, in bytes. Default: 1 GiB, which is the most that SQLite keeps in memory.
    pub max_bytes: u64,
    /// Whether the copy can be written to. Default: false.
    pub writable: bool,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self { max_bytes: MAX_MEMORY_BYTES, writable: false }
    }
}

impl Manager {
    /// Copies the database into memory, and returns a manager for the copy: one state of the database, that of one moment after this
    /// was called. It is read by as many readers as the database may have, and lives until its manager is closed.
    ///
    /// The copy is made on a reader, which it leases like a session. Where reads and writes take turns, writes wait for it. Without readers
    /// ([`Options::max_readers`] is 0) it is made on the writer, and the copy has no readers either.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sluice_core::Result<()> {
    /// use sluice_core::{CopyOptions, Manager, Options, Params, Value};
    /// let manager = Manager::open(":memory:", Options::default()).await?;
    /// manager.query("CREATE TABLE t(x)", Params::none()).await?;
    /// let copy = manager.copy(CopyOptions::default()).await?;
    /// manager.query("INSERT INTO t VALUES (1)", Params::none()).await?;
    /// let rows = copy.query("SELECT count(*) FROM t", Params::none()).await?;
    /// assert_eq!(rows.rows, [[Value::Integer(0)]]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorCode::TooLarge`] past [`CopyOptions::max_bytes`];
    /// [`ErrorCode::Closed`], also when the database is closed meanwhile; those of waiting for a reader; SQLite's.
    ///
    /// # Cancel safety
    /// Dropping the future ends the copying soon.
    pub async fn copy(&self, options: CopyOptions) -> Result<Self> {
        if self.is_closed() {
            return Err(closed());
        }
        let location = options::in_memory();
        let settings = self.shared.options_of_a_copy(!options.writable);
        let anchor = self.fill(location.clone(), &settings, options.max_bytes).await?;
        writer::open_beside(location, settings, Some(anchor)).await.map(Self::alone)
    }

    /// Makes a copy in memory that can be read only, of one that can be written to, which is closed. Nothing is copied.
    ///
    /// What was written and not committed is rolled back.
    ///
    /// # Errors
    /// As [`Manager::close`]; SQLite's.
    ///
    /// # Cancel safety
    /// Dropping the future leaves both as they are, or closes both.
    pub async fn freeze(&self) -> Result<Self> {
        if self.is_closed() {
            return Err(closed());
        }
        let (location, settings) = (self.shared.location.clone(), self.shared.options_of_a_copy(true));
        let keeper = self.keeper(&location, &settings).await?;
        // In memory nobody can read beside a transaction that writes. Other handles on it are closed with it.
        self.member.leave(Duration::ZERO);
        self.shared.begin_close(Duration::ZERO);
        let closed = self.shared.closed().await;
        let frozen = writer::open_beside(location, settings, Some(keeper)).await.map(Self::alone)?;
        closed.map(|()| frozen)
    }

    /// Makes the first handle on a copy.
    fn alone(shared: Arc<Shared>) -> Self {
        Self { member: Arc::new(Member::first(&shared)), order: None, shared }
    }

    /// Opens a connection beside the others, whatever they are doing, on a thread for just that.
    async fn keeper(&self, location: &Location, settings: &Options) -> Result<PolicedConnection> {
        let (opened, wait) = oneshot::channel();
        let (location, config) = (location.clone(), config_of_a_copy(settings));
        Worker::start(self.shared.thread_name("keeper"), move || {
            drop(opened.send(keep_in_memory(&location, &config)));
        })
        .map_err(|error| Error::new(ErrorCode::Panic, format!("no thread to keep a copy: {error}")))?;
        wait.await.unwrap_or_else(|_| Err(self.shared.lost_or_broken()))
    }

    /// Copies the database on one of its own connections.
    async fn fill(&self, location: Location, settings: &Options, max_bytes: u64) -> Result<PolicedConnection> {
        let behind_writes = !self.shared.has_readers() || self.reads_behind_writes();
        let class = if behind_writes { Class::Write } else { Class::Read(ReadKind::Session) };
        let mut lease = lease(&self.shared, class).await?;
        let config = config_of_a_copy(settings);
        let source = self.clone();
        let copied = lease.lend(shown(), move |connection, answer| {
            let may_go_on = || if answer.is_given_up() || source.is_closed() { Err(closed()) } else { Ok(()) };
            copy_into_memory(connection, &location, &config, max_bytes, &may_go_on)
        });
        copied.await
    }
}

/// What the status shows as running.
fn shown() -> &'static Arc<Query> {
    static SHOWN: OnceLock<Arc<Query>> = OnceLock::new();
    SHOWN.get_or_init(|| Query::new("-- the database is being copied into memory"))
}

fn config_of_a_copy(settings: &Options) -> ConnectionConfig {
    ConnectionConfig { readonly: false, ..connection_config(settings, &Arc::default()) }
}

impl Shared {
    /// Whether reads have connections of their own.
    pub(crate) fn has_readers(&self) -> bool {
        self.options.max_readers > 0
    }

    /// Whether no other process can change the database.
    pub(crate) fn is_in_memory(&self) -> bool {
        match self.location {
            Location::Memory(_) => true,
            Location::File(_) => false,
        }
    }

    /// The options of the database, where they make sense in memory.
    fn options_of_a_copy(&self, readonly: bool) -> Options {
        let mut pragmas = self.options.pragmas.clone();
        pragmas.extend(self.pragmas.lock().iter().cloned());
        Options {
            readonly,
            create: true,
            uri: false,
            concurrency: None,
            durability: Durability::Off,
            pragmas,
            ..self.options.clone()
        }
    }
}
