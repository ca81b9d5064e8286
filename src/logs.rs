//! Log events for JavaScript: takes the events of the core, and keeps them for the listeners of each environment until those take them.

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::SystemTime;

use napi::bindgen_prelude::{Either3, Function};
use napi::{CleanupEnvHook, Env, Result};
use napi_derive::napi;
use parking_lot::{Mutex, RwLock};
use sluice_core::Manager;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record as SpanValues};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::status::count;
use crate::wake::Waker;

/// How many records may wait for one listener. More are dropped, and counted.
const MAX_WAITING: usize = 65_536;

/// What the targets of the core begin with.
const OURS: &str = "sluice::";

/// The logs that are open, of all environments.
static LOGS: RwLock<Vec<Arc<Log>>> = RwLock::new(Vec::new());

/// The most that any of them wants, as a number; 0: nothing.
static WANTED: AtomicU8 = AtomicU8::new(0);

/// One listener, and what waits for it.
struct Log {
    level: AtomicU8,
    /// The names of the database that it is about, in records; `None`: of all.
    names: Option<Vec<String>>,
    waiting: Mutex<Waiting>,
    lost: AtomicU64,
    waker: Waker,
}

#[derive(Default)]
struct Waiting {
    records: VecDeque<Arc<Record>>,
    /// The listener has been woken, and has not yet found nothing.
    awake: bool,
}

/// What happened.
struct Record {
    level: Level,
    target: &'static str,
    message: String,
    database: Option<String>,
    time_ms: f64,
    fields: Vec<(&'static str, Value)>,
}

#[derive(Clone)]
enum Value {
    Text(String),
    Number(f64),
    Flag(bool),
}

impl Log {
    fn wants(&self, record: &Record) -> bool {
        let ours = match (&self.names, &record.database) {
            (None, _) => true,
            (Some(names), Some(database)) => names.contains(database),
            (Some(_), None) => false,
        };
        ours && number(record.level) <= self.level.load(Ordering::Relaxed)
    }

