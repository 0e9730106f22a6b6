//! What is broken, and what must be true then.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;

use crate::Error;
use crate::proxy::Faults;
use crate::tally::{Count, Kind};
use crate::world::{Setup, World};

/// A planned hand-over takes less than this.
const PLANNED: Duration = Duration::from_secs(1);

/// Another process is logged in within this time after a crash.
const CRASH: Duration = Duration::from_secs(5);

/// A link that went dead is given up after 8 s, and then come a back-off, which earlier failures may have raised, and the
/// second that a router wants between two connections.
const HALF_OPEN: Duration = Duration::from_secs(13);

/// How long a recovery may take after the fault is mended.
const LIMIT: Duration = Duration::from_secs(45);

/// How long after a recovery it is still watched.
const AFTERMATH: Duration = Duration::from_secs(1);

/// How long what was said last may take to be heard.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// Where in the second of a renewal, and of a router's clock, a run begins.
const PHASE_MILLIS: u64 = 1500;

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
    /// Of three NATS servers the one that leads for the locks is killed.
    NatsLeader,
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
enum Measure {
    /// The router knows: from the end of the session to the next login.
    Seen,
    /// The router does not know that the session ceased to work: from the fault to the next login.
    SinceFault,
}

/// What one run showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How long nobody was logged in that could be heard.
    pub router_gap: Duration,
    /// The longest time in which the client heard nothing of a mud elsewhere, on a channel.
    pub remote_gap: Duration,
    /// The same of a hosted mud.
    pub hosted_gap: Duration,
    /// Channel messages of a mud elsewhere.
    pub remote: Count,
    /// Channel messages of a hosted mud.
    pub hosted: Count,
    /// Tells.
    pub tells: Count,
    /// How often the mud logged in.
    pub logins: usize,
}

/// Delay and its spread for slow links.
const SLOW: Faults = Faults {
    latency: Duration::from_millis(150),
    jitter: Duration::from_millis(150),
    bandwidth: 0,
    slice: 0,
    hole_up: false,
    hole_down: false,
    refuse: false,
};

/// Pieces so small that a header comes in several, and bandwidth for three times what is said.
const SLICED: Faults =
    Faults { latency: Duration::ZERO, jitter: Duration::ZERO, bandwidth: 32_000, slice: 3, ..SLOW };

/// New connections are refused.
const REFUSED: Faults = Faults { latency: Duration::ZERO, jitter: Duration::ZERO, refuse: true, ..SLOW };

impl Scenario {
    /// The scenarios of the short suite.
    pub const QUICK: [Scenario; 6] =
        [Self::Planned, Self::Kill, Self::KillOther, Self::Stop, Self::NatsRestart, Self::RouterRestart];

    /// What it is, for the table.
    pub fn about(self) -> &'static str {
        match self {
            Self::Planned => "planned: SIGTERM to the holder",
            Self::Kill => "crash: SIGKILL",
            Self::Stop => "pause: SIGSTOP, 8 s later SIGCONT",
            Self::PlannedOther => "planned, the client on the other process",
            Self::KillOther => "crash, the client on the other process",
            Self::NodeCutOff => "all links of the holder dead for 12 s",
            Self::PlannedElsewhere => "planned, each process with its own address",
            Self::KillElsewhere => "crash, each with its own address",
            Self::StopElsewhere => "pause of 8 s, each with its own address",
            Self::NodeCutOffElsewhere => "all links dead for 12 s, each with its own address",
            Self::NatsPartition => "NATS out of the holder's reach for 12 s",
            Self::NatsRestart => "NATS away for 10 s",
            Self::NatsLeader => "the leader of three NATS servers away for 10 s",
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
        Setup { on_standby, cluster: self == Self::NatsLeader, own_addresses }
    }

    /// About how long a run takes.
    pub fn takes(self) -> Duration {
        // A session whose link is half-open is given up after 8 s; all others get well in some seconds.
        Duration::from_secs(if self == Self::RouterHalfOpen { 12 } else { 8 }) + self.lasts()
    }

    /// Whether each run needs a world of its own: after a session of less than 30 s a gateway waits longer and longer
    /// until it tries the router again.
    pub fn needs_fresh_world(self) -> bool {
        matches!(self, Self::RouterRestart | Self::RouterReset | Self::RouterCut | Self::RouterHalfOpen)
    }

    /// How long it stays broken.
    fn lasts(self) -> Duration {
        Duration::from_secs(match self {
            Self::NodeCutOff | Self::NodeCutOffElsewhere | Self::NatsPartition => 12,
            Self::NatsRestart | Self::NatsLeader | Self::RouterCut => 10,
            Self::Stop | Self::StopElsewhere => 8,
            Self::RouterSlow | Self::RouterSliced | Self::ClientSlow | Self::ClientSliced => 8,
            _ => 0,
        })
    }

