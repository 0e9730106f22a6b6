//! Beginning, end and errors.

use crate::layout::{Fields, Layout, Refused, layout};
use crate::lpc::Sink;
use crate::packet::{ErrorPacket, Header};

layout! {
    /// `oob-begin`: who calls, and with what right. 4 elements. The answer is the same with type and token 0.
    ///
    /// `({"oob-begin","MudA",1,42789,})`
    #[derive(Eq)]
    pub struct OobBegin {
        /// The sender's name.
        mud: String,
        /// [`OobBegin::BY_KEY`] or [`OobBegin::UNAUTHENTICATED`].
        auth_type: i64,
        /// The session key of the `auth-mud-reply`; 0 without one. A secret.
        auth_token: i64 = secret,
    }
}

impl OobBegin {
    /// The other mud has no service `auth`; it was sent an `oob-req`.
    pub const UNAUTHENTICATED: i64 = 0;
    /// With a session key.
    pub const BY_KEY: i64 = 1;
}

layout! {
    /// `oob-end`: the sender has no more requests. 2 elements.
    ///
    /// `({"oob-end","MudA",})`
    #[derive(Eq)]
    pub struct OobEnd {
        /// The sender's name; old Dead Souls has `oob-file send complete.` here.
        mud: String,
    }
}

layout! {
    /// `oob-reply` and `oob-file-end`: a friendly word of Dead Souls, to `oob-begin` and after a file. 2 elements.
    ///
    /// `({"oob-reply","Welcome to the OOB service on MudB",})`
    #[derive(Eq)]
    pub struct OobReply {
        /// The word.
        message: String,
    }
}

/// `error` and `oob-error`: a request was refused. With the header of packets on a router's connection, 9
/// elements, as the specification has it; or without, 4 elements, as Lima reads `oob-error`. The last element
/// may be missing.
///
/// `({"error",5,"MudB",0,"MudA",0,"bad-proto","packet came at wrong time",({"mail",...}),})`
/// `({"oob-error","bad-proto","packet came at wrong time",({"mail",...}),})`
#[derive(Debug, Clone, PartialEq)]
pub struct OobError {
    /// From whom and to whom, where that is said.
    pub header: Option<Header>,
    /// What is wrong.
    pub error: ErrorPacket,
}

/// The most fields without a header.
const HEADLESS: usize = *ErrorPacket::FIELDS.end();

impl Layout for OobError {
    const FIELDS: std::ops::RangeInclusive<usize> = 2..=5 + HEADLESS;

    fn read(fields: &mut Fields<'_>) -> Result<Self, Refused> {
        let header = match fields.count() {
            2..=HEADLESS => None,
            7.. => Some(Header::read(fields)?),
            _ => return Err(fields.wrong_count(5 + HEADLESS)),
        };
        Ok(Self { header, error: ErrorPacket::read(fields)? })
    }

    fn write(&self, sink: &mut impl Sink) {
        if let Some(header) = &self.header {
            header.write(sink);
        }
        Layout::write(&self.error, sink);
    }
}
