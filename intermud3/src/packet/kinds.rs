//! The packet types by name.

use super::*;
use crate::layout::kinds;

kinds! {
    /// The fields of a packet, by type.
    pub enum Body {
        typed {
            // What a router sends all day comes first.
            ChannelMessage(ChannelMessage) = "channel-m",
            ChannelEmote(ChannelMessage) = "channel-e",
            Tell(Tell) = "tell",
            Mudlist(Mudlist) = "mudlist",
            ChannelTargetedEmote(Box<ChannelTargetedEmote>) = "channel-t",
            Emoteto(Tell) = "emoteto",
            UcacheUpdate(UserInfo) = "ucache-update",
            LocateReq(LocateReq) = "locate-req",
            LocateReply(LocateReply) = "locate-reply",
            FingerReq(FingerReq) = "finger-req",
            FingerReply(Box<FingerReply>) = "finger-reply",
            WhoReply(WhoReply) = "who-reply",
            ChanWhoReq(ChanWhoReq) = "chan-who-req",
            ChanWhoReply(ChanWhoReply) = "chan-who-reply",
            ChanUserReq(ChanUserReq) = "chan-user-req",
            ChanUserReply(UserInfo) = "chan-user-reply",
            AuthMudReply(AuthMudReply) = "auth-mud-reply",
            PingReq(Ping) = "ping-req",
            PingReply(Ping) = "ping-reply",
            Beep(Beep) = "beep",
            Error(Box<ErrorPacket>) = "error",
            ChanlistReply(ChanlistReply) = "chanlist-reply",
            StartupReply(StartupReply) = "startup-reply",
            StartupReq3(Box<StartupReq3>) = "startup-req-3",
            /// Protocol 2.
            StartupReq2(Box<StartupReq2>) = "startup-req-2",
            /// Protocol 1.
            StartupReq1(Box<StartupReq2>) = "startup-req-1",
            Shutdown(Shutdown) = "shutdown",
            ChannelListen(ChannelListen) = "channel-listen",
            ChannelAdd(ChannelAdd) = "channel-add",
            ChannelRemove(ChannelRemove) = "channel-remove",
            ChannelAdmin(ChannelAdmin) = "channel-admin",
            ChanFilterReq(ChanFilter) = "chan-filter-req",
            ChanFilterReply(ChanFilter) = "chan-filter-reply",
            ChanAdminlist(ChanAdminlist) = "chan-adminlist",
            ChanAdminlistReply(ChanAdminlistReply) = "chan-adminlist-reply",
            IrnData(IrnData) = "irn-data",
            IrnPing(IrnPing) = "irn-ping",
            IrnMudlistDelta(IrnMudlist) = "irn-mudlist-delta",
            IrnMudlistAltered(IrnMudlist) = "irn-mudlist-altered",
            IrnChanlistDelta(IrnChanlist) = "irn-chanlist-delta",
            IrnChanlistAltered(IrnChanlist) = "irn-chanlist-altered",
            IrnMudlistReq(IrnListReq) = "irn-mudlist-req",
            IrnChanlistReq(IrnListReq) = "irn-chanlist-req",
            IrnStartupReq(IrnStartupReq) = "irn-startup-req",
        }
        bare {
            /// A user asks who is on another mud. 6 elements.
            ///
            /// `({"who-req",5,"MudA","bob","MudB",0,})`
            WhoReq = "who-req",
            /// A mud asks another for a session key, for out-of-band services. 6 elements.
            ///
            /// `({"auth-mud-req",5,"MudA",0,"MudB",0,})`
            ///
            /// Sent to the sender's own name it tells whether the link is alive: a router loops it back at
            /// once (Dead Souls; CoffeeMud swallows it).
            AuthMudReq = "auth-mud-req",
            /// A mud without the service `auth` is asked to expect an out-of-band connection. 6 elements.
            ///
            /// `({"oob-req",5,"MudA",0,"MudB",0,})`
            OobReq = "oob-req",
            /// A mud asks a router for the chanlist. 6 elements. Not in the specification; Dead Souls answers
            /// it to muds with the service `channel`.
            ///
            /// `({"chanlist-req",5,"MudA",0,"*test",0,})`
            ChanlistReq = "chanlist-req",
            /// Another name of `chanlist-req` that Dead Souls knows.
            ChanlistRequest = "chanlist-request",
            /// A router leaves its peer. 6 elements. Between routers only.
            IrnShutdown = "irn-shutdown",
        }
        other {
            /// Any other type.
            Unknown(Unknown),
        }
    }
}

impl Body {
    /// The packet's type, as on the wire.
    pub fn kind(&self) -> &str {
        match self {
            Body::Unknown(unknown) => &unknown.kind,
            known => known.label(),
        }
    }

    /// Reads the fields; `None` if the type is unknown.
    pub(super) fn read(kind: &str, fields: &mut Fields<'_>) -> Result<Option<Self>, Refused> {
        Self::read_known(kind, fields)
    }

    pub(super) fn write(&self, sink: &mut impl Sink) {
        match self {
            Body::Unknown(unknown) => unknown.fields.iter().for_each(|field| sink.value(field)),
            known => known.write_known(sink),
        }
    }
}
