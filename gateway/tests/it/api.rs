//! The API as clients see it, on both transports.

use std::time::Duration;

use mudclient::{Client, Options};
use serde_json::{Value, json};

use super::support::{Gateway, KEY, WITHIN, router};

async fn clients(gateway: &Gateway) -> [Client; 2] {
    [
        Client::connect(&gateway.websocket().await).await.unwrap(),
        Client::connect(&gateway.tcp().await).await.unwrap(),
    ]
}

/// Sends a text and returns the next message that is no event.
async fn answer(client: &Client, text: &str) -> Value {
    client.send_raw(text).await;
    loop {
        let message: Value = serde_json::from_str(&client.next_raw(WITHIN).await.unwrap()).unwrap();
        if message.get("result").is_some() || message.get("error").is_some() {
            return message;
        }
    }
}

/// Authenticates by hand, so that the answer is not left among the raw messages.
async fn authenticate(client: &Client) {
    let request =
        json!({"jsonrpc": "2.0", "id": "key", "method": "authenticate", "params": {"api_key": KEY}});
    assert_eq!(answer(client, &request.to_string()).await["result"]["status"], "authenticated");
}

#[tokio::test]
async fn bad_input_is_answered_with_the_requests_id_and_the_connection_lives_on() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    let long =
        format!(r#"{{"jsonrpc":"2.0","method":"tell","params":"{}","id":"long"}}"#, "x".repeat(70_000));
    let before = [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, json!(1), [-32600, -32000]),
        (
            r#"{"jsonrpc":"2.0","id":2,"method":"authenticate","params":{"api_key":"no"}}"#,
            json!(2),
            [-32603, -32000],
        ),
        (r#"{"jsonrpc":"2.0","id":3,"method":"authenticate"}"#, json!(3), [-32602; 2]),
    ];
    let after = [
        (r#"{"jsonrpc":"2.0","id":"a","method":"nope"}"#, json!("a"), [-32601; 2]),
        (
            r#"{"jsonrpc":"2.0","id":"b","method":"tell","params":{"target_mud":"X"}}"#,
            json!("b"),
            [-32602; 2],
        ),
        (
            r#"{"jsonrpc":"2.0","id":"c","method":"channel_join","params":{"channel":7}}"#,
            json!("c"),
            [-32602; 2],
        ),
        (r#"{"jsonrpc":"2.0","id":"d","method":"ping","params":{"x":}"#, json!("d"), [-32700; 2]),
        (r#"{"id":"e","method":"ping"}"#, json!("e"), [-32600; 2]),
        (r#"[]"#, Value::Null, [-32600; 2]),
        (
            r#"{"jsonrpc":"2.0","id":"f","method":"session_options","params":{"colour":"pink"}}"#,
            json!("f"),
            [-32602; 2],
        ),
        (long.as_str(), json!("long"), [-32600; 2]),
    ];
    for (transport, client) in clients(&gateway).await.iter().enumerate() {
        let check = async |text: &str, id: &Value, codes: [i64; 2]| {
            let message = answer(client, text).await;
            let shown: String = text.chars().take(80).collect();
            assert_eq!(message["id"], *id, "{shown}");
            assert_eq!(message["error"]["code"], codes[transport], "{shown}: {message}");
        };
        for (text, id, codes) in &before {
            check(text, id, *codes).await;
        }
        authenticate(client).await;
        for (text, id, codes) in &after {
            check(text, id, *codes).await;
        }
        let missing =
            answer(client, r#"{"jsonrpc":"2.0","id":9,"method":"tell","params":{"target_mud":"X"}}"#).await;
        assert_eq!(missing["error"]["message"], "Missing required parameters: target_user, message");
        assert_eq!(client.call("ping", json!({})).await.unwrap()["pong"], true);
    }
}

#[tokio::test]
async fn a_notification_is_obeyed_and_not_answered() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    for client in clients(&gateway).await {
        authenticate(&client).await;
        client.send_raw(r#"{"jsonrpc":"2.0","method":"channel_join","params":{"channel":"quiet"}}"#).await;
        let message = answer(&client, r#"{"jsonrpc":"2.0","id":1,"method":"channel_list"}"#).await;
        assert_eq!(message["id"], 1, "nothing came before it");
        assert_eq!(message["result"]["subscribed_channels"], json!(["quiet"]));
    }
}

#[tokio::test]
async fn results_have_the_shapes_that_clients_know() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[("MUD_TYPE", "Diku")]).await;
    gateway.logged("SessionEstablished").await;
    let client = Client::connect(&gateway.tcp().await).await.unwrap();
    let authenticated = client.authenticate(KEY).await.unwrap();
    assert_eq!(authenticated["status"], "authenticated");
    assert_eq!(authenticated["mud_name"], "Dawn");
    let session = authenticated["session_id"].as_str().unwrap();
    assert!(authenticated["position"]["epoch"].is_u64());
    let again = client.authenticate(KEY).await.unwrap();
    assert_eq!(again, json!({"status": "success", "mud_name": "Dawn", "session_id": session}));

    let joined = client.call("channel_join", json!({"channel": "imud_gossip"})).await.unwrap();
    assert_eq!(joined, json!({"status": "joined", "channel": "imud_gossip"}));
    let sent = client.call("channel_send", json!({"channel": "imud_gossip", "message": "hi"})).await.unwrap();
    assert_eq!(sent["status"], "sent");
    assert!(sent["message_id"].as_str().unwrap().starts_with("channel_imud_gossip_"));
    let event = client.wait_event(super::support::is("channel_message"), WITHIN).await.unwrap();
    assert!(event.get("id").is_none());
    assert_eq!(event["params"]["from_mud"], "Dawn");
    assert_eq!(event["params"]["from_user"], "Someone");

    let channels = client.call("channel_list", json!({"filter": {"owner": router.name()}})).await.unwrap();
    assert_eq!(channels["count"], 2);
    assert_eq!(channels["channels"][1]["name"], "imud_gossip");
    assert_eq!(channels["subscribed_channels"], json!(["imud_gossip"]));
    assert_eq!(client.call("channel_list", json!({"filter": {"owner": "x"}})).await.unwrap()["count"], 0);

    let muds =
        client.call("mudlist", json!({"filter": {"status": "up", "has_service": "tell"}})).await.unwrap();
    let own = &muds["muds"][0];
    assert_eq!((own["name"].as_str(), own["mud_type"].as_str()), (Some("Dawn"), Some("Diku")));
    assert_eq!(own["services"]["tell"], 1);
    assert_eq!(client.call("mudlist", json!({"filter": {"has_service": "mail"}})).await.unwrap()["count"], 0);

    let status = client.call("status", json!({})).await.unwrap();
    assert_eq!((&status["connected"], &status["router"]), (&json!(true), &json!("*test")));
    assert_eq!(status["session_id"], session);
    assert_eq!(client.call("heartbeat", json!({})).await.unwrap()["status"], "ok");
    let left = client.call("channel_leave", json!({"channel": "imud_gossip"})).await.unwrap();
    assert_eq!(left, json!({"status": "left", "channel": "imud_gossip"}));
}

#[tokio::test]
async fn a_key_in_the_handshake_counts_on_both_paths_and_a_wrong_one_is_refused() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    let address = gateway.address("WebSocket and health").await;
    for path in ["/", "/ws"] {
        let url = format!("ws://{address}{path}");
        let options = |key: &str| Options { api_key: Some(key.to_owned()), ..Options::default() };
        let client = Client::connect_with(&url, options(KEY)).await.unwrap();
        assert_eq!(client.call("ping", json!({})).await.unwrap()["pong"], true);
        let refused = Client::connect_with(&url, options("wrong")).await.err().unwrap();
        assert!(refused.to_string().contains("401"), "{refused}");
    }
}

#[tokio::test]
async fn a_client_that_shows_no_key_in_time_is_closed() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    let [websocket, tcp] = clients(&gateway).await;
    let within = Duration::from_secs(15);
    assert!(websocket.closed(within).await.unwrap().to_string().contains("1008"));
    tcp.closed(within).await.unwrap();
}

/// A gateway with two keys in files of their own.
async fn with_key_files(
    directory: &std::path::Path,
    router: &i3_router::RunningRouter,
    first: &str,
    second: &str,
) -> Gateway {
    std::fs::write(directory.join("first"), "first key").unwrap();
    std::fs::write(directory.join("second"), "second key").unwrap();
    let entry = |file: &str, rest: &str| format!("{{file: {}, {rest}}}", directory.join(file).display());
    let config =
        format!("api: {{auth: {{key_files: [{}, {}]}}}}", entry("first", first), entry("second", second));
    let path = directory.join("config.yaml");
    std::fs::write(&path, config).unwrap();
    Gateway::start_with("Dawn", router, &["--config", path.to_str().unwrap()]).await
}

#[tokio::test]
async fn a_key_allows_what_it_is_said_to_and_no_more() {
    let (router, directory) = (router().await, tempfile::tempdir().unwrap());
    let slow = "permissions: [info], requests_per_minute: 1";
    let gateway = with_key_files(directory.path(), &router, "permissions: [channels]", slow).await;
    for client in clients(&gateway).await {
        client.authenticate("first key").await.unwrap();
        let params = json!({"target_mud": "X", "target_user": "x", "message": "hi"});
        let denied = client.call("tell", params).await.unwrap_err();
        assert_eq!(
            (denied.code(), &denied.rpc().unwrap().data),
            (Some(-32002), &Some(json!({"permission": "tell"})))
        );
        assert_eq!(client.call("reconnect", json!({})).await.unwrap_err().code(), Some(-32002));
        client.call("channel_join", json!({"channel": "imud_gossip"})).await.unwrap();
    }
    // Twenty at once, over all connections of the key.
    let [websocket, tcp] = clients(&gateway).await;
    websocket.authenticate("second key").await.unwrap();
    tcp.authenticate("second key").await.unwrap();
    for _ in 0..10 {
        websocket.call("mudlist", json!({})).await.unwrap();
        tcp.call("mudlist", json!({})).await.unwrap();
    }
    let limited = websocket.call("mudlist", json!({})).await.unwrap_err();
    assert_eq!(limited.code(), Some(-32600));
    let limited = tcp.call("mudlist", json!({})).await.unwrap_err();
    assert_eq!(limited.code(), Some(-32001));
    assert!(limited.rpc().unwrap().data.as_ref().unwrap()["retry_after"].as_f64().unwrap() > 1.0);
    tcp.call("ping", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_replaced_ends_its_sessions_and_no_others() {
    let (router, directory) = (router().await, tempfile::tempdir().unwrap());
    let gateway = with_key_files(directory.path(), &router, "permissions: ['*']", "permissions: ['*']").await;
    let [first, second] = clients(&gateway).await;
    first.authenticate("first key").await.unwrap();
    second.authenticate("second key").await.unwrap();
    std::fs::write(directory.path().join("first"), "a new key").unwrap();
    let closed = first.closed(WITHIN).await.unwrap().to_string();
    assert!(closed.contains("4101"), "{closed}");
    second.call("ping", json!({})).await.unwrap();
    let [client, other] = clients(&gateway).await;
    client.authenticate("a new key").await.unwrap();
    assert!(other.authenticate("first key").await.is_err());
}

#[tokio::test]
async fn guessing_keys_is_limited() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    let client = Client::connect(&gateway.tcp().await).await.unwrap();
    for index in 0..10 {
        let refused = client.authenticate(&format!("guess {index}")).await.unwrap_err();
        assert!(refused.to_string().contains("Invalid API key"), "{refused}");
    }
    let blocked = client.authenticate(KEY).await.unwrap_err();
    assert!(blocked.to_string().contains("Too many failed attempts"), "{blocked}");
}

#[tokio::test]
async fn a_client_that_comes_back_gets_what_it_missed() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    gateway.logged("SessionEstablished").await;
    let (first, other) = (gateway.listener().await, gateway.listener().await);
    let session = first.call("status", json!({})).await.unwrap()["session_id"].clone();
    super::support::say(&other, &["heard"]).await;
    let heard = first.wait_event(super::support::is("channel_message"), WITHIN).await.unwrap();
    drop(first);
    super::support::say(&other, &["missed", "missed too"]).await;
    super::support::hear(&other, &["heard", "missed", "missed too"]).await;

    let second = Client::connect(&gateway.tcp().await).await.unwrap();
    let (epoch, seq) = (&heard["params"]["epoch"], &heard["params"]["seq"]);
    let resume = json!({"session_id": session, "epoch": epoch, "seq": seq});
    let answer = second.call("authenticate", json!({"api_key": KEY, "resume": resume})).await.unwrap();
    assert_eq!(answer["recovered"], true);
    super::support::say(&other, &["live again"]).await;
    super::support::hear(&second, &["missed", "missed too", "live again"]).await;

    let third = Client::connect(&gateway.websocket().await).await.unwrap();
    let resume = json!({"session_id": session, "epoch": 1, "seq": 0});
    let answer = third.call("authenticate", json!({"api_key": KEY, "resume": resume})).await.unwrap();
    assert_eq!(answer["recovered"], false);
    let wrong = Client::connect(&gateway.tcp().await).await.unwrap();
    let refused = wrong.call("authenticate", json!({"api_key": KEY, "resume": {}})).await.unwrap_err();
    assert_eq!(refused.code(), Some(-32602));
}

#[tokio::test]
async fn a_session_chooses_its_events() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    gateway.logged("SessionEstablished").await;
    let (chooser, other) = (gateway.listener().await, gateway.listener().await);
    let options = json!({"exclude_self": true, "events": {"deny": ["gateway_reconnected"]}});
    let set = chooser.call("session_options", options).await.unwrap();
    assert_eq!((&set["options"]["exclude_self"], &set["options"]["colour"]), (&json!(true), &json!("raw")));
    super::support::say(&other, &["our own"]).await;
    super::support::hear(&other, &["our own"]).await;
    let params = json!({"target_mud": "Dawn", "target_user": "x", "message": "first to come"});
    other.call("tell", params).await.unwrap();
    let event = chooser.next_event(WITHIN).await.unwrap();
    assert_eq!(event["params"]["message"], "first to come");
}

#[tokio::test]
async fn history_presence_and_limits_of_length() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[("MAX_MESSAGE_LENGTH", "10")]).await;
    gateway.logged("SessionEstablished").await;
    let client = gateway.listener().await;
    super::support::say(&client, &["one", "two", "three"]).await;
    super::support::hear(&client, &["one", "two", "three"]).await;
    let history =
        client.call("channel_history", json!({"channel": "imud_gossip", "limit": 2})).await.unwrap();
    assert_eq!((&history["count"], &history["messages"][1]["message"]), (&json!(2), &json!("three")));
    assert_eq!(history["messages"][0]["type"], "message");
    let after = &history["messages"][0]["timestamp"];
    let params = json!({"channel": "imud_gossip", "after": after});
    assert_eq!(client.call("channel_history", params).await.unwrap()["count"], 1);

    let users = json!({"users": [{"name": "Ann", "level": 3, "idle": 5}]});
    let synchronized = client.call("presence_sync", users).await.unwrap();
    assert_eq!(synchronized, json!({"status": "synchronized", "mud_name": "Dawn", "count": 1}));
    let refused = client.call("presence_sync", json!({"users": [{"name": ""}]})).await.unwrap_err();
    assert!(refused.to_string().contains("users[0].name must be a name"), "{refused}");

    let long = json!({"channel": "imud_gossip", "message": "eleven char"});
    let refused = client.call("channel_send", long).await.unwrap_err();
    assert_eq!(
        refused.rpc().unwrap().data,
        Some(json!({"field": "message", "expected": "at most 10 characters"}))
    );
}

