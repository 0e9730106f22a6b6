//! The session with the router, and what goes over it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use intermud3::Packet;
use intermud3::packet::{Body, ErrorPacket};
use mudgateway_crds::report::SessionReason;
use mudgateway_telemetry::metrics::{Book, By, Counter, FloatGauge, Gauge, Histogram, MOMENTS, WAITS};

use super::{Now, catch_up, gauge};
use crate::router::{Class, OUTBOX_PACKETS};

/// How router sessions end most often: an alert on one of them needs its first.
const ENDINGS: [SessionReason; 5] = [
    SessionReason::RouterUnreachable,
    SessionReason::RouterRefused,
    SessionReason::SessionLost,
    SessionReason::RouterSilent,
    SessionReason::ProtocolError,
];

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the router or another gateway.
    In,
    /// To the router or another gateway.
    Out,
}

impl Direction {
    /// The direction as a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
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

/// The session with the router, and what goes over it.
#[derive(Debug)]
pub struct RouterMetrics {
    connected: Gauge,
    connected_since: FloatGauge,
    sessions: Counter,
    registrations: Histogram,
    sessions_ended: By<Counter, 1>,
    packets: By<Counter, 2>,
    bytes: [Counter; 2],
    totals: [AtomicU64; 2],
    undecodable: Counter,
    unreadable_muds: Counter,
    errors: By<Counter, 1>,
    processing: Histogram,
    waiting: Gauge,
    capacity: Gauge,
    waiting_by_class: By<Gauge, 1>,
    waits: [Histogram; Class::ALL.len()],
    refused: By<Counter, 1>,
    expired: By<Counter, 1>,
    ignored: Counter,
    requests_dropped: Counter,
    muds: By<Gauge, 1>,
    channels: Gauge,
}

impl RouterMetrics {
    pub(super) fn new(book: &mut Book) -> Self {
        let classes = || Class::ALL.map(|class| [class.as_str()]);
        let bytes =
            book.counters("i3_packet_bytes", "Bytes of the packets from and to the router", &["direction"]);
        let waits = book.histograms(
            "i3_packet_queue_wait_seconds",
            "How long packets waited to be sent to the router, by the pace or because it was away",
            &["class"],
            WAITS,
        );
        Self {
            connected: book.gauge("i3_router_connected", "1 while the router session is established"),
            connected_since: book.float_gauge(
                "i3_router_session_start_time_seconds",
                "When the router session was established, in seconds since 1970; 0 while there is none",
            ),
            sessions: book.counter("i3_router_sessions", "Router sessions that were established"),
            registrations: book.histogram(
                "i3_router_registration_duration_seconds",
                "From a registration to the router's acceptance",
                WAITS,
            ),
            sessions_ended: book
                .counters(
                    "i3_router_sessions_ended",
                    "Router sessions, and attempts at one, that ended, by reason",
                    &["reason"],
                )
                .known(ENDINGS.map(|reason| [reason.as_str()])),
            packets: book.counters("i3_packets", "Packets from and to the router", &["direction", "type"]),
            bytes: [Direction::In, Direction::Out].map(|way| bytes.of([way.as_str()])),
            totals: Default::default(),
            undecodable: book
                .counter("i3_packets_undecodable", "Packets from the router that could not be read"),
            unreadable_muds: book.counter(
                "i3_mudlist_entries_unreadable",
                "Entries of mudlists that could not be read and were left out",
            ),
            errors: book.counters("i3_errors", "Errors from the router and other muds, by code", &["code"]),
            processing: book.histogram(
                "i3_packet_processing_duration_seconds",
                "From a packet's decoding to its place in the queues of all clients that want it",
                MOMENTS,
            ),
            waiting: book.gauge("i3_packet_queue_size", "Packets that wait for the router"),
            capacity: book.gauge("i3_packet_queue_capacity", "How many packets may wait for the router"),
            waiting_by_class: book.gauges(
                "i3_packet_queue_class_size",
                "Packets that wait for the router, by priority class",
                &["class"],
            ),
            waits: Class::ALL.map(|class| waits.of([class.as_str()])),
            refused: book
                .counters(
                    "i3_packet_queue_refused",
                    "Packets that were refused because too many waited, by priority class",
                    &["class"],
                )
                .known(classes()),
            expired: book
                .counters(
                    "i3_packet_queue_expired",
                    "Packets that waited too long and were dropped, by priority class",
                    &["class"],
                )
                .known(classes()),
            ignored: book
                .counter("i3_packets_ignored", "Packets and events dropped because of whom they came from"),
            requests_dropped: book.counter(
                "i3_requests_dropped",
                "Requests of other muds that were not answered, because they asked too often",
            ),
            muds: book.gauges(
                "i3_muds",
                "Muds of the network that are known, by whether they are up",
                &["state"],
            ),
            channels: book.gauge("i3_channels", "Channels of the network that are known"),
        }
    }

