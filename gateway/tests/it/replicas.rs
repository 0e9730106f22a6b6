//! Several processes of one mud serve its clients alike, and go on where another one ended.

use std::time::Duration;

use i3_router::RunningRouter;
use mudclient::Client;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::bus::on_bus;
use super::lock::process;
use super::support::{CHANNEL, Gateway, KEY, Nats, WITHIN, hear, is, router, say, until};

/// The process that holds the session, and one that stands by and knows that the other is on the network.
pub(super) async fn holder_and_standby(start: impl AsyncFn() -> Gateway) -> (Gateway, Gateway) {
    let holder = start().await;
    holder.logged("SessionEstablished").await;
    let standby = start().await;
    let client = standby.client().await;
    until(&client, "status", json!({}), |status| status["connected"] == true).await;
    (holder, standby)
}

async fn two(router: &RunningRouter, nats: &Nats) -> (Gateway, Gateway) {
    holder_and_standby(async || process(router, nats).await).await
}

/// The next event of a kind.
async fn next(client: &Client, kind: &str) -> Value {
    client.wait_event(is(kind), WITHIN).await.unwrap_or_else(|error| panic!("no {kind}: {error}"))["params"]
        .clone()
}

fn place(event: &Value) -> (u64, u64) {
    (event["epoch"].as_u64().unwrap(), event["seq"].as_u64().unwrap())
}

/// A client that goes on where a session ended, and what it was told then.
pub(super) async fn resumed(gateway: &Gateway, session: &Value, place: (u64, u64)) -> (Client, Value) {
    let client = Client::connect(&gateway.websocket().await).await.unwrap();
    let resume = json!({"session_id": session, "epoch": place.0, "seq": place.1});
    let welcome = client.call("authenticate", json!({"api_key": KEY, "resume": resume})).await.unwrap();
    (client, welcome)
}

