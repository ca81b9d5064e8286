//! What earlier statements left on the writer: a statement that was prepared before a trigger or a view asked for it finds it as if it had been
//! prepared afterwards.

use sluice_core::{ErrorCode, Manager, Options, Params, Result, Value};
use tempfile::TempDir;

async fn open() -> Result<(TempDir, Manager)> {
    let dir = TempDir::new().expect("a temporary directory");
    let manager = Manager::open(dir.path().join("app.db"), Options::default()).await?;
    script(&manager, "CREATE TABLE t(x); CREATE TABLE log(v)").await?;
    Ok((dir, manager))
}

async fn script(manager: &Manager, sql: &str) -> Result<()> {
    manager.write().await?.script(sql).await
}

async fn run(manager: &Manager, sql: &str) -> Result<Option<i64>> {
    manager.query(sql, Params::none()).await.map(|rows| rows.outcome.last_insert_rowid)
}

async fn logged(manager: &Manager) -> Result<Vec<Value>> {
    let rows = manager.query("SELECT v FROM log ORDER BY rowid", Params::none()).await?.rows;
    Ok(rows.into_iter().flatten().collect())
}

const TRIGGER: &str = "CREATE TRIGGER log BEFORE INSERT ON t BEGIN INSERT INTO log VALUES (last_insert_rowid()); END";

#[tokio::test]
async fn a_trigger_that_was_made_after_an_insert_was_prepared_finds_the_rowid_of_the_one_before() -> Result<()> {
    for insert in ["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1) RETURNING x"] {
        let (_dir, manager) = open().await?;
        assert_eq!(run(&manager, insert).await?, Some(1));
        script(&manager, TRIGGER).await?;
        for rowid in 2..5 {
            assert_eq!(run(&manager, insert).await?, Some(rowid), "{insert}");
        }
        assert_eq!(logged(&manager).await?, [1, 2, 3].map(Value::Integer), "{insert}");
        manager.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn so_it_does_in_a_lease_and_in_its_transaction() -> Result<()> {
    let (_dir, manager) = open().await?;
    let insert = "INSERT INTO t VALUES (1)";
    let mut lease = manager.write().await?;
    lease.execute(insert, Params::none()).await?;
    lease.script(TRIGGER).await?;
    lease.script("BEGIN").await?;
    for rowid in 2..4 {
        assert_eq!(lease.execute(insert, Params::none()).await?.last_insert_rowid, Some(rowid));
    }
    lease.script("COMMIT").await?;
    drop(lease);
    assert_eq!(logged(&manager).await?, [1, 2].map(Value::Integer));
    manager.close().await
}

#[tokio::test]
async fn a_view_that_was_made_anew_does_not_tell_one_caller_of_another() -> Result<()> {
    let statements = [
        "INSERT INTO log SELECT x FROM v",
        "INSERT INTO log SELECT x FROM v RETURNING v",
        "UPDATE t SET x = (SELECT x FROM v)",
        "DELETE FROM t WHERE x = (SELECT x FROM v)",
    ];
    for sql in statements {
        let (_dir, manager) = open().await?;
        script(&manager, "INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT 5 AS x").await?;
        run(&manager, sql).await?;
        let before = logged(&manager).await?;
        for function in ["last_insert_rowid", "changes", "total_changes"] {
            script(&manager, &format!("DROP VIEW v; CREATE VIEW v AS SELECT {function}() AS x")).await?;
            for _ in 0..2 {
                let error = run(&manager, sql).await.expect_err("it would tell of what others did");
                assert_eq!(error.code, ErrorCode::ConnectionState, "{sql}: {error:?}");
            }
        }
        assert_eq!(logged(&manager).await?, before, "{sql}");
        script(&manager, "DROP VIEW v; CREATE VIEW v AS SELECT 6 AS x").await?;
        run(&manager, sql).await?;
        manager.close().await?;
    }
    Ok(())
}
