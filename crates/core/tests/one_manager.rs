//! One manager per file and process, by whatever name the file is opened.

use std::path::Path;
use std::time::Duration;

use sluice_core::{
    Behavior, Delivery, ErrorCode, Manager, Options, Params, ReadOrder, SessionKind, SessionLimits, Sink, Value,
};

type TestResult = Result<(), Box<dyn std::error::Error>>;

async fn open(path: &Path) -> sluice_core::Result<Manager> {
    Manager::open(path, Options::default()).await
}

async fn count(manager: &Manager) -> Result<Value, Box<dyn std::error::Error>> {
    let rows = manager.query("SELECT count(*) FROM t", Params::none()).await?.rows;
    Ok(rows[0][0].clone())
}

#[tokio::test]
async fn a_file_that_is_open_is_joined_by_any_of_its_names() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a.db");
    let first = open(&path).await?;
    #[cfg(unix)]
    std::os::unix::fs::symlink(&path, folder.path().join("link.db"))?;
    std::fs::hard_link(&path, folder.path().join("hard.db"))?;
    let mut others = vec![open(&path).await?, open(&folder.path().join(".").join("a.db")).await?];
    if cfg!(unix) {
        others.push(open(&folder.path().join("link.db")).await?);
        others.push(open(&folder.path().join("hard.db")).await?);
        assert_eq!(first.hard_links(), 2);
    }
    for other in &others {
        assert_eq!(other.id(), first.id());
    }
    assert_eq!(first.handles() as usize, others.len() + 1);
    assert_eq!(first.status().handles, first.handles());
    Ok(())
}

#[tokio::test]
async fn opens_of_one_file_at_the_same_time_make_one_manager() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("new.db");
    let (a, b, c) = tokio::join!(open(&path), open(&path), open(&path));
    let (a, b, c) = (a?, b?, c?);
    assert_eq!((a.id(), b.id()), (b.id(), c.id()));
    assert_eq!(a.handles(), 3);
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn two_names_of_a_file_that_neither_had_make_one_manager() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (path, link) = (folder.path().join("new.db"), folder.path().join("link.db"));
    std::os::unix::fs::symlink(&path, &link)?;
    for _ in 0..20 {
        let (a, b) = tokio::join!(open(&path), open(&link));
        let (a, b) = (a?, b?);
        assert_eq!((a.id(), a.handles()), (b.id(), 2));
        a.query("CREATE TABLE IF NOT EXISTS t(x)", Params::none()).await?;
        b.query("INSERT INTO t VALUES (1)", Params::none()).await?;
        a.close().await?;
        b.close().await?;
        std::fs::remove_file(&path)?;
    }
    Ok(())
}

#[tokio::test]
async fn the_last_handle_closes_the_database_and_each_of_the_others_only_itself() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a.db");
    let (first, second) = (open(&path).await?, open(&path).await?);
    first.query("CREATE TABLE t(x)", Params::none()).await?;
    first.close().await?;
    first.close().await?;
    for refused in [
        first.query("SELECT 1", Params::none()).await.map(drop),
        first.read().await.map(drop),
        first.sibling().query("SELECT 1", Params::none()).await.map(drop),
    ] {
        assert_eq!(refused.expect_err("the handle is closed").code, ErrorCode::Closed);
    }
    assert_eq!(second.handles(), 1);
    assert_eq!(count(&second).await?, Value::Integer(0));
    second.close().await?;
    assert!(!folder.path().join("a.db-wal").exists(), "the last one to close tidies up");
    let again = open(&path).await?;
    assert_ne!(again.id(), second.id());
    assert_eq!(count(&again).await?, Value::Integer(0));
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_being_closed_is_opened_anew_when_that_is_done() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a.db");
    for _ in 0..50 {
        let manager = open(&path).await?;
        manager.query("CREATE TABLE IF NOT EXISTS t(x)", Params::none()).await?;
        manager.query("INSERT INTO t VALUES (1)", Params::none()).await?;
        manager.begin_close(Duration::from_secs(10));
        let next = open(&path).await?;
        assert_ne!(next.id(), manager.id());
        drop(next);
    }
    let last = open(&path).await?;
    assert_eq!(count(&last).await?, Value::Integer(50));
    Ok(())
}

