//! Questions to other muds: who, finger, locate, and who is on a channel.
//!
//! A question is answered `requested` at once, and its answer comes as an event. With `wait` or `timeout` the result
//! carries the answer itself; the event comes all the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, timeout_at};

use super::waiting::{Asked, Expected, Waiting, requested, wait};
use super::{Context, Example, Method, Place};
use crate::api::rpc::RpcError;
use crate::hub::{Event, Identity, Located};
use crate::keys::Permission;
use crate::packets::Question;
use crate::router::NotAccepted;
use crate::services::Scope;

/// Asks one mud, and waits if that is wanted. `echo` is what the result repeats of the question.
async fn ask(
    context: Context<'_>,
    user: &str,
    mud: &str,
    question: Question<'_>,
    waiting: &Waiting,
    echo: Value,
) -> Result<Asked, RpcError> {
    let services = context.services();
    let events = services.replies();
    let accepted = services.ask(user, mud, question).await;
    if let Err(NotAccepted::Away(mud)) = accepted {
        let message = Some(format!("{mud} is not connected now"));
        return Ok(Asked { message, ..Asked::new("unavailable", echo) });
    }
    let requested = requested(accepted, echo)?;
    let Some(until) = waiting.until() else { return Ok(requested) };
    let name = match question {
        Question::Who => "who_reply",
        Question::Finger(_) => "finger_reply",
        Question::ChannelWho(_) => "channel_who_reply",
        Question::UserInfo(_) => "user_info_reply",
    };
    let about = match question {
        Question::UserInfo(username) => Some(username),
        _ => None,
    };
    let mut fields = requested.fields;
    fields.extend(wait(events, until, &Expected { name, mud: Some(mud), user, about }).await?);
    Ok(Asked { status: "success", message: None, fields })
}

/// Who asks when nobody is named: the Python gateway's word.
fn anybody() -> String {
    "*".to_owned()
}

/// `who`.
pub(super) struct Who;

/// Parameters of `who`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct WhoParams {
    /// The mud.
    target_mud: String,
    /// Who asks.
    #[serde(default = "anybody")]
    from_user: String,
    #[serde(flatten)]
    waiting: Waiting,
}

impl Method for Who {
    const NAME: &'static str = "who";
    const SUMMARY: &'static str = "Ask who is on another mud.";
    const PERMISSION: Option<Permission> = Some(Permission::Info);
    const EXAMPLE: Example = Example {
        params: r#"{"target_mud": "Dusk", "from_user": "ann", "wait": true}"#,
        result: r#"{"status": "success", "mud_name": "Dusk",
            "users": [{"name": "Bob", "idle": 60, "idle_time": 60, "level": null, "extra": "Level 9 the Bold"}]}"#,
    };
    const PLACE: Place = Place::HolderAgain;
    type Params = WhoParams;
    type Output = Asked;

    async fn call(context: Context<'_>, params: WhoParams) -> Result<Asked, RpcError> {
        let WhoParams { target_mud, from_user, waiting } = params;
        let echo = json!({"mud_name": target_mud});
        ask(context, &from_user, &target_mud, Question::Who, &waiting, echo).await
    }
}

/// `finger`.
pub(super) struct Finger;

/// Parameters of `finger`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct FingerParams {
    /// The mud.
    target_mud: String,
    /// The user it is about.
    target_user: String,
    /// Who asks.
    #[serde(default = "anybody")]
    from_user: String,
    #[serde(flatten)]
    waiting: Waiting,
}

impl Method for Finger {
    const NAME: &'static str = "finger";
    const SUMMARY: &'static str = "Ask what another mud tells about a user.";
    const PERMISSION: Option<Permission> = Some(Permission::Info);
    const EXAMPLE: Example = Example {
        params: r#"{"target_mud": "Dusk", "target_user": "bob", "from_user": "ann"}"#,
        result: r#"{"status": "requested", "mud_name": "Dusk", "user_name": "bob"}"#,
    };
    const PLACE: Place = Place::HolderAgain;
    type Params = FingerParams;
    type Output = Asked;

    async fn call(context: Context<'_>, params: FingerParams) -> Result<Asked, RpcError> {
        let FingerParams { target_mud, target_user, from_user, waiting } = params;
        let echo = json!({"mud_name": target_mud, "user_name": target_user});
        ask(context, &from_user, &target_mud, Question::Finger(&target_user), &waiting, echo).await
    }
}

/// `user_info`.
pub(super) struct UserInfo;

/// Parameters of `user_info`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct UserInfoParams {
    /// The mud.
    target_mud: String,
    /// The user it is about.
    target_user: String,
    /// Who asks.
    #[serde(default = "anybody")]
    from_user: String,
    #[serde(flatten)]
    waiting: Waiting,
}

impl Method for UserInfo {
    const NAME: &'static str = "user_info";
    const SUMMARY: &'static str = "What a user of another mud is called, and the gender: at once, if the mud has told it to all, else as a question.";
    const PERMISSION: Option<Permission> = Some(Permission::Info);
    const EXAMPLE: Example = Example {
        params: r#"{"target_mud": "Dusk", "target_user": "bob", "from_user": "ann", "wait": true}"#,
        result: r#"{"status": "success", "mud_name": "Dusk", "user_name": "bob", "cached": true, "username": "bob",
            "visname": "Bob", "gender": "male"}"#,
    };
    const PLACE: Place = Place::HolderAgain;
    type Params = UserInfoParams;
    type Output = Asked;

    async fn call(context: Context<'_>, params: UserInfoParams) -> Result<Asked, RpcError> {
        let UserInfoParams { target_mud, target_user, from_user, waiting } = params;
        let known = context.services().known_user(&target_mud, &target_user);
        let mut echo = json!({"mud_name": target_mud, "user_name": target_user, "cached": known.is_some()});
        if let Some(known) = known {
            let known = Identity::from(&known);
            echo["username"] = json!(known.username);
            echo["visname"] = json!(known.visname);
            echo["gender"] = json!(known.gender);
            return Ok(Asked::new("success", echo));
        }
        ask(context, &from_user, &target_mud, Question::UserInfo(&target_user), &waiting, echo).await
    }
}

