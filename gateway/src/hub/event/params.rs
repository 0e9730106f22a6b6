//! The parameters of events, with the fields the published clients read.

use std::borrow::Cow;

use intermud3::packet;
use intermud3::pinkfish;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bus::{ChannelMessage, EmoteTarget};
use crate::hub::Colour;
use crate::mud::Gender;

/// A word of ours: known here, but not where it is read from another process.
pub type Word = Cow<'static, str>;

/// The parameters of an event. `timestamp`, `epoch` and `seq` are added to all of them.
pub trait Params: Serialize + JsonSchema + Sized {
    /// The mud and the user it comes from, for filters.
    fn origin(&self) -> (Option<&str>, Option<&str>) {
        (None, None)
    }

    /// Who answers whom, in an answer or an error.
    fn addressed(&self) -> Option<&Addressed> {
        None
    }

    /// The answer itself, in an answer.
    fn answer(&self) -> Option<serde_json::Value> {
        None
    }

    /// The channel whose listeners it concerns; none: everybody.
    fn channel(&self) -> Option<&str> {
        None
    }

    /// Whether it is of no use later, so that a client that comes back need not get it.
    fn is_passing(&self) -> bool {
        false
    }

    /// How many bytes it has, about, where that can be many.
    fn bulk(&self) -> usize {
        0
    }

    /// The same with its colour codes as asked for; none when nothing changes.
    fn shown(&self, _: Colour) -> Option<Self> {
        None
    }
}

fn shown(text: &str, colour: Colour) -> String {
    match colour {
        Colour::Raw => text.to_owned(),
        Colour::Plain => pinkfish::to_plain(text).into_owned(),
        Colour::Ansi => pinkfish::to_ansi(text).into_owned(),
    }
}

/// Something said or done on a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelSaid {
    /// The channel, in its exact case.
    pub channel: String,
    /// The speaker's mud.
    pub from_mud: String,
    /// The speaker.
    pub from_user: String,
    /// The text; in an emote `$N` stands for the speaker and `$O` for the target.
    pub message: String,
    /// The speaker's name as shown.
    pub visname: String,
    /// `message` or `emote`.
    pub r#type: Word,
    /// To whom it is done, in an emote that has a target.
    #[serde(flatten)]
    pub target: Option<EmoteTarget>,
}

impl ChannelSaid {
    /// What clients are told of a channel message.
    pub fn new(said: ChannelMessage) -> Self {
        let ChannelMessage { mud, user, channel, kind, visname, message, target } = said;
        let r#type = kind.as_str().into();
        Self { channel, from_mud: mud, from_user: user, message, visname, r#type, target }
    }
}

impl Params for ChannelSaid {
    fn origin(&self) -> (Option<&str>, Option<&str>) {
        (Some(&self.from_mud), Some(&self.from_user))
    }

    fn channel(&self) -> Option<&str> {
        Some(&self.channel)
    }

    fn shown(&self, colour: Colour) -> Option<Self> {
        let text = |text: &str| shown(text, colour);
        (colour != Colour::Raw).then(|| Self {
            message: text(&self.message),
            visname: text(&self.visname),
            target: self.target.as_ref().map(|target| EmoteTarget {
                target_visname: text(&target.target_visname),
                message_target: text(&target.message_target),
                ..target.clone()
            }),
            ..self.clone()
        })
    }
}

/// Something one user said or did to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// The speaker's mud.
    pub from_mud: String,
    /// The speaker.
    pub from_user: String,
    /// Our mud.
    pub to_mud: String,
    /// The user it is for, in lower case.
    pub to_user: String,
    /// The text; in an emote `$N` stands for the speaker.
    pub message: String,
    /// The speaker's name as shown.
    pub visname: String,
}

impl Params for Told {
    fn origin(&self) -> (Option<&str>, Option<&str>) {
        (Some(&self.from_mud), Some(&self.from_user))
    }

    fn shown(&self, colour: Colour) -> Option<Self> {
        let text = |text: &str| shown(text, colour);
        (colour != Colour::Raw).then(|| Self {
            message: text(&self.message),
            visname: text(&self.visname),
            ..self.clone()
        })
    }
}

/// Who answers, or reports an error, to whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Addressed {
    /// The mud that answers, or the router.
    pub from_mud: String,
    /// Our mud.
    pub to_mud: String,
    /// The user who asked; empty when it concerns none.
    pub to_user: String,
}

/// An answer of another mud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply<T> {
    /// Who answers whom.
    #[serde(flatten)]
    pub to: Addressed,
    /// The answer itself.
    #[serde(flatten)]
    pub answer: T,
}

impl<T: Serialize + JsonSchema> Params for Reply<T> {
    fn origin(&self) -> (Option<&str>, Option<&str>) {
        (Some(&self.to.from_mud), None)
    }

    fn addressed(&self) -> Option<&Addressed> {
        Some(&self.to)
    }

    fn answer(&self) -> Option<serde_json::Value> {
        serde_json::to_value(&self.answer).ok()
    }
}

/// Who is on a mud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Who {
    /// The users.
    pub users: Vec<WhoUser>,
}

/// A user in a [`Who`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhoUser {
    /// The name as shown.
    pub name: String,
    /// Seconds without a command.
    pub idle: i64,
    /// The same as `idle`.
    pub idle_time: i64,
    /// Always null: muds tell it, if at all, in `extra`.
    pub level: Option<i64>,
    /// Title, level, or what the mud likes.
    pub extra: String,
}

/// What a mud tells about a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finger {
    /// What it tells.
    pub user_info: UserInfo,
}

