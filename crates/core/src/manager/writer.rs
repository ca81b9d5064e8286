//! The writer: opened first, kept open, replaced when it breaks, closed last.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::activity::Activity;
use super::checkpoint::WalCare;
use super::close::CloseGate;
use super::member::Members;
use super::options::connection_config;
use super::readers::{Readers, close};
use super::status::Counters;
use super::timers::Timer;
use super::waiting::closed;
use super::{Options, Permit, Shared};
use crate::connection::{
    FileIdentity, JournalMode, Location, PolicedConnection, WalRequest, apply_durability, hard_links, journal_mode,
    open_reader, open_writer,
};
use crate::error::{Error, ErrorCode, Result};
use crate::gate::{Class, Concurrency, Gate};
use crate::metrics::Metrics;
use crate::mirror::Observer;
use crate::session::Sessions;
use crate::trace;
use crate::worker::{Checkpointer, Exit, Job, Message, Worker, guard, serve_writer};

/// What the writer's thread found when it opened the database.
struct Opened {
    journal_mode: JournalMode,
    writable: bool,
    file: Option<DatabaseFile>,
    wal: Option<FileIdentity>,
    /// Where the thread waits for what it shares with the rest of the manager.
    start: mpsc::SyncSender<Arc<Shared>>,
}

/// The file of a database that is not in memory.
pub(super) struct DatabaseFile {
    /// Where every later open looks for it. A URI is reduced to the path in it.
    named: PathBuf,
    /// What stands beside the file its name leads to through symbolic links, as SQLite has it.
    wal: PathBuf,
    identity: Option<FileIdentity>,
}

/// Opens the writer on its own thread, and makes the manager around it.
pub(super) async fn open(location: Location, options: Options) -> Result<Arc<Shared>> {
    open_beside(location, options, None).await
}

