//! What the operator counts, for Prometheus. Every label has few values, fixed in this code.
//!
//! `docs/METRICS.md` is made from what is entered in the book here.

mod requests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mudgateway_telemetry::metrics::{Book, By, Counter, EventLoop, Gauge, Histogram};

pub use requests::{CountRequests, Counted, is_watch};

use crate::index::Index;

/// Seconds: a reconciliation is a few round trips, and ends after a minute at the latest.
const DURATION_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];

/// The answers to muds that ask whether they may connect.
const ANSWERS: [&str; 4] = ["Granted", "Wait", "AddressFull", "Noted"];

/// How a reconciliation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The objects are as they should be.
    Applied,
    /// The spec cannot be carried out.
    Rejected,
    /// The spec says to do nothing.
    Paused,
    /// The object cannot be decoded.
    Undecodable,
    /// It failed and will be tried again.
    Failed,
}

impl Outcome {
    const ALL: [Self; 5] = [Self::Applied, Self::Rejected, Self::Paused, Self::Undecodable, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "Applied",
            Self::Rejected => "Rejected",
            Self::Paused => "Paused",
            Self::Undecodable => "Undecodable",
            Self::Failed => "Failed",
        }
    }
}

/// The metrics. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    book: Arc<Book>,
    reconciliations: By<Counter, 1>,
    durations: Histogram,
    reconcile_errors: By<Counter, 1>,
    /// How many reconciliations are under way.
    pub reconciling: Gauge,
    queue_size: Gauge,
    queue_oldest: Gauge,
    watch_errors: By<Counter, 2>,
    bus_errors: By<Counter, 1>,
    permits: By<Counter, 1>,
    permits_waiting: Gauge,
    muds_at_one_address: Gauge,
    managed: Gauge,
    invalid: Gauge,
    without_standby: Gauge,
    conditions: By<Gauge, 2>,
    /// Identities for NATS that were made for gateways.
    pub identities_issued: Counter,
    nats_credentials_expiry: Gauge,
    /// Whether there is a session with NATS.
    pub bus_connected: Gauge,
    state_bytes: Gauge,
    state_limit: Gauge,
    /// Whether this process is the one that reconciles.
    pub leader: Gauge,
    /// How often the Lease has changed hands.
    pub lease_transitions: Gauge,
    /// Requests to the API server.
    pub requests: CountRequests,
    /// How late tasks run.
    pub event_loop: EventLoop,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut book = Book::of_process();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        book.info("i3op_build", "The version of the operator", &["version"], [version]);
        Self {
            event_loop: EventLoop::new(&mut book),
            reconciliations: book
                .counters("i3op_reconcile", "Reconciliations by how they ended", &["outcome"])
                .known(Outcome::ALL.map(|outcome| [outcome.as_str()])),
            durations: book.histogram(
                "i3op_reconcile_duration_seconds",
                "How long reconciliations took",
                DURATION_BUCKETS,
            ),
            reconcile_errors: book.counters(
                "i3op_reconcile_errors",
                "Failed reconciliations by reason",
                &["reason"],
            ),
            reconciling: book.gauge("i3op_reconcile_in_progress", "Reconciliations that are under way"),
            queue_size: book
                .gauge("i3op_reconcile_queue_size", "MudGateways that wait for their turn to be reconciled"),
            queue_oldest: book.gauge(
                "i3op_reconcile_queue_oldest_seconds",
                "For how long the one has waited that has waited longest",
            ),
            watch_errors: book.counters(
                "i3op_watch_errors",
                "Watches on the API server that failed and were opened again, by kind and reason",
                &["kind", "reason"],
            ),
            bus_errors: book.counters("i3op_bus_errors", "Failures on NATS by reason", &["reason"]),
            permits: book
                .counters("i3op_permits", "Answers to muds that asked to connect to a router", &["answer"])
                .known(ANSWERS.map(|answer| [answer])),
            permits_waiting: book
                .gauge("i3op_permits_waiting", "Muds that wait for their turn to connect to a router"),
            muds_at_one_address: book.gauge(
                "i3op_muds_at_one_address",
                "The most muds that are registered with one router from one address",
            ),
            managed: book.gauge("i3op_managed_mudgateways", "MudGateways that exist"),
            invalid: book
                .gauge("i3op_invalid_objects", "MudGateways and IntermudNetworks that cannot be decoded"),
            without_standby: book.gauge(
                "i3op_mudgateways_without_standby",
                "MudGateways that ask for two pods or more and have none that stands by",
            ),
            conditions: book.gauges(
                "i3op_mudgateway_conditions",
                "MudGateways by the type and the status of their conditions",
                &["type", "status"],
            ),
            identities_issued: book
                .counter("i3op_nats_identities_issued", "Identities for NATS that were made for gateways"),
            nats_credentials_expiry: book.gauge(
                "i3op_nats_credentials_expiry_timestamp_seconds",
                "When the operator's own credentials for NATS end, in seconds since 1970; 0 when they do not",
            ),
            bus_connected: book.gauge("i3op_bus_connected", "1 while there is a session with NATS"),
            state_bytes: book
                .gauge("i3op_nats_state_bytes", "How much the bucket of the muds' state on NATS holds"),
            state_limit: book.gauge("i3op_nats_state_limit_bytes", "How much it may hold"),
            leader: book.gauge("i3op_leader", "1 while this process is the one that reconciles"),
            lease_transitions: book.gauge(
                "i3op_lease_transitions",
                "How often the operators' Lease has changed hands, as it says",
            ),
            requests: CountRequests::new(&mut book),
            book: Arc::new(book),
        }
    }
}

