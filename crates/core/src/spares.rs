//! Chunks that have been read, for others to fill anew.
//!
//! A worker fills a chunk, and the consumer of the results is done with it: what one thread allocates and another frees makes both wait for
//! the allocator (docs/PERFORMANCE.md). So chunks go round, in lots.

use parking_lot::Mutex;

use crate::rows::Chunk;

/// How many go from one thread to another at a time.
const LOT: usize = 32;

/// How many are kept in the process for whoever needs one, beside those that its threads have at hand.
const MAX_SPARES: usize = 512;

type Chunks = Vec<Box<Chunk>>;

static SPARES: Mutex<Chunks> = Mutex::new(Vec::new());

/// The chunks that a consumer has read.
#[derive(Debug, Default)]
pub struct Spent(Chunks);

impl Spent {
    /// Lets `chunk` be filled anew, unless it holds much memory.
    pub fn give(&mut self, mut chunk: Box<Chunk>) {
        if !chunk.is_worth_keeping() {
            return;
        }
        chunk.clear();
        self.0.push(chunk);
        if self.0.len() == LOT {
            let mut spares = SPARES.lock();
            let room = MAX_SPARES.saturating_sub(spares.len());
            spares.extend(self.0.drain(..room.min(LOT)));
            drop(spares);
            self.0.clear();
        }
    }
}

/// The chunks that a connection has at hand.
#[derive(Debug, Default)]
pub(crate) struct Stock(Chunks);

impl Stock {
    /// Takes an empty chunk.
    pub(crate) fn take(&mut self) -> Box<Chunk> {
        if self.0.is_empty() {
            let mut spares = SPARES.lock();
            let left = spares.len().saturating_sub(LOT);
            self.0.extend(spares.drain(left..));
        }
        self.0.pop().unwrap_or_else(|| Box::new(Chunk::new()))
    }

    /// Takes a chunk back that was not needed.
    pub(crate) fn put(&mut self, chunk: Option<Box<Chunk>>) {
        self.0.extend(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{Tag, tagged};
    use crate::value::Value;

    fn full() -> Box<Chunk> {
        Box::new(Chunk {
            rows: 1,
            cells: [1, 2].into_iter().collect(),
            integers: vec![1],
            text: b"a text".to_vec(),
            is_json: true,
            ascii: false,
            blobs: vec![1, 2, 3],
            extras: vec![Value::Null],
        })
    }

    #[test]
    fn a_chunk_that_was_read_is_empty_when_it_is_filled_anew() {
        let (mut spent, mut stock) = (Spent::default(), Stock::default());
        for _ in 0..3 * LOT {
            spent.give(full());
        }
        for _ in 0..3 * LOT {
            assert_eq!(*stock.take(), Chunk::new());
        }
    }

    #[test]
    fn what_is_kept_is_bounded_in_number_and_in_memory() {
        let mut spent = Spent::default();
        for _ in 0..3 * MAX_SPARES {
            spent.give(full());
        }
        assert!(SPARES.lock().len() <= MAX_SPARES);
        assert!(spent.0.len() < LOT);
        let mut few = Spent::default();
        for large in [
            Chunk { cells: vec![tagged(Tag::Null, 0); 100_000].into(), ..Chunk::new() },
            Chunk { integers: vec![0; 100_000], ..Chunk::new() },
            Chunk { text: vec![b' '; 100_000], ..Chunk::new() },
            Chunk { blobs: vec![0; 100_000], ..Chunk::new() },
            Chunk { extras: vec![Value::Null; 1_000], ..Chunk::new() },
        ] {
            few.give(Box::new(large));
        }
        assert!(few.0.is_empty());
    }
}
