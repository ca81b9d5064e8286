//! Requests, as JavaScript packs them: a header of four words, the cells of the values, the bytes of the texts.

use sluice_core::params::ParamsKind;
use sluice_core::{Error, ErrorCode, Integers, Params, Result, Take, Value};

const HEADER_BYTES: usize = 16;

/// A request, taken apart.
pub(crate) struct Packed {
    /// The number of the call, from JavaScript.
    pub(crate) call: u32,
    /// The number of the query.
    pub(crate) query: u32,
    pub(crate) take: Take,
    pub(crate) integers: Integers,
    pub(crate) params: Result<Params>,
}

impl Packed {
    /// Reads a request, copying its values. Returns `None` when there is not even a header.
    pub(crate) fn read(bytes: &[u8], extras: Vec<Value>) -> Option<Self> {
        let (header, values) = bytes.split_at_checked(HEADER_BYTES)?;
        let word = |at: usize| u32::from_le_bytes(header[at * 4..at * 4 + 4].try_into().expect("BUG: four bytes"));
        let (flags, count) = (word(2), word(3));
        let params = match flags >> 4 & 3 {
            0 => Ok(Params::none()),
            1 => Params::from_packed(ParamsKind::Positional, count, values.into(), extras),
            2 => Params::from_packed(ParamsKind::Named, count, values.into(), extras),
            kind => Err(Error::new(ErrorCode::InvalidParameter, format!("unknown kind of parameters: {kind}"))),
        };
        Some(Self { call: word(0), query: word(1), take: take(flags), integers: integers(flags), params })
    }
}

fn take(flags: u32) -> Take {
    match (flags >> 6 & 1, flags & 3) {
        (1, _) => Take::Describe,
        (_, 1) => Take::First,
        (_, 2) => Take::None,
        _ => Take::All,
    }
}

fn integers(flags: u32) -> Integers {
    match flags >> 2 & 3 {
        1 => Integers::Number,
        2 => Integers::BigInt,
        _ => Integers::Auto,
    }
}
