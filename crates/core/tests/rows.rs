//! Values leave SQLite as they are, in every row of a result.

use std::time::Duration;

use sluice_core::{Manager, Options, Params, Result, Value};

const ROWS: i64 = 5_000;

/// A row of each kind of value. Some texts come again and again, some never.
const SELECT: &str = "
    WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < 4999)
    SELECT n, n + 0.5, 'state ' || (n % 5), 'new ' || n, zeroblob(n % 3), NULL,
        CASE n % 4 WHEN 0 THEN 'é🦭' WHEN 1 THEN x'' WHEN 2 THEN '' ELSE n END FROM c";

#[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
fn expected(n: i64) -> Vec<Value> {
    let changing = match n % 4 {
        0 => Value::Text("é🦭".to_owned()),
        1 => Value::Blob(Vec::new()),
        2 => Value::Text(String::new()),
        _ => Value::Integer(n),
    };
    let zeros = usize::try_from(n % 3).expect("it is not negative");
    vec![
        Value::Integer(n),
        Value::Real(n as f64 + 0.5),
        Value::Text(format!("state {}", n % 5)),
        Value::Text(format!("new {n}")),
        Value::Blob(vec![0; zeros]),
        Value::Null,
        changing,
    ]
}

async fn query(manager: &Manager, sql: &str) -> Result<Vec<Vec<Value>>> {
    let query = manager.query(sql, Params::none());
    Ok(tokio::time::timeout(Duration::from_secs(20), query).await.expect("done within the deadline")?.rows)
}

#[tokio::test]
async fn every_kind_of_value_is_whole_in_every_row_and_run() -> Result<()> {
    for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
        let manager = Manager::open(":memory:", Options { max_readers: 1, ..Options::default() }).await?;
        query(&manager, &format!("PRAGMA encoding = '{encoding}'")).await?;
        query(&manager, "CREATE TABLE fixes_the_encoding (x)").await?;
        for _ in 0..3 {
            let rows = query(&manager, SELECT).await?;
            let wrong = rows.iter().zip(0..).find(|(row, n)| **row != expected(*n));
            assert_eq!((rows.len(), wrong), (usize::try_from(ROWS).expect("a small number"), None), "{encoding}");
        }
        manager.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn statements_that_share_the_names_of_their_columns_give_their_own_rows() -> Result<()> {
    let manager = Manager::open(":memory:", Options { max_readers: 1, ..Options::default() }).await?;
    query(&manager, "CREATE TABLE t (a, b, c)").await?;
    query(&manager, "CREATE TABLE u (d, e)").await?;
    let names = |rows: Vec<Vec<Value>>| rows.into_iter().map(|row| row[1].clone()).collect::<Vec<_>>();
    for _ in 0..3 {
        for (table, columns) in [("t", vec!["a", "b", "c"]), ("u", vec!["d", "e"])] {
            let columns: Vec<Value> = columns.into_iter().map(|name| Value::Text(name.to_owned())).collect();
            assert_eq!(names(query(&manager, &format!("PRAGMA table_info({table})")).await?), columns);
            let program = names(query(&manager, &format!("EXPLAIN SELECT * FROM {table}")).await?);
            let read = program.iter().filter(|opcode| **opcode == Value::Text("Column".to_owned())).count();
            assert_eq!(read, columns.len());
        }
    }
    manager.close().await
}