#[tokio::test]
async fn reconnect_opens_a_new_session_with_the_router() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    gateway.logged("SessionEstablished").await;
    let client = gateway.client().await;
    let mark = router.mark();
    assert_eq!(client.call("reconnect", json!({})).await.unwrap(), json!({"status": "reconnecting"}));
    super::support::registered_since(&router, mark, "Dawn").await;
    let ready = async { while gateway.get("metrics", "/health/ready").await.0 != 200 {} };
    tokio::time::timeout(WITHIN, ready).await.unwrap();
    let stats = client.call("stats", json!({})).await.unwrap();
    assert_eq!((&stats["gateway_connected"], &stats["online_muds"]), (&json!(true), &json!(1)));
    assert!(stats["packets_sent"].as_u64().unwrap() >= 2);
}

#[tokio::test]
async fn the_api_describes_itself() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    let (_, info) = gateway.get("WebSocket and health", "/api/info").await;
    let info: Value = serde_json::from_str(&info).unwrap();
    let (status, document) =
        gateway.get("WebSocket and health", info["documentation"].as_str().unwrap()).await;
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["openrpc"], "1.3.2");
}

#[tokio::test]
async fn a_channel_name_that_no_channel_has_is_refused() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    let client = gateway.client().await;
    let (channel, text) = ("x".repeat(129), json!("hi"));
    for method in ["channel_join", "channel_send", "channel_emote"] {
        let params = json!({"channel": channel, "message": text});
        let error = client.call(method, params).await.unwrap_err();
        let error = error.rpc().unwrap();
        assert_eq!(
            (error.code, &error.data.as_ref().unwrap()["field"]),
            (-32602, &json!("channel")),
            "{method}"
        );
    }
    let params = json!({"channel": "ü".repeat(128)});
    assert_eq!(client.call("channel_join", params).await.unwrap()["status"], "joined");
}