/// `channel_who`.
pub(super) struct ChannelWho;

/// Parameters of `channel_who`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ChannelWhoParams {
    /// The channel, by its exact name.
    channel: String,
    /// The mud to ask; none: our own.
    target_mud: Option<String>,
    /// Who asks.
    #[serde(default = "anybody")]
    from_user: String,
    #[serde(flatten)]
    waiting: Waiting,
}

impl Method for ChannelWho {
    const NAME: &'static str = "channel_who";
    const SUMMARY: &'static str = "Ask who is on a channel, here or at another mud.";
    const PERMISSION: Option<Permission> = Some(Permission::Channel);
    const EXAMPLE: Example = Example {
        params: r#"{"channel": "imud_gossip", "target_mud": "Dusk", "wait": true}"#,
        result: r#"{"status": "success", "channel": "imud_gossip", "mud_name": "Dusk", "users": ["Bob"],
            "members": [{"mud": "Dusk", "users": ["Bob"]}]}"#,
    };
    const PLACE: Place = Place::HolderAgain;
    type Params = ChannelWhoParams;
    type Output = Asked;

    async fn call(context: Context<'_>, params: ChannelWhoParams) -> Result<Asked, RpcError> {
        let ChannelWhoParams { channel, target_mud, from_user, waiting } = params;
        let services = context.services();
        let ours = |mud: &String| services.scope(&channel) == Scope::Provider && mud == services.mud();
        let Some(mud) = target_mud.filter(|mud| !ours(mud)) else {
            let users = services.users_on(&channel);
            let members = json!([{"mud": services.mud(), "users": users}]);
            return Ok(Asked::new(
                "success",
                json!({"channel": channel, "members": members, "users": users}),
            ));
        };
        let echo = json!({"channel": channel, "mud_name": mud});
        let mut asked =
            ask(context, &from_user, &mud, Question::ChannelWho(&channel), &waiting, echo).await?;
        if let Some(users) = asked.fields.get("users").cloned() {
            asked.fields.insert("members".to_owned(), json!([{"mud": mud, "users": users}]));
        }
        Ok(asked)
    }
}

/// `locate`.
pub(super) struct Locate;

/// Parameters of `locate`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct LocateParams {
    /// The user to look for.
    target_user: String,
    /// Who asks.
    #[serde(default = "anybody")]
    from_user: String,
    #[serde(flatten)]
    waiting: Waiting,
}

impl Method for Locate {
    const NAME: &'static str = "locate";
    const SUMMARY: &'static str = "Ask every mud whether a user is there.";
    const PERMISSION: Option<Permission> = Some(Permission::Info);
    const EXAMPLE: Example = Example {
        params: r#"{"target_user": "bob", "from_user": "ann", "timeout": 1}"#,
        result: r#"{"status": "success", "user_name": "bob", "locations": [{"mud": "Dusk", "mud_name": "Dusk", "located_mud": "Dusk",
            "located_user": "Bob", "idle": 60, "status": null}]}"#,
    };
    const PLACE: Place = Place::HolderAgain;
    type Params = LocateParams;
    type Output = Asked;

    async fn call(context: Context<'_>, params: LocateParams) -> Result<Asked, RpcError> {
        let LocateParams { target_user, from_user, waiting } = params;
        let services = context.services();
        let events = services.replies();
        let echo = json!({"user_name": target_user});
        let mut asked = requested(services.locate(&from_user, &target_user).await, echo)?;
        if let Some(until) = waiting.until() {
            let locations = found(events, until, &from_user, &target_user).await;
            asked.status = "success";
            asked.fields.insert("locations".to_owned(), json!(locations));
        }
        Ok(asked)
    }
}

/// The most muds a search is answered from.
const LOCATIONS: usize = 100;

/// A place a user is found at. Some fields stand under two names, as clients differ.
#[derive(Serialize)]
struct Location {
    mud: String,
    mud_name: String,
    #[serde(flatten)]
    located: Located,
}

/// All places a user is found at in time. Muds where the user is not say nothing.
async fn found(mut events: Receiver<Event>, until: Instant, from_user: &str, wanted: &str) -> Vec<Location> {
    let expected = Expected { name: "locate_reply", mud: None, user: from_user, about: None };
    let mut locations = Vec::new();
    while locations.len() < LOCATIONS {
        match timeout_at(until, events.recv()).await {
            Ok(Ok(event)) if expected.matches(&event) => {
                if let Event::LocateReply(reply) = event
                    && reply.answer.located_user.eq_ignore_ascii_case(wanted)
                {
                    let mud = reply.answer.located_mud.clone();
                    locations.push(Location { mud: mud.clone(), mud_name: mud, located: reply.answer });
                }
            }
            Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
            Ok(Err(RecvError::Closed)) | Err(_) => break,
        }
    }
    locations
}
