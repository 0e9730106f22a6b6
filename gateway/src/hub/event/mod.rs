//! What clients are told without having asked.

mod oob;
mod params;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::filter::Colour;
use super::queue::{CloseReason, Line};
use crate::bus::{ChannelKind, ChannelMessage};
use crate::keys::Permission;
use crate::mud::Position;

pub use oob::{
    FileGetRequested, FileListRequested, FileOutcome, FilePutRequested, FileResult, ListedFile, MailReceived,
    MailResult, NewsGroupsRequested, NewsPostRequested, NewsReadRequested, NewsResult,
};
pub use params::{
    Addressed, Beeped, ChannelAdmins, ChannelSaid, ChannelWho, FilterRequested, Finger, Identity, Located,
    Maintenance, MudStatus, Params, Reconnected, Reply, ShutdownWarning, Told, Trouble, UserInfo, Who,
    WhoUser, Word,
};

/// A kind of event, as the API's description has it.
#[derive(Debug)]
pub struct EventKind {
    /// Its name on the wire.
    pub name: &'static str,
    /// When it comes.
    pub summary: &'static str,
    /// The permission a session needs to get it; none: everybody gets it.
    pub permission: Option<Permission>,
    /// The schema of its parameters.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// An example of its parameters, in JSON, without what is added to all: `timestamp`, `epoch` and `seq`.
    pub example: &'static str,
}

