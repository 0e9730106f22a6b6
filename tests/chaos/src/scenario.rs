//! What can be broken: what each is called, what it needs, how often it is tried and what is promised then.

use std::time::Duration;

use clap::ValueEnum;

use crate::world::{Setup, Storage};

/// A planned hand-over takes less than this.
const PLANNED: Duration = Duration::from_secs(1);

/// Another process is logged in within this time after a crash.
const CRASH: Duration = Duration::from_secs(5);

/// A link that went dead is given up after 8 s, and then comes the second that a router wants between two connections.
const HALF_OPEN: Duration = Duration::from_secs(10);

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Scenario {
    /// SIGTERM to the holder.
    Planned,
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT later.
    Stop,
    /// SIGTERM to the holder, while the client is on the other process.
    PlannedOther,
    /// SIGKILL to the holder, while the client is on the other process.
    KillOther,
    /// All processes are replaced, one after the other, by those of another version, and then back.
    Upgrade,
    /// All links of the holder go dead, as those of a node that is cut off.
    NodeCutOff,
    /// As planned, where each process has an address of its own.
    PlannedElsewhere,
    /// As killed there.
    KillElsewhere,
    /// As paused there.
    StopElsewhere,
    /// As cut off there.
    NodeCutOffElsewhere,
    /// The holder's link to NATS goes dead, and comes back.
    NatsPartition,
    /// NATS is killed and starts again.
    NatsRestart,
    /// The same for ten minutes.
    NatsAway,
    /// NATS is away, and a client says as much as is said in ten minutes.
    NatsFlood,
    /// Of three NATS servers the one that leads for the locks is killed.
    NatsLeader,
    /// NATS has no storage left that it may use.
    NatsFull,
    /// The disk of NATS is full.
    NatsDiskFull,
    /// Delays on all links to NATS.
    NatsSlow,
    /// Delays there that are longer than anybody waits.
    NatsCrawls,
    /// Small pieces and little bandwidth there.
    NatsSliced,
    /// The router closes everything and starts again.
    RouterRestart,
    /// The holder's link to the router is reset.
    RouterReset,
    /// And cannot be made again for a while.
    RouterCut,
    /// The holder's link to the router goes dead, but stays open.
    RouterHalfOpen,
    /// Delays on the link to the router.
    RouterSlow,
    /// Small pieces and little bandwidth there.
    RouterSliced,
    /// Delays on the client's link.
    ClientSlow,
    /// Small pieces and little bandwidth there.
    ClientSliced,
    /// The client's link is reset.
    ClientReset,
    /// The client's link goes dead, but stays open.
    ClientHalfOpen,
}

/// How the time without a session is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The router knows: from the end of the session to the next login.
    Seen,
    /// The router does not know that the session ceased to work: from the fault to the next login.
    SinceFault,
}

impl Scenario {
    /// The scenarios of the short suite.
    pub const QUICK: [Scenario; 7] = [
        Self::Planned,
        Self::Kill,
        Self::KillOther,
        Self::Stop,
        Self::NatsRestart,
        Self::NatsFull,
        Self::RouterRestart,
    ];

