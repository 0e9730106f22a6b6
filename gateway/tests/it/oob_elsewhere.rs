//! Another mud's call reaches any process of a mud, as a Service brings it, and is answered by the one that holds the session.

use std::time::Duration;

use i3_router::RunningRouter;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::oob::{oob_address, serve};
use super::raw_mud::{Raw, RawMud};
use super::replicas::holder_and_standby;
use super::support::{Gateway, Nats, OFFERING, WITHIN, is, registered_since, router, until};

const LETTER: &str = r#"({"mail",7,"bob",(["Dawn":({"ann","zoe",}),]),([]),({}),1795418241,"Hello","Hi",})"#;
const ACK: &str = r#"({"mail-ack",([7:({"zoe",}),]),})"#;

async fn process(router: &RunningRouter, nats: &Nats) -> Gateway {
    Gateway::start("Dawn", router, &[OFFERING, &[("NATS_URL", nats.url().as_str())]].concat()).await
}

async fn two(router: &RunningRouter, nats: &Nats) -> (Gateway, Gateway) {
    holder_and_standby(async || process(router, nats).await).await
}

/// A conversation of Old with a process.
async fn let_in(old: &mut RawMud, process: &Gateway) -> Raw {
    let key = old.key("Dawn").await;
    let mut raw = Raw::connect(oob_address(process).await).await;
    assert_eq!(
        raw.ask(&format!(r#"({{"oob-begin","Old",1,{key},}})"#)).await,
        r#"({"oob-begin","Dawn",0,0,})"#
    );
    raw
}

#[tokio::test]
async fn a_standby_lets_in_whom_the_holder_gave_a_key_and_a_client_of_either_answers() {
    let (router, nats) = (router().await, Nats::start().await);
    let (holder, standby) = two(&router, &nats).await;
    let mut old = RawMud::start(&router, "Old", 0, "").await;
    for process in [&standby, &holder] {
        let client = process.client().await;
        let mut raw = let_in(&mut old, &standby).await;
        let (answer, asked) = tokio::join!(
            raw.ask(LETTER),
            serve(&client, "mail_received", "mail_ack", json!({"failed": ["zoe"]}))
        );
        assert_eq!(answer, ACK);
        assert_eq!((&asked["from_mud"], &asked["to_users"]), (&json!("Old"), &json!(["ann", "zoe"])));

        // A file of many bytes, of which the bus sees each.
        let contents = "\"x\\".repeat(8000);
        let reply = json!({"outcome": "ok", "contents": contents});
        let (answer, _) = tokio::join!(
            raw.ask(r#"({"file-get-req",3,"Old","bob","a.txt",})"#),
            serve(&client, "file_get_requested", "file_reply", reply)
        );
        assert!(answer.starts_with(r#"({"file-get-reply",3,1,"#) && answer.len() > 24_000);
        assert!(raw.ask(r#"({"oob-end","Old",})"#).await.contains("oob-end"));
    }

    // Nobody else is let in: not with a wrong key, nor twice with the same, nor unannounced.
    let key = old.key("Dawn").await;
    let address = oob_address(&standby).await;
    let begin = |auth: u8, key: i64| format!(r#"({{"oob-begin","Old",{auth},{key},}})"#);
    for wrong in [begin(1, key - 1), begin(0, 0)] {
        let mut raw = Raw::connect(address).await;
        raw.send(&wrong).await;
        raw.ends().await;
    }
    let mut raw = Raw::connect(address).await;
    assert!(raw.ask(&begin(1, key)).await.contains("oob-begin"));
    let mut raw = Raw::connect(address).await;
    raw.send(&begin(1, key)).await;
    raw.ends().await;
}

#[tokio::test]
async fn a_conversation_outlives_the_process_that_held_the_session() {
    let (router, nats) = (router().await, Nats::start().await);
    let (holder, standby) = two(&router, &nats).await;
    let mut old = RawMud::start(&router, "Old", 0, "").await;
    let mut raw = let_in(&mut old, &standby).await;
    let client = standby.client().await;
    let mark = router.mark();
    holder.terminate().await;
    registered_since(&router, mark, "Dawn").await;
    until(&client, "status", json!({}), |status: &Value| status["connected"] == true).await;
    let (answer, _) = tokio::join!(
        raw.ask(LETTER),
        serve(&client, "mail_received", "mail_ack", json!({"failed": ["zoe"]}))
    );
    assert_eq!(answer, ACK);
}

#[tokio::test]
async fn nobody_has_a_letter_of_which_nobody_knows() {
    let (router, nats) = (router().await, Nats::start().await);
    let (holder, standby) = two(&router, &nats).await;
    let mut old = RawMud::start(&router, "Old", 0, "").await;
    let mut raw = let_in(&mut old, &standby).await;
    let client = standby.client().await;
    // Until the holder has heard of the client it gives the letter to nobody.
    loop {
        raw.send(LETTER).await;
        client.wait_event(is("mail_received"), WITHIN).await.unwrap();
        if timeout(Duration::from_millis(300), raw.next()).await.is_err() {
            break;
        }
    }
    // It dies with the letter in its hands.
    drop(holder.killed().await);
    let answer = raw.next().await.unwrap();
    assert!(answer.contains(r#""error""#) && answer.contains("not-allowed"), "{answer}");
}