    fn keep(&self, record: &Arc<Record>) {
        let wake = {
            let mut waiting = self.waiting.lock();
            if waiting.records.len() >= MAX_WAITING {
                self.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            waiting.records.push_back(Arc::clone(record));
            !std::mem::replace(&mut waiting.awake, true)
        };
        if wake {
            self.waker.wake();
        }
    }

    fn close(self: &Arc<Self>) {
        LOGS.write().retain(|open| !Arc::ptr_eq(open, self));
        follow_levels();
        self.waker.close();
        drop(std::mem::take(&mut *self.waiting.lock()));
    }
}

/// Has the events made that somebody wants, and no others: an event that nobody wants costs one look at a number.
fn follow_levels() {
    {
        // One at a time, after it has set its own level: the last to look has seen those of all others.
        let logs = LOGS.write();
        let wanted = logs.iter().map(|log| log.level.load(Ordering::Relaxed)).max().unwrap_or(0);
        WANTED.store(wanted, Ordering::SeqCst);
    }
    tracing::callsite::rebuild_interest_cache();
}

fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

fn filter(number: u8) -> LevelFilter {
    match number {
        0 => LevelFilter::OFF,
        1 => LevelFilter::ERROR,
        2 => LevelFilter::WARN,
        3 => LevelFilter::INFO,
        4 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

/// Hands the events of the process to the logs that are open.
struct Bridge;

impl Subscriber for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(OURS) && *metadata.level() <= filter(WANTED.load(Ordering::Relaxed))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(filter(WANTED.load(Ordering::SeqCst)))
    }

    fn event(&self, event: &Event<'_>) {
        let record = Arc::new(record(event));
        for log in LOGS.read().iter().filter(|log| log.wants(&record)) {
            log.keep(&record);
        }
    }

    // Spans group the events of other subscribers. Here every event names its database and its worker by itself.
    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &SpanValues<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

fn record(event: &Event<'_>) -> Record {
    let metadata = event.metadata();
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut record = Record {
        level: *metadata.level(),
        target: metadata.target().strip_prefix(OURS).unwrap_or_default(),
        message: String::new(),
        database: None,
        time_ms: since_1970.as_secs_f64() * 1e3,
        fields: Vec::new(),
    };
    event.record(&mut record);
    record
}

impl Record {
    fn text(&mut self, field: &Field, text: String) {
        match field.name() {
            "message" => self.message = text,
            "database" => self.database = Some(text),
            name => self.fields.push((name, Value::Text(text))),
        }
    }

    fn number(&mut self, field: &Field, number: f64) {
        self.fields.push((field.name(), Value::Number(number)));
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
impl Visit for Record {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value as f64);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value as f64);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.push((field.name(), Value::Flag(value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }
}

/// What happened, as data for JavaScript.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingRecord {
    #[napi(ts_type = "'error' | 'warn' | 'info' | 'debug' | 'trace'")]
    pub level: &'static str,
    /// What it is about.
    pub target: &'static str,
    pub message: String,
    pub database: Option<String>,
    /// In milliseconds since 1970.
    pub time_ms: f64,
    pub names: Vec<&'static str>,
    pub values: Vec<Either3<String, f64, bool>>,
}

impl BindingRecord {
    fn new(record: &Record) -> Self {
        let level = match record.level {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let (names, values) = record.fields.iter().map(|(name, value)| (*name, crossing(value))).unzip();
        let (target, message, database) = (record.target, record.message.clone(), record.database.clone());
        Self { level, target, message, database, time_ms: record.time_ms, names, values }
    }
}

fn crossing(value: &Value) -> Either3<String, f64, bool> {
    match value {
        Value::Text(text) => Either3::A(text.clone()),
        Value::Number(number) => Either3::B(*number),
        Value::Flag(flag) => Either3::C(*flag),
    }
}

/// Under which names records tell of a database: its own, and those under which others have opened the same file before.
fn names_of(database: String) -> Vec<String> {
    let mut names = Manager::names_in_events(Path::new(&database));
    names.push(database);
    names
}

/// Collects records for one listener.
#[napi]
pub struct BindingLog {
    log: Arc<Log>,
    hook: Mutex<Option<CleanupEnvHook<Arc<Log>>>>,
}

#[napi]
impl BindingLog {
    /// Opens it. `onWake` is called when records are there. `level` is from 1, that of errors, to 5.
    #[napi(constructor)]
    pub fn new(env: Env, on_wake: Function<'_, (), ()>, level: u8, database: Option<String>) -> Result<Self> {
        static BRIDGE: Once = Once::new();
        // Nobody else can have set one: the crate is this library's own.
        BRIDGE.call_once(|| drop(tracing::subscriber::set_global_default(Bridge)));
        let log = Arc::new(Log {
            level: AtomicU8::new(level),
            names: database.map(names_of),
            waiting: Mutex::default(),
            lost: AtomicU64::new(0),
            waker: Waker::new(&env, &on_wake)?,
        });
        let hook = env.add_env_cleanup_hook(Arc::clone(&log), |log| log.close())?;
        LOGS.write().push(Arc::clone(&log));
        follow_levels();
        Ok(Self { log, hook: Mutex::new(Some(hook)) })
    }

    /// Says up to which level it records.
    #[napi]
    pub fn set_level(&self, level: u8) {
        self.log.level.store(level, Ordering::Relaxed);
        follow_levels();
    }

    /// Takes what was recorded, at most `most` records. After none, the next record wakes again.
    #[napi]
    pub fn take(&self, most: u32) -> Vec<BindingRecord> {
        let records: Vec<_> = {
            let mut waiting = self.log.waiting.lock();
            let most = waiting.records.len().min(most as usize);
            if most == 0 {
                waiting.awake = false;
            }
            waiting.records.drain(..most).collect()
        };
        records.iter().map(|record| BindingRecord::new(record)).collect()
    }

    /// How many records were dropped because too many waited.
    #[napi(getter)]
    pub fn lost(&self) -> f64 {
        count(self.log.lost.load(Ordering::Relaxed))
    }

    /// Ends it.
    #[napi]
    pub fn close(&self, env: Env) -> Result<()> {
        self.log.close();
        self.hook.lock().take().map_or(Ok(()), |hook| env.remove_env_cleanup_hook(hook))
    }
}
