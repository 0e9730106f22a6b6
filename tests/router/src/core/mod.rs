//! The rules: what the router answers to what, as a state machine without sockets or clocks.
//!
//! Rule numbers are those of the observations of a Dead Souls router that this follows; each has a test of its
//! name. A clock second is one since the start.

mod channel;
mod doors;
mod flood;
mod irn;
mod lists;
mod news;
mod owner;
mod route;
mod startup;
mod text;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::{Display, Formatter};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use intermud3::Value;
use intermud3::packet::DEFAULT_TTL;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use crate::{Config, Event};
use channel::Channel;
use doors::Doors;
use flood::Flood;
use lists::{Entry, Listing};
use news::News;
pub use text::TextError;

/// The muds the router knows at most, and the names that may be cut off.
const MAX_MUDS: usize = 8_192;

/// A connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Conn(pub u64);

impl Display for Conn {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What has to be done.
#[derive(Debug, Clone)]
pub enum Output {
    /// Send the text of a frame.
    Send {
        /// To whom.
        to: Conn,
        /// The text, without its NUL.
        text: Bytes,
    },
    /// Send what is still to be sent, then close.
    Close(Conn),
    /// Something to tell about.
    Note(Event),
}

/// A mud the router knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MudInfo {
    /// Its name.
    pub name: String,
    /// Whether it is connected, here or at a peer.
    pub up: bool,
    /// Where it connected from last.
    pub address: String,
    /// Whether a test has cut it off.
    pub cut: bool,
    /// The peer it is connected to, if it is not connected here.
    pub router: Option<String>,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelInfo {
    /// Its name.
    pub name: String,
    /// The mud that made it, or the router.
    pub owner: String,
    /// The muds that listen, connected or not. None: nobody ever did.
    pub listeners: Option<Vec<String>>,
    /// The muds that may not.
    pub banned: Vec<String>,
}

/// A connection and who is on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkInfo {
    /// The connection.
    pub conn: Conn,
    /// From where.
    pub address: IpAddr,
    /// The mud registered on it.
    pub mud: Option<String>,
    /// The name in its last startup request, answered or not.
    pub asked: Option<String>,
    /// The router on it.
    pub router: Option<String>,
}

/// The state of a router.
pub struct Core {
    config: Config,
    epoch: Instant,
    links: HashMap<Conn, Link>,
    muds: BTreeMap<String, Mud>,
    channels: BTreeMap<String, Channel>,
    cut: HashSet<String>,
    doors: Doors,
    flood: Flood,
    /// Muds that got news, which others will be told of.
    news: BTreeMap<(Instant, i64), News>,
    /// Muds that went, of which others will be told whatever is true then.
    ended: BTreeSet<(Instant, String)>,
    /// What is left of the second lists.
    listings: BTreeMap<Conn, Listing>,
    /// When peers are pinged.
    ping_peers: Option<Instant>,
    mudlist_id: i64,
    chanlist_id: i64,
    rng: StdRng,
    outputs: Vec<Output>,
}

/// A connection's side of things. Without a mud it is one of: not registered yet, refused, taken over, a
/// router.
struct Link {
    peer: IpAddr,
    local: SocketAddr,
    mud: Option<String>,
    /// The name in the last startup request.
    asked: Option<String>,
    router: Option<String>,
    /// When something came from it, or a ping went to it.
    heard: Instant,
}

/// A mud that registered once.
struct Mud {
    /// None: it asked to be deleted.
    entry: Option<Arc<Entry>>,
    password: i64,
    protocol: i64,
    place: Place,
    /// The peer it was last connected to, if not here.
    router: Option<String>,
}

/// Where a mud is connected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Here(Conn),
    /// At the router on this link.
    At(Conn),
}

impl Core {
    /// A router that nobody is connected to.
    pub fn new(config: &Config, now: Instant) -> Self {
        let rng = config.seed.map_or_else(|| StdRng::from_rng(&mut rand::rng()), StdRng::seed_from_u64);
        let channel = |channel: &String| (channel.clone(), Channel::of(&config.name));
        Self {
            channels: config.channels.iter().map(channel).collect(),
            config: config.clone(),
            epoch: now,
            links: HashMap::new(),
            muds: BTreeMap::new(),
            cut: HashSet::new(),
            doors: Doors::default(),
            flood: Flood::default(),
            news: BTreeMap::new(),
            ended: BTreeSet::new(),
            listings: BTreeMap::new(),
            ping_peers: None,
            mudlist_id: 0,
            chanlist_id: 1,
            rng,
            outputs: Vec::new(),
        }
    }

