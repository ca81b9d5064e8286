//! Every metric there is: its name, what it tells, its unit, its labels, and where its number comes from.

use std::borrow::Cow;

use prometheus_client::metrics::MetricType;

use super::Metrics;
use super::histogram::Observed;
use crate::gate::Mode;
use crate::manager::Status;

/// What a metric reads from: the numbers of one moment.
pub(super) struct Moment<'a> {
    pub(super) status: Status,
    pub(super) metrics: &'a Metrics,
}

impl Moment<'_> {
    /// Returns what was counted under a name of [`Status::counters`].
    fn count(&self, name: &str) -> u64 {
        let found = self.status.counters.iter().find(|(known, _)| *known == name);
        found.expect("BUG: a metric reads a counter that there is not").1
    }
}

/// What a metric is measured in, at the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Nothing: it is a number of things.
    None,
    Seconds,
    Bytes,
}

/// The labels of a sample, beside that of the database.
pub(super) type Labels = Vec<(&'static str, &'static str)>;

/// A number of a metric.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Count(u64),
    Real(f64),
    Histogram(Observed),
}

/// The values of a metric, each under its labels.
pub(super) type Values = Vec<(Labels, Value)>;

/// A metric.
pub(super) struct Metric {
    /// Without the prefix, the unit, and what its kind adds.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) unit: Unit,
    pub(super) kind: MetricType,
    pub(super) labels: &'static [&'static str],
    pub(super) read: fn(&Moment<'_>) -> Values,
}

impl Metric {
    pub(super) fn is_counter(&self) -> bool {
        matches!(self.kind, MetricType::Counter)
    }

    pub(super) fn is_histogram(&self) -> bool {
        matches!(self.kind, MetricType::Histogram)
    }

    /// Returns the name of the family, as the text has it.
    pub(super) fn family(&self) -> Cow<'static, str> {
        match self.unit {
            Unit::None => Cow::Borrowed(self.name),
            Unit::Seconds => Cow::Owned(format!("{}_seconds", self.name)),
            Unit::Bytes => Cow::Owned(format!("{}_bytes", self.name)),
        }
    }
}

