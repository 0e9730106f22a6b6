//! The API on the wire, byte by byte, on both transports side by side. Only what differs each time is masked.

use std::fmt::Write as _;

use mudclient::Client;
use serde_json::{Value, json};

use super::stage::{Lines, TRANSPORTS, VARYING, line, record};
use super::support::{Gateway, router};

#[test]
fn each_method_is_answered_with_these_bytes() {
    for (name, request, answers) in &record().calls {
        insta::assert_snapshot!(
            format!("method {name}"),
            format!("-> {}\n{}", masked(request), both(answers))
        );
    }
}

#[test]
fn each_event_has_these_bytes() {
    for (name, lines) in &record().events {
        insta::assert_snapshot!(format!("event {name}"), both(lines));
    }
}

/// What a client without a key sends.
const STRANGER: [(&str, &str); 4] = [
    ("not authenticated", r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
    ("a wrong key", r#"{"jsonrpc":"2.0","id":1,"method":"authenticate","params":{"api_key":"wrong"}}"#),
    ("no key", r#"{"jsonrpc":"2.0","id":1,"method":"authenticate"}"#),
    ("invalid JSON of a stranger", r#"{"jsonrpc":"2.0","id":1,"#),
];

/// What a client whose key allows `info` sends.
const KNOWN: [(&str, &str); 12] = [
    ("an unknown method", r#"{"jsonrpc":"2.0","id":1,"method":"nope"}"#),
    ("missing parameters", r#"{"jsonrpc":"2.0","id":1,"method":"who","params":{"target_mud":" "}}"#),
    ("a parameter of a wrong type", r#"{"jsonrpc":"2.0","id":1,"method":"who","params":{"target_mud":7}}"#),
    ("permission denied", r#"{"jsonrpc":"2.0","id":1,"method":"tell","params":{}}"#),
    ("invalid JSON with an id", r#"{"jsonrpc":"2.0","id":"x","method":"ping","params":{"a":}}"#),
    ("invalid JSON without an id", "nonsense"),
    ("no version", r#"{"id":1,"method":"ping"}"#),
    ("parameters by position", r#"{"jsonrpc":"2.0","id":1,"method":"who","params":["Dusk"]}"#),
    ("an id that is none", r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#),
    ("an empty batch", "[]"),
    (
        "a batch",
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"ping"},{"jsonrpc":"2.0","id":2,"method":"nope"},7]"#,
    ),
    ("a notification", r#"{"jsonrpc":"2.0","method":"nope"}"#),
];

#[tokio::test]
async fn each_error_has_these_bytes() {
    let (router, directory) = (router().await, tempfile::tempdir().unwrap());
    let keys = "[{key: info, permissions: [info]}, {key: slow, permissions: [info], requests_per_minute: 1}]";
    let config = directory.path().join("config.yaml");
    std::fs::write(&config, format!("api: {{auth: {{api_keys: {keys}}}}}")).unwrap();
    let gateway = Gateway::start_with("Dawn", &router, &["--config", config.to_str().unwrap()]).await;
    for (name, text) in STRANGER {
        snapshot(name, text, &gateway, None).await;
    }
    for (name, text) in KNOWN {
        snapshot(name, text, &gateway, Some("info")).await;
    }
    let long =
        format!(r#"{{"jsonrpc":"2.0","method":"tell","params":"{}","id":"long"}}"#, "x".repeat(70_000));
    snapshot("too long", &long, &gateway, Some("info")).await;
    let slow = connect(&gateway.tcp().await, Some("slow")).await;
    for _ in 0..20 {
        ask(&slow, r#"{"jsonrpc":"2.0","id":0,"method":"mudlist"}"#).await;
    }
    snapshot("rate limited", r#"{"jsonrpc":"2.0","id":1,"method":"mudlist"}"#, &gateway, Some("slow")).await;
}

/// Sends a text on both transports, each time as a new client, and compares what comes back with the snapshot.
async fn snapshot(name: &str, text: &str, gateway: &Gateway, key: Option<&str>) {
    let mut answers = Lines::default();
    for (answer, url) in answers.iter_mut().zip([gateway.websocket().await, gateway.tcp().await]) {
        *answer = ask(&connect(&url, key).await, text).await;
    }
    let shown: String = text.chars().take(200).collect();
    insta::assert_snapshot!(format!("error {name}"), format!("-> {shown}\n{}", both(&answers)));
}

async fn connect(url: &str, key: Option<&str>) -> Client {
    let client = Client::connect(url).await.unwrap();
    if let Some(key) = key {
        let params = json!({"api_key": key});
        ask(
            &client,
            &json!({"jsonrpc": "2.0", "id": 0, "method": "authenticate", "params": params}).to_string(),
        )
        .await;
    }
    client
}

/// Sends a text and returns all that comes back up to the answer to a second request: nothing, for a notification.
async fn ask(client: &Client, text: &str) -> String {
    client.send_raw(text).await;
    client.send_raw(r#"{"jsonrpc":"2.0","id":"end","method":"authenticate"}"#).await;
    let mut all = String::new();
    loop {
        let next = line(client, "an answer", |line| line.get("method").is_none()).await;
        let message: Value = serde_json::from_str(&next).unwrap();
        if message["id"] == "end" {
            return all.trim_end().to_owned();
        }
        let _ = writeln!(all, "{next}");
    }
}

/// What came on each transport, once if it is the same.
fn both(lines: &Lines) -> String {
    let [websocket, tcp] = lines.each_ref().map(|line| masked(line));
    if websocket == tcp {
        return format!("both <- {websocket}");
    }
    format!("{} <- {websocket}\n{} <- {tcp}", TRANSPORTS[0], TRANSPORTS[1])
}

/// Masks times, ids and counts, each by its key: the bytes around them stay as they are.
fn masked(line: &str) -> String {
    let mut line = line.to_owned();
    for key in VARYING.into_iter().chain(["retry_after"]) {
        let key = format!("\"{key}\":");
        let mut parts = line.split(&key);
        let mut all = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find([',', '}']).unwrap_or(part.len());
            let mask: String = part[..end].chars().map(mask_digit).collect();
            let mask = if part.starts_with('"') { mask } else { "0".to_owned() };
            all += &format!("{key}{mask}{}", &part[end..]);
        }
        line = all;
    }
    line
}

fn mask_digit(digit: char) -> char {
    if digit.is_ascii_digit() || ('a'..='f').contains(&digit) { '0' } else { digit }
}
