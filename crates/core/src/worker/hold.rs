//! One snapshot for a burst of inline reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Current, Message, Worker};
use crate::connection::{PolicedConnection, WalHeader, WalIndex};
use crate::error::{Error, ErrorCode, Result};
use crate::query::{Query, Request};
use crate::statement::{Answer, Kept, NotInline, Statements, internal};

/// Two inline reads of which the second begins this soon after the first are a burst.
const SOON: Duration = Duration::from_micros(20);

/// How often the number of reads doubles that have to come soon before one leaves its snapshot open: 1 becomes 16.
const DOUBLINGS: u32 = 4;

/// After how many reads that did not come soon a doubling is taken back.
const PARDON: u32 = 16;

/// A read transaction that a connection keeps open from one inline read to the next.
///
/// To begin and end one takes two locks on the log's index, which cost more than a point read. So the second read of a burst leaves its own
/// open; a later one, where earlier ones have done so for nothing. The next one first looks whether anything has been committed since, as
/// SQLite does when a transaction begins: if not, it runs in the one that is open, and sees what it would see in one of its own. If so, that
/// one is ended, and another begun.
///
/// | from | to | when |
/// |---|---|---|
/// | closed | begun | a read comes soon after another |
/// | begun | open | it has run, and nothing was committed meanwhile |
/// | open | open | a read has run in it, before which nothing had been committed |
/// | begun, open | closed | a read failed, or something was committed, or somebody wants it closed |
pub(crate) struct Hold<'c> {
    worker: &'c Worker,
    connection: &'c PolicedConnection,
    /// How many holds of the database are open.
    holds: &'c AtomicUsize,
    /// Where to see commits. `None`: nothing is ever held.
    index: Option<WalIndex<'c>>,
    begin: Kept<'c>,
    end: Kept<'c>,
    state: State<'c>,
    /// When the last inline read began.
    last: Option<Instant>,
    /// How many have come soon, one after another.
    soon: u32,
    /// How many snapshots in a row were left open for nobody.
    wasted: u32,
    /// How many reads have not come soon since the last pardon.
    pauses: u32,
}

enum State<'c> {
    Closed,
    /// The transaction was begun for the read that runs. What had been committed then is in it.
    Begun(WalHeader),
    /// Exactly what had been committed then is in it.
    Open {
        seen: WalHeader,
        used: bool,
        _shown: Shown<'c>,
    },
}

/// What a worker shows of its hold, until this is dropped.
struct Shown<'c> {
    worker: &'c Worker,
    holds: &'c AtomicUsize,
}

impl<'c> Shown<'c> {
    fn new(worker: &'c Worker, holds: &'c AtomicUsize, query: &Arc<Query>, since: Instant) -> Self {
        *worker.held.0.lock() = Some(Current { query: Arc::clone(query), since });
        holds.fetch_add(1, Ordering::SeqCst);
        Self { worker, holds }
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        let before = self.holds.fetch_sub(1, Ordering::SeqCst);
        debug_assert!(before > 0, "BUG: I5 a hold ended twice");
        *self.worker.held.0.lock() = None;
    }
}

/// What holds a worker's snapshot open: the read that began it, and when.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<Option<Current>>);

/// In which snapshot an inline read ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RanIn {
    /// One of its own.
    Own,
    /// One that it has left open.
    Left,
    /// One that a read before it had left open.
    Found,
}

impl<'c> Hold<'c> {
    /// Begins closed. `worker` serves `connection`, and `holds` counts those of the whole database.
    pub(super) fn new(worker: &'c Worker, connection: &'c PolicedConnection, holds: &'c AtomicUsize) -> Self {
        let (begin, end) = (Kept::new("BEGIN"), Kept::new("COMMIT"));
        let index = WalIndex::of(connection);
        Self {
            worker,
            connection,
            holds,
            index,
            begin,
            end,
            state: State::Closed,
            last: None,
            soon: 0,
            wasted: 0,
            pauses: 0,
        }
    }

