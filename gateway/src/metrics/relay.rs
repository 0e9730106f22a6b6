//! What is relayed between gateways.

use mudgateway_telemetry::metrics::{Book, By, Counter, Gauge};

use super::{Direction, gauge};
use crate::bus::Refusal;

/// What is relayed between gateways, because the link of a mud is down.
#[derive(Clone, Debug)]
pub struct RelayMetrics {
    messages: By<Counter, 1>,
    refused: By<Counter, 1>,
    dropped: Counter,
    channels: Gauge,
}

impl RelayMetrics {
    pub(super) fn new(book: &mut Book) -> Self {
        Self {
            messages: book.counters(
                "bus_relayed",
                "Channel messages of muds elsewhere that one gateway relays to others whose link is down",
                &["direction"],
            ),
            refused: book.counters(
                "bus_relay_refused",
                "Relayed channel messages that were not taken, by reason",
                &["reason"],
            ),
            dropped: book.counter(
                "bus_relay_dropped",
                "Channel messages not relayed, because too much waits, they are too long, or the bus is away",
            ),
            channels: book.gauge("bus_relay_channels", "Channels that this gateway relays to others now"),
        }
    }

    /// Counts a channel message that was relayed.
    pub fn relayed(&self, way: Direction) {
        self.messages.of([way.as_str()]).inc();
    }

    /// Counts a relayed channel message that was not taken.
    pub fn refused(&self, refusal: Refusal) {
        self.refused.of([refusal.as_str()]).inc();
    }

    /// Counts a channel message that could not be relayed.
    pub fn dropped(&self) {
        self.dropped.inc();
    }

    /// Takes down how many channels we relay.
    pub fn serves(&self, channels: usize) {
        self.channels.set(gauge(channels));
    }
}
