//! Channels: who listens, and what is said.

use std::collections::BTreeSet;

use intermud3::Value;
use intermud3::packet::{DEFAULT_TTL, ErrorPacket};

use super::route::Incoming;
use super::{ChannelInfo, Conn, Core};

pub(super) struct Channel {
    pub(super) owner: String,
    /// By name, connected or not (rule 16). None until the first mud listens.
    pub(super) listeners: Option<BTreeSet<String>>,
    pub(super) banned: BTreeSet<String>,
    /// Rule 11: added, and nobody was told yet.
    pub(super) fresh: bool,
    /// The peer it was learnt from.
    pub(super) router: Option<String>,
}

impl Channel {
    pub(super) fn of(owner: &str) -> Self {
        let owner = owner.to_owned();
        Self { owner, listeners: None, banned: BTreeSet::new(), fresh: false, router: None }
    }

    pub(super) fn info(&self, name: &str) -> ChannelInfo {
        let listeners = self.listeners.as_ref().map(|all| all.iter().cloned().collect());
        let banned = self.banned.iter().cloned().collect();
        ChannelInfo { name: name.to_owned(), owner: self.owner.clone(), listeners, banned }
    }
}

impl Core {
    /// `channel-` and anything, to whomever it is addressed.
    pub(super) fn channel(&mut self, incoming: Incoming<'_>) {
        let own_name = self.mud_on(incoming.conn) == Some(incoming.origin);
        match incoming.kind {
            "channel-m" | "channel-e" | "channel-t" => self.say(incoming),
            "channel-listen" if own_name => self.listen(incoming),
            "channel-add" if own_name => self.add_channel(incoming),
            "channel-remove" if own_name => self.remove_channel(incoming),
            "channel-admin" if own_name => self.administer(incoming),
            // Rule 28: who is not on the link cannot change anything.
            "channel-listen" | "channel-add" | "channel-remove" | "channel-admin" => {}
            kind => {
                let message = format!("I don't know what {kind} means.");
                self.error(incoming, ErrorPacket::UNK_TYPE, &message);
            }
        }
    }

    /// `channel-listen` (rule 15): no answer but to an unknown channel; anything but the int 0 is "on".
    fn listen(&mut self, incoming: Incoming<'_>) {
        let (Some(Value::String(name)), Some(on)) = (incoming.items.get(6), incoming.items.get(7)) else {
            return;
        };
        let known = self.muds.contains_key(incoming.origin);
        let Some(channel) = self.channels.get_mut(name) else { return self.unknown_channel(incoming, name) };
        let listeners = channel.listeners.get_or_insert_default();
        if on.is_zero() {
            listeners.remove(incoming.origin);
        } else if channel.banned.contains(incoming.origin) {
            self.banned(incoming, name);
        } else if known {
            listeners.insert(incoming.origin.to_owned());
        }
    }

    /// `channel-m`, `-e` and `-t`, to every listener, the sender included (rule 17).
    fn say(&mut self, incoming: Incoming<'_>) {
        let Some(said) = Said::read(incoming.items) else {
            return self.error(incoming, ErrorPacket::BAD_PKT, "Bad packet format.");
        };
        let Some(channel) = self.channels.get(said.channel) else {
            return self.unknown_channel(incoming, said.channel);
        };
        // Rule 20: only where somebody listened before.
        if channel.listeners.as_ref().is_some_and(|listeners| !listeners.contains(incoming.origin)) {
            self.start_listening(incoming, said.channel);
        }
        let channel = self.channels.get(said.channel);
        if channel.is_some_and(|channel| channel.banned.contains(incoming.origin)) {
            return self.banned(incoming, said.channel);
        }
        let packet = Value::Array(said.items);
        let mut listeners = self.listeners(said.channel);
        if !self.config.ways.echo {
            listeners.retain(|conn| *conn != incoming.conn);
        }
        self.send_all(listeners, &packet);
        self.tell_peers(&incoming, &packet);
    }

    /// Rule 20: who says something without listening is made to listen, as if the mud had asked.
    fn start_listening(&mut self, incoming: Incoming<'_>, name: &str) {
        let message = format!("Your mud wasn't listening to {name}, so I'll start you listening right now.");
        self.error(incoming, ErrorPacket::WARNING, &message);
        let router = self.config.name.as_str();
        let header = ["channel-listen".into(), DEFAULT_TTL.into(), incoming.origin.into(), Value::ZERO];
        let rest = [router.into(), Value::ZERO, name.into(), 1.into()];
        let request = Value::Array(header.into_iter().chain(rest).collect());
        if let Some(request) = Incoming::read(incoming.conn, &request) {
            self.listen(request);
        }
    }

    /// The links of the muds that listen.
    pub(super) fn listeners(&self, channel: &str) -> Vec<Conn> {
        let names = self.channels.get(channel).and_then(|channel| channel.listeners.as_ref());
        names.into_iter().flatten().filter_map(|name| self.conn_of(name)).collect()
    }

    pub(super) fn unknown_channel(&mut self, incoming: Incoming<'_>, name: &str) {
        self.error(incoming, ErrorPacket::UNK_CHANNEL, &format!("Unknown channel: {name}"));
    }

    fn banned(&mut self, incoming: Incoming<'_>, name: &str) {
        let (code, message) = (ErrorPacket::NOT_ALLOWED, format!("Banned from {name}"));
        let about = incoming.packet.clone();
        self.answer(incoming.conn, &incoming.origin.into(), &Value::ZERO, code, &message, about);
    }
}

/// A channel message as it goes out.
struct Said<'p> {
    channel: &'p str,
    items: Vec<Value>,
}

/// Where the fields are.
const USER: usize = 3;
const TARGET: [usize; 2] = [4, 5];
const CHANNEL: usize = 6;

impl<'p> Said<'p> {
    /// Checks the form (rule 19) and mends what Dead Souls mends: no visname becomes the user's name, and a
    /// text that does not say who is meant gets that appended (rule 18). None: malformed.
    fn read(items: &'p [Value]) -> Option<Self> {
        let targeted = items[0].as_str() == Some("channel-t");
        let (elements, visname, texts): (_, _, &[usize]) =
            if targeted { (13, 11, &[9, 10]) } else { (9, 7, &[8]) };
        let is_text = |at: usize| items[at].as_str().is_some();
        let is_name = |at: usize| items[at].as_str().is_some_and(|name| !name.is_empty());
        (items.len() == elements && TARGET.iter().all(|at| items[*at].is_zero())).then_some(())?;
        let named = if targeted { (7..13).all(is_text) && is_name(visname) } else { is_name(USER) };
        (named && texts.iter().all(|at| is_text(*at))).then_some(())?;
        let mut said = Self { channel: items[CHANNEL].as_str()?, items: items.to_vec() };
        if !is_name(visname) {
            said.items[visname] = items[USER].clone();
        }
        if items[0].as_str() != Some("channel-m") {
            said.name_actor(visname, texts);
        }
        Some(said)
    }

    /// If the first text does not name the actor all of them are made to.
    fn name_actor(&mut self, visname: usize, texts: &[usize]) {
        let text = |at: usize| self.items[at].as_str().unwrap_or_default();
        if text(texts[0]).contains("$N") {
            return;
        }
        let from = format!(" (from {}@{})", text(visname), text(2));
        for &at in texts {
            self.items[at] = format!("{}{from}", self.items[at].as_str().unwrap_or_default()).into();
        }
    }
}
