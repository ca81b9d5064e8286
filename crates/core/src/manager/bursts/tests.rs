//! What ends the snapshot that a burst of inline reads leaves open, each by itself; and what the reads of a burst see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::completion::{Delivery, Reply};
use crate::gate::{Class, ReadKind};
use crate::lease::collect;
use crate::manager::{CheckpointMode, Inline, Manager, Options};
use crate::params::Params;
use crate::query::{Query, Request};
use crate::value::Value;
use crate::{Concurrency, Result};

/// A database whose inline reads come in bursts, beside a connection that could be one of another process.
struct Scene {
    dir: TempDir,
    manager: Manager,
    outside: rusqlite::Connection,
    read: Request,
}

fn eager() -> Options {
    Options { max_readers: 1, inline_reads: Some(1), ..Options::default() }
}

fn request(sql: &str) -> Request {
    Request::new(Query::new(sql), Params::none())
}

/// The only number of an answer.
fn number(inline: &Inline) -> i64 {
    let Delivery::End(_, chunk, _) = &inline.delivery else { panic!("not an answer: {inline:?}") };
    #[expect(clippy::cast_possible_truncation, reason = "the numbers of the tests are small")]
    let number = f64::from_bits(chunk.as_ref().expect("a row").cells[0]) as i64;
    number
}

impl Scene {
    async fn open(options: Options) -> Result<Self> {
        let dir = TempDir::new().expect("a temporary directory");
        let path = dir.path().join("app.db");
        let outside = rusqlite::Connection::open(&path)?;
        outside.busy_timeout(Duration::ZERO)?;
        outside.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES (1)")?;
        let manager = Manager::open(&path, options).await?;
        Ok(Self { dir, manager, outside, read: request("SELECT max(x) FROM t") })
    }

    /// Opens one in which time ends nothing.
    async fn open_timeless(options: Options) -> Result<Self> {
        let scene = Self::open(options).await?;
        let shared = &scene.manager.shared;
        // It counts as armed from now on.
        shared.hold_timer.arm(shared);
        shared.hold_timer.stop();
        Ok(scene)
    }

    /// Reads until a snapshot is left open.
    async fn hold(&self) -> Result<()> {
        while !self.read_inline().await?.held {}
        assert_eq!(self.holds(), 1);
        Ok(())
    }

    async fn read_inline(&self) -> Result<Inline> {
        loop {
            if let Some(inline) = self.manager.try_inline(&self.read) {
                return Ok(inline);
            }
            self.manager.sibling().run(self.read.clone()).await?;
        }
    }

    fn holds(&self) -> usize {
        self.manager.shared.holds.load(Ordering::SeqCst)
    }

    async fn no_hold(&self) {
        while self.holds() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn reuses(&self) -> u64 {
        self.manager.shared.counters.inline_reuses.get()
    }

    /// Whether the log could be emptied: nobody reads from it.
    fn empties_the_log(&self) -> bool {
        let busy: i64 =
            self.outside.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).expect("it runs");
        busy == 0
    }

    async fn insert(&self, x: i64) -> Result<()> {
        let params = Params::positional([Value::from(x)]);
        self.manager.sibling().query("INSERT INTO t VALUES (?)", params).await.map(drop)
    }
}

async fn in_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("done within the deadline")
}

#[tokio::test]
async fn the_second_read_of_a_burst_leaves_its_snapshot_open_and_the_next_ones_use_it() -> Result<()> {
    in_deadline(async {
        let scene = Scene::open_timeless(eager()).await?;
        assert_eq!((scene.holds(), scene.reuses()), (0, 0));
        scene.hold().await?;
        assert!(!scene.empties_the_log(), "a snapshot keeps the log");
        for reads in 1..=10 {
            let inline = scene.read_inline().await?;
            assert_eq!((number(&inline), inline.held, scene.reuses()), (1, false, reads));
        }
        let status = scene.manager.status();
        assert_eq!((status.readers.active, status.readers.idle), (0, 1), "it is nobody's at work");
        assert!(status.wal.oldest_reader.is_some());
        assert_eq!(status.wal.oldest_reader_sql.as_deref(), Some("SELECT max(x) FROM t"));
        scene.manager.end_burst();
        assert_eq!(scene.holds(), 0);
        assert_eq!(scene.manager.status().wal.oldest_reader, None);
        assert!(scene.empties_the_log());
        scene.manager.end_burst();
        scene.manager.close().await
    })
    .await
}

#[tokio::test]
async fn what_is_submitted_on_the_same_handle_ends_it_before() -> Result<()> {
    in_deadline(async {
        let scene = Scene::open_timeless(eager()).await?;
        scene.hold().await?;
        let (sink, answer) = collect();
        scene.manager.submit(request("SELECT 2"), None, sink, 1);
        assert_eq!(scene.holds(), 0);
        answer.await?;
        scene.manager.close().await
    })
    .await
}

