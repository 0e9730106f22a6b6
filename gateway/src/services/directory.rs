//! The muds and channels of the network, as the router told them piece by piece.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use intermud3::Packet;
use intermud3::packet::{Body, ChanlistReply, ChannelEntry, Header, MudEntry, Mudlist};

/// The most muds and channels remembered. The largest networks have a few hundred of each.
const CAPACITY: usize = 10_000;

/// How long a router may take to end a channel.
const LEAVING: Duration = Duration::from_secs(60);

/// A mud and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct MudInfo {
    /// Its name.
    pub name: String,
    /// Its entry in the mudlist.
    pub entry: MudEntry,
}

impl MudInfo {
    /// Up or down as clients know it.
    pub fn status(&self) -> &'static str {
        match self.entry.state {
            -1 => "up",
            0 => "down",
            1.. => "reboot",
            _ => "unknown",
        }
    }
}

/// A mud that came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is there now.
    Online {
        /// Its name.
        mud: String,
        /// Whether it was known before, as not there.
        known: bool,
    },
    /// It is not there any more.
    Offline {
        /// Its name.
        mud: String,
    },
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// The mud that owns it.
    pub owner: String,
    /// 0 open except to the banned, 1 open to the admitted, 2 filtered.
    pub kind: i64,
}

/// How much is known of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Muds.
    pub muds: usize,
    /// Those of them that are up.
    pub muds_up: usize,
    /// Channels.
    pub channels: usize,
}

/// Merged lists. Routers send them in pieces and then only what changed, so a list never replaces what is known.
#[derive(Debug, Default)]
pub struct Directory {
    muds: BTreeMap<String, MudEntry>,
    channels: BTreeMap<String, Channel>,
    /// Channels the router was asked to end, and when.
    leaving: BTreeMap<String, Instant>,
    mudlist_id: i64,
    chanlist_id: i64,
    /// The router the ids are of: every router counts for itself.
    router: String,
    /// Whether anything has changed since it was last kept.
    changed: bool,
}

impl Directory {
    /// Takes a piece of the mudlist; returns which muds came and went by it.
    pub fn merge_muds(&mut self, list: Mudlist) -> Vec<Change> {
        self.mudlist_id = list.id;
        self.changed = true;
        let mut changes = Vec::new();
        for (name, entry) in list.muds {
            let before = self.muds.get(&name).map(MudEntry::is_up);
            let now = entry.as_ref().is_some_and(MudEntry::is_up);
            match entry {
                Some(entry) if self.muds.len() < CAPACITY || before.is_some() => {
                    self.muds.insert(name.clone(), entry);
                }
                Some(_) => continue,
                None => {
                    self.muds.remove(&name);
                }
            }
            match (before, now) {
                (Some(true), false) => changes.push(Change::Offline { mud: name }),
                (Some(false) | None, true) => {
                    changes.push(Change::Online { mud: name, known: before.is_some() })
                }
                _ => {}
            }
        }
        changes
    }

    /// How much is known.
    pub fn counts(&self) -> Counts {
        Counts {
            muds: self.muds.len(),
            muds_up: self.muds.values().filter(|entry| entry.is_up()).count(),
            channels: self.channels.len(),
        }
    }

    /// Whether a mud is known and not there now.
    pub fn is_down(&self, mud: &str) -> bool {
        self.muds.get(mud).is_some_and(|entry| !entry.is_up())
    }

    /// What is known of a mud.
    pub fn mud(&self, mud: &str) -> Option<&MudEntry> {
        self.muds.get(mud)
    }

    /// The router was asked to end a channel.
    pub fn leave(&mut self, now: Instant, channel: &str) {
        self.leaving.retain(|_, since| now.duration_since(*since) < LEAVING);
        self.leaving.insert(channel.to_owned(), now);
    }

    /// Takes a piece of the channel list. Dead Souls sends the whole list without the channels that ended
    /// (dead-souls-router rule 9), others only what changed, so a channel that is not in it has ended only if that
    /// was asked for.
    pub fn merge_channels(&mut self, now: Instant, list: ChanlistReply) {
        let named =
            |name: &String| list.channels.iter().any(|(listed, entry)| listed == name && entry.is_some());
        self.leaving.retain(|_, since| now.duration_since(*since) < LEAVING);
        let (staying, ended) =
            std::mem::take(&mut self.leaving).into_iter().partition(|(name, _)| named(name));
        self.leaving = staying;
        self.channels.retain(|name, _| !BTreeMap::contains_key(&ended, name));
        self.take_channels(list);
    }

