//! Text that begins and ends transactions in exclusive write mode: it may, but not in one that the driver began.

use sluice_core::{Behavior, Control, ErrorCode, Options, Query, Result, SessionKind};

use crate::bench::{Bench, code, in_deadline};

#[tokio::test]
async fn text_does_not_end_the_transaction_that_the_driver_began_in_exclusive_mode() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (exclusive, _) = bench.begun(SessionKind::Exclusive).await;
        bench.control(&exclusive, Control::Begin(Behavior::Immediate)).await?;
        bench.run(&exclusive, "INSERT INTO t VALUES (2)").await?;
        bench.control(&exclusive, Control::Savepoint(1)).await?;
        bench.run(&exclusive, "INSERT INTO t VALUES (3)").await?;
        for sql in ["COMMIT", "END", "ROLLBACK", "BEGIN", "SAVEPOINT s", "RELEASE sluice_1", "ROLLBACK TO sluice_1"] {
            assert_eq!(code(bench.run(&exclusive, sql).await), ErrorCode::ManualTransaction, "{sql}");
        }
        let call = bench.call();
        exclusive.submit_script(Query::new("INSERT INTO t VALUES (4); COMMIT"), None, bench.sink(), call);
        assert_eq!(code(bench.answer(call).await), ErrorCode::ManualTransaction);
        bench.control(&exclusive, Control::RollbackTo(1)).await?;
        bench.control(&exclusive, Control::Commit).await?;
        assert_eq!(bench.run(&exclusive, "SELECT x FROM t ORDER BY x").await?, [1, 2]);
        // Afterwards it may again, also what was prepared in the transaction.
        for sql in ["BEGIN", "INSERT INTO t VALUES (3)", "COMMIT"] {
            bench.run(&exclusive, sql).await?;
        }
        bench.control(&exclusive, Control::End).await?;
        assert_eq!(bench.integers("SELECT x FROM t ORDER BY x").await?, [1, 2, 3]);
        bench.manager.close().await
    })
    .await
}