/// Makes [`Event`] and [`EVENTS`] of a table: what it is, the variant and its parameters, the name on the wire, the
/// permission, and an example.
macro_rules! events {
    ($(#[doc = $summary:literal] $variant:ident($params:ty) = $name:literal, $permission:expr, $example:literal;)*) => {
        /// An event.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "method", content = "params")]
        pub enum Event {
            $(#[doc = $summary] #[serde(rename = $name)] $variant($params),)*
        }

        /// Every kind of event.
        pub const EVENTS: &[EventKind] = &[$(EventKind {
            name: $name,
            summary: $summary,
            permission: $permission,
            schema: <$params>::json_schema,
            example: $example,
        },)*];

        impl Event {
            /// Its name on the wire.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }

            /// The permission a session needs to get it; none: everybody gets it.
            pub fn permission(&self) -> Option<Permission> {
                match self {
                    $(Self::$variant(_) => $permission,)*
                }
            }

            /// The channel whose listeners it concerns; none: everybody.
            pub fn channel(&self) -> Option<&str> {
                match self {
                    $(Self::$variant(params) => params.channel(),)*
                }
            }

            /// The mud and the user it comes from, for filters.
            pub fn origin(&self) -> (Option<&str>, Option<&str>) {
                match self {
                    $(Self::$variant(params) => params.origin(),)*
                }
            }

            /// Who answers whom, in an answer or an error.
            pub fn addressed(&self) -> Option<&Addressed> {
                match self {
                    $(Self::$variant(params) => params.addressed(),)*
                }
            }

            /// The answer itself, in an answer.
            pub fn answer(&self) -> Option<serde_json::Value> {
                match self {
                    $(Self::$variant(params) => params.answer(),)*
                }
            }

            /// Whether it is of no use later, so that a client that comes back need not get it.
            pub fn is_passing(&self) -> bool {
                match self {
                    $(Self::$variant(params) => params.is_passing(),)*
                }
            }

            /// How many bytes it has, about, where that can be many.
            pub fn bulk(&self) -> usize {
                match self {
                    $(Self::$variant(params) => params.bulk(),)*
                }
            }

            /// Encodes it for the wire: a JSON-RPC notification, which never has an `id`.
            pub fn encode(&self, position: Position, timestamp: &str, colour: Colour) -> Line {
                match self {
                    $(Self::$variant(params) => match params.shown(colour) {
                        Some(params) => encode($name, &params, position, timestamp),
                        None => encode($name, params, position, timestamp),
                    },)*
                }
            }
        }
    };
}

const TELL: Option<Permission> = Some(Permission::Tell);
const CHANNEL: Option<Permission> = Some(Permission::Channel);
const INFO: Option<Permission> = Some(Permission::Info);
const ADMIN: Option<Permission> = Some(Permission::Admin);
const MAIL: Option<Permission> = Some(Permission::Mail);
const FILE: Option<Permission> = Some(Permission::File);
const NEWS: Option<Permission> = Some(Permission::News);

events! {
    /// Somebody said something on a channel; also one's own mud.
    ChannelMessage(ChannelSaid) = "channel_message", CHANNEL,
        r#"{"channel": "imud_gossip", "from_mud": "Dusk", "from_user": "bob", "message": "Hello, all!", "visname": "Bob",
            "type": "message"}"#;
    /// Somebody did something on a channel; also one's own mud.
    ChannelEmote(ChannelSaid) = "channel_emote", CHANNEL,
        r#"{"channel": "imud_gossip", "from_mud": "Dusk", "from_user": "bob", "message": "$N waves to $O.", "visname": "Bob",
            "type": "emote", "target_mud": "Dawn", "target_user": "ann", "target_visname": "Ann",
            "message_target": "$N waves to you."}"#;
    /// Somebody told one of our users something.
    Tell(Told) = "tell_received", TELL,
        r#"{"from_mud": "Dusk", "from_user": "bob", "to_mud": "Dawn", "to_user": "ann", "message": "Hello, Ann!",
            "visname": "bob"}"#;
    /// Somebody did something to one of our users.
    Emoteto(Told) = "emoteto_received", TELL,
        r#"{"from_mud": "Dusk", "from_user": "bob", "to_mud": "Dawn", "to_user": "ann", "message": "$N waves to you.",
            "visname": "bob"}"#;
    /// Somebody rings the bell of one of our users.
    Beep(Beeped) = "beep_received", TELL,
        r#"{"from_mud": "Dusk", "from_user": "bob", "to_mud": "Dawn", "to_user": "ann", "visname": "bob"}"#;
    /// Who is on another mud: the answer to `who`.
    WhoReply(Reply<Who>) = "who_reply", INFO,
        r#"{"from_mud": "Dusk", "to_mud": "Dawn", "to_user": "ann",
            "users": [{"name": "Bob", "idle": 60, "idle_time": 60, "level": null, "extra": "Level 9 the Bold"}]}"#;
    /// What another mud tells about a user: the answer to `finger`.
    FingerReply(Reply<Finger>) = "finger_reply", INFO,
        r#"{"from_mud": "Dusk", "to_mud": "Dawn", "to_user": "ann",
            "user_info": {"name": "Bob", "title": "the Bold", "real_name": null, "email": null, "login_time": null,
                          "idle_time": 60, "ip_address": null, "level": "9", "extra": "Inn"}}"#;
    /// Where a user is: an answer to `locate`.
    LocateReply(Reply<Located>) = "locate_reply", INFO,
        r#"{"from_mud": "Dusk", "to_mud": "Dawn", "to_user": "ann", "located_mud": "Dusk", "located_user": "Bob",
            "idle": 60, "status": null}"#;
    /// Who is on a channel at another mud: the answer to `channel_who`.
    ChannelWhoReply(Reply<ChannelWho>) = "channel_who_reply", INFO,
        r#"{"from_mud": "Dusk", "to_mud": "Dawn", "to_user": "ann", "channel": "imud_gossip", "users": ["Bob"]}"#;
    /// What a user of another mud is called: the answer to `user_info`.
    UserInfoReply(Reply<Identity>) = "user_info_reply", INFO,
        r#"{"from_mud": "Dusk", "to_mud": "Dawn", "to_user": "ann", "username": "bob", "visname": "Bob", "gender": "male"}"#;
    /// Which muds are on a channel's list: the answer to `channel_admins`.
    ChannelAdminsReply(Reply<ChannelAdmins>) = "channel_admins_reply", CHANNEL,
        r#"{"from_mud": "*test", "to_mud": "Dawn", "to_user": "ann", "channel": "dawn_talk", "muds": ["SpamMUD"]}"#;
    /// Somebody wants to say something on a filtered channel of ours: decide with `channel_filter` within 5 s.
    FilterRequested(FilterRequested) = "channel_filter_requested", ADMIN,
        r#"{"request_id": "8e7d3b52-6f0a-4a7e-9d52-0b1f6f5f3c11", "channel": "dawn_news", "type": "message",
            "from_mud": "Dusk", "from_user": "bob", "visname": "Bob", "message": "Hello, all!"}"#;
    /// The router says that it goes down.
    Maintenance(Maintenance) = "maintenance_scheduled", None,
        r#"{"from_mud": "*test", "restart_delay": 60}"#;
    /// A letter for our users, to be answered by `mail_ack` within 30 s; who is not acknowledged does not have it.
    MailReceived(MailReceived) = "mail_received", MAIL,
        r#"{"request_id": "0b5f9c1e-7c0b-4e6a-9d53-5a2f6f1f7c11", "from_mud": "Dusk", "from_user": "bob", "to_users": ["ann"],
            "to": {"Dawn": ["ann"]}, "cc": {}, "subject": "Hello", "message": "How are you?", "send_time": 1795418241}"#;
    /// What became of a letter of ours at one mud.
    MailResult(MailResult) = "mail_result", MAIL,
        r#"{"mail_id": "5a2f6f1f-7c0b-4e6a-9d53-0b5f9c1e7c11", "mud": "Dusk", "delivered": ["bob"], "failed": ["zoe"]}"#;
    /// A mud asks what is in a folder: answer by `file_reply` within 30 s.
    FileListRequested(FileListRequested) = "file_list_requested", FILE,
        r#"{"request_id": "0b5f9c1e-7c0b-4e6a-9d53-5a2f6f1f7c11", "from_mud": "Dusk", "from_user": "bob", "directory": "maps"}"#;
    /// A mud asks for a file: answer by `file_reply` within 30 s.
    FileGetRequested(FileGetRequested) = "file_get_requested", FILE,
        r#"{"request_id": "0b5f9c1e-7c0b-4e6a-9d53-5a2f6f1f7c11", "from_mud": "Dusk", "from_user": "bob", "path": "maps/inn.txt"}"#;
    /// A mud sends a file: answer by `file_reply` within 30 s.
    FilePutRequested(FilePutRequested) = "file_put_requested", FILE,
        r#"{"request_id": "0b5f9c1e-7c0b-4e6a-9d53-5a2f6f1f7c11", "from_mud": "Dusk", "from_user": "bob", "path": "maps/inn.txt",
            "contents": "The inn"}"#;
    /// What became of `file_list`, `file_get` or `file_put`.
    FileResult(FileResult) = "file_result", FILE,
        r#"{"request_id": "5a2f6f1f-7c0b-4e6a-9d53-0b5f9c1e7c11", "mud": "Dusk", "operation": "get", "path": "maps/inn.txt",
            "outcome": "ok", "contents": "The inn"}"#;
    /// A mud asks for the newsgroups: answer by `news_reply` within 30 s.
    NewsGroupsRequested(NewsGroupsRequested) = "news_groups_requested", NEWS,
        r#"{"request_id": "0b5f9c1e-7c0b-4e6a-9d53-5a2f6f1f7c11", "from_mud": "Dusk"}"#;
    /// A mud asks for an article: answer by `news_reply` within 30 s.
    NewsReadRequested(NewsReadRequested) = "news_read_requested", NEWS,
        r#"{"request_id": "0b5f9c1e-7c0b-4e6a-9d53-5a2f6f1f7c11", "from_mud": "Dusk", "from_user": "bob", "group": "code", "id": 12}"#;
    /// A mud publishes an article: answer by `news_reply` within 30 s.
    NewsPostRequested(NewsPostRequested) = "news_post_requested", NEWS,
        r#"{"request_id": "0b5f9c1e-7c0b-4e6a-9d53-5a2f6f1f7c11", "from_mud": "Dusk", "group": "code", "thread": "",
            "subject": "Hello", "poster": "bob", "contents": "How are you?"}"#;
    /// What became of `news_groups`, `news_read` or `news_post`.
    NewsResult(NewsResult) = "news_result", NEWS,
        r#"{"request_id": "5a2f6f1f-7c0b-4e6a-9d53-0b5f9c1e7c11", "mud": "Dusk", "operation": "post", "id": 13}"#;
    /// A router or mud reported an error, or a packet could not be sent in time.
    Error(Trouble) = "error_occurred", None,
        r#"{"error_code": "unk-dst", "error_message": "destination unknown", "message": "destination unknown",
            "from_mud": "*test", "to_mud": "Dawn", "to_user": "ann", "context": "i3_packet_error", "packet_type": "tell"}"#;
    /// A mud came to the network.
    MudOnline(MudStatus) = "mud_online", INFO,
        r#"{"mud_name": "Dusk", "status": "online"}"#;
    /// A mud left the network.
    MudOffline(MudStatus) = "mud_offline", INFO,
        r#"{"mud_name": "Dusk", "status": "offline"}"#;
    /// The router session is established, the first time or again.
    GatewayReconnected(Reconnected) = "gateway_reconnected", None,
        r#"{"message": "Gateway reconnected to I3 router", "status": "connected"}"#;
    /// The gateway ends, and will close this connection soon.
    ShutdownWarning(ShutdownWarning) = "shutdown_warning", None,
        r#"{"message": "The gateway is about to end", "reason": "Server shutting down", "reconnect_in": 4.2}"#;
}

