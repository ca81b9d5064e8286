//! The authorizer: obeys the policy in force, and keeps a record of what was asked.
//!
//! It is installed once in a connection's life, because installing one expires every prepared statement. What changes
//! from call to call is the [`Policy`] it reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, Ordering};

use parking_lot::Mutex;
use rusqlite::ffi;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};

use super::auth_log::{AuthLog, Seen};
use super::denial::Denial;
use super::new_file::NewFile;
use super::policy::Policy;
use super::pragma::{self, PragmaKind};

/// A part of a DML statement that reads the connection's state.
#[derive(Clone, Debug)]
pub(super) struct StateReader {
    /// The name of a trigger, a view or a common table expression: SQLite does not say which.
    pub(super) part: String,
    /// `last_insert_rowid`, `changes` or `total_changes`.
    pub(super) function: String,
}

/// The state that a connection and its authorizer share.
#[derive(Debug)]
pub struct Authorizer {
    policy: AtomicU8,
    log: AtomicU16,
    /// Whether PRAGMAs that may act are kept from acting while they are prepared.
    holding: AtomicBool,
    /// Whether the connection's state is kept from a statement that did not ask for it when it was prepared.
    hiding_state: AtomicBool,
    /// The first denial since the log was cleared: what SQLite refuses afterwards follows from it.
    denial: Mutex<Option<Denial>>,
    /// Who was let read the connection's state.
    state_readers: Mutex<Vec<StateReader>>,
    pub(super) new_file: NewFile,
}

impl Authorizer {
    /// Makes the state, with the policy that holds whenever nothing else is said.
    pub(super) fn new(policy: Policy) -> Arc<Self> {
        Arc::new(Self {
            policy: AtomicU8::new(policy as u8),
            log: AtomicU16::new(0),
            holding: AtomicBool::new(false),
            hiding_state: AtomicBool::new(false),
            denial: Mutex::default(),
            state_readers: Mutex::default(),
            new_file: NewFile::default(),
        })
    }

    /// Installs it on `conn`, once in its life.
    pub(super) fn install(self: &Arc<Self>, conn: &mut rusqlite::Connection) -> rusqlite::Result<()> {
        let state = Arc::clone(self);
        conn.authorizer(Some(move |context: AuthContext<'_>| state.authorize(&context)))
    }

    /// Returns the policy now in force.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy::from_index(self.policy.load(Ordering::Relaxed))
    }

    /// Puts `policy` in force until the guard is dropped. Prepared statements stay as they are.
    pub fn enter(&self, policy: Policy) -> PolicyGuard<'_> {
        let previous = self.policy();
        // Only who has the connection changes it, so that a load and a store are as good as an exchange, and cheaper.
        self.policy.store(policy as u8, Ordering::Relaxed);
        PolicyGuard { authorizer: self, previous }
    }

    /// Runs `prepare` while no PRAGMA acts, even where the policy allows it to.
    pub(super) fn hold_pragmas<T>(&self, prepare: impl FnOnce() -> T) -> T {
        self.holding.store(true, Ordering::Relaxed);
        let prepared = prepare();
        self.holding.store(false, Ordering::Relaxed);
        prepared
    }