    fn take_channels(&mut self, list: ChanlistReply) {
        self.chanlist_id = list.id;
        self.changed = true;
        for (name, entry) in list.channels {
            match entry {
                Some(entry) if self.channels.len() < CAPACITY || self.channels.contains_key(&name) => {
                    let channel = Channel { name: name.clone(), owner: entry.host, kind: entry.kind };
                    self.channels.insert(name, channel);
                }
                Some(_) => {}
                None => {
                    self.channels.remove(&name);
                }
            }
        }
    }

    /// The ids of the last mudlist and the last channel list.
    pub fn ids(&self) -> (i64, i64) {
        (self.mudlist_id, self.chanlist_id)
    }

    /// The same, if they are of this router; else 0, so that it sends everything.
    pub fn ids_of(&self, router: &str) -> (i64, i64) {
        if self.router == router { self.ids() } else { (0, 0) }
    }

    /// From now on the lists are of this router.
    pub fn use_router(&mut self, router: &str) {
        if self.router != router {
            (self.mudlist_id, self.chanlist_id) = (0, 0);
            router.clone_into(&mut self.router);
        }
    }

    /// The lists as packets of the router they are of, with at most so many muds in each.
    pub fn lists(&self, muds: usize) -> Vec<Packet> {
        let packet = |body| Packet { header: Header::to_all(self.router.as_str(), None::<String>), body };
        let all: Vec<_> = self.muds.iter().map(|(name, entry)| (name.clone(), Some(entry.clone()))).collect();
        let muds = all.chunks(muds).map(|muds| {
            Body::Mudlist(Mudlist { id: self.mudlist_id, muds: muds.to_vec(), unreadable: Vec::new() })
        });
        let channels = self.channels.values().map(|channel| {
            let entry = ChannelEntry { host: channel.owner.clone(), kind: channel.kind };
            (channel.name.clone(), Some(entry))
        });
        let channels = ChanlistReply { id: self.chanlist_id, channels: channels.collect() };
        muds.chain([Body::ChanlistReply(channels)]).map(packet).collect()
    }

    /// Takes what another process told of the lists: a piece of the mudlist, or all channels.
    pub fn take(&mut self, now: Instant, list: Packet) {
        self.use_router(&list.header.origin_mud);
        match list.body {
            Body::Mudlist(list) => drop(self.merge_muds(list)),
            Body::ChanlistReply(list) => {
                self.channels.clear();
                self.merge_channels(now, list);
            }
            _ => {}
        }
    }