#[tokio::test]
async fn i7_a_message_to_the_reader_ends_a_hold_before_anything_else() -> Result<()> {
    in_deadline(async {
        let scene = Scene::open_timeless(eager()).await?;
        scene.hold().await?;
        scene.outside.execute_batch("INSERT INTO t VALUES (2)")?;
        let rows = scene.manager.sibling().run(scene.read.clone()).await?;
        assert_eq!((rows.rows, scene.holds()), (vec![vec![Value::Integer(2)]], 0));
        scene.hold().await?;
        let mut session = scene.manager.read().await?;
        assert_eq!(session.query("SELECT 1", Params::none()).await?.rows, [[Value::Integer(1)]]);
        assert_eq!(scene.holds(), 0);
        drop(session);
        scene.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_commit_of_this_process_ends_it() -> Result<()> {
    in_deadline(async {
        let scene = Scene::open_timeless(eager()).await?;
        scene.hold().await?;
        scene.insert(2).await?;
        scene.no_hold().await;
        assert!(scene.empties_the_log());
        scene.hold().await?;
        let mut writer = scene.manager.write().await?;
        writer.script("BEGIN; INSERT INTO t VALUES (3)").await?;
        assert_eq!(scene.holds(), 1, "nothing is committed yet");
        writer.script("COMMIT").await?;
        scene.no_hold().await;
        drop(writer);
        scene.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_checkpoint_that_needs_a_gap_ends_it_and_so_does_exclusive_mode() -> Result<()> {
    in_deadline(async {
        let scene = Scene::open_timeless(eager()).await?;
        for mode in [CheckpointMode::Full, CheckpointMode::Restart, CheckpointMode::Truncate] {
            scene.insert(2).await?;
            scene.hold().await?;
            let (sink, answer) = collect();
            scene.manager.sibling().answer_checkpoint(mode, Reply::new(sink, 1));
            assert_eq!(answer.await?.rows[0][0], Value::Real(0.0), "nobody was in the way of {mode:?}");
            assert_eq!(scene.holds(), 0);
        }
        scene.hold().await?;
        let exclusive = scene.manager.exclusive().await?;
        assert_eq!((scene.holds(), scene.manager.status().readers.open), (0, 0));
        assert!(scene.manager.try_inline(&scene.read).is_none());
        drop(exclusive);
        scene.hold().await?;
        scene.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_reader_is_pruned_whatever_it_holds() -> Result<()> {
    in_deadline(async {
        let scene = Scene::open_timeless(Options { idle_ttl: Duration::from_millis(20), ..eager() }).await?;
        scene.hold().await?;
        while scene.manager.status().readers.open > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        scene.no_hold().await;
        assert!(scene.empties_the_log());
        scene.manager.close().await
    })
    .await
}

#[tokio::test]
async fn close_ends_it_and_leaves_no_log() -> Result<()> {
    in_deadline(async {
        let scene = Scene::open_timeless(eager()).await?;
        scene.hold().await?;
        let Scene { dir, manager, outside, .. } = scene;
        outside.close().map_err(|(_, error)| error)?;
        manager.close().await?;
        assert!(!dir.path().join("app.db-wal").exists());
        assert_eq!(manager.shared.holds.load(Ordering::SeqCst), 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_read_that_fails_ends_it() -> Result<()> {
    in_deadline(async {
        let scene = Scene::open_timeless(eager()).await?;
        let failing = Query::new("SELECT abs(?) FROM t");
        let with = |value: i64| Request::new(Arc::clone(&failing), Params::positional([Value::from(value)]));
        scene.manager.run(with(1)).await?;
        while scene.manager.try_inline(&with(1)).is_none() {
            scene.manager.run(with(1)).await?;
        }
        scene.hold().await?;
        assert!(scene.manager.try_inline(&with(i64::MIN)).is_none());
        assert_eq!(scene.holds(), 0);
        assert!(scene.manager.run(with(i64::MIN)).await.is_err());
        scene.hold().await?;
        scene.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_reader_that_is_replaced_takes_it_along() -> Result<()> {
    in_deadline(async {
        let scene = Scene::open_timeless(eager()).await?;
        scene.hold().await?;
        let shared = &scene.manager.shared;
        let permit = shared.gate.try_request(Class::Read(ReadKind::Short)).expect("nothing is in its way");
        let worker = shared.readers.lock().take_idle().expect("it is idle");
        let discard = crate::worker::Message::Release(permit, crate::worker::Disposition::Discard);
        assert!(worker.send(discard).is_ok());
        scene.no_hold().await;
        scene.hold().await?;
        assert_eq!(shared.counters.discards.get(), 1);
        scene.manager.close().await
    })
    .await
}

#[tokio::test]
async fn time_ends_it() -> Result<()> {
    in_deadline(async {
        let scene = Scene::open(eager()).await?;
        for _ in 0..3 {
            while !scene.read_inline().await?.held {}
            scene.no_hold().await;
            assert!(scene.empties_the_log());
        }
        scene.manager.close().await
    })
    .await
}

#[tokio::test]
async fn every_read_of_a_burst_sees_what_was_committed_before_it_by_whomever() -> Result<()> {
    in_deadline(async {
        for concurrency in [Concurrency::Wal, Concurrency::Exclusive] {
            let scene = Scene::open_timeless(Options { concurrency: Some(concurrency), ..eager() }).await?;
            for x in (2..600).step_by(2) {
                if scene.holds() == 0 {
                    scene.hold().await?;
                }
                let reuses = scene.reuses();
                scene.read_inline().await?;
                assert_eq!(scene.reuses(), reuses + 1);
                scene.outside.execute("INSERT INTO t VALUES (?)", [x])?;
                for _ in 0..4 {
                    assert_eq!(number(&scene.read_inline().await?), x, "of another connection");
                }
                if x % 20 == 0 {
                    scene.insert(x + 1).await?;
                    for _ in 0..4 {
                        assert_eq!(number(&scene.read_inline().await?), x + 1, "of this manager");
                    }
                }
                if x % 50 == 0 {
                    // The log begins anew, so that what is in its index does too.
                    scene.manager.end_burst();
                    scene.empties_the_log();
                }
            }
            scene.manager.close().await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_not_committed_does_not_end_it_and_is_not_seen() -> Result<()> {
    in_deadline(async {
        let scene = Scene::open_timeless(eager()).await?;
        scene.hold().await?;
        scene.outside.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)")?;
        let reuses = scene.reuses();
        assert_eq!(number(&scene.read_inline().await?), 1);
        scene.outside.execute_batch("ROLLBACK")?;
        assert_eq!(number(&scene.read_inline().await?), 1);
        assert_eq!((scene.reuses(), scene.holds()), (reuses + 2, 1));
        scene.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_change_of_the_schema_is_seen_in_a_burst() -> Result<()> {
    in_deadline(async {
        let scene = Scene::open_timeless(eager()).await?;
        let all = request("SELECT * FROM t");
        scene.manager.run(all.clone()).await?;
        while scene.manager.try_inline(&all).is_none() {
            scene.manager.run(all.clone()).await?;
        }
        scene.hold().await?;
        scene.outside.execute_batch("ALTER TABLE t ADD COLUMN y")?;
        assert!(scene.manager.try_inline(&all).is_none(), "nothing is prepared on this thread");
        assert_eq!(scene.holds(), 0);
        assert_eq!(scene.manager.run(all).await?.columns.len(), 2);
        scene.manager.close().await
    })
    .await
}

#[tokio::test]
async fn nothing_is_held_without_a_write_ahead_log() -> Result<()> {
    in_deadline(async {
        let dir = TempDir::new().expect("a temporary directory");
        let path = dir.path().join("app.db");
        rusqlite::Connection::open(&path)?.execute_batch("PRAGMA journal_mode=DELETE; CREATE TABLE t(x)")?;
        let file = Manager::open(&path, Options { concurrency: Some(Concurrency::Exclusive), ..eager() }).await?;
        let memory = Manager::open(":memory:", eager()).await?;
        memory.query("CREATE TABLE t(x)", Params::none()).await?;
        for manager in [file, memory] {
            let read = request("SELECT count(*) FROM t");
            let mut inline = 0;
            while inline < 100 {
                match manager.try_inline(&read) {
                    Some(answer) => {
                        assert!(!answer.held);
                        inline += 1;
                    }
                    None => drop(manager.run(read.clone()).await?),
                }
            }
            assert_eq!(manager.shared.counters.inline_reuses.get(), 0);
            manager.close().await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bursts_of_several_threads_see_every_acknowledged_write() -> Result<()> {
    in_deadline(async {
        let scene = Scene::open(Options { max_readers: 2, ..eager() }).await?;
        scene.hold().await?;
        let (acknowledged, ended) = (Arc::new(AtomicI64::new(1)), Arc::new(AtomicBool::new(false)));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (manager, read) = (scene.manager.sibling(), scene.read.clone());
                let (acknowledged, ended) = (Arc::clone(&acknowledged), Arc::clone(&ended));
                std::thread::spawn(move || {
                    let mut reads = 0_u32;
                    while !ended.load(Ordering::SeqCst) {
                        let least = acknowledged.load(Ordering::SeqCst);
                        if let Some(inline) = manager.try_inline(&read) {
                            assert!(number(&inline) >= least, "a write that was acknowledged is not seen");
                            reads += 1;
                        }
                        if reads % 64 == 63 {
                            manager.end_burst();
                        }
                    }
                })
            })
            .collect();
        for x in 2..400 {
            if x % 3 == 0 {
                // A writer of this process may have the lock.
                while scene.outside.execute("INSERT INTO t VALUES (?)", [x]).is_err() {}
            } else {
                scene.insert(x).await?;
            }
            acknowledged.store(x, Ordering::SeqCst);
            if x % 100 == 0 {
                drop(scene.manager.exclusive().await?);
                scene.manager.run(scene.read.clone()).await?;
            }
        }
        ended.store(true, Ordering::SeqCst);
        for thread in threads {
            thread.join().expect("no thread panics");
        }
        assert!(scene.reuses() > 0);
        scene.manager.close().await?;
        assert_eq!(scene.holds(), 0);
        let counters = &scene.manager.shared.counters;
        assert_eq!(counters.panics.get() + counters.discards.get(), 0);
        Ok(())
    })
    .await
}
