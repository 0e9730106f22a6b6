//! A channel event as it goes over the bus.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of channel packet an event stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// A message, `channel-m`.
    Message,
    /// An emote, `channel-e` or, with a target, `channel-t`: `$N` stands for the speaker.
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
    /// To whom it is done, in an emote that has a target. Older gateways neither send nor read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<EmoteTarget>,
}

/// To whom a targeted emote is done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct EmoteTarget {
    /// The target's mud.
    pub target_mud: String,
    /// The target.
    pub target_user: String,
    /// The target's name as shown; `$O` in the texts stands for it.
    pub target_visname: String,
    /// What the target sees.
    pub message_target: String,
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_of_an_older_gateway_has_no_target_and_one_with_a_target_keeps_it() {
        let mut value = json!({
            "id": "1", "mud": "Dawn", "user": "ann", "channel": "c", "kind": "emote", "visname": "Ann", "message": "$N waves.",
        });
        let event: ChannelEvent = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(event.message.target, None);
        assert_eq!(serde_json::to_value(&event).unwrap(), value);
        value["target"] = json!({
            "target_mud": "Dusk", "target_user": "bob", "target_visname": "Bob", "message_target": "$N waves to you.",
        });
        let event: ChannelEvent = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(event.message.target.as_ref().unwrap().target_user, "bob");
        assert_eq!(serde_json::to_value(&event).unwrap(), value);
    }
}
