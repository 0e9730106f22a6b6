//! What a router saw and did, for tests to wait for and for the log.

use std::fmt::{Display, Formatter, Result};
use std::net::IpAddr;

use bytes::Bytes;
use intermud3::Packet;

use crate::core::{Conn, TextError};

/// Something that happened at the router.
#[derive(Debug, Clone)]
pub enum Event {
    /// A connection was accepted.
    Connected {
        /// The connection.
        conn: Conn,
        /// From where.
        address: IpAddr,
    },
    /// A connection was closed as soon as it came, because of another one in the same clock second.
    TurnedAway {
        /// From where.
        address: IpAddr,
    },
    /// A frame came.
    Received {
        /// The connection.
        conn: Conn,
        /// The mud registered on it.
        mud: Option<String>,
        /// The text of the frame.
        text: Bytes,
    },
    /// It was dropped, because it is not what a driver reads.
    Unreadable {
        /// The connection.
        conn: Conn,
        /// The mud registered on it.
        mud: Option<String>,
        /// What is wrong with it.
        error: TextError,
    },
    /// A mud was accepted.
    Registered {
        /// The connection.
        conn: Conn,
        /// The mud.
        mud: String,
    },
    /// A startup request was not accepted.
    Refused {
        /// The connection.
        conn: Conn,
        /// The name asked for.
        mud: String,
        /// Why.
        why: Refusal,
    },
    /// A connection is one with another router.
    Linked {
        /// The connection.
        conn: Conn,
        /// The router.
        router: String,
    },
    /// Everything is closed and starts again.
    Restarted,
    /// A connection ended, by whomever.
    Closed {
        /// The connection.
        conn: Conn,
        /// The mud registered on it.
        mud: Option<String>,
    },
}

/// Why a mud was met with silence. On a link that is registered under the same name some of these are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Wrong number or types of fields.
    Malformed,
    /// Not one of the protocols 1 to 3.
    UnknownProtocol(i64),
    /// No name.
    NoName,
    /// Addressed to another router.
    WrongRouter,
    /// Wrong password, and from a new address.
    WrongPassword,
    /// The name is connected from another address or with another password.
    Taken,
    /// A new name, and its address has 33 muds.
    AddressLimit,
    /// Its address gave too many wrong passwords.
    Blacklisted,
    /// It sent too much and is ignored for a while.
    Flood,
    /// Cut off by a test.
    Cut,
    /// The router knows as many muds as it can.
    Full,
}

impl Event {
    /// The packet that came, if this is one that is well-formed.
    pub fn packet(&self) -> Option<Packet> {
        match self {
            Event::Received { text, .. } => Packet::decode(text).ok(),
            _ => None,
        }
    }

    /// The mud that was accepted, if this is that.
    pub fn registered(&self) -> Option<&str> {
        match self {
            Event::Registered { mud, .. } => Some(mud),
            _ => None,
        }
    }

    /// The mud that was refused and why, if this is that.
    pub fn refused(&self) -> Option<(&str, Refusal)> {
        match self {
            Event::Refused { mud, why, .. } => Some((mud, *why)),
            _ => None,
        }
    }

    /// The mud whose link closed, if this is that.
    pub fn closed(&self) -> Option<&str> {
        match self {
            Event::Closed { mud, .. } => mud.as_deref(),
            _ => None,
        }
    }
}

impl Display for Event {
    /// One line; no passwords.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Event::Connected { conn, address } => write!(f, "{conn} connected from {address}"),
            Event::TurnedAway { address } => write!(f, "turned a connection from {address} away"),
            Event::Received { conn, text, .. } => match Packet::decode(text) {
                Ok(packet) => write!(f, "{conn} sent {packet}"),
                Err(error) => write!(f, "{conn} sent {} bytes that are no packet: {error}", text.len()),
            },
            Event::Unreadable { conn, error, .. } => write!(f, "{conn} was not understood: {error}"),
            Event::Registered { conn, mud } => write!(f, "{conn} registered as {mud:?}"),
            Event::Refused { conn, mud, why } => write!(f, "{conn} refused as {mud:?}: {why:?}"),
            Event::Linked { conn, router } => write!(f, "{conn} is the router {router:?}"),
            Event::Restarted => f.write_str("closed everything and started again"),
            Event::Closed { conn, mud: Some(mud) } => write!(f, "{conn} closed, was {mud:?}"),
            Event::Closed { conn, mud: None } => write!(f, "{conn} closed"),
        }
    }
}
