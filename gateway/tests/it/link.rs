//! The link to the router.

use i3_router::{Config, Event, Mark, RunningRouter};
use intermud3::packet::{Body, StartupReq3};
use serde_json::json;

use super::support::{
    CHANNEL, Gateway, WITHIN, hear, is, received, registered, registered_since, router, say,
};

#[tokio::test]
async fn the_password_outlives_the_process() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    registered(&router, "Dawn").await;
    gateway.logged("SessionEstablished").await;
    let state = gateway.killed().await;
    let password = std::fs::read_to_string(state.path().join("router-password")).unwrap();
    let mark = router.mark();
    let gateway = Gateway::start_in(state, "Dawn", &router, &[]).await;
    registered_since(&router, mark, "Dawn").await;
    gateway.logged("SessionEstablished").await;
    let state = gateway.killed().await;
    assert_eq!(std::fs::read_to_string(state.path().join("router-password")).unwrap(), password);
}

#[tokio::test]
async fn a_cut_link_is_told_clients_stay_and_what_was_accepted_is_sent_when_it_is_back() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    gateway.logged("SessionEstablished").await;
    let client = gateway.listener().await;
    say(&client, &["before"]).await;
    hear(&client, &["before"]).await;

    router.cut("Dawn").await;
    gateway.logged("SessionLost").await;
    assert_eq!(client.call("status", json!({})).await.unwrap()["connected"], false);
    assert_eq!(gateway.get("WebSocket and health", "/health/ready").await.0, 503);
    let params = json!({"target_mud": "Dawn", "target_user": "Ann", "message": "kept"});
    assert_eq!(client.call("tell", params).await.unwrap()["status"], "queued");
    say(&client, &["kept too"]).await;

    let mark = router.mark();
    router.restore("Dawn").await;
    registered_since(&router, mark, "Dawn").await;
    received(&router, mark, &format!("{CHANNEL} on")).await;
    let event = client.wait_event(is("gateway_reconnected"), WITHIN).await.unwrap();
    assert_eq!(event["params"]["status"], "connected");
    let tell = client.wait_event(is("tell_received"), WITHIN).await.unwrap();
    assert_eq!((&tell["params"]["message"], &tell["params"]["to_user"]), (&json!("kept"), &json!("ann")));
    hear(&client, &["kept too"]).await;
    assert_eq!(gateway.get("WebSocket and health", "/health/ready").await.0, 200);
}

#[tokio::test]
async fn a_refusal_is_explained() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[("I3_ROUTER_NAME", "*other")]).await;
    let line = gateway.logged("RouterRefused").await;
    let message = line["detail"].as_str().unwrap();
    assert!(message.contains("Likely causes") && message.contains("\"*other\""), "{message}");
    let (status, body) = gateway.get("metrics", "/health/ready").await;
    assert_eq!(status, 503);
    assert!(body.contains("RouterRefused"), "{body}");
    assert_eq!(
        gateway.get("metrics", "/health/live").await.0,
        200,
        "a refused mud is no reason for a restart"
    );
}

#[tokio::test]
async fn a_router_that_is_away_is_said_to_be() {
    let router = router().await;
    let port = router.addr().port().to_string();
    let name = router.name().to_owned();
    let gateway = {
        let gateway_router = super::support::router().await;
        let environment = [("I3_ROUTER_PORT", port.as_str()), ("I3_ROUTER_NAME", name.as_str())];
        router.stop().await;
        Gateway::start("Dawn", &gateway_router, &environment).await
    };
    let line = gateway.logged("RouterUnreachable").await;
    assert!(line["detail"].as_str().unwrap().contains("cannot connect to *test at 127.0.0.1:"));
}

#[tokio::test]
async fn errors_of_the_router_reach_the_clients() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    gateway.logged("SessionEstablished").await;
    let client = gateway.client().await;
    let params = json!({"target_mud": "Nowhere", "target_user": "x", "message": "hi", "from_user": "ann"});
    client.call("tell", params).await.unwrap();
    let event = client.wait_event(is("error_occurred"), WITHIN).await.unwrap();
    assert_eq!(event["params"]["error_code"], "unk-dst");
    assert_eq!(event["params"]["to_user"], "ann");
}

