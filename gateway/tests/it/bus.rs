//! Two gateways of one provider, a router, and a real nats-server between them.

use std::time::Duration;

use i3_router::RunningRouter;
use mudgateway_crds::bus::{CHANNEL_STREAM, REPORT_BUCKET, STATE_BUCKET, report_key, state_key};
use mudgateway_crds::report::{GatewayReport, SessionReason};
use serde_json::json;

use super::support::{Gateway, Nats, hear, is, registered, registered_since, router, say};

/// A gateway on the bus, registered with the router.
pub async fn on_bus(mud: &str, router: &RunningRouter, nats: &Nats, more: &[(&str, &str)]) -> Gateway {
    let mark = router.mark();
    let url = nats.url();
    let environment = [&[("NATS_URL", url.as_str())], more].concat();
    let gateway = Gateway::start(mud, router, &environment).await;
    registered_since(router, mark, mud).await;
    gateway.logged("SessionEstablished").await;
    gateway
}

#[tokio::test]
async fn each_message_is_heard_once_by_the_bus_the_router_or_both() {
    let (router, nats) = (router().await, Nats::start().await);
    let dawn = on_bus("Dawn", &router, &nats, &[]).await;
    let dusk = on_bus("Dusk", &router, &nats, &[]).await;
    let (ann, bob) = (dawn.listener().await, dusk.listener().await);

    let both = ["hi", "hi", "both ways"];
    say(&ann, &both).await;
    hear(&bob, &both).await;
    hear(&ann, &both).await;

    router.cut("Dusk").await;
    dusk.logged("SessionLost").await;
    let by_bus = ["hi", "hi", "by the bus alone"];
    say(&ann, &by_bus).await;
    hear(&bob, &by_bus).await;
    hear(&ann, &by_bus).await;
    assert_eq!(dusk.get("metrics", "/health/ready").await.0, 200, "the bus is there");

    // What Dusk says now goes by the bus at once, and by the router late, when nobody must hear it again.
    say(&bob, &["cut off"]).await;
    hear(&ann, &["cut off"]).await;
    hear(&bob, &["cut off"]).await;
    let mark = router.mark();
    router.restore("Dusk").await;
    registered_since(&router, mark, "Dusk").await;
    super::support::received(&router, mark, "cut off").await;
    say(&ann, &["welcome back"]).await;
    hear(&bob, &["welcome back"]).await;
    hear(&ann, &["welcome back"]).await;
}

#[tokio::test]
async fn a_targeted_emote_is_seen_once_by_the_bus_the_router_or_both() {
    let (router, nats) = (router().await, Nats::start().await);
    let dawn = on_bus("Dawn", &router, &nats, &[]).await;
    let dusk = on_bus("Dusk", &router, &nats, &[]).await;
    let (ann, bob) = (dawn.listener().await, dusk.listener().await);
    let poke = json!({
        "channel": super::support::CHANNEL, "emote": "pokes $O.", "from_user": "ann", "target_mud": "Dusk",
        "target_user": "bob", "target_visname": "Bob",
    });
    ann.call("channel_emote", poke.clone()).await.unwrap();
    let seen = bob.wait_event(is("channel_emote"), super::support::WITHIN).await.unwrap();
    assert_eq!(
        (&seen["params"]["message"], &seen["params"]["target_visname"]),
        (&json!("$N pokes $O."), &json!("Bob"))
    );
    // Both copies have come when what was said later has, by either way.
    say(&ann, &["after it"]).await;
    for client in [&ann, &bob] {
        hear(client, &["after it"]).await;
    }
    ann.wait_event(is("channel_emote"), super::support::WITHIN).await.unwrap();
    for client in [&ann, &bob] {
        let again = client.wait_event(is("channel_emote"), Duration::from_millis(500)).await;
        assert!(again.is_err(), "{again:?}");
    }
    router.cut("Dusk").await;
    dusk.logged("SessionLost").await;
    ann.call("channel_emote", poke).await.unwrap();
    let seen = bob.wait_event(is("channel_emote"), super::support::WITHIN).await.unwrap();
    assert_eq!(seen["params"]["target_user"], "bob");
}

