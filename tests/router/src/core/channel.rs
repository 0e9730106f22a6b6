//! Channels.

use std::collections::BTreeSet;

use intermud3::Value;
use intermud3::packet::ErrorPacket;

use super::route::Incoming;
use super::{Conn, Core};

pub(super) struct Channel {
    pub(super) owner: String,
    /// By name, connected or not (rule 16). None until the first mud listens.
    listeners: Option<BTreeSet<String>>,
}

impl Channel {
    pub(super) fn of(owner: &str) -> Self {
        Self { owner: owner.to_owned(), listeners: None }
    }
}

impl Core {
    /// `channel-listen` (rule 15): no answer but to an unknown channel; anything but the int 0 is "on".
    pub(super) fn listen(&mut self, incoming: Incoming<'_>) {
        let [Value::String(name), on] = &incoming.items[6..] else { return };
        let Some(channel) = self.channels.get_mut(name) else { return self.unknown_channel(incoming, name) };
        if on.is_zero() {
            channel.listeners.as_mut().map(|listeners| listeners.remove(incoming.origin));
        } else {
            channel.listeners.get_or_insert_default().insert(incoming.origin.to_owned());
        }
    }

    /// `channel-m`, `-e` and `-t`, to every listener, the sender included (rule 17).
    pub(super) fn say(&mut self, incoming: Incoming<'_>) {
        let said = match Said::read(incoming.items) {
            Ok(said) => said,
            Err(Unsaid::UnknownType) => {
                let message = format!("I don't know what {} means.", incoming.kind);
                return self.error(incoming, ErrorPacket::UNK_TYPE, &message);
            }
            Err(Unsaid::BadFormat) => {
                return self.error(incoming, ErrorPacket::BAD_PKT, "Bad packet format.");
            }
        };
        let Some(channel) = self.channels.get(said.channel) else {
            return self.unknown_channel(incoming, said.channel);
        };
        // Rule 20: nobody ever listened, nobody hears it.
        let Some(listeners) = &channel.listeners else { return };
        if !listeners.contains(incoming.origin) {
            self.start_listening(incoming, said.channel);
        }
        let listeners = self.listeners(said.channel);
        self.send_all(listeners, &Value::Array(said.items));
    }

    /// Rule 20: who says something without listening is made to listen.
    fn start_listening(&mut self, incoming: Incoming<'_>, name: &str) {
        let message = format!("Your mud wasn't listening to {name}, so I'll start you listening right now.");
        self.error(incoming, ErrorPacket::WARNING, &message);
        let known = self.muds.contains_key(incoming.origin);
        if let Some(channel) = self.channels.get_mut(name).filter(|_| known) {
            channel.listeners.get_or_insert_default().insert(incoming.origin.to_owned());
        }
    }

    fn listeners(&self, channel: &str) -> Vec<Conn> {
        let names = self.channels.get(channel).and_then(|channel| channel.listeners.as_ref());
        names.into_iter().flatten().filter_map(|name| self.conn_of(name)).collect()
    }

    fn unknown_channel(&mut self, incoming: Incoming<'_>, name: &str) {
        self.error(incoming, ErrorPacket::UNK_CHANNEL, &format!("Unknown channel: {name}"));
    }
}

/// A channel message as it goes out.
struct Said<'p> {
    channel: &'p str,
    items: Vec<Value>,
}

enum Unsaid {
    UnknownType,
    BadFormat,
}

/// Where the fields are: the same in all but the names and the texts.
const USER: usize = 3;
const CHANNEL: usize = 6;

impl<'p> Said<'p> {
    /// Checks the form (rule 19) and mends what Dead Souls mends: no visname becomes the user's name, and a
    /// text that does not say who is meant gets that appended (rule 18).
    fn read(items: &'p [Value]) -> Result<Self, Unsaid> {
        let (elements, visname, texts): (_, _, &[usize]) = match items[0].as_str() {
            Some("channel-m" | "channel-e") => (9, 7, &[8]),
            Some("channel-t") => (13, 11, &[9, 10]),
            _ => return Err(Unsaid::UnknownType),
        };
        let is_text = |at: &usize| items[*at].as_str().is_some();
        if items.len() != elements || !texts.iter().all(is_text) {
            return Err(Unsaid::BadFormat);
        }
        let targeted = elements == 9 || [7, 8].iter().all(is_text);
        let (Some(channel), Some(user)) = (items[CHANNEL].as_str(), items[USER].as_str()) else {
            return Err(Unsaid::BadFormat);
        };
        if user.is_empty() || !targeted {
            return Err(Unsaid::BadFormat);
        }
        let mut said = Self { channel, items: items.to_vec() };
        if items[visname].as_str().is_none_or(str::is_empty) {
            said.items[visname] = user.into();
        }
        if items[0].as_str() != Some("channel-m") {
            texts.iter().for_each(|&text| said.name_actor(visname, text));
        }
        Ok(said)
    }

    fn name_actor(&mut self, visname: usize, text: usize) {
        let [visname, mud, said] = [visname, 2, text].map(|at| self.items[at].as_str().unwrap_or_default());
        if !said.contains("$N") {
            self.items[text] = format!("{said} (from {visname}@{mud})").into();
        }
    }
}
