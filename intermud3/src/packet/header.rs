//! The first six elements of every packet.

use crate::layout::{Field, Fields, Refused};
use crate::lpc::Sink;

/// How many elements the header has, the type included.
pub(crate) const ELEMENTS: usize = 6;

/// The `ttl` that every program writes.
pub const DEFAULT_TTL: i64 = 5;

/// From whom and to whom a packet goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Hops left. Routers neither count it down nor look at it.
    pub ttl: i64,
    /// The mud that sent it, or the router.
    pub origin_mud: String,
    /// The user that sent it; `None` is written as 0.
    pub origin_user: Option<String>,
    /// The mud or router it is for; `None` is written as 0 and means everyone, or a channel's listeners.
    pub target_mud: Option<String>,
    /// The user it is for, in lower case; `None` is written as 0.
    pub target_user: Option<String>,
}

impl Header {
    /// From a mud as a whole to another mud or to a router: `5,origin,0,target,0`.
    pub fn to_mud(origin_mud: impl Into<String>, target_mud: impl Into<String>) -> Self {
        Self { target_mud: Some(target_mud.into()), ..Self::to_all(origin_mud, None::<String>) }
    }

    /// From one user to another: `5,origin,user,target,user`. The target user is put in lower case, which is
    /// how muds look users up.
    pub fn to_user(
        origin_mud: impl Into<String>,
        origin_user: impl Into<String>,
        target_mud: impl Into<String>,
        target_user: &str,
    ) -> Self {
        Self {
            target_mud: Some(target_mud.into()),
            target_user: Some(target_user.to_lowercase()),
            ..Self::to_all(origin_mud, Some(origin_user))
        }
    }

    /// To every mud, or to every listener of a channel: `5,origin,user|0,0,0`.
    pub fn to_all(origin_mud: impl Into<String>, origin_user: Option<impl Into<String>>) -> Self {
        Self {
            ttl: DEFAULT_TTL,
            origin_mud: origin_mud.into(),
            origin_user: origin_user.map(Into::into),
            target_mud: None,
            target_user: None,
        }
    }

    pub(crate) fn read(fields: &mut Fields<'_>) -> Result<Self, Refused> {
        Ok(Self {
            ttl: fields.next("ttl")?,
            origin_mud: fields.next("originator mud")?,
            origin_user: fields.next("originator user")?,
            target_mud: fields.next("target mud")?,
            target_user: fields.next("target user")?,
        })
    }

    pub(crate) fn write(&self, sink: &mut impl Sink) {
        self.ttl.write(sink);
        self.origin_mud.write(sink);
        self.origin_user.write(sink);
        self.target_mud.write(sink);
        self.target_user.write(sink);
    }
}
