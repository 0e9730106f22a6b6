//! What is tried: what each is called, what it needs, how often and how long.

use std::time::Duration;

use clap::ValueEnum;

use crate::fault::{CRAWLING, DEAD, Fault, Link, SLICED, SLOW, THIN, Wrong};
use crate::nats::{Servers, Storage};
use crate::world::Setup;

/// What is tried.
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
    /// SIGKILL to the holder, one of three processes.
    KillThree,
    /// And to the one that takes over, as soon as it is logged in.
    KillTwice,
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
    /// As planned, where NATS asks for identities and TLS.
    PlannedSecured,
    /// As killed there.
    KillSecured,
    /// NATS is killed there, and starts again.
    NatsRestartSecured,
    /// The holder's link to NATS goes dead, and comes back.
    NatsPartition,
    /// It goes dead but stays open, and another one can be made.
    NatsHalfOpen,
    /// It is reset.
    NatsReset,
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
    /// It goes dead, and comes back.
    RouterSilent,
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
    /// It goes dead, and comes back; new ones too.
    ClientSilent,
}

/// One of them in full.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What is broken.
    pub fault: Fault,
    /// What it is, for the table.
    pub about: &'static str,
    /// The world it needs.
    pub setup: Setup,
    /// How long it stays broken.
    pub lasts: Duration,
    /// How often it is tried for the table.
    pub runs: u16,
}

impl Plan {
    const fn of(fault: Fault, about: &'static str) -> Self {
        Self { fault, about, setup: Setup::PLAIN, lasts: Duration::ZERO, runs: 10 }
    }

    const fn with(self, setup: Setup) -> Self {
        Self { setup, ..self }
    }

    const fn lasts(self, seconds: u64) -> Self {
        Self { lasts: Duration::from_secs(seconds), ..self }
    }

    const fn runs(self, runs: u16) -> Self {
        Self { runs, ..self }
    }

    /// About how long a run takes.
    pub fn takes(&self) -> Duration {
        self.fault.recovery() + self.lasts
    }

    /// The most that nobody may be logged in; none: nothing is promised. A router that sees each process come from another
    /// address waits until it is sure that the old one is gone.
    pub fn promise(&self) -> Option<Duration> {
        self.fault.promise().filter(|_| !(self.setup.own_addresses && self.fault.hangs()))
    }
}

/// The client is on a process that stands by.
const ON_STANDBY: Setup = Setup { on_standby: true, ..Setup::PLAIN };

/// Three processes of the mud.
const THREE: Setup = Setup { three: true, ..Setup::PLAIN };

/// Each process has its own address.
const ELSEWHERE: Setup = Setup { own_addresses: true, ..Setup::PLAIN };

/// NATS asks for identities and TLS.
const SECURED: Setup = on(Servers { secured: true, ..Servers::PLAIN });

/// Three NATS servers.
const CLUSTER: Setup = on(Servers { cluster: true, ..Servers::PLAIN });

const LIMITED: Setup = on(Servers { storage: Storage::Limited, ..Servers::PLAIN });

const SMALL_DISK: Setup = on(Servers { storage: Storage::SmallDisk, ..Servers::PLAIN });

const PREVIOUS: Setup = Setup { previous: true, ..Setup::PLAIN };

/// What is said on the provider's channel waits for NATS, for a minute at most.
const NETWORK_ALONE: Setup = Setup { network_alone: true, ..Setup::PLAIN };

const fn on(nats: Servers) -> Setup {
    Setup { nats, ..Setup::PLAIN }
}

impl Scenario {
    /// The scenarios of the short suite.
    pub const QUICK: [Scenario; 8] = [
        Self::Planned,
        Self::Kill,
        Self::KillOther,
        Self::KillTwice,
        Self::Stop,
        Self::NatsRestart,
        Self::NatsFull,
        Self::RouterRestart,
    ];

