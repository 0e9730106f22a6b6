//! The JSON-RPC 2.0 envelope.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A request or notification.
#[derive(Debug, PartialEq)]
pub struct Request {
    /// The id to answer with; none for a notification, which gets no answer.
    pub id: Option<Value>,
    /// The method.
    pub method: String,
    /// The parameters, by name.
    pub params: Map<String, Value>,
}

/// An error answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// The JSON-RPC error code.
    pub code: i64,
    /// For a person.
    pub message: String,
    /// The field that is wrong and what was expected, where that can be said.
    pub data: Option<Value>,
}

/// Not valid JSON.
pub const PARSE_ERROR: i64 = -32700;
/// Not a valid request; on WebSocket also: not authenticated.
pub const INVALID_REQUEST: i64 = -32600;
/// No such method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// A parameter is missing or wrong.
pub const INVALID_PARAMS: i64 = -32602;
/// Our fault; on WebSocket also: a wrong key.
pub const INTERNAL_ERROR: i64 = -32603;
/// Not authenticated, on TCP.
pub const NOT_AUTHENTICATED: i64 = -32000;
/// A key is used too fast, on TCP; on WebSocket it is [`INVALID_REQUEST`].
pub const RATE_LIMITED: i64 = -32001;
/// The key does not allow it.
pub const PERMISSION_DENIED: i64 = -32002;
/// The gateway cannot do it now.
pub const GATEWAY_ERROR: i64 = -32004;

/// When an error code is used, for the API's description.
#[derive(Debug)]
pub struct ErrorUse {
    /// The code.
    pub code: i64,
    /// `WebSocket`, `TCP` or `both`.
    pub transport: &'static str,
    /// When.
    pub when: &'static str,
}

const fn used(code: i64, transport: &'static str, when: &'static str) -> ErrorUse {
    ErrorUse { code, transport, when }
}

/// Every error code and when it is used. The transports differ where the clients of the Python gateway know it so.
pub const ERRORS: &[ErrorUse] = &[
    used(PARSE_ERROR, "both", "The message is no valid JSON."),
    used(INVALID_REQUEST, "both", "The message is no valid request, or too long."),
    used(INVALID_REQUEST, "WebSocket", "Not authenticated, or the key is used too fast: see -32000, -32001."),
    used(METHOD_NOT_FOUND, "both", "There is no such method."),
    used(
        INVALID_PARAMS,
        "both",
        "A parameter is missing (`data.missing`) or wrong (`data.field`, `data.expected`).",
    ),
    used(INTERNAL_ERROR, "both", "A fault of the gateway's; its log says more."),
    used(INTERNAL_ERROR, "WebSocket", "The API key is wrong, or too many wrong ones came from this address."),
    used(
        NOT_AUTHENTICATED,
        "TCP",
        "Not authenticated; or the API key is wrong, or too many wrong ones came from this address.",
    ),
    used(RATE_LIMITED, "TCP", "The key is used too fast; `data.retry_after` says when to go on, in seconds."),
    used(PERMISSION_DENIED, "both", "The key does not allow it; `data.permission` says what it would need."),
    used(
        GATEWAY_ERROR,
        "both",
        "The gateway cannot do it now: too much waits for the router, the other mud is down, did not answer or reported an error.",
    ),
];

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// A parameter that is not what it should be.
    pub fn invalid(field: &str, expected: &str) -> Self {
        let data = Some(serde_json::json!({"field": field, "expected": expected}));
        Self { data, ..Self::new(INVALID_PARAMS, format!("Invalid parameter: {field}: {expected}")) }
    }

    /// Something that should not happen.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "a request failed inside the gateway");
        Self::new(INTERNAL_ERROR, "Internal error")
    }
}

/// A text that is no request, with the id it seems to have.
#[derive(Debug, PartialEq)]
pub struct Rejected {
    /// The id, as far as it could be made out.
    pub id: Option<Value>,
    /// What is wrong.
    pub error: RpcError,
}

/// The most requests in one batch.
pub const BATCH: usize = 100;

/// What a client sent.
#[derive(Debug, PartialEq)]
pub enum Incoming {
    /// One request or notification.
    Single(Result<Request, Rejected>),
    /// Several, to be answered together.
    Batch(Vec<Result<Request, Rejected>>),
}