    /// What it is, for the table.
    pub fn about(self) -> &'static str {
        match self {
            Self::Planned => "planned: SIGTERM to the holder",
            Self::Kill => "crash: SIGKILL",
            Self::Stop => "pause: SIGSTOP, 8 s later SIGCONT",
            Self::PlannedOther => "planned, the client on the other process",
            Self::KillOther => "crash, the client on the other process",
            Self::Upgrade => "upgrade: each process replaced by the next version, and back",
            Self::NodeCutOff => "all links of the holder dead for 12 s",
            Self::PlannedElsewhere => "planned, each process with its own address",
            Self::KillElsewhere => "crash, each with its own address",
            Self::StopElsewhere => "pause of 8 s, each with its own address",
            Self::NodeCutOffElsewhere => "all links dead for 12 s, each with its own address",
            Self::NatsPartition => "NATS out of the holder's reach for 12 s",
            Self::NatsRestart => "NATS away for 10 s",
            Self::NatsAway => "NATS away for 10 minutes",
            Self::NatsFlood => "NATS away for 10 s, the holder is told 20,000 messages",
            Self::NatsLeader => "the leader of three NATS servers away for 10 s",
            Self::NatsFull => "NATS at its limit of storage for 10 s",
            Self::NatsDiskFull => "the disk of NATS full for 10 s, then a restart",
            Self::NatsSlow => "NATS 150 to 300 ms slow for 8 s",
            Self::NatsCrawls => "NATS 1.2 to 1.5 s slow for 10 s",
            Self::NatsSliced => "NATS in 3-byte pieces, 96 kB/s, for 8 s",
            Self::RouterRestart => "router restart",
            Self::RouterReset => "router link reset",
            Self::RouterCut => "router out of the holder's reach for 10 s",
            Self::RouterHalfOpen => "router link half-open",
            Self::RouterSlow => "router link 150 to 300 ms slow for 8 s",
            Self::RouterSliced => "router link in 3-byte pieces, 32 kB/s, for 8 s",
            Self::ClientSlow => "client link 150 to 300 ms slow for 8 s",
            Self::ClientSliced => "client link in 3-byte pieces, 32 kB/s, for 8 s",
            Self::ClientReset => "client link reset",
            Self::ClientHalfOpen => "client link half-open",
        }
    }

    /// How often it is tried for the table.
    pub fn runs(self) -> u16 {
        match self {
            Self::Planned | Self::Kill | Self::Stop => 20,
            Self::RouterSlow | Self::RouterSliced | Self::ClientSlow | Self::ClientSliced => 4,
            Self::NatsSlow | Self::NatsSliced | Self::NatsFlood => 4,
            Self::NatsAway => 1,
            _ => 10,
        }
    }

    /// The world it needs.
    pub fn setup(self) -> Setup {
        let own_addresses = matches!(
            self,
            Self::PlannedElsewhere | Self::KillElsewhere | Self::StopElsewhere | Self::NodeCutOffElsewhere
        );
        let on_standby = matches!(self, Self::PlannedOther | Self::KillOther);
        let storage = match self {
            Self::NatsFull => Storage::Limited,
            Self::NatsDiskFull => Storage::SmallDisk,
            _ => Storage::Plenty,
        };
        Setup {
            on_standby,
            cluster: self == Self::NatsLeader,
            own_addresses,
            storage,
            previous: self == Self::Upgrade,
            // What is said there waits for NATS, for a minute at most.
            network_alone: self == Self::NatsAway,
        }
    }

    /// About how long a run takes.
    pub fn takes(self) -> Duration {
        // A session whose link is half-open is given up after 8 s; all others get well in some seconds.
        let extra = match self {
            Self::RouterHalfOpen => 4,
            Self::Upgrade => 25,
            _ => 0,
        };
        Duration::from_secs(8 + extra) + self.lasts()
    }

    /// Whether each run needs a world of its own: after a session of less than 30 s a gateway waits longer and longer
    /// until it tries the router again.
    pub fn needs_fresh_world(self) -> bool {
        // And what a flood leaves behind waits for a minute.
        matches!(
            self,
            Self::RouterRestart
                | Self::RouterReset
                | Self::RouterCut
                | Self::RouterHalfOpen
                | Self::NatsFlood
        )
    }

    /// How long it stays broken.
    pub fn lasts(self) -> Duration {
        Duration::from_secs(match self {
            Self::NodeCutOff | Self::NodeCutOffElsewhere | Self::NatsPartition => 12,
            Self::NatsAway => 600,
            Self::NatsRestart
            | Self::NatsFlood
            | Self::NatsLeader
            | Self::NatsFull
            | Self::NatsDiskFull
            | Self::NatsCrawls
            | Self::RouterCut => 10,
            Self::Stop | Self::StopElsewhere => 8,
            Self::RouterSlow | Self::RouterSliced | Self::ClientSlow | Self::ClientSliced => 8,
            Self::NatsSlow | Self::NatsSliced => 8,
            _ => 0,
        })
    }

    /// How the time without a session is measured.
    pub fn measure(self) -> Measure {
        match self {
            Self::Stop
            | Self::StopElsewhere
            | Self::NodeCutOff
            | Self::NodeCutOffElsewhere
            | Self::RouterHalfOpen => Measure::SinceFault,
            _ => Measure::Seen,
        }
    }

    /// The most that nobody may be logged in; none: nothing is promised.
    pub fn promise(self) -> Option<Duration> {
        match self {
            Self::Planned | Self::PlannedElsewhere | Self::PlannedOther | Self::Upgrade => Some(PLANNED),
            Self::Kill
            | Self::KillElsewhere
            | Self::KillOther
            | Self::Stop
            | Self::NodeCutOff
            | Self::RouterCut => Some(CRASH),
            Self::RouterHalfOpen => Some(HALF_OPEN),
            _ => None,
        }
    }

    /// Whether the session stays where it is, and with it everything is heard: what is wrong with NATS alone must not
    /// cost a word.
    pub fn keeps_session(self) -> bool {
        matches!(
            self,
            Self::NatsRestart
                | Self::NatsAway
                | Self::NatsFlood
                | Self::NatsLeader
                | Self::NatsFull
                | Self::NatsDiskFull
                | Self::NatsSlow
                | Self::NatsCrawls
                | Self::NatsSliced
        )
    }

    /// Whether a process ends or stands still in the middle of a word: what it took and has not passed on is gone with it.
    pub fn kills(self) -> bool {
        matches!(
            self,
            Self::Kill
                | Self::KillOther
                | Self::KillElsewhere
                | Self::Stop
                | Self::StopElsewhere
                | Self::NodeCutOff
                | Self::NodeCutOffElsewhere
        )
    }

    /// Whether the router must have had two connections of the mud at a time, of which one is deaf: the old one where all
    /// processes have one address, the new one where each has its own.
    pub fn leaves_two_links(self) -> bool {
        matches!(self, Self::Stop | Self::NodeCutOff | Self::StopElsewhere | Self::NodeCutOffElsewhere)
    }
}