    /// Keeps the connection's state from whatever is prepared, until the guard is dropped: the policy may allow it, but nobody has expected it.
    pub(crate) fn hide_state(&self) -> HiddenState<'_> {
        self.hiding_state.store(true, Ordering::Relaxed);
        HiddenState(self)
    }

    /// Whether the first denial since the log was cleared was of the connection's state.
    pub(crate) fn denied_state(&self) -> bool {
        matches!(self.denial(), Some(Denial::ConnectionState { .. }))
    }

    /// Returns what was asked since the log was cleared.
    #[must_use]
    pub fn log(&self) -> AuthLog {
        AuthLog(self.log.load(Ordering::Relaxed))
    }

    /// Returns the first denial since the log was cleared. A step can be denied too: it prepares again after a schema change.
    #[must_use]
    pub fn denial(&self) -> Option<Denial> {
        if self.log().denied() { self.denial.lock().clone() } else { None }
    }

    /// Returns the parts of the statement that read the connection's state.
    pub(super) fn state_readers(&self) -> Vec<StateReader> {
        if self.log().has(Seen::StateRead) { self.state_readers.lock().clone() } else { Vec::new() }
    }

    /// Forgets what was asked and refused.
    pub fn clear(&self) {
        if self.log().denied() {
            *self.denial.lock() = None;
        }
        if self.log().has(Seen::StateRead) {
            self.state_readers.lock().clear();
        }
        self.log.store(0, Ordering::Relaxed);
    }

    fn record(&self, seen: Seen) {
        self.log.fetch_or(seen as u16, Ordering::Relaxed);
    }

    fn deny(&self, denial: Denial) -> Authorization {
        self.record(Seen::Denied);
        self.denial.lock().get_or_insert(denial);
        Authorization::Deny
    }

    fn authorize(&self, context: &AuthContext<'_>) -> Authorization {
        if let AuthAction::Attach { filename } = context.action {
            self.new_file.attaches(filename);
        }
        let policy = self.policy();
        if policy == Policy::Internal {
            return Authorization::Allow;
        }
        if policy == Policy::Inline {
            return Authorization::Deny;
        }
        match Request::of(context) {
            Request::Read => Authorization::Allow,
            Request::Select => self.allow(Seen::Select),
            // A trigger's inserts leave the last rowid of the connection as it was.
            Request::Insert if context.accessor.is_some() => self.allow(Seen::Change),
            Request::Insert => self.allow(Seen::Insert),
            Request::Change => self.allow(Seen::Change),
            Request::Function(name) => self.function(policy, name, context.accessor),
            Request::Pragma { name, value } => self.pragma(policy, name, value),
            Request::Schema => self.allow_if(policy.allows_schema(), Seen::Schema, Denial::Schema),
            Request::VirtualTable => self.allow_if(policy.allows_schema(), Seen::VirtualTable, Denial::Schema),
            Request::Temp => self.allow_if(policy.allows_schema(), Seen::Temp, Denial::Temp),
            Request::Attach => self.allow_if(policy.allows_schema(), Seen::Attach, Denial::Attach),
            Request::Commit => self.transaction(policy, Seen::Commit),
            Request::Rollback => self.transaction(policy, Seen::Rollback),
            Request::Transaction => self.transaction(policy, Seen::Transaction),
            Request::Unknown(action) => self.deny(Denial::Unknown { action }),
        }
    }

    fn allow(&self, seen: Seen) -> Authorization {
        self.record(seen);
        Authorization::Allow
    }

    fn allow_if(&self, allowed: bool, seen: Seen, denial: Denial) -> Authorization {
        if allowed { self.allow(seen) } else { self.deny(denial) }
    }

    fn transaction(&self, policy: Policy, seen: Seen) -> Authorization {
        self.record(seen);
        self.allow_if(policy.allows_transactions(), Seen::Transaction, Denial::Transaction)
    }

    fn function(&self, policy: Policy, name: &str, accessor: Option<&str>) -> Authorization {
        if is_one_of(name, &OUTSIDE_FUNCTIONS) {
            return self.deny(Denial::Function { name: name.to_owned() });
        }
        if !is_one_of(name, &CONNECTION_STATE_FUNCTIONS) {
            return Authorization::Allow;
        }
        if self.hiding_state.load(Ordering::Relaxed) {
            return self.deny(Denial::ConnectionState { function: name.to_owned() });
        }
        if policy.allows_connection_state() {
            return self.allow(Seen::StateRead);
        }
        // Inside a trigger they speak of the statement that fired it. Whether it is a trigger is looked up afterwards.
        if let Some(accessor) = accessor.filter(|_| policy == Policy::Statement && self.log().dml()) {
            let reader = StateReader { part: accessor.to_owned(), function: name.to_owned() };
            self.state_readers.lock().push(reader);
            return self.allow(Seen::StateRead);
        }
        self.deny(Denial::ConnectionState { function: name.to_owned() })
    }

    fn pragma(&self, policy: Policy, name: &str, value: Option<&str>) -> Authorization {
        if pragma::is_reading(name, value) {
            return self.allow(Seen::PragmaRead);
        }
        let kind = pragma::kind(name);
        if !policy.allows_pragma(kind) {
            return self.deny(Denial::Pragma { name: name.to_owned(), kind });
        }
        self.record(Seen::PragmaWrite);
        if kind == PragmaKind::JournalMode {
            self.record(Seen::JournalMode);
        }
        if policy == Policy::Tail || self.holding.load(Ordering::Relaxed) {
            // SQLite makes it a statement that does nothing, and reads on.
            self.record(Seen::Held);
            return Authorization::Ignore;
        }
        Authorization::Allow
    }
}

/// Functions whose answer depends on what ran before on the connection.
const CONNECTION_STATE_FUNCTIONS: [&str; 3] = ["last_insert_rowid", "changes", "total_changes"];

/// Functions that load code, take pointers, or touch files. Some exist only where somebody registered them.
const OUTSIDE_FUNCTIONS: [&str; 5] = ["load_extension", "fts3_tokenizer", "edit", "readfile", "writefile"];

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// A policy in force; dropping it puts the one before back.
#[derive(Debug)]
#[must_use = "the policy ends when this is dropped"]
pub struct PolicyGuard<'c> {
    authorizer: &'c Authorizer,
    previous: Policy,
}

