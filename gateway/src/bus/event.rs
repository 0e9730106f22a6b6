//! A channel event as it goes over the bus.

use serde::{Deserialize, Serialize};

/// What kind of channel packet an event stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// A message, `channel-m`.
    Message,
    /// An emote, `channel-e`: `$N` stands for the speaker.
    Emote,
}

impl ChannelKind {
    /// The kind as clients know it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Emote => "emote",
        }
    }
}

/// What makes two copies of one channel message equal: all that the router passes on unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChannelMessage {
    /// The mud it was said on.
    pub mud: String,
    /// Who said it.
    pub user: String,
    /// The channel, in its exact case.
    pub channel: String,
    /// What kind it is.
    pub kind: ChannelKind,
    /// The speaker's name as shown.
    pub visname: String,
    /// The text.
    pub message: String,
}

/// The value published on [`mudgateway_crds::bus::channel_subject`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelEvent {
    /// Unique for each message said, also for two of the same text.
    pub id: String,
    /// The message.
    #[serde(flatten)]
    pub message: ChannelMessage,
}