/// A router of this name; when it is given others, it prefers these to itself.
async fn named(name: &str, preferred: &[&RunningRouter]) -> RunningRouter {
    let address = |router: &RunningRouter| format!("{} {}", router.addr().ip(), router.addr().port());
    let routers = preferred.iter().map(|router| (router.name().to_owned(), address(router))).collect();
    let config = Config { name: name.to_owned(), routers, ..Config::default() };
    i3_router::Router::start(config).await.unwrap()
}

#[tokio::test]
async fn the_router_that_the_router_prefers_is_gone_to_and_remembered() {
    let better = named("*better", &[]).await;
    let router = named("*test", &[&better]).await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    registered(&better, "Dawn").await;
    received(&router, Mark::START, "shutdown").await;
    let line = gateway.logged("Redirected").await;
    assert_eq!(line["detail"], "*test sends us to *better");
    gateway.logged("SessionEstablished").await;
    let client = gateway.client().await;
    assert_eq!(client.call("status", json!({})).await.unwrap()["router"], "*better");

    // Another process knows it too, and that is all it has when the configured one is away.
    let state = gateway.killed().await;
    let address = router.addr();
    router.stop().await;
    let mark = better.mark();
    let port = address.port().to_string();
    let environment = [("I3_ROUTER_NAME", "*test"), ("I3_ROUTER_PORT", port.as_str())];
    let _gateway = Gateway::start_in(state, "Dawn", &better, &environment).await;
    registered_since(&better, mark, "Dawn").await;
}

#[tokio::test]
async fn a_router_that_leaves_a_packet_unfinished_is_left() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    gateway.logged("SessionEstablished").await;
    let mark = router.mark();
    assert!(router.send_raw("Dawn", &b"\0\0\x10\0({\"tell\",5,"[..]).await);
    let line = gateway.logged("left a packet unfinished").await;
    assert_eq!(line["reason"], "ProtocolError");
    registered_since(&router, mark, "Dawn").await;
}

#[tokio::test]
async fn the_lists_outlive_the_process_and_their_ids_are_shown_to_the_router_they_are_of() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    gateway.logged("SessionEstablished").await;
    let client = gateway.client().await;
    // Its own entry comes with the lists.
    while client.call("mudlist", json!({})).await.unwrap()["count"] == 0 {}
    let stats = client.call("stats", json!({})).await.unwrap();
    assert_eq!(stats["channel_count"], 2);
    gateway.terminate().await;
    let (_, state) = gateway.ended().await;
    router.stop().await;

    let other = named("*other", &[]).await;
    let gateway = Gateway::start_in(state, "Dawn", &other, &[]).await;
    let registration = registration(&other).await;
    assert_eq!(
        (registration.old_mudlist_id, registration.old_chanlist_id),
        (0, 0),
        "other router, other ids"
    );
    let client = gateway.client().await;
    assert_eq!(client.call("stats", json!({})).await.unwrap()["channel_count"], 2);
}

/// The first registration that a router got.
async fn registration(router: &RunningRouter) -> Box<StartupReq3> {
    let is_one =
        |event: &Event| matches!(event.packet().map(|packet| packet.body), Some(Body::StartupReq3(_)));
    let event = router.wait_for(Mark::START, is_one, WITHIN).await.expect("a registration");
    match event.packet().unwrap().body {
        Body::StartupReq3(startup) => startup,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_queued_outlives_a_crash_and_is_sent_once() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    gateway.logged("SessionEstablished").await;
    let client = gateway.client().await;
    router.cut("Dawn").await;
    gateway.logged("SessionLost").await;
    for text in ["first.", "second."] {
        let params = json!({"target_mud": "Dawn", "target_user": "x", "message": text});
        assert_eq!(client.call("tell", params).await.unwrap()["status"], "queued");
    }
    let state = gateway.killed().await;
    let mark = router.mark();
    router.restore("Dawn").await;
    let gateway = Gateway::start_in(state, "Dawn", &router, &[]).await;
    received(&router, mark, "first.").await;
    received(&router, mark, "second.").await;
    gateway.terminate().await;
    let (_, state) = gateway.ended().await;
    assert_eq!(std::fs::read_to_string(state.path().join("outbox.json")).unwrap(), "[]");

    let mark = router.mark();
    let _gateway = Gateway::start_in(state, "Dawn", &router, &[]).await;
    registered_since(&router, mark, "Dawn").await;
    let again = |event: &Event| event.packet().is_some_and(|packet| packet.to_string().contains("first."));
    assert!(router.wait_for(mark, again, std::time::Duration::from_secs(1)).await.is_none());
}
