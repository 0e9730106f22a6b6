//! Channels.

use mudgateway_telemetry::metrics::{Book, Counter};

use super::Direction;
use crate::bus::Path;

/// What became of one copy of a channel message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    /// It came first.
    Delivered,
    /// Its twin had come before.
    Swallowed,
}

/// Channels.
#[derive(Debug)]
pub struct ChannelMetrics {
    messages: [[Counter; 2]; 2],
    copies: [[Counter; 2]; 3],
}

impl ChannelMetrics {
    pub(super) fn new(book: &mut Book) -> Self {
        let messages = book.counters(
            "channel_messages",
            "Channel messages, by direction and by whether the channel is one of the configuration's or was joined by a client",
            &["direction", "class"],
        );
        let copies = book.counters(
            "channel_copies",
            "Copies of channel messages, by the way they came and by whether the twin had come before",
            &["path", "outcome"],
        );
        let classes = ["joined", "configured"];
        let outcomes = ["delivered", "swallowed"];
        Self {
            messages: ["in", "out"].map(|direction| classes.map(|class| messages.of([direction, class]))),
            copies: ["bus", "router", "relay"].map(|path| outcomes.map(|outcome| copies.of([path, outcome]))),
        }
    }

    /// Counts a message that was said by us or delivered to us.
    pub fn message(&self, way: Direction, configured: bool) {
        self.messages[way as usize][usize::from(configured)].inc();
    }

    /// Counts a copy.
    pub fn copy(&self, path: Path, copy: Copy) {
        let path = match path {
            Path::Bus => 0,
            Path::Router => 1,
            Path::Relay { .. } => 2,
        };
        self.copies[path][copy as usize].inc();
    }
}
