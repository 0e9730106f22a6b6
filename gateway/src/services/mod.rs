//! What the gateway does: channels, tells, and the lists of muds and channels.

mod carry;
mod channels;
mod complaints;
mod copies;
mod directory;
mod filter;
mod following;
mod history;
mod in_step;
mod inbound;
pub mod kept;
pub mod lists;
mod now;
mod owned;
mod policy;
mod presence;
mod provider;
mod questions;
mod relay;
pub mod replica;
mod ucache;
pub mod useless;
pub mod users;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use intermud3::Packet;
use intermud3::packet::{Body, MudEntry, Mudlist};
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc, watch};

pub use channels::Configured;
use channels::Registered;
use complaints::Complaints;
use copies::Copies;
use directory::Change;
pub use directory::{Channel, Counts, Directory, MudInfo};
use filter::FilterDesk;
pub use filter::{Decision, FilterDefault};
pub use following::Followed;
use following::Following;
pub use history::{History, Said};
pub use owned::ChannelError;
pub use policy::{NoPattern, Pattern, Policy};
pub use presence::{Presence, Rejected};
use ucache::{Announced, UserCache};

use crate::allowance::Allowance;
pub use crate::bus::Scope;
use crate::bus::lock::Duty;
use crate::bus::{Direct, Path, Publisher, Relay, StreamPlace, Writes};
use crate::hub::{Addressed, Event, Hub, Outgoing, SESSION_CHANNELS, Trouble};
use crate::metrics::Metrics;
use crate::mud::SessionStatus;
use crate::oob::{Oob, Rules};
use crate::router::{LinkEvent, LinkListener, RouterHandle};
use crate::sync::lock;

/// How many requests of one mud are answered in a second. More than ten packets a second, and a router ignores us.
const ANSWERS: u32 = 5;

/// The bus as the services see it.
pub struct BusLink {
    /// The way to other gateways.
    pub publisher: Publisher,
    /// The way of packets to one other hosted mud.
    pub direct: Direct,
    /// The way to hosted muds whose link is down, for what others say.
    pub relay: Relay,
    /// Whether the bus is there.
    pub connected: watch::Receiver<bool>,
    /// How it takes what is written there.
    pub writes: Writes,
    /// The way to the other processes of the mud.
    pub outgoing: mpsc::Sender<Outgoing>,
}

/// Everything between the router, the bus and the clients.
pub struct Services {
    /// The clients.
    pub hub: Hub,
    /// Mail, files and news.
    pub oob: Oob,
    metrics: Arc<Metrics>,
    mud: String,
    /// The channels that are configured.
    configured: BTreeMap<String, Configured>,
    policy: Mutex<Arc<Policy>>,
    router: RouterHandle,
    bus: Option<BusLink>,
    directory: Mutex<Directory>,
    copies: Mutex<Copies>,
    /// How far the stream of the bus was read.
    stream: Mutex<Option<StreamPlace>>,
    following: Following,
    history: Mutex<History>,
    presence: Mutex<Presence>,
    /// Users of other muds.
    users: Mutex<UserCache>,
    /// Which of our users all muds have been told of; none: they are not told.
    announced: Option<Mutex<Announced>>,
    allowance: Mutex<Allowance>,
    complaints: Mutex<Complaints>,
    filter: Mutex<FilterDesk>,
    /// Counts the channel lists that came.
    channel_lists: watch::Sender<u64>,
    ignored: AtomicU64,
    replies: broadcast::Sender<Event>,
    registered: Mutex<Registered>,
    /// What this process may do with the session.
    duty: Mutex<Duty>,
    started: Instant,
}

/// How long after its start a process is not ready because nobody has told it what was said before.
const CATCH_UP: Duration = Duration::from_secs(10);

/// How many answers may wait for one who waits for them.
const REPLIES: usize = 256;

/// What the services are told at the start.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Our mud's name.
    pub mud: String,
    /// How mail, files and news are carried.
    pub oob: Rules,
    /// The epoch of the events' positions.
    pub epoch: u64,
    /// The channels that are configured.
    pub channels: BTreeMap<String, Configured>,
    /// The rules for what comes in and goes out.
    pub policy: Policy,
    /// How many messages of each channel are remembered.
    pub history: usize,
    /// What becomes of a message on a filtered channel of ours that nobody decides about.
    pub filter_default: FilterDefault,
    /// Whether all muds are told what our users are called.
    pub announce_users: bool,
}

