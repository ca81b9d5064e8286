//! Rows as one JSON text: an array with an object or an array for each row, as `JSON.stringify` of JavaScript writes what `all` returns.

mod keys;
mod number;
mod text;

use std::sync::Arc;

use rusqlite::types::ValueRef;

use crate::cell::{Tag, is_safe, tagged};
use crate::error::Result;
use crate::query::{Integers, JsonRows, Shape};
use crate::rows::{Chunk, INLINE_BYTES, Limits, too_large, unsafe_integer};
use crate::statement::PresentRow;
use crate::value::Value;

pub(crate) use keys::Fields;

/// How much room there is as soon as a result has a row, in bytes.
const FIRST_BYTES: usize = 256;

/// Writes the rows of one result as JSON.
///
/// It is never full: whoever takes it wants one piece of memory, and a result that goes out in parts would have to be put together again.
pub(crate) struct JsonEncoder {
    shape: Arc<Shape>,
    kind: JsonRows,
    integers: Integers,
    bytes: Vec<u8>,
    rows: usize,
    max_bytes: usize,
}

impl JsonEncoder {
    pub(crate) fn new(shape: Arc<Shape>, rows: JsonRows, integers: Integers, limits: Limits) -> Self {
        let mut bytes = Vec::with_capacity(FIRST_BYTES);
        bytes.push(b'[');
        Self { shape, kind: rows, integers, bytes, rows: 0, max_bytes: limits.max_result_bytes }
    }

    pub(crate) fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// Writes one row.
    ///
    /// # Errors
    /// [`ErrorCode::OutOfRange`](crate::ErrorCode::OutOfRange) for an integer that cannot be delivered as asked;
    /// [`ErrorCode::TooLarge`](crate::ErrorCode::TooLarge) past the limit.
    pub(crate) fn push(&mut self, row: PresentRow<'_>) -> Result<()> {
        let Self { shape, kind, integers, bytes, rows, max_bytes } = self;
        let fields = shape.json_fields(*kind);
        if *rows > 0 {
            bytes.push(b',');
        }
        for (before, column) in fields.iter() {
            bytes.extend_from_slice(before);
            match row.value(column)? {
                ValueRef::Null => bytes.extend_from_slice(b"null"),
                ValueRef::Integer(integer) => match integers {
                    Integers::Number if !is_safe(integer) => return Err(unsafe_integer(shape, column)),
                    Integers::Auto | Integers::Number | Integers::BigInt => number::write_integer(bytes, integer),
                },
                ValueRef::Real(real) => number::write_real(bytes, real),
                ValueRef::Text(text) => text::write(bytes, text, *max_bytes)?,
                ValueRef::Blob(blob) => text::write_base64(bytes, blob, *max_bytes)?,
            }
        }
        bytes.push(fields.close());
        *rows += 1;
        // The bracket at the end counts too.
        if bytes.len() < *max_bytes { Ok(()) } else { Err(too_large(*max_bytes)) }
    }

    /// Takes all rows.
    pub(crate) fn finish(mut self) -> Box<Chunk> {
        self.bytes.push(b']');
        let mut chunk = Chunk { rows: self.rows, is_json: true, ascii: true, ..Chunk::default() };
        if self.bytes.len() <= INLINE_BYTES {
            chunk.cells.push(tagged(Tag::Blob, u32::try_from(self.bytes.len()).expect("BUG: inline bytes are few")));
            chunk.blobs = self.bytes;
        } else {
            chunk.cells.push(tagged(Tag::Extra, 0));
            // It stays where it is until it is collected, so that it must not keep room that nobody uses.
            self.bytes.shrink_to_fit();
            chunk.extras.push(Value::Blob(self.bytes));
        }
        Box::new(chunk)
    }
}