    /// A connection was accepted.
    pub fn connected(&mut self, now: Instant, conn: Conn, peer: IpAddr, local: SocketAddr) -> Vec<Output> {
        if self.may_connect(now) {
            self.add_link(now, conn, peer, local);
            self.note(Event::Connected { conn, address: peer });
        } else {
            self.note(Event::TurnedAway { address: peer });
            self.outputs.push(Output::Close(conn));
        }
        self.take()
    }

    /// The body of a frame came.
    pub fn handle(&mut self, now: Instant, conn: Conn, body: Bytes) -> Vec<Output> {
        let Some(link) = self.links.get_mut(&conn) else { return Vec::new() };
        link.heard = now;
        let mud = link.mud.clone();
        let max_elements = self.config.crash_above.unwrap_or(text::MAX_ELEMENTS);
        let packet = text::read(&body, &self.config.ways, max_elements);
        let end = body.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        self.note(Event::Received { conn, mud: mud.clone(), text: body.slice(..end) });
        match packet {
            Ok(packet) => self.packet(now, conn, &packet),
            Err(error) => {
                self.note(Event::Unreadable { conn, mud, error });
                let crashes = matches!(error, TextError::TooManyElements { .. });
                if crashes && self.config.crash_above.is_some() {
                    self.end_everything(now);
                }
            }
        }
        self.take()
    }

    /// A connection ended.
    pub fn disconnected(&mut self, now: Instant, conn: Conn) -> Vec<Output> {
        self.forget(now, conn);
        self.take()
    }

    /// When [`Core::tick`] is to be called.
    pub fn next_tick(&self) -> Option<Instant> {
        let listings = self.listings.values().map(|listing| listing.due);
        let news = self.news.keys().next().map(|(due, _)| *due);
        let ended = self.ended.first().map(|(due, _)| *due);
        let others = [news, ended, self.flood.due(), self.ping_peers, self.next_idle_ping()];
        others.into_iter().flatten().chain(listings).min()
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) -> Vec<Output> {
        self.tell_due_listings(now);
        self.tell_due_ends(now);
        self.tell_due_news(now);
        self.flood.forgive(now);
        self.ping_idle_muds(now);
        self.ping_due_peers(now);
        self.take()
    }

    /// Closes a mud's link and lets it register no more.
    pub fn cut(&mut self, now: Instant, name: &str) -> Vec<Output> {
        if self.cut.len() < MAX_MUDS {
            self.cut.insert(name.to_owned());
        }
        if let Some(conn) = self.conn_of(name) {
            self.close(now, conn);
        }
        self.take()
    }

    /// Lets a mud register again.
    pub fn restore(&mut self, name: &str) {
        self.cut.remove(name);
    }

    /// Ends and starts again with all that the router saves (rule 44): every link is closed; muds, passwords,
    /// channels and who listens to them are known as before.
    pub fn restart(&mut self, now: Instant) -> Vec<Output> {
        self.end_everything(now);
        self.take()
    }

    /// The muds known, by name.
    pub fn muds(&self) -> Vec<MudInfo> {
        let info = |(name, mud): (&String, &Mud)| MudInfo {
            name: name.clone(),
            up: mud.is_up(),
            address: mud.entry.as_ref().map(|entry| entry.address.clone()).unwrap_or_default(),
            cut: self.cut.contains(name),
            router: mud.router.clone(),
        };
        self.muds.iter().map(info).collect()
    }

    /// The channels, by name.
    pub fn channels(&self) -> Vec<ChannelInfo> {
        self.channels.iter().map(|(name, channel)| channel.info(name)).collect()
    }

    /// The connections, in the order in which they were accepted.
    pub fn links(&self) -> Vec<LinkInfo> {
        let info = |(conn, link): (&Conn, &Link)| LinkInfo {
            conn: *conn,
            address: link.peer,
            mud: link.mud.clone(),
            asked: link.asked.clone(),
            router: link.router.clone(),
        };
        let mut links: Vec<LinkInfo> = self.links.iter().map(info).collect();
        links.sort_by_key(|link| link.conn);
        links
    }

