//! All metrics of a program.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use super::by::{By, Make};
use super::{process, runtime};

/// A gauge that need not be a whole number.
pub type FloatGauge = Gauge<f64, AtomicU64>;

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts what fell into which bucket.
    Histogram,
    /// Always 1; its labels say something.
    Info,
}

impl Kind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

/// What is known of a metric.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name without what its kind adds.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it is.
    pub help: &'static str,
}

impl Row {
    /// The name as it is asked for.
    pub fn served_name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Info => format!("{}_info", self.name),
            Kind::Gauge | Kind::Histogram => self.name.to_owned(),
        }
    }
}

/// All metrics of a program: each is entered here once, and so served and documented.
#[derive(Default)]
pub struct Book {
    registry: Registry,
    rows: Vec<Row>,
}

impl Book {
    /// A book with the figures of the process and of the runtime in it.
    pub fn of_process() -> Self {
        let mut book = Self::default();
        book.collector(process::ROWS, process::Process);
        book.collector(runtime::ROWS, runtime::Runtime::default());
        book
    }

    /// A counter. Its name goes without the `_total` that is added to it.
    pub fn counter(&mut self, name: &'static str, help: &'static str) -> Counter {
        self.enter(Row { name, kind: Kind::Counter, labels: &[], help }, Counter::default())
    }

    /// A gauge.
    pub fn gauge(&mut self, name: &'static str, help: &'static str) -> Gauge {
        self.enter(Row { name, kind: Kind::Gauge, labels: &[], help }, Gauge::default())
    }

    /// A gauge that need not be a whole number.
    pub fn float_gauge(&mut self, name: &'static str, help: &'static str) -> FloatGauge {
        self.enter(Row { name, kind: Kind::Gauge, labels: &[], help }, FloatGauge::default())
    }

    /// A histogram.
    pub fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        buckets: &'static [f64],
    ) -> Histogram {
        let histogram = Histogram::new(buckets.iter().copied());
        self.enter(Row { name, kind: Kind::Histogram, labels: &[], help }, histogram)
    }

    /// A counter for each value of its labels.
    pub fn counters<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str; N],
    ) -> By<Counter, N> {
        let metric = By::new(*labels, Make(Arc::new(Counter::default)));
        self.enter(Row { name, kind: Kind::Counter, labels, help }, metric)
    }

    /// A gauge for each value of its labels.
    pub fn gauges<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str; N],
    ) -> By<Gauge, N> {
        let metric = By::new(*labels, Make(Arc::new(Gauge::default)));
        self.enter(Row { name, kind: Kind::Gauge, labels, help }, metric)
    }

    /// A histogram for each value of its labels.
    pub fn histograms<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str; N],
        buckets: &'static [f64],
    ) -> By<Histogram, N> {
        let metric = By::new(*labels, Make(Arc::new(|| Histogram::new(buckets.iter().copied()))));
        self.enter(Row { name, kind: Kind::Histogram, labels, help }, metric)
    }

    /// A gauge whose labels never change.
    pub fn labelled_gauge<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str; N],
        values: [String; N],
    ) -> Gauge {
        let pairs: Vec<(&'static str, String)> = labels.iter().copied().zip(values).collect();
        let family = Family::<Vec<(&'static str, String)>, Gauge>::default();
        let gauge = family.get_or_create_owned(&pairs);
        self.enter(Row { name, kind: Kind::Gauge, labels, help }, family);
        gauge
    }

    /// What the labels of a metric that is always 1 say.
    pub fn info<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str; N],
        values: [String; N],
    ) {
        let pairs: Vec<(&'static str, String)> = labels.iter().copied().zip(values).collect();
        self.registry.register(name, help, Info::new(pairs));
        self.rows.push(Row { name, kind: Kind::Info, labels, help });
    }

    /// Metrics that are read when they are asked for.
    pub fn collector(&mut self, rows: impl IntoIterator<Item = Row>, collector: impl Collector) {
        self.rows.extend(rows);
        self.registry.register_collector(Box::new(collector));
    }

    /// What is in the book, in the order in which it was entered.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// All metrics as text, in the format of OpenMetrics.
    ///
    /// # Errors
    /// None in practice: it writes to a text.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut encoded = String::new();
        text::encode(&mut encoded, &self.registry)?;
        Ok(encoded)
    }

    fn enter<M: Metric + Clone>(&mut self, row: Row, metric: M) -> M {
        self.registry.register(row.name, row.help, metric.clone());
        self.rows.push(row);
        metric
    }
}

impl Debug for Book {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Book").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_entered_is_served_and_documented() {
        let mut book = Book::default();
        book.counter("lamps_lit", "Lamps that were lit").inc();
        let sent = book.counters("packets", "Packets", &["direction", "type"]).known([["in", "tell"]]);
        sent.of(["out", "who"]).inc_by(2);
        book.histograms("waits_seconds", "Waits", &["class"], &[0.5, 1.0]).of(["a"]).observe(0.7);
        book.info("build", "The version", &["version"], ["1\"2".to_owned()]);
        let text = book.encode().unwrap();
        for line in [
            "lamps_lit_total 1",
            r#"packets_total{direction="in",type="tell"} 0"#,
            r#"packets_total{direction="out",type="who"} 2"#,
            r#"waits_seconds_bucket{le="1.0",class="a"} 1"#,
            r#"build_info{version="1\"2"} 1"#,
        ] {
            assert!(text.contains(line), "no {line:?} in:\n{text}");
        }
        let names: Vec<_> = book.rows().iter().map(Row::served_name).collect();
        assert_eq!(names, ["lamps_lit_total", "packets_total", "waits_seconds", "build_info"]);
    }
}
