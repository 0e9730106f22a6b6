//! Channels: which there are, who listens, what is said.

use crate::layout::{Field, Fields, Layout, Refused, layout};
use crate::lpc::Sink;

layout! {
    /// `channel-m` and `channel-e`: something said or done on a channel. 9 elements, target 0, the originator
    /// user a string.
    ///
    /// `({"channel-m",5,"MudA","bob",0,0,"imud_gossip","Bob","hello",})`
    /// `({"channel-e",5,"MudA","bob",0,0,"imud_gossip","Bob","$N waves.",})`
    ///
    /// Dead Souls sends it to every listener, the sender included; CoffeeMud leaves the sender out. Dead Souls
    /// answers any other form with `bad-pkt`, and puts the originator user where the visname is 0 or empty.
    #[derive(Eq)]
    pub struct ChannelMessage {
        /// The channel; case matters.
        channel: String,
        /// The speaker's name to show; 0 reads as empty.
        visname: String = text,
        /// What was said. Muds embed Pinkfish colours, `%^RED%^`: see [`pinkfish`](crate::pinkfish). In an
        /// emote `$N` stands for the speaker; where it is missing Dead Souls appends ` (from Bob@MudA)`.
        message: String,
    }
}

layout! {
    /// `channel-t`: something done on a channel to someone. 13 elements, target 0, the originator user a string.
    ///
    /// `({"channel-t",5,"MudA","bob",0,0,"imud_gossip","MudB","ann","$N pokes $O.","$N pokes you.","Bob",
    /// "Ann",})`
    #[derive(Eq)]
    pub struct ChannelTargetedEmote {
        /// The channel; case matters.
        channel: String,
        /// The mud of the user it is done to. Dead Souls refuses 0, which reads as empty.
        targeted_mud: String = text,
        /// The user it is done to; 0 reads as empty.
        targeted_user: String = text,
        /// What all others see; `$N` stands for the doer, `$O` for the other.
        message_others: String,
        /// What the user sees it is done to; 0 reads as empty.
        message_target: String = text,
        /// The doer's name to show; 0 reads as empty.
        origin_visname: String = text,
        /// The other's name to show; 0 reads as empty.
        target_visname: String = text,
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
    const FIELDS: std::ops::RangeInclusive<usize> = 2..=2;

    fn read(fields: &mut Fields<'_>) -> Result<Self, Refused> {
        Ok(Self { channel: fields.next("channel")?, on: !fields.value().is_zero() })
    }

    fn write(&self, sink: &mut impl Sink) {
        self.channel.write(sink);
        sink.int(i64::from(self.on));
    }
}

layout! {
    /// `chanlist-reply`: the channels a router has. 8 elements; the last is a mapping of name to entry, or to 0
    /// for a channel that is gone.
    ///
    /// `({"chanlist-reply",5,"*test",0,"MudA",0,8,(["imud_gossip":({"Frontiers",0,}),]),})`
    ///
    /// Dead Souls sends the whole list each time, and only to muds with the service `channel`; deleted channels
    /// are not in it. Believe it only when it comes from the router's name.
    #[derive(Eq)]
    pub struct ChanlistReply {
        /// A counter of the router's.
        id: i64,
        /// Names and entries, in the order of the packet; `None` for a channel that was deleted.
        channels: Vec<(String, Option<ChannelEntry>)>,
    }
}

layout! {
    /// What a router tells about a channel: `({host_mud,type})`.
    #[derive(Eq)]
    pub struct ChannelEntry {
        /// The mud that owns the channel; 0 on the wire reads as empty.
        host: String = text,
        /// [`ChannelEntry::OPEN`], [`ChannelEntry::ADMITTING`] or [`ChannelEntry::FILTERED`]. Right after a
        /// channel is made Dead Souls writes `({})` here, which reads as 0, as does anything else but an int.
        kind: i64 = loose,
    }
}

impl ChannelEntry {
    /// Everyone but banned muds.
    pub const OPEN: i64 = 0;
    /// Admitted muds only.
    pub const ADMITTING: i64 = 1;
    /// Admitted muds, and the owner filters what is said.
    pub const FILTERED: i64 = 2;
}

layout! {
    /// `chan-who-req`: who on that mud listens to a channel? 7 elements.
    ///
    /// `({"chan-who-req",5,"MudA","bob","MudB",0,"imud_gossip",})`
    #[derive(Eq)]
    pub struct ChanWhoReq {
        /// The channel; case matters.
        channel: String,
    }
}

layout! {
    /// `chan-who-reply`: who on a mud listens to a channel. 8 elements; answers `chan-who-req`.
    ///
    /// `({"chan-who-reply",5,"MudB",0,"MudA","bob","imud_gossip",({"Ann",}),})`
    #[derive(Eq)]
    pub struct ChanWhoReply {
        /// The channel.
        channel: String,
        /// The names to show; an element that is 0 is passed over.
        visnames: Vec<String>,
    }
}

layout! {
    /// `chan-user-req`: who is that, who spoke on a channel? 7 elements.
    ///
    /// `({"chan-user-req",5,"MudA",0,"MudB",0,"ann",})`
    #[derive(Eq)]
    pub struct ChanUserReq {
        /// Whom it is about.
        username: String,
    }
}

layout! {
    /// `chan-user-reply` and `ucache-update`: a user's visname and gender, asked for by `chan-user-req` or told
    /// to all. 9 elements; a `ucache-update` has target 0.
    ///
    /// `({"chan-user-reply",5,"MudB",0,"MudA",0,"ann","Ann",1,})`
    /// `({"ucache-update",5,"MudA",0,0,0,"bob","Bob",0,})`
    ///
    /// A `ucache-update` is never answered, not even with an error: every mud gets it.
    #[derive(Eq)]
    pub struct UserInfo {
        /// Whom it is about.
        username: String,
        /// The name to show; 0 reads as empty.
        visname: String = text,
        /// [`UserInfo::MALE`], [`UserInfo::FEMALE`] or [`UserInfo::NEUTER`].
        gender: i64,
    }
}

impl UserInfo {
    /// Male.
    pub const MALE: i64 = 0;
    /// Female.
    pub const FEMALE: i64 = 1;
    /// Neither.
    pub const NEUTER: i64 = 2;
}
