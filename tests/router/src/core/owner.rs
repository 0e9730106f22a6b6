//! The chanlist, and what the owner of a channel may do (rules 9 and 11 to 14).

use std::collections::BTreeSet;

use intermud3::packet::ErrorPacket;
use intermud3::{Mapping, Value};

use super::channel::Channel;
use super::route::Incoming;
use super::{Conn, Core, text};
use crate::Ways;

/// Channels there may be, and muds banned from one.
const MAX_CHANNELS: usize = 4_096;

/// Characters of a channel's name.
const MAX_NAME: usize = 80;

impl Core {
    /// Rule 9: the whole list, to a mud that has the service `channel`.
    pub(super) fn tell_channels(&mut self, conn: Conn) {
        let entry = |(name, channel): (&String, &Channel)| {
            // Rule 11: the type is lost when a channel is added, at first to an array.
            let kind = if channel.fresh { Value::Array(Vec::new()) } else { Value::ZERO };
            (name.clone(), Value::Array(vec![channel.owner.as_str().into(), kind]))
        };
        let Some(name) = self.mud_on(conn).map(str::to_owned) else { return };
        let info = self.muds.get(&name).and_then(|mud| mud.entry.as_ref());
        if info.is_some_and(|entry| entry.has_service("channel")) {
            let channels: Mapping = self.channels.iter().map(entry).collect();
            let id = self.chanlist_id;
            self.send_own(conn, "chanlist-reply", name.into(), [id.into(), channels.into()]);
        }
    }

    /// The list has changed.
    pub(super) fn tell_everybody_of_channels(&mut self) {
        self.chanlist_id += 1;
        let everybody: Vec<Conn> = self.up().map(|(conn, _, _)| conn).collect();
        everybody.into_iter().for_each(|conn| self.tell_channels(conn));
    }

    /// Rule 13.
    pub(super) fn add_channel(&mut self, incoming: Incoming<'_>) {
        let [name, kind, ..] = &incoming.items[6..] else { return };
        let code = ErrorPacket::NOT_ALLOWED;
        let known = name.as_str().filter(|name| self.channels.contains_key(*name));
        if let Some(name) = known {
            return self.error(incoming, code, &format!("Channel already exists: {name}"));
        }
        let Some(name) = name.as_str().filter(|name| name.chars().count() <= MAX_NAME) else {
            return self.error(incoming, code, &format!("Invalid channel name: {}", written(name)));
        };
        if kind.as_int().is_none_or(|kind| !(0..=2).contains(&kind)) {
            return self.error(incoming, code, &format!("Invalid channel type: {}", written(kind)));
        }
        if self.channels.len() < MAX_CHANNELS {
            let channel = Channel { fresh: true, ..Channel::of(incoming.origin) };
            self.channels.insert(name.to_owned(), channel);
            self.tell_everybody_of_channels();
            self.channels.entry(name.to_owned()).and_modify(|channel| channel.fresh = false);
            self.tell_peers_of_channel(name);
        }
    }

    /// Rule 14.
    pub(super) fn remove_channel(&mut self, incoming: Incoming<'_>) {
        let Some(name) = incoming.items.get(6).and_then(Value::as_str) else { return };
        let Some(channel) = self.channels.get(name) else { return self.unknown_channel(incoming, name) };
        if channel.owner != incoming.origin {
            return self.not_the_owner(incoming, name);
        }
        self.channels.remove(name);
        self.tell_everybody_of_channels();
        self.tell_peers_of_channel(name);
    }

    /// Rule 14: because every channel is of type 0, whom the owner adds is banned.
    pub(super) fn administer(&mut self, incoming: Incoming<'_>) {
        let [Value::String(name), add, remove, ..] = &incoming.items[6..] else { return };
        let Some(channel) = self.channels.get_mut(name) else { return };
        if channel.owner != incoming.origin {
            return self.not_the_owner(incoming, name);
        }
        let listeners = channel.listeners.get_or_insert_default();
        for mud in muds(add) {
            listeners.remove(mud);
            if channel.banned.len() < MAX_CHANNELS {
                channel.banned.insert(mud.to_owned());
            }
        }
        for mud in muds(remove) {
            channel.banned.remove(mud);
        }
        self.tell_peers_of_channel(name);
    }

    /// Rule 12: laughed at, and broadcast all the same.
    pub(super) fn filtered(&mut self, incoming: Incoming<'_>) {
        let code = ErrorPacket::NOT_ALLOWED;
        let (Some(name), Some(packet)) = (incoming.items.get(6), incoming.items.get(7)) else { return };
        let (Some(name), Some(items)) = (name.as_str(), packet.as_array().filter(|items| items.len() >= 9))
        else {
            let message = "Invalid chan-filter-reply packet.";
            return self.error(incoming, ErrorPacket::BAD_PKT, message);
        };
        let Some(channel) = self.channels.get(name) else { return };
        if channel.owner != incoming.origin {
            return self.error(incoming, code, &format!("You are not the owner of {name}"));
        }
        self.error(incoming, code, "*giggles*");
        if items[6].as_str() != Some(name) {
            return self.error(incoming, code, "Hehe!");
        }
        if items[4].is_zero() {
            let listeners = self.listeners(name);
            self.send_all(listeners, packet);
        }
    }

    fn not_the_owner(&mut self, incoming: Incoming<'_>, name: &str) {
        let owner = self.channels.get(name).map(|channel| channel.owner.as_str()).unwrap_or_default();
        let message = format!("Channel {name} owned by: {owner}");
        self.error(incoming, ErrorPacket::NOT_ALLOWED, &message);
    }
}

/// The muds in a list; anything that is no list has none.
fn muds(list: &Value) -> BTreeSet<&str> {
    list.as_array().unwrap_or_default().iter().filter_map(Value::as_str).collect()
}

/// A value as the router writes it into a message.
fn written(value: &Value) -> String {
    let text = text::write(value, &Ways::DEAD_SOULS).unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}
