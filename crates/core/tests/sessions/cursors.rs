//! Cursors: results that are fetched bit by bit.

use std::sync::Arc;
use std::time::Instant;

use sluice_core::{
    Cancel, CancelReason, Control, Cursor, ErrorCode, Options, Params, Query, Request, Result, Scope, Session,
    SessionKind, SessionLimits,
};

use crate::bench::{Answer, Bench, ENDLESS, IMMEDIATE, code, in_deadline};

const ENDLESS_ROWS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
const HUNDRED: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT i FROM n";

fn iterate(bench: &mut Bench, sql: &str, cancel: Option<Arc<Cancel>>) -> (Cursor, u32) {
    iterate_query(bench, &Query::new(sql), cancel)
}

fn iterate_query(bench: &mut Bench, query: &Arc<Query>, cancel: Option<Arc<Cancel>>) -> (Cursor, u32) {
    let call = bench.call();
    let request = Request::new(Arc::clone(query), Params::none());
    let cursor = bench.manager.iterate(request, 40, SessionLimits::default(), cancel, bench.sink(), call);
    (cursor, call)
}

async fn fetch(bench: &mut Bench, cursor: &Cursor) -> Answer {
    let call = bench.call();
    cursor.fetch(40, None, bench.sink(), call);
    bench.answer(call).await
}

#[tokio::test]
async fn a_cursor_brings_its_rows_bit_by_bit_and_gives_its_reader_back_with_the_last() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (cursor, call) = iterate(&mut bench, HUNDRED, None);
        assert_eq!(bench.answer(call).await?, ((1..=40).collect(), true));
        assert_eq!(bench.manager.status().readers.active, 1);
        assert_eq!(fetch(&mut bench, &cursor).await?, ((41..=80).collect(), true));
        assert_eq!(fetch(&mut bench, &cursor).await?, ((81..=100).collect(), false));
        let _last = bench.integers("SELECT 1").await?;
        while bench.manager.status().readers.active > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(code(fetch(&mut bench, &cursor).await), ErrorCode::TxClosed);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_cursor_that_is_closed_dropped_or_cancelled_gives_its_reader_back() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options { max_readers: 1, ..Options::default() }).await?;
        for end in 0..3 {
            let cancel = Cancel::new();
            let sql = if end == 2 { ENDLESS } else { HUNDRED };
            let (cursor, call) = iterate(&mut bench, sql, Some(Arc::clone(&cancel)));
            match end {
                0 => {
                    bench.answer(call).await?;
                    cursor.close();
                }
                1 => {
                    bench.answer(call).await?;
                    drop(cursor);
                }
                _ => {
                    cancel.cancel(CancelReason::Aborted);
                    assert_eq!(code(bench.answer(call).await), ErrorCode::Aborted);
                }
            }
            while bench.manager.status().readers.active > 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(bench.integers("SELECT x FROM t").await?, [1]);
        }
        bench.manager.close().await
    })
    .await
}

/// Whether it is shown to run, on a reader or on the writer.
fn shows(bench: &Bench, part: &str) -> bool {
    let status = bench.manager.status();
    let shown = [status.wal.oldest_reader_sql, status.writer.holder.map(|holder| holder.sql)];
    shown.into_iter().flatten().any(|shown| shown.contains(part))
}

async fn until_it_runs_anywhere(bench: &Bench, part: &str) {
    while !shows(bench, part) {
        tokio::task::yield_now().await;
    }
}

/// Begins to iterate over what never ends, and closes the cursor once that runs, on a reader or on the writer. Returns why it ended.
async fn close_while_it_runs(bench: &mut Bench, query: &Arc<Query>) -> ErrorCode {
    // The one before is answered before it is shown no more.
    while shows(bench, "sum(i)") {
        tokio::task::yield_now().await;
    }
    let (cursor, call) = iterate_query(bench, query, None);
    until_it_runs_anywhere(bench, "sum(i)").await;
    cursor.close();
    code(bench.answer(call).await)
}