/// Reads a message: a request, or a batch of them (JSON-RPC 2.0 section 6).
pub fn parse(text: &[u8]) -> Incoming {
    let Ok(value) = serde_json::from_slice::<Value>(text) else {
        let mut scanner = IdScanner::default();
        scanner.feed(text);
        let error = RpcError::new(PARSE_ERROR, "Invalid JSON");
        return Incoming::Single(Err(Rejected { id: scanner.id(), error }));
    };
    match value {
        Value::Array(list) if list.is_empty() => {
            Incoming::Single(Err(reject(None, "a batch must not be empty")))
        }
        Value::Array(list) if list.len() > BATCH => {
            Incoming::Single(Err(reject(None, &format!("a batch may hold {BATCH} requests"))))
        }
        Value::Array(list) => Incoming::Batch(list.into_iter().map(request).collect()),
        value => Incoming::Single(request(value)),
    }
}

fn reject(id: Option<Value>, message: &str) -> Rejected {
    Rejected { id, error: RpcError::new(INVALID_REQUEST, format!("Invalid request: {message}")) }
}

fn request(value: Value) -> Result<Request, Rejected> {
    let Value::Object(mut object) = value else { return Err(reject(None, "it must be an object")) };
    let id = object.remove("id").filter(|id| !id.is_null());
    if id.as_ref().is_some_and(|id| !is_id(id)) {
        return Err(reject(None, "id must be a string or a whole number"));
    }
    if object.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(reject(id, "jsonrpc must be \"2.0\""));
    }
    let method = match object.remove("method") {
        Some(Value::String(method)) if !method.is_empty() && !method.starts_with("rpc.") => method,
        _ => return Err(reject(id, "method must be a name that does not begin with rpc.")),
    };
    let params = match object.remove("params") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(params)) => params,
        Some(Value::Array(list)) if list.is_empty() => Map::new(),
        Some(Value::Array(_)) => return Err(reject(id, "params must be given by name, as an object")),
        Some(_) => return Err(reject(id, "params must be an object")),
    };
    Ok(Request { id, method, params })
}

fn is_id(id: &Value) -> bool {
    id.is_string() || id.is_i64() || id.is_u64()
}

/// An answer for whoever sent the request. Without an id the key is left out, as clients expect.
pub fn answer(id: Option<&Value>, result: Result<Value, RpcError>) -> Value {
    let mut object = Map::new();
    object.insert("jsonrpc".to_owned(), Value::from("2.0"));
    if let Some(id) = id {
        object.insert("id".to_owned(), id.clone());
    }
    match result {
        Ok(result) => object.insert("result".to_owned(), result),
        Err(error) => {
            let mut body = json!({"code": error.code, "message": error.message});
            if let (Some(data), Value::Object(body)) = (error.data, &mut body) {
                body.insert("data".to_owned(), data);
            }
            object.insert("error".to_owned(), body)
        }
    };
    Value::Object(object)
}

/// The longest id that is looked for in a broken message, in bytes.
const SALVAGED_ID: usize = 128;

/// Finds the top-level `id` in a message that is broken or too long to be read as a whole.
///
/// Clients wait half a minute for an answer that carries no id, so an error is worth the search. It takes the
/// message in pieces and remembers no more than one short token.
#[derive(Debug, Default)]
pub struct IdScanner {
    depth: usize,
    in_string: bool,
    escaped: bool,
    token: Vec<u8>,
    after_id_key: bool,
    is_value: bool,
    id: Option<Value>,
}

