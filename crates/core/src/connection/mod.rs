//! Connections with a policy: how they are opened, and what may run on which.
//!
//! SQLite decides what a statement does, never a look at its text: it is prepared under an authorizer that records what
//! it asks for and refuses, at once, what may not act there. A text is looked at only to guess who is asked first.

mod auth_log;
mod authorizer;
pub mod build;
mod classify;
mod commits;
mod copy;
mod deferred;
mod denial;
mod first_word;
mod foreign_keys;
pub mod identity;
mod log_writes;
mod memory;
mod new_file;
mod noticed;
mod open;
mod policy;
pub mod pragma;
mod step_limit;
mod wal_index;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};
use noticed::Noticed;

pub use auth_log::AuthLog;
pub use authorizer::{Authorizer, PolicyGuard};
pub use classify::{Classified, PrepareError, Route, prepare, prepare_next};
pub use commits::Bell;
use commits::BellSlot;
pub use copy::{MAX_MEMORY_BYTES, copy_into_memory, keep_in_memory};
pub use denial::Denial;
pub(crate) use first_word::may_control_transactions;
pub use identity::{FileIdentity, require_no_link};
pub(crate) use identity::{file_size, hard_links};
pub(crate) use log_writes::gather;
pub use memory::{memory_used, trim_memory};
pub(crate) use open::names_uri;
pub use open::{
    ConnectionConfig, Durability, JournalMode, Location, Role, WalRequest, apply_durability, check_pragmas,
    journal_mode, open_reader, open_writer,
};
pub use policy::Policy;
pub(crate) use step_limit::Limited;
use step_limit::StepLimit;
pub(crate) use wal_index::{WalHeader, WalIndex};

/// A connection whose authorizer obeys the [`Policy`] in force.
///
/// A writer rests under [`Policy::Statement`], a reader under [`Policy::Reader`].
#[derive(Debug)]
pub struct PolicedConnection {
    /// `None` only while it is being closed.
    conn: Option<rusqlite::Connection>,
    authorizer: Arc<Authorizer>,
    role: Role,
    interrupted: Arc<AtomicBool>,
    /// Of the write-ahead log, after the last commit on this connection.
    wal_pages: Arc<AtomicU32>,
    /// What its commits ring.
    bell: BellSlot,
    foreign_keys_suspended: Cell<bool>,
    noticed: Arc<Noticed>,
    step_limit: Arc<StepLimit>,
}

impl PolicedConnection {
    /// Returns the connection itself. What is prepared on it is under the policy in force.
    #[must_use]
    pub fn raw(&self) -> &rusqlite::Connection {
        self.conn.as_ref().expect("BUG: a connection is used that is being closed")
    }

    /// Returns the connection itself, to install hooks on it. The authorizer and the busy handler must stay.
    pub fn raw_mut(&mut self) -> &mut rusqlite::Connection {
        self.conn.as_mut().expect("BUG: a connection is used that is being closed")
    }

    /// Returns the policy in force, and the log of what was asked.
    #[must_use]
    pub fn authorizer(&self) -> &Authorizer {
        &self.authorizer
    }

