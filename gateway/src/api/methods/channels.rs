//! Channels.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, Example, Method, Place, Sent, someone};
use crate::api::rpc::{GATEWAY_ERROR, RpcError};
use crate::bus::{ChannelKind, ChannelMessage, EmoteTarget};
use crate::keys::Permission;
use crate::services::Scope;

/// `channel_join`.
pub(super) struct Join;

/// Parameters of `channel_join`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct JoinParams {
    /// The channel, by its exact name.
    channel: String,
    /// Do not switch the channel on at the router.
    #[serde(default)]
    listen_only: bool,
}

/// Result of `channel_join` and `channel_leave`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Membership {
    /// `joined` or `left`.
    status: &'static str,
    /// The channel.
    channel: String,
}

impl Method for Join {
    const NAME: &'static str = "channel_join";
    const SUMMARY: &'static str = "Get what is said on a channel.";
    const PERMISSION: Option<Permission> = Some(Permission::Channel);
    const EXAMPLE: Example = Example {
        params: r#"{"channel": "imud_gossip"}"#,
        result: r#"{"status": "joined", "channel": "imud_gossip"}"#,
    };
    type Params = JoinParams;
    type Output = Membership;

    async fn call(context: Context<'_>, params: JoinParams) -> Result<Membership, RpcError> {
        Context::check_channel(&params.channel)?;
        if !context.session.join(&params.channel) {
            return Err(RpcError::new(GATEWAY_ERROR, "Too many channels: leave one first"));
        }
        let listen = (!params.listen_only).then_some(params.channel.as_str());
        context.services().hub.changed(context.session, listen);
        if let Some(channel) = listen {
            context.services().listen(channel);
        }
        Ok(Membership { status: "joined", channel: params.channel })
    }
}

/// `channel_leave`.
pub(super) struct Leave;

/// Parameters of `channel_leave`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct LeaveParams {
    /// The channel.
    channel: String,
}

impl Method for Leave {
    const NAME: &'static str = "channel_leave";
    const SUMMARY: &'static str = "Get no more of what is said on a channel.";
    const PERMISSION: Option<Permission> = Some(Permission::Channel);
    const EXAMPLE: Example = Example {
        params: r#"{"channel": "imud_gossip"}"#,
        result: r#"{"status": "left", "channel": "imud_gossip"}"#,
    };
    type Params = LeaveParams;
    type Output = Membership;

    async fn call(context: Context<'_>, params: LeaveParams) -> Result<Membership, RpcError> {
        context.session.leave(&params.channel);
        context.services().hub.changed(context.session, None);
        context.services().unlisten_if_unused(&params.channel);
        Ok(Membership { status: "left", channel: params.channel })
    }
}

/// `channel_send`.
pub(super) struct Send;

/// Parameters of `channel_send`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct SendParams {
    /// The channel.
    channel: String,
    /// The text.
    message: String,
    /// Who says it.
    #[serde(default = "someone")]
    from_user: String,
    /// Their name as shown; `from_user` when it is not given.
    visname: Option<String>,
}

impl Method for Send {
    const NAME: &'static str = "channel_send";
    const SUMMARY: &'static str = "Say something on a channel.";
    const PERMISSION: Option<Permission> = Some(Permission::Channel);
    const EXAMPLE: Example = Example {
        params: r#"{"channel": "imud_gossip", "message": "Hello, all!", "from_user": "ann", "visname": "Ann"}"#,
        result: r#"{"status": "sent", "message_id": "channel_imud_gossip_1795510800000"}"#,
    };
    const PLACE: Place = Place::HolderOnce;
    type Params = SendParams;
    type Output = Sent;

    async fn call(context: Context<'_>, params: SendParams) -> Result<Sent, RpcError> {
        let SendParams { channel, message, from_user, visname } = params;
        Context::check_channel(&channel)?;
        context.check_length("message", &message)?;
        Context::check_speaker(&from_user, visname.as_deref())?;
        let said = ChannelMessage {
            mud: context.services().mud().to_owned(),
            channel: channel.clone(),
            kind: ChannelKind::Message,
            visname: visname.unwrap_or_default(),
            user: from_user,
            message,
            target: None,
        };
        Sent::new(context.services().say(said).await, "channel", &channel)
    }
}

/// `channel_emote`.
pub(super) struct Emote;

