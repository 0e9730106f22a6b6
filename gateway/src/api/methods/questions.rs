//! Questions to other muds: who, finger, locate, and who is on a channel.
//!
//! A question is answered `requested` at once, and its answer comes as an event. With `wait` or `timeout` the result
//! carries the answer itself; the event comes all the same.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, timeout_at};

use super::{Context, Method};
use crate::api::rpc::{GATEWAY_ERROR, RpcError};
use crate::hub::{Event, Reply};
use crate::keys::Permission;
use crate::router::{Accepted, Full};
use crate::services::Question;

/// How long an answer is waited for when no time is given.
const WAIT: f64 = 5.0;

/// The longest wait: clients themselves wait 30 s.
const LONGEST_WAIT: f64 = 25.0;

/// Whether to wait for the answer.
#[derive(Deserialize, JsonSchema)]
struct Waiting {
    /// Wait for the answer.
    #[serde(default)]
    wait: bool,
    /// Wait so many seconds for it, at most 25.
    timeout: Option<f64>,
}

impl Waiting {
    fn until(&self) -> Option<Instant> {
        let seconds = self.timeout.or(self.wait.then_some(WAIT))?;
        Some(Instant::now() + Duration::from_secs_f64(seconds.clamp(0.1, LONGEST_WAIT)))
    }
}

/// The result of a question.
#[derive(Serialize, JsonSchema)]
pub(super) struct Asked {
    /// `requested`: the answer will come as an event; `success`: here it is; `unavailable`: the mud is not there.
    status: &'static str,
    /// More words, when it is `unavailable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// What was asked, and the answer's fields when it is here.
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Asked {
    fn new(status: &'static str, fields: Value) -> Self {
        let fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Self { status, message: None, fields }
    }
}

/// What is waited for: an answer of a mud to one of our users.
struct Expected<'a> {
    /// The event's name.
    name: &'static str,
    /// From this mud; any when it is none.
    mud: Option<&'a str>,
    /// To this user.
    user: &'a str,
}

impl Expected<'_> {
    fn matches(&self, event: &Event) -> bool {
        event.name() == self.name && self.concerns(event)
    }

    /// Whether it comes from the mud, and is for the user. Muds change the case of names.
    fn concerns(&self, event: &Event) -> bool {
        let to_user = match event {
            Event::WhoReply(reply)
            | Event::FingerReply(reply)
            | Event::LocateReply(reply)
            | Event::ChannelWhoReply(reply) => &reply.to_user,
            Event::Error(trouble) => &trouble.to_user,
            _ => return false,
        };
        to_user.eq_ignore_ascii_case(self.user) && self.mud.is_none_or(|mud| event.origin().0 == Some(mud))
    }
}

/// Waits for an answer, or for an error in its place.
async fn wait(
    mut events: Receiver<Event>,
    until: Instant,
    expected: &Expected<'_>,
) -> Result<Reply, RpcError> {
    loop {
        match timeout_at(until, events.recv()).await {
            Ok(Ok(event)) if expected.matches(&event) => match event {
                Event::WhoReply(reply)
                | Event::FingerReply(reply)
                | Event::LocateReply(reply)
                | Event::ChannelWhoReply(reply) => return Ok(reply),
                _ => {}
            },
            // A router's error has the router as its origin, so only the user tells whose it is.
            Ok(Ok(Event::Error(trouble))) if trouble.to_user.eq_ignore_ascii_case(expected.user) => {
                let data = json!({"error_code": trouble.code, "from_mud": trouble.from_mud});
                return Err(RpcError { data: Some(data), ..RpcError::new(GATEWAY_ERROR, trouble.message) });
            }
            Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
            Ok(Err(RecvError::Closed)) | Err(_) => {
                return Err(RpcError::new(GATEWAY_ERROR, "No answer in time"));
            }
        }
    }
}

fn requested(accepted: Result<Accepted, Full>, fields: Value) -> Result<Asked, RpcError> {
    accepted.map_err(|full| RpcError::new(GATEWAY_ERROR, full.to_string()))?;
    Ok(Asked::new("requested", fields))
}

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
    if services.is_down(mud) {
        let message = Some(format!("{mud} is not connected now"));
        return Ok(Asked { message, ..Asked::new("unavailable", echo) });
    }
    let events = services.replies();
    let requested = requested(services.ask(user, mud, question).await, echo)?;
    let Some(until) = waiting.until() else { return Ok(requested) };
    let name = match question {
        Question::Who => "who_reply",
        Question::Finger(_) => "finger_reply",
        Question::ChannelWho(_) => "channel_who_reply",
    };
    let reply = wait(events, until, &Expected { name, mud: Some(mud), user }).await?;
    let mut fields = requested.fields;
    if let Value::Object(answer) = reply.fields {
        fields.extend(answer);
    }
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
    type Params = FingerParams;
    type Output = Asked;

    async fn call(context: Context<'_>, params: FingerParams) -> Result<Asked, RpcError> {
        let FingerParams { target_mud, target_user, from_user, waiting } = params;
        let echo = json!({"mud_name": target_mud, "user_name": target_user});
        ask(context, &from_user, &target_mud, Question::Finger(&target_user), &waiting, echo).await
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
    type Params = ChannelWhoParams;
    type Output = Asked;

    async fn call(context: Context<'_>, params: ChannelWhoParams) -> Result<Asked, RpcError> {
        let ChannelWhoParams { channel, target_mud, from_user, waiting } = params;
        let Some(mud) = target_mud else {
            let users = context.services().users_on(&channel);
            let members = json!([{"mud": context.services().mud(), "users": users}]);
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
            asked.fields.insert("locations".to_owned(), Value::Array(locations));
        }
        Ok(asked)
    }
}

/// The most muds a search is answered from.
const LOCATIONS: usize = 100;

/// All places a user is found at in time. Muds where the user is not say nothing.
async fn found(mut events: Receiver<Event>, until: Instant, from_user: &str, wanted: &str) -> Vec<Value> {
    let expected = Expected { name: "locate_reply", mud: None, user: from_user };
    let mut locations = Vec::new();
    while locations.len() < LOCATIONS {
        match timeout_at(until, events.recv()).await {
            Ok(Ok(Event::LocateReply(reply))) => {
                let is_wanted = reply.fields["located_user"]
                    .as_str()
                    .is_some_and(|found| found.eq_ignore_ascii_case(wanted));
                if is_wanted && expected.concerns(&Event::LocateReply(reply.clone())) {
                    let mud = reply.fields["located_mud"].clone();
                    let mut location = reply.fields;
                    location["mud"] = mud.clone();
                    location["mud_name"] = mud;
                    locations.push(location);
                }
            }
            Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
            Ok(Err(RecvError::Closed)) | Err(_) => break,
        }
    }
    locations
}
