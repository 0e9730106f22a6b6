//! The stage on which the examples of the API's description play: Dawn and Dusk on a strict router, Bob on Dusk. The
//! play is recorded once, line by line, on both transports; tests look at the record.

use std::sync::OnceLock;
use std::time::Duration;

use i3_router::{Config, Router, RunningRouter};
use mudclient::Client;
use serde_json::{Map, Value, json};

use super::support::{CHANNEL, Gateway, KEY, OFFERING, until};

/// The transports, in the order of every pair here.
pub const TRANSPORTS: [&str; 2] = ["WebSocket", "TCP"];

/// Fields whose values differ each time. Their types and forms do not.
pub const VARYING: [&str; 18] = [
    "timestamp",
    "session_id",
    "uptime",
    "message_id",
    "epoch",
    "seq",
    "mudlist_id",
    "chanlist_id",
    "session_count",
    "connections",
    "packets_sent",
    "packets_received",
    "request_id",
    "mail_id",
    "send_time",
    "reconnect_in",
    "tcp_port",
    "oob",
];

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

/// Who is there.
struct Stage {
    router: RunningRouter,
    dawn: Gateway,
    ann: Client,
    bob: Client,
    listeners: Wires,
}

async fn play() -> Record {
    let config = Config { channels: vec![CHANNEL.to_owned()], ..Config::strict() };
    let router = Router::start(config).await.unwrap();
    let dawn = Gateway::start("Dawn", &router, OFFERING).await;
    dawn.logged("SessionEstablished").await;
    let (_, document) = dawn.get("WebSocket and health", "/api/docs").await;
    let document: Value = serde_json::from_str(&document).unwrap();
    let listeners = Wires::on_the_channel(&dawn).await;

    let dusk = Gateway::start("Dusk", &router, OFFERING).await;
    dusk.logged("SessionEstablished").await;
    let bob = dusk.listener().await;
    let user = json!({"name": "Bob", "title": "the Bold", "level": 9, "idle": 60, "location": "Inn", "gender": "male"});
    bob.call("presence_sync", json!({"users": [user]})).await.unwrap();
    tokio::spawn(answer_requests(dusk.client().await));
    let ann = dawn.client().await;
    for client in [&ann, &bob] {
        // The router tells of a mud 1 to 2 s after it came.
        until(client, "mudlist", json!({}), |list| list["count"] == 2).await;
    }
    let stage = Stage { router, dawn, ann, bob, listeners };

    let mut events = Vec::new();
    for (event, provocation) in provocations() {
        stage.provoke(event, provocation).await;
        events.push((event.to_owned(), stage.listeners.event(event).await));
    }
    let mut calls = Vec::new();
    for (name, method) in entries(&document, "methods") {
        let (params, _) = example(name, method);
        calls.push(stage.call(name, params).await);
    }

    dusk.terminate().await;
    events.push(("mud_offline".to_owned(), stage.listeners.event("mud_offline").await));
    let (_, state) = dusk.ended().await;
    let _dusk = Gateway::start_in(state, "Dusk", &stage.router, &[]).await;
    events.push(("mud_online".to_owned(), stage.listeners.event("mud_online").await));
    stage.dawn.terminate().await;
    events.push(("shutdown_warning".to_owned(), stage.listeners.event("shutdown_warning").await));
    Record { document, calls, events }
}

/// A client of Dusk that answers what other muds ask for, as the examples have it.
async fn answer_requests(clerk: Client) {
    let is_request =
        |event: &Value| event["params"].get("request_id").is_some() && event["params"].get("mud").is_none();
    while let Ok(event) = clerk.wait_event(is_request, Duration::from_secs(120)).await {
        let (method, mut answer) = match event["method"].as_str().unwrap() {
            "mail_received" => ("mail_ack", json!({"failed": ["zoe"]})),
            "file_list_requested" => (
                "file_reply",
                json!({"outcome": "ok", "files": [{"name": "inn.txt", "size": 7, "time": 1_795_418_241}]}),
            ),
            "file_get_requested" => ("file_reply", json!({"outcome": "ok", "contents": "The inn"})),
            "file_put_requested" => ("file_reply", json!({"outcome": "ok"})),
            "news_groups_requested" => {
                ("news_reply", json!({"groups": [{"group": "code", "first_id": 1, "last_id": 12}]}))
            }
            "news_read_requested" => (
                "news_reply",
                json!({"article": {"posting_time": 1_795_418_241, "thread": "", "subject": "Hello", "poster": "bob",
                    "contents": "How are you?"}}),
            ),
            "news_post_requested" => ("news_reply", json!({"id": 13})),
            other => panic!("nobody answers {other}"),
        };
        answer["request_id"] = event["params"]["request_id"].clone();
        clerk.call(method, answer).await.unwrap();
    }
}

