//! Checkpoints that nobody of this process is in the way of.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{CheckpointMode, UnlessBusy};
use crate::completion::Reply;
use crate::error::Result;
use crate::gate::Class;
use crate::lease::RawLease;
use crate::manager::Shared;
use crate::manager::waiting::{lease, permit};
use crate::query::Query;
use crate::worker::{Disposition, answer_checkpoint};

/// For how long writes are held back alone while the reads end that are in the way of a checkpoint. Most reads are shorter; if one is not,
/// new ones are held back too.
const PATIENCE: Duration = Duration::from_millis(10);

/// How long to wait before looking again whether they have ended.
const PAUSE: Duration = Duration::from_millis(1);

/// How long to let others go on before trying again, where somebody outside this process was in the way.
const FOREIGN_PAUSE: Duration = Duration::from_millis(50);

/// Answers `reply` with a checkpoint that nobody of this process is in the way of. If somebody outside is, it tries again until
/// `patient_until`, and lets others go on meanwhile.
pub(super) async fn meeting_nobody(
    shared: &Arc<Shared>,
    mode: CheckpointMode,
    mut reply: Reply,
    patient_until: Instant,
) {
    loop {
        let Some(unanswered) = beside_new_reads(shared, mode, reply).await else { return };
        if Instant::now() >= patient_until {
            return in_gap(shared, mode, unanswered).await;
        }
        let (instead, busy) = UnlessBusy::instead_of(unanswered);
        in_gap(shared, mode, instead).await;
        let Ok(unanswered) = busy.await else { return };
        reply = unanswered;
        tokio::time::sleep(FOREIGN_PAUSE).await;
    }
}

/// Checkpoints while nobody of this process has a connection, and waits for nobody else: everybody here waits for it.
async fn in_gap(shared: &Arc<Shared>, mode: CheckpointMode, reply: Reply) {
    let mut lease = match gap(shared).await {
        Ok(lease) => lease,
        Err(error) => return reply.fail(error),
    };
    if let Some(lost) = shared.lost() {
        return reply.fail(lost);
    }
    let unanswered = Arc::new(Mutex::new(Some(reply)));
    let (body, taken) = (Arc::clone(shared), Arc::clone(&unanswered));
    let lent = lease
        .lend(shown(), move |connection, _| {
            let reply = taken.lock().take();
            Ok(reply.map_or(Disposition::Reuse, |reply| answer_checkpoint(&body, connection, mode, reply)))
        })
        .await;
    match lent {
        Ok(disposition) => lease.end_as(disposition),
        Err(error) => {
            let reply = unanswered.lock().take();
            if let Some(reply) = reply {
                reply.fail(error);
            }
        }
    }
}

/// What stands for a checkpoint while it runs in a gap.
fn shown() -> &'static Arc<Query> {
    static SHOWN: OnceLock<Arc<Query>> = OnceLock::new();
    SHOWN.get_or_init(|| Query::new("PRAGMA wal_checkpoint"))
}

/// Checkpoints as soon as the reads have ended that are older than the checkpoint, if that is soon. Newer ones find everything moved, and do
/// not read from the log: <https://sqlite.org/wal.html#concurrency>. Returns `reply`, unanswered, if somebody is still in the way.
async fn beside_new_reads(shared: &Arc<Shared>, mode: CheckpointMode, mut reply: Reply) -> Option<Reply> {
    if !shared.may_checkpoint_beside() {
        return Some(reply);
    }
    let _no_writes = match permit(shared, Class::Write).await {
        Ok(permit) => permit,
        Err(error) => {
            reply.fail(error);
            return None;
        }
    };
    let unfinished = Instant::now() + PATIENCE;
    loop {
        // A snapshot that was left open ends before whatever its reader runs; but that may take long, and is not waited for with the permit.
        if tokio::time::timeout_at(unfinished.into(), shared.no_hold_is_open()).await.is_err() {
            return Some(reply);
        }
        reply = shared.checkpoint_beside(mode, reply).await?;
        if Instant::now() > unfinished {
            return Some(reply);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until nobody is left whom a checkpoint could meet, and holds new ones back.
async fn gap(shared: &Arc<Shared>) -> Result<RawLease> {
    let lease = lease(shared, Class::Exclusive).await?;
    shared.no_hold_is_open().await;
    // What was written last may have had it begin again. A later nudge opens another.
    shared.checkpointer.close().await;
    Ok(lease)
}