    /// The connection of a mud; if it is not registered, the last one that asked for its name.
    pub fn link_of(&self, mud: &str) -> Option<Conn> {
        let asked = |(_, link): &(&Conn, &Link)| link.asked.as_deref() == Some(mud);
        let waiting = || self.links.iter().filter(asked).map(|(conn, _)| *conn).max();
        self.conn_of(mud).or_else(waiting)
    }

    fn add_link(&mut self, now: Instant, conn: Conn, peer: IpAddr, local: SocketAddr) {
        let link = Link { peer, local, mud: None, asked: None, router: None, heard: now };
        self.links.insert(conn, link);
    }

    /// The connection of a mud that is up here.
    fn conn_of(&self, mud: &str) -> Option<Conn> {
        match self.muds.get(mud)?.place {
            Place::Here(conn) => Some(conn),
            _ => None,
        }
    }

    /// The mud registered on a connection.
    fn mud_on(&self, conn: Conn) -> Option<&str> {
        self.links.get(&conn)?.mud.as_deref()
    }

    /// The muds that are up here.
    fn up(&self) -> impl Iterator<Item = (Conn, &str, &Mud)> {
        self.muds.iter().filter_map(|(name, mud)| match mud.place {
            Place::Here(conn) => Some((conn, name.as_str(), mud)),
            _ => None,
        })
    }

    /// Closes a link; whatever still comes on it is not looked at.
    fn close(&mut self, now: Instant, conn: Conn) {
        self.outputs.push(Output::Close(conn));
        self.forget(now, conn);
    }

    fn forget(&mut self, now: Instant, conn: Conn) {
        let Some(link) = self.links.remove(&conn) else { return };
        self.listings.remove(&conn);
        if let Some(name) = &link.mud {
            self.down(now, name);
        }
        if link.router.is_some() {
            self.lose_router(now, conn);
        }
        self.note(Event::Closed { conn, mud: link.mud });
    }

    /// A mud is no longer connected; the others hear of it later.
    fn down(&mut self, now: Instant, name: &str) {
        if let Some(mud) = self.muds.get_mut(name) {
            mud.place = Place::Nowhere;
            self.tell_later(now, name);
        }
    }

    fn end_everything(&mut self, now: Instant) {
        self.note(Event::Restarted);
        self.news.clear();
        self.ended.clear();
        self.listings.clear();
        self.flood = Flood::default();
        for link in self.links() {
            self.close(now, link.conn);
        }
    }

    /// The first beat that is not before `at`.
    fn beat(&self, at: Instant) -> Instant {
        let (beat, since) = (self.config.heartbeat.as_nanos(), at - self.epoch);
        let Some(missing) =
            since.as_nanos().checked_rem(beat).filter(|over| *over > 0).map(|over| beat - over)
        else {
            return at;
        };
        at + Duration::from_nanos(u64::try_from(missing).unwrap_or(0))
    }

    /// Writes to a link.
    fn send(&mut self, to: Conn, packet: &Value) {
        self.send_all([to], packet);
    }

    /// Writes the same to several.
    fn send_all(&mut self, to: impl IntoIterator<Item = Conn>, packet: &Value) {
        if let Some(text) = text::write(packet, &self.config.ways) {
            self.put(to, &text);
        }
    }

    /// A packet of the router's own.
    fn send_own(&mut self, to: Conn, kind: &str, target: Value, fields: impl IntoIterator<Item = Value>) {
        let packet = self.own(kind, [target, Value::ZERO], fields);
        if let Some(text) = text::write(&packet, &self.config.ways) {
            let text = if self.config.ways.blanks { text::with_blanks(&text) } else { text };
            self.put([to], &text);
        }
    }

    /// A packet from the router.
    fn own(&self, kind: &str, target: [Value; 2], fields: impl IntoIterator<Item = Value>) -> Value {
        let origin = [kind.into(), DEFAULT_TTL.into(), self.config.name.as_str().into(), Value::ZERO];
        Value::Array(origin.into_iter().chain(target).chain(fields).collect())
    }

    fn put(&mut self, to: impl IntoIterator<Item = Conn>, text: &Bytes) {
        let send = |to| Output::Send { to, text: text.clone() };
        self.outputs.extend(to.into_iter().map(send));
    }

    fn note(&mut self, event: Event) {
        self.outputs.push(Output::Note(event));
    }

    fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }
}
