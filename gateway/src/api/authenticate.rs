//! `authenticate`: the method that makes the others possible.

use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::methods::Example;
use super::rpc::{INTERNAL_ERROR, INVALID_PARAMS, NOT_AUTHENTICATED, Request, RpcError};
use super::{Api, openrpc};
use crate::hub::{Admission, Options, Resume, Session, Transport};
use crate::keys::Key;
use crate::metrics::Authenticated;
use crate::mud::Position;

/// The method's name.
pub(super) const NAME: &str = "authenticate";

/// An example of its use, with a key that is made up.
const EXAMPLE: Example = Example {
    params: r#"{"api_key": "your key"}"#,
    result: r#"{"status": "authenticated", "mud_name": "Dawn", "session_id": "8e7d3b52-6f0a-4a7e-9d52-0b1f6f5f3c11",
        "position": {"epoch": 1795510800000, "seq": 42}}"#,
};

/// Its entry in the API's description. Its result differs with what was asked, so it is described by hand.
pub(super) fn description() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let number = |description: &str| json!({"type": "integer", "minimum": 0, "description": description});
    let position = json!({
        "type": "object",
        "description": "The place of the last event.",
        "required": ["epoch", "seq"],
        "properties": {"epoch": number("Which sequence."), "seq": number("The number in it.")},
    });
    let resume = json!({
        "type": "object",
        "description": "Go on where an earlier session ended.",
        "required": ["session_id", "epoch", "seq"],
        "properties": {
            "session_id": text("The earlier session."),
            "epoch": number("From the last event that was received."),
            "seq": number("From the last event that was received."),
        },
    });
    let options = json!({
        "type": "object",
        "description": "Which events this session gets, as `session_options` takes them; they hold from the first event on.",
    });
    let result = json!({
        "type": "object",
        "required": ["status", "mud_name", "session_id"],
        "properties": {
            "status": text("`authenticated`; `success` when the session was authenticated before."),
            "mud_name": text("The mud."),
            "session_id": text("This session."),
            "position": position,
            "recovered": {"type": "boolean", "description": "Whether all that was missed will come."},
        },
    });
    json!({
        "name": NAME,
        "summary": "Show an API key; nothing else works before, unless the key came in the header X-API-Key.",
        "paramStructure": "by-name",
        "params": [
            {"name": "api_key", "required": true, "description": "The key.", "schema": text("The key.")},
            {"name": "resume", "required": false, "description": resume["description"], "schema": resume},
            {"name": "options", "required": false, "description": options["description"], "schema": options},
        ],
        "result": {"name": "result", "schema": result},
        "examples": [openrpc::example(EXAMPLE)],
        "x-permission": null,
    })
}

/// Why a key is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// It is not one of ours.
    #[error("Invalid API key")]
    Invalid,
    /// Its sender has shown too many wrong ones.
    #[error("Too many failed attempts. Try again in a minute.")]
    TooMany,
}

/// Checks a key. Whoever shows too many wrong ones is not listened to for a while, not even with a right one.
pub(super) fn check(api: &Api, session: &Session, text: &str) -> Result<Arc<Key>, Refused> {
    let now = Instant::now();
    if api.attempts().is_blocked(now, session.peer) {
        api.metrics.clients.authenticated(Authenticated::Blocked);
        return Err(Refused::TooMany);
    }
    let found = api.keyring.find(text).ok_or_else(|| {
        tracing::warn!(session = %session.id, peer = %session.peer, "a client showed a wrong API key");
        api.attempts().record(now, session.peer);
        Refused::Invalid
    });
    let outcome = if found.is_ok() { Authenticated::Accepted } else { Authenticated::Refused };
    api.metrics.clients.authenticated(outcome);
    found
}

/// Authenticates a session.
pub(super) fn call(
    api: &Api,
    session: &Arc<Session>,
    request: &Request,
) -> (Result<Value, RpcError>, Option<Admission>) {
    let mud = api.services.mud();
    if session.is_authenticated() {
        let result = json!({"status": "success", "mud_name": mud, "session_id": session.id});
        return (Ok(result), None);
    }
    match admission(api, session, request) {
        Ok(admission) => {
            let mut result = json!({
                "status": "authenticated",
                "mud_name": mud,
                "session_id": session.id,
                "position": admission.position,
            });
            if let Some(recovered) = admission.recovered {
                result["recovered"] = json!(recovered);
            }
            (Ok(result), Some(admission))
        }
        Err(error) => (Err(error), None),
    }
}

fn admission(api: &Api, session: &Session, request: &Request) -> Result<Admission, RpcError> {
    let key = match request.params.get("api_key") {
        Some(Value::String(key)) => key,
        None | Some(Value::Null) => return Err(RpcError::new(INVALID_PARAMS, "Missing api_key parameter")),
        Some(_) => return Err(invalid("api_key", "a string")),
    };
    let resume = match request.params.get("resume") {
        None | Some(Value::Null) => None,
        Some(resume) => Some(self::resume(resume)?),
    };
    let options = match request.params.get("options") {
        None | Some(Value::Null) => None,
        Some(options) => Some(self::options(options)?),
    };
    let key = check(api, session, key).map_err(|refused| {
        let code = match session.transport {
            Transport::WebSocket => INTERNAL_ERROR,
            Transport::Tcp => NOT_AUTHENTICATED,
        };
        RpcError::new(code, refused.to_string())
    })?;
    let admission = api.services.hub.authenticate(session, key, resume);
    // Before the first event: who looks on only must not take the tells that wait for the mud.
    if let Some(options) = options {
        session.set_options(options);
    }
    Ok(admission)
}

fn resume(resume: &Value) -> Result<Resume, RpcError> {
    let number = |name: &str| {
        let number = resume.get(name).and_then(Value::as_u64);
        number.ok_or_else(|| invalid(&format!("resume.{name}"), "a whole number"))
    };
    let id = resume.get("session_id").and_then(Value::as_str).and_then(|id| id.parse::<Uuid>().ok());
    Ok(Resume {
        session: id.ok_or_else(|| invalid("resume.session_id", "the session_id of an earlier answer"))?,
        position: Position { epoch: number("epoch")?, seq: number("seq")? },
    })
}

fn options(options: &Value) -> Result<Options, RpcError> {
    let options = Options::deserialize(options).ok().filter(Options::is_bounded);
    options.ok_or_else(|| invalid("options", "what session_options takes"))
}

fn invalid(field: &str, expected: &str) -> RpcError {
    RpcError {
        code: INVALID_PARAMS,
        message: format!("Invalid parameter: {field} must be {expected}"),
        data: Some(json!({"field": field, "expected": expected})),
    }
}
