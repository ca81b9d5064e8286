//! Batches: statements that are one transaction.

use std::collections::VecDeque;
use std::sync::Arc;

use sluice_core::{Delivery, Params, Query, Request, Result, Sink};

use crate::bench::{Bench, WIDE, in_deadline};

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_says_which_item_failed() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open("CREATE TABLE t(x UNIQUE)", Some(WIDE)).await?;
        let items = |sqls: &[&str]| {
            let request = |sql: &&str| Request::new(Query::new(*sql), Params::none());
            sqls.iter().map(request).zip(1..).collect::<Vec<_>>()
        };
        let sink: Arc<dyn Sink> = bench.channel.clone();
        let good = items(&["INSERT INTO t VALUES (1), (2)", "SELECT x FROM t", "SELECT changes()"]);
        bench.manager.submit_batch(good, None, &sink, 9);
        assert_eq!(deliveries(&mut bench, 4).await, ["1 ok", "2 ok", "3 ok", "9 done"]);
        let bad = items(&["INSERT INTO t VALUES (3)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (4)"]);
        bench.manager.submit_batch(bad, None, &sink, 9);
        assert_eq!(
            deliveries(&mut bench, 4).await,
            ["1 failed at 1", "2 failed at 1", "3 failed at 1", "9 failed at 1"]
        );
        for refused in ["COMMIT", "INSERT OR ROLLBACK INTO t VALUES (1)", "SELECT 1; SELECT 2"] {
            let bad = items(&["INSERT INTO t VALUES (3)", refused, "INSERT INTO t VALUES (4)"]);
            bench.manager.submit_batch(bad, None, &sink, 9);
            assert_eq!(deliveries(&mut bench, 4).await[3], "9 failed at 1", "{refused}");
        }
        bench.manager.submit_batch(Vec::new(), None, &sink, 9);
        assert_eq!(deliveries(&mut bench, 1).await, ["9 done"]);
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1, 2]);
        bench.manager.close().await
    })
    .await
}

async fn deliveries(bench: &mut Bench, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let mut taken = VecDeque::new();
    while seen.len() < count {
        bench.channel.take(&mut taken);
        if taken.is_empty() {
            bench.wakes.recv().await.expect("the channel lives");
        }
        seen.extend(taken.drain(..).map(|(call, delivery)| match delivery {
            Delivery::Rows(..) | Delivery::More(..) => format!("{call} rows"),
            Delivery::End(..) => format!("{call} ok"),
            Delivery::Failed(failure) => format!("{call} failed at {}", failure.statement.expect("an index")),
            Delivery::Done | Delivery::Timed(_) => format!("{call} done"),
        }));
    }
    seen
}
