//! Calls of other muds on a process that does not hold the session: it has the conversation, and the one that holds the
//! session has the keys it handed out and the desk, and so decides who comes in and answers what they ask for.

use std::net::IpAddr;
use std::time::Duration;

use futures::future::BoxFuture;
use intermud3::OobPacket;
use intermud3::oob::OobBegin;
use intermud3::packet::ErrorPacket;
use serde_json::{Map, Value, json};

use super::Driver;
use super::serve::{self, Reply};
use crate::oob::conversation::BEGIN_TIMEOUT;
use crate::oob::desk::ANSWER_TIMEOUT;

/// The methods by which one process asks the other. Clients cannot call them.
const ADMIT: &str = "rpc.oob_admit";
const ANSWER: &str = "rpc.oob_answer";

/// How long after a client's time the answer may still be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

/// The most bytes of a request, as it is written; NATS takes no message over 1 MiB.
const REQUEST: usize = 900_000;

/// The way to the process that holds the session.
pub trait Holder: Send + Sync {
    /// Lets that process do something, once, and says what came of it, or why nothing did. None: there is none, so that
    /// this one has to do what it can.
    fn ask(
        &self,
        patience: Duration,
        method: &'static str,
        params: Map<String, Value>,
    ) -> BoxFuture<'_, Option<Result<Value, String>>>;
}

impl Driver {
    /// Whether a caller may come in; its right is used up by that.
    pub(super) async fn admits(&self, begin: &OobBegin, from: IpAddr) -> bool {
        let Some(holder) = self.holder.as_ref().filter(|_| !self.services.leads()) else {
            return self.admits_here(begin, from);
        };
        let OobBegin { mud, auth_type, auth_token } = begin;
        let params = params(json!({"mud": mud, "type": auth_type, "token": auth_token, "from": from}));
        match holder.ask(BEGIN_TIMEOUT, ADMIT, params).await {
            Some(answer) => answer.is_ok_and(|admitted| admitted == true),
            // It may have come to hold the session itself; else nobody knows the caller.
            None => self.services.leads() && self.admits_here(begin, from),
        }
    }

    /// The answer to a request of a mud that was let in.
    pub(super) async fn answer(&self, from: &str, request: &OobPacket) -> Reply {
        let Some(holder) = self.holder.as_ref().filter(|_| !self.services.leads()) else {
            return serve::answer(self, from, request).await;
        };
        let refused = |words: &str| Err((ErrorPacket::NOT_ALLOWED, words.to_owned()));
        let Some(text) = request.encode().ok().and_then(|text| String::from_utf8(text.to_vec()).ok()) else {
            return refused("the request cannot be passed on");
        };
        let params = params(json!({"from": from, "request": text}));
        if serde_json::to_vec(&params).map_or(REQUEST, |json| json.len()) >= REQUEST {
            return refused("the request is too long to be passed on");
        }
        let patience = ANSWER_TIMEOUT + ON_ITS_WAY;
        match holder.ask(patience, ANSWER, params).await {
            Some(Ok(reply)) => read(&reply).unwrap_or_else(|| refused("the answer cannot be passed on")),
            Some(Err(error)) => refused(&error),
            None if self.services.leads() => serve::answer(self, from, request).await,
            None => refused("no process of this mud is on the network now; try again later"),
        }
    }

    /// Does what another process asks for; none when it asks for something else.
    pub(crate) async fn for_another(&self, method: &str, params: &Map<String, Value>) -> Option<Value> {
        match method {
            ADMIT => {
                let admitted = caller(params).is_some_and(|(begin, from)| self.admits_here(&begin, from));
                Some(admitted.into())
            }
            ANSWER => {
                let from = params.get("from")?.as_str()?;
                let request = OobPacket::decode(params.get("request")?.as_str()?.as_bytes()).ok()?;
                Some(written(serve::answer(self, from, &request).await))
            }
            _ => None,
        }
    }
}

fn params(params: Value) -> Map<String, Value> {
    if let Value::Object(params) = params { params } else { Map::new() }
}

/// Who calls, and from where.
fn caller(params: &Map<String, Value>) -> Option<(OobBegin, IpAddr)> {
    let number = |name| params.get(name).and_then(Value::as_i64);
    let text = |name| params.get(name).and_then(Value::as_str);
    let begin =
        OobBegin { mud: text("mud")?.to_owned(), auth_type: number("type")?, auth_token: number("token")? };
    Some((begin, text("from")?.parse().ok()?))
}

/// A reply as it goes from process to process.
fn written(reply: Reply) -> Value {
    match reply.map(|packet| packet.encode()) {
        Ok(Ok(text)) => json!({"packet": String::from_utf8_lossy(&text)}),
        Ok(Err(error)) => {
            json!({"code": ErrorPacket::NOT_ALLOWED, "words": format!("the answer cannot be written: {error}")})
        }
        Err((code, words)) => json!({"code": code, "words": words}),
    }
}

fn read(reply: &Value) -> Option<Reply> {
    if let Some(packet) = reply["packet"].as_str() {
        return OobPacket::decode(packet.as_bytes()).ok().map(Ok);
    }
    let code = serve::CODES.iter().find(|code| reply["code"] == **code)?;
    Some(Err((code, reply["words"].as_str()?.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_and_a_reply_are_the_same_after_the_way() {
        let begin = OobBegin { mud: "My \"Mud\"".into(), auth_type: 1, auth_token: 42 };
        let sent = params(json!({"mud": begin.mud, "type": 1, "token": 42, "from": "203.0.114.9"}));
        assert_eq!(caller(&sent), Some((begin, [203, 0, 114, 9].into())));
        assert_eq!(caller(&params(json!({"mud": "x", "type": 1, "token": 42, "from": "somewhere"}))), None);
        let packet = OobPacket::decode(br#"({"file-get-reply",1,1,"a\"b\\c",})"#).unwrap();
        for reply in [Ok(packet), Err((ErrorPacket::NOT_IMP, "not here".to_owned()))] {
            assert_eq!(read(&written(reply.clone())), Some(reply));
        }
        for unreadable in [json!(null), json!({"packet": "({"}), json!({"code": "made-up", "words": "x"})] {
            assert_eq!(read(&unreadable), None);
        }
    }
}
