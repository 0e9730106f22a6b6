//! IRN, what routers say to each other: version 1, as Dead Souls and CoffeeMud speak it, with the framing and
//! the header of other packets. A mud has no use for these.

use crate::layout::{Field, Fields, Layout, Refused, layout};
use crate::lpc::Sink;
use crate::{Mapping, Value};

layout! {
    /// `irn-startup-req`: a router greets its peer. 7 elements.
    ///
    /// `({"irn-startup-req",5,"*i4","foo","*dalet","bar",(["client_password":1,"server_password":2,]),})`
    pub struct IrnStartupReq {
        /// `client_password`, of the sender, and `server_password`, of the peer: ints. Secrets.
        passwords: Mapping = secret,
    }
}

layout! {
    /// `irn-mudlist-req` and `irn-chanlist-req`: a router asks its peer for a list. 6 elements, or 7 with the
    /// last id in version 2.
    ///
    /// `({"irn-mudlist-req",5,"*i4",0,"*dalet",0,})`
    #[derive(Eq)]
    pub struct IrnListReq {
        /// The id of the last list seen.
        last_id: Option<i64> = trailing,
    }
}

layout! {
    /// `irn-mudlist-delta` and `irn-mudlist-altered`: muds of the sending router that are new or changed.
    /// 8 elements.
    ///
    /// `({"irn-mudlist-delta",5,"*i4",0,"*dalet",0,1795418241,(["MudA":(["name":"MudA","ip":"10.0.0.2",
    /// "router":"*i4","password":1,...]),"Gone":0,]),})`
    pub struct IrnMudlist {
        /// A counter, or the time (Dead Souls).
        id: i64,
        /// Names and what is known of each: `name`, `ip`, `router`, `password`, `connect_time`,
        /// `disconnect_time`, `restart_delay`, `version` or `protocol`, `old_mudlist_id`, `old_chanlist_id`, and
        /// the fields of a [`MudEntry`](super::MudEntry) by name. `None` for a mud that was deleted. Holds the
        /// muds' passwords: a secret.
        muds: Vec<(String, Option<Mapping>)> = secret,
    }
}

layout! {
    /// `irn-chanlist-delta` and `irn-chanlist-altered`: channels that are new or changed, and who listens.
    /// 8 elements.
    ///
    /// `({"irn-chanlist-delta",5,"*i4",0,"*dalet",0,1795418241,(["channels":(["pchan":({0,"MudA",({}),}),]),
    /// "listening":([]),]),})`
    pub struct IrnChanlist {
        /// A counter, or the time (Dead Souls).
        id: i64,
        /// `channels`: a mapping of channel to `({type,owner,({muds})})`, or to 0 for one that was deleted;
        /// `listening`: a mapping. Either may be missing.
        info: Mapping,
    }
}

layout! {
    /// `irn-data`: a mud's packet on its way to a mud of the peer. 7 elements.
    ///
    /// `({"irn-data",5,"*i4",0,"*dalet",0,({"tell",5,"MudA","bob","MudB","ann","Bob","hi",}),})`
    pub struct IrnData {
        /// The packet, whole.
        packet: Value = packet,
    }
}

/// `irn-ping`: the peer is there. 8 elements, or 6 from CoffeeMud.
///
/// `({"irn-ping",5,"*i4",0,"*dalet",0,1795418241,1795418241,})`
/// `({"irn-ping",5,"*i4",0,"*dalet",0,})`
///
/// Dead Souls sends one every ten seconds and gives a peer up after 120.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IrnPing {
    /// The time and a code, both ints; `None` in the form of 6 elements.
    pub time_and_code: Option<(i64, i64)>,
}

impl Layout for IrnPing {
    const FIELDS: std::ops::RangeInclusive<usize> = 0..=2;

    fn read(fields: &mut Fields<'_>) -> Result<Self, Refused> {
        let time_and_code = match fields.count() {
            0 => None,
            1 => return Err(fields.wrong_count(2)),
            _ => Some((fields.next("time")?, fields.next("code")?)),
        };
        Ok(Self { time_and_code })
    }

    fn write(&self, sink: &mut impl Sink) {
        if let Some((time, code)) = self.time_and_code {
            time.write(sink);
            code.write(sink);
        }
    }
}
