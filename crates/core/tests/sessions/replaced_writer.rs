//! Sessions while there is no writer.

use std::time::Duration;

use sluice_core::{Concurrency, Control, Disposition, ErrorCode, Options, Result, SessionKind, SessionLimits};

use crate::bench::{Bench, IMMEDIATE, code, in_deadline};

#[tokio::test]
async fn the_first_session_after_a_passing_fault_brings_the_writer_back() -> Result<()> {
    in_deadline(async {
        let options = Options {
            concurrency: Some(Concurrency::Exclusive),
            busy_timeout: Duration::from_millis(1),
            ..Options::default()
        };
        let mut bench = Bench::open(options).await?;
        let other = rusqlite::Connection::open(bench.dir.path().join("app.db"))?;
        for kind in [IMMEDIATE, SessionKind::Exclusive] {
            let lease = bench.manager.write().await?;
            other.execute_batch("BEGIN EXCLUSIVE")?;
            lease.release(Disposition::Discard);
            let (_session, call, ended) = bench.begin(kind, SessionLimits::default(), None);
            assert_eq!(code(bench.answer(call).await), ErrorCode::Sqlite);
            assert!(bench.answer(ended).await.is_err(), "it has ended");
            other.execute_batch("ROLLBACK")?;
            let session = loop {
                let (session, call, _) = bench.begin(kind, SessionLimits::default(), None);
                match bench.answer(call).await {
                    Ok(_) => break session,
                    // Attempts are some time apart.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            };
            bench.run(&session, "DELETE FROM t").await?;
            let end = if kind == IMMEDIATE { Control::Commit } else { Control::End };
            bench.control(&session, end).await?;
        }
        drop(other);
        bench.manager.close().await
    })
    .await
}
