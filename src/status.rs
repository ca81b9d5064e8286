//! The numbers of a moment, as data for JavaScript.

use std::time::Duration;

use napi_derive::napi;
use sluice_core::gate::{Mode, Phase};
use sluice_core::{Concurrency, Status};

/// The state of a manager. Times are in milliseconds.
#[napi(object, object_from_js = false)]
pub struct BindingStatus {
    #[napi(ts_type = "'read' | 'write'")]
    pub mode: &'static str,
    #[napi(ts_type = "'open' | 'draining' | 'closed'")]
    pub phase: &'static str,
    #[napi(ts_type = "'wal' | 'exclusive'")]
    pub concurrency: &'static str,
    pub readers: BindingReaders,
    pub writer: BindingWriter,
    pub queued: f64,
    pub handles: u32,
    pub wal: BindingWal,
    pub counters: Vec<BindingCounter>,
    /// How many calls failed, by code.
    pub errors: Vec<BindingCounter>,
}

#[napi(object, object_from_js = false)]
pub struct BindingCounter {
    pub name: &'static str,
    pub value: f64,
}

#[napi(object, object_from_js = false)]
pub struct BindingReaders {
    pub open: f64,
    pub active: f64,
    pub idle: f64,
    pub waiting: f64,
    pub max: f64,
}

#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingWriter {
    pub active: bool,
    pub waiting: f64,
    pub holder: Option<BindingHolder>,
}

#[napi(object, object_from_js = false)]
pub struct BindingHolder {
    pub sql: String,
    pub for_ms: f64,
}

#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingWal {
    pub bytes: f64,
    pub oldest_reader_ms: Option<f64>,
    pub oldest_reader_sql: Option<String>,
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
pub(crate) fn count(number: u64) -> f64 {
    number as f64
}

fn size(number: usize) -> f64 {
    count(number as u64)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn counters(numbers: &[(&'static str, u64)]) -> Vec<BindingCounter> {
    numbers.iter().map(|(name, number)| BindingCounter { name, value: count(*number) }).collect()
}

impl BindingStatus {
    pub fn new(status: &Status) -> Self {
        let readers = &status.readers;
        let holder = status.writer.holder.as_ref();
        Self {
            mode: match status.mode {
                Mode::Read => "read",
                Mode::Write => "write",
            },
            phase: match status.phase {
                Phase::Open => "open",
                Phase::Draining => "draining",
                Phase::Closed => "closed",
            },
            concurrency: match status.concurrency {
                Concurrency::Wal => "wal",
                Concurrency::Exclusive => "exclusive",
            },
            readers: BindingReaders {
                open: size(readers.open),
                active: size(readers.active),
                idle: size(readers.idle),
                waiting: size(readers.waiting),
                max: f64::from(readers.max),
            },
            writer: BindingWriter {
                active: status.writer.active,
                waiting: size(status.writer.waiting),
                holder: holder
                    .map(|holder| BindingHolder { sql: holder.sql.clone(), for_ms: milliseconds(holder.elapsed) }),
            },
            queued: size(status.queued),
            handles: status.handles,
            wal: BindingWal {
                bytes: count(status.wal.bytes),
                oldest_reader_ms: status.wal.oldest_reader.map(milliseconds),
                oldest_reader_sql: status.wal.oldest_reader_sql.clone(),
            },
            counters: counters(&status.counters),
            errors: counters(&status.errors),
        }
    }
}
