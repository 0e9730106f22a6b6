//! What is kept on the bus: it is found by who comes after, and what is broken or missing is survived and told.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream::{kv, stream};
use futures::StreamExt;
use i3_router::{Event, Mark, RunningRouter};
use intermud3::packet::{Body, StartupReq3};
use mudgateway_crds::bus::{STATE_BUCKET, STATE_FIELDS, bucket_stream, state_key};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::bus::on_bus;
use super::ending::{talkative, tell};
use super::raw_mud::RawMud;
use super::support::{Gateway, Nats, WITHIN, received, registered, registered_since, router, until};

async fn bucket(nats: &Nats) -> kv::Store {
    nats.context().await.get_key_value(STATE_BUCKET).await.unwrap()
}

fn key(router: &RunningRouter, field: &str) -> String {
    state_key(router.name(), "Dawn", field)
}

fn startup(event: &Event) -> Option<Box<StartupReq3>> {
    match event.packet()?.body {
        Body::StartupReq3(startup) => Some(startup),
        _ => None,
    }
}

#[tokio::test]
async fn every_part_that_is_broken_is_told_and_the_mud_is_on_the_network() {
    let (router, nats) = (router().await, Nats::start().await);
    drop(on_bus("Dawn", &router, &nats, &[]).await.killed().await);
    let bucket = bucket(&nats).await;
    let broken = [
        ("routers", "starting without the routers that were learned before"),
        ("mudlist", "starting without a list that was kept"),
        ("chanlist", "starting without a list that was kept"),
        ("outbox", "starting without what waited for the router"),
        ("gone", "what an earlier process sent just before its end may be sent again"),
        ("kept", "starting without the tells that waited for a client"),
        ("ucache", "starting without the known users"),
    ];
    assert_eq!(broken.len() + 1, STATE_FIELDS.len(), "all but the password");
    for (part, _) in broken {
        bucket.put(key(&router, part), "({half a".into()).await.unwrap();
    }
    let mark = router.mark();
    let gateway = on_bus("Dawn", &router, &nats, &[]).await;
    registered_since(&router, mark, "Dawn").await;
    for (part, told) in broken {
        let line = gateway.logged(&format!("what is stored as the {part} cannot be read")).await;
        assert_eq!((&line["message"], &line["level"]), (&json!(told), &json!("WARN")));
    }

    // What waits from now on is kept in its place.
    router.cut("Dawn").await;
    gateway.logged("SessionLost").await;
    let client = gateway.client().await;
    let tell = json!({"target_mud": "Far", "target_user": "bob", "message": "hi", "from_user": "ann"});
    assert_eq!(client.call("tell", tell).await.unwrap()["status"], "queued");
    let kept = bucket.get(key(&router, "outbox")).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&kept).contains("Far"), "{kept:?}");
}

/// The numbers of what is kept for the router, and of what went of it since.
async fn kept_and_gone(bucket: &kv::Store, router: &RunningRouter) -> (HashSet<u64>, HashSet<u64>) {
    let part = async |field| {
        let json = bucket.get(key(router, field)).await.unwrap().unwrap_or_default();
        let entries = serde_json::from_slice::<Vec<Value>>(&json).unwrap_or_default();
        entries.iter().filter_map(|entry| entry.as_u64().or(entry["id"].as_u64())).collect()
    };
    (part("outbox").await, part("gone").await)
}

#[tokio::test]
async fn what_went_just_before_a_crash_is_not_sent_again() {
    const TELLS: usize = 40;
    let (router, nats) = (router().await, Nats::start().await);
    let (holder, standby) = talkative(&router, &nats).await;
    let _far = RawMud::start(&router, "Far", 0, "").await;
    let bucket = bucket(&nats).await;
    let mut news = bucket.watch(key(&router, "gone")).await.unwrap();
    tell(&holder.client().await, TELLS).await;
    let told = |text: String| {
        let wanted = move |event: &Event| event.packet().is_some_and(|sent| sent.to_string().contains(&text));
        router.count(Mark::START, wanted).0
    };
    let all_is_told_of_what_went = async {
        while news.next().await.is_some() {
            let (kept, gone) = kept_and_gone(&bucket, &router).await;
            let left = kept.difference(&gone).count();
            if left < kept.len() && left == TELLS - told("\"tell ".into()) {
                break;
            }
        }
    };
    timeout(WITHIN, all_is_told_of_what_went).await.unwrap();
    holder.killed().await;
    standby.logged("SessionEstablished").await;
    received(&router, Mark::START, &format!("tell {}.", TELLS - 1)).await;
    for number in 0..TELLS {
        assert_eq!(told(format!("tell {number}.")), 1, "{number}");
    }
}

