//! A database, and a sink that keeps the answers of calls.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sluice_core::{
    Behavior, Cancel, Channel, Control, Delivery, ErrorCode, Manager, Options, Params, Query, Request, Result, Session,
    SessionKind, SessionLimits, Sink, Value,
};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub(crate) async fn in_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("done within the deadline")
}

pub(crate) const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n";
pub(crate) const IMMEDIATE: SessionKind = SessionKind::Transaction(Behavior::Immediate);

/// What a call was answered: its integers, and whether there is more; or its error.
pub(crate) type Answer = Result<(Vec<i64>, bool)>;

pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) manager: Manager,
    channel: Arc<Channel>,
    wakes: UnboundedReceiver<()>,
    calls: u32,
    rows: HashMap<u32, Vec<i64>>,
    answers: HashMap<u32, Answer>,
}

impl Bench {
    pub(crate) async fn open(options: Options) -> Result<Self> {
        let dir = TempDir::new().expect("a temporary directory");
        let manager = Manager::open(dir.path().join("app.db"), options).await?;
        manager.write().await?.script("CREATE TABLE t(x UNIQUE); INSERT INTO t VALUES (1)").await?;
        let (sender, wakes) = unbounded_channel();
        let channel = Channel::new(move || sender.send(()).unwrap_or_default());
        Ok(Self { dir, manager, channel, wakes, calls: 0, rows: HashMap::new(), answers: HashMap::new() })
    }

    pub(crate) fn sink(&self) -> Arc<dyn Sink> {
        self.channel.clone()
    }

    pub(crate) fn call(&mut self) -> u32 {
        self.calls += 1;
        self.calls
    }

    pub(crate) fn begin(
        &mut self,
        kind: SessionKind,
        limits: SessionLimits,
        cancel: Option<Arc<Cancel>>,
    ) -> (Session, u32, u32) {
        let (call, ended) = (self.call(), self.call());
        (self.manager.session(kind, limits, cancel, &self.sink(), call, ended), call, ended)
    }

    pub(crate) async fn begun(&mut self, kind: SessionKind) -> (Session, u32) {
        self.begun_within(kind, SessionLimits::default()).await
    }

    pub(crate) async fn begun_within(&mut self, kind: SessionKind, limits: SessionLimits) -> (Session, u32) {
        let (session, call, ended) = self.begin(kind, limits, None);
        self.answer(call).await.expect("the session begins");
        (session, ended)
    }

    pub(crate) fn ask(&mut self, session: &Session, sql: &str) -> u32 {
        self.ask_with(session, sql, None)
    }

    pub(crate) fn ask_with(&mut self, session: &Session, sql: &str, cancel: Option<Arc<Cancel>>) -> u32 {
        let call = self.call();
        session.submit(Request::new(Query::new(sql), Params::none()), cancel, self.sink(), call);
        call
    }

    pub(crate) async fn run(&mut self, session: &Session, sql: &str) -> Result<Vec<i64>> {
        let call = self.ask(session, sql);
        self.answer(call).await.map(|(rows, _)| rows)
    }

    pub(crate) async fn control(&mut self, session: &Session, control: Control) -> Result<()> {
        let call = self.call();
        session.control(control, None, self.sink(), call);
        self.answer(call).await.map(drop)
    }

    pub(crate) async fn answer(&mut self, call: u32) -> Answer {
        let mut taken = VecDeque::new();
        loop {
            if let Some(answer) = self.answers.remove(&call) {
                return answer;
            }
            self.channel.take(&mut taken);
            if taken.is_empty() {
                self.wakes.recv().await.expect("the channel lives");
            }
            for (call, delivery) in taken.drain(..) {
                self.keep(call, delivery);
            }
        }
    }

    pub(crate) fn keep(&mut self, call: u32, delivery: Delivery) {
        let integers = |chunk: &sluice_core::rows::Chunk| {
            chunk
                .cells
                .iter()
                .filter_map(|cell| sluice_core::cell::integer_of(f64::from_bits(*cell)))
                .collect::<Vec<_>>()
        };
        let rows = self.rows.entry(call).or_default();
        rows.extend(delivery.chunk().map(integers).unwrap_or_default());
        let answer = match delivery {
            Delivery::Rows(..) => return,
            Delivery::More(..) => Ok((std::mem::take(rows), true)),
            Delivery::End(..) => Ok((std::mem::take(rows), false)),
            Delivery::Done | Delivery::Timed(_) => Ok((Vec::new(), false)),
            Delivery::Failed(failure) => Err(failure.error),
        };
        let before = self.answers.insert(call, answer);
        assert!(before.is_none(), "call {call} is answered once");
    }

    pub(crate) async fn integers(&self, sql: &str) -> Result<Vec<i64>> {
        let rows = self.manager.query(sql, Params::none()).await?.rows;
        Ok(rows
            .iter()
            .flatten()
            .filter_map(|value| if let Value::Integer(i) = value { Some(*i) } else { None })
            .collect())
    }

    pub(crate) async fn until_it_runs(&self, part: &str) {
        while self.manager.status().writer.holder.is_none_or(|holder| !holder.sql.contains(part)) {
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    result.expect_err("it fails").code
}

pub(crate) fn limits(idle: u64, total: u64) -> SessionLimits {
    let some = |ms| (ms > 0).then(|| Duration::from_millis(ms));
    SessionLimits { idle: some(idle), total: some(total) }
}
