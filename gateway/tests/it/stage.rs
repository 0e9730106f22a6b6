//! The stage on which the examples of the API's description play: Dawn and Dusk on a strict router, Bob on Dusk. The
//! play is recorded once, line by line, on both transports; tests look at the record.

use std::sync::OnceLock;
use std::time::Duration;

use i3_router::{Config, Router};
use mudclient::Client;
use serde_json::{Map, Value, json};

use super::support::{CHANNEL, Gateway, KEY};

/// The transports, in the order of every pair here.
pub const TRANSPORTS: [&str; 2] = ["WebSocket", "TCP"];

/// The strict router tells of muds that went after 12 s.
const WITHIN: Duration = Duration::from_secs(30);

/// A line for each transport.
pub type Lines = [String; 2];

/// All that was said.
pub struct Record {
    /// What `/api/docs` of the live gateway says.
    pub document: Value,
    /// Each method's example, called: its name, the request and the answers.
    pub calls: Vec<(String, String, Lines)>,
    /// Each event: its name and the lines.
    pub events: Vec<(String, Lines)>,
}

/// The record. The first test that asks makes it.
pub fn record() -> &'static Record {
    static RECORD: OnceLock<Record> = OnceLock::new();
    RECORD.get_or_init(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { tokio::spawn(play()).await.unwrap() })
    })
}

/// The document's entries of a kind.
pub fn entries<'a>(document: &'a Value, kind: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    document[kind].as_array().unwrap().iter().map(|entry| (entry["name"].as_str().unwrap(), entry))
}

/// A method's example: the parameters and the result.
pub fn example<'a>(name: &str, method: &'a Value) -> (Value, &'a Value) {
    let example = method["examples"].get(0).unwrap_or_else(|| panic!("{name} has no example to replay"));
    let params: Map<_, _> = example["params"]
        .as_array()
        .unwrap()
        .iter()
        .map(|param| (param["name"].as_str().unwrap().to_owned(), param["value"].clone()))
        .collect();
    (Value::Object(params), &example["result"]["value"])
}

async fn play() -> Record {
    let config = Config { channels: vec![CHANNEL.to_owned()], ..Config::strict() };
    let router = Router::start(config).await.unwrap();
    let dawn = Gateway::start("Dawn", &router, &[("API_REQUESTS_PER_MINUTE", "100000")]).await;
    dawn.logged("SessionEstablished").await;
    let (_, document) = dawn.get("WebSocket and health", "/api/docs").await;
    let document: Value = serde_json::from_str(&document).unwrap();
    let listeners = Wires::on_the_channel(&dawn).await;

    let dusk = Gateway::start("Dusk", &router, &[("API_REQUESTS_PER_MINUTE", "100000")]).await;
    dusk.logged("SessionEstablished").await;
    let bob = dusk.listener().await;
    let user = json!({"name": "Bob", "title": "the Bold", "level": 9, "idle": 60, "location": "Inn"});
    bob.call("presence_sync", json!({"users": [user]})).await.unwrap();

    let mut events = Vec::new();
    let ann = dawn.client().await;
    // The router tells Dawn of Dusk 1 to 2 s after it came.
    while ann.call("mudlist", json!({})).await.unwrap()["count"] != 2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (event, actor, method, params) in provocations() {
        let client = if actor == "bob" { &bob } else { &ann };
        client.call(method, params).await.unwrap_or_else(|error| panic!("{event}: {error}"));
        events.push((event.to_owned(), listeners.event(event).await));
    }
    drop(ann);

    let mut calls = Vec::new();
    for (name, method) in entries(&document, "methods") {
        let (params, _) = example(name, method);
        calls.push(call(&dawn, &bob, &listeners, name, params).await);
    }

    dusk.terminate().await;
    events.push(("mud_offline".to_owned(), listeners.event("mud_offline").await));
    let (_, state) = dusk.ended().await;
    let _dusk = Gateway::start_in(state, "Dusk", &router, &[]).await;
    events.push(("mud_online".to_owned(), listeners.event("mud_online").await));
    Record { document, calls, events }
}

