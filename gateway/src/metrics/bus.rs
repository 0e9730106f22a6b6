//! The bus and the session lock.

use std::time::Duration;

use intermud3::Packet;
use mudgateway_identity::Trouble;
use mudgateway_telemetry::metrics::{Book, By, Counter, FloatGauge, Gauge, Histogram, MOMENTS, WAITS};

use super::{Direction, Now};
use crate::bus::lock::Duty;
use crate::bus::{Handed, Refusal, Store, WriteTrouble};

/// The bus and the session lock.
#[derive(Clone, Debug)]
pub struct BusMetrics {
    configured: Gauge,
    connected: Gauge,
    reconnects: Counter,
    publishing: Histogram,
    writing: By<Histogram, 1>,
    write_failures: By<Counter, 2>,
    publish_failures: Counter,
    events_given_up: Counter,
    publish_queue: Gauge,
    events: By<Counter, 1>,
    lag: Histogram,
    /// Channel events in the stream that have not come yet.
    pub pending: Gauge,
    /// By how many seconds the clock of this machine is ahead of that of NATS.
    pub skew: FloatGauge,
    packets: By<Counter, 2>,
    handed_over: By<Counter, 1>,
    refused: By<Counter, 1>,
    troubles: By<Counter, 1>,
    credentials_expiry: Gauge,
    lock_held: Gauge,
    lock_duties: By<Counter, 1>,
    epoch: FloatGauge,
}

impl BusMetrics {
    pub(super) fn new(book: &mut Book) -> Self {
        Self {
            configured: book.gauge("bus_configured", "1 when there is to be a bus, 0 in standalone mode"),
            connected: book.gauge("bus_connected", "1 while the bus is there"),
            reconnects: book.counter("bus_reconnects", "Connections to the bus after the first"),
            publishing: book.histogram(
                "bus_publish_duration_seconds",
                "From a channel message's acceptance to the bus' word that it is stored",
                WAITS,
            ),
            writing: book.histograms(
                "bus_write_duration_seconds",
                "From a write to the bus to its word that it is stored, by what is written to",
                &["store"],
                MOMENTS,
            ),
            write_failures: book
                .counters(
                    "bus_write_failures",
                    "Writes to the bus that are not known to be stored, by what is written to and reason",
                    &["store", "reason"],
                )
                .known(Store::ALL.into_iter().flat_map(|store| {
                    WriteTrouble::ALL.map(|trouble| [store.as_str(), trouble.as_str()])
                })),
            publish_failures: book
                .counter("bus_publish_failures", "Attempts to publish a channel message that failed"),
            events_given_up: book.counter(
                "bus_publish_given_up",
                "Channel messages that could not be published in time and went by the router alone",
            ),
            publish_queue: book
                .gauge("bus_publish_queue_size", "Channel messages that wait to be published"),
            events: book
                .counters("bus_events", "Channel events from the bus, by what became of them", &["outcome"])
                .known([["handled"], ["too_old"], ["too_many"], ["unreadable"]]),
            lag: book.histogram(
                "bus_delivery_lag_seconds",
                "From a channel event's storage on the bus to its handling here, by the clock of NATS",
                MOMENTS,
            ),
            pending: book.gauge("bus_pending_events", "Channel events on the bus that have not come here yet"),
            skew: book.float_gauge(
                "bus_clock_skew_seconds",
                "By how much the clock of this machine was ahead of that of NATS when the stream was last opened",
            ),
            packets: book.counters(
                "bus_packets",
                "Directed packets from and to other gateways over the bus",
                &["direction", "type"],
            ),
            handed_over: book.counters(
                "bus_handed_over",
                "Packets offered to the gateway of one mud over the bus, by what became of them",
                &["outcome"],
            ),
            refused: book.counters(
                "bus_packets_refused",
                "Packets from the bus that were not taken, by reason",
                &["reason"],
            ),
            troubles: book
                .counters(
                    "bus_troubles",
                    "Failed attempts to connect to NATS, and what NATS refused, by reason",
                    &["reason"],
                )
                .known(Trouble::ALL.map(|trouble| [trouble.as_str()])),
            credentials_expiry: book.gauge(
                "bus_credentials_expiry_timestamp_seconds",
                "When the credentials for NATS end, in seconds since 1970; 0 when they do not",
            ),
            lock_held: book
                .gauge("session_lock_held", "1 while this process is the one of the mud that may talk to the router"),
            lock_duties: book
                .counters(
                    "session_lock_changes",
                    "Changes of what this process may do with the router session, by what it may do then",
                    &["duty"],
                )
                .known([["standby"], ["unknown"], ["holdover"], ["holder"]]),
            epoch: book.float_gauge(
                "session_epoch",
                "The epoch of the positions of events: it grows with each failover that clients can notice",
            ),
        }
    }