impl IdScanner {
    /// Takes the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        for byte in piece {
            if self.id.is_none() {
                self.step(*byte);
            }
        }
    }

    /// The id, if it was found and is one.
    pub fn id(mut self) -> Option<Value> {
        // A number at the very end has no delimiter behind it.
        self.end_of_value();
        self.id
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            self.remember(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.remember(byte);
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.token.clear();
                self.is_value = false;
            }
            b'}' | b']' => {
                self.end_of_value();
                self.depth = self.depth.saturating_sub(1);
            }
            b':' => {
                self.after_id_key = self.depth == 1 && !self.is_value && self.token == b"\"id\"";
                self.is_value = true;
                self.token.clear();
            }
            b',' => self.end_of_value(),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.remember(byte),
        }
    }

    fn remember(&mut self, byte: u8) {
        if self.depth == 1 && self.token.len() < SALVAGED_ID {
            self.token.push(byte);
        }
    }

    fn end_of_value(&mut self) {
        if self.after_id_key && self.depth == 1 {
            let id: Option<Value> = serde_json::from_slice(&self.token).ok();
            self.id = id.filter(is_id);
        }
        self.after_id_key = false;
        self.is_value = false;
        self.token.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn single(text: &str) -> Result<Request, Rejected> {
        match parse(text.as_bytes()) {
            Incoming::Single(result) => result,
            Incoming::Batch(batch) => panic!("a batch: {batch:?}"),
        }
    }

    fn rejected(text: &str) -> (Option<Value>, i64) {
        let rejected = single(text).unwrap_err();
        (rejected.id, rejected.error.code)
    }

    #[test]
    fn requests_and_notifications_are_read() {
        let request = single(r#"{"jsonrpc":"2.0","id":"m-1","method":"tell","params":{"a":1}}"#).unwrap();
        assert_eq!((request.id, request.method.as_str()), (Some(json!("m-1")), "tell"));
        assert_eq!(request.params["a"], 1);
        // The C client sends heartbeat without params.
        let request = single(r#"{"jsonrpc":"2.0","id":7,"method":"heartbeat"}"#).unwrap();
        assert_eq!((request.id, request.params.len()), (Some(json!(7)), 0));
        assert_eq!(single(r#"{"jsonrpc":"2.0","method":"ping","id":null}"#).unwrap().id, None);
    }

    #[test]
    fn what_is_no_request_is_rejected_with_its_id() {
        let cases = [
            (r#"{"id":1,"method":"ping"}"#, Some(json!(1)), INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, Some(json!(1)), INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":"rpc.x"}"#, Some(json!(1)), INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":3}"#, Some(json!(1)), INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#, None, INVALID_REQUEST),
            (r#"[]"#, None, INVALID_REQUEST),
            ("7", None, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":"a","method":"x""#, Some(json!("a")), PARSE_ERROR),
            ("nonsense", None, PARSE_ERROR),
        ];
        for (text, id, code) in cases {
            assert_eq!(rejected(text), (id, code), "{text}");
        }
    }

    #[test]
    fn the_id_of_a_broken_message_is_the_top_level_one() {
        let salvage = |text: &str| {
            let mut scanner = IdScanner::default();
            scanner.feed(text.as_bytes());
            scanner.id()
        };
        assert_eq!(salvage(r#"{"params":{"id":9},"id": 3, "x"#), Some(json!(3)));
        assert_eq!(salvage(r#"{"a":"\"id\":5","id":"b\"c","#), Some(json!("b\"c")));
        assert_eq!(salvage(r#"{"method":"id","id":42"#), Some(json!(42)));
        assert_eq!(salvage(r#"{"x":[{"id":1}]"#), None);
        assert_eq!(salvage(r#"{"id":null,"#), None);
        assert_eq!(salvage(&format!(r#"{{"id":"{}","#, "x".repeat(500))), None);
    }

    #[test]
    fn answers_carry_the_id_or_no_id_key_at_all() {
        let text = |answer: Value| answer.to_string();
        assert_eq!(
            text(answer(Some(&json!(1)), Ok(json!({"a": 1})))),
            r#"{"id":1,"jsonrpc":"2.0","result":{"a":1}}"#
        );
        assert_eq!(
            text(answer(None, Err(RpcError::new(PARSE_ERROR, "Invalid JSON")))),
            r#"{"error":{"code":-32700,"message":"Invalid JSON"},"jsonrpc":"2.0"}"#
        );
        let error = RpcError { data: Some(json!({"field": "x"})), ..RpcError::new(INVALID_PARAMS, "no") };
        assert_eq!(
            text(answer(None, Err(error))),
            r#"{"error":{"code":-32602,"data":{"field":"x"},"message":"no"},"jsonrpc":"2.0"}"#
        );
    }

    #[test]
    fn a_batch_is_read_one_by_one() {
        let Incoming::Batch(batch) = parse(br#"[{"jsonrpc":"2.0","id":1,"method":"ping"},1]"#) else {
            panic!("not a batch")
        };
        assert_eq!(batch[0].as_ref().unwrap().method, "ping");
        assert_eq!(batch[1].as_ref().unwrap_err().error.code, INVALID_REQUEST);
        let many = serde_json::to_vec(&vec![1; BATCH + 1]).unwrap();
        assert!(matches!(parse(&many), Incoming::Single(Err(_))));
    }

    proptest! {
        #[test]
        fn the_id_is_found_in_any_split_of_a_truncated_request(
            id in "[ -~]{0,40}",
            text in "[ -~]{0,60}",
            split in 0usize..200,
        ) {
            let request = json!({"id": id, "jsonrpc": "2.0", "method": "tell", "params": {"id": 1, "message": text}});
            let encoded = request.to_string();
            let broken = &encoded.as_bytes()[..encoded.len() - 2];
            let split = split.min(broken.len());
            let mut scanner = IdScanner::default();
            scanner.feed(&broken[..split]);
            scanner.feed(&broken[split..]);
            prop_assert_eq!(scanner.id(), Some(json!(id)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }
    }
}
