//! Kinds of packets, by what they may cost.

use std::time::Duration;

/// What is sent first, what costs how much, and how long it may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Subscriptions: routers do not count them.
    Control,
    /// Tells, and what our users ask.
    Direct,
    /// Answers to other muds. They leave half of the pace to channel chatter, so that nobody silences us by asking.
    Answer,
    /// Channel chatter.
    Channel,
    /// News of our users: one a second, when nothing else waits.
    Background,
}

impl Class {
    /// Every class, in this order.
    pub const ALL: [Self; 5] = [Self::Control, Self::Direct, Self::Answer, Self::Channel, Self::Background];

    /// The class as a metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Direct => "direct",
            Self::Answer => "answer",
            Self::Channel => "channel",
            Self::Background => "background",
        }
    }

    /// Whether routers count packets of this class.
    pub fn is_counted(self) -> bool {
        self != Self::Control
    }

    /// How long a packet of this class may wait for the router.
    pub fn time_to_live(self) -> Duration {
        match self {
            Self::Direct => Duration::from_secs(300),
            Self::Answer => Duration::from_secs(30),
            Self::Control | Self::Channel | Self::Background => Duration::from_secs(60),
        }
    }

    /// How many of this class may go in any second, at a pace of so many packets.
    pub(super) fn rate(self, pace: usize) -> usize {
        match self {
            Self::Control => usize::MAX,
            Self::Direct | Self::Channel => pace,
            Self::Answer => pace / 2,
            Self::Background => 1,
        }
    }

    /// How many of this class may wait, in an outbox for `total`: what others make us send must not keep our
    /// users' words out.
    pub(super) fn capacity(self, total: usize) -> usize {
        match self {
            Self::Control | Self::Direct | Self::Channel => total,
            Self::Answer => 100,
            Self::Background => 50,
        }
    }

    /// Whether a client is told when a packet of this class could not be sent in time.
    pub fn is_asked_for(self) -> bool {
        matches!(self, Self::Direct | Self::Channel)
    }
}
