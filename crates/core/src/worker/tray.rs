//! What a reader has before it: calls that it took ahead of their turns, and answers of those that have run.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::answered::deliver_quietly;
use super::unannounced::announce;
use crate::completion::Delivery;
use crate::gate::{Class, ReadKind};
use crate::manager::{Ahead, Calls, Permit, Shared};
use crate::query::Request;

/// What one reader has taken and not begun, and the answers of what has run and was not delivered.
///
/// To take several calls at a time, and to deliver their answers together, saves what two readers and the event loop would wait for each
/// other: the gate, the completion queue, and what both count. So does one reader for all quick reads. All of them are expected to run short. Should
/// one not, somebody else [relieves](Tray::relieve) the reader of the others: nobody waits for a call that runs long, as long as another reader
/// is there.
#[derive(Default)]
pub(super) struct Tray(Mutex<Load>);

#[derive(Default)]
struct Load {
    /// Tells each load from those before it.
    number: u64,
    /// Nothing when the reader has done with it.
    present: Option<Present>,
    answers: VecDeque<(u32, Delivery)>,
    relief: Relief,
}

struct Present {
    since: Instant,
    kind: ReadKind,
    /// What is not begun. Nothing when there was only one call, or the reader was relieved.
    ahead: Option<(Calls, Ahead)>,
}

/// What somebody else has told the gate in place of the reader.
#[derive(Clone, Copy, Default)]
struct Relief {
    /// Of how many that the permit was passed on to ahead of their turns.
    settled: usize,
    /// Whether the permit is of a quick read no more.
    slowed_down: bool,
}

impl Tray {
    /// Puts what `permit` was given for on it, which is empty: a read that begins now, and calls that come after it.
    pub(super) fn load<'p>(
        self: &Arc<Self>,
        permit: &'p mut Permit,
        since: Instant,
        ahead: Option<(Calls, Ahead)>,
    ) -> Serving<'p> {
        let Class::Read(kind) = permit.class() else { panic!("BUG: a reader serves who may not read") };
        let mut load = self.0.lock();
        load.number += 1;
        load.present = Some(Present { since, kind, ahead });
        drop(load);
        Serving { tray: Arc::clone(self), permit, is_over: false }
    }

    /// What is on it now, and since when.
    pub(super) fn present(&self) -> Option<(u64, Instant)> {
        let load = self.0.lock();
        load.present.as_ref().map(|present| (load.number, present.since))
    }

    /// Takes everything off in place of the reader, which is busy with one call for too long, if it has not done with that load: the answers are
    /// delivered, the calls wait again where they waited, and nobody waits for this reader because it is quick.
    pub(super) fn relieve(&self, number: u64, shared: &Arc<Shared>) {
        let mut load = self.0.lock();
        if load.number != number {
            return;
        }
        let Some(present) = load.present.as_mut() else { return };
        let (kind, ahead) = (present.kind, present.ahead.take());
        // Before the reader can clear it, which has its permit follow.
        let told = (kind == ReadKind::Quick && !load.relief.slowed_down).then(|| shared.slow_down());
        load.relief.slowed_down |= told.is_some();
        if let Some((calls, passed)) = ahead {
            load.relief.settled = passed.ahead();
            let mut answers = std::mem::take(&mut load.answers);
            drop(load);
            let sink = Arc::clone(calls.sink());
            shared.put_back_reads(&passed, calls);
            shared.counters.reads.add_many(answered(&answers));
            deliver_quietly(&sink, &mut answers);
        } else {
            drop(load);
        }
        drop(told);
    }
}

/// How many answers are no failures.
pub(super) fn answered(answers: &VecDeque<(u32, Delivery)>) -> u64 {
    answers.iter().filter(|(_, answer)| matches!(answer, Delivery::End(..))).count() as u64
}

/// What a reader does under its permit while it has something on its tray. Dropping it takes everything off, even where a panic ends the reader:
/// nobody may act for a permit that is back.
pub(super) struct Serving<'p> {
    tray: Arc<Tray>,
    permit: &'p mut Permit,
    is_over: bool,
}

impl Serving<'_> {
    /// Puts the answer of the call before on the tray, if there is one, and takes the next call off: its values go into `request`. Returns its number.
    pub(super) fn next(&self, answer: &mut Option<(u32, Delivery)>, request: &mut Request) -> Option<u32> {
        let mut load = self.tray.0.lock();
        load.answers.extend(answer.take());
        let (calls, _) = load.present.as_mut()?.ahead.as_mut()?;
        calls.next_into(request)
    }

    /// Takes everything off, and tells the permit what others have done with it. The answers go into `ready`, which is empty. Returns the calls that
    /// have not begun.
    pub(super) fn clear(mut self, ready: &mut VecDeque<(u32, Delivery)>) -> Option<Calls> {
        self.unload(ready).filter(|calls| calls.count() > 0)
    }

    fn unload(&mut self, answers: &mut VecDeque<(u32, Delivery)>) -> Option<Calls> {
        self.is_over = true;
        let mut load = self.tray.0.lock();
        std::mem::swap(&mut load.answers, answers);
        let (present, relief) = (load.present.take()?, std::mem::take(&mut load.relief));
        drop(load);
        self.permit.were_settled(relief.settled);
        if relief.slowed_down {
            self.permit.was_slowed_down();
        }
        present.ahead.map(|(calls, _)| calls)
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut answers = VecDeque::new();
        if let Some(calls) = self.unload(&mut answers) {
            deliver_quietly(calls.sink(), &mut answers);
            announce(Arc::clone(calls.sink()));
        }
    }
}
