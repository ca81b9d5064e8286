//! The metrics: a text that a parser of OpenMetrics takes, and numbers that are right.

use std::time::Duration;

use openmetrics_parser::openmetrics::parse_openmetrics;
use openmetrics_parser::{MetricFamily, OpenMetricsType, OpenMetricsValue};
use sluice_core::{ErrorCode, Manager, Options, Params, Query, Request, Result, metric_names};

type Family = MetricFamily<OpenMetricsType, OpenMetricsValue>;

async fn query(manager: &Manager, sql: &str) -> Result<()> {
    manager.query(sql, Params::none()).await.map(drop)
}

/// Whoever is answered may be so before the permit is back.
async fn until_quiet(manager: &Manager) {
    loop {
        let status = manager.status();
        if !status.writer.active && status.readers.active == 0 && status.queued == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn metric(manager: &Manager, name: &str) -> f64 {
    manager.metric(name, &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// What a parser finds in the text.
fn families(manager: &Manager) -> std::collections::HashMap<String, Family> {
    let text = manager.metrics();
    assert!(text.ends_with("# EOF\n"), "the text is whole");
    parse_openmetrics(&text).unwrap_or_else(|error| panic!("{error:?} in {text}")).families
}

fn sum_of(family: &Family) -> f64 {
    let number = |value: &OpenMetricsValue| match value {
        OpenMetricsValue::Counter(counter) => counter.value.as_f64(),
        OpenMetricsValue::Gauge(gauge) => gauge.as_f64(),
        OpenMetricsValue::Histogram(histogram) => histogram.sum.expect("a sum").as_f64(),
        other @ (OpenMetricsValue::Unknown(_)
        | OpenMetricsValue::StateSet(_)
        | OpenMetricsValue::GaugeHistogram(_)
        | OpenMetricsValue::Info
        | OpenMetricsValue::Summary(_)) => panic!("{other:?} is no kind of ours"),
    };
    family.iter_samples().map(|sample| number(&sample.value)).sum()
}

#[expect(clippy::float_cmp, reason = "these are counts")]
#[tokio::test]
async fn a_parser_takes_the_text_and_finds_the_numbers_that_the_lookup_gives() -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    // A path with what has to be escaped in a label.
    let manager = Manager::open(folder.path().join("a \"b\"\nc.db"), Options::default()).await?;
    query(&manager, "CREATE TABLE t(x UNIQUE)").await?;
    for _ in 0..3 {
        drop(query(&manager, "INSERT INTO t VALUES (1)").await);
        query(&manager, "SELECT x FROM t").await?;
    }
    drop(manager.exclusive().await?);
    until_quiet(&manager).await;

    let found = families(&manager);
    let names = metric_names();
    for (name, family) in &found {
        assert!(name.starts_with("sluice_"), "{name}");
        assert!(!family.help.is_empty(), "{name} says what it is");
        let suffix = match family.family_type {
            OpenMetricsType::Counter => "_total",
            OpenMetricsType::Histogram => "_sum",
            OpenMetricsType::Gauge
            | OpenMetricsType::GaugeHistogram
            | OpenMetricsType::StateSet
            | OpenMetricsType::Summary
            | OpenMetricsType::Info
            | OpenMetricsType::Unknown => "",
        };
        let full = format!("{name}{suffix}");
        assert!(names.contains(&full), "{full} can be asked for");
        if !name.ends_with("oldest_reader_seconds") {
            assert_eq!(metric(&manager, &full), sum_of(family), "{full}");
        }
        assert!(name.ends_with(&family.unit), "{name} ends with its unit");
        for sample in family.iter_samples() {
            let labels = sample.get_labelset().expect("labels");
            let database = labels.get_label_value("database").expect("every sample says of which database it is");
            assert!(database.ends_with("a \"b\"\nc.db"), "{database}");
        }
    }
    assert_eq!(sum_of(&found["sluice_errors"]), 2.0);
    manager.close().await
}

#[expect(clippy::float_cmp, reason = "these are counts")]
#[tokio::test]
async fn what_happened_is_counted() -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    let manager = Manager::open(folder.path().join("app.db"), Options::default()).await?;
    query(&manager, "CREATE TABLE t(x UNIQUE)").await?;
    let read = Query::new("SELECT x FROM t");
    for _ in 0..4 {
        manager.run(Request::new(read.clone(), Params::none())).await?;
    }
    assert!(query(&manager, "SELECT nothing").await.is_err());
    query(&manager, "INSERT INTO t VALUES (1)").await?;
    assert!(query(&manager, "INSERT INTO t VALUES (1)").await.is_err());

    let of = |name: &str, labels: &[(&str, &str)]| manager.metric(name, labels).expect("there is such a metric");
    assert_eq!(of("sluice_statements_total", &[("route", "write")]), 2.0);
    assert_eq!(
        of("sluice_statements_total", &[("route", "read")]) + of("sluice_statements_total", &[("route", "write")]),
        6.0
    );
    assert_eq!(of("sluice_errors_total", &[("code", "SQLITE_CONSTRAINT_UNIQUE")]), 1.0);
    assert_eq!(of("sluice_errors_total", &[("code", "SQLITE_ERROR")]), 1.0);
    assert_eq!(of("sluice_errors_total", &[("code", "ERR_SLUICE_OVERLOADED")]), 0.0);
    assert_eq!(of("sluice_errors_total", &[]), 2.0);
    assert!(of("sluice_statement_cache_hits_total", &[]) >= 2.0);
    assert!(of("sluice_statement_cache_misses_total", &[]) >= 3.0);
    assert_eq!(of("sluice_mode_switches_total", &[]), 0.0);
    drop(manager.exclusive().await?);
    manager.write().await?.release(sluice_core::Disposition::Reuse);
    drop(manager.write().await?);
    for to in ["write", "read"] {
        assert_eq!(of("sluice_mode_switches_total", &[("to", to)]), 1.0, "to {to}");
        assert_eq!(of("sluice_mode_switch_seconds_count", &[("to", to)]), 1.0, "to {to}");
    }
    let status = manager.status();
    assert_eq!(status.errors, [("SQLITE_CONSTRAINT_UNIQUE", 1), ("SQLITE_ERROR", 1)]);
    manager.close().await
}

#[expect(clippy::float_cmp, reason = "these are counts")]
#[tokio::test]
async fn waits_count_for_those_who_had_to_wait_and_for_no_others() -> Result<()> {
    let manager = Manager::open(":memory:", Options::default()).await?;
    let waits = |class| manager.metric("sluice_queue_wait_seconds_count", &[("class", class)]).expect("a class");
    assert_eq!((waits("read"), waits("write"), waits("exclusive")), (0.0, 0.0, 0.0));
    let insert = Query::new("INSERT INTO t VALUES (1)");
    query(&manager, "CREATE TABLE t(x)").await?;
    // Now it is known to be a write.
    manager.run(Request::new(insert.clone(), Params::none())).await?;
    until_quiet(&manager).await;
    let (reads, before) = (waits("read"), waits("write"));
    manager.run(Request::new(insert.clone(), Params::none())).await?;
    assert_eq!((waits("read"), waits("write"), waits("exclusive")), (reads, before, 0.0));
    until_quiet(&manager).await;
    let writer = manager.write().await?;
    let waiting = tokio::join!(
        manager.run(Request::new(insert, Params::none())),
        async { manager.exclusive().await.map(drop) },
        async {
            while manager.status().queued < 2 {
                tokio::task::yield_now().await;
            }
            drop(writer);
        },
    );
    waiting.0?;
    waiting.1?;
    assert_eq!((waits("write"), waits("exclusive")), (before + 1.0, 1.0));
    let longest = [("class", "write"), ("le", "+Inf")];
    assert_eq!(manager.metric("sluice_queue_wait_seconds_bucket", &longest)?, before + 1.0);
    assert!(manager.metric("sluice_queue_wait_seconds_sum", &[])? > 0.0);
    manager.close().await
}

#[tokio::test]
async fn what_there_is_not_is_an_error_and_not_zero() -> Result<()> {
    let manager = Manager::open(":memory:", Options::default()).await?;
    let cases: [(&str, &[(&str, &str)]); 9] = [
        ("sluice_nothing", &[]),
        ("sluice_errors", &[]),
        ("sluice_errors_total", &[("kode", "SQLITE_BUSY")]),
        ("sluice_errors_total", &[("code", "SQLITE_BUSSY")]),
        ("sluice_statements_total", &[("route", "sideways")]),
        ("sluice_mode_switches_total", &[("from", "read"), ("to", "read")]),
        ("sluice_queue_wait_seconds_sum", &[("le", "+Inf")]),
        ("sluice_queue_wait_seconds_bucket", &[("le", "5")]),
        ("sluice_queue_wait_seconds_bucket", &[]),
    ];
    for (name, labels) in cases {
        let error = manager.metric(name, labels).expect_err(name);
        assert_eq!(error.code, ErrorCode::InvalidArgument, "{name} {labels:?}");
        assert!(error.message.contains(name), "{}", error.message);
    }
    manager.close().await
}

#[tokio::test]
async fn metrics_can_be_read_while_everything_runs_and_after_close() -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    let manager = Manager::open(folder.path().join("app.db"), Options::default()).await?;
    query(&manager, "CREATE TABLE t(x)").await?;
    let working = async {
        for _ in 0..300 {
            let writes = tokio::join!(
                query(&manager, "INSERT INTO t VALUES (1)"),
                query(&manager, "INSERT INTO t VALUES (2)"),
                query(&manager, "SELECT count(*) FROM t")
            );
            writes.0.and(writes.1).and(writes.2)?;
        }
        Ok::<_, sluice_core::Error>(())
    };
    let reading = async {
        let mut before = 0.0;
        loop {
            let now = sum_of(&families(&manager)["sluice_statements"]);
            assert!(now >= before, "a counter only grows");
            before = now;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        done = working => done,
        () = reading => unreachable!("it reads until the work is done"),
    }?;
    let groups = metric(&manager, "sluice_group_statements_count");
    assert!(groups > 0.0, "writes shared commits");
    assert!(metric(&manager, "sluice_commit_seconds_count") >= groups);
    manager.close().await?;
    assert!(families(&manager).contains_key("sluice_commit_seconds"));
    Ok(())
}
