//! What the process that writes the log tells the other processes of the mud.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::event::Event;
use crate::bus::{ChannelMessage, Path, StreamPlace};
use crate::mud::{Position, User};

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its place.
    pub position: Position,
    /// When it was written.
    pub at: Timestamp,
    /// What it says.
    pub change: Change,
}

/// The beginning of an epoch, by a writer who knows all of the log before; or a leap in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its first place, before the first entry.
    pub begin: Position,
    /// Where the log ended before. Who has it up to there, and no further, misses nothing.
    pub after: Position,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Clients are told something.
    Event {
        /// What they are told.
        #[serde(with = "shared")]
        event: Arc<Event>,
        /// What becomes of it when nobody was there.
        #[serde(default)]
        fate: Fate,
    },
    /// A copy of a channel message came.
    Copy(Box<SaidCopy>),
    /// A piece of the mudlist or of the channel list, as the packet it came in.
    List(String),
    /// Who is on our mud.
    Presence(Vec<User>),
    /// A tell that waited since this place waits no more: who goes on from before it has it.
    Heard(Position),
    /// Something too large to be told.
    Lost,
}

/// What becomes of an event that nobody was there to hear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Nothing: somebody heard it, or it is not worth keeping.
    #[default]
    Told,
    /// It waits for a client.
    Kept,
    /// It waited at this place, and is told now.
    Waited(Position),
}

/// A copy of a channel message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SaidCopy {
    /// The way it came.
    pub path: Path,
    /// Its place in the stream of the bus, when it came by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamPlace>,
    /// Whether the router has not had it, as far as is known: then this is the only way for it to come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only: bool,
    /// Whether clients were told; else its twin came before.
    pub delivered: bool,
    /// The message.
    pub message: ChannelMessage,
}

/// An event of which others have a share, as it is written and read.
mod shared {
    use super::{Arc, Deserialize, Deserializer, Event, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(event: &Arc<Event>, serializer: S) -> Result<S::Ok, S::Error> {
        event.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Event>, D::Error> {
        Event::deserialize(deserializer).map(Arc::new)
    }
}

/// A tell that waits for a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptTell {
    /// The place it had when it came.
    pub position: Position,
    /// When it came.
    pub at: Timestamp,
    /// What it says.
    #[serde(with = "shared")]
    pub event: Arc<Event>,
    /// Whether no other process can have heard it from the router. Earlier versions knew only what the router had brought.
    #[serde(default, rename = "by_router", skip_serializing_if = "std::ops::Not::not")]
    pub here_alone: bool,
}

impl KeptTell {
    /// A tell, or another event that is none of a channel's.
    pub fn new(position: Position, at: Timestamp, event: Arc<Event>) -> Self {
        Self { position, at, event, here_alone: false }
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::tests::tell;
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let position = Position { epoch: 7, seq: 3 };
        let at: Timestamp = "2026-11-24T09:00:00.123456Z".parse().unwrap();
        let record =
            |fate| Record { position, at, change: Change::Event { event: Arc::new(tell("hi")), fate } };
        for fate in [Fate::Told, Fate::Kept, Fate::Waited(position)] {
            let text = serde_json::to_string(&record(fate)).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record(fate), "{text}");
        }
    }
}
