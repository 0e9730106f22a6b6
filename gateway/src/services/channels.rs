//! Channels: what is said and heard on them, and which are switched on at the router.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use intermud3::text::clean;
use jiff::Timestamp;

use super::copies::Copies;
use super::{BusLink, Said, Services};
use crate::bus::{ChannelEvent, ChannelKind, ChannelMessage, EmoteTarget, Path, Scope, StreamPlace, Wanted};
use crate::hub::SaidCopy;
use crate::metrics::{Copy, Direction};
use crate::packets;
use crate::router::{Accepted, Class, NotAccepted};
use crate::sync::lock;

/// The most channels remembered as switched off.
const SWITCHED_OFF: usize = 1000;

/// After a registration the router tells all muds it knows, bit by bit, for some seconds.
const LISTS_SETTLE: Duration = Duration::from_secs(15);

/// What is configured about a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configured {
    /// How far it reaches.
    pub scope: Scope,
    /// Whether we are on it from the start; else while a client is.
    pub listen: bool,
    /// Whether clients are on it without having joined.
    pub subscribe: bool,
}

impl From<Scope> for Configured {
    fn from(scope: Scope) -> Self {
        Self { scope, listen: true, subscribe: false }
    }
}

/// What there is to know since the router last accepted us.
#[derive(Debug, Default)]
pub(super) struct Registered {
    since: Option<Instant>,
    /// Channels we have told the router to switch off.
    switched_off: HashSet<String>,
}

impl Registered {
    /// The router has just accepted us.
    pub fn at(now: Instant) -> Self {
        Self { since: Some(now), switched_off: HashSet::new() }
    }

    /// Whether the router has told all the muds it knew.
    pub fn has_settled(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.duration_since(since) >= LISTS_SETTLE)
    }

    /// Whether a channel is to be switched off; once.
    fn switches_off(&mut self, channel: &str) -> bool {
        self.switched_off.len() < SWITCHED_OFF && self.switched_off.insert(channel.to_owned())
    }
}

impl Services {
    /// Says or does something on a channel: to the router, and at the same time to the provider's other muds by
    /// the bus.
    ///
    /// # Errors
    /// [`NotAccepted`]; nothing was said then.
    pub async fn say(&self, said: ChannelMessage) -> Result<Accepted, NotAccepted> {
        let said = cleaned(said);
        if self.scope(&said.channel) == Scope::Provider {
            return self.say_to_provider(said).await;
        }
        let accepted = self.router.send(packets::channel(&said), Class::Channel).await?;
        self.metrics.channels.message(Direction::Out, self.configured.contains_key(&said.channel));
        if let Some(bus) = &self.bus
            && let Err(reason) = bus.publisher.publish(ChannelEvent::new(said, Scope::Network))
        {
            tracing::warn!(%reason, "a channel message goes by the router alone");
        }
        Ok(accepted)
    }

    /// The last messages of a channel between two times, oldest first.
    pub fn history(
        &self,
        channel: &str,
        limit: usize,
        after: Option<Timestamp>,
        before: Option<Timestamp>,
    ) -> Vec<Said> {
        lock(&self.history).of(channel, limit, after, before)
    }

    /// Who of our users is on a channel: all that are there, when any client of ours is on it.
    pub fn users_on(&self, channel: &str) -> Vec<String> {
        if !self.is_wanted(channel) {
            return Vec::new();
        }
        let presence = lock(&self.presence);
        let users = presence.users(Instant::now()).unwrap_or_default();
        users.iter().map(|user| user.name.clone()).collect()
    }

    /// Switches a channel on at the router. While there is no session nothing is needed: the registration does it.
    pub fn listen(&self, channel: &str) {
        if self.scope(channel) == Scope::Network {
            lock(&self.registered).switched_off.remove(channel);
            self.switch(channel, true);
        }
    }

    /// Switches a channel off at the router when no client is on it any more, unless we are always on it.
    pub fn unlisten_if_unused(&self, channel: &str) {
        if !self.is_wanted(channel) {
            self.switch(channel, false);
        }
    }