impl Event {
    /// The gateway ends. The client should stay away for so many seconds once it is closed.
    pub fn shutdown_warning(reconnect_in: f64) -> Self {
        Self::ShutdownWarning(ShutdownWarning {
            message: "The gateway is about to end".into(),
            reason: CloseReason::ShuttingDown.as_str().into(),
            reconnect_in,
        })
    }

    /// Something said or done on a channel.
    pub fn said(said: ChannelMessage) -> Self {
        let kind = said.kind;
        let said = ChannelSaid::new(said);
        match kind {
            ChannelKind::Message => Self::ChannelMessage(said),
            ChannelKind::Emote => Self::ChannelEmote(said),
        }
    }

    /// The router session is established.
    pub fn reconnected() -> Self {
        Self::GatewayReconnected(Reconnected::default())
    }

    /// A mud came to the network.
    pub fn mud_online(mud: String) -> Self {
        Self::MudOnline(MudStatus { mud_name: mud, status: "online".into() })
    }

    /// A mud left the network.
    pub fn mud_offline(mud: String) -> Self {
        Self::MudOffline(MudStatus { mud_name: mud, status: "offline".into() })
    }

    /// Whether it should wait for a client when none is there.
    pub(super) fn is_kept(&self) -> bool {
        matches!(self, Self::Tell(_) | Self::Emoteto(_))
    }
}

