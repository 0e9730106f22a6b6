//! One test for each known fault of the Python gateway, by its number: here it is not so. The router is the strict one.

use std::time::Duration;

use i3_router::{Config, Event, Mark, Router, RunningRouter};
use mudclient::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::support::{CHANNEL, Gateway, KEY, WITHIN, hear, is, registered_since, say};

/// Dawn at the strict router, with a client on the channel.
async fn dawn() -> (RunningRouter, Gateway, Client) {
    let router = Router::start(Config::strict()).await.unwrap();
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    gateway.logged("SessionEstablished").await;
    let client = gateway.listener().await;
    (router, gateway, client)
}

/// Waits for a frame from Dawn that holds a text, and returns it as it came.
async fn raw(router: &RunningRouter, since: Mark, text: &str) -> String {
    let bytes = |event: &Event| match event {
        Event::Received { text, .. } => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    };
    let wanted = |event: &Event| bytes(event).is_some_and(|frame| frame.contains(text));
    let event = router.wait_for(since, wanted, WITHIN).await;
    bytes(&event.unwrap_or_else(|| panic!("the router did not get {text:?}"))).unwrap()
}

/// Sends Dawn a packet of a mud that the router has only heard of.
async fn send(router: &RunningRouter, packet: &str) {
    assert!(router.send_packet("Dawn", packet.as_bytes().to_vec()).await, "there is a link");
}

async fn tell(client: &Client, message: &str) -> Value {
    let params = json!({"target_mud": "Dawn", "target_user": "ann", "from_user": "ann", "message": message});
    client.call("tell", params).await.unwrap()
}