    /// Handles a channel event of another hosted mud, or the copy of one of our own, from a place in the stream.
    pub fn on_bus(&self, place: StreamPlace, event: ChannelEvent) {
        self.reached(Some(place));
        if self.scope(&event.message.channel) != event.scope {
            return;
        }
        if self.policy().ignores_user(&event.message.user, &event.message.mud) {
            self.ignored.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.deliver(Path::Bus, Some(place), event.message);
    }

    /// Handles a channel message that the router brought. A channel of the provider's is another one than that of the
    /// network with the same name.
    pub(super) fn on_channel_message(&self, said: ChannelMessage) {
        self.switch_off_unwanted(&said.channel);
        if self.scope(&said.channel) == Scope::Network {
            self.deliver(Path::Router, None, said);
        }
    }

    /// Delivers one copy of a channel message, unless its twin was delivered before.
    pub(super) fn deliver(&self, path: Path, stream: Option<StreamPlace>, message: ChannelMessage) {
        if !self.leads() {
            // Another process decides about the copies now.
            return;
        }
        // Held to the end: the log has the copies in the order in which they were decided about.
        let mut copies = lock(&self.copies);
        let hosted = self.comes_by_bus(&message.mud);
        for (path, message) in copies.take(Instant::now(), path, message, hosted) {
            self.decide_copy(&mut copies, path, stream.filter(|_| path == Path::Bus), message);
        }
    }

    /// Delivers what waited in vain for its twin by the bus.
    pub(super) fn deliver_late(&self, now: Instant) {
        let mut copies = lock(&self.copies);
        for (path, message) in copies.late(now) {
            self.decide_copy(&mut copies, path, None, message);
        }
    }

    /// Whether what a mud says comes by the bus, too.
    fn comes_by_bus(&self, mud: &str) -> bool {
        let hosted = |bus: &BusLink| mud == self.mud || bus.direct.is_hosted(mud);
        self.bus.as_ref().is_some_and(|bus| *bus.connected.borrow() && hosted(bus))
    }

    /// Decides about a copy, and tells it if it is the first.
    fn decide_copy(
        &self,
        copies: &mut Copies,
        path: Path,
        stream: Option<StreamPlace>,
        message: ChannelMessage,
    ) {
        if !self.leads() {
            return;
        }
        let at = now_in_microseconds();
        let delivered = copies.admit(Instant::now(), path, &message);
        self.metrics.channels.copy(path, if delivered { Copy::Delivered } else { Copy::Swallowed });
        if delivered {
            self.metrics.channels.message(Direction::In, self.configured.contains_key(&message.channel));
            lock(&self.history).record(Said { message: message.clone(), at });
        }
        let only = path == Path::Bus && self.is_by_bus_alone(&message);
        self.hub.publish_copy(at, SaidCopy { path, stream, only, delivered, message });
    }

    /// Whether the router is not told what comes by the bus: of a channel of the provider's, or while the speaker's link is
    /// down.
    fn is_by_bus_alone(&self, said: &ChannelMessage) -> bool {
        let is_cut = || self.bus.as_ref().is_some_and(|bus| bus.direct.is_cut(&said.mud));
        self.scope(&said.channel) == Scope::Provider || is_cut()
    }

    /// Subscriptions outlive connections at the router (dead-souls-router rule 16): what comes unwanted is
    /// switched off, once.
    pub(super) fn switch_off_unwanted(&self, channel: &str) {
        if self.is_wanted_of_router(channel) {
            return;
        }
        let mut registered = lock(&self.registered);
        if registered.switches_off(channel) {
            self.switch(channel, false);
        }
    }

    pub(super) fn is_wanted(&self, channel: &str) -> bool {
        self.is_always_on(channel) || self.hub.anyone_on(channel)
    }

    /// Whether we are on a channel though no client is.
    pub(super) fn is_always_on(&self, channel: &str) -> bool {
        self.configured.get(channel).is_some_and(|configured| configured.listen)
    }

    /// Whether the router is to send us what is said on a channel.
    pub(super) fn is_wanted_of_router(&self, channel: &str) -> bool {
        self.scope(channel) == Scope::Network && self.is_wanted(channel)
    }

    /// The channels we are on.
    pub fn wanted(&self) -> Wanted {
        let always = self.configured.keys().filter(|channel| self.is_always_on(channel)).cloned();
        let all = self.hub.channels().into_iter().chain(always);
        let (network, provider) = all.partition(|channel| self.scope(channel) == Scope::Network);
        Wanted { network, provider }
    }

    pub(super) fn switch(&self, channel: &str, on: bool) {
        let status = self.router.status();
        if let (true, Some(router)) = (status.is_connected(), status.router) {
            self.router.post(packets::channel_listen(&self.mud, &router, channel, on), Class::Control);
        }
    }
}

/// A message as the router passes it on, so that its copy by the bus is the same: no control characters, a name
/// to show (dead-souls-router rule 19), and a speaker in every emote (rule 18). A target to whom nothing else is said
/// sees what all see.
fn cleaned(said: ChannelMessage) -> ChannelMessage {
    let text = |text: &str| clean(text).into_owned();
    let or_else = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
    let mut message = text(&said.message);
    if said.kind == ChannelKind::Emote && !message.contains("$N") {
        message = format!("$N {message}");
    }
    let seen = |target: &str| or_else(text(target), &message);
    let target = said.target.map(|target| EmoteTarget {
        target_visname: or_else(text(&target.target_visname), &target.target_user),
        target_user: target.target_user.to_lowercase(),
        message_target: seen(&target.message_target),
        ..target
    });
    ChannelMessage { visname: or_else(text(&said.visname), &said.user), message, target, ..said }
}

/// The time as clients are told it, so that what they ask for by time is what they were told.
fn now_in_microseconds() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
