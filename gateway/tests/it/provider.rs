//! Channels between the muds of one provider, of which the router knows nothing.

use std::time::Duration;

use i3_router::{Config, Router, RunningRouter};
use intermud3::packet::Body;
use mudclient::Client;
use serde_json::{Value, json};

use super::bus::on_bus;
use super::raw_mud::RawMud;
use super::support::{Gateway, Nats, WITHIN, is, registered_since, router, until};

const FILE: &str = "channels: {default_channels: [{name: staff, scope: provider}]}";
const STAFF: &str = "staff";

/// A mud that has the channel, and a client that is on it.
pub(super) async fn member(mud: &str, router: &RunningRouter, nats: &Nats) -> (Gateway, Client) {
    let mark = router.mark();
    let environment = [("NATS_URL", &*nats.url()), ("API_REQUESTS_PER_MINUTE", "10000")];
    let gateway = Gateway::start_with_file(mud, router, FILE, &environment).await;
    registered_since(router, mark, mud).await;
    gateway.logged("SessionEstablished").await;
    let client = on_channel(&gateway).await;
    (gateway, client)
}

async fn on_channel(gateway: &Gateway) -> Client {
    let client = gateway.client().await;
    client.call("channel_join", json!({"channel": STAFF})).await.unwrap();
    client
}

pub(super) async fn say(client: &Client, text: &str) -> Value {
    let params = json!({"channel": STAFF, "message": text, "from_user": "ann"});
    client.call("channel_send", params).await.unwrap()["status"].clone()
}

/// Hears exactly this next.
pub(super) async fn hear(client: &Client, text: &str) {
    let event = client.wait_event(is("channel_message"), WITHIN).await;
    let event = event.unwrap_or_else(|error| panic!("did not hear {text:?}: {error}"));
    assert_eq!(event["params"]["message"], text);
}

/// Hears nothing more.
async fn silent(client: &Client) {
    let event = client.wait_event(is("channel_message"), Duration::from_millis(300)).await;
    assert!(event.is_err(), "{event:?}");
}

/// Whether the router ever got a packet about the channel from a hosted mud.
async fn router_knows(router: &RunningRouter) -> bool {
    let about = |body: &Body| match body {
        Body::ChannelMessage(said) | Body::ChannelEmote(said) => said.channel == STAFF,
        Body::ChannelListen(listen) => listen.channel == STAFF && listen.on,
        Body::ChanWhoReq(who) => who.channel == STAFF,
        Body::ChannelAdd(add) => add.channel == STAFF,
        _ => false,
    };
    let wanted = |event: &i3_router::Event| {
        event.packet().is_some_and(|packet| packet.header.origin_mud != "Far" && about(&packet.body))
    };
    router.wait_for(i3_router::Mark::START, wanted, Duration::from_millis(10)).await.is_some()
}

#[tokio::test]
async fn members_talk_ask_and_remember_and_the_router_never_knows() {
    let (router, nats) = (router().await, Nats::start().await);
    let (dawn, ann) = member("Dawn", &router, &nats).await;
    let (dusk, bob) = member("Dusk", &router, &nats).await;
    assert_eq!(say(&ann, "hello, staff").await, "sent");
    let emote = json!({"channel": STAFF, "emote": "waves.", "from_user": "ann"});
    ann.call("channel_emote", emote).await.unwrap();
    for client in [&ann, &bob] {
        hear(client, "hello, staff").await;
        let waved = client.wait_event(is("channel_emote"), WITHIN).await.unwrap();
        assert_eq!(waved["params"]["message"], "$N waves.");
    }
    let history = bob.call("channel_history", json!({"channel": STAFF})).await.unwrap();
    assert_eq!(history["count"], 2);

    let users = json!({"users": [{"name": "Bob"}]});
    bob.call("presence_sync", users).await.unwrap();
    let expected = json!({"name": STAFF, "owner": "", "type": 0, "member_count": 2, "scope": "provider"});
    let listed = |list: &Value| list["channels"].as_array().unwrap().contains(&expected);
    for client in [&ann, &bob] {
        until(client, "channel_list", json!({}), listed).await;
    }
    let ask = json!({"channel": STAFF, "target_mud": "Dusk", "wait": true});
    let who = ann.call("channel_who", ask).await.unwrap();
    assert_eq!(who["members"], json!([{"mud": "Dusk", "users": ["Bob"]}]));
    let own = bob.call("channel_who", json!({"channel": STAFF, "target_mud": "Dusk"})).await.unwrap();
    assert_eq!(own["users"], json!(["Bob"]));

    let refused =
        ann.call("channel_create", json!({"channel": STAFF, "from_user": "ann"})).await.unwrap_err();
    assert!(refused.to_string().contains("one of the provider's"), "{refused}");
    assert!(!router_knows(&router).await);

    // While the router is away nothing changes.
    for (mud, gateway) in [("Dawn", &dawn), ("Dusk", &dusk)] {
        router.cut(mud).await;
        gateway.logged("SessionLost").await;
    }
    assert_eq!(say(&ann, "on our own").await, "sent");
    for client in [&ann, &bob] {
        hear(client, "on our own").await;
        silent(client).await;
    }
}

#[tokio::test]
async fn a_channel_of_the_network_with_the_same_name_is_another_one() {
    let config = Config { channels: vec![STAFF.to_owned()], ..Config::default() };
    let (router, nats) = (Router::start(config).await.unwrap(), Nats::start().await);
    let (_dawn, ann) = member("Dawn", &router, &nats).await;
    let noon = on_bus("Noon", &router, &nats, &[]).await;
    let zoe = on_channel(&noon).await;
    let mut far = RawMud::start(&router, "Far", 0, r#""channel":1,"#).await;

    let listens = |event: &i3_router::Event| {
        let listen = |body: &Body| matches!(body, Body::ChannelListen(listen) if listen.channel == STAFF);
        event.packet().is_some_and(|packet| packet.header.origin_mud == "Noon" && listen(&packet.body))
    };
    assert!(router.wait_for(i3_router::Mark::START, listens, WITHIN).await.is_some());
    far.say(STAFF, "from elsewhere").await;
    hear(&zoe, "from elsewhere").await;
    say(&zoe, "on the network").await;
    hear(&zoe, "on the network").await;
    say(&ann, "among us").await;
    hear(&ann, "among us").await;
    for client in [&ann, &zoe] {
        silent(client).await;
    }
    // Who is on it is told to members alone.
    ann.call("presence_sync", json!({"users": [{"name": "Ann"}]})).await.unwrap();
    let ask = json!({"channel": STAFF, "target_mud": "Dawn", "wait": true});
    assert_eq!(zoe.call("channel_who", ask.clone()).await.unwrap()["users"], json!([]));
    router.cut("Noon").await;
    noon.logged("SessionLost").await;
    assert_eq!(zoe.call("channel_who", ask).await.unwrap()["users"], json!([]));
}

#[tokio::test]
async fn without_the_bus_what_is_said_waits_and_too_late_it_is_told() {
    let (router, mut nats) = (router().await, Nats::start().await);
    let (dawn, ann) = member("Dawn", &router, &nats).await;
    let (_dusk, bob) = member("Dusk", &router, &nats).await;
    nats.stop().await;
    dawn.logged("disconnected").await;
    assert_eq!(say(&ann, "later").await, "queued");
    nats.restart().await;
    hear(&bob, "later").await;
    hear(&ann, "later").await;
}
