//! Channels of one's own.
//!
//! A router does not say that it did what it was asked to: a channel that was made, or is gone, shows in the channel
//! list, and what it will not do it answers with an error.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::Instant;
use uuid::Uuid;

use super::waiting::{Asked, Expected, Waiting, failed, wait};
use super::{Context, Example, Method, Place, someone};
use crate::api::rpc::{GATEWAY_ERROR, INVALID_PARAMS, RpcError};
use crate::hub::Event;
use crate::keys::Permission;
use crate::services::{ChannelError, Decision};

/// An error of a router comes within this, or there is none.
const SILENCE: Duration = Duration::from_secs(2);

/// `channel_create`.
pub(super) struct Create;

/// Parameters of `channel_create`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct CreateParams {
    /// Its name: 1 to 80 printable characters.
    channel: String,
    /// `open` (0) to all but the banned, `admitting` (1) the admitted only, or `filtered` (2) by us. Routers of the
    /// Dead Souls family make every channel an open one.
    #[serde(default)]
    r#type: ChannelType,
    /// Who asks.
    #[serde(default = "someone")]
    from_user: String,
    #[serde(flatten)]
    waiting: Waiting,
}

/// A channel's type, by name or number.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "open, admitting or filtered, or 0, 1 or 2")]
enum ChannelType {
    Name(TypeName),
    Number(#[schemars(range(min = 0, max = 2))] i64),
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum TypeName {
    Open,
    Admitting,
    Filtered,
}

impl Default for ChannelType {
    fn default() -> Self {
        Self::Name(TypeName::Open)
    }
}

impl ChannelType {
    fn number(&self) -> Result<i64, RpcError> {
        match *self {
            Self::Name(name) => Ok(name as i64),
            Self::Number(number) if (0..=2).contains(&number) => Ok(number),
            Self::Number(_) => Err(RpcError::invalid("type", "open, admitting or filtered, or 0, 1 or 2")),
        }
    }
}

impl Method for Create {
    const NAME: &'static str = "channel_create";
    const SUMMARY: &'static str =
        "Make a channel that belongs to our mud. With wait the result has the type the router gave it.";
    const PERMISSION: Option<Permission> = Some(Permission::Admin);
    const EXAMPLE: Example = Example {
        params: r#"{"channel": "dawn_talk", "type": "open", "wait": true}"#,
        result: r#"{"status": "success", "channel": "dawn_talk", "type": 0}"#,
    };
    const PLACE: Place = Place::HolderOnce;
    type Params = CreateParams;
    type Output = Asked;

    async fn call(context: Context<'_>, params: CreateParams) -> Result<Asked, RpcError> {
        let CreateParams { channel, r#type, from_user, waiting } = params;
        let services = context.services();
        let kind = r#type.number()?;
        let order = Order { context, kind: "channel-add", channel: &channel, errors: services.replies() };
        services.create_channel(&from_user, &channel, kind).await.map_err(refused)?;
        order.listed(&waiting, true).await
    }
}

/// `channel_remove`.
pub(super) struct Remove;

/// Parameters of `channel_remove`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct RemoveParams {
    /// The channel, by its exact name.
    channel: String,
    /// Who asks.
    #[serde(default = "someone")]
    from_user: String,
    #[serde(flatten)]
    waiting: Waiting,
}

impl Method for Remove {
    const NAME: &'static str = "channel_remove";
    const SUMMARY: &'static str = "End a channel of our mud's.";
    const PERMISSION: Option<Permission> = Some(Permission::Admin);
    const EXAMPLE: Example = Example {
        params: r#"{"channel": "dawn_talk", "wait": true}"#,
        result: r#"{"status": "success", "channel": "dawn_talk"}"#,
    };
    const PLACE: Place = Place::HolderOnce;
    type Params = RemoveParams;
    type Output = Asked;

    async fn call(context: Context<'_>, params: RemoveParams) -> Result<Asked, RpcError> {
        let RemoveParams { channel, from_user, waiting } = params;
        let services = context.services();
        let order = Order { context, kind: "channel-remove", channel: &channel, errors: services.replies() };
        services.remove_channel(&from_user, &channel).await.map_err(refused)?;
        order.listed(&waiting, false).await
    }
}

/// `channel_admin`.
pub(super) struct Administer;

/// Parameters of `channel_admin`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct AdministerParams {
    /// The channel, by its exact name.
    channel: String,
    /// Muds to put on the list: of an open channel they are banned, to others admitted.
    #[serde(default)]
    add: Vec<String>,
    /// Muds to take off the list.
    #[serde(default)]
    remove: Vec<String>,
    /// Who asks.
    #[serde(default = "someone")]
    from_user: String,
    #[serde(flatten)]
    waiting: Waiting,
}

impl Method for Administer {
    const NAME: &'static str = "channel_admin";
    const SUMMARY: &'static str = "Ban muds from a channel of our mud's, or admit them to it. A router says nothing when it has \
        done so: with wait the result is success when no error came within 2 s.";
    const PERMISSION: Option<Permission> = Some(Permission::Admin);
    const EXAMPLE: Example = Example {
        params: r#"{"channel": "dawn_talk", "add": ["SpamMUD"], "remove": []}"#,
        result: r#"{"status": "requested", "channel": "dawn_talk"}"#,
    };
    const PLACE: Place = Place::HolderOnce;
    type Params = AdministerParams;
    type Output = Asked;