#[tokio::test]
async fn who_only_looks_on_leaves_the_tells_that_wait_to_the_mud() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    gateway.logged("SessionEstablished").await;
    let onlooker = Client::connect(&gateway.tcp().await).await.unwrap();
    let wrong = json!({"api_key": KEY, "options": {"events": "none"}});
    assert_eq!(onlooker.call("authenticate", wrong).await.unwrap_err().code(), Some(-32602));
    let options = json!({"events": {"allow": ["channel_message"]}});
    let authenticate = json!({"api_key": KEY, "options": options});
    onlooker.call("authenticate", authenticate.clone()).await.unwrap();
    onlooker.call("channel_join", json!({"channel": super::support::CHANNEL})).await.unwrap();
    let tell = json!({"target_mud": "Dawn", "target_user": "x", "message": "for the mud"});
    onlooker.call("tell", tell).await.unwrap();
    // Tells go first, so this one has come when the message has.
    super::support::say(&onlooker, &["after it"]).await;
    assert_eq!(onlooker.next_event(WITHIN).await.unwrap()["params"]["message"], "after it");
    let another = Client::connect(&gateway.websocket().await).await.unwrap();
    another.call("authenticate", authenticate).await.unwrap();

    let mud = gateway.client().await;
    let told = mud.wait_event(super::support::is("tell_received"), WITHIN).await.unwrap();
    assert_eq!(told["params"]["message"], "for the mud");
}
