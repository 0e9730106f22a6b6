//! Relays: while the link of a hosted mud is down, another hosted mud passes on to it what muds elsewhere say.
//!
//! What hosted muds say is in the stream of the channels. Of what was said in the last seconds a relay tells all again
//! whenever a mud comes to need it: nothing is lost between the end of a link and the start of the relaying, or when
//! one relay takes the place of another. Whoever listens swallows what it has heard already.

mod election;
mod recent;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::{Client, Message, SubscribeError, Subscriber};
use mudgateway_crds::bus::{relay_filter, relay_subject};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use election::Election;
use recent::Recent;

use super::direct::Direct;
use super::event::ChannelMessage;
use super::genuine::is_stored;
use super::links::{LinkState, LinkStates};
use super::mailbox::Refusal;
use crate::allowance::Allowance;
use crate::metrics::{Direction, Metrics};
use crate::mud::NAME_BYTES;
use crate::supervise::Supervisor;
use crate::sync::lock;

/// How many messages may wait to be relayed.
const QUEUE: usize = 1024;

/// How many messages of one relay are taken in a second: those of the last seconds come at once.
const EACH_SECOND: u32 = 1000;

/// The largest payload that is relayed, in bytes; NATS takes none over 1 MiB.
const PAYLOAD: usize = 256 * 1024;

/// What a mud elsewhere said, as another hosted mud heard it. The value on [`relay_subject`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relayed {
    /// The mud that relays it.
    pub relay: String,
    /// The process that relays it.
    pub by: u64,
    /// Its number with that process: the same number is the same message.
    pub number: u64,
    /// How long ago the relay heard it, in milliseconds.
    pub age: u64,
    /// The message.
    #[serde(flatten)]
    pub message: ChannelMessage,
}

/// Relays to others, and takes what others relay.
#[derive(Clone)]
pub struct Relay {
    client: Client,
    network: String,
    mud: String,
    by: u64,
    metrics: Arc<Metrics>,
    states: Arc<Mutex<LinkStates>>,
    ours: Arc<Mutex<Ours>>,
    allowance: Arc<Mutex<Allowance>>,
    queue: mpsc::Sender<(Instant, Relayed)>,
}

#[derive(Default)]
struct Ours {
    election: Election,
    recent: Recent,
    /// From when on we hear. What was said before another process of our mud may have heard.
    horizon: Option<Instant>,
}

impl Ours {
    /// Whether what was said then may have been heard.
    fn may_be_heard(&self, said: Instant) -> bool {
        self.horizon.is_some_and(|since| said < since)
    }
}

