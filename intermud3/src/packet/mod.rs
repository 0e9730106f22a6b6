//! Packets: an LPC array of a type name, five more elements of header, and the fields of that type.
//!
//! | index | element | |
//! |---|---|---|
//! | 0 | type | string |
//! | 1 | ttl | int, 5 by custom; routers do not count it down |
//! | 2 | originator mud | string |
//! | 3 | originator user | string, or 0 |
//! | 4 | target mud | string, or 0 for "everyone" |
//! | 5 | target user | string, or 0 |
//! | 6.. | fields | by type |
//!
//! A type has the number of elements its documentation says, header included; another number is an error. A
//! field of type string may hold the int 0, LPC's "nothing", where the field's documentation says so: such a
//! field reads as an empty string, or as `None` where the two differ. Names of users come in lower case,
//! *visnames* as they are to be shown.
//!
//! What a field may *mean* is not checked: that an `error` does come from the router, for instance, or that a
//! channel exists.

mod admin;
mod channel;
mod display;
mod error;
mod header;
mod irn;
mod kinds;
mod mud;
mod mudlist;
mod startup;
mod user;

use bytes::Bytes;

use crate::layout::{Fields, Refused};
use crate::lpc::{self, Bracket, Builder, EncodeError, Limits, Sink, Writer};
use crate::{DecodeError, Value};

pub use admin::{ChanAdminlist, ChanAdminlistReply, ChanFilter, ChannelAdd, ChannelAdmin, ChannelRemove};
pub use channel::{
    ChanUserReq, ChanWhoReply, ChanWhoReq, ChanlistReply, ChannelEntry, ChannelListen, ChannelMessage,
    ChannelTargetedEmote, UserInfo,
};
pub(crate) use display::{Plain, display_error};
pub use error::ErrorPacket;
pub use header::{DEFAULT_TTL, Header};
pub use irn::{IrnChanlist, IrnData, IrnListReq, IrnMudlist, IrnPing, IrnStartupReq};
pub use kinds::Body;
pub use mud::{AuthMudReply, Ping, Shutdown};
pub use mudlist::{EntryForm, MudEntry, Mudlist};
pub use startup::{RouterEntry, StartupReply, StartupReq2, StartupReq3};
pub use user::{Beep, FingerReply, FingerReq, LocateReply, LocateReq, Tell, WhoEntry, WhoReply};

/// A packet: its header and its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    /// From whom and to whom.
    pub header: Header,
    /// The type and what belongs to it.
    pub body: Body,
}

/// A packet of a type that has no type here, kept whole.
#[derive(Clone, PartialEq)]
pub struct Unknown {
    /// The packet's type.
    pub kind: String,
    /// What follows the header.
    pub fields: Vec<Value>,
}

impl std::fmt::Debug for Unknown {
    /// Shows the number of fields only: there may be a secret among them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unknown {{ kind: {:?}, {} fields }}", self.kind, self.fields.len())
    }
}

/// Why a text or a value is no packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// Not LPC text.
    #[error(transparent)]
    Lpc(#[from] DecodeError),
    /// No array that starts with a type name and a header.
    #[error("not an array with a packet's header")]
    NoHeader,
    /// The wrong number of elements for the type.
    #[error("{kind}: {found} elements, not {expected}")]
    FieldCount {
        /// The packet's type, and the field the elements are in, if they are not the packet's own.
        kind: String,
        /// How many elements there should be, the most if there are several forms.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// An element of the wrong LPC type.
    #[error("{kind}: {field} must be {expected}, not {found}")]
    Field {
        /// The packet's type, and the field the element is in, if it is not the packet's own.
        kind: String,
        /// The element.
        field: &'static str,
        /// What may stand there.
        expected: &'static str,
        /// The LPC type of what does.
        found: &'static str,
    },
}

impl Packet {
    /// Reads the text of one frame, within the default [`Limits`].
    pub fn decode(text: &[u8]) -> Result<Self, PacketError> {
        Self::decode_with(text, &Limits::DEFAULT)
    }

    /// Reads the text of one frame, within limits of one's own.
    pub fn decode_with(text: &[u8], limits: &Limits) -> Result<Self, PacketError> {
        Self::from_value(lpc::decode_with(text, limits)?)
    }

    /// Reads a packet from its array.
    pub fn from_value(value: Value) -> Result<Self, PacketError> {
        let (kind, rest) = split(value).ok_or(PacketError::NoHeader)?;
        if rest.len() + 1 < header::ELEMENTS {
            return Err(PacketError::NoHeader);
        }
        Self::read(kind, rest).map_err(|refused| *refused)
    }

    fn read(kind: String, rest: std::vec::IntoIter<Value>) -> Result<Self, Refused> {
        let mut fields = Fields::new(&kind, header::ELEMENTS, rest);
        let header = Header::read(&mut fields)?;
        let body = match Body::read(&kind, &mut fields)? {
            Some(body) => body,
            None => {
                let fields = fields.rest();
                Body::Unknown(Unknown { kind, fields })
            }
        };
        Ok(Self { header, body })
    }

    /// Writes the packet as the text of a frame, within the default [`Limits`].
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        self.encode_with(&Limits::DEFAULT)
    }

    /// Writes the packet within limits of one's own.
    pub fn encode_with(&self, limits: &Limits) -> Result<Bytes, EncodeError> {
        let mut writer = Writer::new(limits);
        self.write(&mut writer);
        writer.finish()
    }

    /// The packet as an array.
    pub fn to_value(&self) -> Value {
        let mut builder = Builder::new();
        self.write(&mut builder);
        builder.finish()
    }

    /// The packet's type, as on the wire. The peer chooses it: as a label of a metric take [`Body::label`].
    pub fn kind(&self) -> &str {
        self.body.kind()
    }

    fn write(&self, sink: &mut impl Sink) {
        let fields = match &self.body {
            Body::Unknown(unknown) => unknown.fields.len(),
            // Known types have too few to reach a limit.
            _ => 0,
        };
        sink.open(Bracket::Array, header::ELEMENTS + fields);
        sink.string(self.kind());
        self.header.write(sink);
        self.body.write(sink);
        sink.close(Bracket::Array);
    }
}

/// The type's name, and the elements that follow it.
pub(crate) fn split(packet: Value) -> Option<(String, std::vec::IntoIter<Value>)> {
    let Value::Array(items) = packet else {
        return None;
    };
    let mut rest = items.into_iter();
    match rest.next() {
        Some(Value::String(kind)) => Some((kind, rest)),
        _ => None,
    }
}

/// Of a packet inside another its type, of any other value that it is an int, an array, ...
pub(crate) fn kind_or_type(packet: &Value) -> &str {
    inner_kind(packet).unwrap_or(packet.type_name())
}

/// The type of a packet inside another.
pub(crate) fn inner_kind(packet: &Value) -> Option<&str> {
    packet.as_array()?.first()?.as_str()
}