/// Waits until a process has no client.
async fn nobody_on(gateway: &Gateway) {
    let gone = async {
        while !gateway
            .get("metrics", "/metrics")
            .await
            .1
            .contains("\napi_sessions{transport=\"websocket\"} 0")
        {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(WITHIN, gone).await.expect("its client leaves");
}

/// A client on the channel, and the id of its session.
pub(super) async fn listener(gateway: &Gateway) -> (Client, Value) {
    let client = Client::connect(&gateway.websocket().await).await.unwrap();
    let welcome = client.call("authenticate", json!({"api_key": KEY})).await.unwrap();
    client.call("channel_join", json!({"channel": CHANNEL})).await.unwrap();
    (client, welcome["session_id"].clone())
}

fn to_ann(message: &str) -> Value {
    json!({"target_mud": "Dawn", "target_user": "ann", "from_user": "bob", "message": message})
}

#[tokio::test]
async fn a_client_of_a_standby_gets_and_does_what_one_of_the_holder_does() {
    let (router, nats) = (router().await, Nats::start().await);
    let (holder, standby) = two(&router, &nats).await;
    let dusk = on_bus("Dusk", &router, &nats, &[]).await;
    let bob = dusk.listener().await;
    let (here, there) = (standby.listener().await, holder.listener().await);

    say(&bob, &["one"]).await;
    let (one, other) = (next(&here, "channel_message").await, next(&there, "channel_message").await);
    assert_eq!((place(&one), &one["timestamp"]), (place(&other), &other["timestamp"]), "one log");
    hear(&bob, &["one"]).await;

    say(&here, &["two"]).await;
    for client in [&bob, &here, &there] {
        hear(client, &["two"]).await;
    }
    let history = json!({"channel": CHANNEL});
    assert_eq!(
        here.call("channel_history", history.clone()).await,
        there.call("channel_history", history).await
    );

    let told = here
        .call("tell", json!({"target_mud": "Dusk", "target_user": "bob", "message": "hi"}))
        .await
        .unwrap();
    assert_eq!(told["status"], "sent");
    assert_eq!(next(&bob, "tell_received").await["message"], "hi");
    bob.call("tell", to_ann("hi, too")).await.unwrap();
    assert_eq!(next(&here, "tell_received").await["message"], "hi, too");

    bob.call("presence_sync", json!({"users": [{"name": "Bob"}]})).await.unwrap();
    let who = here.call("who", json!({"target_mud": "Dusk", "wait": true})).await.unwrap();
    assert_eq!(who["users"][0]["name"], "Bob");
    let mut refused = Vec::new();
    for client in [&here, &there] {
        let error = client.call("channel_remove", json!({"channel": "nothing"})).await.unwrap_err();
        refused.push(error.rpc().map(|error| (error.code, error.message.clone())));
    }
    assert!(refused[0].is_some() && refused[0] == refused[1], "{refused:?}");
    for list in ["mudlist", "channel_list"] {
        let wanted = there.call(list, json!({})).await.unwrap();
        until(&here, list, json!({}), |found| *found == wanted).await;
    }
    let (code, ready) = standby.get("metrics", "/health/ready").await;
    assert_eq!(
        (code, serde_json::from_str::<Value>(&ready).unwrap()["role"].clone()),
        (200, json!("standby"))
    );
    assert!(holder.get("metrics", "/metrics").await.1.contains("session_lock_held 1"));
}

#[tokio::test]
async fn a_client_of_a_standby_outlives_the_holder_without_a_word_of_its_own() {
    let (router, nats) = (router().await, Nats::start().await);
    let (holder, standby) = two(&router, &nats).await;
    let dusk = on_bus("Dusk", &router, &nats, &[]).await;
    let bob = dusk.listener().await;
    let ann = standby.listener().await;
    say(&bob, &["before"]).await;
    let before = next(&ann, "channel_message").await;
    holder.killed().await;
    // Hosted muds are heard late, but heard, in order and once.
    say(&bob, &["meanwhile", "and again"]).await;
    for expected in ["meanwhile", "and again"] {
        let event = next(&ann, "channel_message").await;
        assert_eq!(event["message"], expected);
        assert!(place(&event) > place(&before));
    }
    standby.logged("SessionEstablished").await;
    // What is asked for while nobody holds the session is done by who comes to hold it.
    say(&bob, &["after"]).await;
    hear(&ann, &["after"]).await;
    say(&ann, &["here I am"]).await;
    hear(&ann, &["here I am"]).await;
    let again = ann.wait_event(is("channel_message"), Duration::from_millis(300)).await;
    assert!(again.is_err(), "{again:?}");
}

#[tokio::test]
async fn a_session_goes_on_on_another_process_than_the_one_that_died() {
    let (router, nats) = (router().await, Nats::start().await);
    let (holder, standby) = two(&router, &nats).await;
    let dusk = on_bus("Dusk", &router, &nats, &[]).await;
    let bob = dusk.listener().await;
    let (ann, session) = listener(&holder).await;
    say(&bob, &["before"]).await;
    let last = next(&ann, "channel_message").await;
    say(&bob, &["missed"]).await;
    next(&ann, "channel_message").await;
    holder.killed().await;
    say(&bob, &["while nobody was there"]).await;
    standby.logged("\"to\":\"Holder\"").await;
    let (ann, welcome) = resumed(&standby, &session, place(&last)).await;
    assert_eq!(welcome["recovered"], true, "{welcome}");
    hear(&ann, &["missed", "while nobody was there"]).await;
    say(&bob, &["and now"]).await;
    hear(&ann, &["and now"]).await;
}

#[tokio::test]
async fn a_session_that_goes_on_elsewhere_ends_where_it_was() {
    let (router, nats) = (router().await, Nats::start().await);
    let (holder, standby) = two(&router, &nats).await;
    let (ann, session) = listener(&holder).await;
    say(&ann, &["before"]).await;
    let last = next(&ann, "channel_message").await;
    let (again, welcome) = resumed(&standby, &session, place(&last)).await;
    assert_eq!(welcome["recovered"], true, "{welcome}");
    holder.logged("resumed by another connection").await;
    say(&again, &["after"]).await;
    hear(&again, &["after"]).await;
}

#[tokio::test]
async fn a_tell_waits_for_a_client_of_any_process_and_is_heard_once() {
    let (router, nats) = (router().await, Nats::start().await);
    let (holder, standby) = two(&router, &nats).await;
    let dusk = on_bus("Dusk", &router, &nats, &[]).await;
    let bob = dusk.client().await;
    bob.call("tell", to_ann("are you there?")).await.unwrap();
    holder.logged("a tell waits for a client").await;
    standby.logged("a tell waits for a client").await;
    holder.killed().await;
    standby.logged("SessionEstablished").await;
    bob.call("tell", to_ann("still not?")).await.unwrap();
    let ann = standby.client().await;
    for expected in ["are you there?", "still not?"] {
        assert_eq!(next(&ann, "tell_received").await["message"], expected);
    }
    let other = standby.client().await;
    let again = other.wait_event(is("tell_received"), Duration::from_millis(300)).await;
    assert!(again.is_err(), "{again:?}");
}

#[tokio::test]
async fn a_tell_that_came_while_a_client_went_to_another_process_is_heard_once() {
    let (router, nats) = (router().await, Nats::start().await);
    let (holder, standby) = two(&router, &nats).await;
    let dusk = on_bus("Dusk", &router, &nats, &[]).await;
    let bob = dusk.client().await;
    let ann = Client::connect(&holder.websocket().await).await.unwrap();
    let welcome = ann.call("authenticate", json!({"api_key": KEY})).await.unwrap();
    drop(ann);
    nobody_on(&holder).await;
    bob.call("tell", to_ann("meanwhile")).await.unwrap();
    standby.logged("a tell waits for a client").await;
    let (ann, again) = resumed(&standby, &welcome["session_id"], place(&welcome["position"])).await;
    assert_eq!(again["recovered"], true, "{again}");
    assert_eq!(next(&ann, "tell_received").await["message"], "meanwhile");
    holder.terminate().await;
    standby.logged("SessionEstablished").await;
    bob.call("tell", to_ann("after")).await.unwrap();
    assert_eq!(next(&ann, "tell_received").await["message"], "after", "and nothing again before it");
}

#[tokio::test]
async fn a_tell_waits_though_all_processes_end() {
    let (router, nats) = (router().await, Nats::start().await);
    let dawn = on_bus("Dawn", &router, &nats, &[]).await;
    let dusk = on_bus("Dusk", &router, &nats, &[]).await;
    let bob = dusk.client().await;
    bob.call("tell", to_ann("are you there?")).await.unwrap();
    dawn.logged("the tells that wait for a client are kept\",\"tells\":1").await;
    dawn.killed().await;
    let dawn = process(&router, &nats).await;
    dawn.logged("SessionEstablished").await;
    let ann = dawn.client().await;
    assert_eq!(next(&ann, "tell_received").await["message"], "are you there?");
}

#[tokio::test]
async fn a_process_with_neither_router_nor_bus_sends_its_clients_away() {
    let (router, mut nats) = (router().await, Nats::start().await);
    let (_holder, standby) = two(&router, &nats).await;
    let _ann = standby.client().await;
    nats.stop().await;
    standby.logged("no router and no bus").await;
    assert_eq!(standby.get("metrics", "/health/ready").await.0, 503);
}