#[tokio::test]
async fn without_the_bus_the_router_carries_on_and_with_it_again_nothing_is_doubled() {
    let (router, mut nats) = (router().await, Nats::start().await);
    let dawn = on_bus("Dawn", &router, &nats, &[]).await;
    let dusk = on_bus("Dusk", &router, &nats, &[]).await;
    let (ann, bob) = (dawn.listener().await, dusk.listener().await);
    say(&ann, &["first"]).await;
    hear(&bob, &["first"]).await;

    nats.stop().await;
    dusk.logged("disconnected").await;
    let by_router = ["hi", "hi", "by the router alone"];
    say(&ann, &by_router).await;
    hear(&bob, &by_router).await;
    assert_eq!(dusk.get("metrics", "/health/ready").await.0, 200, "the router is there");

    // Dawn publishes what it could not before; Dusk had it from the router.
    nats.restart().await;
    let both = ["hi", "after the outage"];
    say(&ann, &both).await;
    hear(&bob, &both).await;
    router.cut("Dusk").await;
    dusk.logged("SessionLost").await;
    say(&ann, &["by the bus alone"]).await;
    hear(&bob, &["by the bus alone"]).await;
}

#[tokio::test]
async fn what_is_said_while_nats_is_slow_goes_together_and_is_heard_in_order() {
    let (router, nats) = (router().await, Nats::start().await);
    let dawn = on_bus("Dawn", &router, &nats, &[("API_REQUESTS_PER_MINUTE", "1000000")]).await;
    let dusk = on_bus("Dusk", &router, &nats, &[]).await;
    let (ann, bob) = (dawn.listener().await, dusk.listener().await);
    router.cut("Dusk").await;
    dusk.logged("SessionLost").await;
    say(&ann, &["before"]).await;
    hear(&bob, &["before"]).await;
    let mut stream = nats.context().await.get_stream(CHANNEL_STREAM).await.unwrap();
    let before = stream.info().await.unwrap().state.messages;
    nats.signal("-STOP").await;
    let texts: Vec<_> = (0..30).map(|number| number.to_string()).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    say(&ann, &texts).await;
    nats.signal("-CONT").await;
    hear(&bob, &texts).await;
    let messages = stream.info().await.unwrap().state.messages - before;
    assert!(messages < 6, "{messages} messages for {}", texts.len());
}

#[tokio::test]
async fn the_password_is_kept_on_the_bus_and_a_gateway_elsewhere_finds_it() {
    let (router, nats) = (router().await, Nats::start().await);
    let dawn = on_bus("Dawn", &router, &nats, &[]).await;
    let bucket = nats.context().await.get_key_value(STATE_BUCKET).await.unwrap();
    let key = state_key(router.name(), "Dawn", "password");
    let password = bucket.get(&key).await.unwrap().expect("it is stored");
    let state = dawn.killed().await;
    assert!(!state.path().join("router-password").exists(), "no copy in a file");
    let _dawn = on_bus("Dawn", &router, &nats, &[]).await;
    assert_eq!(bucket.get(&key).await.unwrap().as_deref(), Some(&*password));
}

#[tokio::test]
async fn a_gateway_that_cannot_read_its_password_does_not_register() {
    let (router, mut nats) = (router().await, Nats::start().await);
    nats.stop().await;
    let url = nats.url();
    let gateway = Gateway::start("Dawn", &router, &[("NATS_URL", &url)]).await;
    gateway.logged("StateUnavailable").await;
    assert!(router.muds().await.is_empty());
    nats.restart().await;
    registered(&router, "Dawn").await;
    gateway.logged("SessionEstablished").await;
}

