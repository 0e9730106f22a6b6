//! Faults 16 to 18: what is remembered, for how long, and under which name.

use std::time::Duration;

use i3_router::{Config, Mark, Router};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{BUSY, dawn, raw, send};
use crate::raw_mud::RawMud;
use crate::support::{CHANNEL, Gateway, WITHIN, hear, is, registered_since, say};

/// What is remembered of others is bounded and expires: shown without a process in `services::ucache`, `history`,
/// `presence`, `allowance`, `complaints`, `filter` and `directory`, and `keys::attempts`. Answers of other muds are not
/// kept at all. Here: who is not there is unknown and not a user full of zeros, and what other muds tell of levels is
/// passed on as they say it.
#[tokio::test]
async fn fault_16_a_user_who_is_not_there_is_unknown_and_levels_are_not_guessed() {
    let (router, _dawn, client) = dawn().await;
    let users = json!([{"name": "Ann", "title": "the Brave", "level": 7, "idle": 3}, {"name": "Bea", "title": "Level 9 cook"}]);
    client.call("presence_sync", json!({"users": users})).await.unwrap();
    let mark = router.mark();
    send(&router, r#"({"finger-req",5,"Dusk","bob","Dawn",0,"zoe",})"#).await;
    raw(&router, mark, r#"({"error",5,"Dawn",0,"Dusk","bob","unk-user""#).await;
    send(&router, r#"({"finger-req",5,"Dusk","bob","Dawn",0,"bea",})"#).await;
    let finger =
        raw(&router, mark, r#"({"finger-reply",5,"Dawn",0,"Dusk","bob","Bea","Level 9 cook",0,0,"#).await;
    assert!(finger.ends_with(",0,0,0,0,})"), "no level is made of a title: {finger}");
    send(&router, r#"({"who-req",5,"Dusk","bob","Dawn",0,})"#).await;
    raw(&router, mark, r#"({({"Ann",3,"Level 7 the Brave",}),({"Bea",0,"Level 9 cook",}),}),})"#).await;
    send(&router, r#"({"who-reply",5,"Dusk",0,"Dawn","ann",({({"Bob",5,"Level 50 - wizard",}),}),})"#).await;
    let event = client.wait_event(is("who_reply"), WITHIN).await.unwrap();
    let bob = event["params"].get("users").or(event["params"].get("who_data")).unwrap()[0].clone();
    assert_eq!((&bob["level"], &bob["extra"]), (&Value::Null, &json!("Level 50 - wizard")));
}

#[tokio::test]
async fn fault_17_talk_is_remembered_and_muds_are_seen_to_come_and_go() {
    let router = Router::start(Config::default()).await.unwrap();
    let gateway = Gateway::start("Dawn", &router, BUSY).await;
    gateway.logged("SessionEstablished").await;
    let client = gateway.listener().await;
    say(&client, &["remember me"]).await;
    hear(&client, &["remember me"]).await;
    let history = client.call("channel_history", json!({"channel": CHANNEL})).await.unwrap();
    assert_eq!(history["messages"][0]["message"], "remember me");

    let mut status = tokio::time::interval(Duration::from_millis(20));
    let dusk = RawMud::start(&router, "Dusk", 0, "").await;
    while client.call("mudlist", json!({"filter": {"status": "up"}})).await.unwrap()["count"] != 2 {
        status.tick().await;
    }
    drop(dusk);
    let event = client.wait_event(is("mud_offline"), WITHIN).await.unwrap();
    assert!(event["params"].to_string().contains("Dusk"), "{event}");
    let _dusk = RawMud::start(&router, "Dusk", 0, "").await;
    let event = client.wait_event(is("mud_online"), WITHIN).await.unwrap();
    assert!(event["params"].to_string().contains("Dusk"), "{event}");
}

/// The mud's password at the router as the next process shows it, and what is left in the folder.
async fn next_password(router: &i3_router::RunningRouter, state: TempDir) -> (Gateway, String) {
    let mark = router.mark();
    let gateway = Gateway::start_in(state, "Dawn", router, BUSY).await;
    let startup = raw(router, mark, r#"({"startup-req-3",5,"Dawn",0,"*test",0,"#).await;
    let password = startup.split(',').nth(6).unwrap().to_owned();
    (gateway, password)
}

/// Killed at any moment of the first save, and of the save of the lists at the end, a gateway leaves a state that the next
/// one reads. Its password is the router's from the first start on that outlived the registration.
#[tokio::test]
async fn fault_17_no_kill_breaks_the_state() {
    let router = Router::start(Config::default()).await.unwrap();
    for moment in 0..8 {
        let mud_state = tempfile::tempdir().unwrap();
        let mark = router.mark();
        let name = format!("Mud{moment}");
        let gateway = Gateway::start_in(mud_state, &name, &router, BUSY).await;
        registered_since(&router, mark, &name).await;
        tokio::time::sleep(Duration::from_micros(500 * moment)).await;
        let state = gateway.killed().await;
        let mark = router.mark();
        let gateway = Gateway::start_in(state, &name, &router, BUSY).await;
        registered_since(&router, mark, &name).await;
        gateway.logged("SessionEstablished").await;
        gateway.terminate().await;
        tokio::time::sleep(Duration::from_millis(2 * moment)).await;
        let state = gateway.killed().await;
        let mark = router.mark();
        let gateway = Gateway::start_in(state, &name, &router, BUSY).await;
        registered_since(&router, mark, &name).await;
        gateway.logged("SessionEstablished").await;
        let log = gateway.whole_log();
        assert!(!log.contains("cannot read") && !log.contains("starting without"), "{log}");
    }
}

#[tokio::test]
async fn fault_17_a_broken_file_is_replaced_by_its_backup() {
    let (router, gateway, _client) = dawn().await;
    let state = gateway.killed().await;
    let path = |name: &str| state.path().join(name);
    let password = std::fs::read_to_string(path("router-password")).unwrap();
    std::fs::copy(path("router-password"), path("router-password.bak")).unwrap();
    std::fs::write(path("router-password"), b"\0\0half").unwrap();
    let (gateway, shown) = next_password(&router, state).await;
    assert_eq!(shown, password.trim());
    gateway.logged("the state file is missing or broken; using its backup").await;
    // Nothing readable at all: a mud that does not know its password does not register with another.
    let state = gateway.killed().await;
    std::fs::write(state.path().join("router-password"), "half").unwrap();
    std::fs::write(state.path().join("router-password.bak"), "half").unwrap();
    let gateway = Gateway::start_in(state, "Dawn", &router, BUSY).await;
    let line = gateway.logged("StateUnavailable").await;
    assert!(line["detail"].as_str().unwrap().contains("not registering"), "{line}");
}

#[tokio::test]
async fn fault_18_channel_names_keep_their_case_everywhere() {
    let (router, _dawn, client) = dawn().await;
    const OTHER: &str = "Imud_Gossip";
    send(&router, r#"({"channel-m",5,"Dusk","bob",0,0,"Imud_Gossip","Bob","another channel",})"#).await;
    send(&router, r#"({"channel-m",5,"Dusk","bob",0,0,"imud_gossip","Bob","this channel",})"#).await;
    hear(&client, &["this channel"]).await;
    let mark = router.mark();
    client.call("channel_join", json!({"channel": OTHER})).await.unwrap();
    raw(&router, mark, r#"({"channel-listen",5,"Dawn",0,"*test",0,"Imud_Gossip",1,})"#).await;
    let params = json!({"channel": OTHER, "message": "said", "from_user": "ann"});
    client.call("channel_send", params).await.unwrap();
    raw(&router, mark, r#"({"channel-m",5,"Dawn","ann",0,0,"Imud_Gossip","ann","said",})"#).await;
    send(&router, r#"({"channel-m",5,"Dusk","bob",0,0,"Imud_Gossip","Bob","heard",})"#).await;
    let event = client.wait_event(is("channel_message"), WITHIN).await.unwrap();
    assert_eq!((&event["params"]["channel"], &event["params"]["message"]), (&json!(OTHER), &json!("heard")));
    for (channel, last) in [(OTHER, "heard"), (CHANNEL, "this channel")] {
        let history = client.call("channel_history", json!({"channel": channel})).await.unwrap();
        let messages = history["messages"].as_array().unwrap();
        assert_eq!(messages.last().unwrap()["message"], last, "{history}");
    }
    let mark_left = router.mark();
    client.call("channel_leave", json!({"channel": OTHER})).await.unwrap();
    raw(&router, mark_left, r#"({"channel-listen",5,"Dawn",0,"*test",0,"Imud_Gossip",0,})"#).await;
    raw(&router, Mark::START, r#""imud_gossip",1,})"#).await;
}
