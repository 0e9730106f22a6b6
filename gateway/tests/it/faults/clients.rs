//! Faults 8, 9 and 13 to 15: what clients are told, may do and send.

use std::time::Duration;

use i3_router::{Event, Mark};
use mudclient::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::{configured, dawn, raw, strict, tell};
use crate::support::{CHANNEL, KEY, WITHIN, hear, is, say};

#[tokio::test]
async fn fault_08_errors_carry_the_id_and_notifications_get_nothing() {
    let (_router, gateway, _client) = dawn().await;
    for url in [gateway.websocket().await, gateway.tcp().await] {
        let wire = Client::connect(&url).await.unwrap();
        wire.authenticate("a wrong key").await.unwrap_err();
        wire.authenticate(KEY).await.unwrap();
        wire.send_raw(r#"{"jsonrpc":"2.0","method":"ping"}"#).await;
        wire.send_raw(r#"{"jsonrpc":"2.0","id":"x","method":"nope"}"#).await;
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| line.contains("\"x\"")) {
            lines.push(wire.next_raw(WITHIN).await.unwrap());
        }
        assert!(lines.iter().all(|line| !line.is_empty() && !line.contains("pong")), "{lines:?}");
    }
    // A wrong key in the header is answered, and not by a socket that closes without a word.
    let options = mudclient::Options { api_key: Some("wrong".to_owned()), ..Default::default() };
    let refused = Client::connect_with(&gateway.websocket().await, options).await.err().unwrap().to_string();
    assert!(refused.contains("401"), "{refused}");
}

#[tokio::test]
async fn fault_09_nothing_is_said_to_be_sent_while_the_router_is_away() {
    let (router, gateway, client) = dawn().await;
    router.cut("Dawn").await;
    gateway.logged("SessionLost").await;
    assert_eq!(tell(&client, "kept").await["status"], "queued");
    let params = json!({"channel": CHANNEL, "message": "kept too"});
    assert_eq!(client.call("channel_send", params).await.unwrap()["status"], "queued");
    router.restore("Dawn").await;
    let event = client.wait_event(is("tell_received"), Duration::from_secs(30)).await.unwrap();
    assert_eq!(event["params"]["message"], "kept");
    hear(&client, &["kept too"]).await;
}

/// Neither a parameter nor a key of another mud's makes us speak under its name.
#[tokio::test]
async fn fault_13_every_packet_is_from_the_one_mud_of_the_link() {
    let router = strict().await;
    let keys = "[{key: ours, mud_name: Dawn}, {key: theirs, mud_name: DemoMUD}]";
    let gateway = configured(&router, &format!("api: {{auth: {{api_keys: {keys}}}}}")).await;
    gateway.logged("SessionEstablished").await;
    let ignored = gateway.logged("DemoMUD").await;
    assert_eq!(ignored["setting"], "api.auth.api_keys");
    let client = Client::connect(&gateway.tcp().await).await.unwrap();
    client.authenticate("theirs").await.unwrap_err();
    assert_eq!(client.authenticate("ours").await.unwrap()["mud_name"], "Dawn");
    let forged = json!({"target_mud": "Dusk", "target_user": "x", "message": "hi", "from_user": "ann",
        "from_mud": "DemoMUD", "mud_name": "DemoMUD"});
    // Whether that is refused or ignored: what leaves is ours.
    let _ = client.call("tell", forged).await;
    say(&client, &["said"]).await;
    tell(&client, "honest").await;
    raw(&router, Mark::START, "honest").await;
    let foreign = |event: &Event| event.packet().is_some_and(|packet| packet.header.origin_mud != "Dawn");
    assert!(router.wait_for(Mark::START, foreign, Duration::ZERO).await.is_none());
}

/// A method of each group; `status` needs no permission.
const GROUPS: &[(&str, &[&str])] = &[
    ("tell", &["tell", "emoteto", "beep"]),
    (
        "channel",
        &["channel_join", "channel_leave", "channel_send", "channel_emote", "channel_history", "channel_who"],
    ),
    ("info", &["mudlist", "who", "finger", "locate", "user_info", "presence_sync", "stats"]),
    ("mail", &["mail_send", "mail_ack"]),
    ("file", &["file_list", "file_get", "file_put", "file_reply"]),
    ("news", &["news_groups", "news_read", "news_post", "news_reply"]),
    ("admin", &["reconnect", "channel_create", "channel_remove", "channel_admin"]),
];

#[tokio::test]
async fn fault_14_a_key_opens_its_own_group_of_methods_and_no_other() {
    let router = strict().await;
    let keys: Vec<_> = GROUPS
        .iter()
        .map(|(group, _)| {
            format!("{{key: the {group} key, permissions: [{group}], requests_per_minute: 60000}}")
        })
        .collect();
    let gateway = configured(&router, &format!("api: {{auth: {{api_keys: [{}]}}}}", keys.join(", "))).await;
    for (group, _) in GROUPS {
        let client = Client::connect(&gateway.tcp().await).await.unwrap();
        client.authenticate(&format!("the {group} key")).await.unwrap();
        for (needed, methods) in GROUPS {
            for method in *methods {
                // The one without parameters that does something; it would only take time here.
                if (*method, group) == ("reconnect", needed) {
                    continue;
                }
                let code = client.call(method, json!({})).await.err().and_then(|error| error.code());
                assert_eq!(code == Some(-32002), needed != group, "{method} with the {group} key: {code:?}");
            }
        }
        client.call("status", json!({})).await.unwrap();
    }
}

#[tokio::test]
async fn fault_14_limits_of_methods_connections_and_messages_are_kept() {
    let router = strict().await;
    let config = "api: {auth: {api_keys: [key]}, rate_limits: {by_method: {mudlist: 1}}, \
                  limits: {connections: 2, message_bytes: 1000}}";
    let gateway = configured(&router, config).await;
    let client = Client::connect(&gateway.websocket().await).await.unwrap();
    client.authenticate("key").await.unwrap();
    let long = client.call("ping", json!({"x": "x".repeat(2000)})).await.unwrap_err();
    assert!(long.to_string().contains("Message too long"), "{long}");
    let second = Client::connect(&gateway.websocket().await).await.unwrap();
    let refused = Client::connect(&gateway.websocket().await).await.err().unwrap().to_string();
    assert!(refused.contains("503"), "{refused}");
    second.send_raw(&"x".repeat(5000)).await;
    let closed = second.closed(WITHIN).await.unwrap().to_string();
    assert!(closed.contains("1009"), "{closed}");
    // Twenty at once, and then one a minute; other methods have their own count and the key's.
    let mut allowed = 0;
    let refused = loop {
        match client.call("mudlist", json!({})).await {
            Ok(_) => allowed += 1,
            Err(refused) => break refused,
        }
    };
    assert!(refused.to_string().contains("Rate limit exceeded"), "{refused}");
    assert_eq!(allowed, 20);
}

#[tokio::test]
async fn fault_14_what_is_not_safe_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    let starts = async |auth: &str| {
        let config = format!(
            "mud: {{name: Dawn}}\nrouter: {{primary: {{name: '*test', host: 127.0.0.1}}}}\napi: {{auth: {{{auth}}}}}"
        );
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mudgateway"));
        let output = command.env_clear().arg("--config").arg(&path).arg("--dry-run").output().await.unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    assert!(starts("api_keys: [{key: my own}]").await.0);
    for shipped in ["luminari-i3-gateway-2025", "demo-key-123", "admin-key-456"] {
        let (started, text) = starts(&format!("api_keys: [{{key: {shipped}}}]")).await;
        assert!(!started && text.contains("published with the Python gateway"), "{text}");
        assert!(!text.contains(shipped), "{text}");
    }
    let (started, text) = starts("require_tls: true, api_keys: [{key: my own}]").await;
    assert!(!started && text.contains("api.auth.require_tls: is on, but there is no TLS"), "{text}");
}

#[tokio::test]
async fn fault_14_no_key_is_shipped() {
    let (_router, gateway, _client) = dawn().await;
    let client = Client::connect(&gateway.websocket().await).await.unwrap();
    for shipped in ["luminari-i3-gateway-2025", "demo-key-123", "admin-key-456", "changeme", ""] {
        client.authenticate(shipped).await.unwrap_err();
    }
}

#[tokio::test]
async fn fault_15_lines_may_come_byte_by_byte() {
    let (_router, gateway, client) = dawn().await;
    let mut stream = TcpStream::connect(gateway.address("TCP lines").await).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let key = json!({"jsonrpc": "2.0", "id": 1, "method": "authenticate", "params": {"api_key": KEY}});
    let params = json!({"target_mud": "Dawn", "target_user": "ann", "message": "žluťoučký 🐎"});
    let tell = json!({"jsonrpc": "2.0", "id": 2, "method": "tell", "params": params});
    for byte in format!("{key}\n{tell}\n").bytes() {
        stream.write_all(&[byte]).await.unwrap();
    }
    let event = client.wait_event(is("tell_received"), WITHIN).await.unwrap();
    assert_eq!(event["params"]["message"], "žluťoučký 🐎");
}

/// 64 MB without an end of line take no memory; they are answered once they end, and the next line is read.
#[tokio::test]
async fn fault_15_a_line_without_end_is_not_kept() {
    let (_router, gateway, _client) = dawn().await;
    let mut stream = BufReader::new(TcpStream::connect(gateway.address("TCP lines").await).await.unwrap());
    let before = gateway.memory();
    let mut most = before;
    for _ in 0..64 {
        stream.write_all(&vec![b'x'; 1 << 20]).await.unwrap();
        most = most.max(gateway.memory());
    }
    stream.write_all(b"\n{\"jsonrpc\":\"2.0\",\"id\":\"next\",\"method\":\"ping\"}\n").await.unwrap();
    let mut lines = stream.lines();
    let mut seen: Vec<Value> = Vec::new();
    while !seen.last().is_some_and(|line| line["id"] == "next") {
        let line = tokio::time::timeout(WITHIN, lines.next_line()).await.unwrap().unwrap();
        seen.push(serde_json::from_str(&line.expect("it is not closed")).unwrap());
    }
    assert!(seen[1]["error"]["message"].as_str().unwrap().contains("Message too long"), "{seen:?}");
    assert!(most.max(gateway.memory()) < before + (4 << 20), "from {before} to {most} bytes");
}
