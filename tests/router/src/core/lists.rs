//! The mudlist and the chanlist.

use std::time::Instant;

use intermud3::Packet;
use intermud3::packet::{Body, ChanlistReply, ChannelEntry, Header, MudEntry, Mudlist};
use rand::RngExt;

use super::{Conn, Core};

/// Muds in a packet of the first list.
const CHUNK: usize = 10;

type Entry = (String, Option<MudEntry>);

impl Core {
    /// Rule 5: every mud ever known, ten a packet, with random ids but for the last.
    pub(super) fn tell_muds(&mut self, conn: Conn, name: &str) {
        let muds = self.list();
        let packets = muds.len().div_ceil(CHUNK);
        for (n, chunk) in muds.chunks(CHUNK).enumerate() {
            let last = n + 1 == packets;
            let id = if last { self.mudlist_id } else { self.rng.random_range(1..10_000_000) };
            self.send_as_router(conn, name, Body::Mudlist(Mudlist { id, muds: chunk.to_vec() }));
        }
    }

    /// Rule 4: the list again, one mud a packet, to target 0.
    pub(super) fn tell_due_lists(&mut self, now: Instant) {
        let due: Vec<Conn> = self.lists.extract_if(.., |_, at| *at <= now).map(|(conn, _)| conn).collect();
        for conn in due {
            if self.mud_on(conn).is_some() {
                self.tell_muds_one_by_one(conn);
            }
        }
    }

    fn tell_muds_one_by_one(&mut self, conn: Conn) {
        for entry in self.list() {
            let body = Body::Mudlist(Mudlist { id: self.mudlist_id, muds: vec![entry] });
            let header = Header::to_all(self.name.as_str(), None::<String>);
            self.send(conn, &Packet { header, body }.to_value());
        }
    }

    /// Rules 7 and 8: what has changed, to everybody, the mud itself included.
    pub(super) fn tell_due_deltas(&mut self, now: Instant) {
        let due: Vec<String> = self.deltas.extract_if(.., |_, at| *at <= now).map(|(name, _)| name).collect();
        for name in due {
            let Some(entry) = self.muds.get(&name).map(|mud| mud.entry.clone()) else { continue };
            self.mudlist_id += 1;
            let news = Mudlist { id: self.mudlist_id, muds: vec![(name, entry)] };
            for (conn, mud) in self.up() {
                self.send_as_router(conn, &mud, Body::Mudlist(news.clone()));
            }
        }
    }

    /// Rule 9: the whole list, to muds that have the service `channel`.
    pub(super) fn tell_channels(&mut self, conn: Conn) {
        let Some(name) = self.mud_on(conn).map(str::to_owned) else { return };
        let entry = self.muds.get(&name).and_then(|mud| mud.entry.as_ref());
        if !entry.is_some_and(|entry| entry.services.contains_key("channel")) {
            return;
        }
        let open = |host: &str| Some(ChannelEntry { host: host.to_owned(), kind: ChannelEntry::OPEN });
        let channels = self.channels.iter().map(|(name, channel)| (name.clone(), open(&channel.owner)));
        let list = ChanlistReply { id: self.chanlist_id, channels: channels.collect() };
        self.send_as_router(conn, &name, Body::ChanlistReply(list));
    }

    fn list(&self) -> Vec<Entry> {
        self.muds.iter().map(|(name, mud)| (name.clone(), mud.entry.clone())).collect()
    }

    fn up(&self) -> Vec<(Conn, String)> {
        self.muds.iter().filter_map(|(name, mud)| Some((mud.conn?, name.clone()))).collect()
    }
}
