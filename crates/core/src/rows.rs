//! Rows, encoded by the worker that steps the statement, in the form in which they cross into JavaScript.

use std::borrow::Cow;
use std::sync::Arc;

use rusqlite::types::ValueRef;
use smallvec::SmallVec;

use crate::cell::{Tag, is_safe, number_of, tagged};
use crate::error::{Error, ErrorCode, Result};
use crate::query::{Integers, Shape};
use crate::repeats::{Repeat, Repeats, Short};
use crate::statement::PresentRow;
use crate::value::Value;

/// The most cells of a chunk, unless one row is wider.
pub const CHUNK_CELLS: usize = 8_192;
/// The most bytes of text, and of blobs, of a chunk. Substrings keep the decoded text alive, so this bounds what one of them pins.
pub const CHUNK_BYTES: usize = 32 * 1024;
/// What a row counts towards the limit of a result, beside its values: whoever takes it makes an object of it.
pub const ROW_BYTES: usize = 56;
/// For how many rows there is room as soon as a result has a second one.
const FIRST_ROWS: usize = 32;
/// How many cells a chunk holds in place: what one thread allocates and another frees makes both wait, and most results are one row.
pub const CELLS_IN_PLACE: usize = 8;
/// A text or blob above this many bytes is carried apart.
pub const INLINE_BYTES: usize = 16 * 1024;

/// Some consecutive rows of a result.
#[derive(Debug, Default, PartialEq)]
pub struct Chunk {
    /// The number of rows.
    pub rows: usize,
    /// The cells, row by row: see [`crate::cell`].
    pub cells: SmallVec<[u64; CELLS_IN_PLACE]>,
    /// The integers that [`Tag::Int64`] cells point to, by index from 0.
    pub integers: Vec<i64>,
    /// The texts, one after another, valid UTF-8.
    pub text: Vec<u8>,
    /// Whether the rows are one JSON text, which the only cell holds as a blob: see [`Take::Json`](crate::Take::Json).
    pub is_json: bool,
    /// Whether `text` is all ASCII.
    pub ascii: bool,
    /// The blobs, one after another.
    pub blobs: Vec<u8>,
    /// What [`Tag::Extra`] cells point to, by index from 0.
    pub extras: Vec<Value>,
}

/// How many cells, integers and extras a chunk has room for that is worth keeping, and how many bytes of texts and BLOBs each.
const KEPT_CELLS: usize = 640;
const KEPT_INTEGERS: usize = 64;
const KEPT_EXTRAS: usize = 8;
const KEPT_BYTES: usize = 2_048;

impl Chunk {
    pub(crate) fn new() -> Self {
        Self { ascii: true, ..Self::default() }
    }

    /// Whether it holds little memory, so that it may wait for the next result.
    pub(crate) fn is_worth_keeping(&self) -> bool {
        self.cells.capacity() <= KEPT_CELLS
            && self.integers.capacity() <= KEPT_INTEGERS
            && self.text.capacity() <= KEPT_BYTES
            && self.blobs.capacity() <= KEPT_BYTES
            && self.extras.capacity() <= KEPT_EXTRAS
    }

    /// Makes it as a new one is, but for the room that it has.
    pub(crate) fn clear(&mut self) {
        let Self { rows, cells, integers, text, is_json, ascii, blobs, extras } = self;
        (*rows, *is_json, *ascii) = (0, false, true);
        cells.clear();
        integers.clear();
        text.clear();
        blobs.clear();
        extras.clear();
    }

    /// Makes one with room for what `before` holds: the next part of a result is about as large.
    fn like(before: &Self) -> Self {
        Self {
            cells: SmallVec::with_capacity(before.cells.len()),
            text: Vec::with_capacity(before.text.len()),
            ..Self::new()
        }
    }

    /// Returns how many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let extras: usize = self.extras.iter().map(size_of_extra).sum();
        self.cells.len() * 8 + self.integers.len() * 8 + self.text.len() + self.blobs.len() + extras
    }
}

fn size_of_extra(value: &Value) -> usize {
    match value {
        Value::Null | Value::Integer(_) | Value::Real(_) => size_of::<Value>(),
        Value::Text(text) => text.len(),
        Value::Blob(blob) => blob.len(),
    }
}

