//! The Intermud-3 protocol: LPC values, mudmode framing and typed packets.
//!
//! Intermud-3 (I3) joins MUDs through routers. A MUD keeps one TCP connection to a router and sends it
//! frames; the body of a frame is one LPC value written as text; that value is an array, a *packet*, whose
//! first six elements are the header. The layers are usable on their own:
//!
//! - [`lpc`] reads and writes LPC text: `({"tell",5,"MudA","bob","MudB","ann","Bob","hi",})`.
//! - [`frame`] cuts a byte stream into bodies, and with the `codec` feature does so for `tokio-util`.
//! - [`packet`] gives packets types, and keeps those it does not know whole.
//! - [`oob`] does the same for what MUDs say to each other directly: mail, files, news.
//! - [`text`] and [`pinkfish`] deal with what is inside: characters and colours.
//!
//! ```
//! use intermud3::{Body, Packet};
//!
//! let packet = Packet::decode(br#"({"tell",5,"MudA","bob","MudB","ann","Bob","hi",})"#)?;
//! let Body::Tell(tell) = &packet.body else { unreachable!() };
//! assert_eq!(tell.message, "hi");
//! assert_eq!(packet.to_string(), r#"tell bob@MudA -> ann@MudB: Bob: "hi""#);
//! # Ok::<(), intermud3::PacketError>(())
//! ```
//!
//! # Sources
//!
//! The protocol as specified at <https://wotf.org/specs/mudmode/> and the neighbouring pages, and as spoken
//! by the programs in use. Where the two differ, what was observed on the wire holds; "Dead Souls" in this
//! documentation means observed on an unmodified Dead Souls router, the family of the large live routers.
//!
//! # Hostile input
//!
//! Nothing here panics, recurses or allocates out of proportion because of what a peer sent: see
//! [`lpc::Limits`]. `Display` of a packet is one line without control characters, of bounded length and without
//! secrets, `Debug` without secrets.
//!
//! What a packet *claims* is another matter: a router passes on what any mud broadcasts, also under another's
//! name. Believe [`Mudlist`](packet::Mudlist), [`ChanlistReply`](packet::ChanlistReply),
//! [`StartupReply`](packet::StartupReply) and a router's [`ErrorPacket`](packet::ErrorPacket) only if the
//! originator mud is the router's name.
//!
//! # Features
//!
//! `codec` (on by default): `MudModeCodec`, for `tokio-util`.

#![forbid(unsafe_code)]

pub mod frame;
mod layout;
pub mod lpc;
pub mod oob;
pub mod packet;
pub mod pinkfish;
pub mod text;
mod value;

pub use frame::FrameError;
#[cfg(feature = "codec")]
pub use frame::MudModeCodec;
pub use lpc::{DecodeError, EncodeError, Limits};
pub use oob::OobPacket;
pub use packet::{Body, Header, Packet, PacketError};
pub use value::{Mapping, Value};

/// The code in the README is tested, too.
#[cfg(all(doctest, feature = "codec"))]
#[doc = include_str!("../README.md")]
struct Readme;