    /// All about it.
    pub fn plan(self) -> Plan {
        use Fault::{
            Kill, KillTwice, NatsFill, NatsFlood, NatsKill, NatsLeader, RouterRestart, Stop, Terminate,
            Upgrade,
        };
        use Link::{All, Client, EveryNats, Nats, Router};
        use Wrong::{Cut, HalfOpen, Reset};
        let of = Plan::of;
        let link = |link, wrong, about| Plan::of(Fault::Link(link, wrong), about);
        match self {
            Self::Planned => of(Terminate, "planned: SIGTERM to the holder").runs(20),
            Self::Kill => of(Kill, "crash: SIGKILL").runs(20),
            Self::Stop => of(Stop, "pause: SIGSTOP, 8 s later SIGCONT").lasts(8).runs(20),
            Self::PlannedOther => of(Terminate, "planned, the client on the other process").with(ON_STANDBY),
            Self::KillOther => of(Kill, "crash, the client on the other process").with(ON_STANDBY),
            Self::KillThree => of(Kill, "crash, three processes").with(THREE),
            Self::KillTwice => {
                of(KillTwice, "crash, and again as soon as the next is logged in, three processes")
                    .with(THREE)
            }
            Self::Upgrade => {
                of(Upgrade, "upgrade: each process replaced by the next version, and back").with(PREVIOUS)
            }
            Self::NodeCutOff => link(All, DEAD, "all links of the holder dead for 12 s").lasts(12),
            Self::PlannedElsewhere => {
                of(Terminate, "planned, each process with its own address").with(ELSEWHERE)
            }
            Self::KillElsewhere => of(Kill, "crash, each with its own address").with(ELSEWHERE),
            Self::StopElsewhere => {
                of(Stop, "pause of 8 s, each with its own address").lasts(8).with(ELSEWHERE)
            }
            Self::NodeCutOffElsewhere => {
                link(All, DEAD, "all links dead for 12 s, each with its own address")
                    .lasts(12)
                    .with(ELSEWHERE)
            }
            Self::PlannedSecured => of(Terminate, "planned, NATS with identities and TLS").with(SECURED),
            Self::KillSecured => of(Kill, "crash, NATS with identities and TLS").with(SECURED),
            Self::NatsRestartSecured => {
                of(NatsKill, "NATS with identities and TLS away for 10 s").lasts(10).with(SECURED)
            }
            Self::NatsPartition => link(Nats, DEAD, "NATS out of the holder's reach for 12 s").lasts(12),
            Self::NatsHalfOpen => link(Nats, HalfOpen, "NATS link of the holder half-open").lasts(20).runs(4),
            Self::NatsReset => link(Nats, Reset, "NATS link of the holder reset"),
            Self::NatsRestart => of(NatsKill, "NATS away for 10 s").lasts(10),
            Self::NatsAway => of(NatsKill, "NATS away for 10 minutes").lasts(600).with(NETWORK_ALONE).runs(1),
            Self::NatsFlood => {
                of(NatsFlood, "NATS away for 10 s, the holder is told 20,000 messages").lasts(10).runs(4)
            }
            Self::NatsLeader => {
                of(NatsLeader, "the leader of three NATS servers away for 10 s").lasts(10).with(CLUSTER)
            }
            Self::NatsFull => of(NatsFill, "NATS at its limit of storage for 10 s").lasts(10).with(LIMITED),
            Self::NatsDiskFull => {
                of(NatsFill, "the disk of NATS full for 10 s, then a restart").lasts(10).with(SMALL_DISK)
            }
            Self::NatsSlow => link(EveryNats, SLOW, "NATS 150 to 300 ms slow for 8 s").lasts(8).runs(4),
            Self::NatsCrawls => link(EveryNats, CRAWLING, "NATS 1.2 to 1.5 s slow for 10 s").lasts(10),
            Self::NatsSliced => {
                link(EveryNats, THIN, "NATS in 3-byte pieces, 96 kB/s, for 8 s").lasts(8).runs(4)
            }
            Self::RouterRestart => of(RouterRestart, "router restart"),
            Self::RouterReset => link(Router, Reset, "router link reset"),
            Self::RouterCut => link(Router, Cut, "router out of the holder's reach for 10 s").lasts(10),
            Self::RouterHalfOpen => link(Router, HalfOpen, "router link half-open"),
            Self::RouterSilent => link(Router, DEAD, "router link dead for 5 s").lasts(5).runs(4),
            Self::RouterSlow => link(Router, SLOW, "router link 150 to 300 ms slow for 8 s").lasts(8).runs(4),
            Self::RouterSliced => {
                link(Router, SLICED, "router link in 3-byte pieces, 32 kB/s, for 8 s").lasts(8).runs(4)
            }
            Self::ClientSlow => link(Client, SLOW, "client link 150 to 300 ms slow for 8 s").lasts(8).runs(4),
            Self::ClientSliced => {
                link(Client, SLICED, "client link in 3-byte pieces, 32 kB/s, for 8 s").lasts(8).runs(4)
            }
            Self::ClientReset => link(Client, Reset, "client link reset"),
            Self::ClientHalfOpen => link(Client, HalfOpen, "client link half-open"),
            Self::ClientSilent => link(Client, DEAD, "client link dead for 5 s").lasts(5).runs(4),
        }
    }
}
