//! Waiting for the answer to a question: answers come as events, and who wants gets them as the result.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, timeout_at};

use super::not_accepted;
use crate::api::rpc::{GATEWAY_ERROR, RpcError};
use crate::hub::{Event, Trouble};
use crate::router::{Accepted, NotAccepted};

/// How long an answer is waited for when no time is given.
const WAIT: f64 = 5.0;

/// The longest wait: clients themselves wait 30 s.
const LONGEST_WAIT: f64 = 25.0;

/// Whether to wait for the answer.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Waiting {
    /// Wait for the answer.
    #[serde(default)]
    wait: bool,
    /// Wait so many seconds for it, at most 25.
    timeout: Option<f64>,
}

impl Waiting {
    pub(super) fn until(&self) -> Option<Instant> {
        let seconds = self.timeout.or(self.wait.then_some(WAIT))?;
        Some(Instant::now() + Duration::from_secs_f64(seconds.clamp(0.1, LONGEST_WAIT)))
    }
}

/// The result of a question.
#[derive(Serialize, JsonSchema)]
pub(super) struct Asked {
    /// `requested`: the answer will come as an event; `success`: here it is; `unavailable`: the mud is not there.
    pub(super) status: &'static str,
    /// More words, when it is `unavailable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// What was asked, and the answer's fields when it is here.
    #[serde(flatten)]
    pub(super) fields: Map<String, Value>,
}

impl Asked {
    pub(super) fn new(status: &'static str, fields: Value) -> Self {
        let fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Self { status, message: None, fields }
    }
}

/// What is waited for: an answer of a mud to one of our users.
pub(super) struct Expected<'a> {
    /// The event's name.
    pub(super) name: &'static str,
    /// From this mud; any when it is none.
    pub(super) mud: Option<&'a str>,
    /// To this user.
    pub(super) user: &'a str,
    /// About this user, where the answer names one.
    pub(super) about: Option<&'a str>,
}

impl Expected<'_> {
    /// Whether it is the answer, from the mud and for the user. Muds change the case of names.
    pub(super) fn matches(&self, event: &Event) -> bool {
        event.name() == self.name
            && event.addressed().is_some_and(|to| {
                self.is_for_user(event, &to.to_user) && self.mud.is_none_or(|mud| to.from_mud == mud)
            })
    }

    /// What a user is called is a mud's question as a rule, so its answer may name no user to whom it goes, but it
    /// names whom it is about.
    fn is_for_user(&self, event: &Event, to_user: &str) -> bool {
        match event {
            Event::UserInfoReply(reply) => {
                self.about.is_none_or(|about| reply.answer.username.eq_ignore_ascii_case(about))
            }
            _ => to_user.eq_ignore_ascii_case(self.user),
        }
    }
}

/// Waits for an answer, or for an error in its place.
pub(super) async fn wait(
    mut events: Receiver<Event>,
    until: Instant,
    expected: &Expected<'_>,
) -> Result<Map<String, Value>, RpcError> {
    loop {
        match timeout_at(until, events.recv()).await {
            Ok(Ok(event)) if expected.matches(&event) => {
                if let Some(Value::Object(answer)) = event.answer() {
                    return Ok(answer);
                }
            }
            // A router's error has the router as its origin, so only the user tells whose it is.
            Ok(Ok(Event::Error(trouble))) if trouble.to.to_user.eq_ignore_ascii_case(expected.user) => {
                return Err(failed(trouble));
            }
            Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
            Ok(Err(RecvError::Closed)) | Err(_) => {
                return Err(RpcError::new(GATEWAY_ERROR, "No answer in time"));
            }
        }
    }
}

/// The error a request ends with when a router or mud answers it with one.
pub(super) fn failed(trouble: Trouble) -> RpcError {
    let data = json!({"error_code": trouble.error_code, "from_mud": trouble.to.from_mud});
    RpcError { data: Some(data), ..RpcError::new(GATEWAY_ERROR, trouble.message) }
}

/// `requested`, when the question was accepted.
pub(super) fn requested(accepted: Result<Accepted, NotAccepted>, fields: Value) -> Result<Asked, RpcError> {
    accepted.map_err(|error| not_accepted(&error))?;
    Ok(Asked::new("requested", fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{Addressed, Identity, Reply, Who};
    use crate::mud::Gender;

    #[test]
    fn an_answer_is_known_by_who_asked_or_by_whom_it_is_about() {
        let to = |from_mud: &str, to_user: &str| Addressed {
            from_mud: from_mud.into(),
            to_mud: "Dawn".into(),
            to_user: to_user.into(),
        };
        let who = |from: &str, user: &str| {
            Event::WhoReply(Reply { to: to(from, user), answer: Who { users: vec![] } })
        };
        let expected = Expected { name: "who_reply", mud: Some("Dusk"), user: "ann", about: None };
        let cases =
            [("Dusk", "Ann", true), ("Other", "ann", false), ("Dusk", "zoe", false), ("Dusk", "", false)];
        for (from, user, matches) in cases {
            assert_eq!(expected.matches(&who(from, user)), matches, "{from} {user}");
        }
        // Muds answer this one to nobody in particular.
        let info = |username: &str| {
            let (username, visname) = (username.to_owned(), username.to_owned());
            let answer = Identity { username, visname, gender: Gender::Neuter };
            Event::UserInfoReply(Reply { to: to("Dusk", ""), answer })
        };
        let expected = Expected { name: "user_info_reply", about: Some("bob"), ..expected };
        assert!(expected.matches(&info("Bob")) && !expected.matches(&info("eve")));
        assert!(!expected.matches(&who("Dusk", "ann")));
    }
}