#[tokio::test]
async fn the_operator_is_told_how_the_session_is() {
    let (router, nats) = (router().await, Nats::start().await);
    let identity =
        [("MUDGATEWAY_NAMESPACE", "tenant-a"), ("MUDGATEWAY_NAME", "dawn"), ("POD_NAME", "dawn-1")];
    let dawn = on_bus("Dawn", &router, &nats, &identity).await;
    let bucket = nats.context().await.get_key_value(REPORT_BUCKET).await.unwrap();
    let key = report_key("tenant-a", "dawn");
    let mut reports = bucket.watch_with_history(&key).await.unwrap();
    let mut next = async |reason: SessionReason| -> GatewayReport {
        use futures::StreamExt;
        let find = async {
            loop {
                let entry = reports.next().await.unwrap().unwrap();
                let report: GatewayReport = serde_json::from_slice(&entry.value).unwrap();
                if report.reason == reason {
                    return report;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), find).await.expect("the report comes")
    };
    let report = next(SessionReason::SessionEstablished).await;
    assert_eq!(report.holder, "dawn-1");
    assert_eq!(report.router.as_deref(), Some("*test"));
    assert!(report.connected_since.unwrap().ends_with('Z'));
    router.cut("Dawn").await;
    let report = next(SessionReason::SessionLost).await;
    assert!(report.connected_since.is_none() && report.message.contains("closed the connection"));
    drop(dawn);
}

#[tokio::test]
async fn muds_of_another_network_hear_nothing() {
    let (router, nats) = (router().await, Nats::start().await);
    let dawn = on_bus("Dawn", &router, &nats, &[]).await;
    let other = on_bus("Other", &router, &nats, &[("I3_NETWORK", "another")]).await;
    let (ann, eve) = (dawn.listener().await, other.listener().await);
    router.cut("Other").await;
    other.logged("SessionLost").await;
    say(&ann, &["for our own ears"]).await;
    hear(&ann, &["for our own ears"]).await;
    // Eve's own words come by her network's bus: had Ann's come, they would be first.
    say(&eve, &["anybody?"]).await;
    hear(&eve, &["anybody?"]).await;
    let late = eve.wait_event(is("channel_message"), Duration::from_millis(300)).await;
    assert!(late.is_err(), "{late:?}");
    assert_eq!(ann.call("status", json!({})).await.unwrap()["connected"], true);
}

#[tokio::test]
async fn what_was_queued_is_sent_by_the_process_that_comes_after() {
    let (router, nats) = (router().await, Nats::start().await);
    let dawn = on_bus("Dawn", &router, &nats, &[]).await;
    let client = dawn.client().await;
    router.cut("Dawn").await;
    dawn.logged("SessionLost").await;
    let params = json!({"target_mud": "Dawn", "target_user": "x", "message": "left behind."});
    assert_eq!(client.call("tell", params).await.unwrap()["status"], "queued");
    dawn.terminate().await;
    dawn.ended().await;
    let mark = router.mark();
    router.restore("Dawn").await;
    let _dawn = on_bus("Dawn", &router, &nats, &[]).await;
    super::support::received(&router, mark, "left behind.").await;
}

#[tokio::test]
async fn what_is_known_of_users_is_there_after_a_planned_end_and_for_who_takes_over() {
    let (router, nats) = (router().await, Nats::start().await);
    let dawn = on_bus("Dawn", &router, &nats, &[]).await;
    let standby = Gateway::start("Dawn", &router, &[("NATS_URL", nats.url().as_str())]).await;
    standby.logged("\"reason\":\"Standby\"").await;
    let mut far = super::raw_mud::RawMud::start(&router, "Far", 0, r#""ucache":1,"#).await;
    far.broadcast(r#"({"ucache-update",5,"Far",0,0,0,"eve","Lady Eve",1,})"#).await;
    let ask = json!({"target_mud": "Far", "target_user": "eve"});
    let is_known = |info: &serde_json::Value| info["visname"] == "Lady Eve";
    super::support::until(&dawn.client().await, "user_info", ask.clone(), is_known).await;
    dawn.terminate().await;
    dawn.ended().await;
    standby.logged("SessionEstablished").await;
    let client = standby.client().await;
    let known = super::support::until(&client, "user_info", ask, is_known).await;
    assert_eq!((&known["cached"], &known["gender"]), (&json!(true), &json!("female")));
}