    /// The lists as packets of the router they are of, to be kept; none when nothing has changed since the last call.
    pub fn take_changed(&mut self) -> Option<[Packet; 2]> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let header = || Header::to_all(self.router.as_str(), None::<String>);
        let muds = self.muds.iter().map(|(name, entry)| (name.clone(), Some(entry.clone())));
        let channels = self.channels.values().map(|channel| {
            let entry = ChannelEntry { host: channel.owner.clone(), kind: channel.kind };
            (channel.name.clone(), Some(entry))
        });
        let muds =
            Body::Mudlist(Mudlist { id: self.mudlist_id, muds: muds.collect(), unreadable: Vec::new() });
        let channels =
            Body::ChanlistReply(ChanlistReply { id: self.chanlist_id, channels: channels.collect() });
        Some([Packet { header: header(), body: muds }, Packet { header: header(), body: channels }])
    }

    /// Takes a list that was kept.
    pub fn restore(&mut self, kept: Packet) {
        self.use_router(&kept.header.origin_mud);
        match kept.body {
            Body::Mudlist(list) => drop(self.merge_muds(list)),
            Body::ChanlistReply(list) => self.take_channels(list),
            _ => {}
        }
        self.changed = false;
    }

    /// The muds, sorted by name.
    pub fn muds(&self) -> Vec<MudInfo> {
        self.muds.iter().map(|(name, entry)| MudInfo { name: name.clone(), entry: entry.clone() }).collect()
    }

    /// A channel by its exact name.
    pub fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.get(name)
    }

    /// The channels, sorted by name.
    pub fn channels(&self) -> Vec<Channel> {
        self.channels.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mudlist(entries: &str) -> Mudlist {
        let text = format!("({{\"mudlist\",5,\"*test\",0,0,0,1,([{entries}]),}})");
        match Packet::decode(text.as_bytes()).unwrap().body {
            Body::Mudlist(list) => list,
            other => panic!("not a mudlist: {other:?}"),
        }
    }

    fn chanlist(entries: &str) -> ChanlistReply {
        let text = format!("({{\"chanlist-reply\",5,\"*test\",0,\"Dawn\",0,1,([{entries}]),}})");
        match Packet::decode(text.as_bytes()).unwrap().body {
            Body::ChanlistReply(list) => list,
            other => panic!("not a chanlist: {other:?}"),
        }
    }

    fn mud(name: &str, state: i64) -> String {
        format!(
            "\"{name}\":({{{state},\"127.0.0.1\",4000,0,0,\"L\",\"B\",\"D\",\"LP\",\"open\",\"a@b.c\",([\"tell\":1,]),([]),}}),"
        )
    }

    #[test]
    fn pieces_are_merged_and_a_deleted_mud_goes() {
        let mut directory = Directory::default();
        let changes = directory.merge_muds(mudlist(&(mud("B", -1) + &mud("A", 0))));
        assert_eq!(changes, [Change::Online { mud: "B".into(), known: false }]);
        directory.merge_muds(mudlist(&mud("C", 300)));
        let names = |directory: &Directory| -> Vec<_> {
            directory.muds().into_iter().map(|mud| (mud.name.clone(), mud.status())).collect()
        };
        assert_eq!(names(&directory), [("A".into(), "down"), ("B".into(), "up"), ("C".into(), "reboot")]);
        assert!(directory.is_down("A") && !directory.is_down("B") && !directory.is_down("nobody"));
        let changes = directory.merge_muds(mudlist(&(mud("A", -1) + "\"B\":0,")));
        assert_eq!(
            changes,
            [Change::Online { mud: "A".into(), known: true }, Change::Offline { mud: "B".into() }]
        );
        assert_eq!(names(&directory), [("A".into(), "up"), ("C".into(), "reboot")]);
    }

    #[test]
    fn a_channel_whose_type_is_an_array_counts_as_open() {
        let mut directory = Directory::default();
        let now = Instant::now();
        directory.merge_channels(now, chanlist("\"a\":({\"Mud\",({}),}),\"b\":({\"Mud\",2,}),"));
        let kinds: Vec<_> = directory.channels().into_iter().map(|channel| channel.kind).collect();
        assert_eq!(kinds, [0, 2]);
        directory.merge_channels(now, chanlist("\"a\":0,"));
        assert_eq!(directory.channels().len(), 1);
    }

    #[test]
    fn what_is_kept_comes_back_with_its_ids_for_the_router_it_is_of() {
        let mut directory = Directory::default();
        assert!(directory.take_changed().is_none());
        directory.use_router("*test");
        directory.merge_muds(mudlist(&(mud("A", -1) + &mud("B", 0))));
        directory.merge_channels(Instant::now(), chanlist("\"a\":({\"Mud\",2,}),"));
        let kept = directory.take_changed().unwrap();
        assert!(directory.take_changed().is_none(), "nothing new");
        let mut restored = Directory::default();
        for packet in kept {
            restored.restore(Packet::decode(&packet.encode().unwrap()).unwrap());
        }
        assert_eq!((restored.muds(), restored.channels()), (directory.muds(), directory.channels()));
        assert_eq!((restored.ids_of("*test"), restored.ids_of("*other")), ((1, 1), (0, 0)));
        assert!(restored.take_changed().is_none(), "what was restored need not be kept again");
        restored.use_router("*other");
        assert_eq!(restored.ids_of("*other"), (0, 0));
        assert_eq!(restored.muds().len(), 2, "they are shown until the router tells more");
    }

    #[test]
    fn a_channel_we_end_goes_with_the_first_list_without_it_and_no_other_does() {
        let now = Instant::now();
        let mut directory = Directory::default();
        directory.merge_channels(now, chanlist("\"a\":({\"Dawn\",0,}),\"b\":({\"Dawn\",0,}),"));
        directory.leave(now, "a");
        directory.merge_channels(now, chanlist("\"a\":({\"Dawn\",0,}),"));
        assert_eq!(directory.channels().len(), 2);
        directory.merge_channels(now, chanlist("\"c\":({\"Dusk\",0,}),"));
        let names: Vec<_> = directory.channels().into_iter().map(|channel| channel.name).collect();
        assert_eq!(names, ["b", "c"]);
        // A router that never did it: later lists say nothing about it.
        directory.leave(now, "b");
        directory.merge_channels(now + LEAVING, chanlist("\"c\":({\"Dusk\",0,}),"));
        assert!(directory.channel("b").is_some());
    }
}
