//! Breaks something, and mends it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt, stream};
use mudclient::Client;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::interval;

use crate::process::open;
use crate::proxy::Faults;
use crate::scenario::Scenario;
use crate::world::World;
use crate::{CHANNEL, Error};

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

/// Delay and its spread for links on which every answer comes too late.
const CRAWLING: Faults =
    Faults { latency: Duration::from_millis(1200), jitter: Duration::from_millis(300), ..SLOW };

/// Pieces so small that a header comes in several, and little more bandwidth than what goes over the bus.
const THIN: Faults = Faults { bandwidth: 96_000, ..SLICED };

/// As many messages as everybody here says in ten minutes.
const FLOOD: usize = 20_000;

/// How many of them wait for an answer at a time: that it is kept is waited for.
const AT_ONCE: usize = 1000;

/// Between two messages of a flood.
const FLOOD_EVERY: Duration = Duration::from_micros(400);

impl Scenario {
    /// Breaks what it is about.
    ///
    /// # Errors
    /// When that is not possible.
    pub async fn break_it(self, world: &mut World, holder: usize) -> Result<(), Error> {
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
            Self::Upgrade => {
                for program in [world.programs.gateway.clone(), world.programs.previous()?] {
                    world.roll(&program).await?;
                }
            }
            Self::Stop | Self::StopElsewhere => member.gateway.signal("-STOP").await?,
            Self::NodeCutOff | Self::NodeCutOffElsewhere => member.set_all(Faults::HOLE),
            Self::NatsPartition => member.nats.set(Faults::HOLE),
            Self::NatsRestart | Self::NatsAway => world.nats.kill(0).await?,
            Self::NatsFlood => {
                world.nats.kill(0).await?;
                let client = open(member.gateway.address).await?;
                world.spawn(async move { flood(&client).await });
            }
            Self::NatsFull | Self::NatsDiskFull => world.nats.fill().await?,
            Self::NatsSlow => world.set_nats(SLOW),
            Self::NatsCrawls => world.set_nats(CRAWLING),
            Self::NatsSliced => world.set_nats(THIN),
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

    /// Mends it.
    ///
    /// # Errors
    /// When that is not possible.
    pub async fn mend(self, world: &mut World, holder: usize) -> Result<(), Error> {
        match self {
            Self::Planned
            | Self::PlannedElsewhere
            | Self::PlannedOther
            | Self::Kill
            | Self::KillElsewhere
            | Self::KillOther
            | Self::Upgrade => return Ok(()),
            Self::Stop | Self::StopElsewhere => world.members[holder].gateway.signal("-CONT").await?,
            Self::NatsRestart | Self::NatsAway | Self::NatsFlood | Self::NatsLeader => {
                world.nats.restart_all().await?;
            }
            Self::NatsFull | Self::NatsDiskFull => world.nats.empty().await?,
            Self::NatsSlow | Self::NatsCrawls | Self::NatsSliced => world.set_nats(Faults::default()),
            _ => {}
        }
        world.members[holder].set_all(Faults::default());
        Ok(())
    }
}

/// Says as much as it can. When no more is taken it is refused, which is as good.
async fn flood(client: &Client) {
    let (taken, due) = (AtomicUsize::new(0), Mutex::new(interval(FLOOD_EVERY)));
    let say = async |number: usize| {
        due.lock().await.tick().await;
        let params = json!({"channel": CHANNEL, "message": format!("flood {number}"), "from_user": "eve"});
        if client.call("channel_send", params).await.is_ok() {
            taken.fetch_add(1, Ordering::Relaxed);
        }
    };
    stream::iter(0..FLOOD).for_each_concurrent(AT_ONCE, say).await;
    eprintln!("of {FLOOD} messages in a flood {} were taken", taken.into_inner());
}
