//! What is measured, and the goal for each.

use serde::Serialize;

use crate::stats::Summary;

/// What is measured; [`Figure::about`] says what each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    IdleMemory,
    IdleMemoryAnonymous,
    IdleMemoryNats,
    IdleMemoryNatsAnonymous,
    WebsocketClientMemory,
    TcpClientMemory,
    WebsocketPacedCpu,
    TcpPacedCpu,
    WebsocketFloodCpu,
    TcpFloodCpu,
    WebsocketFloodRate,
    TcpFloodRate,
    WebsocketPacedP50,
    WebsocketPacedP99,
    TcpPacedP99,
    Start,
    StartNats,
    StallLost,
    StallClosed,
    BurstHeard,
    MemoryAfterFlood,
    MessageBytes,
    BarePacedCpu,
    BareSingleCpu,
    BareFloodCpu,
    BarePacedP99,
    WebsocketPacedRatio,
    TcpPacedRatio,
    WebsocketFloodRatio,
    TcpFloodRatio,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// The median is at most this.
    AtMost(f64),
    /// No run is above this.
    NeverAbove(f64),
    /// The median is at least this.
    AtLeast(f64),
    /// There is none: it helps to understand the others.
    None,
}

impl Goal {
    /// Whether it is reached; none when there is no goal.
    pub fn reached(self, summary: Summary) -> Option<bool> {
        self.missed_by(summary).map(|factor| factor <= 1.0)
    }

    /// By what factor it is missed, up to 1 when it is reached.
    pub fn missed_by(self, summary: Summary) -> Option<f64> {
        let ratio = |value: f64, goal: f64| if value <= goal { value.min(1.0) } else { value / goal };
        match self {
            Self::AtMost(goal) => Some(ratio(summary.median, goal)),
            Self::NeverAbove(goal) => Some(ratio(summary.max, goal)),
            Self::AtLeast(goal) => Some(ratio(goal, summary.median)),
            Self::None => None,
        }
    }
}

impl Figure {
    /// What it is, its unit and its goal.
    pub fn about(self) -> (&'static str, &'static str, Goal) {
        use Goal::{AtLeast, AtMost, NeverAbove};
        match self {
            Self::IdleMemory => ("idle resident memory, standalone", "MB", AtMost(12.0)),
            Self::IdleMemoryAnonymous => ("  of it not from files", "MB", Goal::None),
            Self::IdleMemoryNats => ("idle resident memory, with NATS", "MB", AtMost(12.0)),
            Self::IdleMemoryNatsAnonymous => ("  of it not from files", "MB", Goal::None),
            Self::WebsocketClientMemory => ("memory per idle WebSocket client", "KiB", AtMost(12.0)),
            Self::TcpClientMemory => ("memory per idle TCP client", "KiB", AtMost(8.0)),
            Self::WebsocketPacedCpu => ("CPU per delivery, paced, WebSocket", "us", AtMost(9.0)),
            Self::TcpPacedCpu => ("CPU per delivery, paced, TCP", "us", AtMost(9.0)),
            Self::WebsocketFloodCpu => ("CPU per delivery, flood, WebSocket", "us", AtMost(0.8)),
            Self::TcpFloodCpu => ("CPU per delivery, flood, TCP", "us", AtMost(0.8)),
            Self::WebsocketFloodRate => ("deliveries per second, WebSocket", "k/s", AtLeast(600.0)),
            Self::TcpFloodRate => ("deliveries per second, TCP", "k/s", AtLeast(600.0)),
            Self::WebsocketPacedP50 => ("p50 latency, paced, WebSocket", "ms", Goal::None),
            Self::WebsocketPacedP99 => ("p99 latency, paced, WebSocket", "ms", NeverAbove(2.0)),
            Self::TcpPacedP99 => ("p99 latency, paced, TCP", "ms", NeverAbove(2.0)),
            Self::Start => ("start to startup-req-3, standalone", "ms", AtMost(50.0)),
            Self::StartNats => ("start to startup-req-3, with NATS", "ms", AtMost(50.0)),
            Self::StallLost => ("one of ten stops reading: others lose", "messages", NeverAbove(0.0)),
            Self::StallClosed => ("one of ten stops reading: closed after", "s", NeverAbove(15.0)),
            Self::BurstHeard => ("burst of 10,000: clients that hear all of 100", "clients", Goal::None),
            Self::MemoryAfterFlood => ("resident memory after a flood, WebSocket", "MB", Goal::None),
            Self::MessageBytes => ("a message as a client gets it", "B", Goal::None),
            Self::BarePacedCpu => ("bare send loop: CPU per send, paced", "us", Goal::None),
            Self::BareSingleCpu => ("bare send loop: CPU per send, nonstop", "us", Goal::None),
            Self::BareFloodCpu => ("bare send loop: CPU per message, 32 a send", "us", Goal::None),
            Self::BarePacedP99 => ("bare send loop: p99 latency, paced", "ms", Goal::None),
            Self::WebsocketPacedRatio => ("paced, WebSocket: CPU in bare sends", "times", AtMost(2.4)),
            Self::TcpPacedRatio => ("paced, TCP: CPU in bare sends", "times", AtMost(2.4)),
            Self::WebsocketFloodRatio => ("flood, WebSocket: CPU in bare messages", "times", AtMost(2.4)),
            Self::TcpFloodRatio => ("flood, TCP: CPU in bare messages", "times", AtMost(2.4)),
        }
    }
}

/// Figures that are others as multiples of the bare send loop's in the same round: of what, in what.
///
/// The goals in microseconds were set where a bare send took 3.3 to 4.3 us and one of 32 messages 0.34 us for each;
/// the goals of these are the same on a machine that is slower, or busy.
pub const RATIOS: &[(Figure, Figure, Figure)] = &[
    (Figure::WebsocketPacedRatio, Figure::WebsocketPacedCpu, Figure::BareSingleCpu),
    (Figure::TcpPacedRatio, Figure::TcpPacedCpu, Figure::BareSingleCpu),
    (Figure::WebsocketFloodRatio, Figure::WebsocketFloodCpu, Figure::BareFloodCpu),
    (Figure::TcpFloodRatio, Figure::TcpFloodCpu, Figure::BareFloodCpu),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_looks_at_the_median_or_at_the_worst_run() {
        let summary = Summary { median: 4.0, min: 2.0, max: 10.0 };
        assert_eq!(Goal::AtMost(4.0).reached(summary), Some(true));
        assert_eq!(Goal::AtMost(2.0).missed_by(summary), Some(2.0));
        assert_eq!(Goal::NeverAbove(5.0).missed_by(summary), Some(2.0));
        assert_eq!(Goal::AtLeast(4.0).reached(summary), Some(true));
        assert_eq!(Goal::AtLeast(8.0).missed_by(summary), Some(2.0));
        assert_eq!(Goal::None.reached(summary), None);
    }

    #[test]
    fn a_goal_of_nothing_is_missed_by_anything() {
        let summary = |max| Summary { median: 0.0, min: 0.0, max };
        assert_eq!(Goal::NeverAbove(0.0).reached(summary(0.0)), Some(true));
        assert_eq!(Goal::NeverAbove(0.0).missed_by(summary(1.0)), Some(f64::INFINITY));
    }
}