#[tokio::test]
async fn fault_01_an_emote_keeps_its_text() {
    let (router, _dawn, client) = dawn().await;
    send(&router, r#"({"channel-e",5,"Dusk","bob",0,0,"imud_gossip","Bob","$N waves.",})"#).await;
    let event = client.wait_event(is("channel_emote"), WITHIN).await.unwrap();
    assert_eq!(
        (&event["params"]["message"], &event["params"]["visname"]),
        (&json!("$N waves."), &json!("Bob"))
    );
}

#[tokio::test]
async fn fault_02_who_is_on_a_channel_is_asked() {
    let (router, _dawn, client) = dawn().await;
    let mark = router.mark();
    let params = json!({"channel": CHANNEL, "target_mud": "Dusk", "from_user": "ann"});
    assert_eq!(client.call("channel_who", params).await.unwrap()["status"], "requested");
    raw(&router, mark, r#"({"chan-who-req",5,"Dawn","ann","Dusk",0,"imud_gossip",})"#).await;
}

#[tokio::test]
async fn fault_03_a_channel_is_switched_on_and_off_by_numbers_at_the_router() {
    let (router, _dawn, client) = dawn().await;
    raw(&router, Mark::START, r#"({"channel-listen",5,"Dawn",0,"*test",0,"imud_gossip",1,})"#).await;
    let mark = router.mark();
    client.call("channel_leave", json!({"channel": CHANNEL})).await.unwrap();
    raw(&router, mark, r#"({"channel-listen",5,"Dawn",0,"*test",0,"imud_gossip",0,})"#).await;
}

#[tokio::test]
async fn fault_04_nobody_is_an_empty_list_that_drivers_read() {
    let (router, _dawn, _client) = dawn().await;
    let mark = router.mark();
    send(&router, r#"({"who-req",5,"Dusk","bob","Dawn",0,})"#).await;
    raw(&router, mark, r#"({"who-reply",5,"Dawn",0,"Dusk","bob",({}),})"#).await;
    let startup = raw(&router, Mark::START, "startup-req-3").await;
    assert!(
        !startup.contains("([,])") && !startup.contains("({,})") && startup.contains("([])"),
        "{startup}"
    );
}

#[tokio::test]
async fn fault_05_line_ends_do_not_corrupt_packets() {
    let (router, _dawn, client) = dawn().await;
    let mark = router.mark();
    tell(&client, "one\r\ntwo\nthree\u{1b}").await;
    // LPC drivers write the end of a line as a carriage return, and read it so.
    raw(&router, mark, "\"one\rtwo\rthree\"").await;
    let event = client.wait_event(is("tell_received"), WITHIN).await.unwrap();
    assert_eq!(event["params"]["message"], "one\ntwo\nthree");
    send(&router, "({\"tell\",5,\"Dusk\",\"bob\",\"Dawn\",\"ann\",\"Bob\",\"one\rtwo\",})").await;
    let event = client.wait_event(is("tell_received"), WITHIN).await.unwrap();
    assert_eq!(event["params"]["message"], "one\ntwo");
}

#[tokio::test]
async fn fault_06_unknown_and_odd_packets_are_answered_or_read() {
    let (router, _dawn, client) = dawn().await;
    let mark = router.mark();
    send(&router, r#"({"frobnicate",5,"Dusk","bob","Dawn","ann",1,})"#).await;
    raw(&router, mark, r#"({"error",5,"Dawn",0,"Dusk","bob","unk-type""#).await;
    // Nobody as the speaker, and a time to live over 200.
    send(&router, r#"({"tell",250,"Dusk",0,"Dawn","ann","Dusk","from nobody",})"#).await;
    let event = client.wait_event(is("tell_received"), WITHIN).await.unwrap();
    assert_eq!(event["params"]["message"], "from nobody");
    send(&router, r#"({"channel-m",5,"Dusk","bob",0,0,"imud_gossip","Bob","",})"#).await;
    hear(&client, &[""]).await;
    send(&router, r#"({"error",5,"Dusk",0,"Dawn","ann","unk-user","who?",})"#).await;
    // The router does not know Dusk, and says so of our answer above.
    let unknown =
        |event: &Value| event["method"] == "error_occurred" && event["params"]["error_code"] == "unk-user";
    client.wait_event(unknown, WITHIN).await.unwrap();
}

#[tokio::test]
async fn fault_07_bad_packets_do_not_stop_the_link() {
    let (router, gateway, client) = dawn().await;
    let nested = format!("{}1,{}", "({".repeat(3000), "}),".repeat(3000));
    for body in [nested.as_str(), "-", "1.2.3", "1e5", "({", "\"", "([1:2,3])", "nonsense"] {
        send(&router, body).await;
        send(&router, &format!(r#"({{"tell",5,"Dusk","bob","Dawn","ann","Bob",{body},}})"#)).await;
        say(&client, &["still there"]).await;
        hear(&client, &["still there"]).await;
    }
    // A length that nobody means: the link is closed and back; the client stays.
    let mark = router.mark();
    assert!(router.send_raw("Dawn", vec![0x7f, 0xff, 0xff, 0xff, b'x']).await);
    registered_since(&router, mark, "Dawn").await;
    client.wait_event(is("gateway_reconnected"), WITHIN).await.unwrap();
    assert_eq!(client.call("ping", json!({})).await.unwrap()["pong"], true);
    assert_eq!(gateway.get("metrics", "/health/live").await.0, 200);
}

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
async fn fault_10_nobody_is_ready_before_the_router_has_answered() {
    let router = Router::start(Config::strict()).await.unwrap();
    router.cut("Dawn").await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    let client = gateway.listener().await;
    assert_eq!(gateway.get("metrics", "/health/ready").await.0, 503);
    assert_eq!(client.call("status", json!({})).await.unwrap()["connected"], false);
    assert_eq!(tell(&client, "early").await["status"], "queued");
    let (_, health) = gateway.get("metrics", "/health").await;
    assert!(health.contains("degraded"), "{health}");
}

#[tokio::test]
async fn fault_11_the_link_comes_back_each_time() {
    let (router, _dawn, client) = dawn().await;
    for _ in 0..3 {
        let mark = router.mark();
        router.restart().await;
        registered_since(&router, mark, "Dawn").await;
        client.wait_event(is("gateway_reconnected"), WITHIN).await.unwrap();
    }
}

#[tokio::test]
async fn fault_12_a_fallback_router_is_called_by_its_own_name() {
    let primary = Router::start(Config::strict()).await.unwrap();
    let second = Router::start(Config { name: "*second".to_owned(), ..Config::strict() }).await.unwrap();
    primary.clone().stop().await;
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.yaml");
    let port = second.addr().port();
    let fallback = format!("router: {{fallback: [{{name: '*second', host: 127.0.0.1, port: {port}}}]}}");
    std::fs::write(&config, format!("{fallback}\napi: {{auth: {{api_keys: [{{key: any}}]}}}}")).unwrap();
    let gateway = Gateway::start_with("Dawn", &primary, &["--config", config.to_str().unwrap()]).await;
    raw(&second, Mark::START, r#"({"startup-req-3",5,"Dawn",0,"*second",0,"#).await;
    gateway.logged("SessionEstablished").await;
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

#[tokio::test]
async fn fault_16_a_user_who_is_not_there_is_unknown() {
    let (router, _dawn, client) = dawn().await;
    client.call("presence_sync", json!({"users": [{"name": "Ann"}]})).await.unwrap();
    let mark = router.mark();
    send(&router, r#"({"finger-req",5,"Dusk","bob","Dawn",0,"zoe",})"#).await;
    raw(&router, mark, r#"({"error",5,"Dawn",0,"Dusk","bob","unk-user""#).await;
}

#[tokio::test]
async fn fault_17_talk_is_remembered_and_the_password_outlives_a_crash() {
    let (router, gateway, client) = dawn().await;
    say(&client, &["remember me"]).await;
    hear(&client, &["remember me"]).await;
    let history = client.call("channel_history", json!({"channel": CHANNEL})).await.unwrap();
    assert_eq!(history["messages"][0]["message"], "remember me");
    let state = gateway.killed().await;
    let password = std::fs::read_to_string(state.path().join("router-password")).unwrap();
    let mark = router.mark();
    let _dawn = Gateway::start_in(state, "Dawn", &router, &[]).await;
    raw(&router, mark, &format!(r#"({{"startup-req-3",5,"Dawn",0,"*test",0,{},"#, password.trim())).await;
}

#[tokio::test]
async fn fault_18_channel_names_keep_their_case() {
    let (router, _dawn, client) = dawn().await;
    send(&router, r#"({"channel-m",5,"Dusk","bob",0,0,"Imud_Gossip","Bob","another channel",})"#).await;
    send(&router, r#"({"channel-m",5,"Dusk","bob",0,0,"imud_gossip","Bob","this channel",})"#).await;
    hear(&client, &["this channel"]).await;
}

#[tokio::test]
async fn fault_19_messages_stay_in_order() {
    let (router, _dawn, client) = dawn().await;
    let texts: Vec<String> = (0..300).map(|index| format!("message {index}")).collect();
    for text in &texts {
        send(&router, &format!(r#"({{"channel-m",5,"Dusk","bob",0,0,"imud_gossip","Bob","{text}",}})"#))
            .await;
    }
    hear(&client, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn fault_20_what_is_advertised_is_what_is_answered() {
    let (router, _dawn, client) = dawn().await;
    let startup = raw(&router, Mark::START, "startup-req-3").await;
    let services = client.call("status", json!({})).await.unwrap()["services"].clone();
    for service in ["tell", "emoteto", "channel", "who", "finger", "locate"] {
        assert!(startup.contains(&format!("\"{service}\":1")), "{startup}");
        assert!(services.as_array().unwrap().contains(&json!(service)), "{services}");
    }
    for service in ["mail", "news", "file"] {
        assert!(!startup.contains(&format!("\"{service}\"")), "{startup}");
    }
}
