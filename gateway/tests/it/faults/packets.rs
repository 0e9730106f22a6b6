//! Faults 1 to 7: packets that are misread, miswritten or not understood.

use std::time::{Duration, Instant};

use i3_router::Mark;
use serde_json::{Value, json};

use super::{dawn, raw, send, sent_until, tell};
use crate::support::{CHANNEL, WITHIN, hear, is, registered_since, say};

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

/// Every packet of ours that may hold nobody or nothing: the registration, the answers of a mud whose client has not
/// said who is there, and a list of which only one half changes. (Without a change nothing is sent at all.)
#[tokio::test]
async fn fault_04_nobody_is_an_empty_list_that_drivers_read() {
    let (router, _dawn, client) = dawn().await;
    let startup = raw(&router, Mark::START, "startup-req-3").await;
    assert!(startup.ends_with("]),([]),})"), "{startup}");
    let mark = router.mark();
    send(&router, r#"({"who-req",5,"Dusk","bob","Dawn",0,})"#).await;
    raw(&router, mark, r#"({"who-reply",5,"Dawn",0,"Dusk","bob",({}),})"#).await;
    send(&router, r#"({"chan-who-req",5,"Dusk","bob","Dawn",0,"imud_gossip",})"#).await;
    raw(&router, mark, r#"({"chan-who-reply",5,"Dawn",0,"Dusk","bob","imud_gossip",({}),})"#).await;
    let admin = async |add: Value, remove: Value| {
        client.call("channel_admin", json!({"channel": "dawn_talk", "add": add, "remove": remove})).await
    };
    client.call("channel_create", json!({"channel": "dawn_talk", "wait": true})).await.unwrap();
    admin(json!(["Spam"]), json!([])).await.unwrap();
    raw(&router, mark, r#""dawn_talk",({"Spam",}),({}),})"#).await;
    admin(json!([]), json!(["Spam"])).await.unwrap();
    raw(&router, mark, r#""dawn_talk",({}),({"Spam",}),})"#).await;
    assert_eq!(admin(json!([]), json!([])).await.unwrap_err().code(), Some(-32602));
    tell(&client, "the end").await;
    for frame in sent_until(&router, Mark::START, "the end").await {
        assert!(!frame.contains("([,])") && !frame.contains("({,})"), "{frame}");
    }
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
async fn fault_06_each_type_is_answered_read_or_said_to_be_unknown() {
    let (router, _dawn, client) = dawn().await;
    client.call("presence_sync", json!({"users": [{"name": "Ann", "gender": "female"}]})).await.unwrap();
    let ask = async |packet: &str, answer: &str| {
        let mark = router.mark();
        send(&router, packet).await;
        raw(&router, mark, answer).await;
    };
    let request = |number: usize, kind: &str, rest: &str| {
        // From many muds: one alone gets no more than five answers a second.
        format!(r#"({{"{kind}",5,"Mud{number}","bob","Dawn",0,{rest}}})"#)
    };
    let answered = [
        ("chan-who-req", r#""imud_gossip","#, r#""imud_gossip",({"Ann",}),})"#),
        ("chan-user-req", r#""ann","#, r#"({"chan-user-reply",5,"Dawn",0,"Mud1","bob","ann","Ann",1,})"#),
        ("chan-user-req", r#""zoe","#, r#"({"error",5,"Dawn",0,"Mud2","bob","unk-user""#),
        ("auth-mud-req", "", r#"({"auth-mud-reply",5,"Dawn",0,"Mud3",0,"#),
        ("ping-req", "", r#"({"ping-reply",5,"Dawn",0,"Mud4","bob",})"#),
    ];
    for (number, (kind, rest, answer)) in answered.into_iter().enumerate() {
        ask(&request(number, kind, rest), answer).await;
    }
    // Letters go out of band, and these are a router's business, or nobody's.
    let unknown = [
        ("mail", r#"1,"a","b","#),
        ("oob-req", ""),
        ("channel-add", r#""a",0,"#),
        ("channel-remove", r#""a","#),
        ("channel-admin", r#""a",({}),({}),"#),
        ("frobnicate", "1,"),
    ];
    for (number, (kind, rest)) in unknown.into_iter().enumerate() {
        let answer = format!(r#"({{"error",5,"Dawn",0,"Mud{number}","bob","unk-type""#);
        ask(&request(number, kind, rest), &answer).await;
    }
}

/// The cases in which silence is right: the next answer is that to the ping behind them.
#[tokio::test]
async fn fault_06_what_asks_for_no_answer_gets_none() {
    let (router, _dawn, client) = dawn().await;
    let mark = router.mark();
    for packet in [
        r#"({"ucache-update",5,"Dusk",0,0,0,"bob","Bob",0,})"#,
        r#"({"shutdown",5,"Dusk",0,0,0,60,})"#,
        r#"({"shutdown",5,"Dusk",0,"Dawn",0,60,})"#,
        r#"({"error",5,"Dusk",0,"Dawn",0,"frobnicate","what?",({"error",5,}),})"#,
        r#"({"error",5,"Dusk",0,"Dawn","ann","unk-type","what?",})"#,
        r#"({"error",5,"Dusk",0,"Dawn","ann",})"#,
        r#"({"chan-user-reply",5,"Dusk",0,"Dawn","ann","bob","Bob",0,})"#,
        r#"({"frobnicate",5,"Dusk","bob",0,0,1,})"#,
        r#"({"ping-req",5,"Dusk","bob","Dawn",0,})"#,
    ] {
        send(&router, packet).await;
    }
    let sent = sent_until(&router, mark, "ping-reply").await;
    assert!(sent.iter().all(|frame| !frame.contains("error")), "{sent:?}");
    let who = json!({"target_mud": "Dusk", "target_user": "bob"});
    assert_eq!(client.call("user_info", who).await.unwrap()["visname"], "Bob", "it was accepted");
    let event = client.wait_event(is("error_occurred"), WITHIN).await.unwrap();
    assert_eq!(event["params"]["error_code"], "frobnicate");
    let event = client.wait_event(is("error_occurred"), WITHIN).await.unwrap();
    assert_eq!(event["params"]["error_code"], "unk-type", "an error of eight elements is read");
    assert_eq!(tell(&client, "sentinel").await["status"], "sent");
    client.wait_event(is("tell_received"), WITHIN).await.unwrap();
    let shutdown = client.wait_event(is("maintenance_scheduled"), Duration::ZERO).await;
    assert!(shutdown.is_err(), "only the router's word counts: {shutdown:?}");
}

#[tokio::test]
async fn fault_06_odd_but_valid_packets_are_read() {
    let (router, _dawn, client) = dawn().await;
    // Nobody as the speaker, and a time to live over 200.
    send(&router, r#"({"tell",250,"Dusk",0,"Dawn","ann","Dusk","from nobody",})"#).await;
    let event = client.wait_event(is("tell_received"), WITHIN).await.unwrap();
    assert_eq!(
        (&event["params"]["message"], &event["params"]["from_user"]),
        (&json!("from nobody"), &json!(""))
    );
    send(&router, r#"({"channel-m",5,"Dusk","bob",0,0,"imud_gossip","Bob","",})"#).await;
    hear(&client, &[""]).await;
}

#[tokio::test]
async fn fault_07_a_packet_that_cannot_be_read_costs_nothing_but_itself() {
    let (router, gateway, client) = dawn().await;
    let mark = router.mark();
    let nested = format!("{}1,{}", "({".repeat(3000), "}),".repeat(3000));
    let bodies = [
        nested.as_str(),
        "-",
        "1.2.3",
        "1e5",
        "({",
        "\"",
        "([1:2,3])",
        "nonsense",
        "({2\u{b2},})",
        "({\u{b2},})",
    ];
    for (number, body) in bodies.into_iter().enumerate() {
        send(&router, body).await;
        send(&router, &format!(r#"({{"tell",5,"Dusk","bob","Dawn","ann","Bob",{body},}})"#)).await;
        let text = format!("behind {number}");
        send(&router, &format!(r#"({{"channel-m",5,"Dusk","bob",0,0,"imud_gossip","Bob","{text}",}})"#))
            .await;
        hear(&client, &[&text]).await;
    }
    let again = router.wait_for(mark, |event| event.registered().is_some(), Duration::ZERO).await;
    assert!(again.is_none(), "the link stayed");
    assert!(client.wait_event(is("tell_received"), Duration::ZERO).await.is_err(), "nothing was made up");
    assert_eq!(gateway.get("metrics", "/health/live").await.0, 200);
}

/// 2 GiB minus a byte, more than 2 GiB, and 4 GiB: nobody means that. Each time the link is back within two seconds, and
/// clients are still there.
#[tokio::test]
async fn fault_07_a_length_that_nobody_means_costs_two_seconds_at_most() {
    for length in [0x7fff_ffff_u32, 0x8000_0001, 0xffff_ffff] {
        let (router, gateway, client) = dawn().await;
        let other = gateway.listener().await;
        let before = gateway.memory();
        let (mark, start) = (router.mark(), Instant::now());
        assert!(router.send_raw("Dawn", [&length.to_be_bytes()[..], b"x"].concat()).await);
        registered_since(&router, mark, "Dawn").await;
        assert!(start.elapsed() < Duration::from_secs(2), "{length:#x}: {:?}", start.elapsed());
        client.wait_event(is("gateway_reconnected"), WITHIN).await.unwrap();
        say(&client, &["still there"]).await;
        hear(&other, &["still there"]).await;
        assert!(gateway.memory() < before + (8 << 20), "nothing is kept for what is only announced");
    }
}
