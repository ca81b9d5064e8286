//! What is asked of the gate, and what it answers.

/// Names one queued request. A later request has a greater ticket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

impl Ticket {
    /// Returns the ticket of the request so many after this one, of those that one waiter stands for.
    #[must_use]
    pub fn after(self, requests: usize) -> Self {
        Self(self.0 + requests as u64)
    }
}

/// Says whether a write can run beside reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// Reads and writes never wait for each other; only an exclusive request drains both.
    Wal,
    /// Reads and writes alternate: in-memory databases, and every journal mode but WAL.
    Exclusive,
}

/// Says what a request wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Reads on a reader.
    Read(ReadKind),
    /// Writes on the writer.
    Write,
    /// Has the database for itself.
    Exclusive,
}

/// Says how long a read may hold its reader, and what it holds already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadKind {
    /// One statement.
    Short,
    /// One statement that is expected to take about as long as it takes to hand it over, so that few of them share one reader.
    Quick,
    /// A lease held over several statements.
    Session,
    /// One statement of a context that holds a read permit: it passes waiting writers, because they wait for that context.
    ///
    /// The permit held should be a session's. Short and quick ones leave no reader over for what is nested in them.
    Nested,
}

/// One queued request that runs now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The ticket it waited under: the read's, for a statement that was not classified.
    pub ticket: Ticket,
    /// The permit that is out for it.
    pub class: Class,
}

/// Answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// The permit is out: it comes back through [`Admission::on_release`](super::admission::Admission::on_release).
    Admitted,
    /// The request waits under this ticket.
    Queued(Ticket),
    /// The queue is full. Nothing was changed.
    Overloaded,
    /// The gate is draining or closed. Nothing was changed.
    Closed,
}

/// Answers the request of a statement that is not yet known to be a read or a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum UnclassifiedDecision {
    /// A short read permit is out, and a place in the write queue is taken.
    Admitted {
        /// The place.
        place: Ticket,
    },
    /// The write permit is out, because no reader is free and the writer is. There is no place.
    AdmittedAsWrite,
    /// A short read waits, and a place in the write queue is taken. Whichever may run first admits the statement, under the
    /// ticket of the read.
    Queued {
        /// The place.
        place: Ticket,
        /// The waiting read.
        read: Ticket,
    },
    /// The queue has no room for what would have to wait. Nothing was changed.
    Overloaded,
    /// The gate is draining or closed. Nothing was changed.
    Closed,
}
