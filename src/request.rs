//! Requests, as JavaScript packs them: a header of six words, the cells of the values, the bytes of the texts.

use sluice_core::params::{PackedParams, ParamsKind};
use sluice_core::{Error, ErrorCode, Integers, JsonRows, Params, Result, Scope, Take, Value};

const HEADER_BYTES: usize = 24;

/// A request as it stands in the request buffer.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'b> {
    /// The number of the call, from JavaScript.
    pub(crate) call: u32,
    /// The number of the query.
    pub(crate) query: u32,
    flags: u32,
    /// How many values it has.
    count: u32,
    values: &'b [u8],
}

impl<'b> Packed<'b> {
    /// Takes the first request off several. Returns `None` when there is no whole one.
    pub(crate) fn split(bytes: &mut &'b [u8]) -> Option<Self> {
        let length = bytes.get(16..20)?.try_into().map(u32::from_le_bytes).ok()? as usize;
        let request = bytes.get(..length)?;
        *bytes = bytes.get(length.next_multiple_of(8)..).unwrap_or_default();
        Self::read(request)
    }

    /// Reads a request. Returns `None` when there is not even a header.
    pub(crate) fn read(bytes: &'b [u8]) -> Option<Self> {
        let (header, values) = bytes.split_at_checked(HEADER_BYTES)?;
        let word = |at: usize| u32::from_le_bytes(header[at * 4..at * 4 + 4].try_into().expect("BUG: four bytes"));
        Some(Self { call: word(0), query: word(1), flags: word(2), count: word(3), values })
    }

    /// What is the same in requests that differ in their calls and values alone.
    pub(crate) fn likeness(&self) -> [u32; 3] {
        [self.query, self.flags, self.count]
    }

    pub(crate) fn take(&self) -> Take {
        take(self.flags)
    }

    pub(crate) fn integers(&self) -> Integers {
        integers(self.flags)
    }

    pub(crate) fn scope(&self) -> Scope {
        scope(self.flags >> 7 & 3)
    }

    /// Whether somebody may want to stop it.
    pub(crate) fn is_cancellable(&self) -> bool {
        self.flags >> 9 & 1 == 1
    }

    /// Whether the answer tells how long it waited and ran.
    pub(crate) fn is_timed(&self) -> bool {
        self.flags >> 10 & 1 == 1
    }

    /// Copies its values; `extras` are those that travel apart.
    pub(crate) fn params(&self, extras: Vec<Value>) -> Result<Params> {
        match self.kind()? {
            ParamsKind::None => Ok(Params::none()),
            kind @ (ParamsKind::Positional | ParamsKind::Named) => {
                Params::from_packed(kind, self.count, self.values, extras)
            }
        }
    }

    /// Its values where they stand, if none travels apart.
    pub(crate) fn packed_params(&self) -> Result<PackedParams<'b>> {
        PackedParams::new(self.kind()?, self.count, self.values)
    }

    fn kind(&self) -> Result<ParamsKind> {
        match self.flags >> 4 & 3 {
            0 => Ok(ParamsKind::None),
            1 => Ok(ParamsKind::Positional),
            2 => Ok(ParamsKind::Named),
            kind => Err(Error::new(ErrorCode::InvalidParameter, format!("unknown kind of parameters: {kind}"))),
        }
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