/// How large a result may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_result_bytes: usize,
    pub(crate) max_text_bytes: usize,
}

/// The error of a result that is larger than `limit` bytes.
#[cold]
pub(crate) fn too_large(limit: usize) -> Error {
    Error::new(ErrorCode::TooLarge, format!("the result is larger than maxResultBytes ({limit})"))
}

/// The error of an integer that was asked for as a number, and is too large for one.
#[cold]
pub(crate) fn unsafe_integer(shape: &Shape, column: usize) -> Error {
    let name = &shape.columns()[column].name;
    let message = format!("column '{name}' holds an integer that a number cannot carry exactly");
    Error::new(ErrorCode::OutOfRange, message)
}

/// Encodes the rows of one result into chunks.
pub(crate) struct Encoder {
    shape: Arc<Shape>,
    columns: usize,
    integers: Integers,
    /// In its box from the beginning: it is large to move.
    chunk: Box<Chunk>,
    repeats: Repeats,
    /// Bytes of the chunks before the present one, and of the extras and repeated texts of the present one.
    carried: usize,
    limits: Limits,
}

impl Encoder {
    /// Makes one that begins with the empty `chunk`.
    pub(crate) fn new(shape: Arc<Shape>, integers: Integers, limits: Limits, chunk: Box<Chunk>) -> Self {
        let columns = shape.columns().len();
        Self { shape, columns, integers, chunk, repeats: Repeats::default(), carried: 0, limits }
    }

    pub(crate) fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// Encodes one row.
    ///
    /// # Errors
    /// [`ErrorCode::OutOfRange`] for an integer that cannot be delivered as asked; [`ErrorCode::TooLarge`] past the limit.
    pub(crate) fn push(&mut self, row: PresentRow<'_>) -> Result<()> {
        if self.chunk.rows == 1 {
            // Growing step by step from a few cells would move them many times. Most results have one row, and no need of room.
            self.chunk.cells.reserve(self.columns.saturating_mul(FIRST_ROWS).min(CHUNK_CELLS));
        }
        for column in 0..self.columns {
            let cell = match row.value(column)? {
                ValueRef::Null => tagged(Tag::Null, 0),
                ValueRef::Integer(integer) => self.integer(integer, column)?,
                ValueRef::Real(number) => number.to_bits(),
                ValueRef::Text(text) => self.text(text, column)?,
                ValueRef::Blob(blob) => self.blob(blob)?,
            };
            self.chunk.cells.push(cell);
        }
        self.chunk.rows += 1;
        if self.carried + self.present() > self.limits.max_result_bytes {
            return Err(too_large(self.limits.max_result_bytes));
        }
        Ok(())
    }

    /// Returns whether the present chunk should go out before another row comes in.
    pub(crate) fn is_full(&self) -> bool {
        let chunk = &self.chunk;
        chunk.cells.len() + self.columns > CHUNK_CELLS
            || chunk.text.len() >= CHUNK_BYTES / 2
            || chunk.blobs.len() >= CHUNK_BYTES / 2
            || chunk.extras.len() >= 64
    }

    /// Takes the present chunk and begins another.
    pub(crate) fn take(&mut self) -> Box<Chunk> {
        self.carried += self.present();
        self.repeats.forget();
        let next = Box::new(Chunk::like(&self.chunk));
        std::mem::replace(&mut self.chunk, next)
    }

    /// Takes the last chunk.
    pub(crate) fn finish(self) -> Box<Chunk> {
        self.chunk
    }

    fn present(&self) -> usize {
        let chunk = &self.chunk;
        chunk.rows * ROW_BYTES + (chunk.cells.len() + chunk.integers.len()) * 8 + chunk.text.len() + chunk.blobs.len()
    }

    fn integer(&mut self, integer: i64, column: usize) -> Result<u64> {
        match (self.integers, is_safe(integer)) {
            (Integers::Auto | Integers::Number, true) => Ok(number_of(integer).to_bits()),
            (Integers::Auto, false) | (Integers::BigInt, _) => {
                self.chunk.integers.push(integer);
                Ok(tagged(Tag::Int64, index_of(self.chunk.integers.len())))
            }
            (Integers::Number, false) => Err(unsafe_integer(&self.shape, column)),
        }
    }

