//! What a reader has before it: calls that it took ahead of their turns, and answers of those that have run.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::answered::deliver_quietly;
use crate::completion::Delivery;
use crate::manager::{Ahead, Calls, Shared};
use crate::query::Request;

/// The calls that one reader has taken and not begun, and the answers of those that have run and were not delivered.
///
/// To take several calls at a time, and to deliver their answers together, saves what two readers and the event loop would wait for each
/// other: the gate, the completion queue, and what both count. All of them are expected to run short. Should one not, somebody else
/// [relieves](Tray::relieve) the reader of the others: nobody waits for a call that runs long, as long as another reader is there.
#[derive(Default)]
pub(super) struct Tray(Mutex<Load>);

#[derive(Default)]
struct Load {
    /// What is not begun. Nothing when all have, or the reader was relieved of them.
    calls: Option<Calls>,
    passed: Option<Ahead>,
    answers: VecDeque<(u32, Delivery)>,
    /// Of how many calls the reader was relieved.
    relieved: usize,
}

/// What was on the tray when the reader had done with it.
pub(super) struct Cleared {
    /// What it has not begun.
    pub(super) left: Option<Calls>,
    /// How many others have put back.
    pub(super) relieved: usize,
}

impl Tray {
    /// Puts calls on it, which is empty.
    pub(super) fn load(&self, calls: Calls, passed: Ahead) {
        let mut load = self.0.lock();
        load.relieved = 0;
        load.passed = Some(passed);
        load.calls = Some(calls);
    }

    /// Puts the answer of the call before on it, if there is one, and takes the next call off: its values go into `request`. Returns its number.
    pub(super) fn next(&self, answer: &mut Option<(u32, Delivery)>, request: &mut Request) -> Option<u32> {
        let mut load = self.0.lock();
        load.answers.extend(answer.take());
        load.calls.as_mut()?.next_into(request)
    }

    /// Takes everything off. The answers go into `ready`, which is empty.
    pub(super) fn clear(&self, ready: &mut VecDeque<(u32, Delivery)>) -> Cleared {
        let mut load = self.0.lock();
        std::mem::swap(&mut load.answers, ready);
        let left = load.calls.take().filter(|calls| calls.count() > 0);
        Cleared { left, relieved: load.relieved }
    }

    /// Takes everything off in place of the reader, which is busy with one call for too long: the answers are delivered to `sink`, for whom all
    /// calls were, and the calls wait again where they waited.
    pub(super) fn relieve(&self, shared: &Arc<Shared>) {
        let mut load = self.0.lock();
        let Some(passed) = load.passed else { return };
        let Some(calls) = load.calls.take() else { return };
        let mut answers = std::mem::take(&mut load.answers);
        load.relieved = calls.count();
        drop(load);
        deliver_quietly(calls.sink(), &mut answers);
        if calls.count() > 0 {
            shared.put_back_reads(&passed, calls);
        }
    }
}
