//! Groups beside another process that writes.

use std::path::Path;
use std::time::Duration;

use sluice_core::{Options, Params, Result};

use crate::bench::{Bench, WIDE, failed, in_deadline};

/// Whoever waited for the other process would pass the deadline.
fn patient(options: Options) -> Options {
    Options { group_commit: Some(WIDE), busy_timeout: Duration::from_hours(1), ..options }
}

/// Writes to a database as another process would, until it is dropped.
fn foreign_writer(path: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).expect("it opens");
    connection.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
    connection
}

/// Submits the same text eight times, to wait for one permit together.
async fn together(bench: &mut Bench, sql: &str) -> Result<usize> {
    let lease = bench.hold().await?;
    for _ in 0..8 {
        bench.submit(sql);
    }
    bench.release(lease, 8).await;
    let answers = bench.answers(8).await;
    assert!(failed(&answers).is_empty(), "{:?}", failed(&answers));
    Ok(answers.len())
}

#[tokio::test]
async fn reads_on_the_writer_do_not_wait_for_another_process_that_writes() -> Result<()> {
    let without_readers = Options { max_readers: 0, ..Options::default() };
    for (options, setup) in [
        (without_readers, "INSERT INTO t VALUES (1)"),
        // What a temporary table holds only the writer sees, so that it runs all.
        (Options::default(), "INSERT INTO t VALUES (1); CREATE TEMP TABLE own(x)"),
    ] {
        in_deadline(async {
            let mut bench = Bench::open_with(None, "CREATE TABLE t(x)", patient(options)).await?;
            bench.manager.write().await?.script(setup).await?;
            let foreign = foreign_writer(&bench.path());
            for _ in 0..3 {
                assert_eq!(together(&mut bench, "SELECT x FROM t").await?, 8);
            }
            drop(foreign);
            // A write among them begins a group that the next joins.
            let lease = bench.hold().await?;
            for sql in ["SELECT x FROM t", "INSERT INTO t VALUES (2)", "SELECT max(x) FROM t"] {
                bench.submit(sql);
            }
            bench.release(lease, 3).await;
            assert!(failed(&bench.answers(3).await).is_empty());
            assert_eq!(bench.integers("SELECT x FROM t ORDER BY x").await?, [1, 2]);
            bench.manager.close().await
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn writes_to_one_database_do_not_wait_for_another_process_that_writes_to_an_attached_one() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open_with(None, "CREATE TABLE t(x)", patient(Options::default())).await?;
        let attached = bench.path().with_file_name("attached.db");
        bench.manager.query(&format!("ATTACH '{}' AS a", attached.display()), Params::none()).await?;
        bench.manager.query("CREATE TABLE a.u(x)", Params::none()).await?;
        let foreign = foreign_writer(&attached);
        assert_eq!(together(&mut bench, "INSERT INTO t VALUES (1)").await?, 8);
        assert_eq!(bench.integers("INSERT INTO t VALUES (2) RETURNING x").await?, [2]);
        drop(foreign);
        bench.manager.query("INSERT INTO a.u VALUES (1)", Params::none()).await?;
        bench.manager.close().await
    })
    .await
}