    fn text(&mut self, bytes: &[u8], column: usize) -> Result<u64> {
        let is_large = bytes.len() > INLINE_BYTES.min(self.limits.max_text_bytes);
        if is_large || self.chunk.text.len() + bytes.len() > CHUNK_BYTES {
            return self.large_text(bytes, column);
        }
        let short = Short::of(bytes);
        let tag = match self.repeat(short, column) {
            Repeat::Again(index) => {
                self.carried += bytes.len();
                return Ok(tagged(Tag::Again, index));
            }
            Repeat::Remembered => Tag::Remembered,
            Repeat::Unknown => Tag::Text,
        };
        let ascii = short.map_or_else(|| bytes.is_ascii(), Short::is_ascii);
        let units = self.append(bytes, ascii);
        Ok(tagged(tag, u32::try_from(units).expect("BUG: an inline text is short")))
    }

    #[inline]
    fn repeat(&mut self, text: Option<Short>, column: usize) -> Repeat {
        // The first row repeats nothing, and most often it is the only one.
        match text {
            Some(short) if self.chunk.rows > 0 => self.repeats.find(short, column, self.columns),
            _ => Repeat::Unknown,
        }
    }

    /// Adds a text. Returns its length as the other side counts: in UTF-16 units, which for ASCII are the bytes.
    #[inline]
    fn append(&mut self, bytes: &[u8], ascii: bool) -> usize {
        if ascii {
            self.chunk.text.extend_from_slice(bytes);
            return bytes.len();
        }
        self.chunk.ascii = false;
        let text = std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
        self.chunk.text.extend_from_slice(text.as_bytes());
        utf16_units(&text)
    }

    fn large_text(&mut self, bytes: &[u8], column: usize) -> Result<u64> {
        let text = String::from_utf8_lossy(bytes);
        if text.len() > self.limits.max_text_bytes {
            let name = &self.shape.columns()[column].name;
            let limit = self.limits.max_text_bytes;
            let message = format!("column '{name}' holds a text of {} bytes; a string has at most {limit}", text.len());
            return Err(Error::new(ErrorCode::TooLarge, message));
        }
        self.expect_room(text.len())?;
        Ok(self.extra(Value::Text(text.into_owned())))
    }

    fn blob(&mut self, bytes: &[u8]) -> Result<u64> {
        if bytes.len() > INLINE_BYTES || self.chunk.blobs.len() + bytes.len() > CHUNK_BYTES {
            self.expect_room(bytes.len())?;
            return Ok(self.extra(Value::Blob(bytes.to_vec())));
        }
        self.chunk.blobs.extend_from_slice(bytes);
        Ok(tagged(Tag::Blob, u32::try_from(bytes.len()).expect("BUG: an inline blob is short")))
    }

    /// Refuses a large value before it is copied: the other columns of its row may be as large.
    fn expect_room(&self, bytes: usize) -> Result<()> {
        let limit = self.limits.max_result_bytes;
        if self.carried + self.present() + bytes > limit { Err(too_large(limit)) } else { Ok(()) }
    }

    fn extra(&mut self, value: Value) -> u64 {
        self.carried += size_of_extra(&value);
        self.chunk.extras.push(value);
        tagged(Tag::Extra, index_of(self.chunk.extras.len()))
    }
}

/// Counts without decoding: a character has one byte that begins it, and takes two units if that begins one of four bytes.
fn utf16_units(text: &str) -> usize {
    text.bytes().map(|byte| usize::from(byte & 0xC0 != 0x80) + usize::from(byte >= 0xF0)).sum()
}

/// The index of the last of `length` things.
fn index_of(length: usize) -> u32 {
    u32::try_from(length - 1).expect("BUG: a chunk is bounded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_counted_as_characters_encode() {
        for text in ["", "a", "é", "ß∂", "\u{FFFD}", "\u{10FFFF}a", "日本語🦀x"] {
            assert_eq!(utf16_units(text), text.encode_utf16().count(), "{text}");
        }
    }
}
