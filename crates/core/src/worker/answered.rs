//! What a worker answers once it may.

use std::collections::VecDeque;
use std::sync::Arc;

use super::guard;
use super::unannounced::announce;
use crate::completion::{Delivery, Failure, Reply, Sink, delivery_bytes};
use crate::query::Shape;
use crate::rows::Chunk;
use crate::statement::Answer;

/// An answer that is complete, and kept until what it tells of is committed.
pub(super) struct Answered {
    pub(super) chunks: Vec<(Arc<Shape>, Box<Chunk>)>,
    pub(super) last: Delivery,
}

impl Answered {
    pub(super) fn done() -> Self {
        Self::last(Delivery::Done)
    }

    pub(super) fn last(last: Delivery) -> Self {
        Self { chunks: Vec::new(), last }
    }

    pub(super) fn new(chunks: impl IntoIterator<Item = Box<Chunk>>, answer: Answer) -> Self {
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

/// Answers calls in their order. What one sink takes in a row it takes at once, and is woken for once.
pub(super) fn answer_all(outcomes: impl Iterator<Item = (Reply, Result<Answered, Failure>)>) {
    let mut answers = VecDeque::with_capacity(outcomes.size_hint().0);
    let mut taker: Option<Arc<dyn Sink>> = None;
    for (reply, outcome) in outcomes {
        let last = match outcome {
            Ok(Answered { chunks, last }) => {
                for (shape, chunk) in chunks {
                    reply.push(&shape, chunk);
                }
                last
            }
            Err(failure) => Delivery::failed(failure),
        };
        // Whoever listens to what calls take may panic.
        let concluded =
            if reply.is_watched() { guard(|| reply.conclude(last)).ok() } else { Some(reply.conclude(last)) };
        let Some((sink, call, last)) = concluded else { continue };
        if !taker.as_ref().is_some_and(|known| Arc::ptr_eq(known, &sink))
            && let Some(other) = taker.replace(sink)
        {
            deliver(other, &mut answers);
        }
        answers.push_back((call, last));
    }
    if let Some(sink) = taker {
        deliver(sink, &mut answers);
    }
}

/// Delivers answers to their sink, and wakes it. One that panics fails the others' answers no more than their calls.
fn deliver(sink: Arc<dyn Sink>, answers: &mut VecDeque<(u32, Delivery)>) {
    while !answers.is_empty() {
        drop(guard(|| sink.deliver_all_quietly(answers)));
    }
    announce(sink);
}