    /// Makes ready for a read that begins at `now`.
    ///
    /// # Errors
    /// The connection must not be used.
    fn before(&mut self, now: Instant) -> Result<RanIn> {
        let last = self.last.replace(now);
        let Some(index) = &self.index else { return Ok(RanIn::Own) };
        if let State::Open { seen, used, .. } = &mut self.state
            && index.header() == Some(*seen)
        {
            *used = true;
            return Ok(RanIn::Found);
        }
        self.end()?;
        let is_soon = last.is_some_and(|last| now.saturating_duration_since(last) < SOON);
        self.soon = if is_soon { self.soon + 1 } else { 0 };
        if !is_soon {
            self.pause();
        }
        if self.soon < self.asked() {
            return Ok(RanIn::Own);
        }
        let Some(header) = self.index.as_ref().and_then(WalIndex::header) else { return Ok(RanIn::Own) };
        self.soon = 0;
        // SQLite takes the snapshot with the first read, and so not before the header was seen.
        self.begin.run(self.connection)?;
        self.state = State::Begun(header);
        Ok(RanIn::Left)
    }

    /// How many reads have to come soon. One more every other time: the last of each turn of an event loop, always, would leave its own
    /// for nobody.
    fn asked(&self) -> u32 {
        (1 << self.wasted.min(DOUBLINGS)) + (self.wasted & 1)
    }

    /// Bursts that are too short for what is asked are met again now and then.
    fn pause(&mut self) {
        self.pauses += 1;
        if self.pauses == PARDON {
            self.pauses = 0;
            self.wasted = self.wasted.min(DOUBLINGS).saturating_sub(1);
        }
    }

    /// Keeps the snapshot after a read that ran in it, or ends it. Returns in which it ran.
    ///
    /// # Errors
    /// The connection must not be used.
    fn after(&mut self, succeeded: bool, query: &Arc<Query>, began: Instant) -> Result<RanIn> {
        match &self.state {
            State::Closed => Ok(RanIn::Own),
            State::Open { .. } if succeeded => Ok(RanIn::Found),
            State::Begun(seen) if succeeded && self.index.as_ref().and_then(WalIndex::header) == Some(*seen) => {
                let shown = Shown::new(self.worker, self.holds, query, began);
                self.state = State::Open { seen: *seen, used: false, _shown: shown };
                Ok(RanIn::Left)
            }
            State::Begun(_) | State::Open { .. } => self.end().map(|()| RanIn::Own),
        }
    }

    /// Ends what is held, if anything is.
    ///
    /// # Errors
    /// The connection must not be used, but this may be tried again.
    pub(super) fn end(&mut self) -> Result<()> {
        if matches!(self.state, State::Closed) {
            return Ok(());
        }
        let ended = self.end.run(self.connection).or_else(|_| internal(self.connection, "ROLLBACK"));
        if !self.connection.raw().is_autocommit() {
            let unexplained = || Error::new(ErrorCode::Panic, "a read transaction does not end");
            return Err(ended.err().unwrap_or_else(unexplained));
        }
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open { used: true, .. } => self.wasted = 0,
            State::Open { used: false, .. } => self.wasted = self.wasted.wrapping_add(1),
            State::Begun(_) | State::Closed => {}
        }
        Ok(())
    }
}

/// Nothing is held, and counted as held, beyond it.
impl Drop for Hold<'_> {
    fn drop(&mut self) {
        drop(self.end());
    }
}

/// What an inline read needs of a connection: what its own thread lends.
pub(crate) struct Desk<'l, 'c> {
    pub(super) statements: &'l mut Statements<'c>,
    pub(super) hold: &'l mut Hold<'c>,
}

impl Desk<'_, '_> {
    /// Runs a read that begins at `now`, as [`Statements::read_inline`], in the snapshot that is held, if that is as good as one of its own.
    pub(crate) fn read(&mut self, request: &Request, now: Instant) -> Result<(Answer, RanIn), NotInline> {
        self.hold.before(now).map_err(|_| NotInline::Stuck)?;
        let answer = self.statements.read_inline(request);
        let ran_in = self.hold.after(answer.is_ok(), &request.query, now).map_err(|_| NotInline::Stuck)?;
        answer.map(|answer| (answer, ran_in))
    }
}

impl Worker {
    /// Returns what holds a snapshot open, if anything does.
    pub(crate) fn held(&self) -> Option<Current> {
        self.held.0.lock().clone()
    }

    /// Ends the hold on this thread, if the connection is to be had, or has the worker's own thread end it.
    pub(crate) fn end_hold_here(&self) {
        let ended = self.borrow(|desk| desk.hold.end().is_ok());
        if ended != Some(true) && self.held().is_some() {
            drop(self.end_hold());
        }
    }

