//! What a process that ends still does: nothing that was accepted is lost, and what arrives at the last moment is taken.

use std::sync::atomic::{AtomicBool, Ordering};

use async_nats::jetstream::stream;
use futures::future::join_all;
use i3_router::{Mark, RunningRouter};
use mudclient::Client;
use mudgateway_crds::bus::CHANNEL_STREAM;
use serde_json::json;

use super::bus::on_bus;
use super::lock::process;
use super::provider;
use super::raw_mud::RawMud;
use super::replicas::holder_and_standby;
use super::support::{Gateway, Nats, WITHIN, received, registered_since, router};

/// A process that holds the session and one that stands by, whose clients may ask as much as they like.
pub async fn talkative(router: &RunningRouter, nats: &Nats) -> (Gateway, Gateway) {
    let url = nats.url();
    let environment = [("NATS_URL", url.as_str()), ("API_REQUESTS_PER_MINUTE", "1000000")];
    holder_and_standby(async || Gateway::start("Dawn", router, &environment).await).await
}

/// Says so many things to somebody elsewhere, more than the pace allows at once.
pub async fn tell(client: &Client, count: usize) {
    let tell = async |index| {
        let params = json!({"target_mud": "Far", "target_user": "x", "message": format!("tell {index}.")});
        client.call("tell", params).await.unwrap();
    };
    join_all((0..count).map(tell)).await;
}

#[tokio::test]
async fn what_comes_while_the_last_packets_go_out_is_taken() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[("API_REQUESTS_PER_MINUTE", "100000")]).await;
    gateway.logged("SessionEstablished").await;
    let mut far = RawMud::start(&router, "Far", 0, "").await;
    let client = gateway.client().await;
    tell(&client, 30).await;
    gateway.terminate().await;
    client.closed(WITHIN).await.unwrap();
    far.send("who-req", "Dawn").await;
    far.expect("who-reply").await;
}

#[tokio::test]
async fn a_successor_does_not_wait_for_the_pace_of_the_one_before_and_sends_what_waits() {
    let (router, nats) = (router().await, Nats::start().await);
    let (holder, standby) = holder_and_standby(async || process(&router, &nats).await).await;
    let _far = RawMud::start(&router, "Far", 0, "").await;
    tell(&holder.client().await, 20).await;
    let mark = router.mark();
    holder.terminate().await;
    registered_since(&router, mark, "Dawn").await;
    received(&router, router.mark(), "tell 19.").await;
    drop(standby);
}

/// What was accepted of what is told by ten at once until another process holds the session.
async fn told_during_a_hand_over(router: &RunningRouter, holder: &Gateway, client: &Client) -> Vec<String> {
    let (mark, over) = (router.mark(), AtomicBool::new(false));
    let caller = async |caller: usize| {
        let mut accepted = Vec::new();
        for number in 0.. {
            if over.load(Ordering::Relaxed) {
                break;
            }
            let text = format!("tell {caller}-{number}.");
            let params = json!({"target_mud": "Far", "target_user": "x", "message": text});
            // An error says that nobody knows.
            if client.call("tell", params).await.is_ok() {
                accepted.push(text);
            }
        }
        accepted
    };
    let hand_over = async {
        holder.terminate().await;
        registered_since(router, mark, "Dawn").await;
        over.store(true, Ordering::Relaxed);
    };
    let (accepted, ()) = tokio::join!(join_all((0..10).map(caller)), hand_over);
    accepted.concat()
}

#[tokio::test]
async fn what_is_accepted_for_another_process_at_the_end_is_sent() {
    let (router, nats) = (router().await, Nats::start().await);
    let (holder, standby) = talkative(&router, &nats).await;
    let _far = RawMud::start(&router, "Far", 0, "").await;
    let accepted = told_during_a_hand_over(&router, &holder, &standby.client().await).await;
    assert!(!accepted.is_empty());
    for text in accepted {
        received(&router, Mark::START, &text).await;
    }
}

#[tokio::test]
async fn what_the_bus_does_not_take_yet_is_queued_and_stored_before_the_end() {
    let (router, nats) = (router().await, Nats::start().await);
    let (dawn, ann) = provider::member("Dawn", &router, &nats).await;
    let (_dusk, bob) = provider::member("Dusk", &router, &nats).await;
    let context = nats.context().await;
    let config = context.get_stream(CHANNEL_STREAM).await.unwrap().cached_info().config.clone();
    context.update_stream(stream::Config { max_message_size: 1, ..config.clone() }).await.unwrap();
    assert_eq!(provider::say(&ann, "the last word").await, "queued");
    dawn.terminate().await;
    ann.closed(WITHIN).await.unwrap();
    context.update_stream(config).await.unwrap();
    provider::hear(&bob, "the last word").await;
    dawn.ended().await;
}

#[tokio::test]
async fn names_that_are_too_long_are_refused_and_those_who_go_on_talking_are_heard() {
    let (router, nats) = (router().await, Nats::start().await);
    let dawn = on_bus("Dawn", &router, &nats, &[("API_REQUESTS_PER_MINUTE", "100000")]).await;
    let (ann, long) = (dawn.listener().await, "x".repeat(257));
    for (field, other) in [
        ("from_user", "visname"),
        ("visname", "from_user"),
        ("target_user", "target_mud"),
        ("target_mud", "target_user"),
    ] {
        let params = json!({"channel": "imud_gossip", "emote": "waves.", field: long, other: "short"});
        let refused = ann.call("channel_emote", params).await.unwrap_err();
        let expected = json!({"field": field, "expected": "at most 256 characters"});
        assert_eq!(refused.rpc().unwrap().data, Some(expected));
    }
    let params = json!({"channel": "imud_gossip", "message": "hi", "from_user": &long[1..]});
    ann.call("channel_send", params).await.unwrap();
    super::support::hear(&ann, &["hi"]).await;
}
