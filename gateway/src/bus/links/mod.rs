//! What the gateways of one provider tell each other of their muds: whether the link to the router is up, on which
//! channels they are, and whether others are to relay these to them.

mod states;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use async_nats::{Message, Subscriber};
use futures::StreamExt;
use mudgateway_crds::bus::{links_filter, links_subject};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

pub use states::{LinkState, LinkStates};

use super::direct::{Direct, NAME};
use super::genuine::is_genuine;
use super::lock::{Duty, Holding};
use super::relay::{Relay, Relayed};
use crate::router::SessionStatus;
use crate::supervise::Supervisor;
use crate::sync::lock;

/// How often we look at how things are.
const LOOK: Duration = Duration::from_millis(250);

/// How often we tell others how our mud is, so that who has just come hears of it.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// The same while others may need to know soon that it is not so any more.
const TOLD_OFTEN: Duration = Duration::from_secs(1);

/// After a registration the router has yet to be told which channels we want. So long others go on relaying them.
const ARRIVING: Duration = Duration::from_secs(5);

/// The most channels of each kind we tell of.
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
    /// What we told last, and when.
    told: Option<(Instant, LinkState)>,
    /// Since when our link is up.
    up_since: Option<Instant>,
    /// Whether somebody has come who has yet to hear of us.
    newcomer: bool,
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
            told: None,
            up_since: None,
            newcomer: false,
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
            loop {
                tokio::select! {
                    state = states.next() => match state {
                        Some(state) => self.on_link_state(&state),
                        None => break,
                    },
                    Some(relayed) = next(&mut self.relayed) => self.on_relayed(&relayed),
                    changed = self.status.changed() => if changed.is_err() { return },
                    _ = look.tick() => {}
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
            (self.told, self.relayed, self.up_since) = (None, None, None);
            return;
        }
        let us = self.us(now, duty);
        self.listen(us.relay).await;
        self.relay.decide(now, &us, &lock(&self.direct.links));
        if self.direct.is_connected() && self.is_due(now, &us) {
            self.tell(&us).await;
            self.newcomer = false;
            self.told = Some((now, us));
        }
    }

    /// How our mud is.
    fn us(&mut self, now: Instant, duty: Duty) -> LinkState {
        let connected = self.status.borrow_and_update().is_connected();
        self.up_since = if connected { self.up_since.or(Some(now)) } else { None };
        let arriving = self.up_since.is_none_or(|since| now.duration_since(since) < ARRIVING);
        let Wanted { network, provider } = (self.wanted)();
        let short = |names: BTreeSet<String>| -> BTreeSet<String> {
            names.into_iter().filter(|name| name.len() <= NAME).take(CHANNELS).collect()
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

    fn is_due(&self, now: Instant, us: &LinkState) -> bool {
        let often = us.relay || self.relay.is_near();
        let every = if often { TOLD_OFTEN } else { TOLD_EVERY };
        let every = if self.newcomer { LOOK } else { every };
        self.told.as_ref().is_none_or(|(told, before)| before != us || now.duration_since(*told) >= every)
    }

    async fn tell(&self, us: &LinkState) {
        let Direct { client, network, mud, .. } = &self.direct;
        // Texts and booleans can always be written.
        let payload = serde_json::to_vec(us).unwrap_or_default();
        if let Err(error) = client.publish(links_subject(network, mud), payload.into()).await {
            tracing::debug!(%error, "cannot tell others of our link");
        }
    }

    fn on_link_state(&mut self, message: &Message) {
        match read(&self.direct.network, message) {
            Some(state) if state.mud != self.direct.mud => {
                let (mud, connected, now) = (state.mud.clone(), state.connected, Instant::now());
                let mut links = lock(&self.direct.links);
                self.newcomer |= !links.is_hosted(now, &mud);
                if links.told(now, state) {
                    tracing::debug!(mud, connected, "the link of another mud");
                }
            }
            Some(_) => {}
            None => tracing::debug!(subject = %message.subject, "ignored a link state that cannot be read"),
        }
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
fn read(network: &str, message: &Message) -> Option<LinkState> {
    let state: LinkState = serde_json::from_slice(&message.payload).ok()?;
    let fits =
        state.mud.len() <= NAME && state.channels.len() <= CHANNELS && state.provider.len() <= CHANNELS;
    (fits && is_genuine(message, &links_subject(network, &state.mud))).then_some(state)
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
        let told = LinkState { mud: "My Mud".into(), ..LinkState::default() };
        assert_eq!(read(&subject, payload), Some(told));
        assert_eq!(read(&links_subject("*test", "Other"), payload), None);
        assert_eq!(read(&links_subject("*other", "My Mud"), payload), None);
        assert_eq!(read(&subject, b"{}"), None);
    }
}
