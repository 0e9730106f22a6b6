//! Between routers, as the Dead Souls family does it and as far as it takes for muds to meet: who is there, which
//! channels there are, and packets for muds on the other side.
//!
//! A packet from a peer goes to muds only, so each router has to know every other one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use intermud3::{Mapping, Value};

use super::channel::Channel;
use super::lists::Entry;
use super::route::Incoming;
use super::{Conn, Core, MAX_MUDS, Mud, Output, Place};
use crate::Event;

const PING: Duration = Duration::from_secs(10);
const DEAD: Duration = Duration::from_secs(120);

/// Entries in a packet of a whole list.
const CHUNK: usize = 50;

/// The names of [`Entry::info`] between routers.
const INFO: [&str; 11] = [
    "player_port",
    "imud_tcp_port",
    "imud_udp_port",
    "mudlib",
    "base_mudlib",
    "driver",
    "mud_type",
    "open_status",
    "admin_email",
    "services",
    "other_data",
];

impl Core {
    /// A connection to a peer was made. As in the original, whoever dials takes it for accepted.
    pub fn dialled(
        &mut self,
        now: Instant,
        conn: Conn,
        peer: &str,
        to: SocketAddr,
        local: SocketAddr,
    ) -> Vec<Output> {
        let password = self.config.peers.iter().find(|known| known.name == peer).map(|known| known.password);
        if let Some(password) = password {
            self.add_link(now, conn, to.ip(), local);
            let passwords: Mapping =
                [("client_password", password), ("server_password", password)].into_iter().collect();
            self.send_own(conn, "irn-startup-req", peer.into(), [passwords.into()]);
            self.join(now, conn, peer);
        }
        self.take()
    }

    /// An `irn-` packet. From anybody but a peer it is ignored (rule 27).
    pub(super) fn irn(&mut self, now: Instant, conn: Conn, items: &[Value]) {
        let Some(link) = self.links.get(&conn) else { return };
        let [Some(kind), Some(from), Some(to)] = [0, 2, 4].map(|at| items.get(at).and_then(Value::as_str))
        else {
            return;
        };
        let (first, second) = (items.get(6).unwrap_or(&Value::ZERO), items.get(7).unwrap_or(&Value::ZERO));
        match &link.router {
            None if link.mud.is_some() || to != self.config.name => {}
            None => {
                if kind == "irn-startup-req" && self.is_peer(from, first) {
                    self.join(now, conn, from);
                }
            }
            Some(router) if router != from => self.close(now, conn),
            Some(_) => match kind {
                "irn-mudlist-altered" | "irn-mudlist-delta" => self.hear_of_muds(now, conn, from, second),
                "irn-chanlist-altered" | "irn-chanlist-delta" => self.hear_of_channels(from, second),
                "irn-mudlist-req" => self.tell_peer_of_muds(conn),
                "irn-chanlist-req" => self.tell_peer_of_channels(conn),
                "irn-data" => self.hear_from_mud(now, conn, first),
                "irn-shutdown" => self.close(now, conn),
                // A ping has done what it is for by coming.
                _ => {}
            },
        }
    }

    fn is_peer(&self, name: &str, passwords: &Value) -> bool {
        let Some(peer) = self.config.peers.iter().find(|peer| peer.name == name) else { return false };
        let Some(passwords) = passwords.as_mapping() else { return false };
        let given = ["client_password", "server_password"].map(|key| passwords.get(key));
        given == [Some(&Value::Int(peer.password)), Some(&Value::Int(peer.password))]
    }

    /// The link is one with a peer. Another one with the same peer ends.
    fn join(&mut self, now: Instant, conn: Conn, peer: &str) {
        for old in self.peers() {
            if self.links.get(&old).is_some_and(|link| link.router.as_deref() == Some(peer)) {
                self.close(now, old);
            }
        }
        if let Some(link) = self.links.get_mut(&conn) {
            link.router = Some(peer.to_owned());
        }
        self.note(Event::Linked { conn, router: peer.to_owned() });
        self.ping_peers.get_or_insert(now + PING);
        self.tell_peer_of_muds(conn);
        self.tell_peer_of_channels(conn);
    }

    /// Its muds are gone with it.
    pub(super) fn lose_router(&mut self, now: Instant, conn: Conn) {
        let there = |(name, mud): (&String, &Mud)| (mud.place == Place::At(conn)).then(|| name.clone());
        let muds: Vec<String> = self.muds.iter().filter_map(there).collect();
        muds.iter().for_each(|name| self.down(now, name));
    }

