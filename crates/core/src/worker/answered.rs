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
        // Without columns there are no rows.
        let chunks = shape
            .as_ref()
            .map_or_else(Vec::new, |shape| chunks.into_iter().map(|chunk| (Arc::clone(shape), chunk)).collect());
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
    let mut answers = Answers::with_capacity(outcomes.size_hint().0);
    outcomes.for_each(|(reply, outcome)| answers.add(reply, outcome));
    answers.send();
}

/// Answers that are ready, and whose sink they are for.
pub(super) struct Answers {
    ready: VecDeque<(u32, Delivery)>,
    taker: Option<Arc<dyn Sink>>,
}

impl Answers {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self { ready: VecDeque::with_capacity(count), taker: None }
    }

    /// Answers a call after those that were added before.
    pub(super) fn add(&mut self, reply: Reply, outcome: Result<Answered, Failure>) {
        let last = last_of(outcome, |shape, chunk| reply.push(shape, chunk));
        // Whoever listens to what calls take may panic.
        let concluded =
            if reply.is_watched() { guard(|| reply.conclude(last)).ok() } else { Some(reply.conclude(last)) };
        if let Some((sink, call, last)) = concluded {
            self.push(&sink, call, last);
        }
    }

    /// The same of one for which there is no reply.
    pub(super) fn add_call(&mut self, sink: &Arc<dyn Sink>, call: u32, outcome: Result<Answered, Failure>) {
        let rows = |shape: &_, chunk| sink.deliver(call, Delivery::Rows(Arc::clone(shape), chunk));
        let last = match outcome {
            Ok(Answered { chunks, last }) if chunks.is_empty() => last,
            // A reply would answer when a sink panics.
            outcome => guard(|| last_of(outcome, rows)).unwrap_or_else(Delivery::failed),
        };
        self.push(sink, call, last);
    }

    fn push(&mut self, sink: &Arc<dyn Sink>, call: u32, last: Delivery) {
        if !self.taker.as_ref().is_some_and(|known| Arc::ptr_eq(known, sink))
            && let Some(other) = self.taker.replace(Arc::clone(sink))
        {
            deliver(other, &mut self.ready);
        }
        self.ready.push_back((call, last));
    }

    /// Delivers what is ready.
    pub(super) fn send(mut self) {
        if let Some(sink) = self.taker {
            deliver(sink, &mut self.ready);
        }
    }
}

/// The last step of an answer, once `push` has got those before it.
fn last_of(outcome: Result<Answered, Failure>, push: impl Fn(&Arc<Shape>, Box<Chunk>)) -> Delivery {
    match outcome {
        Ok(Answered { chunks, last }) => {
            for (shape, chunk) in chunks {
                push(&shape, chunk);
            }
            last
        }
        Err(failure) => Delivery::failed(failure),
    }
}

/// Delivers answers to their sink, and wakes it. One that panics fails the others' answers no more than their calls.
fn deliver(sink: Arc<dyn Sink>, answers: &mut VecDeque<(u32, Delivery)>) {
    deliver_quietly(&sink, answers);
    announce(sink);
}

/// Delivers answers to their sink, which is to be woken.
pub(super) fn deliver_quietly(sink: &Arc<dyn Sink>, answers: &mut VecDeque<(u32, Delivery)>) {
    while !answers.is_empty() {
        drop(guard(|| sink.deliver_all_quietly(answers)));
    }
}
