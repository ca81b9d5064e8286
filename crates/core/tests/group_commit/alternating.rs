//! Groups where reads and writes take turns.

use std::path::Path;
use std::sync::Arc;

use sluice_core::{Concurrency, Options, Params, Query, Request, Result, Value};

use crate::bench::{Bench, WIDE, failed, in_deadline, order};

fn alternating() -> Options {
    Options { concurrency: Some(Concurrency::Exclusive), group_commit: Some(WIDE), ..Options::default() }
}

/// Submits writes that are known to be such.
fn submit(bench: &mut Bench, known: &Arc<Query>, values: std::ops::Range<i64>) {
    for value in values {
        bench.calls += 1;
        let request = Request::new(Arc::clone(known), Params::positional([Value::from(value)]));
        bench.manager.submit(request, None, bench.channel.clone(), bench.calls);
    }
}

#[tokio::test]
async fn where_reads_and_writes_take_turns_writes_share_a_commit_until_a_read_waits() -> Result<()> {
    for in_memory in [false, true] {
        in_deadline(async {
            let path = in_memory.then(|| Path::new(":memory:"));
            let mut bench = Bench::open_with(path, "CREATE TABLE t(x)", alternating()).await?;
            let known = Query::new("INSERT INTO t VALUES (?)");
            bench.manager.run(Request::new(Arc::clone(&known), Params::positional([Value::from(0)]))).await?;

            let lease = bench.hold().await?;
            submit(&mut bench, &known, 1..33);
            bench.release(lease, 32).await;
            let answers = bench.answers(32).await;
            assert_eq!(order(&answers), (1..=32).collect::<Vec<_>>());
            assert!(failed(&answers).is_empty());
            assert_eq!((bench.counter("groups"), bench.counter("groupedWrites")), (1, 32));

            // A read that waited goes before what the group has not begun.
            let lease = bench.hold().await?;
            submit(&mut bench, &known, 33..65);
            let manager = bench.manager.clone();
            let read = tokio::spawn(async move { manager.query("SELECT max(x) FROM t", Params::none()).await });
            while bench.manager.status().readers.waiting == 0 {
                tokio::task::yield_now().await;
            }
            bench.release(lease, 32).await;
            let read = read.await.expect("the task ends")?;
            assert_eq!(read.rows, [[Value::Integer(32)]]);
            assert_eq!(order(&bench.answers(32).await), (33..=64).collect::<Vec<_>>());
            assert_eq!(bench.integers("SELECT x FROM t ORDER BY rowid").await?, (0..65).collect::<Vec<_>>());
            bench.manager.close().await
        })
        .await?;
    }
    Ok(())
}
