//! What can be broken, and what that means for what is promised. How it is broken is in [`breaking`](crate::breaking).

use std::time::Duration;

use crate::proxy::Faults;

/// A planned hand-over takes less than this.
const PLANNED: Duration = Duration::from_secs(1);

/// Another process is logged in within this time after a crash.
const CRASH: Duration = Duration::from_secs(5);

/// A link that went dead is given up after 8 s, and then comes the second that a router wants between two connections.
const HALF_OPEN: Duration = Duration::from_secs(10);

/// Delay and its spread for slow links.
pub const SLOW: Wrong = Wrong::Is(Faults {
    latency: Duration::from_millis(150),
    jitter: Duration::from_millis(150),
    ..Faults::NONE
});

/// Delay and its spread for links on which every answer comes too late.
pub const CRAWLING: Wrong = Wrong::Is(Faults {
    latency: Duration::from_millis(1200),
    jitter: Duration::from_millis(300),
    ..Faults::NONE
});

/// Pieces so small that a header comes in several, and bandwidth for three times what is said.
pub const SLICED: Wrong = Wrong::Is(Faults { bandwidth: 32_000, slice: 3, ..Faults::NONE });

/// Pieces so small that a header comes in several, and little more bandwidth than what goes over the bus.
pub const THIN: Wrong = Wrong::Is(Faults { bandwidth: 96_000, slice: 3, ..Faults::NONE });

/// Everything is swallowed, new connections too.
pub const DEAD: Wrong = Wrong::Is(Faults::HOLE);

/// What is broken, of the process that holds the session if nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
    /// SIGKILL, and again to the next holder as soon as it is logged in.
    KillTwice,
    /// SIGSTOP, and SIGCONT later.
    Stop,
    /// All processes are replaced, one after the other, by those of another version, and then back.
    Upgrade,
    /// NATS is killed and starts again.
    NatsKill,
    /// The same, and a client says as much as is said in ten minutes.
    NatsFlood,
    /// Of three NATS servers the one that leads for the locks is killed.
    NatsLeader,
    /// There is no room left in NATS.
    NatsFill,
    /// The router closes everything and starts again.
    RouterRestart,
    /// Something is wrong with links.
    Link(Link, Wrong),
}

/// Which links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// All of the holder.
    All,
    /// That to the router.
    Router,
    /// Those of clients.
    Client,
    /// That to NATS.
    Nats,
    /// Those of all gateways to NATS.
    EveryNats,
}

/// What is wrong with a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// This, until it is mended.
    Is(Faults),
    /// It is reset, and can be made anew at once.
    Reset,
    /// It is reset, and cannot be made anew until it is mended.
    Cut,
    /// The connection there is goes dead for good but stays open; it can be made anew at once.
    HalfOpen,
}

impl Fault {
    /// Whether the process stands still or is cut off.
    pub fn hangs(self) -> bool {
        matches!(self, Self::Stop | Self::Link(Link::All, _))
    }

    /// Whether a process ends or stands still in the middle of a word: what it took and has not passed on is gone with it.
    pub fn kills(self) -> bool {
        self.hangs() || matches!(self, Self::Kill | Self::KillTwice)
    }

    /// Whether one process loses NATS for a while, and the others do not.
    pub fn splits(self) -> bool {
        matches!(self, Self::Link(Link::Nats, wrong) if wrong != Wrong::Reset)
    }

    /// Whether the link to the router is lost.
    pub fn cuts_router(self) -> bool {
        let is_cut = |wrong| matches!(wrong, Wrong::Reset | Wrong::Cut | Wrong::HalfOpen);
        matches!(self, Self::Link(Link::Router, wrong) if is_cut(wrong)) || self == Self::RouterRestart
    }

    /// Whether the link to the router takes what is sent and nobody hears it, without end: the router heeds another one.
    pub fn swallows(self) -> bool {
        self.hangs() || self.splits()
    }

    /// Whether the session stays where it is, and with it everything is heard: what is wrong with NATS alone, or with a
    /// client's link, must not cost a word.
    pub fn keeps_session(self) -> bool {
        match self {
            Self::NatsKill | Self::NatsFlood | Self::NatsLeader | Self::NatsFill => true,
            Self::Link(Link::EveryNats | Link::Client, _) | Self::Link(Link::Nats, Wrong::Reset) => true,
            Self::Link(Link::Router, _) => !self.cuts_router(),
            _ => false,
        }
    }

    /// Whether the router does not know that the session has ceased to work: the time without one counts from the fault.
    pub fn is_silent(self) -> bool {
        self.hangs() || self == Self::Link(Link::Router, Wrong::HalfOpen)
    }

    /// The most that nobody may be logged in; none: nothing is promised.
    pub fn promise(self) -> Option<Duration> {
        match self {
            Self::Terminate | Self::Upgrade => Some(PLANNED),
            Self::Link(Link::Router, Wrong::HalfOpen) => Some(HALF_OPEN),
            Self::Link(Link::Router, Wrong::Cut) => Some(CRASH),
            _ if self.kills() => Some(CRASH),
            _ => None,
        }
    }

    /// Whether each run needs a world of its own: after a session of less than 30 s a gateway waits longer and longer
    /// until it tries the router again, and what a flood leaves behind waits for a minute.
    pub fn needs_fresh_world(self) -> bool {
        self.cuts_router() || self == Self::NatsFlood
    }

    /// About how long it takes until all is well again; with a world of its own, and what waited for the router, the longer.
    pub fn recovery(self) -> Duration {
        Duration::from_secs(match self {
            Self::Link(Link::Router, Wrong::HalfOpen) => 28,
            Self::Upgrade => 33,
            Self::KillTwice => 14,
            _ if self.needs_fresh_world() => 18,
            _ => 8,
        })
    }
}
