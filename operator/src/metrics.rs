//! What the operator counts, for Prometheus. Every label has few values, fixed in this code.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// Seconds: a reconciliation is a few round trips, and ends after a minute at the latest.
const DURATION_BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];

/// How a reconciliation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    /// The objects are as they should be.
    Applied,
    /// The spec cannot be carried out.
    Rejected,
    /// The object cannot be decoded.
    Undecodable,
    /// It failed and will be tried again.
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

/// The metrics. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconciliations: Family<ByOutcome, Counter>,
    durations: Histogram,
    reconcile_errors: Family<ByReason, Counter>,
    bus_errors: Family<ByReason, Counter>,
    /// How many MudGateways exist.
    pub managed: Gauge,
    /// How many of them cannot be decoded.
    pub invalid: Gauge,
    /// Whether there is a session with NATS.
    pub bus_connected: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("i3op");
        let reconciliations = Family::default();
        let durations = Histogram::new(DURATION_BUCKETS);
        let reconcile_errors = Family::default();
        let bus_errors = Family::default();
        let (managed, invalid, bus_connected) = (Gauge::default(), Gauge::default(), Gauge::default());
        registry.register("reconcile", "Reconciliations by how they ended", reconciliations.clone());
        registry.register("reconcile_duration_seconds", "How long reconciliations took", durations.clone());
        registry.register("reconcile_errors", "Failed reconciliations by reason", reconcile_errors.clone());
        registry.register("bus_errors", "Failures on NATS by reason", bus_errors.clone());
        registry.register("managed_mudgateways", "MudGateways that exist", managed.clone());
        registry.register("invalid_objects", "MudGateways that cannot be decoded", invalid.clone());
        registry.register("bus_connected", "1 while there is a session with NATS", bus_connected.clone());
        registry.register("build", "The version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        Self {
            registry: Arc::new(registry),
            reconciliations,
            durations,
            reconcile_errors,
            bus_errors,
            managed,
            invalid,
            bus_connected,
        }
    }
}

impl Metrics {
    /// Counts a reconciliation that began at `start` and has ended.
    pub fn reconciled(&self, outcome: Outcome, start: Instant) {
        self.reconciliations.get_or_create(&ByOutcome { outcome }).inc();
        self.durations.observe(Duration::as_secs_f64(&start.elapsed()));
    }

    /// Counts a failed reconciliation.
    pub fn reconcile_error(&self, reason: &'static str) {
        self.reconcile_errors.get_or_create(&ByReason { reason }).inc();
    }

    /// Counts a failure on NATS.
    pub fn bus_error(&self, reason: &'static str) {
        self.bus_errors.get_or_create(&ByReason { reason }).inc();
    }

    /// All metrics in the text format of OpenMetrics.
    ///
    /// # Errors
    /// None in practice: it writes to a string.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_can_be_scraped() {
        let metrics = Metrics::default();
        metrics.reconciled(Outcome::Applied, Instant::now());
        metrics.reconcile_error("ApiUnavailable");
        metrics.bus_error("BusUnavailable");
        metrics.managed.set(2);
        let text = metrics.encode().unwrap();
        for line in [
            "i3op_reconcile_total{outcome=\"Applied\"} 1",
            "i3op_reconcile_duration_seconds_count 1",
            "i3op_reconcile_errors_total{reason=\"ApiUnavailable\"} 1",
            "i3op_bus_errors_total{reason=\"BusUnavailable\"} 1",
            "i3op_managed_mudgateways 2",
            "i3op_invalid_objects 0",
            "i3op_bus_connected 0",
            "i3op_build_info{version=",
        ] {
            assert!(text.contains(line), "no {line:?} in:\n{text}");
        }
    }
}
