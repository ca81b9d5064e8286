//! Whom a writer that waits holds back: nobody for whom it has to wait itself.

use sluice_core::{
    Concurrency, Control, Cursor, Options, Params, Query, Request, Result, Scope, SessionKind, SessionLimits,
};

use crate::bench::{Bench, IMMEDIATE, in_deadline};

const ROWS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT i FROM n";

/// Begins to iterate, two rows at a time.
async fn iterate(bench: &mut Bench) -> Result<Cursor> {
    let call = bench.call();
    let request = Request::new(Query::new(ROWS), Params::none());
    let cursor = bench.manager.iterate(request, 2, SessionLimits::default(), None, bench.sink(), call);
    assert_eq!(bench.answer(call).await?, (vec![1, 2], true));
    Ok(cursor)
}

async fn finish(bench: &mut Bench, cursor: &Cursor) -> Result<()> {
    let call = bench.call();
    cursor.fetch(10, None, bench.sink(), call);
    assert_eq!(bench.answer(call).await?, (vec![3, 4], false));
    Ok(())
}

#[tokio::test]
async fn d04_loops_over_iterators_that_await_reads_end_while_exclusive_mode_is_waited_for() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options { max_readers: 2, ..Options::default() }).await?;
        let cursors = [iterate(&mut bench).await?, iterate(&mut bench).await?];
        let (exclusive, call, _) = bench.begin(SessionKind::Exclusive, SessionLimits::default(), None);
        assert_eq!(bench.manager.status().writer.waiting, 1);
        for cursor in &cursors {
            assert_eq!(bench.integers("SELECT x FROM t").await?, [1]);
            finish(&mut bench, cursor).await?;
        }
        bench.answer(call).await?;
        bench.control(&exclusive, Control::End).await?;
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn d04_where_modes_alternate_a_session_that_awaits_reads_ends_while_a_write_waits() -> Result<()> {
    in_deadline(async {
        let options = Options { max_readers: 2, concurrency: Some(Concurrency::Exclusive), ..Options::default() };
        let mut bench = Bench::open(options).await?;
        let (first, _) = bench.begun(SessionKind::Read(Scope::Outside)).await;
        let (second, _) = bench.begun(SessionKind::Read(Scope::Outside)).await;
        let (tx, call, _) = bench.begin(IMMEDIATE, SessionLimits::default(), None);
        assert_eq!(bench.manager.status().writer.waiting, 1);
        for session in [first, second] {
            assert_eq!(bench.integers("SELECT x FROM t").await?, [1]);
            bench.control(&session, Control::End).await?;
        }
        bench.answer(call).await?;
        bench.control(&tx, Control::Rollback).await?;
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_transaction_that_awaits_reads_beside_it_ends_while_exclusive_mode_is_waited_for() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options { max_readers: 2, ..Options::default() }).await?;
        let (tx, _) = bench.begun(IMMEDIATE).await;
        bench.run(&tx, "INSERT INTO t VALUES (2)").await?;
        let (exclusive, call, _) = bench.begin(SessionKind::Exclusive, SessionLimits::default(), None);
        assert_eq!(bench.manager.status().writer.waiting, 1);
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1]);
        let cursor = iterate(&mut bench).await?;
        bench.control(&tx, Control::Commit).await?;
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1, 2]);
        finish(&mut bench, &cursor).await?;
        bench.answer(call).await?;
        bench.control(&exclusive, Control::End).await?;
        bench.manager.close().await
    })
    .await
}
