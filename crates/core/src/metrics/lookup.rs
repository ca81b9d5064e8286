//! One number of the metrics, by its name and labels.

use super::list::{LIST, Labels, Metric, Moment, Value};
use crate::error::{Error, ErrorCode, Result};

/// Which number of a metric is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Number,
    Sum,
    Count,
    Bucket,
}

/// The label of a bucket.
const BOUND: &str = "le";

fn parts(metric: &Metric) -> &'static [(&'static str, Part)] {
    if metric.is_histogram() {
        &[("_sum", Part::Sum), ("_count", Part::Count), ("_bucket", Part::Bucket)]
    } else if metric.is_counter() {
        &[("_total", Part::Number)]
    } else {
        &[("", Part::Number)]
    }
}

/// Returns the name of everything that can be asked for.
pub(super) fn names() -> Vec<String> {
    let names_of = |metric: &'static Metric| {
        let family = metric.family();
        parts(metric).iter().map(move |(suffix, _)| format!("{family}{suffix}"))
    };
    LIST.iter().flat_map(names_of).collect()
}

fn find(name: &str) -> Option<(&'static Metric, Part)> {
    LIST.iter().find_map(|metric| {
        let suffix = name.strip_prefix(&*metric.family())?;
        let part = parts(metric).iter().find(|(known, _)| *known == suffix)?.1;
        Some((metric, part))
    })
}

/// Returns the sum of the samples of that name that have these labels.
///
/// # Errors
/// [`ErrorCode::InvalidArgument`] for a name or a label that there is not.
pub(super) fn look_up(moment: &Moment<'_>, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
    let (metric, part) = find(name).ok_or_else(|| invalid(format!("there is no metric '{name}'")))?;
    let bound = labels.iter().find(|(label, _)| *label == BOUND).map(|(_, bound)| *bound);
    let (wanted, others): (Vec<_>, Vec<_>) =
        labels.iter().copied().partition(|(label, _)| metric.labels.contains(label));
    let is_bucket = part == Part::Bucket;
    if let Some((label, _)) = others.iter().find(|(label, _)| *label != BOUND || !is_bucket) {
        let known: Vec<_> = metric.labels.iter().copied().chain(is_bucket.then_some(BOUND)).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(invalid(format!("the metric '{name}' has no label '{label}': its labels are: {known}")));
    }
    let has = |found: &Labels| wanted.iter().all(|(label, value)| found.contains(&(*label, *value)));
    let values = (metric.read)(moment);
    let mut found = values.iter().filter(|(labels, _)| has(labels)).peekable();
    if found.peek().is_none() {
        return absent(name, &wanted);
    }
    found.map(|(_, value)| number(value, part, bound).ok_or_else(|| no_bucket(name))).sum()
}

/// What there is of a label without a sample: a code with which nothing has failed yet counts 0.
fn absent(name: &str, wanted: &[(&str, &str)]) -> Result<f64> {
    match wanted {
        [] => Ok(0.0),
        [("code", code)] if ErrorCode::is_known_name(code) => Ok(0.0),
        [(label, value), ..] => Err(invalid(format!("the metric '{name}' has no {label} '{value}'"))),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn number(value: &Value, part: Part, bound: Option<&str>) -> Option<f64> {
    match (value, part) {
        (Value::Count(count), _) => Some(*count as f64),
        (Value::Real(number), _) => Some(*number),
        (Value::Histogram(observed), Part::Sum) => Some(observed.sum),
        (Value::Histogram(observed), Part::Count | Part::Number) => Some(observed.count() as f64),
        (Value::Histogram(observed), Part::Bucket) => {
            let bound = match bound? {
                "+Inf" => f64::INFINITY,
                bound => bound.parse().ok()?,
            };
            let at = observed.buckets.iter().position(|(known, _)| known.total_cmp(&bound).is_eq())?;
            Some(observed.buckets.iter().take(at + 1).map(|(_, count)| *count).sum::<u64>() as f64)
        }
    }
}

fn no_bucket(name: &str) -> Error {
    invalid(format!("the metric '{name}' is asked for by a label 'le' that is one of its bounds"))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, message)
}
