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
//! A field of type string may hold the int 0, LPC's "nothing", where the field's documentation says so.

mod channel;
mod display;
mod error;
mod fields;
mod header;
mod mudlist;
mod startup;
mod tell;

use bytes::Bytes;

use crate::lpc::{self, Bracket, Builder, EncodeError, Limits, Sink, Writer};
use crate::{DecodeError, Value};
use fields::{Fields, Layout};

pub use channel::{ChanlistReply, ChannelEntry, ChannelListen, ChannelMessage};
pub use error::ErrorPacket;
pub use header::{DEFAULT_TTL, Header};
pub use mudlist::{MudEntry, Mudlist};
pub use startup::{RouterEntry, StartupReply, StartupReq3};
pub use tell::Tell;

/// A packet: its header and its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    /// From whom and to whom.
    pub header: Header,
    /// The type and what belongs to it.
    pub body: Body,
}

/// The fields of a packet, by type.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// `startup-req-3`.
    StartupReq3(Box<StartupReq3>),
    /// `startup-reply`.
    StartupReply(StartupReply),
    /// `mudlist`.
    Mudlist(Mudlist),
    /// `chanlist-reply`.
    ChanlistReply(ChanlistReply),
    /// `channel-listen`.
    ChannelListen(ChannelListen),
    /// `channel-m`.
    ChannelMessage(ChannelMessage),
    /// `tell`.
    Tell(Tell),
    /// `error`.
    Error(Box<ErrorPacket>),
    /// Any other type.
    Unknown(Unknown),
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
    /// Shows the number of fields only: those of `startup-req-2` or `auth-mud-reply` are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unknown {{ kind: {:?}, {} fields }}", self.kind, self.fields.len())
    }
}

/// Why a text or a value is no packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
        /// The packet's type.
        kind: String,
        /// How many elements the type has.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// An element of the wrong LPC type.
    #[error("{kind}: {field} must be {expected}, not {found}")]
    Field {
        /// The packet's type.
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
    /// Reads the text of one frame.
    pub fn decode(text: &[u8]) -> Result<Self, PacketError> {
        Self::from_value(lpc::decode(text)?)
    }

    /// Reads a packet from its array.
    pub fn from_value(value: Value) -> Result<Self, PacketError> {
        let mut fields = Fields::new(value)?;
        let header = Header::read(&mut fields)?;
        let body = Body::read(fields)?;
        Ok(Self { header, body })
    }

    /// Writes the packet as the text of a frame.
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

    /// The packet's type, as on the wire.
    pub fn kind(&self) -> &str {
        self.body.kind()
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.open(Bracket::Array, self.body.elements());
        sink.string(self.kind());
        self.header.write(sink);
        self.body.write(sink);
        sink.close(Bracket::Array);
    }
}

/// `match` over every type, with the same expression for each that has a [`Layout`].
macro_rules! each_body {
    ($body:expr, $typed:ident => $do:expr, $unknown:ident => $else:expr) => {
        match $body {
            Body::StartupReq3($typed) => $do,
            Body::StartupReply($typed) => $do,
            Body::Mudlist($typed) => $do,
            Body::ChanlistReply($typed) => $do,
            Body::ChannelListen($typed) => $do,
            Body::ChannelMessage($typed) => $do,
            Body::Tell($typed) => $do,
            Body::Error($typed) => $do,
            Body::Unknown($unknown) => $else,
        }
    };
}

impl Body {
    /// The packet's type, as on the wire.
    pub fn kind(&self) -> &str {
        each_body!(self, typed => kind_of(typed), unknown => &unknown.kind)
    }

    fn read(fields: Fields) -> Result<Self, PacketError> {
        Ok(match fields.kind() {
            StartupReq3::KIND => Body::StartupReq3(Box::new(fields.all()?)),
            StartupReply::KIND => Body::StartupReply(fields.all()?),
            Mudlist::KIND => Body::Mudlist(fields.all()?),
            ChanlistReply::KIND => Body::ChanlistReply(fields.all()?),
            ChannelListen::KIND => Body::ChannelListen(fields.all()?),
            ChannelMessage::KIND => Body::ChannelMessage(fields.all()?),
            Tell::KIND => Body::Tell(fields.all()?),
            ErrorPacket::KIND => Body::Error(Box::new(fields.all()?)),
            _ => Body::Unknown(fields.rest()),
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        each_body!(self, typed => typed.write(sink), unknown => {
            unknown.fields.iter().for_each(|field| sink.value(field));
        });
    }

    /// How many elements the whole packet has.
    fn elements(&self) -> usize {
        each_body!(self, typed => elements_of(typed), unknown => header::ELEMENTS + unknown.fields.len())
    }
}

fn kind_of<L: Layout>(_: &L) -> &'static str {
    L::KIND
}

fn elements_of<L: Layout>(_: &L) -> usize {
    L::ELEMENTS
}