impl Services {
    /// The services of one mud.
    pub fn new(setup: Setup, router: RouterHandle, bus: Option<BusLink>) -> Self {
        let subscribed = setup.channels.iter().filter(|(_, configured)| configured.subscribe);
        let subscribed = subscribed.map(|(channel, _)| channel.clone()).take(SESSION_CHANNELS).collect();
        Self {
            hub: match &bus {
                Some(bus) => Hub::shared(&setup.mud, bus.outgoing.clone()),
                None => Hub::new(&setup.mud, setup.epoch),
            }
            .counting(Arc::clone(&setup.metrics))
            .subscribing(subscribed),
            metrics: setup.metrics,
            oob: Oob::new(setup.oob),
            mud: setup.mud,
            configured: setup.channels,
            policy: Mutex::new(Arc::new(setup.policy)),
            router,
            bus,
            directory: Mutex::default(),
            copies: Mutex::default(),
            stream: Mutex::default(),
            following: Following::default(),
            history: Mutex::new(History::new(setup.history)),
            presence: Mutex::default(),
            users: Mutex::default(),
            announced: setup.announce_users.then(Mutex::default),
            allowance: Mutex::new(Allowance::new(ANSWERS)),
            complaints: Mutex::default(),
            filter: Mutex::new(FilterDesk::new(setup.filter_default)),
            channel_lists: watch::Sender::new(0),
            ignored: AtomicU64::new(0),
            replies: broadcast::Sender::new(REPLIES),
            registered: Mutex::default(),
            duty: Mutex::new(Duty::Unknown),
            started: Instant::now(),
        }
    }

    /// Our mud's name.
    pub fn mud(&self) -> &str {
        &self.mud
    }

    /// The way to the router.
    pub fn router(&self) -> &RouterHandle {
        &self.router
    }

    /// What the mudlist has of a mud.
    pub fn mud_entry(&self, mud: &str) -> Option<MudEntry> {
        lock(&self.directory).mud(mud).cloned()
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
        let by_bus = self.bus_connected() == Some(true) && self.has_caught_up();
        self.router.status().is_connected() || by_bus
    }

    /// Whether this process knows what the others have told: a rollout that ended the one that does would have messages
    /// told again. After a while it goes without, for there may be nobody to ask.
    fn has_caught_up(&self) -> bool {
        self.leads() || self.hub.follows() || self.started.elapsed() > CATCH_UP
    }

    /// Whether the bus is there; none in standalone mode.
    pub fn bus_connected(&self) -> Option<bool> {
        self.bus.as_ref().map(|bus| *bus.connected.borrow())
    }

    /// How the bus is, how it takes what is written there, and what that lets this process do; for health.
    pub fn bus_detail(&self) -> Value {
        let state = self.bus_state();
        let Some(bus) = &self.bus else { return json!({"state": state}) };
        let (lock, waiting) = (lock(&self.duty).as_str(), bus.publisher.waiting());
        json!({"state": state, "lock": lock, "publish_queue": waiting, "writes": bus.writes.detail()})
    }

    /// How many channel messages wait to be published.
    pub fn unpublished(&self) -> u64 {
        self.bus.as_ref().map_or(0, |bus| bus.publisher.waiting())
    }

    /// Waits until those that wait now are stored on the bus.
    pub async fn published(&self) {
        if let Some(bus) = &self.bus {
            bus.publisher.all_done().await;
        }
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

    /// How much is known of the network.
    pub fn known(&self) -> Counts {
        lock(&self.directory).counts()
    }

    /// The rules for what comes in and goes out.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&lock(&self.policy))
    }

    /// Sets other rules, from now on.
    pub fn set_policy(&self, policy: Policy) {
        *lock(&self.policy) = Arc::new(policy);
    }