impl Drop for PolicyGuard<'_> {
    fn drop(&mut self) {
        self.authorizer.policy.store(self.previous as u8, Ordering::Relaxed);
    }
}

/// The connection's state is hidden until this is dropped.
#[must_use = "the state is hidden until this is dropped"]
pub(crate) struct HiddenState<'c>(&'c Authorizer);

impl Drop for HiddenState<'_> {
    fn drop(&mut self) {
        self.0.hiding_state.store(false, Ordering::Relaxed);
    }
}

/// An action of SQLite's authorizer, as far as the policies tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request<'a> {
    /// Reading a column, or recursion inside a SELECT: a SELECT is raised beside it.
    Read,
    Select,
    Insert,
    Change,
    Function(&'a str),
    Pragma {
        name: &'a str,
        value: Option<&'a str>,
    },
    Schema,
    VirtualTable,
    Temp,
    Attach,
    Transaction,
    Commit,
    /// Of the whole transaction.
    Rollback,
    Unknown(i32),
}

impl<'a> Request<'a> {
    fn of(context: &AuthContext<'a>) -> Self {
        let in_temp = context.database_name == Some("temp");
        match context.action {
            AuthAction::Select => Self::Select,
            AuthAction::Read { .. } | AuthAction::Recursive => Self::Read,
            AuthAction::Function { function_name } => Self::Function(function_name),
            AuthAction::Insert { .. } => Self::Insert,
            AuthAction::Update { .. } | AuthAction::Delete { .. } => Self::Change,
            AuthAction::Pragma { pragma_name, pragma_value } => Self::Pragma { name: pragma_name, value: pragma_value },
            // `rusqlite` has no name for the COMMIT that it is told of.
            AuthAction::Transaction { operation: TransactionOperation::Unknown } => Self::Commit,
            AuthAction::Transaction { operation: TransactionOperation::Rollback } => Self::Rollback,
            AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => Self::Transaction,
            AuthAction::Attach { .. } | AuthAction::Detach { .. } => Self::Attach,
            // `CREATE TABLE temp.t` is raised as an ordinary one.
            AuthAction::CreateVtable { .. }
            | AuthAction::DropVtable { .. }
            | AuthAction::CreateIndex { .. }
            | AuthAction::CreateTable { .. }
            | AuthAction::CreateTrigger { .. }
            | AuthAction::CreateView { .. }
            | AuthAction::DropIndex { .. }
            | AuthAction::DropTable { .. }
            | AuthAction::DropTrigger { .. }
            | AuthAction::DropView { .. }
                if in_temp =>
            {
                Self::Temp
            }
            AuthAction::CreateTempIndex { .. }
            | AuthAction::CreateTempTable { .. }
            | AuthAction::CreateTempTrigger { .. }
            | AuthAction::CreateTempView { .. }
            | AuthAction::DropTempIndex { .. }
            | AuthAction::DropTempTable { .. }
            | AuthAction::DropTempTrigger { .. }
            | AuthAction::DropTempView { .. }
            | AuthAction::AlterTable { database_name: "temp", .. } => Self::Temp,
            AuthAction::CreateVtable { .. } | AuthAction::DropVtable { .. } => Self::VirtualTable,
            AuthAction::CreateIndex { .. }
            | AuthAction::CreateTable { .. }
            | AuthAction::CreateTrigger { .. }
            | AuthAction::CreateView { .. }
            | AuthAction::DropIndex { .. }
            | AuthAction::DropTable { .. }
            | AuthAction::DropTrigger { .. }
            | AuthAction::DropView { .. }
            | AuthAction::AlterTable { .. }
            | AuthAction::Reindex { .. }
            | AuthAction::Analyze { .. } => Self::Schema,
            AuthAction::Unknown { code, .. } => Self::of_code(code),
            _ => Self::Unknown(-1),
        }
    }

    /// Tells the actions that `rusqlite` gives no name because an argument is not there: `ATTACH ?1 AS x` has no file name yet.
    fn of_code(code: i32) -> Self {
        match code {
            ffi::SQLITE_ATTACH | ffi::SQLITE_DETACH => Self::Attach,
            ffi::SQLITE_DELETE | ffi::SQLITE_UPDATE => Self::Change,
            ffi::SQLITE_INSERT => Self::Insert,
            ffi::SQLITE_TRANSACTION | ffi::SQLITE_SAVEPOINT => Self::Transaction,
            ffi::SQLITE_READ => Self::Read,
            ffi::SQLITE_REINDEX | ffi::SQLITE_ANALYZE | ffi::SQLITE_ALTER_TABLE => Self::Schema,
            _ => Self::Unknown(code),
        }
    }
}
