//! What clients are told without having asked.

use std::borrow::Cow;

use intermud3::pinkfish;
use serde_json::{Value, json};

use super::filter::Colour;
use super::log::Position;
use super::queue::Line;
use crate::bus::{ChannelKind, ChannelMessage};
use crate::keys::Permission;

/// Something one user said or did to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The speaker's mud.
    pub from_mud: String,
    /// The speaker.
    pub from_user: String,
    /// Our mud.
    pub to_mud: String,
    /// The user it is for.
    pub to_user: String,
    /// The text; in an emote `$N` stands for the speaker.
    pub message: String,
    /// The speaker's name as shown.
    pub visname: String,
}

/// An answer of another mud.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The mud that answers.
    pub from_mud: String,
    /// Our mud.
    pub to_mud: String,
    /// The user who asked.
    pub to_user: String,
    /// The answer's own fields.
    pub fields: Value,
}

/// An error of a router or mud, or of our own.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// The protocol's code, such as `unk-dst`, or `not-sent`.
    pub code: String,
    /// The same in words.
    pub message: String,
    /// Who reports it.
    pub from_mud: String,
    /// Our mud.
    pub to_mud: String,
    /// The user it concerns; empty when it concerns none.
    pub to_user: String,
}

/// An event, with the fields the published clients read.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Somebody spoke or did something on a channel.
    Channel {
        /// What.
        said: ChannelMessage,
        /// To whom it was done, in an emote that has a target.
        target: Option<EmoteTarget>,
    },
    /// Somebody told one of our users something.
    Tell(Told),
    /// Somebody did something to one of our users.
    Emoteto(Told),
    /// Who is on another mud.
    WhoReply(Reply),
    /// What another mud tells about a user.
    FingerReply(Reply),
    /// Where a user is.
    LocateReply(Reply),
    /// Who is on a channel at another mud.
    ChannelWhoReply(Reply),
    /// A router or mud reported an error, or a packet could not be sent in time.
    Error(Trouble),
    /// A mud came to the network.
    MudOnline(String),
    /// A mud left the network.
    MudOffline(String),
    /// The router session is established, the first time or again.
    GatewayReconnected,
}

/// To whom a targeted emote is done.
#[derive(Clone, Debug, PartialEq)]
pub struct EmoteTarget {
    /// The user's mud.
    pub mud: String,
    /// The user.
    pub user: String,
    /// The user's name as shown; `$O` in the texts stands for it.
    pub visname: String,
    /// What that user sees.
    pub message: String,
}

impl Event {
    /// The channel whose listeners it concerns; none: everybody.
    pub fn channel(&self) -> Option<&str> {
        match self {
            Self::Channel { said, .. } => Some(&said.channel),
            _ => None,
        }
    }

    /// The event's name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Channel { said, .. } => match said.kind {
                ChannelKind::Message => "channel_message",
                ChannelKind::Emote => "channel_emote",
            },
            Self::Tell(_) => "tell_received",
            Self::Emoteto(_) => "emoteto_received",
            Self::WhoReply(_) => "who_reply",
            Self::FingerReply(_) => "finger_reply",
            Self::LocateReply(_) => "locate_reply",
            Self::ChannelWhoReply(_) => "channel_who_reply",
            Self::Error(_) => "error_occurred",
            Self::MudOnline(_) => "mud_online",
            Self::MudOffline(_) => "mud_offline",
            Self::GatewayReconnected => "gateway_reconnected",
        }
    }

    /// The permission a session needs to get it; none: everybody gets it.
    pub fn permission(&self) -> Option<Permission> {
        match self {
            Self::Channel { .. } => Some(Permission::Channel),
            Self::Tell(_) | Self::Emoteto(_) => Some(Permission::Tell),
            Self::WhoReply(_)
            | Self::FingerReply(_)
            | Self::LocateReply(_)
            | Self::ChannelWhoReply(_)
            | Self::MudOnline(_)
            | Self::MudOffline(_) => Some(Permission::Info),
            Self::Error(_) | Self::GatewayReconnected => None,
        }
    }

    /// The mud and the user it comes from, for filters.
    pub fn origin(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Channel { said, .. } => (Some(&said.mud), Some(&said.user)),
            Self::Tell(told) | Self::Emoteto(told) => (Some(&told.from_mud), Some(&told.from_user)),
            Self::WhoReply(reply)
            | Self::FingerReply(reply)
            | Self::LocateReply(reply)
            | Self::ChannelWhoReply(reply) => (Some(&reply.from_mud), None),
            Self::Error(trouble) => (Some(&trouble.from_mud), None),
            Self::MudOnline(mud) | Self::MudOffline(mud) => (Some(mud), None),
            Self::GatewayReconnected => (None, None),
        }
    }

    /// Whether it should wait for a client when none is there.
    pub(super) fn is_kept(&self) -> bool {
        matches!(self, Self::Tell(_) | Self::Emoteto(_))
    }

    /// Encodes it for the wire: a JSON-RPC notification, which never has an `id`.
    pub fn encode(&self, position: Position, timestamp: &str, colour: Colour) -> Line {
        let mut params = self.params(colour);
        if let Value::Object(params) = &mut params {
            params.insert("timestamp".to_owned(), Value::from(timestamp));
            params.insert("epoch".to_owned(), Value::from(position.epoch));
            params.insert("seq".to_owned(), Value::from(position.seq));
        }
        Line::new(&json!({"jsonrpc": "2.0", "method": self.name(), "params": params}))
    }

    fn params(&self, colour: Colour) -> Value {
        match self {
            Self::Channel { said, target } => {
                let mut params = json!({
                    "channel": said.channel, "from_mud": said.mud, "from_user": said.user,
                    "message": shown(&said.message, colour), "visname": shown(&said.visname, colour),
                    "type": said.kind.as_str(),
                });
                if let Some(target) = target {
                    params["target_mud"] = json!(target.mud);
                    params["target_user"] = json!(target.user);
                    params["target_visname"] = json!(shown(&target.visname, colour));
                    params["message_target"] = json!(shown(&target.message, colour));
                }
                params
            }
            Self::Tell(told) | Self::Emoteto(told) => json!({
                "from_mud": told.from_mud, "from_user": told.from_user, "to_mud": told.to_mud,
                "to_user": told.to_user, "message": shown(&told.message, colour),
                "visname": shown(&told.visname, colour),
            }),
            Self::WhoReply(reply)
            | Self::FingerReply(reply)
            | Self::LocateReply(reply)
            | Self::ChannelWhoReply(reply) => {
                let mut params = reply.fields.clone();
                params["from_mud"] = json!(reply.from_mud);
                params["to_mud"] = json!(reply.to_mud);
                params["to_user"] = json!(reply.to_user);
                params
            }
            Self::Error(trouble) => json!({
                "error_code": trouble.code, "error_message": trouble.message, "message": trouble.message,
                "from_mud": trouble.from_mud, "to_mud": trouble.to_mud, "to_user": trouble.to_user,
                "context": "i3_packet_error",
            }),
            Self::MudOnline(mud) => json!({"mud_name": mud, "status": "online"}),
            Self::MudOffline(mud) => json!({"mud_name": mud, "status": "offline"}),
            Self::GatewayReconnected => {
                json!({"message": "Gateway reconnected to I3 router", "status": "connected"})
            }
        }
    }
}