/// What brings about each event: the event, who does what where.
fn provocations() -> [(&'static str, &'static str, &'static str, Value); 10] {
    let gossip = |field: &str, text: &str| json!({"channel": CHANNEL, "from_user": "bob", "visname": "Bob", field: text});
    let to_ann = |field: &str, text: &str| json!({"target_mud": "Dawn", "target_user": "ann", "from_user": "bob", field: text});
    let who = json!({"target_mud": "Dusk", "from_user": "ann"});
    let finger = json!({"target_mud": "Dusk", "target_user": "bob", "from_user": "ann"});
    let locate = json!({"target_user": "bob", "from_user": "ann"});
    let channel_who = json!({"target_mud": "Dusk", "channel": CHANNEL, "from_user": "ann"});
    let nowhere = json!({"target_mud": "Nowhere", "target_user": "x", "message": "hi", "from_user": "ann"});
    [
        ("channel_message", "bob", "channel_send", gossip("message", "Hello, all!")),
        ("channel_emote", "bob", "channel_emote", gossip("emote", "$N waves.")),
        ("tell_received", "bob", "tell", to_ann("message", "Hello, Ann!")),
        ("emoteto_received", "bob", "emoteto", to_ann("emote", "$N waves to you.")),
        ("who_reply", "ann", "who", who),
        ("finger_reply", "ann", "finger", finger),
        ("locate_reply", "ann", "locate", locate),
        ("channel_who_reply", "ann", "channel_who", channel_who),
        ("error_occurred", "ann", "tell", nowhere),
        ("gateway_reconnected", "ann", "reconnect", json!({})),
    ]
}

/// Calls a method on both transports, each time by a new session on the channel, on which Bob was the last to speak.
async fn call(
    dawn: &Gateway,
    bob: &Client,
    listeners: &Wires,
    name: &str,
    mut params: Value,
) -> (String, String, Lines) {
    if name == "authenticate" {
        params["api_key"] = json!(KEY);
    }
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": name, "params": params}).to_string();
    let mut answers = Lines::default();
    for (answer, url) in answers.iter_mut().zip([dawn.websocket().await, dawn.tcp().await]) {
        let wire = Client::connect(&url).await.unwrap();
        if name != "authenticate" {
            authenticate(&wire).await;
            let hello =
                json!({"channel": CHANNEL, "message": "Hello, all!", "from_user": "bob", "visname": "Bob"});
            bob.call("channel_send", hello).await.unwrap();
            line(&wire, "Bob's hello", |line| {
                line["method"] == "channel_message" && line["params"]["from_mud"] == "Dusk"
            })
            .await;
        }
        // In a busy second it is queued: the example is of a quiet one.
        for _ in 0..5 {
            wire.send_raw(&request).await;
            *answer = line(&wire, name, |line| line["id"] == 1).await;
            if !answer.contains("\"status\":\"queued\"") {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        if name == "reconnect" {
            listeners.event("gateway_reconnected").await;
        }
    }
    (name.to_owned(), request, answers)
}

/// Authenticates and joins the channel.
async fn authenticate(wire: &Client) {
    let requests = [
        ("key", "authenticate", json!({"api_key": KEY})),
        ("join", "channel_join", json!({"channel": CHANNEL})),
    ];
    for (id, method, params) in requests {
        wire.send_raw(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string())
            .await;
        let answer = line(wire, method, |line| line["id"] == id).await;
        assert!(answer.contains("\"result\""), "{answer}");
    }
}

/// The next line that is as wanted, as it came.
pub async fn line(wire: &Client, what: &str, wanted: impl Fn(&Value) -> bool) -> String {
    loop {
        let line = wire.next_raw(WITHIN).await.unwrap_or_else(|error| panic!("{what} did not come: {error}"));
        if wanted(&serde_json::from_str(&line).unwrap()) {
            return line;
        }
    }
}

/// A session on each transport that only listens.
struct Wires([Client; 2]);

impl Wires {
    async fn on_the_channel(gateway: &Gateway) -> Self {
        let wires = [gateway.websocket().await, gateway.tcp().await];
        let [websocket, tcp] = wires;
        let wires = [Client::connect(&websocket).await.unwrap(), Client::connect(&tcp).await.unwrap()];
        for wire in &wires {
            authenticate(wire).await;
        }
        Self(wires)
    }

    /// The next event of a kind.
    async fn event(&self, name: &str) -> Lines {
        let mut lines = Lines::default();
        for (wire, got) in self.0.iter().zip(&mut lines) {
            *got = line(wire, name, |line| line["method"] == name).await;
        }
        lines
    }
}
