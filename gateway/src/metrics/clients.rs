//! Clients and what they ask.

use std::time::Duration;

use mudgateway_telemetry::metrics::{Book, By, Counter, Gauge, Histogram};

use super::{Now, catch_up, gauge};
use crate::hub::{CloseReason, Transport};

/// Buckets of requests in seconds, fewer than elsewhere, for there is a histogram for each method: what needs the router
/// waits for at most a tenth of a second, a question to another mud for half a minute.
const REQUESTS: &[f64] = &[0.0005, 0.0025, 0.01, 0.05, 0.15, 0.5, 2.5, 10.0, 30.0];

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Ok,
    /// With an error the client can avoid.
    ClientError,
    /// With an error of ours.
    ServerError,
}

impl Outcome {
    /// The outcome a JSON-RPC error code stands for.
    pub fn of(code: i64) -> Self {
        if code == -32004 { Self::ServerError } else { Self::ClientError }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
        }
    }
}

/// What became of a key that a client showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authenticated {
    /// It is one of ours.
    Accepted,
    /// It is not.
    Refused,
    /// Its sender had shown too many wrong ones.
    Blocked,
}

impl Authenticated {
    const ALL: [Self; 3] = [Self::Accepted, Self::Refused, Self::Blocked];

    fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Blocked => "blocked",
        }
    }
}

/// Clients and what they ask.
#[derive(Debug)]
pub struct ClientMetrics {
    pub(super) connections: By<Gauge, 1>,
    opened: By<Counter, 1>,
    closed: By<Counter, 2>,
    pub(super) sessions: By<Gauge, 1>,
    resumed: By<Counter, 1>,
    authentications: By<Counter, 1>,
    requests: By<Counter, 2>,
    request_errors: By<Counter, 1>,
    durations: By<Histogram, 1>,
    events: Counter,
    deliveries: Counter,
    deliveries_dropped: Counter,
    tells_dropped: Counter,
    queued_bytes: Gauge,
    most_queued_bytes: Gauge,
    queue_limit_bytes: Gauge,
}

impl ClientMetrics {
    pub(super) fn new(book: &mut Book) -> Self {
        let transports = || Transport::ALL.map(|transport| [transport.as_str()]);
        let closings = CloseReason::ALL
            .iter()
            .flat_map(|reason| Transport::ALL.map(|transport| [transport.as_str(), reason.as_str()]));
        Self {
            connections: book
                .gauges("api_connections", "Client connections, authenticated or not", &["transport"])
                .known(transports()),
            opened: book
                .counters("api_connections_opened", "Client connections that were made", &["transport"])
                .known(transports()),
            closed: book
                .counters(
                    "api_connections_closed",
                    "Client connections that we closed",
                    &["transport", "reason"],
                )
                .known(closings),
            sessions: book.gauges("api_sessions", "Authenticated client sessions", &["transport"]),
            resumed: book
                .counters(
                    "api_sessions_resumed",
                    "Sessions that went on where another connection ended, by whether all they missed could be had",
                    &["outcome"],
                )
                .known([["recovered"], ["lost"]]),
            authentications: book
                .counters("api_authentications", "Keys that clients showed, by what became of them", &["outcome"])
                .known(Authenticated::ALL.map(|outcome| [outcome.as_str()])),
            requests: book.counters(
                "api_requests",
                "Requests of clients, by method and outcome",
                &["method", "outcome"],
            ),
            request_errors: book.counters(
                "api_request_errors",
                "Requests that were answered with an error, by JSON-RPC code",
                &["code"],
            ),
            durations: book.histograms(
                "api_request_duration_seconds",
                "From a request's arrival to its answer, by method",
                &["method"],
                REQUESTS,
            ),
            events: book.counter("api_events", "Events that came for clients"),
            deliveries: book.counter("api_deliveries", "Events put into the queue of a client"),
            deliveries_dropped: book.counter(
                "api_deliveries_dropped",
                "Messages that a client did not read in time and that were dropped with its connection",
            ),
            tells_dropped: book.counter(
                "api_tells_dropped",
                "Tells kept for a client that did not come in time, and dropped",
            ),
            queued_bytes: book.gauge("api_queue_bytes", "What waits to be written to all clients"),
            most_queued_bytes: book.gauge(
                "api_queue_largest_bytes",
                "What waits for the client for whom most waits",
            ),
            queue_limit_bytes: book.gauge(
                "api_queue_limit_bytes",
                "How much may wait for one client before it is closed as too slow",
            ),
        }
    }

    /// Counts a connection for as long as what is returned lives.
    pub fn connected(&self, transport: Transport) -> Connected {
        self.opened.of([transport.as_str()]).inc();
        let open = self.connections.of([transport.as_str()]);
        open.inc();
        Connected(open)
    }

    /// Counts a key that was shown.
    pub fn authenticated(&self, outcome: Authenticated) {
        self.authentications.of([outcome.as_str()]).inc();
    }

    /// Counts a session that went on where another ended.
    pub fn resumed(&self, recovered: bool) {
        self.resumed.of([if recovered { "recovered" } else { "lost" }]).inc();
    }

    /// Counts a request that took so long, and its error if it had one.
    pub fn request(&self, method: &'static str, error: Option<i64>, took: Duration) {
        let outcome = error.map_or(Outcome::Ok, Outcome::of);
        self.requests.of([method, outcome.as_str()]).inc();
        self.durations.of([method]).observe(took.as_secs_f64());
        if let Some(code) = error {
            self.request_errors.of([code_label(code)]).inc();
        }
    }

    /// Counts a client connection that we closed, and what was not written to it.
    pub fn closed(&self, transport: Transport, reason: CloseReason, dropped: usize) {
        self.closed.of([transport.as_str(), reason.as_str()]).inc();
        self.deliveries_dropped.inc_by(u64::try_from(dropped).unwrap_or(u64::MAX));
    }

    /// Counts an event and the clients to whom it went.
    pub fn event(&self, deliveries: u64) {
        self.events.inc();
        self.deliveries.inc_by(deliveries);
    }

    /// Brings the gauges up to date.
    pub(super) fn read(&self, now: &Now) {
        for (transport, sessions) in Transport::ALL.into_iter().zip(now.sessions) {
            self.sessions.of([transport.as_str()]).set(gauge(sessions));
        }
        if let Some(limit) = now.queue_limit {
            self.queue_limit_bytes.set(gauge(limit));
        }
        catch_up(&self.tells_dropped, now.tells_dropped);
        self.queued_bytes.set(gauge(now.queued));
        self.most_queued_bytes.set(gauge(now.most_queued));
    }
}

/// A connection that is counted while this lives.
#[derive(Debug)]
pub struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A JSON-RPC code as a label.
fn code_label(code: i64) -> &'static str {
    match code {
        -32700 => "-32700",
        -32600 => "-32600",
        -32601 => "-32601",
        -32602 => "-32602",
        -32603 => "-32603",
        -32000 => "-32000",
        -32001 => "-32001",
        -32002 => "-32002",
        -32004 => "-32004",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::rpc::ERRORS;

    #[test]
    fn every_error_code_has_a_label() {
        for error in ERRORS {
            assert_eq!(code_label(error.code), error.code.to_string());
        }
    }

    #[test]
    fn a_connection_counts_until_it_ends() {
        let metrics = ClientMetrics::new(&mut Book::default());
        let open = || metrics.connections.of(["tcp"]).get();
        let connected = metrics.connected(Transport::Tcp);
        assert_eq!(open(), 1);
        drop(connected);
        assert_eq!((open(), metrics.opened.of(["tcp"]).get()), (0, 1));
    }
}
