//! What a worker answers once it may.

use std::sync::Arc;

use crate::completion::{Delivery, Reply, delivery_bytes};
use crate::query::Shape;
use crate::rows::Chunk;
use crate::statement::Answer;

/// An answer that is complete, and kept until what it tells of is committed.
pub(super) struct Answered {
    pub(super) chunks: Vec<(Arc<Shape>, Chunk)>,
    pub(super) last: Delivery,
}

impl Answered {
    pub(super) fn done() -> Self {
        Self::last(Delivery::Done)
    }

    pub(super) fn last(last: Delivery) -> Self {
        Self { chunks: Vec::new(), last }
    }

    pub(super) fn new(chunks: Vec<Chunk>, answer: Answer) -> Self {
        let Answer { shape, chunk, outcome } = answer;
        let chunks = chunks.into_iter().map(|chunk| (Arc::clone(&shape), chunk)).collect();
        Self { chunks, last: Delivery::End(shape, chunk, outcome) }
    }

    pub(super) fn bytes(&self) -> usize {
        self.chunks.iter().map(|(_, chunk)| chunk.bytes()).sum::<usize>() + delivery_bytes(&self.last)
    }

    pub(super) fn send(self, reply: Reply) {
        let Self { chunks, last } = self;
        for (shape, chunk) in chunks {
            reply.push(&shape, chunk);
        }
        reply.settle(last);
    }
}
