//! Channels: which there are, who listens, what is said.

use super::PacketError;
use super::fields::{Fields, Layout};
use crate::Value;
use crate::lpc::{Bracket, Sink};

/// `chanlist-reply`: the channels a router has. 8 elements; the last is a mapping of name to entry, or to 0
/// for a channel that is gone.
///
/// `({"chanlist-reply",5,"*test",0,"MudA",0,8,(["imud_gossip":({"Frontiers",0,}),]),})`
///
/// Dead Souls sends the whole list each time, and only to muds with the service `channel`; deleted channels
/// are not in it. Believe it only when it comes from the router's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChanlistReply {
    /// A counter of the router's.
    pub id: i64,
    /// Names and entries, in the order of the packet; `None` for a channel that was deleted.
    pub channels: Vec<(String, Option<ChannelEntry>)>,
}

/// What a router tells about a channel: `({host_mud,type})`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelEntry {
    /// The mud that owns the channel; 0 on the wire reads as empty.
    pub host: String,
    /// [`ChannelEntry::OPEN`], [`ChannelEntry::ADMITTING`] or [`ChannelEntry::FILTERED`]. Right after a
    /// channel is made Dead Souls writes `({})` here, which reads as 0, as does anything else but an int.
    pub kind: i64,
}

impl ChannelEntry {
    /// Everyone but banned muds.
    pub const OPEN: i64 = 0;
    /// Admitted muds only.
    pub const ADMITTING: i64 = 1;
    /// Admitted muds, and the owner filters what is said.
    pub const FILTERED: i64 = 2;
}

impl Layout for ChanlistReply {
    const KIND: &'static str = "chanlist-reply";
    const ELEMENTS: usize = 8;

    fn read(fields: &mut Fields) -> Result<Self, PacketError> {
        let id = fields.int("chanlist_id")?;
        let channels = fields.mapping("channel_list")?;
        let read = |(name, entry)| read_pair(fields, name, entry);
        Ok(Self { id, channels: channels.into_iter().map(read).collect::<Result<_, _>>()? })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.int(self.id);
        sink.open(Bracket::Mapping, self.channels.len());
        for (name, entry) in &self.channels {
            sink.key(name);
            match entry {
                Some(entry) => entry.write(sink),
                None => sink.int(0),
            }
        }
        sink.close(Bracket::Mapping);
    }
}

fn read_pair(
    packet: &Fields,
    name: Value,
    entry: Value,
) -> Result<(String, Option<ChannelEntry>), PacketError> {
    let Value::String(name) = name else {
        return Err(packet.wrong_type("channel name", "a string", &name));
    };
    let entry = match entry {
        Value::Int(0) => None,
        Value::Array(items) => Some(ChannelEntry::read(&mut Fields::nested("chanlist-reply entry", items))?),
        other => return Err(packet.wrong_type("channel entry", "an array or 0", &other)),
    };
    Ok((name, entry))
}

impl ChannelEntry {
    fn read(fields: &mut Fields) -> Result<Self, PacketError> {
        Ok(Self { host: fields.text("host")?, kind: fields.value().as_int().unwrap_or(Self::OPEN) })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.open(Bracket::Array, 2);
        sink.string(&self.host);
        sink.int(self.kind);
        sink.close(Bracket::Array);
    }
}

/// `channel-listen`: a mud subscribes to a channel, or no longer does. 8 elements, target the router.
///
/// `({"channel-listen",5,"MudA",0,"*test",0,"imud_gossip",1,})`
///
/// There is no answer. Dead Souls keeps subscriptions across connections, per mud name: an unwanted one has to
/// be switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelListen {
    /// The channel; case matters.
    pub channel: String,
    /// Written as the int 1 or 0. Like Dead Souls, anything but the int 0 reads as on, `"0"` too.
    pub on: bool,
}

impl Layout for ChannelListen {
    const KIND: &'static str = "channel-listen";
    const ELEMENTS: usize = 8;

    fn read(fields: &mut Fields) -> Result<Self, PacketError> {
        Ok(Self { channel: fields.string("channel")?, on: !fields.value().is_zero() })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.string(&self.channel);
        sink.int(i64::from(self.on));
    }
}

/// `channel-m`: something said on a channel. 9 elements, target 0, the originator user a string.
///
/// `({"channel-m",5,"MudA","bob",0,0,"imud_gossip","Bob","hello",})`
///
/// Dead Souls sends it to every listener, the sender included; CoffeeMud leaves the sender out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelMessage {
    /// The channel; case matters.
    pub channel: String,
    /// The speaker's name to show; 0 reads as empty.
    pub visname: String,
    /// What was said. Muds embed Pinkfish colours, `%^RED%^`.
    pub message: String,
}

impl Layout for ChannelMessage {
    const KIND: &'static str = "channel-m";
    const ELEMENTS: usize = 9;

    fn read(fields: &mut Fields) -> Result<Self, PacketError> {
        Ok(Self {
            channel: fields.string("channel")?,
            visname: fields.text("visname")?,
            message: fields.string("message")?,
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.string(&self.channel);
        sink.string(&self.visname);
        sink.string(&self.message);
    }
}
