//! What a reader has before it: calls that it took ahead of their turns, and answers of those that have run.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::answered::deliver_quietly;
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
    taken: Option<Taken>,
    answers: VecDeque<(u32, Delivery)>,
    relief: Relief,
}

struct Taken {
    since: Instant,
    kind: ReadKind,
    /// What is not begun. Nothing when there was only one call, or the reader was relieved.
    ahead: Option<(Calls, Ahead)>,
}

/// What somebody else has done in place of the reader.
#[derive(Clone, Copy, Default)]
struct Relief {
    /// How many calls were put back.
    put_back: usize,
    /// Whether its permit is of a quick read no more.
    slowed_down: bool,
}

impl Tray {
    /// Puts what `permit` was given for on it, which is empty: a read that begins now, and calls that come after it.
    pub(super) fn load(&self, permit: &Permit, since: Instant, ahead: Option<(Calls, Ahead)>) {
        let Class::Read(kind) = permit.class() else { return };
        let mut load = self.0.lock();
        load.number += 1;
        load.relief = Relief::default();
        load.taken = Some(Taken { since, kind, ahead });
    }

    /// Puts the answer of the call before on it, if there is one, and takes the next call off: its values go into `request`. Returns its number.
    pub(super) fn next(&self, answer: &mut Option<(u32, Delivery)>, request: &mut Request) -> Option<u32> {
        let mut load = self.0.lock();
        load.answers.extend(answer.take());
        let (calls, _) = load.taken.as_mut()?.ahead.as_mut()?;
        calls.next_into(request)
    }

    /// Takes everything off, and tells `permit` what others have done with it. The answers go into `ready`, which is empty. Returns the calls that
    /// have not begun.
    pub(super) fn clear(&self, permit: &mut Permit, ready: &mut VecDeque<(u32, Delivery)>) -> Option<Calls> {
        let mut load = self.0.lock();
        std::mem::swap(&mut load.answers, ready);
        let (taken, relief) = (load.taken.take(), load.relief);
        drop(load);
        permit.were_put_back(relief.put_back);
        if relief.slowed_down {
            permit.was_slowed_down();
        }
        let (calls, _) = taken?.ahead?;
        (calls.count() > 0).then_some(calls)
    }

    /// What is on it now, and since when.
    pub(super) fn present(&self) -> Option<(u64, Instant)> {
        let load = self.0.lock();
        load.taken.as_ref().map(|taken| (load.number, taken.since))
    }

    /// Takes everything off in place of the reader, which is busy with one call for too long, if it has not done with that load: the answers are
    /// delivered, the calls wait again where they waited, and nobody waits for this reader because it is quick.
    pub(super) fn relieve(&self, number: u64, shared: &Arc<Shared>) {
        let mut load = self.0.lock();
        if load.number != number {
            return;
        }
        let Some(taken) = load.taken.as_mut() else { return };
        let (kind, ahead) = (taken.kind, taken.ahead.take());
        // Before the reader can clear it, which has its permit follow.
        let told = (kind == ReadKind::Quick && !load.relief.slowed_down).then(|| shared.slow_down());
        load.relief.slowed_down |= told.is_some();
        if let Some((calls, passed)) = ahead {
            load.relief.put_back = calls.count();
            let mut answers = std::mem::take(&mut load.answers);
            drop(load);
            deliver_quietly(calls.sink(), &mut answers);
            if calls.count() > 0 {
                shared.put_back_reads(kind, &passed, calls);
            }
        } else {
            drop(load);
        }
        drop(told);
    }
}