    /// How much was dropped because of whom it came from.
    pub fn ignored(&self) -> u64 {
        self.ignored.load(Ordering::Relaxed)
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

    /// The answers of other muds and errors from now on, for who waits for one. Who is slow loses the oldest.
    pub fn replies(&self) -> broadcast::Receiver<Event> {
        self.replies.subscribe()
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
        *lock(&self.registered) = Registered::at(Instant::now());
        for channel in self.wanted().network {
            self.switch(&channel, true);
        }
        self.hub.publish(Event::reconnected());
    }

    /// Handles a packet that another hosted mud sent us by the bus.
    pub fn on_direct(&self, packet: Packet) {
        self.on_packet(Path::Bus, packet);
    }

    fn on_packet(&self, path: Path, packet: Packet) {
        let said = inbound::channel_message(&packet);
        self.offer_to_relay(path, said.as_ref());
        let from_router = path == Path::Router
            && self.router.status().router.as_deref() == Some(packet.header.origin_mud.as_str());
        if !from_router && self.policy().ignores(&packet.header) {
            self.ignored.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let Some(said) = said {
            self.on_channel_message(said);
        } else if let Some(event) = inbound::event(&self.mud, &packet, from_router) {
            self.note(&packet, from_router);
            // Nobody waiting for an answer is no error.
            let _ = self.replies.send(event.clone());
            self.hub.publish(event);
        } else {
            self.on_other(path, packet, from_router);
        }
    }

    /// What we remember, or log, of a packet that is an event.
    fn note(&self, packet: &Packet, from_router: bool) {
        match &packet.body {
            Body::ChanUserReply(info) => {
                lock(&self.users).put(Instant::now(), &packet.header.origin_mud, info);
            }
            Body::Error(error)
                if from_router && lock(&self.complaints).is_news(Instant::now(), &error.code) =>
            {
                let message: String = error.message.chars().take(200).collect();
                tracing::warn!(code = error.code, message, "the router complains");
            }
            _ => {}
        }
    }

    fn on_other(&self, path: Path, packet: Packet, from_router: bool) {
        let for_us = packet.header.target_mud.as_deref() == Some(self.mud.as_str());
        let ours = packet.header.origin_mud == self.mud;
        match &packet.body {
            Body::Mudlist(_) | Body::ChanlistReply(_) => self.on_list(&packet.header.origin_mud, packet.body),
            Body::UcacheUpdate(info) if !ours => {
                lock(&self.users).put(Instant::now(), &packet.header.origin_mud, info);
            }
            Body::ChanFilterReq(request) => self.on_filter_request(&packet, from_router, request),
            Body::AuthMudReq if for_us => self.respond(path, &packet, || self.oob.key(&self.mud, &packet)),
            Body::AuthMudReply(reply) if for_us => {
                self.oob.on_key(&packet.header.origin_mud, reply.session_key);
            }
            Body::OobReq if for_us && self.oob.is_open() => self.oob.expect(&packet.header.origin_mud),
            // Any mud can send these to everybody (dead-souls-router rule 24), and an error answers nothing.
            Body::Shutdown(_) | Body::Error(_) => {}
            // A search is for every mud, and comes back to us too when it is our own.
            Body::LocateReq(_) if !ours => self.answer(path, &packet),
            // What answers a question that was not asked.
            _ if packet.kind().ends_with("-reply") => {}
            // Other broadcasts need no answer.
            _ if for_us => self.answer(path, &packet),
            _ => {}
        }
    }

    fn on_list(&self, router: &str, list: Body) {
        match list {
            Body::Mudlist(list) => {
                self.note_muds(router, &list);
                self.on_mudlist(list);
            }
            Body::ChanlistReply(list) => {
                lock(&self.directory).merge_channels(Instant::now(), list);
                self.note_channels(router);
                self.channel_lists.send_modify(|count| *count += 1);
            }
            _ => {}
        }
    }

    fn on_mudlist(&self, list: Mudlist) {
        // The whole list comes after each registration: only what changes later is news.
        let settled = lock(&self.registered).has_settled(Instant::now());
        if !list.unreadable.is_empty() {
            tracing::debug!(entries = list.unreadable.len(), "entries of a mudlist cannot be read");
        }
        let changes = lock(&self.directory).merge_muds(list);
        for change in changes {
            match change {
                Change::Online { mud, known } if known || settled => {
                    self.hub.publish(Event::mud_online(mud));
                }
                Change::Online { .. } => {}
                Change::Offline { mud } => {
                    self.hub.publish(Event::mud_offline(mud));
                }
            }
        }
    }

    fn on_expired(&self, packet: &Packet) {
        let message = format!("the router was away too long, so a {} was not sent", packet.kind());
        let to = Addressed {
            from_mud: self.mud.clone(),
            to_mud: self.mud.clone(),
            to_user: packet.header.origin_user.clone().unwrap_or_default(),
        };
        self.hub.publish(Event::Error(Trouble::new("not-sent", &message, to).about(Some(packet.kind()))));
    }
}

impl LinkListener for Services {
    fn on_link(&self, event: LinkEvent) {
        match event {
            LinkEvent::Established => self.on_established(),
            LinkEvent::Packet(packet) => self.on_packet(Path::Router, packet),
            LinkEvent::Ended => lock(&self.copies).restart(),
            LinkEvent::Expired(packet) => self.on_expired(&packet),
        }
    }

    fn list_ids(&self, router: &str) -> (i64, i64) {
        lock(&self.directory).ids_of(router)
    }
}

#[cfg(test)]
mod tests;
