//! The options of `open`, already validated by `js/options.ts`.

use std::time::Duration;

use napi_derive::napi;
use sluice_core::{Concurrency, Durability, Error, ErrorCode, GroupLimits, Options, ReadOrder, Result};

/// The longest string of V8, in UTF-16 units. A text has at least as many bytes.
const MAX_STRING: usize = (1 << 29) - 24;

/// Options of a database. Durations are in milliseconds.
#[napi(object)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent option of the user")]
pub struct BindingConfig {
    pub readonly: bool,
    pub create: bool,
    pub uri: bool,
    pub follow_links: bool,
    #[napi(ts_type = "'wal' | 'exclusive'")]
    pub concurrency: Option<String>,
    pub max_readers: u32,
    pub idle_ttl_ms: f64,
    pub acquire_timeout_ms: f64,
    pub busy_timeout_ms: f64,
    pub max_queued: f64,
    pub max_result_bytes: f64,
    pub statement_cache_size: u32,
    #[napi(ts_type = "'full' | 'normal' | 'off'")]
    pub durability: String,
    pub foreign_keys: bool,
    /// After how many short runs a statement may run on the thread of its caller. Without it, none does.
    pub inline_after: Option<u16>,
    #[napi(ts_type = "'acknowledged' | 'submitted'")]
    pub ordering: String,
    /// Without it each write commits by itself.
    pub group_commit: Option<BindingGroupLimits>,
    #[napi(ts_type = "Array<[string, string]>")]
    pub pragmas: Vec<Vec<String>>,
    /// The options that were left out: where the file is open already, they are what they are there.
    pub left_out: Vec<String>,
}

/// When a group of writes is committed, at the latest.
#[napi(object)]
pub struct BindingGroupLimits {
    pub max_statements: u32,
    pub max_ms: f64,
    pub max_bytes: f64,
}

impl BindingGroupLimits {
    fn into_limits(self) -> Result<GroupLimits> {
        Ok(GroupLimits {
            statements: self.max_statements,
            time: duration("groupCommit.maxMs", self.max_ms)?,
            bytes: size("groupCommit.maxBytes", self.max_bytes)?,
        })
    }
}

impl BindingConfig {
    pub(crate) fn into_options(self) -> Result<Options> {
        Ok(Options {
            readonly: self.readonly,
            create: self.create,
            uri: self.uri,
            follow_links: self.follow_links,
            concurrency: self.concurrency.as_deref().map(concurrency).transpose()?,
            max_readers: self.max_readers,
            idle_ttl: duration("idleTtlMs", self.idle_ttl_ms)?,
            acquire_timeout: duration("acquireTimeoutMs", self.acquire_timeout_ms)?,
            busy_timeout: duration("busyTimeoutMs", self.busy_timeout_ms)?,
            max_queued: size("maxQueued", self.max_queued)?,
            max_result_bytes: size("maxResultBytes", self.max_result_bytes)?,
            max_text_bytes: MAX_STRING,
            statement_cache_size: self.statement_cache_size as usize,
            durability: durability(&self.durability)?,
            foreign_keys: self.foreign_keys,
            inline_reads: self.inline_after,
            read_order: read_order(&self.ordering)?,
            group_commit: self.group_commit.map(BindingGroupLimits::into_limits).transpose()?,
            pragmas: self.pragmas.into_iter().map(pair).collect::<Result<_>>()?,
            left_out: self.left_out,
            ..Options::default()
        })
    }
}

/// Milliseconds as a duration.
pub(crate) fn duration(option: &str, milliseconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(milliseconds / 1_000.0).map_err(|error| invalid(option, &error.to_string()))
}

pub(crate) fn size(option: &str, number: f64) -> Result<usize> {
    let whole = sluice_core::cell::integer_of(number).and_then(|number| usize::try_from(number).ok());
    whole.ok_or_else(|| invalid(option, "not a whole number"))
}

fn concurrency(name: &str) -> Result<Concurrency> {
    match name {
        "wal" => Ok(Concurrency::Wal),
        "exclusive" => Ok(Concurrency::Exclusive),
        other => Err(invalid("concurrency", other)),
    }
}

fn durability(name: &str) -> Result<Durability> {
    match name {
        "full" => Ok(Durability::Full),
        "normal" => Ok(Durability::Normal),
        "off" => Ok(Durability::Off),
        other => Err(invalid("durability", other)),
    }
}

fn read_order(name: &str) -> Result<ReadOrder> {
    match name {
        "acknowledged" => Ok(ReadOrder::Acknowledged),
        "submitted" => Ok(ReadOrder::Submitted),
        other => Err(invalid("ordering", other)),
    }
}

fn pair(pair: Vec<String>) -> Result<(String, String)> {
    let [name, value] = <[String; 2]>::try_from(pair).map_err(|_| invalid("pragmas", "not a name and a value"))?;
    Ok((name, value))
}

fn invalid(option: &str, why: &str) -> Error {
    Error::new(ErrorCode::InvalidOption, format!("the option {option} is invalid: {why}"))
}
