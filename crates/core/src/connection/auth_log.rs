//! What a statement asked for while it was prepared.

/// One thing a statement asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Seen {
    Select = 1,
    Insert = 1 << 1,
    /// An update, a deletion, or an insert by a trigger.
    Change = 1 << 2,
    Schema = 1 << 3,
    Temp = 1 << 4,
    Attach = 1 << 5,
    Transaction = 1 << 6,
    PragmaRead = 1 << 7,
    PragmaWrite = 1 << 8,
    JournalMode = 1 << 9,
    VirtualTable = 1 << 10,
    Denied = 1 << 11,
    /// A PRAGMA that was made a statement that does nothing.
    Held = 1 << 12,
    /// The connection's state, where the policy allows it, or by a part of a DML statement that may be a trigger.
    StateRead = 1 << 13,
    Commit = 1 << 14,
    Rollback = 1 << 15,
}

/// What a statement asked for, since the log was last cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthLog(pub(super) u16);

impl AuthLog {
    /// Nothing was asked.
    pub const EMPTY: Self = Self(0);

    pub(super) fn has(self, seen: Seen) -> bool {
        self.0 & seen as u16 != 0
    }

    /// Returns whether nothing was asked: `VACUUM`, and `REINDEX` or `DROP … IF EXISTS` with nothing to do.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether a SELECT was seen.
    #[must_use]
    pub fn select(self) -> bool {
        self.has(Seen::Select)
    }

    /// Returns whether rows are inserted, in a table of the user's or of the schema.
    #[must_use]
    pub fn insert(self) -> bool {
        self.has(Seen::Insert)
    }

    /// Returns whether rows are inserted, updated or deleted, in a table of the user's or of the schema.
    #[must_use]
    pub fn dml(self) -> bool {
        self.has(Seen::Insert) || self.has(Seen::Change)
    }

    /// Returns whether there is both an insert and another change, of which one may be a virtual table's own.
    pub(super) fn is_ambiguous(self) -> bool {
        self.has(Seen::Insert) && self.has(Seen::Change)
    }

    /// Returns whether the schema changes, temporary objects and virtual tables included.
    #[must_use]
    pub fn ddl(self) -> bool {
        self.has(Seen::Schema) || self.has(Seen::Temp) || self.has(Seen::VirtualTable)
    }

    /// Returns whether a temporary object is made, changed or dropped.
    #[must_use]
    pub fn temp(self) -> bool {
        self.has(Seen::Temp)
    }

    /// Returns whether a database is attached or detached.
    #[must_use]
    pub fn attach(self) -> bool {
        self.has(Seen::Attach)
    }

    /// Returns whether a transaction or savepoint begins or ends.
    #[must_use]
    pub fn transaction(self) -> bool {
        self.has(Seen::Transaction)
    }

    /// Returns whether it is `COMMIT` or `END`.
    #[must_use]
    pub fn commits(self) -> bool {
        self.has(Seen::Commit)
    }

    /// Returns whether it is `ROLLBACK` of the whole transaction.
    #[must_use]
    pub fn rolls_back(self) -> bool {
        self.has(Seen::Rollback)
    }

    /// Returns whether a PRAGMA was read.
    #[must_use]
    pub fn pragma_read(self) -> bool {
        self.has(Seen::PragmaRead)
    }

    /// Returns whether a PRAGMA was allowed to act.
    #[must_use]
    pub fn pragma_write(self) -> bool {
        self.has(Seen::PragmaWrite)
    }

    /// Returns whether the journal mode was set.
    #[must_use]
    pub fn journal_mode(self) -> bool {
        self.has(Seen::JournalMode)
    }

    /// Returns whether a virtual table is made or dropped.
    #[must_use]
    pub fn virtual_table(self) -> bool {
        self.has(Seen::VirtualTable)
    }

    /// Returns whether `last_insert_rowid()`, `changes()` or `total_changes()` was read, by the statement or a trigger.
    #[must_use]
    pub fn state_read(self) -> bool {
        self.has(Seen::StateRead)
    }

    /// Returns whether something was refused. [`Authorizer::denial`](super::Authorizer::denial) says what.
    #[must_use]
    pub fn denied(self) -> bool {
        self.has(Seen::Denied)
    }

    /// Returns whether a PRAGMA that may act was kept from acting.
    pub(super) fn held(self) -> bool {
        self.has(Seen::Held)
    }

    /// Returns whether PRAGMAs were read and nothing else was asked.
    #[must_use]
    pub fn only_pragma_read(self) -> bool {
        self.0 == Seen::PragmaRead as u16
    }

    /// Returns whether nothing but SELECTs, DML actions and PRAGMA readings was asked.
    ///
    /// DML actions are among them because R-tree and FTS tables raise them while connecting.
    #[must_use]
    pub fn only_reads_or_dml(self) -> bool {
        let harmless = Seen::StateRead as u16
            | Seen::Select as u16
            | Seen::Insert as u16
            | Seen::Change as u16
            | Seen::PragmaRead as u16;
        self.0 & !harmless == 0
    }
}
