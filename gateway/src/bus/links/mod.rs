//! What the gateways of one provider tell each other of their muds: whether the link to the router is up, on which
//! channels they are, and whether others are to relay these to them.

mod states;
mod telling;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use async_nats::{Message, Subscriber};
use futures::StreamExt;
use mudgateway_crds::bus::{links_filter, links_subject};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

pub use states::{LinkState, LinkStates, Told};
use telling::{Telling, interval as told_every};

use super::direct::Direct;
use super::genuine::is_genuine;
use super::lock::{Duty, Holding};
use super::relay::{Relay, Relayed};
use crate::mud::{NAME_BYTES, SessionStatus};
use crate::supervise::Supervisor;
use crate::sync::lock;

/// How often we look at how things are.
const LOOK: Duration = Duration::from_millis(250);

/// How soon we look when another mud has told of a change: what others tell at the same time is looked at together.
const LOOK_SOON: Duration = Duration::from_millis(50);

/// After a registration the router has yet to be told which channels we want. So long others go on relaying them.
const ARRIVING: Duration = Duration::from_secs(5);

/// The most channels of each kind we tell of, the first by name.
const CHANNELS: usize = 100;

/// The channels a mud is on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those of the network.
    pub network: BTreeSet<String>,
    /// Those of the provider.
    pub provider: BTreeSet<String>,
}

/// Tells others how our mud is, follows how theirs are, and takes what they relay.
struct Watch<W, H> {
    direct: Direct,
    relay: Relay,
    status: watch::Receiver<SessionStatus>,
    holding: Holding,
    wanted: W,
    handler: H,
    /// What we told last, and when we tell again.
    telling: Telling,
    /// Whether the bus was away since we told something.
    was_away: bool,
    /// Since when our link is up.
    up_since: Option<Instant>,
    /// What others relay to us, while we need it.
    relayed: Option<Subscriber>,
}

impl Direct {
    /// Starts telling the others how our mud is, listening to how theirs are, and relaying in both directions. Of several
    /// processes of a mud only the one that may hold the session does. `wanted` says which channels the mud is on;
    /// `handler` gets what others relay to us.
    #[expect(clippy::too_many_arguments, reason = "the rim of four parts")]
    pub fn start_links(
        &self,
        relay: Relay,
        status: watch::Receiver<SessionStatus>,
        holding: Holding,
        wanted: impl Fn() -> Wanted + Send + Sync + 'static,
        handler: impl Fn(Relayed) + Send + Sync + 'static,
        supervisor: &Supervisor,
        stop: CancellationToken,
    ) {
        let watch = Watch {
            direct: self.clone(),
            relay,
            status,
            holding,
            wanted,
            handler,
            telling: Telling::default(),
            was_away: false,
            up_since: None,
            relayed: None,
        };
        supervisor.spawn("link states", async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = watch.run() => {}
            }
        });
    }
}