    async fn call(context: Context<'_>, params: AdministerParams) -> Result<Asked, RpcError> {
        let AdministerParams { channel, add, remove, from_user, waiting } = params;
        let services = context.services();
        let order = Order { context, kind: "channel-admin", channel: &channel, errors: services.replies() };
        services.administer_channel(&from_user, &channel, add, remove).await.map_err(refused)?;
        order.silence(&waiting).await
    }
}

/// `channel_admins`.
pub(super) struct Admins;

/// Parameters of `channel_admins`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct AdminsParams {
    /// The channel, by its exact name.
    channel: String,
    /// Who asks.
    #[serde(default = "someone")]
    from_user: String,
    #[serde(flatten)]
    waiting: Waiting,
}

impl Method for Admins {
    const NAME: &'static str = "channel_admins";
    const SUMMARY: &'static str = "Ask the router which muds are on a channel's list. Not all routers know the question; others answer not-imp.";
    const PERMISSION: Option<Permission> = Some(Permission::Channel);
    const EXAMPLE: Example = Example {
        params: r#"{"channel": "dawn_talk"}"#,
        result: r#"{"status": "requested", "channel": "dawn_talk"}"#,
    };
    const PLACE: Place = Place::HolderAgain;
    type Params = AdminsParams;
    type Output = Asked;

    async fn call(context: Context<'_>, params: AdminsParams) -> Result<Asked, RpcError> {
        let AdminsParams { channel, from_user, waiting } = params;
        let services = context.services();
        let events = services.replies();
        services.ask_channel_admins(&from_user, &channel).await.map_err(refused)?;
        let mut asked = Asked::new("requested", json!({"channel": channel}));
        if let Some(until) = waiting.until() {
            let expected =
                Expected { name: "channel_admins_reply", mud: None, user: &from_user, about: None };
            asked.fields.extend(wait(events, until, &expected).await?);
            asked.status = "success";
        }
        Ok(asked)
    }
}

/// `channel_filter`.
pub(super) struct Filter;

/// Parameters of `channel_filter`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct FilterParams {
    /// From `channel_filter_requested`.
    #[schemars(with = "String")]
    request_id: Uuid,
    /// Another text to let through; as it is when it is not given.
    message: Option<String>,
    /// Another name to show; as it is when it is not given.
    visname: Option<String>,
    /// Do not let it through.
    #[serde(default)]
    drop: bool,
}

/// Result of `channel_filter`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Filtered {
    /// `passed`, `changed` or `dropped`.
    status: &'static str,
}

impl Method for Filter {
    const NAME: &'static str = "channel_filter";
    const SUMMARY: &'static str = "Decide about a message on a filtered channel of our mud's, within 5 s.";
    const PERMISSION: Option<Permission> = Some(Permission::Admin);
    const EXAMPLE: Example = Example {
        params: r#"{"request_id": "8e7d3b52-6f0a-4a7e-9d52-0b1f6f5f3c11", "message": "Hello, all of you!"}"#,
        result: r#"{"status": "changed"}"#,
    };
    const PLACE: Place = Place::HolderOnce;
    type Params = FilterParams;
    type Output = Filtered;

