//! The rules: what the router answers to what, as a state machine without sockets or clocks.
//!
//! Rule numbers are those of the observations of a Dead Souls router that this follows.

mod channel;
mod lists;
mod route;
mod startup;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::{Display, Formatter};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use intermud3::packet::MudEntry;
use intermud3::{Limits, Value, lpc};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::{Config, Event};
use channel::Channel;

/// The muds the router knows at most, and the names that may be cut off.
const MAX_MUDS: usize = 8_192;

/// What may be written: what Dead Souls writes, which is more than a careful sender would.
const LIMITS: Limits = Limits { output_elements: 64_000, input_elements: 64_000, ..Limits::DEFAULT };

/// A connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MudInfo {
    /// Its name.
    pub name: String,
    /// Whether it is connected.
    pub up: bool,
    /// Where it connected from last.
    pub address: String,
    /// Whether a test has cut it off.
    pub cut: bool,
}

/// The state of a router.
pub struct Core {
    name: String,
    advertise: Option<String>,
    up_delay: Duration,
    down_delay: Duration,
    links: HashMap<Conn, Link>,
    muds: BTreeMap<String, Mud>,
    channels: BTreeMap<String, Channel>,
    cut: HashSet<String>,
    /// Muds whose change is still to be told, and when.
    deltas: BTreeMap<String, Instant>,
    /// Links that are still to get the mudlist a second time, and when.
    lists: BTreeMap<Conn, Instant>,
    mudlist_id: i64,
    chanlist_id: i64,
    rng: StdRng,
    outputs: Vec<Output>,
}

/// A connection's side of things. Without a mud it is one of: not registered yet, refused, taken over.
struct Link {
    peer: IpAddr,
    local: SocketAddr,
    mud: Option<String>,
}

/// A mud that registered once. Without an entry it asked to be deleted.
struct Mud {
    entry: Option<MudEntry>,
    password: i64,
    conn: Option<Conn>,
}

impl Core {
    /// A router that nobody is connected to.
    pub fn new(config: &Config) -> Self {
        let rng = config.seed.map_or_else(|| StdRng::from_rng(&mut rand::rng()), StdRng::seed_from_u64);
        let channel = |channel: &String| (channel.clone(), Channel::of(&config.name));
        Self {
            name: config.name.clone(),
            advertise: config.advertise.clone(),
            up_delay: config.up_delay,
            down_delay: config.down_delay,
            links: HashMap::new(),
            muds: BTreeMap::new(),
            channels: config.channels.iter().map(channel).collect(),
            cut: HashSet::new(),
            deltas: BTreeMap::new(),
            lists: BTreeMap::new(),
            mudlist_id: 0,
            chanlist_id: 1,
            rng,
            outputs: Vec::new(),
        }
    }

    /// A connection was accepted.
    pub fn connected(&mut self, conn: Conn, peer: IpAddr, local: SocketAddr) -> Vec<Output> {
        self.links.insert(conn, Link { peer, local, mud: None });
        self.note(Event::Connected { conn, address: peer });
        self.take()
    }

    /// The text of a frame came.
    pub fn handle(&mut self, now: Instant, conn: Conn, text: Bytes) -> Vec<Output> {
        let Some(link) = self.links.get(&conn) else { return Vec::new() };
        let packet = lpc::decode_with(&text, &LIMITS);
        self.note(Event::Received { conn, mud: link.mud.clone(), text });
        if let Ok(packet) = packet {
            self.packet(now, conn, &packet);
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
        self.deltas.values().chain(self.lists.values()).min().copied()
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) -> Vec<Output> {
        self.tell_due_lists(now);
        self.tell_due_deltas(now);
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

    /// The muds known, by name.
    pub fn muds(&self) -> Vec<MudInfo> {
        let info = |(name, mud): (&String, &Mud)| MudInfo {
            name: name.clone(),
            up: mud.conn.is_some(),
            address: mud.entry.as_ref().map(|entry| entry.address.clone()).unwrap_or_default(),
            cut: self.cut.contains(name),
        };
        self.muds.iter().map(info).collect()
    }

    /// The connection of a mud that is up.
    fn conn_of(&self, mud: &str) -> Option<Conn> {
        self.muds.get(mud)?.conn
    }

    /// The mud registered on a connection.
    fn mud_on(&self, conn: Conn) -> Option<&str> {
        self.links.get(&conn)?.mud.as_deref()
    }

    /// Closes a link; whatever still comes on it is not looked at.
    fn close(&mut self, now: Instant, conn: Conn) {
        self.outputs.push(Output::Close(conn));
        self.forget(now, conn);
    }

    fn forget(&mut self, now: Instant, conn: Conn) {
        let Some(link) = self.links.remove(&conn) else { return };
        self.lists.remove(&conn);
        if let Some(name) = &link.mud {
            self.down(now, name);
        }
        self.note(Event::Closed { conn, mud: link.mud });
    }

    /// A mud is no longer connected; the others hear of it later.
    fn down(&mut self, now: Instant, name: &str) {
        if let Some(mud) = self.muds.get_mut(name) {
            mud.conn = None;
            if let Some(entry) = &mut mud.entry {
                entry.state = MudEntry::DOWN;
            }
            self.deltas.insert(name.to_owned(), now + self.down_delay);
        }
    }

    /// Writes to a mud that is up.
    fn send(&mut self, to: Conn, packet: &Value) {
        if let Some(text) = write(packet) {
            self.outputs.push(Output::Send { to, text });
        }
    }

    /// Writes the same to several.
    fn send_all(&mut self, to: impl IntoIterator<Item = Conn>, packet: &Value) {
        if let Some(text) = write(packet) {
            let send = |to| Output::Send { to, text: text.clone() };
            self.outputs.extend(to.into_iter().map(send));
        }
    }

    fn note(&mut self, event: Event) {
        self.outputs.push(Output::Note(event));
    }

    fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }
}

/// What cannot be written is dropped, as Dead Souls drops it: nested too deep, above all.
fn write(packet: &Value) -> Option<Bytes> {
    lpc::encode_with(packet, &LIMITS).ok()
}