    pub(super) fn ping_due_peers(&mut self, now: Instant) {
        if self.ping_peers.is_none_or(|due| due > now) {
            return;
        }
        let heard = |conn: &Conn| self.links.get(conn).is_some_and(|link| link.heard + DEAD > now);
        let (alive, dead): (Vec<Conn>, Vec<Conn>) = self.peers().into_iter().partition(heard);
        let time = i64::try_from(self.second(now)).unwrap_or(0);
        alive.iter().for_each(|&conn| self.send_to_peer(conn, "irn-ping", [time.into(), time.into()]));
        dead.into_iter().for_each(|conn| self.close(now, conn));
        self.ping_peers = (!self.peers().is_empty()).then(|| now + PING);
    }

    /// A channel message or a broadcast of a mud here goes to every peer.
    pub(super) fn tell_peers(&mut self, incoming: &Incoming<'_>, packet: &Value) {
        if self.is_router(incoming.conn) {
            return;
        }
        for conn in self.peers() {
            self.send_to_peer(conn, "irn-data", [packet.clone()]);
        }
    }

    /// A packet of a mud here for one that is there.
    pub(super) fn pass_on(&mut self, incoming: &Incoming<'_>, router: Conn) {
        if !self.is_router(incoming.conn) {
            self.send_to_peer(router, "irn-data", [incoming.packet.clone()]);
        }
    }

    /// Something about a mud that was last connected here changed.
    pub(super) fn tell_peers_of_mud(&mut self, name: &str) {
        let Some(mud) = self.muds.get(name).filter(|mud| mud.router.is_none()) else { return };
        let muds: Mapping = [(name, self.record(name, mud))].into_iter().collect();
        for conn in self.peers() {
            self.send_to_peer(conn, "irn-mudlist-delta", [self.mudlist_id.into(), muds.clone().into()]);
        }
    }

    pub(super) fn tell_peers_of_channel(&mut self, name: &str) {
        let record = self.channels.get(name).map_or(Value::Int(-1), channel_record);
        let channels: Mapping = [(name, record)].into_iter().collect();
        for conn in self.peers() {
            self.send_channels(conn, "irn-chanlist-delta", channels.clone());
        }
    }

    fn tell_peer_of_muds(&mut self, conn: Conn) {
        let ours = self.muds.iter().filter(|(_, mud)| mud.router.is_none());
        let muds: Vec<(Value, Value)> =
            ours.map(|(name, mud)| (name.as_str().into(), self.record(name, mud))).collect();
        for chunk in muds.chunks(CHUNK) {
            let muds = Mapping::from(chunk.to_vec());
            self.send_to_peer(conn, "irn-mudlist-altered", [self.mudlist_id.into(), muds.into()]);
        }
    }

    fn tell_peer_of_channels(&mut self, conn: Conn) {
        let ours = self.channels.iter().filter(|(_, channel)| channel.router.is_none());
        let channels: Vec<(Value, Value)> =
            ours.map(|(name, channel)| (name.as_str().into(), channel_record(channel))).collect();
        for chunk in channels.chunks(CHUNK) {
            self.send_channels(conn, "irn-chanlist-altered", Mapping::from(chunk.to_vec()));
        }
    }

    fn send_channels(&mut self, conn: Conn, kind: &str, channels: Mapping) {
        let list: Mapping = [("channels", channels), ("listening", Mapping::new())].into_iter().collect();
        self.send_to_peer(conn, kind, [self.chanlist_id.into(), list.into()]);
    }

    fn send_to_peer(&mut self, conn: Conn, kind: &str, fields: impl IntoIterator<Item = Value>) {
        let router = self.links.get(&conn).and_then(|link| link.router.clone());
        self.send_own(conn, kind, router.unwrap_or_default().into(), fields);
    }

    /// The links to other routers.
    fn peers(&self) -> Vec<Conn> {
        self.links.iter().filter(|(_, link)| link.router.is_some()).map(|(conn, _)| *conn).collect()
    }

    pub(super) fn is_router(&self, conn: Conn) -> bool {
        self.links.get(&conn).is_some_and(|link| link.router.is_some())
    }

