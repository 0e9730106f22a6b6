//! Breaks something, and mends it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt, stream};
use mudclient::Client;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::interval;

use crate::fault::{Fault, Link, Wrong};
use crate::process::open;
use crate::proxy::{Faults, Proxy};
use crate::world::World;
use crate::{CHANNEL, Error};

/// As many messages as everybody here says in ten minutes.
const FLOOD: usize = 20_000;

/// How many of them wait for an answer at a time: that it is kept is waited for.
const AT_ONCE: usize = 1000;

/// Between two messages of a flood.
const FLOOD_EVERY: Duration = Duration::from_micros(400);

impl Fault {
    /// Breaks it.
    ///
    /// # Errors
    /// When that is not possible.
    pub async fn break_it(self, world: &mut World, holder: usize) -> Result<(), Error> {
        match self {
            Self::Terminate => world.end(holder, "-TERM").await?,
            Self::Kill => world.end(holder, "-KILL").await?,
            Self::KillTwice => {
                let before = world.watcher.last();
                world.end(holder, "-KILL").await?;
                let next = world.next_holder(before).await?;
                world.end(next, "-KILL").await?;
            }
            Self::Stop => world.members[holder].gateway.signal("-STOP").await?,
            Self::Upgrade => {
                for program in [world.programs.gateway.clone(), world.programs.previous()?] {
                    world.roll(&program).await?;
                }
            }
            Self::NatsKill => world.nats.kill(0).await?,
            Self::NatsFlood => {
                world.nats.kill(0).await?;
                let client = open(world.members[holder].gateway.address).await?;
                world.spawn(async move { flood(&client).await });
            }
            Self::NatsFill => world.nats.fill().await?,
            Self::NatsLeader => {
                let leader = world.nats.leader().await?;
                world.nats.kill(leader).await?;
            }
            Self::RouterRestart => world.router.restart().await,
            Self::Link(link, wrong) => link.of(world, holder).for_each(|link| wrong.befall(link)),
        }
        Ok(())
    }

    /// Mends it.
    ///
    /// # Errors
    /// When that is not possible.
    pub async fn mend(self, world: &mut World, holder: usize) -> Result<(), Error> {
        match self {
            Self::Stop => world.members[holder].gateway.signal("-CONT").await?,
            Self::NatsKill | Self::NatsFlood | Self::NatsLeader => world.nats.restart_all().await?,
            Self::NatsFill => world.nats.empty().await?,
            Self::Link(link, _) => link.of(world, holder).for_each(|link| link.set(Faults::NONE)),
            Self::Terminate | Self::Kill | Self::KillTwice | Self::Upgrade | Self::RouterRestart => {}
        }
        Ok(())
    }
}

impl Link {
    fn of(self, world: &World, holder: usize) -> impl Iterator<Item = &Proxy> {
        let member = &world.members[holder];
        let wanted = match self {
            Self::All => vec![&member.router, &member.nats, &member.client],
            Self::Router => vec![&member.router],
            Self::Client => vec![&member.client],
            Self::Nats => vec![&member.nats],
            Self::EveryNats => world.nats_links().collect(),
        };
        wanted.into_iter()
    }
}

impl Wrong {
    fn befall(self, link: &Proxy) {
        match self {
            Self::Is(faults) => link.set(faults),
            Self::Reset => link.reset(),
            Self::Cut => {
                link.set(Faults { refuse: true, ..Faults::NONE });
                link.reset();
            }
            Self::HalfOpen => link.freeze(),
        }
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