impl<W: Fn() -> Wanted, H: Fn(Relayed)> Watch<W, H> {
    async fn run(mut self) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let client = self.direct.client.clone();
        loop {
            let mut states = match client.subscribe(links_filter(&self.direct.network)).await {
                Ok(states) => states,
                Err(error) => {
                    tracing::warn!(%error, "cannot follow the links of others; trying again");
                    sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            let mut soon = false;
            loop {
                tokio::select! {
                    state = states.next() => {
                        let Some(state) = state else { break };
                        if self.on_link_state(&state) && !soon {
                            look.reset_after(LOOK_SOON);
                            soon = true;
                        }
                        continue;
                    }
                    Some(relayed) = next(&mut self.relayed) => {
                        self.on_relayed(&relayed);
                        continue;
                    }
                    changed = self.status.changed() => if changed.is_err() { return },
                    _ = look.tick() => soon = false,
                }
                self.look(Instant::now()).await;
            }
        }
    }

    /// Does what is due now.
    async fn look(&mut self, now: Instant) {
        let duty = self.holding.now();
        if !duty.may_keep() {
            self.relay.resign();
            (self.telling, self.relayed, self.up_since) = (Telling::default(), None, None);
            return;
        }
        let us = self.us(now, duty);
        self.listen(us.relay).await;
        self.relay.decide(now, &us, &lock(&self.direct.links));
        if !self.direct.is_connected() {
            self.was_away = true;
            return;
        }
        if self.was_away {
            // What we told last may have been lost, but all are back at the same time.
            self.answer(now, false);
        }
        if self.telling.is_due(now, &us, self.relay.is_near()) {
            self.tell(now, us).await;
        }
    }

    /// Tells who has yet to hear of us, soon. Those whose need nobody knows go first.
    fn answer(&mut self, now: Instant, needing: bool) {
        let links = lock(&self.direct.links);
        let others = if needing { links.needing(now) } else { links.count() };
        self.telling.answer(now, others, rand::random());
    }

    /// How our mud is.
    fn us(&mut self, now: Instant, duty: Duty) -> LinkState {
        let connected = self.status.borrow_and_update().is_connected();
        self.up_since = if connected { self.up_since.or(Some(now)) } else { None };
        let arriving = self.up_since.is_none_or(|since| now.duration_since(since) < ARRIVING);
        let Wanted { network, provider } = (self.wanted)();
        let short = |names: BTreeSet<String>| -> BTreeSet<String> {
            names.into_iter().filter(|name| name.len() <= NAME_BYTES).take(CHANNELS).collect()
        };
        let channels = short(network);
        let relay = duty == Duty::Holder && arriving && !channels.is_empty();
        LinkState { mud: self.direct.mud.clone(), connected, channels, provider: short(provider), relay }
    }

    /// Listens to relays while we need them: before we tell that we do.
    async fn listen(&mut self, needed: bool) {
        match (needed, &self.relayed) {
            (true, None) => match self.relay.subscribe().await {
                Ok(relayed) => self.relayed = Some(relayed),
                Err(error) => tracing::warn!(%error, "cannot listen to what others relay; trying again"),
            },
            (false, Some(_)) => self.relayed = None,
            _ => {}
        }
    }

    async fn tell(&mut self, now: Instant, us: LinkState) {
        let Direct { client, network, mud, links, .. } = &self.direct;
        let every = {
            let links = lock(links);
            told_every(links.count(), links.any_older(now))
        };
        let millis = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        // What others have told meanwhile we have missed.
        let asks = std::mem::take(&mut self.was_away) || self.telling.is_new();
        let told = Told { state: us, every: millis, asks };
        // Texts, numbers and booleans can always be written.
        let payload = serde_json::to_vec(&told).unwrap_or_default();
        if let Err(error) = client.publish(links_subject(network, mud), payload.into()).await {
            tracing::debug!(%error, "cannot tell others of our link");
        }
        self.telling.told(now, told.state, every, rand::random());
    }

    /// Takes what another mud tells; true when there is something to do.
    fn on_link_state(&mut self, message: &Message) -> bool {
        let Some(told) = read(&self.direct.network, message) else {
            tracing::debug!(subject = %message.subject, "ignored a link state that cannot be read");
            return false;
        };
        if told.state.mud == self.direct.mud {
            return false;
        }
        let (mud, connected, now) = (told.state.mud.clone(), told.state.connected, Instant::now());
        let news = lock(&self.direct.links).told(now, told);
        if news.link || news.asks {
            tracing::debug!(mud, connected, "the link of another mud");
        }
        if news.asks {
            self.answer(now, self.telling.needs());
        }
        news.any || news.asks
    }

    fn on_relayed(&self, message: &Message) {
        if let Some(relayed) = self.relay.take(Instant::now(), message) {
            (self.handler)(relayed);
        }
    }
}

/// The next message of a subscription; none when there is none, and then for ever.
async fn next(subscriber: &mut Option<Subscriber>) -> Option<Message> {
    subscriber.as_mut()?.next().await
}

/// What a message tells; none when it cannot be read, or tells of another mud than its subject says.
fn read(network: &str, message: &Message) -> Option<Told> {
    let told: Told = serde_json::from_slice(&message.payload).ok()?;
    let state = &told.state;
    let fits =
        state.mud.len() <= NAME_BYTES && state.channels.len() <= CHANNELS && state.provider.len() <= CHANNELS;
    (fits && is_genuine(message, &links_subject(network, &state.mud))).then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_tells_of_its_own_mud_alone() {
        let payload = br#"{"mud":"My Mud","connected":false}"#;
        let read = |subject: &str, payload: &[u8]| {
            let (subject, payload) = (subject.to_owned().into(), payload.to_vec().into());
            let (status, description, reply, headers) = (None, None, None, None);
            read("*test", &Message { subject, reply, payload, headers, status, description, length: 0 })
        };
        let subject = links_subject("*test", "My Mud");
        let state = LinkState { mud: "My Mud".into(), ..LinkState::default() };
        let told = Told { state, ..Told::default() };
        assert_eq!(read(&subject, payload), Some(told));
        assert_eq!(read(&links_subject("*test", "Other"), payload), None);
        assert_eq!(read(&links_subject("*other", "My Mud"), payload), None);
        assert_eq!(read(&subject, b"{}"), None);
    }
}