#[tokio::test]
async fn a_cursor_that_is_closed_while_its_statement_is_prepared_leaves_nothing_that_runs() -> Result<()> {
    // To read so long a text takes SQLite tens of milliseconds.
    let long = format!("{ENDLESS} WHERE i NOT IN ({}0)", "0,".repeat(200_000));
    in_deadline(async {
        let mut bench = Bench::open(Options { max_readers: 1, ..Options::default() }).await?;
        for _ in 0..3 {
            assert_eq!(close_while_it_runs(&mut bench, &Query::new(&*long)).await, ErrorCode::Aborted);
            assert_eq!(bench.integers("SELECT x FROM t").await?, [1]);
            // On the reader, or on the writer, to which it is passed on.
            let write = Query::new(format!("INSERT INTO t {long}"));
            assert_eq!(close_while_it_runs(&mut bench, &write).await, ErrorCode::Aborted);
            assert_eq!(bench.integers("SELECT x FROM t").await?, [1]);
        }
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_cursor_that_is_closed_stops_a_statement_that_runs_as_a_whole() -> Result<()> {
    let write = Query::new(format!("INSERT INTO t {ENDLESS}"));
    in_deadline(async {
        let mut bench = Bench::open(Options { max_readers: 1, ..Options::default() }).await?;
        // Passed on by a reader at first; then it is known to write.
        for _ in 0..3 {
            assert_eq!(close_while_it_runs(&mut bench, &write).await, ErrorCode::Aborted);
            assert_eq!(bench.integers("SELECT x FROM t").await?, [1]);
        }
        bench.manager.pragma("journal_mode", Some("delete")).await?;
        assert_eq!(close_while_it_runs(&mut bench, &Query::new(ENDLESS)).await, ErrorCode::Aborted);
        bench.manager.query("INSERT INTO t VALUES (2)", Params::none()).await?;
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1, 2]);
        bench.manager.close().await
    })
    .await
}

fn iterate_in(bench: &mut Bench, session: &Session, sql: &str) -> (Cursor, u32) {
    let call = bench.call();
    let cursor = session.iterate(Request::new(Query::new(sql), Params::none()), 40, None, bench.sink(), call);
    (cursor, call)
}

#[tokio::test]
async fn a_cursor_of_a_session_that_is_closed_stops_what_it_asked_for_and_nothing_else() -> Result<()> {
    let fifty_and_endless = format!("SELECT i FROM ({HUNDRED}) WHERE i <= 50 UNION ALL SELECT * FROM ({ENDLESS})");
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        for kind in [IMMEDIATE, SessionKind::Read(Scope::Outside), SessionKind::Exclusive] {
            let (session, _) = bench.begun(kind).await;
            let (beside, call) = iterate_in(&mut bench, &session, HUNDRED);
            assert_eq!(bench.answer(call).await?, ((1..=40).collect(), true));

            let (opening, call) = iterate_in(&mut bench, &session, ENDLESS);
            until_it_runs_anywhere(&bench, "sum(i)").await;
            opening.close();
            assert_eq!(code(bench.answer(call).await), ErrorCode::Aborted, "{kind:?}");

            let (fetching, call) = iterate_in(&mut bench, &session, &fifty_and_endless);
            assert_eq!(bench.answer(call).await?, ((1..=40).collect(), true));
            let call = bench.call();
            fetching.fetch(40, None, bench.sink(), call);
            until_it_runs_anywhere(&bench, "UNION ALL SELECT *").await;
            fetching.close();
            assert_eq!(code(bench.answer(call).await), ErrorCode::Aborted, "{kind:?}");

            let (waiting, call) = iterate_in(&mut bench, &session, HUNDRED);
            bench.answer(call).await?;
            let cancel = Cancel::new();
            let endless = bench.ask_with(&session, ENDLESS, Some(Arc::clone(&cancel)));
            until_it_runs_anywhere(&bench, "sum(i)").await;
            let call = bench.call();
            waiting.fetch(40, None, bench.sink(), call);
            waiting.close();
            assert_eq!(code(bench.answer(call).await), ErrorCode::Aborted, "{kind:?}: while another call runs");
            cancel.cancel(CancelReason::Aborted);
            assert_eq!(code(bench.answer(endless).await), ErrorCode::Aborted);

            assert_eq!(fetch(&mut bench, &beside).await?, ((41..=80).collect(), true), "{kind:?}");
            assert_eq!(bench.run(&session, "SELECT x FROM t").await?, [1], "{kind:?}");
            bench.control(&session, Control::End).await?;
        }
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_cursor_of_a_transaction_that_is_closed_leaves_a_write_alone_that_has_begun() -> Result<()> {
    let write = format!("INSERT INTO t SELECT i + 10 FROM ({ENDLESS_ROWS} LIMIT 100000) RETURNING x");
    // What it has written goes to the log before it ends.
    let pragmas = vec![("cache_size".to_owned(), "10".to_owned())];
    in_deadline(async {
        let mut bench = Bench::open(Options { pragmas, ..Options::default() }).await?;
        let (tx, _) = bench.begun(IMMEDIATE).await;
        bench.run(&tx, "INSERT INTO t VALUES (2)").await?;
        let before = bench.manager.status().wal.bytes;
        let (cursor, call) = iterate_in(&mut bench, &tx, &write);
        while bench.manager.status().wal.bytes < before + 100_000 {
            tokio::task::yield_now().await;
        }
        cursor.close();
        assert_eq!(bench.answer(call).await?.0.len(), 100_000);
        bench.control(&tx, Control::Commit).await?;
        assert_eq!(bench.integers("SELECT count(*) FROM t").await?, [100_002]);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_cursor_is_shown_with_its_statement_and_a_session_since_it_has_its_connection() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (cursor, call) = iterate(&mut bench, HUNDRED, None);
        bench.answer(call).await?;
        let begun = Instant::now();
        for _ in 0..2 {
            let (since, wal) = (begun.elapsed(), bench.manager.status().wal);
            assert_eq!(wal.oldest_reader_sql.as_deref(), Some(HUNDRED));
            assert!(wal.oldest_reader >= Some(since), "{wal:?}");
            fetch(&mut bench, &cursor).await?;
        }
        drop(cursor);

        let (tx, _) = bench.begun(IMMEDIATE).await;
        let begun = Instant::now();
        let cancel = Cancel::new();
        let endless = bench.ask_with(&tx, ENDLESS, Some(Arc::clone(&cancel)));
        bench.until_it_runs("sum(i)").await;
        let (since, holder) = (begun.elapsed(), bench.manager.status().writer.holder);
        assert!(holder.as_ref().is_some_and(|holder| holder.elapsed >= since), "{since:?}: {holder:?}");
        cancel.cancel(CancelReason::Aborted);
        assert_eq!(code(bench.answer(endless).await), ErrorCode::Aborted);
        drop(tx);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_statement_that_cannot_be_stepped_runs_as_a_whole() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (_cursor, call) =
            iterate(&mut bench, "INSERT INTO t SELECT value + 1 FROM json_each('[1,2,3]') RETURNING x", None);
        assert_eq!(bench.answer(call).await?, (vec![2, 3, 4], false));
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1, 2, 3, 4]);
        let (_cursor, call) = iterate(&mut bench, "SELECT nothing", None);
        assert!(bench.answer(call).await.is_err());
        bench.manager.pragma("journal_mode", Some("delete")).await?;
        let (_cursor, call) = iterate(&mut bench, HUNDRED, None);
        assert_eq!(bench.answer(call).await?, ((1..=100).collect(), false));
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_cursor_of_a_transaction_goes_on_beside_its_writes_and_beside_an_aborted_call() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (tx, _) = bench.begun(IMMEDIATE).await;
        let call = bench.call();
        let cursor = tx.iterate(Request::new(Query::new(HUNDRED), Params::none()), 40, None, bench.sink(), call);
        assert_eq!(bench.answer(call).await?, ((1..=40).collect(), true));
        bench.run(&tx, "INSERT INTO t VALUES (2)").await?;
        let cancel = Cancel::new();
        let endless = bench.ask_with(&tx, ENDLESS, Some(Arc::clone(&cancel)));
        bench.until_it_runs("sum(i)").await;
        cancel.cancel(CancelReason::Aborted);
        assert_eq!(code(bench.answer(endless).await), ErrorCode::Aborted);
        assert_eq!(fetch(&mut bench, &cursor).await?, ((41..=80).collect(), true));
        bench.control(&tx, Control::Commit).await?;
        assert_eq!(code(fetch(&mut bench, &cursor).await), ErrorCode::TxClosed);
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1, 2]);
        bench.manager.close().await
    })
    .await
}