    /// All about a mud, its password included: it may move to the other router.
    fn record(&self, name: &str, mud: &Mud) -> Value {
        let Some(entry) = &mud.entry else { return Value::ZERO };
        let (connected, disconnected) = if mud.is_up() { (1, 0) } else { (0, 1) };
        let start = [
            ("name", name.into()),
            ("ip", entry.address.as_str().into()),
            ("router", self.config.name.as_str().into()),
            ("password", mud.password.into()),
            ("connect_time", connected.into()),
            ("disconnect_time", disconnected.into()),
            ("restart_delay", Value::Int(-1)),
            ("protocol", mud.protocol.into()),
        ];
        let info = INFO.into_iter().zip(entry.info.iter().cloned());
        let end = [("old_mudlist_id", Value::ZERO), ("old_chanlist_id", Value::ZERO)];
        Value::Mapping(start.into_iter().chain(info).chain(end).collect())
    }

    fn hear_of_muds(&mut self, now: Instant, conn: Conn, router: &str, muds: &Value) {
        for (name, record) in muds.as_mapping().into_iter().flatten() {
            let Some(name) = name.as_str() else { continue };
            let full = self.muds.len() >= MAX_MUDS && !self.muds.contains_key(name);
            let mud = read_record(conn, router, record);
            // Who is here is not there, whatever they say.
            if let Some(mud) = mud.filter(|_| !full && self.conn_of(name).is_none()) {
                self.muds.insert(name.to_owned(), mud);
                self.tell_later(now, name);
            }
        }
    }

    fn hear_of_channels(&mut self, router: &str, lists: &Value) {
        let channels = lists.as_mapping().and_then(|lists| lists.get("channels")).and_then(Value::as_mapping);
        let mut changed = false;
        for (name, record) in channels.into_iter().flatten() {
            let Some(name) = name.as_str() else { continue };
            let known = self.channels.get(name).map(|channel| channel.router.as_deref());
            // What is made here stays as it is.
            if known.is_some_and(|of| of != Some(router)) {
                continue;
            }
            changed |= match read_channel(router, record) {
                Some(mut channel) => {
                    channel.listeners = self.channels.remove(name).and_then(|old| old.listeners);
                    self.channels.insert(name.to_owned(), channel);
                    true
                }
                None => self.channels.remove(name).is_some(),
            };
        }
        if changed {
            self.tell_everybody_of_channels();
        }
    }

    /// From a mud on the other side.
    fn hear_from_mud(&mut self, now: Instant, conn: Conn, packet: &Value) {
        let Some(incoming) = Incoming::read(conn, packet) else { return };
        let local = self.conn_of(incoming.origin).is_some();
        if !local && !incoming.kind.starts_with("startup-req-") && !incoming.kind.starts_with("irn-") {
            self.route(now, incoming);
        }
    }
}

/// What a peer tells of a mud; None if it makes no sense.
fn read_record(conn: Conn, router: &str, record: &Value) -> Option<Mud> {
    let mut mud =
        Mud { entry: None, password: 0, protocol: 3, place: Place::Nowhere, router: Some(router.to_owned()) };
    let Some(record) = record.as_mapping() else { return record.is_zero().then_some(mud) };
    let int = |key: &str| record.get(key).and_then(Value::as_int);
    let address = record.get("ip")?.as_str()?.to_owned();
    let info: Vec<Value> = INFO.iter().map(|key| record.get(key).cloned().unwrap_or(Value::ZERO)).collect();
    let (ints, texts) = (info[..3].iter().all(is_int), info[3..9].iter().all(is_text));
    (ints && texts && info[9].as_mapping().is_some()).then_some(())?;
    mud.entry = Some(Arc::new(Entry { address, info }));
    mud.password = int("password").unwrap_or(0);
    mud.protocol = int("protocol").unwrap_or(3);
    if int("connect_time").is_some_and(|time| time != 0) && int("disconnect_time") == Some(0) {
        mud.place = Place::At(conn);
    }
    Some(mud)
}

fn is_int(value: &Value) -> bool {
    value.as_int().is_some()
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some()
}

/// `({type,owner,({muds})})`.
fn channel_record(channel: &Channel) -> Value {
    let banned = channel.banned.iter().map(|mud| mud.as_str().into()).collect();
    Value::Array(vec![Value::ZERO, channel.owner.as_str().into(), Value::Array(banned)])
}

fn read_channel(router: &str, record: &Value) -> Option<Channel> {
    let [_, owner, banned] = record.as_array()? else { return None };
    let banned = banned.as_array().unwrap_or_default().iter().filter_map(Value::as_str);
    let banned = banned.map(str::to_owned).collect();
    Some(Channel { banned, router: Some(router.to_owned()), ..Channel::of(owner.as_str()?) })
}
