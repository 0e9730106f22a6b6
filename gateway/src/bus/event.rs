//! A channel event as it goes over the bus.

use async_nats::Message;
use mudgateway_crds::bus::channel_subject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::genuine::is_stored;

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

/// How far a channel reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All muds of the network, by the router.
    #[default]
    Network,
    /// The muds of this provider that have the channel with this scope, by the bus alone.
    Provider,
}

impl Scope {
    /// The word for it in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Provider => "provider",
        }
    }

    fn is_network(&self) -> bool {
        *self == Self::Network
    }
}

/// The value published on [`mudgateway_crds::bus::channel_subject`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelEvent {
    /// Unique for each message said, also for two of the same text.
    pub id: String,
    /// How far it reaches: a channel of the provider's and one of the network's may have the same name.
    #[serde(default, skip_serializing_if = "Scope::is_network")]
    pub scope: Scope,
    /// How long it had waited when it was published, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waited: u64,
    /// The message.
    #[serde(flatten)]
    pub message: ChannelMessage,
}

/// The most events of one message.
pub(super) const TOGETHER: usize = 64;

/// What is published: events of one mud, in the order in which they were said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Published {
    /// The first, of whose channel and mud the subject is.
    #[serde(flatten)]
    pub first: ChannelEvent,
    /// Those that waited when it was sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<ChannelEvent>,
}

/// The events that a message brings; none when it cannot be read, or is of another mud or channel than its subject says.
pub(super) fn read(network: &str, message: &Message) -> Option<Vec<ChannelEvent>> {
    if is_stored(message.headers.as_ref()) {
        return None;
    }
    let Published { first, then } = serde_json::from_slice(&message.payload).ok()?;
    let ChannelMessage { channel, mud, .. } = &first.message;
    let is_genuine = channel_subject(network, channel, mud) == *message.subject
        && then.len() < TOGETHER
        && then.iter().all(|event| event.message.mud == *mud);
    is_genuine.then(|| [vec![first], then].concat())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl ChannelEvent {
    /// A message that is said now.
    pub fn new(message: ChannelMessage, scope: Scope) -> Self {
        Self { id: uuid::Uuid::new_v4().to_string(), scope, waited: 0, message }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use async_nats::HeaderMap;

    use super::*;

    pub fn said(text: &str) -> ChannelEvent {
        let message = ChannelMessage {
            mud: "Dawn".into(),
            user: "ann".into(),
            channel: "c".into(),
            kind: ChannelKind::Message,
            visname: "Ann".into(),
            message: text.into(),
            target: None,
        };
        ChannelEvent::new(message, Scope::Network)
    }

    #[test]
    fn a_mud_speaks_on_its_own_subject_alone() {
        let payload = r#"{"id":"1","mud":"Dawn","user":"ann","channel":"c","kind":"message","visname":"Ann","message":"hi"}"#;
        let message = |subject: String, headers| Message {
            subject: subject.into(),
            reply: None,
            payload: payload.into(),
            headers,
            status: None,
            description: None,
            length: 0,
        };
        assert!(read("*test", &message(channel_subject("*test", "c", "Dawn"), None)).is_some());
        let forged = HeaderMap::from_iter([("Nats-Stream".parse().unwrap(), "KV_x".into())]);
        assert_eq!(read("*test", &message(channel_subject("*test", "c", "Dawn"), Some(forged))), None);
        for (network, channel, mud) in
            [("*test", "c", "Dusk"), ("*test", "d", "Dawn"), ("*other", "c", "Dawn")]
        {
            assert_eq!(read("*test", &message(channel_subject(network, channel, mud), None)), None);
        }
    }
    use serde_json::json;

    #[test]
    fn events_that_go_together_are_of_one_mud_and_not_too_many() {
        let message = |then: &[ChannelEvent]| {
            let published = Published { first: said("first"), then: then.to_vec() };
            Message {
                subject: channel_subject("*test", "c", "Dawn").into(),
                reply: None,
                payload: serde_json::to_vec(&published).unwrap().into(),
                headers: None,
                status: None,
                description: None,
                length: 0,
            }
        };
        let mut other = said("then");
        other.message.channel = "d".into();
        let read = |then: &[ChannelEvent]| read("*test", &message(then)).map(|events| events.len());
        assert_eq!((read(&[]), read(&[other.clone(), said("last")])), (Some(1), Some(3)));
        other.message.mud = "Dusk".into();
        assert_eq!(read(&[said("then"), other]), None);
        assert_eq!(read(&vec![said("then"); TOGETHER - 1]), Some(TOGETHER));
        assert_eq!(read(&vec![said("then"); TOGETHER]), None);
    }

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
