//! Faults 10 to 12: the link to the router.

use std::time::{Duration, Instant};

use i3_router::{Config, Event, Mark, Router, RunningRouter};
use intermud3::Packet;
use intermud3::packet::{Body, StartupReq3};
use mudclient::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::{BUSY, configured, dawn, frame, raw, strict, tell};
use crate::raw_mud::Raw;
use crate::support::{Gateway, WITHIN, hear, is, received, registered, registered_since, say};

/// The router is played by hand here: it answers when the test says so.
#[tokio::test]
async fn fault_10_nobody_is_ready_before_the_router_has_answered() {
    let (router, listener) = (strict().await, TcpListener::bind("127.0.0.1:0").await.unwrap());
    let port = listener.local_addr().unwrap().port().to_string();
    let environment = [("I3_ROUTER_PORT", port.as_str()), BUSY[0]];
    let gateway = Gateway::start("Dawn", &router, &environment).await;
    let (stream, _) = timeout(WITHIN, listener.accept()).await.unwrap().unwrap();
    let mut by_hand = Raw::new(stream);
    assert!(by_hand.next().await.unwrap().starts_with(r#"({"startup-req-3",5,"Dawn",0,"*test","#));

    let client = gateway.listener().await;
    let health = async |path: &str| gateway.get("metrics", path).await;
    assert_eq!((health("/health/ready").await.0, health("/health/live").await.0), (503, 200));
    assert!(health("/health").await.1.contains("degraded"));
    assert_eq!(client.call("status", json!({})).await.unwrap()["connected"], false);
    assert_eq!(tell(&client, "early").await["status"], "queued");
    say(&client, &["early too"]).await;
    let silence = timeout(Duration::from_millis(300), by_hand.next()).await;
    assert!(silence.is_err(), "nothing goes out before the answer: {silence:?}");

    by_hand.send(r#"({"startup-reply",5,"*test",0,"Dawn",0,({({"*test","127.0.0.1 8080",}),}),7,})"#).await;
    let mut sent = Vec::new();
    while !sent.iter().any(|frame: &String| frame.contains("\"early too\"")) {
        sent.push(by_hand.next().await.unwrap());
    }
    assert!(sent[0].starts_with(r#"({"channel-listen","#) && sent[1].contains("\"early\""), "{sent:?}");
    assert_eq!((health("/health/ready").await.0, health("/health/live").await.0), (200, 200));
    assert_eq!(client.call("status", json!({})).await.unwrap()["connected"], true);
}

/// Three times the router is gone, and once it is away for some attempts. The waits between attempts are random, and
/// bounded by 1, 2, 4 ... 60 s: `router::backoff` shows the bound, that it is never given up and starts over.
#[tokio::test]
async fn fault_11_the_link_comes_back_each_time() {
    let (router, gateway, client) = dawn().await;
    for _ in 0..3 {
        let mark = router.mark();
        router.restart().await;
        registered_since(&router, mark, "Dawn").await;
        client.wait_event(is("gateway_reconnected"), WITHIN).await.unwrap();
    }
    let waits: Vec<f64> = gateway.whole_log().lines().filter_map(wait).collect();
    assert_eq!(waits.len(), 3, "one attempt each");
    for (attempt, wait) in waits.iter().enumerate() {
        let most = f64::from(1 << attempt).max(1.1);
        assert!((1.1..=most).contains(wait), "attempt {attempt} after {wait} s");
    }
}

fn wait(line: &str) -> Option<f64> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == "will try the router again").then(|| line["seconds"].as_f64().unwrap())
}

#[tokio::test]
async fn fault_11_a_router_that_is_away_for_some_attempts_is_found_again() {
    let router = strict().await;
    let address = router.addr();
    let gateway = {
        let gateway = Gateway::start("Dawn", &router, BUSY).await;
        gateway.logged("SessionEstablished").await;
        router.stop().await;
        gateway
    };
    gateway.logged("RouterUnreachable").await;
    let router = Router::start(Config { listen: address, ..Config::strict() }).await.unwrap();
    registered(&router, "Dawn").await;
}

/// A link that is open and dead: two probes without an answer within eight seconds end it, and the mud is back two seconds
/// later, whatever went wrong before.
#[tokio::test]
async fn fault_11_a_half_open_link_is_found_out() {
    let router = strict().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    gateway.logged("SessionEstablished").await;
    let (client, mut mark) = (gateway.client().await, router.mark());
    // After each short session a gateway waits longer.
    for _ in 0..3 {
        mark = router.mark();
        client.call("reconnect", json!({})).await.unwrap();
        registered_since(&router, mark, "Dawn").await;
    }
    // The probe by which the gateway learns that this router sends them back.
    received(&router, mark, "auth-mud-req").await;
    assert!(router.half_open("Dawn").await);
    let (mark, frozen) = (router.mark(), Instant::now());
    let line = gateway.logged("stopped answering").await;
    assert_eq!(line["reason"], "RouterSilent");
    let found_out = frozen.elapsed();
    assert!(found_out < Duration::from_secs(9), "{found_out:?}");
    assert_eq!(gateway.get("metrics", "/health/ready").await.0, 503);
    registered_since(&router, mark, "Dawn").await;
    assert!(frozen.elapsed() < Duration::from_secs(10), "{:?}", frozen.elapsed());
}

/// So many packets go without a sign of life.
const SWALLOWED: usize = 6;

/// What a dead link may swallow is bounded: what is said before it is found out waits, and goes over the next one.
#[tokio::test]
async fn a_link_that_is_dead_swallows_no_more_than_a_few_packets() {
    let (router, _gateways, ears, client) = dawn_and_dusk().await;
    assert!(router.half_open("Dawn").await);
    let texts: Vec<String> = (0..20).map(|number| format!("word {number}")).collect();
    let mark = router.mark();
    say(&client, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    registered_since(&router, mark, "Dawn").await;
    let first = ears.wait_event(is("channel_message"), WITHIN).await.unwrap();
    let first = texts.iter().position(|text| first["params"]["message"] == text.as_str()).unwrap();
    assert!((1..=SWALLOWED).contains(&first), "{first} were lost");
    hear(&ears, &texts[first + 1..].iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// A link that stands still brings the router all at once what was sent meanwhile. It is never so much that the router
/// ignores the mud for it.
#[tokio::test]
async fn a_link_that_stood_still_loses_nothing() {
    let (router, _gateways, ears, client) = dawn_and_dusk().await;
    assert!(router.half_open("Dawn").await);
    // Each waits a moment for the link.
    let texts: Vec<String> = (0..30).map(|number| format!("word {number}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let stood = Instant::now();
    say(&client, &texts).await;
    assert!(stood.elapsed() > Duration::from_secs(2), "a router looks back for a second");
    assert!(router.resume("Dawn").await);
    hear(&ears, &texts).await;
}

/// Two muds on a channel, with a client of each, the second's first. The first has learned that the router sends probes
/// back.
async fn dawn_and_dusk() -> (RunningRouter, [Gateway; 2], Client, Client) {
    let router = strict().await;
    let mark = router.mark();
    let dawn = Gateway::start("Dawn", &router, BUSY).await;
    dawn.logged("SessionEstablished").await;
    received(&router, mark, "auth-mud-req").await;
    let dusk = Gateway::start("Dusk", &router, &[]).await;
    dusk.logged("SessionEstablished").await;
    let (ears, client) = (dusk.listener().await, dawn.listener().await);
    (router, [dawn, dusk], ears, client)
}

/// The first router is away, and the next entry is the empty one that was shipped with the Python gateway: the second
/// router is called by its exact name in every packet. That a router's own list is obeyed and remembered is shown in
/// `link::the_router_that_the_router_prefers_is_gone_to_and_remembered`.
#[tokio::test]
async fn fault_12_a_fallback_router_is_called_by_its_own_name() {
    let primary = strict().await;
    let second = Router::start(Config { name: "*second".to_owned(), ..Config::strict() }).await.unwrap();
    primary.clone().stop().await;
    let port = second.addr().port();
    let fallback = format!("[{{host: '', port: 8080}}, {{name: '*second', host: 127.0.0.1, port: {port}}}]");
    let config = format!("router: {{fallback: {fallback}}}\napi: {{auth: {{api_keys: [{{key: any}}]}}}}");
    let gateway = configured(&primary, &config).await;
    raw(&second, Mark::START, r#"({"startup-req-3",5,"Dawn",0,"*second",0,"#).await;
    gateway.logged("SessionEstablished").await;
    let client = mudclient::Client::connect(&gateway.tcp().await).await.unwrap();
    client.authenticate("any").await.unwrap();
    assert_eq!(client.call("status", json!({})).await.unwrap()["router"], "*second");
    client.call("channel_join", json!({"channel": "imud_gossip"})).await.unwrap();
    raw(&second, Mark::START, r#"({"channel-listen",5,"Dawn",0,"*second",0,"imud_gossip",1,})"#).await;
    say(&client, &["here"]).await;
    hear(&client, &["here"]).await;
    let foreign = |event: &Event| frame(event).is_some_and(|frame| frame.contains("fallback"));
    assert!(second.wait_for(Mark::START, foreign, Duration::ZERO).await.is_none());
}

#[tokio::test]
async fn fault_12_the_ids_of_the_lists_are_shown_to_the_router_that_gave_them() {
    let (router, gateway, client) = dawn().await;
    assert_eq!(registration(&router, Mark::START).await, (0, 0), "nothing is known yet");
    // The last list that comes at first is the one with ourselves.
    let mut again = tokio::time::interval(Duration::from_millis(50));
    while client.call("mudlist", json!({})).await.unwrap()["count"] == 0 {
        again.tick().await;
    }
    gateway.terminate().await;
    let (_, state) = gateway.ended().await;
    let id = |name: &str| {
        let packet = Packet::decode(&std::fs::read(state.path().join(name)).unwrap()).unwrap();
        match packet.body {
            Body::Mudlist(list) => list.id,
            Body::ChanlistReply(list) => list.id,
            other => panic!("{other:?}"),
        }
    };
    let kept = (id("mudlist.lpc"), id("chanlist.lpc"));
    assert!(kept.0 > 0 && kept.1 > 0, "{kept:?}");
    let mark = router.mark();
    let _gateway = Gateway::start_in(state, "Dawn", &router, BUSY).await;
    assert_eq!(registration(&router, mark).await, kept);
}

/// The ids of the next registration.
async fn registration(router: &RunningRouter, since: Mark) -> (i64, i64) {
    let startup = |event: &Event| match event.packet()?.body {
        Body::StartupReq3(startup) => Some(startup),
        _ => None,
    };
    let event =
        router.wait_for(since, |event| startup(event).is_some(), WITHIN).await.expect("a registration");
    let StartupReq3 { old_mudlist_id, old_chanlist_id, .. } = *startup(&event).unwrap();
    (old_mudlist_id, old_chanlist_id)
}