/// Parameters of `channel_emote`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct EmoteParams {
    /// The channel.
    channel: String,
    /// What is done; `$N` stands for the doer. `message` is as good a name.
    #[serde(alias = "message")]
    emote: String,
    /// Who does it.
    #[serde(default = "someone")]
    from_user: String,
    /// Their name as shown; `from_user` when it is not given.
    visname: Option<String>,
    #[serde(flatten)]
    target: TargetParams,
}

/// To whom an emote is done, if to anybody.
#[derive(Deserialize, JsonSchema)]
struct TargetParams {
    /// The mud of the user it is done to; together with `target_user`. `$O` in the texts stands for that user.
    target_mud: Option<String>,
    /// The user it is done to; together with `target_mud`.
    target_user: Option<String>,
    /// Their name as shown; `target_user` when it is not given.
    target_visname: Option<String>,
    /// What that user sees, such as `$N waves to you.`; the same as all others when it is not given.
    message_target: Option<String>,
}

impl TargetParams {
    /// The target; none when the emote has none.
    fn check(self, context: Context<'_>) -> Result<Option<EmoteTarget>, RpcError> {
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let message = given(self.message_target);
        if let Some(message) = &message {
            context.check_length("message_target", message)?;
        }
        match (given(self.target_mud), given(self.target_user)) {
            (Some(target_mud), Some(target_user)) => {
                let target_visname = given(self.target_visname).unwrap_or_else(|| target_user.clone());
                Context::check_names(&[
                    ("target_mud", &target_mud),
                    ("target_user", &target_user),
                    ("target_visname", &target_visname),
                ])?;
                let message_target = message.unwrap_or_default();
                Ok(Some(EmoteTarget { target_mud, target_user, target_visname, message_target }))
            }
            (None, None) if message.is_none() => Ok(None),
            (mud, _) => {
                let field = if mud.is_none() { "target_mud" } else { "target_user" };
                let expected = "target_mud and target_user together, or no target at all";
                Err(RpcError::invalid(field, expected))
            }
        }
    }
}

impl Method for Emote {
    const NAME: &'static str = "channel_emote";
    const SUMMARY: &'static str = "Do something on a channel.";
    const PERMISSION: Option<Permission> = Some(Permission::Channel);
    const EXAMPLE: Example = Example {
        params: r#"{"channel": "imud_gossip", "emote": "$N waves.", "from_user": "ann", "visname": "Ann"}"#,
        result: r#"{"status": "sent", "message_id": "channel_emote_imud_gossip_1795510800000"}"#,
    };
    const PLACE: Place = Place::HolderOnce;
    type Params = EmoteParams;
    type Output = Sent;

    async fn call(context: Context<'_>, params: EmoteParams) -> Result<Sent, RpcError> {
        let EmoteParams { channel, emote, from_user, visname, target } = params;
        Context::check_channel(&channel)?;
        context.check_length("emote", &emote)?;
        Context::check_speaker(&from_user, visname.as_deref())?;
        let target = target.check(context)?;
        let done = ChannelMessage {
            mud: context.services().mud().to_owned(),
            channel: channel.clone(),
            kind: ChannelKind::Emote,
            visname: visname.unwrap_or_default(),
            user: from_user,
            message: emote,
            target,
        };
        Sent::new(context.services().say(done).await, "channel_emote", &channel)
    }
}

/// `channel_history`.
pub(super) struct History;

/// Parameters of `channel_history`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct HistoryParams {
    /// The channel, by its exact name.
    channel: String,
    /// At most so many messages, the last ones; up to 100.
    #[serde(default = "fifty")]
    limit: usize,
    /// Only messages before this time.
    #[schemars(with = "Option<String>")]
    before: Option<Timestamp>,
    /// Only messages after this time.
    #[schemars(with = "Option<String>")]
    after: Option<Timestamp>,
}

fn fifty() -> usize {
    50
}

/// Result of `channel_history`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Remembered {
    /// Always `success`.
    status: &'static str,
    /// How many messages.
    count: usize,
    /// The messages, oldest first.
    messages: Vec<Message>,
}

/// A message in `channel_history`.
#[derive(Serialize, JsonSchema)]
struct Message {
    /// The channel.
    channel: String,
    /// `message` or `emote`.
    r#type: &'static str,
    /// The speaker's mud.
    from_mud: String,
    /// The speaker.
    from_user: String,
    /// The speaker's name as shown.
    visname: String,
    /// The text.
    message: String,
    /// To whom it was done, in an emote that has a target.
    #[serde(flatten)]
    target: Option<EmoteTarget>,
    /// When it came, UTC.
    timestamp: String,
}