/// What brings an event about.
enum Provocation {
    /// A client of Dawn calls a method.
    Ann(&'static str, Value),
    /// A client of Dusk does.
    Bob(&'static str, Value),
    /// The router sends Dawn packets that this one never sends of itself.
    Router(&'static [&'static str]),
}

/// A channel of Dawn's whose messages it filters, and a message on it.
const FILTERED: &[&str] = &[
    r#"({"chanlist-reply",5,"*test",0,"Dawn",0,9,(["dawn_news":({"Dawn",2,}),]),})"#,
    r#"({"chan-filter-req",5,"*test",0,"Dawn",0,"dawn_news",({"channel-m",5,"Dusk","bob",0,0,"dawn_news","Bob","Hello, all!",}),})"#,
];

/// What brings about each event that is not of a mud's coming and going.
fn provocations() -> Vec<(&'static str, Provocation)> {
    use Provocation::{Ann, Bob, Router};
    let to_ann = |field: &str, text: &str| json!({"target_mud": "Dawn", "target_user": "ann", "from_user": "bob", field: text});
    let to_bob = || json!({"target_mud": "Dusk", "target_user": "bob", "from_user": "ann"});
    let emote = json!({"channel": CHANNEL, "from_user": "bob", "visname": "Bob", "emote": "$N waves to $O.",
        "target_mud": "Dawn", "target_user": "ann", "target_visname": "Ann", "message_target": "$N waves to you."});
    let letter = |mud: &str, user: &str, from: &str| json!({"to": {mud: [user]}, "subject": "Hello", "message": "How are you?", "from_user": from});
    let file = |mud: &str, from: &str| json!({"target_mud": mud, "path": "maps/inn.txt", "from_user": from});
    let article = |mud: &str, from: &str| json!({"target_mud": mud, "group": "code", "subject": "Hello", "contents": "How are you?", "from_user": from});
    let put =
        json!({"target_mud": "Dawn", "path": "maps/inn.txt", "contents": "The inn", "from_user": "bob"});
    let two = json!({"to": {"Dusk": ["bob", "zoe"]}, "subject": "Hello", "message": "How are you?", "from_user": "ann"});
    vec![
        ("channel_message", Bob("channel_send", hello())),
        ("channel_emote", Bob("channel_emote", emote)),
        ("tell_received", Bob("tell", to_ann("message", "Hello, Ann!"))),
        ("emoteto_received", Bob("emoteto", to_ann("emote", "$N waves to you."))),
        (
            "beep_received",
            Bob("beep", json!({"target_mud": "Dawn", "target_user": "ann", "from_user": "bob"})),
        ),
        ("who_reply", Ann("who", json!({"target_mud": "Dusk", "from_user": "ann"}))),
        ("finger_reply", Ann("finger", to_bob())),
        ("locate_reply", Ann("locate", json!({"target_user": "bob", "from_user": "ann"}))),
        (
            "channel_who_reply",
            Ann("channel_who", json!({"target_mud": "Dusk", "channel": CHANNEL, "from_user": "ann"})),
        ),
        ("user_info_reply", Ann("user_info", to_bob())),
        (
            "channel_admins_reply",
            Router(&[r#"({"chan-adminlist-reply",5,"*test",0,"Dawn","ann","dawn_talk",({"SpamMUD",}),})"#]),
        ),
        ("channel_filter_requested", Router(FILTERED)),
        ("maintenance_scheduled", Router(&[r#"({"shutdown",5,"*test",0,"Dawn",0,60,})"#])),
        ("mail_received", Bob("mail_send", letter("Dawn", "ann", "bob"))),
        ("mail_result", Ann("mail_send", two)),
        (
            "file_list_requested",
            Bob("file_list", json!({"target_mud": "Dawn", "directory": "maps", "from_user": "bob"})),
        ),
        ("file_get_requested", Bob("file_get", file("Dawn", "bob"))),
        ("file_put_requested", Bob("file_put", put)),
        ("file_result", Ann("file_get", file("Dusk", "ann"))),
        ("news_groups_requested", Bob("news_groups", json!({"target_mud": "Dawn"}))),
        (
            "news_read_requested",
            Bob("news_read", json!({"target_mud": "Dawn", "group": "code", "id": 12, "from_user": "bob"})),
        ),
        ("news_post_requested", Bob("news_post", article("Dawn", "bob"))),
        ("news_result", Ann("news_post", article("Dusk", "ann"))),
        (
            "error_occurred",
            Ann(
                "tell",
                json!({"target_mud": "Nowhere", "target_user": "x", "message": "hi", "from_user": "ann"}),
            ),
        ),
        ("gateway_reconnected", Ann("reconnect", json!({}))),
    ]
}

/// What Bob says on the channel.
fn hello() -> Value {
    json!({"channel": CHANNEL, "message": "Hello, all!", "from_user": "bob", "visname": "Bob"})
}

impl Stage {
    async fn provoke(&self, event: &str, provocation: Provocation) {
        let called = match provocation {
            Provocation::Ann(method, params) => self.ann.call(method, params).await,
            Provocation::Bob(method, params) => self.bob.call(method, params).await,
            Provocation::Router(packets) => {
                for packet in packets {
                    assert!(self.router.send_packet("Dawn", *packet).await);
                }
                return;
            }
        };
        called.unwrap_or_else(|error| panic!("{event}: {error}"));
    }

    /// Calls a method on both transports, each time by a new session on the channel, on which Bob was the last to
    /// speak.
    async fn call(&self, name: &str, mut params: Value) -> (String, String, Lines) {
        if name == "authenticate" {
            params["api_key"] = json!(KEY);
        }
        let shown = request(name, &params);
        let mut answers = Lines::default();
        for (answer, url) in answers.iter_mut().zip([self.dawn.websocket().await, self.dawn.tcp().await]) {
            let wire = Client::connect(&url).await.unwrap();
            if name != "authenticate" {
                authenticate(&wire).await;
                self.bob.call("channel_send", hello()).await.unwrap();
                line(&wire, "Bob's hello", |line| {
                    line["method"] == "channel_message" && line["params"]["from_mud"] == "Dusk"
                })
                .await;
            }
            self.prepare(name, &wire, &mut params).await;
            // In a busy second it is queued: the example is of a quiet one.
            for _ in 0..5 {
                wire.send_raw(&request(name, &params)).await;
                *answer = line(&wire, name, |line| line["id"] == 1).await;
                if !answer.contains("\"status\":\"queued\"") {
                    break;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            if name == "reconnect" {
                self.listeners.event("gateway_reconnected").await;
            }
        }
        (name.to_owned(), shown, answers)
    }

    /// Brings about what a method's example needs: a channel that is there or not, a request that can be answered.
    async fn prepare(&self, name: &str, wire: &Client, params: &mut Value) {
        let channel = json!({"channel": "dawn_talk", "wait": true});
        let (event, provocation) = match name {
            // That it is as wanted already is fine.
            "channel_create" => return drop(self.ann.call("channel_remove", channel).await),
            "channel_admin" | "channel_remove" => {
                return drop(self.ann.call("channel_create", channel).await);
            }
            "channel_filter" => ("channel_filter_requested", Provocation::Router(FILTERED)),
            "mail_ack" => {
                let letter =
                    json!({"to": {"Dawn": ["ann", "zoe"]}, "message": "How are you?", "from_user": "bob"});
                ("mail_received", Provocation::Bob("mail_send", letter))
            }
            "file_reply" => {
                let file = json!({"target_mud": "Dawn", "path": "maps/inn.txt", "from_user": "bob"});
                ("file_get_requested", Provocation::Bob("file_get", file))
            }
            "news_reply" => {
                let article =
                    json!({"target_mud": "Dawn", "group": "code", "contents": "Hi", "from_user": "bob"});
                ("news_post_requested", Provocation::Bob("news_post", article))
            }
            _ => return,
        };
        self.provoke(event, provocation).await;
        let request = line(wire, event, |line| line["method"] == event).await;
        let request: Value = serde_json::from_str(&request).unwrap();
        params["request_id"] = request["params"]["request_id"].clone();
    }
}

fn request(method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
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