const fn gauge(name: &'static str, help: &'static str, read: fn(&Moment<'_>) -> Values) -> Metric {
    Metric { name, help, unit: Unit::None, kind: MetricType::Gauge, labels: &[], read }
}

const fn counter(name: &'static str, help: &'static str, read: fn(&Moment<'_>) -> Values) -> Metric {
    Metric { name, help, unit: Unit::None, kind: MetricType::Counter, labels: &[], read }
}

const fn durations(name: &'static str, help: &'static str, read: fn(&Moment<'_>) -> Values) -> Metric {
    Metric { name, help, unit: Unit::Seconds, kind: MetricType::Histogram, labels: &[], read }
}

fn one(value: Value) -> Values {
    vec![(Vec::new(), value)]
}

fn size(number: usize) -> Values {
    one(Value::Count(number as u64))
}

fn number(count: u64) -> Values {
    one(Value::Count(count))
}

/// All metrics, in the order of the text.
pub(super) static LIST: [Metric; 49] = [
    gauge("sluice_readers_open", "Connections that read, open or being opened", |now| size(now.status.readers.open)),
    gauge("sluice_readers_active", "Reads that are admitted, and sessions", |now| size(now.status.readers.active)),
    gauge("sluice_readers_idle", "Connections that read, without work", |now| size(now.status.readers.idle)),
    gauge("sluice_readers_waiting", "Reads that wait to be admitted", |now| size(now.status.readers.waiting)),
    gauge("sluice_readers_max", "Connections that may read at once", |now| number(now.status.readers.max.into())),
    gauge("sluice_writer_active", "1 while the writer is in use", |now| number(now.status.writer.active.into())),
    gauge("sluice_writer_idle", "1 while the writer is not in use", |now| number((!now.status.writer.active).into())),
    gauge("sluice_writers_waiting", "Writes that wait to be admitted", |now| size(now.status.writer.waiting)),
    gauge("sluice_queue_depth", "Calls that wait to be admitted, of every kind", |now| size(now.status.queued)),
    gauge("sluice_handles", "Handles that share the connections", |now| number(now.status.handles.into())),
    gauge("sluice_write_mode", "1 while a write has the database for itself", |now| {
        number((now.status.mode == Mode::Write).into())
    }),
    gauge("sluice_peak_readers", "The most reads that ever ran at once", |now| number(now.count("peakReaders"))),
    gauge("sluice_peak_readers_beside_writer", "The most reads that ever ran beside a write", |now| {
        number(now.count("peakReadersBesideWriter"))
    }),
    Metric {
        unit: Unit::Bytes,
        ..gauge("sluice_wal", "Size of the write-ahead log", |now| number(now.status.wal.bytes))
    },
    Metric {
        unit: Unit::Seconds,
        ..gauge("sluice_wal_oldest_reader", "For how long the oldest read has kept the log from being reset", |now| {
            one(Value::Real(now.status.wal.oldest_reader.unwrap_or_default().as_secs_f64()))
        })
    },
    Metric {
        labels: &["route"],
        ..counter("sluice_statements", "Calls that succeeded, by who ran them", |now| {
            let (reads, writes) = (now.count("reads"), now.count("writes"));
            vec![(vec![("route", "read")], Value::Count(reads)), (vec![("route", "write")], Value::Count(writes))]
        })
    },
    counter("sluice_inline_reads", "Reads that ran on the thread of their caller", |now| {
        number(now.count("inlineReads"))
    }),
    counter("sluice_inline_reuses", "Those of them that ran in a snapshot that an earlier one had left open", |now| {
        number(now.count("inlineReuses"))
    }),
    counter("sluice_inline_fallbacks", "Reads that were given up there, and went to a reader", |now| {
        number(now.count("inlineFallbacks"))
    }),
    counter("sluice_fallbacks", "Reads that went to the writer", |now| number(now.count("fallbacks"))),
    counter("sluice_denied_statements", "Statements that a read session refused", |now| number(now.count("denied"))),
    Metric {
        labels: &["code"],
        ..counter("sluice_errors", "Calls that failed, by code", |now| {
            let errors = now.status.errors.iter();
            errors.map(|(code, count)| (vec![("code", *code)], Value::Count(*count))).collect()
        })
    },
    counter("sluice_interrupts", "Statements that were interrupted", |now| number(now.count("interrupts"))),
    counter("sluice_panics", "Faults in the driver", |now| number(now.count("panics"))),
    counter("sluice_statement_cache_hits", "Prepared statements that were found", |now| {
        number(now.count("statementCacheHits"))
    }),
    counter("sluice_statement_cache_misses", "Statements that were prepared", |now| {
        number(now.count("statementCacheMisses"))
    }),
    Metric {
        labels: &["class"],
        ..durations("sluice_queue_wait", "How long calls waited to be admitted, of those that had to", |now| {
            let waits = [
                ("read", &now.metrics.read_waits),
                ("write", &now.metrics.write_waits),
                ("exclusive", &now.metrics.exclusive_waits),
            ];
            waits.map(|(class, waits)| (vec![("class", class)], Value::Histogram(waits.observed()))).into()
        })
    },
    Metric {
        labels: &["from", "to"],
        ..counter("sluice_mode_switches", "Changes between read mode and write mode", |now| {
            let to_write = now.count("modeSwitches");
            let to_read = to_write.saturating_sub((now.status.mode == Mode::Write).into());
            vec![(READ_TO_WRITE.into(), Value::Count(to_write)), (WRITE_TO_READ.into(), Value::Count(to_read))]
        })
    },
    Metric {
        labels: &["from", "to"],
        ..durations("sluice_mode_switch", "How long it took to begin and to end exclusive write mode", |now| {
            let (to_write, to_read) =
                (now.metrics.switches_to_write.observed(), now.metrics.switches_to_read.observed());
            vec![(READ_TO_WRITE.into(), Value::Histogram(to_write)), (WRITE_TO_READ.into(), Value::Histogram(to_read))]
        })
    },
    counter("sluice_reader_opens", "Readers that were opened", |now| number(now.count("readerOpens"))),
    counter("sluice_reader_closes", "Readers that were closed", |now| number(now.count("readerCloses"))),
    counter("sluice_reader_prunes", "Readers that were closed because they were idle", |now| {
        number(now.count("prunes"))
    }),
    counter("sluice_reader_discards", "Readers that were closed because they broke", |now| {
        number(now.count("discards"))
    }),
    counter("sluice_writer_replacements", "Writers that were replaced because they broke", |now| {
        number(now.count("writerReplacements"))
    }),
    Metric {
        unit: Unit::None,
        ..durations("sluice_group_statements", "Statements that shared a commit", |now| {
            one(Value::Histogram(now.metrics.group_sizes.observed()))
        })
    },
    counter("sluice_group_retries", "Groups that were rolled back and run again", |now| {
        number(now.count("groupRetries"))
    }),
    durations("sluice_commit", "How long commits took, of groups, batches and transactions", |now| {
        one(Value::Histogram(now.metrics.commits.observed()))
    }),
    counter("sluice_sessions", "Transactions, read sessions and iterators that got their connection", |now| {
        number(now.count("sessions"))
    }),
    counter("sluice_session_timeouts", "Those of them that were ended by a limit", |now| {
        number(now.count("sessionTimeouts"))
    }),
    counter("sluice_transactions", "Transactions that began", |now| number(now.count("transactions"))),
    counter("sluice_transaction_commits", "Transactions that were committed", |now| number(now.count("commits"))),
    counter("sluice_transaction_rollbacks", "Transactions that were rolled back", |now| number(now.count("rollbacks"))),
    counter("sluice_transaction_retries", "Transactions that were run again", |now| {
        number(now.count("transactionRetries"))
    }),
    durations("sluice_transaction", "How long transactions were open", |now| {
        one(Value::Histogram(now.metrics.transactions.observed()))
    }),
    counter("sluice_busy_retries", "Times that a lock of another process was tried again", |now| {
        number(now.count("busyRetries"))
    }),
    durations("sluice_busy_wait", "How long calls waited for other processes, of those that had to", |now| {
        one(Value::Histogram(now.metrics.busy_waits.observed()))
    }),
    durations("sluice_checkpoint", "How long checkpoints took", |now| {
        one(Value::Histogram(now.metrics.checkpoints.observed()))
    }),
    counter("sluice_checkpoint_errors", "Checkpoints that failed", |now| number(now.count("checkpointErrors"))),
    counter("sluice_wal_truncations", "Times that the write-ahead log was emptied", |now| {
        number(now.count("walTruncations"))
    }),
];

const READ_TO_WRITE: [(&str, &str); 2] = [("from", "read"), ("to", "write")];
const WRITE_TO_READ: [(&str, &str); 2] = [("from", "write"), ("to", "read")];