/// Opens the writer as [`open`] does. `anchor` keeps the database in memory, if it is there already.
pub(super) async fn open_beside(
    location: Location,
    options: Options,
    anchor: Option<PolicedConnection>,
) -> Result<Arc<Shared>> {
    let (opened, wait) = oneshot::channel();
    let writer = Worker::new("writer");
    let interrupted = Arc::new(AtomicBool::new(false));
    let thread = (location.clone(), options.clone(), Arc::clone(&writer), Arc::clone(&interrupted));
    let name = thread_name(&location, "writer");
    Worker::start(name, move || {
        let (location, options, worker, interrupted) = thread;
        trace::enter_thread(&location, worker.role());
        be_the_writer(&location, &options, &worker, &interrupted, anchor, opened);
    })
    .map_err(|error| Error::new(ErrorCode::Panic, format!("no thread for the writer: {error}")))?;
    let opened = wait.await.map_err(|_| Error::new(ErrorCode::Panic, "the writer's thread ended while opening"))??;
    let concurrency = concurrency(&options, &location, opened.journal_mode)?;
    let shared = Arc::new(Shared {
        id: next_id(),
        members: Members::default(),
        gate: Gate::new(concurrency, options.max_readers, options.max_queued),
        file: opened.file,
        readers: Mutex::new(Readers::default()),
        alive_readers: watch::Sender::new(0),
        writer,
        pinned: AtomicBool::new(false),
        has_writer: AtomicBool::new(true),
        was_writable: opened.writable,
        writable: Mutex::default(),
        wal: Mutex::new(opened.wal),
        lost: Mutex::new(None),
        pragmas: Mutex::default(),
        counters: Counters::default(),
        activity: Activity::default(),
        metrics: Metrics::default(),
        sessions: Sessions::default(),
        checkpointer: Checkpointer::default(),
        wal_care: WalCare::default(),
        observer: Observer::default(),
        close: CloseGate::new(interrupted),
        holds: AtomicUsize::new(0),
        hold_timer: Timer::new(Shared::end_old_holds),
        queue_timer: Timer::new(Shared::expire),
        prune_timer: Timer::new(Shared::prune),
        location,
        options,
    });
    opened.start.send(Arc::clone(&shared)).map_err(|_| closed())?;
    Ok(shared)
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn concurrency(options: &Options, location: &Location, journal_mode: JournalMode) -> Result<Concurrency> {
    let is_wal = journal_mode == JournalMode::Wal;
    match options.concurrency {
        Some(Concurrency::Wal) if !is_wal => {
            let why = match location {
                Location::Memory(_) => "an in-memory database has no write-ahead log".to_owned(),
                Location::File(path) => {
                    format!("the journal mode of {} is {}", path.display(), format!("{journal_mode:?}").to_lowercase())
                }
            };
            Err(Error::new(ErrorCode::InvalidOption, format!("concurrency 'wal' is not possible: {why}")))
        }
        Some(asked) => Ok(asked),
        None => Ok(by_journal_mode(options, location, journal_mode)),
    }
}

/// How reads and writes meet where nothing else was asked for. What nobody can write, a copy in memory, needs no turns.
fn by_journal_mode(options: &Options, location: &Location, journal_mode: JournalMode) -> Concurrency {
    let is_still = match location {
        Location::Memory(_) => options.readonly,
        Location::File(_) => false,
    };
    if is_still || journal_mode == JournalMode::Wal { Concurrency::Wal } else { Concurrency::Exclusive }
}

/// The life of the writer's thread.
fn be_the_writer(
    location: &Location,
    options: &Options,
    worker: &Arc<Worker>,
    interrupted: &Arc<AtomicBool>,
    anchor: Option<PolicedConnection>,
    opened: oneshot::Sender<Result<Opened>>,
) {
    let (connection, found, start) = match first_connection(location, options, interrupted) {
        Ok(first) => first,
        Err(error) => return drop(opened.send(Err(error))),
    };
    // A database in memory dies with its last connection: this one outlives every replacement.
    let _anchor = match location {
        Location::Memory(_) if anchor.is_some() => anchor,
        Location::Memory(_) => match open_reader(location, &connection_config(options, interrupted)) {
            Ok(anchor) => Some(anchor),
            Err(error) => return drop(opened.send(Err(error))),
        },
        Location::File(_) => None,
    };
    if opened.send(Ok(found)).is_err() {
        return;
    }
    let Ok(shared) = start.recv() else { return };
    let mut connection = Some(connection);
    loop {
        shared.has_writer.store(connection.is_some(), Ordering::SeqCst);
        let Some(open) = connection.take().or_else(|| shared.reopen_writer(worker)) else { return };
        shared.has_writer.store(true, Ordering::SeqCst);
        worker.serves(&open);
        open.ring_at_commit(shared.observer.bell());
        match guard(|| serve_writer(worker, &shared, &open)) {
            Ok(Exit::Close(receipt)) => {
                let left = worker.end();
                let result = close(open);
                drop(receipt.send(result));
                return left.into_iter().for_each(|message| shared.refuse(message));
            }
            Ok(Exit::Discard(permit)) => {
                connection = shared.replace_writer(open).ok();
                if let Some(replacement) = &connection {
                    shared.writer_released(replacement, &permit);
                }
                drop(permit);
            }
            Ok(Exit::Renew) => connection = shared.replace_writer(open).ok(),
            // Not a job's own panic, but one of whoever took its answer. The permit is back already.
            Err(_) => {
                shared.counters.panics.add();
                worker.end_members();
                worker.finish();
                connection = shared.replace_writer(open).ok();
            }
        }
    }
}

type First = (PolicedConnection, Opened, mpsc::Receiver<Arc<Shared>>);

fn first_connection(location: &Location, options: &Options, interrupted: &Arc<AtomicBool>) -> Result<First> {
    let wal = match (options.concurrency, location) {
        (Some(Concurrency::Wal), _) => WalRequest::Required,
        (Some(Concurrency::Exclusive), _) => WalRequest::Keep,
        (None, _) => WalRequest::WhenPossible,
    };
    let (connection, journal_mode) = open_writer(location, &connection_config(options, interrupted), wal)?;
    let writable = !connection.is_readonly()?;
    let file = database_file(location, options, &connection)?;
    let wal = file.as_ref().and_then(|file| file.wal_identity(journal_mode));
    let (start, wait) = mpsc::sync_channel(1);
    Ok((connection, Opened { journal_mode, writable, file, wal, start }, wait))
}

fn database_file(
    location: &Location,
    options: &Options,
    connection: &PolicedConnection,
) -> Result<Option<DatabaseFile>> {
    let named = match location {
        Location::Memory(_) => return Ok(None),
        Location::File(path) if options.uri && path.as_os_str().as_encoded_bytes().starts_with(b"file:") => {
            path_in_uri(path, connection)?
        }
        Location::File(path) => path.clone(),
    };
    let identity = identity_of(&named)?;
    let real = named.canonicalize().map_err(|error| replaced(&format!("{}: {error}", named.display())))?;
    Ok(Some(DatabaseFile { named, wal: wal_path(&real), identity }))
}

/// A URI without a file would be another database for each connection.
fn path_in_uri(uri: &Path, connection: &PolicedConnection) -> Result<PathBuf> {
    let path = connection.raw().path().filter(|path| Path::new(path).is_file()).map(PathBuf::from);
    path.ok_or_else(|| {
        let message = format!("the URI {} names no file; a database in memory is opened as ':memory:'", uri.display());
        Error::new(ErrorCode::InvalidArgument, message)
    })
}

impl DatabaseFile {
    /// The identity of the log on which acknowledgements rest in `mode`.
    fn wal_identity(&self, mode: JournalMode) -> Option<FileIdentity> {
        match mode {
            JournalMode::Wal => FileIdentity::of(&self.wal).ok().flatten(),
            JournalMode::Delete
            | JournalMode::Truncate
            | JournalMode::Persist
            | JournalMode::Memory
            | JournalMode::Off => None,
        }
    }
}

fn identity_of(path: &Path) -> Result<Option<FileIdentity>> {
    FileIdentity::of(path).map_err(|error| replaced(&format!("{}: {error}", path.display())))
}

fn replaced(what: &str) -> Error {
    let message = format!("the database file is not the one that was opened: {what}");
    Error::new(ErrorCode::DatabaseReplaced, message)
}

fn wal_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn thread_name(location: &Location, role: &str) -> String {
    let file = match location {
        Location::File(path) => path.file_name().unwrap_or_default().to_string_lossy().replace('\0', ""),
        Location::Memory(_) => ":memory:".to_owned(),
    };
    format!("sluice:{file}:{role}")
}

impl Shared {
    /// Answers what was sent to a writer that has ended.
    pub(super) fn refuse(&self, message: Message) {
        match message {
            Message::Run(job, permit) => self.fail_run(job, permit, self.lost_or_closed()),
            Message::RunLeased(job, _) => job.fail(self.lost_or_closed()),
            Message::Asked(asked) => asked.fail(self.lost_or_closed()),
            Message::CloseCursor(_) | Message::Lend(_) | Message::EndHold(_) => {}
            Message::Release(permit, _) => drop(permit),
            Message::Close(receipt) => drop(receipt),
        }
    }

    pub(super) fn run_on_the_writer(self: &Arc<Self>, job: Job, permit: Permit) {
        if let Some(error) = self.lost() {
            return self.fail_run(job, permit, error);
        }
        if let Err(message) = self.writer.send(Message::Run(job, permit)) {
            self.refuse(message);
        }
    }

    /// Which file it is, where there is one and the system tells.
    pub(super) fn identity(&self) -> Option<FileIdentity> {
        self.file.as_ref().and_then(|file| file.identity)
    }

    /// Whether the file may be open. A lost database has none when its writer broke.
    pub(super) fn has_connections(&self) -> bool {
        self.has_writer.load(Ordering::SeqCst) || *self.alive_readers.borrow() > 0
    }

    /// How many names the file has.
    pub(super) fn hard_links(&self) -> u64 {
        self.file.as_ref().map_or(1, |file| hard_links(&file.named))
    }

    pub(crate) fn thread_name(&self, role: &str) -> String {
        thread_name(&self.location, role)
    }

    /// The path of the write-ahead log, if there can be one.
    pub(super) fn wal_path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.wal.as_path())
    }

    /// Why nothing may run any more, if so.
    pub(crate) fn lost(&self) -> Option<Error> {
        self.lost.lock().clone()
    }

    fn lose(&self, error: &Error) {
        tracing::error!(target: "sluice::open", database = &*trace::name(&self.location), %error, "the database is lost");
        self.lost.lock().get_or_insert_with(|| error.clone());
    }

    /// Compares the file at the path with the one that was opened.
    pub(super) fn check_identity(&self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let found = identity_of(&file.named).and_then(|now| {
            if now == file.identity { Ok(()) } else { Err(replaced(&file.named.display().to_string())) }
        });
        found.inspect_err(|error| self.lose(error))
    }

    /// An acknowledgement must not rest on files that the next process to open the database would not find.
    pub(super) fn check_files(&self) -> Result<()> {
        if self.options.readonly {
            return Ok(());
        }
        // A session that has the writer already comes here without another look.
        if let Some(lost) = self.lost() {
            return Err(lost);
        }
        let Some(file) = &self.file else { return Ok(()) };
        if FileIdentity::of(&file.named).ok() == Some(file.identity) {
            return self.check_wal(file);
        }
        let message = format!(
            "the database file was deleted, moved or replaced while it was open; the outcome of this write is unknown: {}",
            file.named.display()
        );
        let error = Error::new(ErrorCode::DatabaseReplaced, message);
        self.lose(&error);
        Err(error)
    }

    /// Looks at what a write may have changed beside rows, before it is acknowledged.
    pub(crate) fn after_write(&self, connection: &PolicedConnection, private_schema: bool) -> Result<()> {
        if private_schema {
            // What was written is committed: a call that is stopped only now must not fail.
            self.follow_private_objects(connection);
        }
        // Inside a transaction nothing is acknowledged for good: its commit looks.
        if !connection.raw().is_autocommit() {
            return Ok(());
        }
        drop(self.end_holds());
        self.check_files()
    }

    /// Looks again at what the end of a transaction may have brought back or taken away. In doubt everything goes to the writer.
    pub(crate) fn follow_private_objects(&self, connection: &PolicedConnection) {
        self.pinned.store(connection.holds_private_objects().unwrap_or(true), Ordering::Release);
    }

    /// Looks at which log there is, after a statement that had the database to itself: it may have changed the journal mode.
    pub(crate) fn after_exclusive(&self, connection: &PolicedConnection) -> Result<()> {
        let mode = journal_mode(connection)?;
        let was_wal = self.wal.lock().is_some();
        if was_wal == (mode == JournalMode::Wal) {
            return Ok(());
        }
        // The log of a file that has just been switched appears with the first read.
        connection.refresh_schema()?;
        *self.wal.lock() = self.wal_identity(mode);
        self.wal_care.begin_anew();
        // What follows is acknowledged in this mode.
        apply_durability(connection, self.options.durability, mode)
    }

    pub(super) fn wal_identity(&self, mode: JournalMode) -> Option<FileIdentity> {
        self.file.as_ref().and_then(|file| file.wal_identity(mode))
    }

    fn check_wal(&self, file: &DatabaseFile) -> Result<()> {
        let mut known = self.wal.lock();
        let Some(expected) = *known else { return Ok(()) };
        if file.wal_identity(JournalMode::Wal) == Some(expected) {
            return Ok(());
        }
        *known = None;
        let message = format!(
            "the write-ahead log was deleted or replaced while the database was open; the outcome of this write is unknown: {}",
            file.named.display()
        );
        let error = Error::new(ErrorCode::WalGone, message);
        self.lose(&error);
        Err(error)
    }

    /// A permit on the writer is about to be released: what was done under it is looked at before anyone else is admitted.
    pub(crate) fn writer_released(&self, connection: &PolicedConnection, permit: &Permit) {
        match permit.class() {
            Class::Read(_) | Class::Write => {}
            Class::Exclusive => self.follow_journal_mode(connection, permit),
        }
    }

    /// Concurrency follows the journal mode that is really there.
    fn follow_journal_mode(&self, connection: &PolicedConnection, permit: &Permit) {
        let Ok(mode) = journal_mode(connection) else { return };
        if let Err(error) = apply_durability(connection, self.options.durability, mode) {
            self.lose(&error);
        }
        // Without a write-ahead log a reader locks the writer out, whatever was asked for.
        let concurrency = match self.options.concurrency {
            Some(Concurrency::Exclusive) => Concurrency::Exclusive,
            Some(Concurrency::Wal) | None => by_journal_mode(&self.options, &self.location, mode),
        };
        self.gate.set_concurrency(permit, concurrency);
    }
}