impl Method for History {
    const NAME: &'static str = "channel_history";
    const SUMMARY: &'static str = "What was said on a channel lately.";
    const PERMISSION: Option<Permission> = Some(Permission::Channel);
    const EXAMPLE: Example = Example {
        params: r#"{"channel": "imud_gossip", "limit": 1}"#,
        result: r#"{"status": "success", "count": 1, "messages": [{"channel": "imud_gossip", "type": "message", "from_mud": "Dusk",
            "from_user": "bob", "visname": "Bob", "message": "Hello, all!", "timestamp": "2026-11-24T09:00:00.000000Z"}]}"#,
    };
    type Params = HistoryParams;
    type Output = Remembered;

    async fn call(context: Context<'_>, params: HistoryParams) -> Result<Remembered, RpcError> {
        let HistoryParams { channel, limit, before, after } = params;
        let said = context.services().history(&channel, limit.min(100), after, before);
        let messages: Vec<_> = said
            .into_iter()
            .map(|said| Message {
                r#type: said.message.kind.as_str(),
                channel: said.message.channel,
                from_mud: said.message.mud,
                from_user: said.message.user,
                visname: said.message.visname,
                message: said.message.message,
                target: said.message.target,
                timestamp: said.at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
            })
            .collect();
        Ok(Remembered { status: "success", count: messages.len(), messages })
    }
}

/// `channel_list`.
pub(super) struct List;

/// Parameters of `channel_list`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ListParams {
    /// Only these.
    #[serde(default)]
    filter: ListFilter,
}

/// Which channels.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct ListFilter {
    /// Of this type.
    r#type: Option<i64>,
    /// Owned by this mud.
    owner: Option<String>,
    /// With at least so many members.
    min_members: Option<usize>,
}

/// Result of `channel_list`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Listed {
    /// Always `success`.
    status: &'static str,
    /// How many channels.
    count: usize,
    /// The channels.
    channels: Vec<Channel>,
    /// Those this session is on.
    subscribed_channels: Vec<String>,
}

/// A channel in `channel_list`.
#[derive(Serialize, JsonSchema)]
struct Channel {
    /// Its name.
    name: String,
    /// The mud that owns it; empty for a channel of the provider's.
    owner: String,
    /// 0 open except to the banned, 1 open to the admitted, 2 filtered.
    r#type: i64,
    /// How many muds are on it; 0 for a channel of the network, since routers do not tell.
    member_count: usize,
    /// `network`: it is the router's, for all muds of the network. `provider`: it is the provider's, for those of its
    /// muds that are configured to have it, and nothing of it goes to the router.
    scope: &'static str,
}

impl Method for List {
    const NAME: &'static str = "channel_list";
    const SUMMARY: &'static str = "The channels of the network, and those this session is on.";
    const PERMISSION: Option<Permission> = Some(Permission::Channel);
    const EXAMPLE: Example = Example {
        params: r#"{"filter": {"owner": "*test"}}"#,
        result: r#"{"status": "success", "count": 1, "channels": [{"name": "imud_gossip", "owner": "*test", "type": 0, "member_count": 0, "scope": "network"}],
            "subscribed_channels": ["imud_gossip"]}"#,
    };
    type Params = ListParams;
    type Output = Listed;

    async fn call(context: Context<'_>, params: ListParams) -> Result<Listed, RpcError> {
        let filter = params.filter;
        let services = context.services();
        let network = services.channels().into_iter().map(|channel| Channel {
            name: channel.name,
            owner: channel.owner,
            r#type: channel.kind,
            member_count: 0,
            scope: Scope::Network.as_str(),
        });
        let network = network.filter(|channel| services.scope(&channel.name) == Scope::Network);
        let provider = services.provider_channels().into_iter().map(|name| Channel {
            owner: String::new(),
            r#type: 0,
            member_count: services.provider_members(&name),
            scope: Scope::Provider.as_str(),
            name,
        });
        let channels: Vec<_> = network
            .chain(provider)
            .filter(|channel| {
                filter.r#type.is_none_or(|kind| channel.r#type == kind)
                    && filter.owner.as_ref().is_none_or(|owner| channel.owner == *owner)
                    && filter.min_members.is_none_or(|members| channel.member_count >= members)
            })
            .collect();
        let mut subscribed: Vec<_> = context.session.subscription().channels.into_iter().collect();
        subscribed.sort();
        Ok(Listed { status: "success", count: channels.len(), channels, subscribed_channels: subscribed })
    }
}