#[tokio::test]
async fn a_file_that_could_not_be_opened_is_open_to_the_next() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("sub").join("a.db");
    assert!(open(&path).await.is_err());
    std::fs::create_dir(folder.path().join("sub"))?;
    open(&path).await?.close().await?;
    Ok(())
}

#[tokio::test]
async fn options_that_disagree_are_an_error_that_names_both_values() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a.db");
    let first = Manager::open(&path, Options { max_readers: 3, ..Options::default() }).await?;
    let four = Options { max_readers: 4, ..Options::default() };
    let error = Manager::open(&path, four.clone()).await.expect_err("the options disagree");
    assert_eq!(error.code, ErrorCode::InvalidOption);
    assert!(error.message.contains("maxReaders 3") && error.message.contains("maxReaders 4"), "{}", error.message);
    assert_eq!(first.handles(), 1, "who is refused is not counted");
    let silent = Options { left_out: vec!["maxReaders".to_owned()], ..Options::default() };
    assert_eq!(Manager::open(&path, silent).await?.id(), first.id());
    let other_order = Options { max_readers: 3, read_order: ReadOrder::Submitted, ..Options::default() };
    assert_eq!(Manager::open(&path, other_order).await?.id(), first.id());
    first.close().await?;
    Manager::open(&path, four).await?;
    Ok(())
}

#[tokio::test]
async fn handles_without_the_right_to_write_have_connections_of_their_own() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a.db");
    let writing = open(&path).await?;
    writing.query("CREATE TABLE t(x)", Params::none()).await?;
    let readonly = Manager::open(&path, Options { readonly: true, ..Options::default() }).await?;
    assert_ne!(readonly.id(), writing.id());
    writing.query("INSERT INTO t VALUES (1)", Params::none()).await?;
    assert_eq!(count(&readonly).await?, Value::Integer(1));
    let error = readonly.query("INSERT INTO t VALUES (2)", Params::none()).await.expect_err("it may not write");
    assert_eq!(error.primary_code(), Some(8), "SQLITE_READONLY: {error}");
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn a_database_that_is_lost_is_not_joined() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (path, elsewhere) = (folder.path().join("a.db"), folder.path().join("b.db"));
    let moved = open(&path).await?;
    moved.query("CREATE TABLE t(x)", Params::none()).await?;
    let insert = "INSERT INTO t VALUES (1)";
    std::fs::rename(&path, &elsewhere)?;
    let error = moved.query(insert, Params::none()).await.expect_err("the file is not where it was");
    assert_eq!(error.code, ErrorCode::DatabaseReplaced);
    // The same file by number, under a name of its own: SQLite knows its log by the old one.
    let joined = open(&elsewhere).await.expect_err("its connections are open");
    assert_eq!(joined.code, ErrorCode::DatabaseReplaced);
    moved.close().await?;
    open(&elsewhere).await?.close().await?;

    let logless = open(&folder.path().join("c.db")).await?;
    logless.query("CREATE TABLE t(x)", Params::none()).await?;
    std::fs::remove_file(folder.path().join("c.db-wal"))?;
    let error = logless.query(insert, Params::none()).await.expect_err("the log is gone");
    assert_eq!(error.code, ErrorCode::WalGone);
    let again = open(&folder.path().join("c.db")).await.expect_err("its connections are open");
    assert_eq!(again.code, ErrorCode::WalGone);
    logless.close().await?;
    open(&folder.path().join("c.db")).await?.query("SELECT 1", Params::none()).await?;
    Ok(())
}