impl Metrics {
    /// Takes note of when the operator's own credentials for NATS end.
    pub fn nats_credentials_expire(&self, at: Option<i64>) {
        self.nats_credentials_expiry.set(at.unwrap_or(0));
    }

    /// Counts a reconciliation that began at `start` and has ended.
    pub fn reconciled(&self, outcome: Outcome, start: Instant) {
        self.reconciliations.of([outcome.as_str()]).inc();
        self.durations.observe(start.elapsed().as_secs_f64());
    }

    /// Counts a failed reconciliation.
    pub fn reconcile_error(&self, reason: &'static str) {
        self.reconcile_errors.of([reason]).inc();
    }

    /// Counts a watch that failed.
    pub fn watch_error(&self, kind: &'static str, reason: &'static str) {
        self.watch_errors.of([kind, reason]).inc();
    }

    /// Counts a failure on NATS.
    pub fn bus_error(&self, reason: &'static str) {
        self.bus_errors.of([reason]).inc();
    }

    /// Counts an answer to a mud that asked whether it may connect.
    pub fn permit(&self, answer: &'static str) {
        self.permits.of([answer]).inc();
    }

    /// Sets how many muds wait for their turn, and how many share an address at most.
    pub fn fleet(&self, waiting: usize, at_one_address: usize) {
        self.permits_waiting.set(gauge(waiting));
        self.muds_at_one_address.set(gauge(at_one_address));
    }

    /// Sets how many wait to be reconciled, and for how long the first of them does.
    pub fn waiting(&self, size: usize, oldest: Duration) {
        self.queue_size.set(gauge(size));
        self.queue_oldest.set(gauge(oldest.as_secs()));
    }

    /// Sets how much of the muds' state NATS has, and how much it may have.
    pub fn state(&self, bytes: u64, limit: i64) {
        self.state_bytes.set(gauge(bytes));
        self.state_limit.set(limit);
    }

    /// Brings the gauges in line with the index, and with how many networks cannot be decoded.
    pub fn count_objects(&self, index: &Index, undecodable_networks: usize) {
        self.managed.set(gauge(index.len()));
        self.invalid.set(gauge(index.undecodable() + undecodable_networks));
        self.without_standby.set(gauge(index.without_standby()));
        for (condition, count) in index.conditions() {
            self.conditions.of(condition).set(gauge(count));
        }
    }

    /// All metrics that there are, for documentation.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// All metrics in the text format of OpenMetrics.
    ///
    /// # Errors
    /// None in practice: it writes to a string.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        self.book.encode()
    }
}

fn gauge(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use mudgateway_telemetry::metrics::faults;

    use super::*;
    use crate::testing::{gateway, guarded};

    #[test]
    fn what_is_counted_can_be_scraped() {
        let metrics = Metrics::default();
        metrics.reconciled(Outcome::Applied, Instant::now());
        metrics.reconcile_error("ApiUnavailable");
        metrics.watch_error("Secret", "Forbidden");
        metrics.bus_error("BusUnavailable");
        metrics.permit("Granted");
        metrics.fleet(4, 3);
        metrics.waiting(7, Duration::from_secs(65));
        metrics.state(5, 9);
        let mut index = Index::default();
        let mut connected = gateway("ns", "a", "Mud");
        connected.status = serde_json::from_str(
            r#"{"conditions": [{"type": "Connected", "status": "True", "reason": "x", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]}"#,
        )
        .unwrap();
        index.apply(&guarded(connected));
        index.apply(&guarded(gateway("ns", "b", "Other")));
        metrics.count_objects(&index, 2);
        let text = metrics.encode().unwrap();
        for line in [
            "i3op_reconcile_total{outcome=\"Applied\"} 1",
            "i3op_reconcile_total{outcome=\"Failed\"} 0",
            "i3op_reconcile_duration_seconds_count 1",
            "i3op_reconcile_errors_total{reason=\"ApiUnavailable\"} 1",
            "i3op_watch_errors_total{kind=\"Secret\",reason=\"Forbidden\"} 1",
            "i3op_bus_errors_total{reason=\"BusUnavailable\"} 1",
            "i3op_permits_total{answer=\"Granted\"} 1",
            "i3op_permits_total{answer=\"AddressFull\"} 0",
            "i3op_permits_waiting 4",
            "i3op_muds_at_one_address 3",
            "i3op_managed_mudgateways 2",
            "i3op_mudgateway_conditions{type=\"Connected\",status=\"True\"} 1",
            "i3op_mudgateway_conditions{type=\"Connected\",status=\"Unknown\"} 1",
            "i3op_mudgateway_conditions{type=\"Ready\",status=\"Unknown\"} 2",
            "i3op_mudgateway_conditions{type=\"Ready\",status=\"True\"} 0",
            "i3op_invalid_objects 2",
            "i3op_mudgateways_without_standby 0",
            "i3op_reconcile_queue_size 7",
            "i3op_reconcile_queue_oldest_seconds 65",
            "i3op_nats_state_bytes 5",
            "i3op_nats_state_limit_bytes 9",
            "i3op_lease_transitions 0",
            "i3op_bus_connected 0",
            "i3op_leader 0",
            "i3op_build_info{version=",
        ] {
            assert!(text.contains(line), "no {line:?} in:\n{text}");
        }
    }

    #[test]
    fn names_and_descriptions_follow_the_conventions() {
        assert_eq!(faults(Metrics::default().book().rows()), Vec::<String>::new());
    }
}
