//! The API as clients see it, on both transports.

use std::time::Duration;

use mudclient::{CallError, Client, Options};
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
    assert_eq!(own["services"], json!({"tell": 1, "channel": 1}));
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

#[tokio::test]
async fn no_secret_is_ever_logged() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    gateway.logged("SessionEstablished").await;
    let client = gateway.client().await;
    let wrong = "a wrong key somebody typed";
    let refused = Client::connect(&gateway.tcp().await).await.unwrap().authenticate(wrong).await;
    assert!(matches!(refused, Err(CallError::Rpc { .. })), "{refused:?}");
    client.call("status", json!({})).await.unwrap();
    gateway.logged("wrong API key").await;
    gateway.terminate().await;
    gateway.logged("stopped").await;
    let log = gateway.whole_log();
    let (_, state) = gateway.ended().await;
    let password = std::fs::read_to_string(state.path().join("router-password")).unwrap();
    assert_eq!(password.len(), 9);
    for secret in [KEY, wrong, &password] {
        assert!(!log.contains(secret), "{secret:?} stands in the log:\n{log}");
    }
}