    fn measure(self) -> Measure {
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
            Self::Planned | Self::PlannedElsewhere | Self::PlannedOther => Some(PLANNED),
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

    /// Runs it once in a world in which all is well.
    ///
    /// # Errors
    /// When the world is not well before, or does not recover.
    pub async fn run(self, world: &mut World, seed: u64) -> Result<Run, Error> {
        let mut random = StdRng::seed_from_u64(seed);
        world.ready().await?;
        sleep(Duration::from_millis(random.random_range(0..PHASE_MILLIS))).await;
        // The first second of another session is over by now.
        let holder = world.ready().await?;
        let (from, start) = (world.tally.place(), Instant::now());
        self.break_it(world, holder).await?;
        sleep(self.lasts().saturating_sub(start.elapsed())).await;
        self.mend(world, holder).await?;
        world.all_heard(LIMIT).await?;
        sleep(AFTERMATH).await;
        let (to, end) = (world.tally.place(), Instant::now());
        sleep(ON_ITS_WAY).await;
        Ok(Run { scenario: self, start, end, from, to })
    }

    async fn break_it(self, world: &mut World, holder: usize) -> Result<(), Error> {
        let member = &world.members[holder];
        match self {
            Self::Planned | Self::PlannedElsewhere | Self::PlannedOther => {
                member.gateway.signal("-TERM").await?;
                world.bury(holder).await?;
            }
            Self::Kill | Self::KillElsewhere | Self::KillOther => {
                member.gateway.signal("-KILL").await?;
                world.bury(holder).await?;
            }
            Self::Stop | Self::StopElsewhere => member.gateway.signal("-STOP").await?,
            Self::NodeCutOff | Self::NodeCutOffElsewhere => member.set_all(Faults::HOLE),
            Self::NatsPartition => member.nats.set(Faults::HOLE),
            Self::NatsRestart => world.nats.kill(0).await?,
            Self::NatsLeader => {
                let leader = world.nats.leader().await?;
                world.nats.kill(leader).await?;
            }
            Self::RouterRestart => world.router.restart().await,
            Self::RouterReset => member.router.reset(),
            Self::RouterCut => {
                member.router.set(REFUSED);
                member.router.reset();
            }
            Self::RouterHalfOpen => member.router.freeze(),
            Self::RouterSlow => member.router.set(SLOW),
            Self::RouterSliced => member.router.set(SLICED),
            Self::ClientSlow => member.client.set(SLOW),
            Self::ClientSliced => member.client.set(SLICED),
            Self::ClientReset => member.client.reset(),
            Self::ClientHalfOpen => member.client.freeze(),
        }
        Ok(())
    }

    async fn mend(self, world: &mut World, holder: usize) -> Result<(), Error> {
        match self {
            Self::Planned
            | Self::PlannedElsewhere
            | Self::PlannedOther
            | Self::Kill
            | Self::KillElsewhere
            | Self::KillOther => return Ok(()),
            Self::Stop | Self::StopElsewhere => world.members[holder].gateway.signal("-CONT").await?,
            Self::NatsRestart | Self::NatsLeader => world.nats.restart_all().await?,
            _ => {}
        }
        world.members[holder].set_all(Faults::default());
        Ok(())
    }
}

/// One run, of which more may still be heard.
#[derive(Clone, Debug)]
pub struct Run {
    scenario: Scenario,
    start: Instant,
    end: Instant,
    from: crate::tally::Place,
    to: crate::tally::Place,
}

impl Run {
    /// What it showed up to now.
    pub fn outcome(&self, world: &World) -> Outcome {
        let Self { scenario, start, end, from, to } = self;
        let gap = match scenario.measure() {
            Measure::Seen => None,
            Measure::SinceFault => Some(world.watcher.until_login(*start, *end).unwrap_or(*end - *start)),
        };
        Outcome {
            router_gap: gap.unwrap_or_else(|| world.watcher.gap(*start, *end)),
            remote_gap: world.tally.gap(Kind::Remote, *start, *end),
            hosted_gap: world.tally.gap(Kind::Hosted, *start, *end),
            remote: world.tally.count(Kind::Remote, from, to),
            hosted: world.tally.count(Kind::Hosted, from, to),
            tells: world.tally.count(Kind::Tell, from, to),
            logins: world.watcher.logins(*start, *end),
        }
    }
}

impl Outcome {
    /// What is not as promised.
    pub fn broken(&self, scenario: Scenario) -> Vec<String> {
        let mut broken = Vec::new();
        if let Some(promise) = scenario.promise().filter(|promise| self.router_gap > *promise) {
            broken.push(format!("nobody was logged in for {:?}, promised are {promise:?}", self.router_gap));
        }
        for (what, count) in [("remote", self.remote), ("hosted", self.hosted), ("tell", self.tells)] {
            if count.doubled > 0 {
                broken.push(format!("{what}: {} doubled", count.doubled));
            }
            if count.disordered > 0 {
                broken.push(format!("{what}: {} out of order", count.disordered));
            }
        }
        broken
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [router, remote, hosted] =
            [self.router_gap, self.remote_gap, self.hosted_gap].map(|gap| gap.as_millis());
        write!(f, "no session {router} ms, {} logins; remote unheard {remote} ms, ", self.logins)?;
        write!(
            f,
            "hosted unheard {hosted} ms; remote {}; hosted {}; tells {}",
            self.remote, self.hosted, self.tells
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(router_gap: u64, hosted: Count) -> Outcome {
        let (remote_gap, hosted_gap) = (Duration::ZERO, Duration::ZERO);
        let (remote, tells) = (Count { lost: 7, ..Count::default() }, Count::default());
        let router_gap = Duration::from_millis(router_gap);
        Outcome { router_gap, remote_gap, hosted_gap, remote, hosted, tells, logins: 1 }
    }

    #[test]
    fn what_is_promised_depends_on_the_scenario() {
        let slow = outcome(1001, Count::default());
        assert_eq!(slow.broken(Scenario::Planned).len(), 1);
        assert_eq!(slow.broken(Scenario::Kill), Vec::<String>::new());
        let slower = outcome(60_000, Count::default());
        assert_eq!(slower.broken(Scenario::RouterHalfOpen).len(), 1);
        assert_eq!(slower.broken(Scenario::RouterRestart), Vec::<String>::new());
    }

    #[test]
    fn nothing_may_be_doubled_or_out_of_order_in_any() {
        let count = Count { doubled: 1, disordered: 2, ..Count::default() };
        let broken = outcome(0, count).broken(Scenario::ClientReset);
        assert_eq!(broken, ["hosted: 1 doubled", "hosted: 2 out of order"]);
    }
}
