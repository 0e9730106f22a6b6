//! Faults 8, 9 and 13 to 15: what clients are told, may do and send.

use std::time::Duration;

use i3_router::{Config, Event, Mark, Router};
use mudclient::Client;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{dawn, raw, tell};
use crate::support::{CHANNEL, Gateway, KEY, WITHIN, hear, is};

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

#[tokio::test]
async fn fault_13_every_packet_is_from_the_one_mud_of_the_link() {
    let (router, _dawn, client) = dawn().await;
    let mark = router.mark();
    let forged = json!({"target_mud": "Dusk", "target_user": "x", "message": "hi", "from_user": "ann",
        "from_mud": "DemoMUD", "mud_name": "DemoMUD"});
    // Whether that is refused or ignored: what leaves is ours.
    let _ = client.call("tell", forged).await;
    tell(&client, "honest").await;
    raw(&router, mark, "honest").await;
    let foreign = |event: &Event| event.packet().is_some_and(|packet| packet.header.origin_mud != "Dawn");
    assert!(router.wait_for(Mark::START, foreign, Duration::ZERO).await.is_none());
}

#[tokio::test]
async fn fault_14_keys_allow_what_they_say_and_none_is_shipped() {
    let router = Router::start(Config::strict()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.yaml");
    std::fs::write(&config, "api: {auth: {api_keys: [{key: gossip, permissions: [channel]}]}}").unwrap();
    let gateway = Gateway::start_with("Dawn", &router, &["--config", config.to_str().unwrap()]).await;
    let client = Client::connect(&gateway.websocket().await).await.unwrap();
    for shipped in ["demo-key-123", "admin-key-456", "changeme", ""] {
        client.authenticate(shipped).await.unwrap_err();
    }
    client.authenticate("gossip").await.unwrap();
    for method in ["reconnect", "tell", "mudlist", "stats"] {
        assert_eq!(client.call(method, json!({})).await.unwrap_err().code(), Some(-32002), "{method}");
    }
    client.call("channel_join", json!({"channel": CHANNEL})).await.unwrap();
}

#[tokio::test]
async fn fault_15_lines_may_come_byte_by_byte_and_are_bounded() {
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
    // 8 MB without an end of line are answered once they end, and not kept.
    stream.write_all(&vec![b'x'; 8 << 20]).await.unwrap();
    stream.write_all(b"\n").await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let found = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("Message too long") {
                return;
            }
        }
        panic!("the connection ended");
    };
    tokio::time::timeout(WITHIN, found).await.unwrap();
}
