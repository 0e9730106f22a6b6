//! What is counted, and its text form. No label holds anything a remote mud or user can choose.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use intermud3::Packet;
use intermud3::packet::{Body, ErrorPacket};
use mudgateway_crds::report::SessionReason;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::bus::{Handed, Refusal};
use crate::hub::{CloseReason, Transport};
use crate::oob::conversation::End;
use crate::services::Services;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the router or another gateway.
    In,
    /// To the router or another gateway.
    Out,
}

/// Packets over the router link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Sent to the router.
    pub sent: u64,
    /// Received and read.
    pub received: u64,
    /// Received and not to be read.
    pub undecodable: u64,
}

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

/// Who was called in an out-of-band conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// Another mud called us.
    Us,
    /// We called another mud.
    Them,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConversationLabels {
    direction: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PacketLabels {
    direction: &'static str,
    r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CloseLabels {
    transport: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransportLabels {
    transport: &'static str,
}

impl PacketLabels {
    /// A type the library has no structure for is "other".
    fn new(way: Direction, packet: &Packet) -> Self {
        let direction = match way {
            Direction::In => "in",
            Direction::Out => "out",
        };
        Self { direction, r#type: packet.body.label() }
    }
}

/// All metrics of the gateway.
pub struct Metrics {
    registry: Registry,
    packets: Family<PacketLabels, Counter>,
    totals: [AtomicU64; 2],
    bus_packets: Family<PacketLabels, Counter>,
    handed_over: Family<OutcomeLabels, Counter>,
    bus_refused: Family<ReasonLabels, Counter>,
    undecodable: Counter,
    unreadable_muds: Counter,
    errors: Family<CodeLabels, Counter>,
    sessions_ended: Family<ReasonLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
    closed: Family<CloseLabels, Counter>,
    conversations: Family<ConversationLabels, Counter>,
    router_connected: Gauge,
    bus_connected: Gauge,
    waiting: Gauge,
    ignored: Gauge,
    requests_dropped: Gauge,
    sessions: Family<TransportLabels, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            packets: Family::default(),
            totals: Default::default(),
            bus_packets: Family::default(),
            handed_over: Family::default(),
            bus_refused: Family::default(),
            undecodable: Counter::default(),
            unreadable_muds: Counter::default(),
            errors: Family::default(),
            sessions_ended: Family::default(),
            requests: Family::default(),
            closed: Family::default(),
            conversations: Family::default(),
            router_connected: Gauge::default(),
            bus_connected: Gauge::default(),
            waiting: Gauge::default(),
            ignored: Gauge::default(),
            requests_dropped: Gauge::default(),
            sessions: Family::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("mudgateway_build", "The version of the gateway", build);
        registry.register("i3_packets", "Packets from and to the router", self.packets.clone());
        registry.register(
            "i3_packets_undecodable",
            "Packets from the router that could not be read",
            self.undecodable.clone(),
        );
        registry.register(
            "i3_mudlist_entries_unreadable",
            "Entries of mudlists that could not be read and were left out",
            self.unreadable_muds.clone(),
        );
        registry.register("i3_errors", "Errors from the router and other muds, by code", self.errors.clone());
        registry.register(
            "i3_router_sessions_ended",
            "Router sessions, and attempts at one, that ended, by reason",
            self.sessions_ended.clone(),
        );
        registry.register(
            "api_requests",
            "Requests of clients, by method and outcome",
            self.requests.clone(),
        );
        registry.register("api_connections_closed", "Client connections that we closed", self.closed.clone());
        registry.register(
            "i3_oob_conversations",
            "Out-of-band conversations with other muds, by direction and outcome",
            self.conversations.clone(),
        );
        registry.register(
            "i3_router_connected",
            "1 while the router session is established",
            self.router_connected.clone(),
        );
        registry.register(
            "bus_packets",
            "Directed packets from and to other gateways over the bus",
            self.bus_packets.clone(),
        );
        registry.register(
            "bus_handed_over",
            "Packets offered to the gateway of one mud over the bus, by what became of them",
            self.handed_over.clone(),
        );
        registry.register(
            "bus_packets_refused",
            "Packets from the bus that were not taken, by reason",
            self.bus_refused.clone(),
        );
        registry.register("bus_connected", "1 while the bus is there", self.bus_connected.clone());
        registry.register("i3_packet_queue_size", "Packets that wait for the router", self.waiting.clone());
        registry.register(
            "i3_packets_ignored",
            "Packets and events dropped because of whom they came from",
            self.ignored.clone(),
        );
        registry.register(
            "i3_requests_dropped",
            "Requests of other muds that were not answered, because they asked too often",
            self.requests_dropped.clone(),
        );
        registry.register("api_sessions", "Authenticated client sessions", self.sessions.clone());
    }

    /// Counts a packet of the router link.
    pub fn packet(&self, way: Direction, packet: &Packet) {
        self.totals[way as usize].fetch_add(1, Ordering::Relaxed);
        self.packets.get_or_create(&PacketLabels::new(way, packet)).inc();
        match (way, &packet.body) {
            (Direction::In, Body::Error(error)) => {
                self.errors.get_or_create(&CodeLabels { code: error_code(&error.code) }).inc();
            }
            (Direction::In, Body::Mudlist(list)) => {
                self.unreadable_muds.inc_by(u64::try_from(list.unreadable.len()).unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }

    /// Counts a directed packet over the bus.
    pub fn bus_packet(&self, way: Direction, packet: &Packet) {
        self.bus_packets.get_or_create(&PacketLabels::new(way, packet)).inc();
    }

    /// Counts what became of a packet that was offered to the gateway of one mud.
    pub fn handed_over(&self, handed: Handed) {
        self.handed_over.get_or_create(&OutcomeLabels { outcome: handed.as_str() }).inc();
    }

    /// Counts a packet of the bus that was not taken.
    pub fn bus_refused(&self, refusal: Refusal) {
        self.bus_refused.get_or_create(&ReasonLabels { reason: refusal.as_str() }).inc();
    }

    /// Counts a packet that could not be read.
    pub fn undecodable(&self) {
        self.undecodable.inc();
    }

    /// What went over the router link so far.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            sent: self.totals[Direction::Out as usize].load(Ordering::Relaxed),
            received: self.totals[Direction::In as usize].load(Ordering::Relaxed),
            undecodable: self.undecodable.get(),
        }
    }

    /// Counts the end of a router session.
    pub fn session_ended(&self, reason: SessionReason) {
        self.sessions_ended.get_or_create(&ReasonLabels { reason: reason.as_str() }).inc();
    }

    /// Counts a request.
    pub fn request(&self, method: &'static str, outcome: Outcome) {
        self.requests.get_or_create(&RequestLabels { method, outcome: outcome.as_str() }).inc();
    }

    /// Counts a client connection that we closed.
    pub fn closed(&self, transport: Transport, reason: CloseReason) {
        let labels = CloseLabels { transport: transport.as_str(), reason: reason.as_str() };
        self.closed.get_or_create(&labels).inc();
    }

    /// Counts an out-of-band conversation that has ended.
    pub fn oob_conversation(&self, called: Called, end: End) {
        let direction = match called {
            Called::Us => "in",
            Called::Them => "out",
        };
        self.conversations.get_or_create(&ConversationLabels { direction, outcome: end.as_str() }).inc();
    }

    /// The text form, with the gauges as they are now.
    ///
    /// # Errors
    /// Never in practice: writing to a text does not fail.
    pub fn encode(&self, services: &Services) -> Result<String, fmt::Error> {
        self.router_connected.set(i64::from(services.router_status().is_connected()));
        self.bus_connected.set(i64::from(services.bus_connected() == Some(true)));
        self.waiting.set(i64::try_from(services.waiting()).unwrap_or(i64::MAX));
        self.ignored.set(i64::try_from(services.ignored()).unwrap_or(i64::MAX));
        self.requests_dropped.set(i64::try_from(services.requests_dropped()).unwrap_or(i64::MAX));
        for transport in [Transport::WebSocket, Transport::Tcp] {
            let count = i64::try_from(services.hub.count(transport)).unwrap_or(i64::MAX);
            self.sessions.get_or_create(&TransportLabels { transport: transport.as_str() }).set(count);
        }
        let mut encoded = String::new();
        text::encode(&mut encoded, &self.registry)?;
        Ok(encoded)
    }
}

/// An error's code as a label: one that nobody has specified is "other".
fn error_code(code: &str) -> &'static str {
    const KNOWN: [&str; 14] = [
        ErrorPacket::UNK_DST,
        ErrorPacket::NOT_IMP,
        ErrorPacket::UNK_TYPE,
        ErrorPacket::UNK_SRC,
        ErrorPacket::BAD_PKT,
        ErrorPacket::BAD_PROTO,
        ErrorPacket::NOT_ALLOWED,
        ErrorPacket::UNK_USER,
        ErrorPacket::UNK_CHANNEL,
        ErrorPacket::BAD_MOJO,
        ErrorPacket::WARNING,
        ErrorPacket::BAD_CHANNEL,
        ErrorPacket::BAD_CONNECTION,
        ErrorPacket::BAD_DIRECTORY,
    ];
    KNOWN.into_iter().find(|known| *known == code).unwrap_or("other")
}
