//! What a gateway does with its own identity: all its work.

use async_nats::jetstream;
use async_nats::jetstream::consumer::push::OrderedConfig;
use futures::StreamExt;
use mudgateway_crds::bus::{
    CHANNEL_STREAM, REPORT_BUCKET, STATE_BUCKET, channel_filter, channel_subject, report_key, state_key,
};
use serde_json::json;
use tokio::time::timeout;

use super::super::support::{Gateway, WITHIN, hear, is, registered_since, router, say};
use super::intruder::Intruder;
use super::{Secured, never_refused};

#[tokio::test]
async fn a_gateway_does_all_its_work_with_its_own_identity() {
    let (router, secured) = (router().await, Secured::start().await);
    let (dawn, dusk) = (secured.gateway("Dawn", &router).await, secured.gateway("Dusk", &router).await);
    let (ann, bob) = (dawn.listener().await, dusk.listener().await);
    say(&ann, &["hi", "there"]).await;
    hear(&bob, &["hi", "there"]).await;
    hear(&ann, &["hi", "there"]).await;

    // The state is kept, and the operator is told.
    let context = secured.nats.context().await;
    let state = context.get_key_value(STATE_BUCKET).await.unwrap();
    assert!(state.get(state_key("*test", "Dawn", "password")).await.unwrap().is_some());
    let reports = context.get_key_value(REPORT_BUCKET).await.unwrap();
    assert!(reports.get(report_key("tenant", "dawn")).await.unwrap().is_some());

    // What goes by the bus alone.
    router.cut("Dusk").await;
    dusk.logged("SessionLost").await;
    say(&ann, &["by the bus"]).await;
    hear(&bob, &["by the bus"]).await;
    dawn.logged("\"mud\":\"Dusk\",\"connected\":false").await;
    let tell = json!({"target_mud": "Dusk", "target_user": "bob", "message": "pst", "from_user": "ann"});
    assert_eq!(ann.call("tell", tell).await.unwrap()["status"], "sent");
    bob.wait_event(is("tell_received"), WITHIN).await.unwrap();
    let users = json!({"users": [{"name": "bob"}]});
    bob.call("presence_sync", users).await.unwrap();
    let found =
        ann.call("locate", json!({"target_user": "bob", "from_user": "ann", "timeout": 1})).await.unwrap();
    assert_eq!(found["locations"][0]["mud"], "Dusk", "{found}");

    // The lock: another process of the mud takes over when the first one goes.
    let mark = router.mark();
    let second = Gateway::start(
        "Dawn",
        &router,
        &[("NATS_URL", &secured.nats.url()), ("NATS_CREDENTIALS_FILE", &secured.file("Dawn"))],
    )
    .await;
    second.logged("\"reason\":\"Standby\"").await;
    never_refused(&dawn).await;
    dawn.terminate().await;
    registered_since(&router, mark, "Dawn").await;
    second.logged("SessionEstablished").await;
    for gateway in [&second, &dusk] {
        never_refused(gateway).await;
    }
}

#[tokio::test]
async fn what_is_much_comes_too() {
    let secured = Secured::start().await;
    let client = Intruder::with_identity(&secured, "Dawn").await.client;
    let context = jetstream::new(client.clone());
    let stream = context.get_stream_no_info(CHANNEL_STREAM).await.unwrap();
    let consumer = stream.create_consumer(OrderedConfig {
        name: Some("x".to_owned()),
        deliver_subject: client.new_inbox(),
        filter_subject: channel_filter("*test"),
        ..OrderedConfig::default()
    });
    let mut messages = consumer.await.unwrap().messages().await.unwrap();
    // More than NATS sends without a word from who gets it.
    let text = "x".repeat(20_000);
    for _ in 0..500 {
        context.publish(channel_subject("*test", "c", "Dawn"), text.clone().into()).await.unwrap();
    }
    for number in 0..500 {
        let message = timeout(WITHIN, messages.next()).await.expect("the next one").unwrap().unwrap();
        assert_eq!(message.info().unwrap().stream_sequence, number + 1);
    }
}
