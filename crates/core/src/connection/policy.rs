//! What a statement may ask of a connection, by who asks.

use super::pragma::PragmaKind;

/// Who asks, and so what is allowed.
///
/// | | DML | schema, temp, ATTACH | transactions | connection state | PRAGMA that acts |
/// |---|---|---|---|---|---|
/// | `Internal` | yes | yes | yes | yes | all |
/// | `Reader` | recorded | no | no | no | none |
/// | `Statement` | yes | yes | no | no | `Database`, `JournalMode` |
/// | `Grouped` | yes | no | no | no | none |
/// | `Transaction` | yes | yes | no | yes | `Database`, `Transaction` |
/// | `Script`, `Lease` | yes | yes | yes | yes | `Database`, `Transaction` |
/// | `Exclusive` | yes | yes | yes | yes | `Database`, `Transaction`, `JournalMode` |
/// | `Inline` | no | no | no | no | none |
/// | `Tail` | yes | yes | yes | yes | all, but they do nothing |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Policy {
    /// The driver's own SQL.
    Internal,
    /// Anything on a reader.
    Reader,
    /// A statement that was prepared as `Reader` and is stepped on the thread of its caller. Nothing may be prepared there, not even anew.
    Inline,
    /// One statement on the shared writer, outside any transaction.
    Statement,
    /// One statement that shares a transaction with those of other callers, without seeing anything of it.
    Grouped,
    /// One statement inside a transaction that the driver began and will end.
    Transaction,
    /// A script, which has the writer until its end.
    Script,
    /// A write lease, whose holder says when a transaction begins and ends.
    Lease,
    /// A lease with every other connection out of the database.
    Exclusive,
    /// Text that is prepared only to see where it ends. Nothing of it may act in `prepare`.
    Tail,
}

impl Policy {
    const ALL: [Self; 10] = [
        Self::Internal,
        Self::Reader,
        Self::Inline,
        Self::Statement,
        Self::Grouped,
        Self::Transaction,
        Self::Script,
        Self::Lease,
        Self::Exclusive,
        Self::Tail,
    ];

    pub(super) fn from_index(index: u8) -> Self {
        *Self::ALL.get(usize::from(index)).expect("BUG: a policy is stored by its own index")
    }

    /// Whether schema changes, temporary objects and attached databases are allowed.
    pub(super) fn allows_schema(self) -> bool {
        match self {
            Self::Reader | Self::Inline | Self::Grouped => false,
            Self::Internal
            | Self::Statement
            | Self::Transaction
            | Self::Script
            | Self::Lease
            | Self::Exclusive
            | Self::Tail => true,
        }
    }

    /// Whether the text may begin and end transactions.
    pub(super) fn allows_transactions(self) -> bool {
        match self {
            Self::Reader | Self::Inline | Self::Statement | Self::Grouped | Self::Transaction => false,
            Self::Internal | Self::Script | Self::Lease | Self::Exclusive | Self::Tail => true,
        }
    }

    /// Whether what earlier statements left on the connection is the caller's own.
    pub(super) fn allows_connection_state(self) -> bool {
        match self {
            Self::Reader | Self::Inline | Self::Statement | Self::Grouped => false,
            Self::Internal | Self::Transaction | Self::Script | Self::Lease | Self::Exclusive | Self::Tail => true,
        }
    }

    /// Whether a PRAGMA of this kind may act.
    pub(super) fn allows_pragma(self, kind: PragmaKind) -> bool {
        match kind {
            PragmaKind::Database => self.allows_schema(),
            PragmaKind::Transaction => self.allows_schema() && self.allows_connection_state(),
            PragmaKind::JournalMode => {
                matches!(self, Self::Internal | Self::Statement | Self::Exclusive | Self::Tail)
            }
            PragmaKind::Reading
            | PragmaKind::PerConnection
            | PragmaKind::DriverOwned
            | PragmaKind::Process
            | PragmaKind::Unknown => matches!(self, Self::Internal | Self::Tail),
        }
    }
}