#[tokio::test]
async fn a_broken_password_is_never_taken_for_none_and_parts_that_are_missing_are_no_trouble() {
    let (router, nats) = (router().await, Nats::start().await);
    drop(on_bus("Dawn", &router, &nats, &[]).await.killed().await);
    let bucket = bucket(&nats).await;
    let password = bucket.get(key(&router, "password")).await.unwrap().unwrap();
    for part in STATE_FIELDS {
        bucket.delete(key(&router, part)).await.unwrap();
    }
    bucket.put(key(&router, "password"), "half a pass".into()).await.unwrap();
    let mark = router.mark();
    let gateway = Gateway::start("Dawn", &router, &[("NATS_URL", &nats.url())]).await;
    let line = gateway.logged("StateUnavailable").await;
    assert!(line.to_string().contains("what is stored as the password cannot be read"), "{line}");
    let registers = |event: &Event| startup(event).is_some();
    assert!(router.wait_for(mark, registers, Duration::from_millis(300)).await.is_none());

    bucket.put(key(&router, "password"), password).await.unwrap();
    registered_since(&router, mark, "Dawn").await;
    gateway.logged("SessionEstablished").await;
    assert!(!gateway.whole_log().contains("starting without"), "{}", gateway.whole_log());
}

#[tokio::test]
async fn before_the_password_is_kept_nothing_else_happens() {
    let (router, nats) = (router().await, Nats::start().await);
    let context = nats.context().await;
    // It takes nothing in, as with a full disk.
    let config = context.get_stream(bucket_stream(STATE_BUCKET)).await.unwrap().cached_info().config.clone();
    let small = stream::Config { max_message_size: 1, ..config };
    context.update_stream(small).await.unwrap();
    let gateway = Gateway::start("Dawn", &router, &[("NATS_URL", &nats.url())]).await;
    registered(&router, "Dawn").await;
    let line = gateway.logged("the router gave a password that cannot be kept").await;
    assert!(
        line.to_string().contains(&bucket_stream(STATE_BUCKET))
            || line.to_string().contains("StateUnavailable")
    );
    assert!(!gateway.whole_log().contains("SessionEstablished"));
    let other = |event: &Event| event.packet().is_some() && startup(event).is_none();
    assert!(router.wait_for(Mark::START, other, Duration::from_millis(300)).await.is_none());
}

#[tokio::test]
async fn who_takes_over_shows_the_ids_of_the_lists_that_the_one_before_had() {
    let (router, nats) = (router().await, Nats::start().await);
    let holder = on_bus("Dawn", &router, &nats, &[]).await;
    let client = holder.client().await;
    // The list counts as two, and a second later the mud hears of itself. Nothing comes after that (dead-souls-router rule 4).
    let has_all = |stats: &Value| stats["mudlist_id"] == 3 && stats["channel_count"] == 2;
    until(&client, "stats", json!({}), has_all).await;
    let standby = Gateway::start("Dawn", &router, &[("NATS_URL", &nats.url())]).await;
    let there = standby.client().await;
    until(&there, "stats", json!({}), has_all).await;
    let stats = client.call("stats", json!({})).await.unwrap();
    let mark = router.mark();
    holder.terminate().await;
    let event = router.wait_for(mark, |event: &Event| startup(event).is_some(), WITHIN).await.unwrap();
    let shown = startup(&event).unwrap();
    assert_eq!(
        json!([shown.old_mudlist_id, shown.old_chanlist_id]),
        json!([stats["mudlist_id"], stats["chanlist_id"]])
    );
    assert_ne!(shown.password, 0);
}
