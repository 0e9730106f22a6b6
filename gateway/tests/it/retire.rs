//! A mud that leaves the network for good.

use std::time::Duration;

use async_nats::Client;
use bytes::Bytes;
use futures::StreamExt;
use intermud3::packet::Body;
use mudgateway_crds::bus::{own_answer_subject, own_retire_subject};
use tokio::time::timeout;

use super::lock::process;
use super::support::{Nats, registered, router};

const NETWORK: &str = "*test";

/// Says it as the operator does, and waits for the answer.
async fn retire(client: &Client, unique: &str) -> bool {
    let answer = own_answer_subject(NETWORK, "Dawn", unique);
    let mut answers = client.subscribe(answer.clone()).await.unwrap();
    client.publish_with_reply(own_retire_subject(NETWORK, "Dawn"), answer, Bytes::new()).await.unwrap();
    timeout(Duration::from_secs(10), answers.next()).await.expect("no answer").unwrap().status.is_none()
}

#[tokio::test]
async fn the_router_is_told_and_no_process_takes_over() {
    let (router, nats) = (router().await, Nats::start().await);
    assert_eq!(router.name(), NETWORK);
    let holder = process(&router, &nats).await;
    registered(&router, "Dawn").await;
    holder.logged("SessionEstablished").await;
    let standby = process(&router, &nats).await;
    standby.logged("\"reason\":\"Standby\"").await;

    let mark = router.mark();
    let client = nats.context().await.client().clone();
    assert!(retire(&client, "one").await, "nobody was there");
    let told = |event: &i3_router::Event| {
        event.packet().is_some_and(|packet| matches!(packet.body, Body::Shutdown(_)))
    };
    assert_eq!(router.count(mark, told).0, 1, "the answer comes when the router has been told");
    assert!(retire(&client, "two").await, "who asks again is answered, too");

    // Its lock is free then, and nobody uses it.
    holder.terminate().await;
    assert!(holder.ended().await.0.success());
    standby.logged("\"to\":\"Holder\"").await;
    let again = |event: &i3_router::Event| event.registered().is_some();
    assert!(router.wait_for(mark, again, Duration::from_secs(2)).await.is_none(), "it came back");
    standby.terminate().await;
    assert!(standby.ended().await.0.success());
}

#[tokio::test]
async fn who_is_not_let_in_stops_asking() {
    let nats = Nats::start().await;
    let router = router().await;
    router.cut("Dawn").await;
    let alone = process(&router, &nats).await;
    alone.logged("registering with the router").await;
    let client = nats.context().await.client().clone();
    assert!(retire(&client, "one").await, "nobody was there");
    alone.logged("the mud leaves the network: its MudGateway is deleted").await;
    alone.terminate().await;
    assert!(alone.ended().await.0.success());
}