    async fn call(context: Context<'_>, params: FilterParams) -> Result<Filtered, RpcError> {
        let FilterParams { request_id, message, visname, drop } = params;
        if let Some(message) = &message {
            context.check_length("message", message)?;
        }
        let decision = Decision { drop, message, visname };
        if !context.services().decide(request_id, &decision) {
            let message = "No such message waits any more: it was decided about already, or too late";
            return Err(RpcError::new(GATEWAY_ERROR, message));
        }
        let changes = decision.message.is_some() || decision.visname.is_some();
        let status = match (drop, changes) {
            (true, _) => "dropped",
            (false, true) => "changed",
            (false, false) => "passed",
        };
        Ok(Filtered { status })
    }
}

/// Something asked of the router about a channel of ours.
struct Order<'a> {
    context: Context<'a>,
    /// The packet's type, which errors name.
    kind: &'static str,
    channel: &'a str,
    errors: Receiver<Event>,
}

impl Order<'_> {
    /// Waits, if that is wanted, until the channel is ours in the list, or is not in it any more.
    async fn listed(mut self, waiting: &Waiting, ours: bool) -> Result<Asked, RpcError> {
        let Some(until) = waiting.until() else { return Ok(self.asked("requested")) };
        let services = self.context.services();
        let mut lists = services.channel_lists();
        loop {
            lists.mark_unchanged();
            match services.channel(self.channel) {
                Some(channel) if ours && channel.owner == services.mud() => {
                    let mut asked = self.asked("success");
                    asked.fields.insert("type".to_owned(), channel.kind.into());
                    return Ok(asked);
                }
                None if !ours => return Ok(self.asked("success")),
                _ => {}
            }
            tokio::select! {
                error = self.error() => return Err(error),
                // The services hold the other end.
                _ = lists.changed() => {}
                () = tokio::time::sleep_until(until) => {
                    return Err(RpcError::new(GATEWAY_ERROR, "No answer in time"));
                }
            }
        }
    }

    /// Waits, if that is wanted, until no error is to be expected any more.
    async fn silence(mut self, waiting: &Waiting) -> Result<Asked, RpcError> {
        let Some(until) = waiting.until() else { return Ok(self.asked("requested")) };
        tokio::select! {
            error = self.error() => Err(error),
            () = tokio::time::sleep_until(until.min(Instant::now() + SILENCE)) => Ok(self.asked("success")),
        }
    }

    /// The router's error about this.
    async fn error(&mut self) -> RpcError {
        let router = self.context.services().router_status().router;
        loop {
            match self.errors.recv().await {
                Ok(Event::Error(trouble))
                    if trouble.packet_type.as_deref() == Some(self.kind)
                        && router.as_ref() == Some(&trouble.to.from_mud) =>
                {
                    return failed(trouble);
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => {
                    return RpcError::new(GATEWAY_ERROR, "The gateway is shutting down");
                }
            }
        }
    }

    fn asked(&self, status: &'static str) -> Asked {
        Asked::new(status, json!({"channel": self.channel}))
    }
}

/// What is wrong with the request, or why it cannot be done.
fn refused(error: ChannelError) -> RpcError {
    let (code, data) = match &error {
        ChannelError::Name => {
            (INVALID_PARAMS, Some(json!({"field": "channel", "expected": error.to_string()})))
        }
        ChannelError::Muds => (INVALID_PARAMS, Some(json!({"field": "add", "expected": error.to_string()}))),
        ChannelError::Exists { owner, .. } | ChannelError::NotOurs { owner, .. } => {
            (GATEWAY_ERROR, Some(json!({"error_code": "not-allowed", "owner": owner})))
        }
        ChannelError::Provider { .. } => (GATEWAY_ERROR, Some(json!({"error_code": "not-allowed"}))),
        ChannelError::Unknown { .. } => (GATEWAY_ERROR, Some(json!({"error_code": "unk-channel"}))),
        ChannelError::NoRouter | ChannelError::NotAccepted(_) => (GATEWAY_ERROR, None),
    };
    RpcError { data, ..RpcError::new(code, error.to_string()) }
}
