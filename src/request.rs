//! Requests, as JavaScript packs them: a header of six words, the cells of the values, the bytes of the texts.

use sluice_core::params::ParamsKind;
use sluice_core::{Error, ErrorCode, Integers, JsonRows, Params, Result, Scope, Take, Value};

const HEADER_BYTES: usize = 24;

/// A request, taken apart.
pub(crate) struct Packed {
    /// The number of the call, from JavaScript.
    pub(crate) call: u32,
    /// The number of the query.
    pub(crate) query: u32,
    pub(crate) take: Take,
    pub(crate) integers: Integers,
    pub(crate) scope: Scope,
    /// Whether somebody may want to stop it.
    pub(crate) cancellable: bool,
    /// Whether the answer tells how long it waited and ran.
    pub(crate) timed: bool,
    pub(crate) params: Result<Params>,
}

impl Packed {
    /// Takes the bytes of the first request off those of several. Returns `None` when there is no whole one.
    pub(crate) fn split<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
        let length = bytes.get(16..20)?.try_into().map(u32::from_le_bytes).ok()? as usize;
        let request = bytes.get(..length)?;
        *bytes = bytes.get(length.next_multiple_of(8)..).unwrap_or_default();
        Some(request)
    }

    /// Reads a request, copying its values. Returns `None` when there is not even a header.
    pub(crate) fn read(bytes: &[u8], extras: Vec<Value>) -> Option<Self> {
        let (header, values) = bytes.split_at_checked(HEADER_BYTES)?;
        let word = |at: usize| u32::from_le_bytes(header[at * 4..at * 4 + 4].try_into().expect("BUG: four bytes"));
        let (flags, count) = (word(2), word(3));
        let params = match flags >> 4 & 3 {
            0 => Ok(Params::none()),
            1 => Params::from_packed(ParamsKind::Positional, count, values, extras),
            2 => Params::from_packed(ParamsKind::Named, count, values, extras),
            kind => Err(Error::new(ErrorCode::InvalidParameter, format!("unknown kind of parameters: {kind}"))),
        };
        let (cancellable, timed) = (flags >> 9 & 1 == 1, flags >> 10 & 1 == 1);
        let (take, integers, scope) = (take(flags), integers(flags), scope(flags >> 7 & 3));
        Some(Self { call: word(0), query: word(1), take, integers, scope, cancellable, timed, params })
    }
}

fn take(flags: u32) -> Take {
    match (flags >> 6 & 1, flags & 3) {
        (1, _) => Take::Describe,
        (_, 3) => Take::Json(if flags >> 11 & 1 == 1 { JsonRows::Arrays } else { JsonRows::Objects }),
        (_, 1) => Take::First,
        (_, 2) => Take::None,
        _ => Take::All,
    }
}

/// The scope that a number stands for.
pub(crate) fn scope(number: u32) -> Scope {
    match number {
        1 => Scope::Read,
        2 => Scope::Transaction,
        3 => Scope::Exclusive,
        _ => Scope::Outside,
    }
}

fn integers(flags: u32) -> Integers {
    match flags >> 2 & 3 {
        1 => Integers::Number,
        2 => Integers::BigInt,
        _ => Integers::Auto,
    }
}
