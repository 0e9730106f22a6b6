//! Private messages.

use super::PacketError;
use super::fields::{Fields, Layout};
use crate::lpc::Sink;

/// `tell`: one user says something to another. 8 elements.
///
/// `({"tell",5,"MudA","bob","MudB","ann","Bob","hi",})`
///
/// The target user goes in lower case ([`Header::to_user`](super::Header::to_user) sees to it). A tell to a mud
/// that the router knows but that is not connected is lost without a word; only a name it never heard of
/// brings an `error` with `unk-dst`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tell {
    /// The sender's name to show; 0 reads as empty.
    pub visname: String,
    /// What is said.
    pub message: String,
}

impl Layout for Tell {
    const KIND: &'static str = "tell";
    const ELEMENTS: usize = 8;

    fn read(fields: &mut Fields) -> Result<Self, PacketError> {
        Ok(Self { visname: fields.text("visname")?, message: fields.string("message")? })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.string(&self.visname);
        sink.string(&self.message);
    }
}
