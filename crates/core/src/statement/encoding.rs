//! The forms in which the rows of a result go out. Who steps a statement is compiled for each: a choice per row would slow all of them down.

use std::sync::Arc;

use super::PresentRow;
use crate::error::Result;
use crate::json::JsonEncoder;
use crate::query::Shape;
use crate::rows::{Chunk, Encoder};

/// Encodes the rows of one result.
pub(super) trait Encode {
    /// The columns.
    fn shape(&self) -> &Arc<Shape>;

    /// Takes the present chunk if it should go out before another row comes in.
    fn take_full(&mut self) -> Option<Box<Chunk>>;

    /// Encodes one row.
    ///
    /// # Errors
    /// [`ErrorCode::OutOfRange`](crate::ErrorCode::OutOfRange), [`ErrorCode::TooLarge`](crate::ErrorCode::TooLarge), and SQLite's.
    fn push(&mut self, row: PresentRow<'_>) -> Result<()>;

    /// Takes the last chunk.
    fn finish(self) -> Box<Chunk>;
}

/// As cells, chunk by chunk.
impl Encode for Encoder {
    fn shape(&self) -> &Arc<Shape> {
        self.shape()
    }

    #[inline]
    fn take_full(&mut self) -> Option<Box<Chunk>> {
        self.is_full().then(|| self.take())
    }

    #[inline]
    fn push(&mut self, row: PresentRow<'_>) -> Result<()> {
        self.push(row)
    }

    fn finish(self) -> Box<Chunk> {
        self.finish()
    }
}

/// As one JSON text.
impl Encode for JsonEncoder {
    fn shape(&self) -> &Arc<Shape> {
        self.shape()
    }

    fn take_full(&mut self) -> Option<Box<Chunk>> {
        None
    }

    #[inline]
    fn push(&mut self, row: PresentRow<'_>) -> Result<()> {
        self.push(row)
    }

    fn finish(self) -> Box<Chunk> {
        self.finish()
    }
}