#[derive(Serialize)]
struct Notification<'a, P> {
    jsonrpc: &'static str,
    method: &'static str,
    params: Placed<'a, P>,
}

/// An event's parameters with when and where it came.
#[derive(Serialize)]
struct Placed<'a, P> {
    #[serde(flatten)]
    params: &'a P,
    timestamp: &'a str,
    epoch: u64,
    seq: u64,
}

fn encode(method: &'static str, params: &impl Serialize, position: Position, timestamp: &str) -> Line {
    let Position { epoch, seq } = position;
    Line::new(&Notification { jsonrpc: "2.0", method, params: Placed { params, timestamp, epoch, seq } })
}

/// The current time as events carry it: ISO 8601, UTC, microseconds, with a `Z`.
pub fn timestamp() -> String {
    written(jiff::Timestamp::now())
}

/// A time as events carry it.
pub(super) fn written(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(in crate::hub) fn chat(channel: &str) -> Event {
        Event::said(said(channel))
    }

    pub(in crate::hub) fn said(channel: &str) -> ChannelMessage {
        ChannelMessage {
            mud: "Dawn".into(),
            user: "ann".into(),
            channel: channel.into(),
            kind: ChannelKind::Message,
            visname: "Ann".into(),
            message: "%^RED%^hi%^RESET%^".into(),
            target: None,
        }
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
            encoded(Event::reconnected(), Colour::Raw),
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

    #[test]
    fn every_event_can_be_read_again_by_another_process() {
        for kind in EVENTS {
            let params: Value = serde_json::from_str(kind.example).unwrap();
            let written = json!({"method": kind.name, "params": params});
            let event: Event = serde_json::from_value(written).unwrap();
            assert_eq!(event.name(), kind.name);
            let again: Event = serde_json::from_str(&serde_json::to_string(&event).unwrap()).unwrap();
            assert_eq!(again, event);
        }
    }

    #[test]
    fn every_example_has_the_fields_of_its_parameters() {
        for kind in EVENTS {
            let example: Value = serde_json::from_str(kind.example).unwrap();
            let schema = (kind.schema)(&mut SchemaGenerator::default());
            let fields = schema.get("properties").and_then(Value::as_object).unwrap();
            for field in example.as_object().unwrap().keys() {
                assert!(fields.contains_key(field), "{}: {field}", kind.name);
            }
            for field in schema.get("required").and_then(Value::as_array).unwrap() {
                assert!(example.get(field.as_str().unwrap()).is_some(), "{}: {field}", kind.name);
            }
        }
    }
}
