//! What the gateway does: channels, tells, and the lists of muds and channels.

mod directory;
mod history;
mod inbound;
pub mod lists;
pub mod packets;
mod policy;
mod presence;

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use intermud3::Packet;
use intermud3::packet::{Body, ErrorPacket, Mudlist};
use intermud3::text::clean;
use jiff::Timestamp;
use tokio::sync::{broadcast, watch};

use directory::Change;
pub use directory::{Channel, Directory, MudInfo};
pub use history::{History, Said};
pub use packets::Question;
pub use policy::{NoPattern, Pattern, Policy};
pub use presence::{Presence, Rejected, User};

use crate::bus::{ChannelEvent, ChannelKind, ChannelMessage, EchoFilter, Path, Publisher};
use crate::hub::{Addressed, EmoteTarget, Event, Hub, Trouble};
use crate::router::{Accepted, Class, Full, LinkEvent, LinkListener, RouterHandle, SessionStatus};
use crate::sync::lock;

/// The bus as the services see it.
pub struct BusLink {
    /// The way to other gateways.
    pub publisher: Publisher,
    /// Whether the bus is there.
    pub connected: watch::Receiver<bool>,
}

/// Everything between the router, the bus and the clients.
pub struct Services {
    /// The clients.
    pub hub: Hub,
    mud: String,
    configured: HashSet<String>,
    policy: Policy,
    router: RouterHandle,
    bus: Option<BusLink>,
    directory: Mutex<Directory>,
    echoes: Mutex<EchoFilter>,
    history: Mutex<History>,
    presence: Mutex<Presence>,
    ignored: AtomicU64,
    replies: broadcast::Sender<Event>,
    /// When the router last accepted us.
    established: Mutex<Option<Instant>>,
    /// Channels we have told the router to switch off, since it last accepted us.
    switched_off: Mutex<HashSet<String>>,
}

/// The most channels remembered as switched off.
const SWITCHED_OFF: usize = 1000;

/// How many answers may wait for one who waits for them.
const REPLIES: usize = 256;

/// After a registration the router tells all muds it knows, bit by bit, for some seconds.
const LISTS_SETTLE: Duration = Duration::from_secs(15);

/// What the services are told at the start.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Our mud's name.
    pub mud: String,
    /// The epoch of the events' positions.
    pub epoch: u64,
    /// Channels that are always on.
    pub channels: Vec<String>,
    /// The rules for what comes in and goes out.
    pub policy: Policy,
    /// How many messages of each channel are remembered.
    pub history: usize,
}

impl Services {
    /// The services of one mud.
    pub fn new(setup: Setup, router: RouterHandle, bus: Option<BusLink>) -> Self {
        Self {
            hub: Hub::new(&setup.mud, setup.epoch),
            mud: setup.mud,
            configured: setup.channels.into_iter().collect(),
            policy: setup.policy,
            router,
            bus,
            directory: Mutex::default(),
            echoes: Mutex::default(),
            history: Mutex::new(History::new(setup.history)),
            presence: Mutex::default(),
            ignored: AtomicU64::new(0),
            replies: broadcast::Sender::new(REPLIES),
            established: Mutex::default(),
            switched_off: Mutex::default(),
        }
    }

    /// Our mud's name.
    pub fn mud(&self) -> &str {
        &self.mud
    }

    /// How the router session is.
    pub fn router_status(&self) -> SessionStatus {
        self.router.status()
    }

    /// How many packets wait for the router.
    pub fn waiting(&self) -> usize {
        self.router.waiting()
    }

    /// Whether clients are served usefully: the router is there, or other hosted muds can be reached by the bus.
    pub fn is_ready(&self) -> bool {
        self.router.status().is_connected() || self.bus_connected() == Some(true)
    }

    /// Whether the bus is there; none in standalone mode.
    pub fn bus_connected(&self) -> Option<bool> {
        self.bus.as_ref().map(|bus| *bus.connected.borrow())
    }