/// A user in a [`Finger`]. What the mud keeps to itself is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserInfo {
    /// The name as shown.
    pub name: Option<String>,
    /// Name and title.
    pub title: Option<String>,
    /// The person's name.
    pub real_name: Option<String>,
    /// The person's address.
    pub email: Option<String>,
    /// When the user logged in, or out if not there, in words.
    pub login_time: Option<String>,
    /// Seconds without a command; -1 when not there.
    pub idle_time: i64,
    /// The host the user comes from.
    pub ip_address: Option<String>,
    /// The user's rank.
    pub level: Option<String>,
    /// Plan, project, or what the mud likes.
    pub extra: Option<String>,
}

/// Where a user is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Located {
    /// The mud the user is on.
    pub located_mud: String,
    /// The user's name as shown.
    pub located_user: String,
    /// Seconds without a command.
    pub idle: Option<i64>,
    /// Such as "link-dead".
    pub status: Option<String>,
}

/// Who is on a channel at a mud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelWho {
    /// The channel.
    pub channel: String,
    /// The users' names as shown.
    pub users: Vec<String>,
}

/// What a user is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// The user, in lower case as a rule.
    pub username: String,
    /// The name as shown.
    pub visname: String,
    /// `male`, `female` or `neuter`.
    pub gender: Gender,
}

impl From<&packet::UserInfo> for Identity {
    fn from(info: &packet::UserInfo) -> Self {
        Self {
            username: info.username.clone(),
            visname: info.visname.clone(),
            gender: Gender::of(info.gender),
        }
    }
}

/// Which muds are on a channel's list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelAdmins {
    /// The channel.
    pub channel: String,
    /// The muds banned from it, or admitted to it, as its type says.
    pub muds: Vec<String>,
}

/// A bell that was rung.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Beeped {
    /// The mud of who rings.
    pub from_mud: String,
    /// Who rings.
    pub from_user: String,
    /// Our mud.
    pub to_mud: String,
    /// The user it is for, in lower case.
    pub to_user: String,
    /// The name of who rings, as shown.
    pub visname: String,
}

impl Params for Beeped {
    fn origin(&self) -> (Option<&str>, Option<&str>) {
        (Some(&self.from_mud), Some(&self.from_user))
    }

    fn shown(&self, colour: Colour) -> Option<Self> {
        (colour != Colour::Raw).then(|| Self { visname: shown(&self.visname, colour), ..self.clone() })
    }
}

/// The router goes down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Maintenance {
    /// The router.
    pub from_mud: String,
    /// Seconds until it is back; 0: unknown.
    pub restart_delay: i64,
}

impl Params for Maintenance {
    fn origin(&self) -> (Option<&str>, Option<&str>) {
        (Some(&self.from_mud), None)
    }
}

/// A message on a filtered channel of ours, to be decided about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FilterRequested {
    /// Names the message in `channel_filter`.
    pub request_id: String,
    /// What is to be said.
    #[serde(flatten)]
    pub said: ChannelSaid,
}

impl FilterRequested {
    /// What clients are told of a message that is to be decided about.
    pub fn new(id: Uuid, said: ChannelMessage) -> Self {
        Self { request_id: id.to_string(), said: ChannelSaid::new(said) }
    }
}

impl Params for FilterRequested {
    fn origin(&self) -> (Option<&str>, Option<&str>) {
        self.said.origin()
    }

    fn shown(&self, colour: Colour) -> Option<Self> {
        self.said.shown(colour).map(|said| Self { said, ..self.clone() })
    }
}

/// An error of a router or mud, or of our own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trouble {
    /// The protocol's code, such as `unk-dst`, or `not-sent`.
    pub error_code: String,
    /// The code in words.
    pub error_message: String,
    /// The same as `error_message`: clients differ.
    pub message: String,
    /// Who reports it, and the user it concerns; empty when it concerns none.
    #[serde(flatten)]
    pub to: Addressed,
    /// Always `i3_packet_error`.
    pub context: Word,
    /// The type of the packet it is about, such as `tell`, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet_type: Option<String>,
}

impl Trouble {
    /// What clients are told of an error.
    pub fn new(code: &str, message: &str, to: Addressed) -> Self {
        Self {
            error_code: code.to_owned(),
            error_message: message.to_owned(),
            message: message.to_owned(),
            to,
            context: "i3_packet_error".into(),
            packet_type: None,
        }
    }

    /// The same, about a packet of a type.
    pub fn about(mut self, packet_type: Option<&str>) -> Self {
        self.packet_type = packet_type.map(|kind| kind.chars().take(40).collect());
        self
    }
}

impl Params for Trouble {
    fn origin(&self) -> (Option<&str>, Option<&str>) {
        (Some(&self.to.from_mud), None)
    }

    fn addressed(&self) -> Option<&Addressed> {
        Some(&self.to)
    }
}

/// A mud that came or went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MudStatus {
    /// The mud.
    pub mud_name: String,
    /// `online` or `offline`.
    pub status: Word,
}

impl Params for MudStatus {
    fn origin(&self) -> (Option<&str>, Option<&str>) {
        (Some(&self.mud_name), None)
    }
}

/// The router session is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reconnected {
    /// For a person.
    pub message: Word,
    /// Always `connected`.
    pub status: Word,
}

impl Default for Reconnected {
    fn default() -> Self {
        Self { message: "Gateway reconnected to I3 router".into(), status: "connected".into() }
    }
}

impl Params for Reconnected {}

/// The gateway ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShutdownWarning {
    /// For a person.
    pub message: Word,
    /// The reason that the connection will be closed with.
    pub reason: Word,
    /// How long to wait after the end of the connection before the next one, in seconds. It differs from client to
    /// client, so that not all come back at once.
    pub reconnect_in: f64,
}

impl Params for ShutdownWarning {}