fn shown(text: &str, colour: Colour) -> Cow<'_, str> {
    match colour {
        Colour::Raw => Cow::Borrowed(text),
        Colour::Plain => pinkfish::to_plain(text),
        Colour::Ansi => pinkfish::to_ansi(text),
    }
}

/// The current time as events carry it: ISO 8601, UTC, microseconds, with a `Z`.
pub fn timestamp() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::hub) fn chat(channel: &str) -> Event {
        let said = ChannelMessage {
            mud: "Dawn".into(),
            user: "ann".into(),
            channel: channel.into(),
            kind: ChannelKind::Message,
            visname: "Ann".into(),
            message: "%^RED%^hi%^RESET%^".into(),
        };
        Event::Channel { said, target: None }
    }

    pub(in crate::hub) fn tell(message: &str) -> Event {
        Event::Tell(Told {
            from_mud: "Dawn".into(),
            from_user: "ann".into(),
            to_mud: "Dusk".into(),
            to_user: "bob".into(),
            message: message.into(),
            visname: "Ann".into(),
        })
    }

    fn encoded(event: Event, colour: Colour) -> Value {
        let line = event.encode(Position { epoch: 1, seq: 2 }, "T", colour);
        serde_json::from_str(line.text()).unwrap()
    }

    #[test]
    fn events_have_the_shapes_that_clients_know_and_no_id() {
        assert_eq!(
            encoded(chat("c"), Colour::Raw),
            json!({"jsonrpc": "2.0", "method": "channel_message", "params": {
                "channel": "c", "from_mud": "Dawn", "from_user": "ann", "message": "%^RED%^hi%^RESET%^",
                "visname": "Ann", "type": "message", "timestamp": "T", "epoch": 1, "seq": 2,
            }})
        );
        assert_eq!(
            encoded(tell("t"), Colour::Raw),
            json!({"jsonrpc": "2.0", "method": "tell_received", "params": {
                "from_mud": "Dawn", "from_user": "ann", "to_mud": "Dusk", "to_user": "bob", "message": "t",
                "visname": "Ann", "timestamp": "T", "epoch": 1, "seq": 2,
            }})
        );
        assert_eq!(
            encoded(Event::GatewayReconnected, Colour::Raw),
            json!({"jsonrpc": "2.0", "method": "gateway_reconnected", "params": {
                "message": "Gateway reconnected to I3 router", "status": "connected",
                "timestamp": "T", "epoch": 1, "seq": 2,
            }})
        );
    }

    #[test]
    fn colours_are_shown_as_asked_for() {
        assert_eq!(encoded(chat("c"), Colour::Plain)["params"]["message"], "hi");
        let ansi = encoded(chat("c"), Colour::Ansi)["params"]["message"].as_str().unwrap().to_owned();
        assert!(ansi.starts_with("\u{1b}[") && ansi.contains("hi"), "{ansi:?}");
    }

    #[test]
    fn timestamps_are_iso_8601_in_utc_with_microseconds() {
        let now = timestamp();
        assert_eq!(now.len(), "2026-11-23T07:00:00.123456Z".len());
        assert!(now.ends_with('Z') && now.parse::<jiff::Timestamp>().is_ok(), "{now}");
    }
}