    /// The bus in a word, for health.
    pub fn bus_state(&self) -> &'static str {
        match self.bus_connected() {
            None => "none",
            Some(true) => "connected",
            Some(false) => "disconnected",
        }
    }

    /// The known muds, sorted by name.
    pub fn muds(&self) -> Vec<MudInfo> {
        lock(&self.directory).muds()
    }

    /// The rules for what comes in and goes out.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How much was dropped because of whom it came from.
    pub fn ignored(&self) -> u64 {
        self.ignored.load(Ordering::Relaxed)
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

    /// Takes what our mud tells of its users, in place of what it told before; returns how many they are.
    ///
    /// # Errors
    /// [`Rejected`] when anything is wrong with it.
    pub fn sync_presence(&self, users: Vec<User>) -> Result<usize, Rejected> {
        lock(&self.presence).replace(Instant::now(), users)
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

    /// The ids of the last mudlist and the last channel list.
    pub fn list_ids(&self) -> (i64, i64) {
        lock(&self.directory).ids()
    }

    /// Opens a new session with the router in place of the present one.
    pub fn reconnect(&self) {
        self.router.reconnect();
    }

    /// The known channels, sorted by name.
    pub fn channels(&self) -> Vec<Channel> {
        lock(&self.directory).channels()
    }

    /// Says or does something on a channel: to the router, and at the same time to the provider's other muds by
    /// the bus.
    ///
    /// # Errors
    /// [`Full`] when too much waits for the router; nothing was said then.
    pub async fn say(
        &self,
        kind: ChannelKind,
        channel: &str,
        user: &str,
        visname: &str,
        message: &str,
    ) -> Result<Accepted, Full> {
        let (visname, message) = (clean(visname), clean(message));
        let packet = packets::channel(kind, &self.mud, user, channel, &visname, &message);
        let accepted = self.router.send(packet, Class::Channel).await?;
        if let Some(bus) = &self.bus {
            let message = ChannelMessage {
                mud: self.mud.clone(),
                user: user.to_owned(),
                channel: channel.to_owned(),
                kind,
                visname: visname.into_owned(),
                message: message.into_owned(),
            };
            if !bus.publisher.publish(ChannelEvent { id: uuid::Uuid::new_v4().to_string(), message }) {
                tracing::warn!(channel, "the bus cannot keep up: a message goes by the router alone");
            }
        }
        Ok(accepted)
    }

    /// Tells a user of another mud something, or does something to one.
    ///
    /// # Errors
    /// [`Full`] when too much waits for the router.
    pub async fn tell(
        &self,
        emote: bool,
        user: &str,
        target_mud: &str,
        target_user: &str,
        message: &str,
    ) -> Result<Accepted, Full> {
        let between = packets::Between { mud: &self.mud, user, target_mud, target_user };
        self.router.send(packets::tell(between, emote, message), Class::Direct).await
    }

    /// Asks another mud something; the answer comes as an event.
    ///
    /// # Errors
    /// [`Full`] when too much waits for the router.
    pub async fn ask(&self, user: &str, target_mud: &str, question: Question<'_>) -> Result<Accepted, Full> {
        self.router.send(packets::question(&self.mud, user, target_mud, question), Class::Direct).await
    }

    /// Asks every mud whether a user is there; the answers come as events.
    ///
    /// # Errors
    /// [`Full`] when too much waits for the router.
    pub async fn locate(&self, user: &str, username: &str) -> Result<Accepted, Full> {
        self.router.send(packets::locate(&self.mud, user, username), Class::Direct).await
    }

    /// The answers of other muds and errors from now on, for who waits for one. Who is slow loses the oldest.
    pub fn replies(&self) -> broadcast::Receiver<Event> {
        self.replies.subscribe()
    }

    /// Whether the mudlist says that a mud is not there now: then it swallows all that is sent to it.
    pub fn is_down(&self, mud: &str) -> bool {
        lock(&self.directory).is_down(mud)
    }

    /// Switches a channel on at the router. While there is no session nothing is needed: the registration does it.
    pub fn listen(&self, channel: &str) {
        lock(&self.switched_off).remove(channel);
        self.switch(channel, true);
    }

    /// Switches a channel off at the router when no client is on it any more and it is not configured.
    pub fn unlisten_if_unused(&self, channel: &str) {
        if !self.is_wanted(channel) {
            self.switch(channel, false);
        }
    }

    /// Handles a channel event of another hosted mud, or the copy of one of our own.
    pub fn on_bus(&self, event: ChannelEvent) {
        if self.policy.ignores_user(&event.message.user, &event.message.mud) {
            self.ignored.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.deliver(Path::Bus, event.message, None);
    }

    /// The lists as packets, to be kept; none when nothing has changed since the last call.
    pub(crate) fn changed_lists(&self) -> Option<[Packet; 2]> {
        lock(&self.directory).take_changed()
    }

    /// Takes a list that was kept.
    pub(crate) fn restore_list(&self, kept: Packet) {
        lock(&self.directory).restore(kept);
    }

    fn on_established(&self) {
        if let Some(router) = self.router.status().router {
            lock(&self.directory).use_router(&router);
        }
        lock(&self.switched_off).clear();
        *lock(&self.established) = Some(Instant::now());
        let mut wanted: Vec<_> = self.hub.channels().union(&self.configured).cloned().collect();
        wanted.sort();
        for channel in wanted {
            self.switch(&channel, true);
        }
        self.hub.publish(Event::reconnected());
    }

    fn on_packet(&self, packet: Packet) {
        let from_router = self.router.status().router.as_deref() == Some(packet.header.origin_mud.as_str());
        if !from_router && self.policy.ignores(&packet.header) {
            self.ignored.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let Some((said, target)) = inbound::channel_message(&packet) {
            self.switch_off_unwanted(&said.channel);
            self.deliver(Path::Router, said, target);
        } else if let Some(event) = inbound::event(&self.mud, &packet) {
            // Nobody waiting for an answer is no error.
            let _ = self.replies.send(event.clone());
            self.hub.publish(event);
        } else {
            self.on_other(packet);
        }
    }

    fn on_other(&self, packet: Packet) {
        let for_us = packet.header.target_mud.as_deref() == Some(self.mud.as_str());
        let ours = packet.header.origin_mud == self.mud;
        match packet.body {
            Body::Mudlist(list) => self.on_mudlist(list),
            Body::ChanlistReply(list) => lock(&self.directory).merge_channels(list),
            Body::Error(_) => {}
            // A search is for every mud, and comes back to us too when it is our own.
            Body::LocateReq(_) if !ours => self.answer(&packet),
            // Other broadcasts, such as ucache-update, need no answer.
            _ if for_us => self.answer(&packet),
            _ => {}
        }
    }

    /// Answers a request, or says that it is not served here.
    fn answer(&self, packet: &Packet) {
        let presence = lock(&self.presence);
        let users = presence.users(Instant::now()).unwrap_or_default();
        let answer = packets::answer(&self.mud, packet, users, |channel| self.is_wanted(channel));
        drop(presence);
        let needed = !matches!(packet.body, Body::LocateReq(_));
        let refusal = || {
            let message = format!("{} is not served here", packet.kind());
            packets::error(&self.mud, packet, ErrorPacket::UNK_TYPE, &message)
        };
        if let Some(answer) = answer.or_else(|| needed.then(refusal)) {
            self.router.post(answer, Class::Direct);
        }
    }

    fn on_mudlist(&self, list: Mudlist) {
        // The whole list comes after each registration: only what changes later is news.
        let settled = lock(&self.established).is_some_and(|since| since.elapsed() >= LISTS_SETTLE);
        let changes = lock(&self.directory).merge_muds(list);
        for change in changes {
            match change {
                Change::Online { mud, known } if known || settled => self.hub.publish(Event::mud_online(mud)),
                Change::Online { .. } => {}
                Change::Offline { mud } => self.hub.publish(Event::mud_offline(mud)),
            }
        }
    }

    /// Delivers one copy of a channel message, unless its twin was delivered before.
    fn deliver(&self, path: Path, said: ChannelMessage, target: Option<EmoteTarget>) {
        if !lock(&self.echoes).admit(Instant::now(), path, &said) {
            return;
        }
        lock(&self.history).record(Said { message: said.clone(), at: now_in_microseconds() });
        self.hub.publish(Event::said(said, target));
    }

    fn on_expired(&self, packet: &Packet) {
        let message = format!("the router was away too long, so a {} was not sent", packet.kind());
        let to = Addressed {
            from_mud: self.mud.clone(),
            to_mud: self.mud.clone(),
            to_user: packet.header.origin_user.clone().unwrap_or_default(),
        };
        self.hub.publish(Event::Error(Trouble::new("not-sent", &message, to)));
    }

    /// Subscriptions outlive connections at the router (dead-souls-router rule 16): what comes unwanted is
    /// switched off, once.
    fn switch_off_unwanted(&self, channel: &str) {
        if self.is_wanted(channel) {
            return;
        }
        let mut switched_off = lock(&self.switched_off);
        if switched_off.len() < SWITCHED_OFF && switched_off.insert(channel.to_owned()) {
            self.switch(channel, false);
        }
    }

    fn is_wanted(&self, channel: &str) -> bool {
        self.configured.contains(channel) || self.hub.anyone_on(channel)
    }

    fn switch(&self, channel: &str, on: bool) {
        let status = self.router.status();
        if let (true, Some(router)) = (status.is_connected(), status.router) {
            self.router.post(packets::channel_listen(&self.mud, &router, channel, on), Class::Control);
        }
    }
}

/// The time as clients are told it, so that what they ask for by time is what they were told.
impl LinkListener for Services {
    fn on_link(&self, event: LinkEvent) {
        match event {
            LinkEvent::Established => self.on_established(),
            LinkEvent::Packet(packet) => self.on_packet(packet),
            LinkEvent::Expired(packet) => self.on_expired(&packet),
        }
    }

    fn list_ids(&self, router: &str) -> (i64, i64) {
        lock(&self.directory).ids_of(router)
    }
}

fn now_in_microseconds() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

#[cfg(test)]
mod tests;
