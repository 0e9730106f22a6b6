//! Errors from routers and muds.

use crate::Value;
use crate::layout::{Field, Fields, Layout, Refused};
use crate::lpc::Sink;

/// `error`: a packet could not be delivered or understood. 9 elements; a few programs leave the last out.
///
/// `({"error",5,"*test",0,"MudA","bob","unk-dst","destination unknown",({"tell",...}),})`
///
/// Never answered with another error. From a router believe it only when it comes from the router's name.
#[derive(Clone, PartialEq)]
pub struct ErrorPacket {
    /// One of the constants here, or something of the sender's own.
    pub code: String,
    /// The same in words; 0 reads as empty.
    pub message: String,
    /// The packet the error is about, or 0. With `bad-mojo` Dead Souls puts `({ip,mudlib,base_mudlib,
    /// admin_email,player_port})` of the other mud here. May hold a password, if the packet did.
    pub bad_packet: Value,
}

impl ErrorPacket {
    /// The target mud is unknown.
    pub const UNK_DST: &'static str = "unk-dst";
    /// The packet type is known, and not served.
    pub const NOT_IMP: &'static str = "not-imp";
    /// The packet type is unknown.
    pub const UNK_TYPE: &'static str = "unk-type";
    /// The originator mud is unknown.
    pub const UNK_SRC: &'static str = "unk-src";
    /// The packet has the wrong form.
    pub const BAD_PKT: &'static str = "bad-pkt";
    /// The packet breaks the protocol.
    pub const BAD_PROTO: &'static str = "bad-proto";
    /// The sender may not do this.
    pub const NOT_ALLOWED: &'static str = "not-allowed";
    /// The target user is unknown.
    pub const UNK_USER: &'static str = "unk-user";
    /// The channel is unknown.
    pub const UNK_CHANNEL: &'static str = "unk-channel";
    /// Another connection tries to register under this mud's name. Dead Souls; not in the specification.
    pub const BAD_MOJO: &'static str = "bad-mojo";
    /// Nothing was lost: the mud was made to listen to the channel first, or its password was wrong and is new
    /// now. Dead Souls; not in the specification.
    pub const WARNING: &'static str = "warning";
    /// The channel is unknown. CoffeeMud; not in the specification.
    pub const BAD_CHANNEL: &'static str = "bad-channel";
    /// The connection is at fault. Not in the specification.
    pub const BAD_CONNECTION: &'static str = "bad-connection";
    /// There is no such directory. Out of band; not in the specification.
    pub const BAD_DIRECTORY: &'static str = "bad-directory";
}

impl Layout for ErrorPacket {
    const FIELDS: std::ops::RangeInclusive<usize> = 2..=3;

    fn read(fields: &mut Fields<'_>) -> Result<Self, Refused> {
        Ok(Self { code: fields.next("code")?, message: fields.text("message")?, bad_packet: fields.value() })
    }

    fn write(&self, sink: &mut impl Sink) {
        self.code.write(sink);
        self.message.write(sink);
        self.bad_packet.write(sink);
    }
}

impl ErrorPacket {
    /// The type of the packet the error is about, if it is a packet.
    pub fn bad_kind(&self) -> Option<&str> {
        super::inner_kind(&self.bad_packet)
    }
}

impl std::fmt::Debug for ErrorPacket {
    /// Shows the type only of the packet, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ErrorPacket")
            .field("code", &self.code)
            .field("message", &self.message)
            .field("bad_packet", &super::kind_or_type(&self.bad_packet))
            .finish()
    }
}
