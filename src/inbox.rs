//! The inbox: finished results, laid out for JavaScript to read. `js/layout.ts` describes the same bytes.

use std::sync::Arc;
use std::time::Duration;

use sluice_core::cell::{Cell, Tag, tagged};
use sluice_core::query::Shape;
use sluice_core::rows::Chunk;
use sluice_core::spares::Spent;
use sluice_core::{Delivery, Failure, Outcome, Route, Timed, Value};

/// The size of the whole inbox.
pub(crate) const INBOX_BYTES: usize = BLOBS.end;

const HEADERS: std::ops::Range<usize> = 0..65_536;
const CELLS: std::ops::Range<usize> = 65_536..327_680;
const INTS: std::ops::Range<usize> = 327_680..589_824;
const TEXT: std::ops::Range<usize> = 589_824..655_360;
const BLOBS: std::ops::Range<usize> = 655_360..720_896;
const HEADER_BYTES: usize = 64;

const KIND_ROWS: u32 = 1;
const KIND_END: u32 = 2;
const KIND_FAILED: u32 = 3;
const KIND_DONE: u32 = 4;
const KIND_MORE: u32 = 5;

const HAS_EXTRAS: u32 = 1;
const SHAPE_NEW: u32 = 1 << 1;
const ROUTE_WRITE: u32 = 1 << 2;
const INSERTED: u32 = 1 << 3;
const HAS_TIMES: u32 = 1 << 4;

/// What does not fit the inbox, by index.
pub(crate) enum Extra {
    Value(Value),
    /// Rows as JSON.
    Json(Vec<u8>),
    Failure(Failure),
    Shape(Arc<Shape>),
}

/// Writes one batch of results.
pub(crate) struct Writer<'a> {
    bytes: &'a mut [u8],
    extras: &'a mut Vec<Extra>,
    spent: &'a mut Spent,
    headers: usize,
    cells: usize,
    integers: usize,
    text: usize,
    blobs: usize,
    ascii: bool,
}

impl<'a> Writer<'a> {
    /// Begins a batch in `bytes`, which is [`INBOX_BYTES`] long. The chunks that were laid out go to `spent`.
    pub(crate) fn new(bytes: &'a mut [u8], extras: &'a mut Vec<Extra>, spent: &'a mut Spent) -> Self {
        Self { bytes, extras, spent, headers: 0, cells: 0, integers: 0, text: 0, blobs: 0, ascii: true }
    }

    /// Returns whether `delivery` fits beside what is there. Anything fits an empty inbox.
    pub(crate) fn fits(&self, delivery: &Delivery) -> bool {
        if self.headers == HEADERS.len() / HEADER_BYTES {
            return false;
        }
        delivery.chunk().is_none_or(|chunk| {
            self.cells + chunk.cells.len() <= CELLS.len() / 8
                && self.integers + chunk.integers.len() <= INTS.len() / 8
                && self.text + chunk.text.len() <= TEXT.len()
                && self.blobs + chunk.blobs.len() <= BLOBS.len()
        })
    }

    /// Adds a delivery that fits.
    pub(crate) fn push(&mut self, call: u32, delivery: Delivery) {
        let mut header = Header { call, ..Header::default() };
        let delivery = match delivery {
            Delivery::Timed(timed) => {
                let Timed { delivery, queued, ran } = *timed;
                header.flags |= HAS_TIMES;
                header.queued_us = micros(queued);
                header.ran_us = micros(ran);
                delivery
            }
            Delivery::Rows(..) | Delivery::End(..) | Delivery::More(..) | Delivery::Failed(_) | Delivery::Done => {
                delivery
            }
        };
        match delivery {
            Delivery::Rows(shape, chunk) => {
                header.kind = KIND_ROWS;
                self.shape(&mut header, &shape);
                self.rows(&mut header, chunk);
            }
            Delivery::More(shape, chunk) => {
                header.kind = KIND_MORE;
                self.last_rows(&mut header, Some(&shape), chunk);
            }
            Delivery::End(shape, chunk, outcome) => {
                header.kind = KIND_END;
                header.outcome(outcome);
                self.last_rows(&mut header, shape.as_ref(), chunk);
            }
            Delivery::Failed(failure) => {
                header.kind = KIND_FAILED;
                header.flags |= HAS_EXTRAS;
                header.failure = self.extra(Extra::Failure(*failure));
            }
            Delivery::Done => header.kind = KIND_DONE,
            Delivery::Timed(_) => unreachable!("BUG: an answer is timed twice"),
        }
        let at = HEADERS.start + self.headers * HEADER_BYTES;
        header.write(&mut self.bytes[at..at + HEADER_BYTES]);
        self.headers += 1;
    }

    /// Ends the batch. Returns the number of headers.
    pub(crate) fn finish(self) -> u32 {
        let (ascii, text) = (u32::from(self.ascii), index(self.text));
        for header in self.bytes[HEADERS].chunks_exact_mut(HEADER_BYTES).take(self.headers) {
            put(header, 14, ascii);
            put(header, 15, text);
        }
        index(self.headers)
    }

    fn last_rows(&mut self, header: &mut Header, shape: Option<&Arc<Shape>>, chunk: Option<Box<Chunk>>) {
        if let Some(shape) = shape {
            self.shape(header, shape);
        }
        if let Some(chunk) = chunk {
            self.rows(header, chunk);
        }
    }