    /// Counts a packet of the router link, which had so many bytes.
    pub fn packet(&self, way: Direction, packet: &Packet, bytes: usize) {
        self.totals[way as usize].fetch_add(1, Ordering::Relaxed);
        self.bytes[way as usize].inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
        // A type the library has no structure for is "other".
        self.packets.of([way.as_str(), packet.body.label()]).inc();
        match (way, &packet.body) {
            (Direction::In, Body::Error(error)) => {
                self.errors.of([error_code(&error.code)]).inc();
            }
            (Direction::In, Body::Mudlist(list)) => {
                self.unreadable_muds.inc_by(u64::try_from(list.unreadable.len()).unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }

    /// Counts a packet that could not be read.
    pub fn undecodable(&self) {
        self.undecodable.inc();
    }

    /// Takes how long the handling of a packet took.
    pub fn processed(&self, took: Duration) {
        self.processing.observe(took.as_secs_f64());
    }

    /// Takes how long a packet waited to be sent.
    pub fn waited(&self, class: Class, time: Duration) {
        self.waits[class as usize].observe(time.as_secs_f64());
    }

    /// Counts a packet that was refused because too many wait.
    pub fn refused(&self, class: Class) {
        self.refused.of([class.as_str()]).inc();
    }

    /// Counts a packet that waited too long.
    pub fn expired(&self, class: Class) {
        self.expired.of([class.as_str()]).inc();
    }

    /// Counts a session that was established so long after its registration.
    pub fn established(&self, after: Duration) {
        self.sessions.inc();
        self.registrations.observe(after.as_secs_f64());
    }

    /// Counts the end of a router session.
    pub fn session_ended(&self, reason: SessionReason) {
        self.sessions_ended.of([reason.as_str()]).inc();
    }

    /// What went over the router link so far.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            sent: self.totals[Direction::Out as usize].load(Ordering::Relaxed),
            received: self.totals[Direction::In as usize].load(Ordering::Relaxed),
            undecodable: self.undecodable.get(),
        }
    }

    /// Brings the gauges up to date, and the counters that others count for us.
    pub(super) fn read(&self, now: &Now) {
        let status = &now.status;
        self.connected.set(i64::from(status.is_connected()));
        let since = status.since.filter(|_| status.is_connected());
        self.connected_since.set(since.map_or(0.0, |since| since.as_millisecond() as f64 / 1000.0));
        self.waiting.set(gauge(now.waiting.iter().sum()));
        self.capacity.set(gauge(OUTBOX_PACKETS));
        for (class, waiting) in Class::ALL.into_iter().zip(now.waiting) {
            self.waiting_by_class.of([class.as_str()]).set(gauge(waiting));
        }
        catch_up(&self.ignored, now.ignored);
        catch_up(&self.requests_dropped, now.requests_dropped);
        self.muds.of(["up"]).set(gauge(now.muds_up));
        self.muds.of(["down"]).set(gauge(now.muds - now.muds_up));
        self.channels.set(gauge(now.channels));
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