    /// Has the worker's own thread end the hold. The receiver ends when it has.
    pub(crate) fn end_hold(&self) -> oneshot::Receiver<()> {
        let (receipt, ended) = oneshot::channel();
        drop(self.send(Message::EndHold(receipt)));
        ended
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::TestCaseError;
    use tempfile::TempDir;

    use super::*;
    use crate::connection::{ConnectionConfig, Durability, Location, Policy, WalRequest, open_reader, open_writer};
    use crate::metrics::CacheCounts;
    use crate::params::Params;
    use crate::rows::Limits;

    const LIMITS: Limits = Limits { max_result_bytes: 1_000, max_text_bytes: 1_000 };

    fn writer_and_reader() -> Result<(TempDir, PolicedConnection, PolicedConnection)> {
        let dir = TempDir::new().expect("a temporary directory");
        let location = Location::File(dir.path().join("app.db"));
        let config = ConnectionConfig { durability: Durability::Off, ..ConnectionConfig::default() };
        let (writer, _) = open_writer(&location, &config, WalRequest::Required)?;
        internal(&writer, "CREATE TABLE t(x)")?;
        let reader = open_reader(&location, &config)?;
        Ok((dir, writer, reader))
    }

    fn statements<'c>(reader: &'c PolicedConnection, reads: &[&Request]) -> Statements<'c> {
        let mut statements = Statements::new(reader, 8, LIMITS, Arc::new(CacheCounts::default()).of_connection());
        for read in reads {
            assert!(statements.class(&read.query, Policy::Reader).is_ok(), "it can be prepared");
        }
        statements
    }

    fn request(sql: &str) -> Request {
        Request::new(Query::new(sql), Params::none())
    }

    #[test]
    fn a_read_that_comes_soon_leaves_its_snapshot_open_and_what_does_not_end_is_said_to_be_stuck() -> Result<()> {
        let (_dir, writer, reader) = writer_and_reader()?;
        let (worker, holds) = (Worker::new("reader.1"), AtomicUsize::new(0));
        let read = request("SELECT count(*) FROM t");
        let mut statements = statements(&reader, &[&read]);
        let mut desk = Desk { statements: &mut statements, hold: &mut Hold::new(&worker, &reader, &holds) };
        let now = Instant::now();
        let mut ran_in = |after: Duration| desk.read(&read, now + after).map(|(_, ran_in)| ran_in);
        assert_eq!(ran_in(Duration::ZERO), Ok(RanIn::Own));
        assert_eq!(ran_in(SOON), Ok(RanIn::Own));
        assert_eq!(ran_in(SOON * 3 / 2), Ok(RanIn::Left));
        assert_eq!(ran_in(SOON * 10), Ok(RanIn::Found), "it is open, whenever the next one comes");
        assert_eq!((holds.load(Ordering::SeqCst), worker.held().is_some()), (1, true));

        // Whoever is interrupted while a statement runs can do nothing until that has ended.
        let mut running = reader.raw().prepare("SELECT 1 UNION SELECT 2")?;
        let mut rows = running.raw_query();
        assert!(rows.next()?.is_some());
        reader.raw().get_interrupt_handle().interrupt();
        internal(&writer, "INSERT INTO t VALUES (1)")?;
        assert_eq!(ran_in(SOON * 10), Err(NotInline::Stuck));
        assert_eq!(holds.load(Ordering::SeqCst), 1);
        drop(rows);
        drop(running);
        assert_eq!(ran_in(SOON * 10), Ok(RanIn::Left), "a commit was seen");
        desk.hold.end()?;
        assert_eq!((holds.load(Ordering::SeqCst), worker.held().is_some()), (0, false));
        Ok(())
    }

    #[test]
    fn where_nobody_uses_what_is_left_open_it_is_left_open_seldom() -> Result<()> {
        let (_dir, _writer, reader) = writer_and_reader()?;
        let (worker, holds) = (Worker::new("reader.1"), AtomicUsize::new(0));
        let read = request("SELECT count(*) FROM t");
        let mut statements = statements(&reader, &[&read]);
        let mut desk = Desk { statements: &mut statements, hold: &mut Hold::new(&worker, &reader, &holds) };
        let now = Instant::now();
        let mut left = 0;
        for _ in 0..160 {
            if desk.read(&read, now).is_ok_and(|(_, ran_in)| ran_in == RanIn::Left) {
                left += 1;
                desk.hold.end()?;
            }
        }
        assert!((8..=16).contains(&left), "{left} times");
        for reads in 2..=20 {
            let mut found = 0;
            for _turn in 0..100 {
                for _ in 0..reads {
                    found += u32::from(desk.read(&read, now).is_ok_and(|(_, ran_in)| ran_in == RanIn::Found));
                }
                desk.hold.end()?;
            }
            assert!(found >= 80 * (reads - 1), "{found} of 100 times {reads} found one open");
            // Forgets it.
            desk.hold.wasted = 6 + (reads & 1);
        }
        Ok(())
    }

    #[test]
    fn short_bursts_with_pauses_between_them_are_not_given_up_for_good() -> Result<()> {
        let (_dir, _writer, reader) = writer_and_reader()?;
        let (worker, holds) = (Worker::new("reader.1"), AtomicUsize::new(0));
        let read = request("SELECT count(*) FROM t");
        let mut statements = statements(&reader, &[&read]);
        let mut desk = Desk { statements: &mut statements, hold: &mut Hold::new(&worker, &reader, &holds) };
        desk.hold.wasted = 100;
        let (mut now, mut found) = (Instant::now(), 0);
        for _turn in 0..200 {
            now += SOON;
            for _ in 0..3 {
                found += u32::from(desk.read(&read, now).is_ok_and(|(_, ran_in)| ran_in == RanIn::Found));
            }
            desk.hold.end()?;
        }
        assert!(found > 100, "{found} found one open");
        Ok(())
    }

    /// What may happen to a reader between and during inline reads.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// A read, so many microseconds after the last one.
        Read(u64),
        /// One that fails.
        Fail(u64),
        /// Another connection commits.
        Commit,
        /// Another connection writes, and rolls back.
        Undo,
        /// The log is moved into the database, as far as that goes.
        Checkpoint,
        /// Somebody ends what is held.
        End,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0_u64..30).prop_map(Step::Read),
            1 => (0_u64..30).prop_map(Step::Fail),
            2 => Just(Step::Commit),
            1 => Just(Step::Undo),
            1 => Just(Step::Checkpoint),
            1 => Just(Step::End),
        ]
    }

    fn follow(steps: &[Step]) -> Result<(), TestCaseError> {
        let broken = |error: Error| TestCaseError::fail(error.to_string());
        let (_dir, writer, reader) = writer_and_reader().map_err(broken)?;
        let (worker, holds) = (Worker::new("reader.1"), AtomicUsize::new(0));
        let (read, failing) = (request("SELECT count(*) FROM t"), request("SELECT json('{'), count(*) FROM t"));
        let mut statements = statements(&reader, &[&read, &failing]);
        let mut desk = Desk { statements: &mut statements, hold: &mut Hold::new(&worker, &reader, &holds) };
        let (mut now, mut committed) = (Instant::now(), 0_u32);
        for step in steps {
            let held = holds.load(Ordering::SeqCst);
            match step {
                Step::Read(micros) => {
                    now += Duration::from_micros(*micros);
                    let (answer, ran_in) =
                        desk.read(&read, now).map_err(|why| TestCaseError::fail(format!("{why:?}")))?;
                    prop_assert_eq!(answer.chunk.expect("a row").cells[0], f64::from(committed).to_bits());
                    prop_assert!(ran_in != RanIn::Found || held == 1);
                    prop_assert_eq!(holds.load(Ordering::SeqCst), usize::from(ran_in != RanIn::Own));
                }
                Step::Fail(micros) => {
                    now += Duration::from_micros(*micros);
                    prop_assert_eq!(desk.read(&failing, now).err(), Some(NotInline::Unfit));
                    prop_assert_eq!(holds.load(Ordering::SeqCst), 0);
                }
                Step::Commit => {
                    internal(&writer, "INSERT INTO t VALUES (1)").map_err(broken)?;
                    committed += 1;
                }
                Step::Undo => internal(&writer, "BEGIN; INSERT INTO t VALUES (1); ROLLBACK").map_err(broken)?,
                Step::Checkpoint => internal(&writer, "PRAGMA wal_checkpoint(PASSIVE)").map_err(broken)?,
                Step::End => {
                    desk.hold.end().map_err(broken)?;
                    prop_assert_eq!(holds.load(Ordering::SeqCst), 0);
                }
            }
            prop_assert_eq!(reader.raw().is_autocommit(), holds.load(Ordering::SeqCst) == 0);
            prop_assert_eq!(worker.held().is_some(), holds.load(Ordering::SeqCst) == 1);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_happens_every_read_sees_the_present(steps in prop::collection::vec(step(), 1..60)) {
            follow(&steps)?;
        }
    }
}