    fn shape(&mut self, header: &mut Header, shape: &Arc<Shape>) {
        (header.shape_id, header.columns) = (shape.id(), index(shape.columns().len()));
        if shape.id() != 0 && shape.announce() {
            header.flags |= SHAPE_NEW | HAS_EXTRAS;
            header.shape = self.extra(Extra::Shape(Arc::clone(shape)));
        }
    }

    fn rows(&mut self, header: &mut Header, mut chunk: Box<Chunk>) {
        if chunk.is_json {
            // To whoever reads it, it is one row of one value.
            (header.rows, header.columns, header.json_rows) = (1, 1, index(chunk.rows));
        } else {
            header.rows = index(chunk.rows);
        }
        if !chunk.extras.is_empty() {
            header.flags |= HAS_EXTRAS;
        }
        self.ascii &= chunk.ascii || chunk.text.is_empty();
        let (integers, extras) = (index(self.integers), index(self.extras.len()));
        let cells = CELLS.start + self.cells * 8;
        let target = self.bytes[cells..].chunks_exact_mut(8);
        // Indices count from the start of the batch; in the first chunk of a batch they are right already.
        if integers + extras == 0 || chunk.integers.len() + chunk.extras.len() == 0 {
            target.zip(&chunk.cells).for_each(|(bytes, cell)| bytes.copy_from_slice(&cell.to_le_bytes()));
        } else {
            let moved = chunk.cells.iter().map(|cell| moved(*cell, integers, extras));
            target.zip(moved).for_each(|(bytes, cell)| bytes.copy_from_slice(&cell.to_le_bytes()));
        }
        self.cells += chunk.cells.len();
        let ints = INTS.start + self.integers * 8;
        let target = self.bytes[ints..].chunks_exact_mut(8);
        target.zip(&chunk.integers).for_each(|(bytes, integer)| bytes.copy_from_slice(&integer.to_le_bytes()));
        self.integers += chunk.integers.len();
        self.text = append(self.bytes, TEXT.start, self.text, &chunk.text);
        self.blobs = append(self.bytes, BLOBS.start, self.blobs, &chunk.blobs);
        let is_json = chunk.is_json;
        self.extras.extend(chunk.extras.drain(..).map(|value| extra(value, is_json)));
        self.spent.give(chunk);
    }

    fn extra(&mut self, extra: Extra) -> u32 {
        self.extras.push(extra);
        index(self.extras.len() - 1)
    }
}

fn extra(value: Value, is_json: bool) -> Extra {
    match value {
        Value::Blob(bytes) if is_json => Extra::Json(bytes),
        Value::Null | Value::Integer(_) | Value::Real(_) | Value::Text(_) | Value::Blob(_) => Extra::Value(value),
    }
}

fn append(bytes: &mut [u8], region: usize, used: usize, more: &[u8]) -> usize {
    let at = region + used;
    bytes[at..at + more.len()].copy_from_slice(more);
    used + more.len()
}

/// A cell whose index counts from the start of the batch instead of the chunk.
fn moved(cell: u64, integers: u32, extras: u32) -> u64 {
    match Cell::from_bits(cell) {
        Some(Cell::Tagged(Tag::Int64, index)) => tagged(Tag::Int64, index + integers),
        Some(Cell::Tagged(Tag::Extra, index)) => tagged(Tag::Extra, index + extras),
        Some(Cell::Tagged(Tag::Null | Tag::Text | Tag::Blob | Tag::Remembered | Tag::Again, _) | Cell::Number(_))
        | None => cell,
    }
}

fn micros(duration: Duration) -> f32 {
    duration.as_secs_f32() * 1e6
}

fn index(number: usize) -> u32 {
    u32::try_from(number).expect("BUG: the inbox is smaller than 4 GiB")
}

fn put(header: &mut [u8], word: usize, value: u32) {
    header[word * 4..word * 4 + 4].copy_from_slice(&value.to_le_bytes());
}

#[derive(Default)]
struct Header {
    call: u32,
    kind: u32,
    flags: u32,
    shape_id: u32,
    rows: u32,
    failure: u32,
    /// How many rows a JSON text holds; in the place of `failure`.
    json_rows: u32,
    shape: u32,
    columns: u32,
    changes: f64,
    last_insert_rowid: i64,
    queued_us: f32,
    ran_us: f32,
}

impl Header {
    fn outcome(&mut self, outcome: Outcome) {
        #[expect(clippy::cast_precision_loss, reason = "no statement changes 2^53 rows")]
        let changes = outcome.changes as f64;
        self.changes = changes;
        if let Some(rowid) = outcome.last_insert_rowid {
            self.flags |= INSERTED;
            self.last_insert_rowid = rowid;
        }
        match outcome.route {
            Route::Read => {}
            Route::Write => self.flags |= ROUTE_WRITE,
        }
    }

    fn write(&self, bytes: &mut [u8]) {
        let words = [
            self.call,
            self.kind,
            self.flags,
            self.shape_id,
            self.rows,
            self.failure | self.json_rows,
            self.shape,
            self.columns,
        ];
        for (word, value) in words.into_iter().enumerate() {
            put(bytes, word, value);
        }
        bytes[32..40].copy_from_slice(&self.changes.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.last_insert_rowid.to_le_bytes());
        put(bytes, 12, self.queued_us.to_bits());
        put(bytes, 13, self.ran_us.to_bits());
    }
}