impl Relay {
    /// The relay of the mud whose packets go this way. It publishes until `stop`.
    pub fn start(direct: &Direct, by: u64, supervisor: &Supervisor, stop: CancellationToken) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let relay = Self {
            client: direct.client.clone(),
            network: direct.network.clone(),
            mud: direct.mud.clone(),
            by,
            metrics: Arc::clone(&direct.metrics),
            states: Arc::clone(&direct.links),
            ours: Arc::default(),
            allowance: Arc::new(Mutex::new(Allowance::new(EACH_SECOND))),
            queue,
        };
        let (poster, direct) = (relay.clone(), direct.clone());
        supervisor.spawn("relay", async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = poster.post_all(waiting, &direct) => {}
            }
        });
        relay
    }

    /// Offers what the router brought: it goes to the muds that need it, if we are the one to relay it.
    pub fn offer(&self, now: Instant, said: &ChannelMessage) {
        if !self.is_of_elsewhere(now, said) {
            return;
        }
        let mut ours = lock(&self.ours);
        let number = ours.recent.add(now, said);
        if ours.election.relays(&said.channel) {
            self.send(now, now, number, said.clone());
        }
    }

    /// Elects anew who relays what.
    pub fn decide(&self, now: Instant, us: &LinkState, states: &LinkStates) {
        let mut ours = lock(&self.ours);
        let again = ours.election.decide(now, us, states);
        for channel in again {
            tracing::debug!(channel, "relaying");
            for (heard, number, said) in ours.recent.of(now, &channel) {
                self.send(now, heard, number, said.clone());
            }
        }
        self.metrics.relay.serves(ours.election.count());
    }

    /// Relays nothing: another process of our mud holds the session.
    pub fn resign(&self) {
        let mut ours = lock(&self.ours);
        ours.election.resign();
        self.metrics.relay.serves(0);
    }

    /// This process comes to hold the session. `complete`: it knows all that the one before has heard, so that what is told
    /// again is either no news or was missed.
    pub fn begin(&self, now: Instant, complete: bool) {
        lock(&self.ours).horizon = (!complete).then_some(now);
    }

    /// Whether others need to know soon that we are well.
    pub fn is_near(&self) -> bool {
        lock(&self.ours).election.is_near()
    }

    /// Listens to what others relay.
    ///
    /// # Errors
    /// [`SubscribeError`] when the connection has ended.
    pub async fn subscribe(&self) -> Result<Subscriber, SubscribeError> {
        self.client.subscribe(relay_filter(&self.network)).await
    }

    /// What another mud relays to us; none when it is not to be heard.
    pub fn take(&self, now: Instant, message: &Message) -> Option<Relayed> {
        let relayed = match self.read(now, message) {
            Ok(relayed) => relayed,
            Err(refusal) => {
                self.metrics.relay.refused(refusal);
                tracing::debug!(reason = refusal.as_str(), "refused what was relayed");
                return None;
            }
        };
        let said = now.checked_sub(Duration::from_millis(relayed.age)).unwrap_or(now);
        if relayed.relay == self.mud || lock(&self.ours).may_be_heard(said) {
            return None;
        }
        self.metrics.relay.relayed(Direction::In);
        Some(relayed)
    }

    fn read(&self, now: Instant, message: &Message) -> Result<Relayed, Refusal> {
        if is_stored(message.headers.as_ref()) {
            return Err(Refusal::Origin);
        }
        let relayed: Relayed = serde_json::from_slice(&message.payload).map_err(|_| Refusal::Unreadable)?;
        let expected = relay_subject(&self.network, &relayed.message.channel, &relayed.relay);
        let fits = *expected == *message.subject && relayed.relay.len() <= NAME_BYTES;
        if !fits || !self.is_of_elsewhere(now, &relayed.message) {
            return Err(Refusal::Origin);
        }
        if lock(&self.allowance).admit(now, &relayed.relay) { Ok(relayed) } else { Err(Refusal::Rate) }
    }

    /// Whether a message is of a mud that no gateway of the provider serves. A router's name begins with `*`.
    fn is_of_elsewhere(&self, now: Instant, said: &ChannelMessage) -> bool {
        let mud = said.mud.as_str();
        mud != self.mud && !mud.starts_with('*') && !lock(&self.states).is_hosted(now, mud)
    }

    fn send(&self, now: Instant, heard: Instant, number: u64, message: ChannelMessage) {
        let age = u64::try_from(now.duration_since(heard).as_millis()).unwrap_or(u64::MAX);
        let relayed = Relayed { relay: self.mud.clone(), by: self.by, number, age, message };
        if self.queue.try_send((now, relayed)).is_err() {
            self.metrics.relay.dropped();
        }
    }

    async fn post_all(&self, mut waiting: mpsc::Receiver<(Instant, Relayed)>, direct: &Direct) {
        while let Some((sent, mut relayed)) = waiting.recv().await {
            relayed.age += u64::try_from(sent.elapsed().as_millis()).unwrap_or(u64::MAX);
            let subject = relay_subject(&self.network, &relayed.message.channel, &self.mud);
            // Texts and numbers can always be written. What comes when the bus is back comes too late.
            let payload = serde_json::to_vec(&relayed).unwrap_or_default();
            if payload.len() > PAYLOAD || !direct.is_connected() {
                self.metrics.relay.dropped();
                continue;
            }
            match self.client.publish(subject, payload.into()).await {
                Ok(()) => self.metrics.relay.relayed(Direction::Out),
                Err(error) => tracing::debug!(%error, "cannot relay a channel message"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_before_we_began_without_knowing_all_may_be_heard() {
        let now = Instant::now();
        let before = now.checked_sub(Duration::from_secs(1)).unwrap();
        assert!(!Ours::default().may_be_heard(before));
        let ours = Ours { horizon: Some(now), ..Ours::default() };
        assert!(ours.may_be_heard(before) && !ours.may_be_heard(now));
    }
}
