//! Rows as one JSON text.

use std::time::Duration;

use sluice_core::{ErrorCode, JsonRows, Manager, Options, Params, Query, Request, Result, Take, Value};
use tempfile::TempDir;

async fn in_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("done within the deadline")
}

async fn open(options: Options) -> Result<(TempDir, Manager)> {
    let dir = TempDir::new().expect("a temporary directory");
    let manager = Manager::open(dir.path().join("app.db"), options).await?;
    manager.query("CREATE TABLE t(x)", Params::none()).await?;
    Ok((dir, manager))
}

fn request(sql: &str, rows: JsonRows) -> Request {
    Request { take: Take::Json(rows), ..Request::new(Query::new(sql), Params::none()) }
}

/// Runs a request, and returns the values of the one row that stands for its rows.
async fn run(manager: &Manager, request: Request) -> Result<Vec<Vec<Value>>> {
    manager.run(request).await.map(|set| set.rows)
}

fn text(text: &str) -> Vec<Vec<Value>> {
    vec![vec![Value::Blob(text.as_bytes().to_vec())]]
}

#[tokio::test]
async fn a_json_text_is_one_blob_whatever_the_rows() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options::default()).await?;
        let sql = "SELECT 1 AS \"b\", 1e21 AS \"0\", 'a\"' AS b UNION ALL SELECT NULL, x'00', 9007199254740993";
        let objects = run(&manager, request(sql, JsonRows::Objects)).await?;
        assert_eq!(objects, text(r#"[{"0":1e+21,"b":"a\""},{"0":"AA==","b":9007199254740993}]"#));
        let arrays = run(&manager, request(sql, JsonRows::Arrays)).await?;
        assert_eq!(arrays, text(r#"[[1,1e+21,"a\""],[null,"AA==",9007199254740993]]"#));
        let none: [Vec<Value>; 0] = [];
        assert_eq!(run(&manager, request("SELECT x FROM t", JsonRows::Objects)).await?, none);
        let long = "SELECT hex(zeroblob(20000)) AS x";
        let expected = format!(r#"[{{"x":"{}"}}]"#, "0".repeat(40_000));
        assert_eq!(run(&manager, request(long, JsonRows::Objects)).await?, text(&expected));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_write_whose_json_text_cannot_be_delivered_is_undone() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options { max_result_bytes: 17, ..Options::default() }).await?;
        let insert = "INSERT INTO t VALUES (1), (2) RETURNING x";
        assert_eq!(run(&manager, request(insert, JsonRows::Objects)).await?, text(r#"[{"x":1},{"x":2}]"#));
        let wide = "INSERT INTO t VALUES (9007199254740993) RETURNING x";
        let error = run(&manager, request(wide, JsonRows::Objects)).await.expect_err("it is too long");
        assert_eq!(error.code, ErrorCode::TooLarge);
        assert_eq!(run(&manager, request("SELECT count(*) FROM t", JsonRows::Arrays)).await?, text("[[2]]"));
        Ok(())
    })
    .await
}