    /// Counts a connection to the bus; the first one is no reconnection.
    pub fn reconnected(&self) {
        self.reconnects.inc();
    }

    /// Takes how a write to the bus went.
    pub fn wrote(&self, store: Store, took: Duration, trouble: Option<WriteTrouble>) {
        match trouble {
            None => self.writing.of([store.as_str()]).observe(took.as_secs_f64()),
            Some(trouble) => {
                self.write_failures.of([store.as_str(), trouble.as_str()]).inc();
            }
        }
    }

    /// Takes how long it took to publish a channel message.
    pub fn published(&self, took: Duration) {
        self.publishing.observe(took.as_secs_f64());
    }

    /// Counts an attempt to publish that failed.
    pub fn publish_failed(&self) {
        self.publish_failures.inc();
    }

    /// Counts a channel message that was not published at all.
    pub fn gave_up(&self) {
        self.events_given_up.inc();
    }

    /// Counts a channel event that was handled so long after it was stored.
    pub fn handled(&self, lag: Duration) {
        self.events.of(["handled"]).inc();
        self.lag.observe(lag.as_secs_f64());
    }

    /// Counts a channel event that came too late.
    pub fn too_old(&self) {
        self.events.of(["too_old"]).inc();
    }

    /// Counts a channel event of a mud that says too much.
    pub fn too_many(&self) {
        self.events.of(["too_many"]).inc();
    }

    /// Counts a channel event that cannot be read or is forged.
    pub fn unreadable(&self) {
        self.events.of(["unreadable"]).inc();
    }

    /// Counts a directed packet over the bus.
    pub fn packet(&self, way: Direction, packet: &Packet) {
        self.packets.of([way.as_str(), packet.body.label()]).inc();
    }

    /// Counts what became of a packet that was offered to the gateway of one mud.
    pub fn handed_over(&self, handed: Handed) {
        self.handed_over.of([handed.as_str()]).inc();
    }

    /// Counts a packet of the bus that was not taken.
    pub fn refused(&self, refusal: Refusal) {
        self.refused.of([refusal.as_str()]).inc();
    }

    /// Counts trouble with NATS.
    pub fn trouble(&self, trouble: Trouble) {
        self.troubles.of([trouble.as_str()]).inc();
    }

    /// Takes note of when the credentials for NATS end.
    pub fn credentials_expire(&self, at: Option<i64>) {
        self.credentials_expiry.set(at.unwrap_or(0));
    }

    /// Takes note of what this process may do with the router session now.
    pub fn duty(&self, duty: Duty) {
        self.lock_held.set(i64::from(duty.may_keep()));
        self.lock_duties.of([duty.as_str()]).inc();
    }

    /// Brings the gauges up to date.
    pub(super) fn read(&self, now: &Now) {
        self.configured.set(i64::from(now.bus.is_some()));
        self.connected.set(i64::from(now.bus == Some(true)));
        self.publish_queue.set(i64::try_from(now.unpublished).unwrap_or(i64::MAX));
        self.epoch.set(now.epoch as f64);
    }
}
