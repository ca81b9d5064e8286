//! The metrics as text, in the form of OpenMetrics 1.0: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::borrow::Cow;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::registry::{self, Registry};

use super::list::{LIST, Metric, Moment, Unit, Value, Values};

/// The values of every metric, at one moment.
struct Taken(Vec<(&'static Metric, Values)>);

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(metric, _)| metric.name)).finish()
    }
}

/// Writes the metrics of a moment.
pub(super) fn write(moment: &Moment<'_>, database: &str) -> String {
    let taken = Taken(LIST.iter().map(|metric| (metric, (metric.read)(moment))).collect());
    let label = (Cow::Borrowed("database"), Cow::Owned(database.to_owned()));
    let mut registry = Registry::with_labels([label].into_iter());
    registry.register_collector(Box::new(taken));
    let mut text = String::new();
    text::encode(&mut text, &registry).expect("BUG: a string takes whatever is written to it");
    text
}

impl Collector for Taken {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // There are parsers that take no family without samples.
        for (metric, values) in self.0.iter().filter(|(_, values)| !values.is_empty()) {
            let (name, unit) = name_and_unit(metric);
            let mut family = encoder.encode_descriptor(&name, metric.help, unit.as_ref(), metric.kind)?;
            for (labels, value) in values {
                if labels.is_empty() {
                    encode(&mut family, metric, value)?;
                } else {
                    encode(&mut family.encode_family(labels)?, metric, value)?;
                }
            }
        }
        Ok(())
    }
}

/// The name of a family without the unit that stands in a line of its own and is added to the name, if there is such a line: there are
/// parsers that take none for histograms.
fn name_and_unit(metric: &Metric) -> (Cow<'static, str>, Option<registry::Unit>) {
    if metric.is_histogram() {
        return (metric.family(), None);
    }
    let unit = match metric.unit {
        Unit::None => None,
        Unit::Seconds => Some(registry::Unit::Seconds),
        Unit::Bytes => Some(registry::Unit::Bytes),
    };
    (Cow::Borrowed(metric.name), unit)
}

fn encode(encoder: &mut MetricEncoder<'_>, metric: &Metric, value: &Value) -> fmt::Result {
    match (value, metric.is_counter()) {
        (Value::Count(count), true) => encoder.encode_counter::<NoLabelSet, _, u64>(count, None),
        (Value::Count(count), false) => encoder.encode_gauge(count),
        (Value::Real(number), true) => encoder.encode_counter::<NoLabelSet, _, u64>(number, None),
        (Value::Real(number), false) => encoder.encode_gauge(number),
        (Value::Histogram(observed), _) => {
            encoder.encode_histogram::<NoLabelSet>(observed.sum, observed.count(), &observed.buckets, None)
        }
    }
}
