//! What is counted: by subject, one structure each. No label holds anything a remote mud or user can choose.
//!
//! `docs/METRICS.md` is made from what is entered in the book here.

mod bus;
mod channels;
mod clients;
mod now;
mod oob;
mod python;
mod relay;
mod router;

use std::fmt;

use mudgateway_telemetry::metrics::{Book, Counter, EventLoop};

pub use bus::BusMetrics;
pub use channels::{ChannelMetrics, Copy};
pub use clients::{Authenticated, ClientMetrics, Connected, Outcome};
pub use now::Now;
pub use oob::{Called, OobMetrics};
pub use relay::RelayMetrics;
pub use router::{Direction, RouterMetrics, Traffic};

/// All metrics of the gateway.
#[derive(Debug)]
pub struct Metrics {
    book: Book,
    /// The session with the router.
    pub router: RouterMetrics,
    /// Clients and what they ask.
    pub clients: ClientMetrics,
    /// Channels.
    pub channels: ChannelMetrics,
    /// The bus and the session lock.
    pub bus: BusMetrics,
    /// What is relayed between gateways.
    pub relay: RelayMetrics,
    /// Mail, files and news.
    pub oob: OobMetrics,
    /// How late tasks run.
    pub event_loop: EventLoop,
    python: python::Names,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new("", "")
    }
}

impl Metrics {
    /// The metrics of a gateway for one mud.
    pub fn new(mud: &str, network: &str) -> Self {
        let mut book = Book::of_process();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        book.info("mudgateway_build", "The version of the gateway", &["version"], [version]);
        let names = [mud.to_owned(), network.to_owned()];
        book.info("mudgateway_mud", "The mud this gateway is for", &["mud", "network"], names);
        Self {
            event_loop: EventLoop::new(&mut book),
            router: RouterMetrics::new(&mut book),
            clients: ClientMetrics::new(&mut book),
            channels: ChannelMetrics::new(&mut book),
            bus: BusMetrics::new(&mut book),
            relay: RelayMetrics::new(&mut book),
            oob: OobMetrics::new(&mut book),
            python: python::Names::new(&mut book, mud),
            book,
        }
    }

    /// All metrics that there are, for documentation.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// The text form, with what is so now.
    ///
    /// # Errors
    /// Never in practice: writing to a text does not fail.
    pub fn encode(&self, now: &Now) -> Result<String, fmt::Error> {
        self.router.read(now);
        self.clients.read(now);
        self.bus.read(now);
        self.python.read(now, &self.clients);
        self.book.encode()
    }
}

/// A number as a gauge takes it.
fn gauge(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Brings a counter to a number that only grows.
fn catch_up(counter: &Counter, number: u64) {
    counter.inc_by(number.saturating_sub(counter.get()));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mudgateway_telemetry::metrics::{Row, faults};

    use super::*;

    #[test]
    fn names_and_descriptions_follow_the_conventions() {
        assert_eq!(faults(Metrics::default().book().rows()), Vec::<String>::new());
    }

    /// Who comes from the Python gateway keeps the alert rules and dashboards.
    #[test]
    fn the_names_of_the_python_gateways_alert_rules_are_served() {
        let metrics = Metrics::default();
        let served: BTreeSet<String> = metrics.book().rows().iter().map(Row::served_name).collect();
        for name in [
            "i3_router_connected",
            "i3_packet_processing_duration_seconds",
            "i3_packet_queue_size",
            "api_request_errors_total",
            "api_active_connections",
            "mud_connection_status",
            "process_resident_memory_bytes",
            "api_websocket_connections",
            "api_active_sessions",
        ] {
            assert!(served.contains(name), "{name}");
        }
    }
}
