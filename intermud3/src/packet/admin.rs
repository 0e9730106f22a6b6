//! Channels: what their owners do. Target the router.

use super::PacketError;
use crate::Value;
use crate::layout::layout;

layout! {
    /// `channel-add`: a mud makes a channel and owns it. 8 elements.
    ///
    /// `({"channel-add",5,"MudA","bob","*test",0,"pchan",0,})`
    ///
    /// Dead Souls answers with a new `chanlist-reply` to all, or with `not-allowed`; it makes every channel one
    /// of type 0.
    #[derive(Eq)]
    pub struct ChannelAdd {
        /// The channel.
        channel: String,
        /// As in [`ChannelEntry`](super::ChannelEntry).
        kind: i64,
    }
}

layout! {
    /// `channel-remove`: the owner ends a channel. 7 elements.
    ///
    /// `({"channel-remove",5,"MudA","bob","*test",0,"pchan",})`
    #[derive(Eq)]
    pub struct ChannelRemove {
        /// The channel.
        channel: String,
    }
}

layout! {
    /// `channel-admin`: the owner changes which muds are banned from a channel, or admitted to it. 9 elements.
    ///
    /// `({"channel-admin",5,"MudA","bob","*test",0,"pchan",({"MudB",}),({}),})`
    #[derive(Eq)]
    pub struct ChannelAdmin {
        /// The channel.
        channel: String,
        /// Muds to put on the list.
        add: Vec<String>,
        /// Muds to take off it.
        remove: Vec<String>,
    }
}

layout! {
    /// `chan-filter-req` and `chan-filter-reply`: the router asks the owner of a filtered channel to look over
    /// what is said, and gets it back. 8 elements.
    ///
    /// `({"chan-filter-reply",5,"MudA",0,"*test",0,"filtc",({"channel-m",5,...}),})`
    ///
    /// Dead Souls never asks, and takes a reply wrongly.
    pub struct ChanFilter {
        /// The channel.
        channel: String,
        /// The message, a whole packet: see [`ChanFilter::message`].
        packet: Value = packet,
    }
}

impl ChanFilter {
    /// The packet inside.
    pub fn message(&self) -> Result<super::Packet, PacketError> {
        super::Packet::from_value(self.packet.clone())
    }
}

layout! {
    /// `chan-adminlist`: which muds are on a channel's list? 7 elements. Not in the specification; routers of
    /// Samson's and Tim's.
    ///
    /// `({"chan-adminlist",5,"MudA","bob","*test",0,"pchan",})`
    #[derive(Eq)]
    pub struct ChanAdminlist {
        /// The channel.
        channel: String,
    }
}

layout! {
    /// `chan-adminlist-reply`: the muds on a channel's list. 8 elements; answers `chan-adminlist`.
    ///
    /// `({"chan-adminlist-reply",5,"*test",0,"MudA","bob","pchan",({"MudB",}),})`
    #[derive(Eq)]
    pub struct ChanAdminlistReply {
        /// The channel.
        channel: String,
        /// The muds banned or admitted.
        muds: Vec<String>,
    }
}