#[tokio::test]
async fn databases_in_memory_are_never_shared() -> TestResult {
    let (a, b) = (open(Path::new(":memory:")).await?, open(Path::new(":memory:")).await?);
    assert_ne!(a.id(), b.id());
    assert_eq!((a.handles(), b.handles()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn eight_handles_that_write_at_once_lose_nothing() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a.db");
    let first = open(&path).await?;
    first.query("CREATE TABLE t(x)", Params::none()).await?;
    let mut writers = Vec::new();
    for n in 0..8 {
        let handle = if n % 2 == 0 { first.sibling() } else { open(&path).await? };
        writers.push(tokio::spawn(async move {
            for x in 0..100 {
                handle.query("INSERT INTO t VALUES (?)", Params::positional([Value::from(x)])).await?;
            }
            handle.close().await
        }));
    }
    for writer in writers {
        writer.await??;
    }
    assert_eq!(first.handles(), 1);
    assert_eq!(count(&first).await?, Value::Integer(800));
    Ok(())
}

/// Takes the answers of two calls: 1 is the beginning of a session, 2 its end.
struct Answers(std::sync::mpsc::Sender<(u32, Delivery)>);

impl Sink for Answers {
    fn deliver(&self, call: u32, delivery: Delivery) {
        drop(self.0.send((call, delivery)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_that_is_closed_rolls_back_its_own_session_and_no_other() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a.db");
    let (first, second) = (open(&path).await?, open(&path).await?);
    let begin = |manager: &Manager, kind| {
        let (sender, answers) = std::sync::mpsc::channel();
        let sink: std::sync::Arc<dyn Sink> = std::sync::Arc::new(Answers(sender));
        (manager.session(kind, SessionLimits::default(), None, &sink, 1, 2), answers)
    };
    let deadline = Duration::from_secs(10);
    let (_writing, told) = begin(&first, SessionKind::Transaction(Behavior::Immediate));
    assert!(matches!(told.recv_timeout(deadline)?, (1, Delivery::Done)));
    let (_reading, other) = begin(&second, SessionKind::Read(sluice_core::Scope::Outside));
    assert!(matches!(other.recv_timeout(deadline)?, (1, Delivery::Done)));
    first.close().await?;
    let (call, end) = told.recv_timeout(deadline)?;
    assert!(
        call == 2 && matches!(&end, Delivery::Failed(failure) if failure.error.code == ErrorCode::Closed),
        "{end:?}"
    );
    assert!(other.try_recv().is_err(), "the session of the other handle goes on");
    second.query("CREATE TABLE t(x)", Params::none()).await?;
    Ok(())
}

/// Takes answers until it goes.
#[derive(Default)]
struct Goer {
    gone: std::sync::atomic::AtomicBool,
}

impl Sink for Goer {
    fn deliver(&self, _call: u32, _delivery: Delivery) {}

    fn is_closed(&self) -> bool {
        self.gone.load(std::sync::atomic::Ordering::SeqCst)
    }
}

const ENDLESS: &str = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c";

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_takes_only_their_own_calls_with_them() -> TestResult {
    use sluice_core::{Query, Request};
    let folder = tempfile::tempdir()?;
    let options = Options { max_readers: 2, ..Options::default() };
    let manager = Manager::open(folder.path().join("a.db"), options).await?;
    manager.query("CREATE TABLE t(x)", Params::none()).await?;
    let goer = std::sync::Arc::new(Goer::default());
    let sink: std::sync::Arc<dyn Sink> = goer.clone();
    let request = |sql: &str| Request::new(Query::new(sql), Params::none());
    manager.submit(request(ENDLESS), None, sink.clone(), 1);
    manager.submit(request(&format!("INSERT INTO t {ENDLESS}")), None, sink.clone(), 2);
    manager.submit(request("INSERT INTO t VALUES (2)"), None, sink.clone(), 3);
    while manager.status().writer.holder.is_none() || manager.status().readers.active == 0 {
        tokio::task::yield_now().await;
    }
    // Waits behind the endless write, for somebody who stays.
    let stays = manager.query("INSERT INTO t VALUES (1)", Params::none());
    let leaves = async {
        goer.gone.store(true, std::sync::atomic::Ordering::SeqCst);
        manager.abandon(&sink);
    };
    let (stayed, ()) = tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(stays, leaves) }).await?;
    assert_eq!(stayed?.outcome.changes, 1);
    let kept = manager.query("SELECT group_concat(x) FROM t", Params::none()).await?.rows;
    assert_eq!(kept, [[Value::from("1")]], "what waited for those who went is not done");
    while manager.status().readers.active > 0 {
        tokio::task::yield_now().await;
    }
    Ok(())
}