    /// Puts `policy` in force until the guard is dropped, for one statement. Prepared statements stay as they are.
    pub fn with_policy(&self, policy: Policy) -> PolicyGuard<'_> {
        self.noticed.begins();
        self.authorizer.enter(policy)
    }

    /// Returns what it was opened as.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Returns the flag that ends a wait for another process's lock. Whoever sets it takes it back.
    #[must_use]
    pub fn interrupted(&self) -> &Arc<AtomicBool> {
        &self.interrupted
    }

    /// Returns the error of an interrupt that came between two statements, which SQLite forgets.
    ///
    /// # Errors
    /// `SQLITE_INTERRUPT`.
    pub fn expect_not_interrupted(&self) -> Result<()> {
        if !self.interrupted.load(Ordering::SeqCst) {
            return Ok(());
        }
        let interrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERRUPT);
        Err(Error::from_sqlite(&rusqlite::Error::SqliteFailure(interrupt, None)))
    }

    /// Returns how often and for how long it has waited for other processes since this was last asked, if it has.
    #[inline]
    pub(crate) fn take_busy(&self) -> Option<(u64, Duration)> {
        self.noticed.take_busy()
    }

    /// Whether statements have made a thousand steps or more since this was asked last.
    #[inline]
    pub(crate) fn take_stepped(&self) -> bool {
        self.noticed.take_stepped()
    }

    /// Returns whether a transaction was rolled back since this was last asked.
    pub(crate) fn take_rolled_back(&self) -> bool {
        self.noticed.take_rolled_back()
    }

    /// Interrupts what runs when SQLite has asked `calls` times whether to go on, which it does after every 1,000 steps of its virtual
    /// machine, and has it wait for no other process; until the guard is dropped.
    pub(crate) fn limit_steps(&self, calls: u32) -> Limited<'_> {
        self.step_limit.begin(calls)
    }

    /// Returns how many pages the write-ahead log had after the last commit on this connection.
    #[must_use]
    pub fn wal_pages(&self) -> u32 {
        self.wal_pages.load(Ordering::Relaxed)
    }

    /// Has `bell` rung when something is committed on this connection: before and after that with a write-ahead log, else only before.
    /// A connection has one bell for life.
    pub fn ring_at_commit(&self, bell: &Arc<Bell>) {
        drop(self.bell.set(Arc::clone(bell)));
    }

    /// Returns whether the file can only be read: it was opened so, or its permissions say so.
    ///
    /// # Errors
    /// SQLite's.
    pub fn is_readonly(&self) -> Result<bool> {
        Ok(self.raw().is_readonly(rusqlite::MAIN_DB)?)
    }

    /// Reads the schema again if another connection changed it.
    ///
    /// # Errors
    /// SQLite's, among them those of a file that is no database, or whose schema is corrupt.
    pub fn refresh_schema(&self) -> Result<()> {
        let _policy = self.with_policy(Policy::Internal);
        Ok(self.raw().query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?)
    }

    /// Returns whether it holds temporary objects or attached databases, which no other connection sees.
    ///
    /// # Errors
    /// SQLite's.
    pub fn holds_private_objects(&self) -> Result<bool> {
        let _policy = self.with_policy(Policy::Internal);
        let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_temp_schema) \
                   OR EXISTS (SELECT 1 FROM pragma_database_list WHERE name NOT IN ('main', 'temp'))";
        Ok(self.raw().query_row(sql, [], |row| row.get(0))?)
    }

    /// Returns whether it has databases beside its own and the temporary one: <https://sqlite.org/c3ref/db_name.html>.
    pub(crate) fn has_attached(&self) -> bool {
        const FIRST_ATTACHED: usize = 2;
        self.raw().db_name(FIRST_ATTACHED).is_ok()
    }

    /// Returns whether `name` is a trigger, in whichever database of this connection.
    fn is_trigger(&self, name: &str) -> Result<bool> {
        let _policy = self.with_policy(Policy::Internal);
        let mut databases = self.raw().prepare("SELECT name FROM pragma_database_list")?;
        let databases: Vec<String> = databases.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        for database in databases {
            let quoted = database.replace('"', "\"\"");
            let sql =
                format!("SELECT 1 FROM \"{quoted}\".sqlite_schema WHERE type = 'trigger' AND name = ?1 COLLATE NOCASE");
            if self.raw().prepare(&sql)?.exists([name])? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Closes it, and returns it with SQLite's error when a statement is still open.
    ///
    /// # Errors
    /// SQLite's, with the connection, so that closing can be tried again.
    #[expect(clippy::result_large_err, reason = "the connection comes back, so that closing can be tried again")]
    pub fn close(mut self) -> Result<(), (Self, Error)> {
        let Some(conn) = self.take() else { return Ok(()) };
        conn.close().map_err(|(conn, error)| {
            self.conn = Some(conn);
            (self, Error::from_sqlite(&error))
        })
    }

    /// Takes the connection out, to be closed. SQLite frees what the hook has before it rolls back a transaction that is open, and would
    /// call the hook then.
    fn take(&mut self) -> Option<rusqlite::Connection> {
        let mut conn = self.conn.take()?;
        drop(conn.rollback_hook(None::<fn()>));
        Some(conn)
    }
}

impl Drop for PolicedConnection {
    fn drop(&mut self) {
        drop(self.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_that_comes_with_the_commit_stops_the_next_statement_and_not_this_one() -> Result<()> {
        let dir = tempfile::TempDir::new().expect("a temporary directory");
        let location = Location::File(dir.path().join("app.db"));
        let (mut connection, _) = open_writer(&location, &ConnectionConfig::default(), WalRequest::Required)?;
        // Between two questions whether to go on SQLite makes 1,000 steps; checks of columns are steps among which it does not ask.
        for columns in [3, 400, 900, 1_900] {
            let list = |item: &dyn Fn(usize) -> String| (0..columns).map(item).collect::<Vec<_>>().join(", ");
            let (table, values) = (list(&|i| format!("c{i} NOT NULL")), list(&|i| i.to_string()));
            let (noticed, stop) = (Arc::clone(&connection.noticed), Arc::clone(connection.interrupted()));
            connection.raw_mut().commit_hook(None::<fn() -> bool>)?;
            {
                let _policy = connection.with_policy(Policy::Internal);
                connection.raw().execute_batch(&format!("DROP TABLE IF EXISTS t; CREATE TABLE t({table})"))?;
            }
            connection.raw_mut().commit_hook(Some(move || {
                noticed.commits();
                stop.store(true, Ordering::SeqCst);
                false
            }))?;
            {
                let _policy = connection.with_policy(Policy::Internal);
                let inserted = connection.raw().execute(&format!("INSERT INTO t VALUES ({values})"), []);
                assert_eq!(inserted, Ok(1), "{columns} columns");
            }
            let _policy = connection.with_policy(Policy::Internal);
            let next = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) SELECT max(i) FROM n";
            let read = connection.raw().query_row(next, [], |_| Ok(()));
            let code = read.expect_err("it is stopped").sqlite_error_code();
            assert_eq!(code, Some(rusqlite::ErrorCode::OperationInterrupted), "{columns} columns");
            connection.interrupted().store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    #[test]
    fn a_connection_that_is_dropped_within_a_transaction_rolls_it_back_and_tells_nobody() -> Result<()> {
        let dir = tempfile::TempDir::new().expect("a temporary directory");
        let location = Location::File(dir.path().join("app.db"));
        let open = || open_writer(&location, &ConnectionConfig::default(), WalRequest::Required);
        let (kept, _) = open()?;
        // The memory that the hook would write to is given to others at once.
        for _ in 0..100 {
            let (dropped, _) = open()?;
            let policy = dropped.with_policy(Policy::Internal);
            dropped.raw().execute_batch("BEGIN IMMEDIATE; CREATE TABLE t(x)")?;
            drop(policy);
            drop(dropped);
            drop(vec![vec![0_u8; 64]; 64]);
        }
        let policy = kept.with_policy(Policy::Internal);
        assert!(kept.raw().execute_batch("SELECT * FROM t").is_err(), "it was rolled back");
        drop(policy);
        assert!(kept.close().is_ok());
        Ok(())
    }
}
