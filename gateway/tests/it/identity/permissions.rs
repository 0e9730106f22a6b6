//! What the server refuses to who has the identity of one mud.

use async_nats::jetstream;
use mudgateway_crds::bus::{
    CHANNEL_STREAM, LOCK_BUCKET, REPORT_BUCKET, STATE_BUCKET, bucket_stream, bucket_subject, channel_filter,
    channel_subject, direct_filter, direct_subject, everyone_subject, inbox_prefix, links_subject, lock_key,
    report_key, state_key,
};
use serde_json::json;

use super::Secured;
use super::intruder::Intruder;

#[tokio::test]
async fn a_mud_may_neither_speak_for_another_nor_read_what_is_anothers() {
    let secured = Secured::start().await;
    let intruder = Intruder::with_identity(&secured, "Dawn").await;
    let of_dusk = |field: &str| bucket_subject(STATE_BUCKET, &state_key("*test", "Dusk", field));
    let own = bucket_subject(STATE_BUCKET, &state_key("*test", "Dawn", "password"));
    let lock = bucket_subject(LOCK_BUCKET, &lock_key("*test", "Dusk"));
    let (states, locks) = (bucket_stream(STATE_BUCKET), bucket_stream(LOCK_BUCKET));
    for subject in [
        direct_subject("*test", "Noon", "Dusk"),
        direct_subject("*other", "Noon", "Dawn"),
        everyone_subject("*test", "Dusk"),
        links_subject("*test", "Dusk"),
        channel_subject("*test", "c", "Dusk"),
        channel_subject("*other", "c", "Dawn"),
        "i3.v1.=2Atest.own.Dusk.log".to_owned(),
        "i3.v1.=2Atest.relay.c.Dusk".to_owned(),
        "i3.v1.=2Atest.permit.Dusk".to_owned(),
        format!("{}.x", inbox_prefix("*test", "Dusk")),
        "_INBOX.x".to_owned(),
        of_dusk("password"),
        bucket_subject(STATE_BUCKET, &state_key("*test", "Dawn", "anything")),
        lock.clone(),
        bucket_subject(REPORT_BUCKET, &report_key("tenant", "dusk")),
        format!("$JS.API.DIRECT.GET.{states}.{}", of_dusk("password")),
        // By number, or by a subject in the request.
        format!("$JS.API.DIRECT.GET.{states}"),
        format!("$JS.API.STREAM.MSG.GET.{states}"),
        format!("$JS.API.STREAM.MSG.GET.{CHANNEL_STREAM}"),
        format!("$JS.API.DIRECT.GET.{locks}.{lock}"),
        format!("$JS.API.CONSUMER.CREATE.{locks}.x.{lock}"),
        format!("$JS.API.CONSUMER.CREATE.{locks}"),
        format!("$JS.API.CONSUMER.CREATE.{locks}.x"),
        format!("$JS.API.CONSUMER.CREATE.{states}.x.{own}"),
        format!("$JS.API.CONSUMER.DURABLE.CREATE.{locks}.x"),
        format!("$JS.API.CONSUMER.CREATE.{CHANNEL_STREAM}.x.{}", channel_filter("*other")),
        format!("$JS.API.CONSUMER.CREATE.{CHANNEL_STREAM}.x"),
        format!("$JS.API.CONSUMER.MSG.NEXT.{states}.x"),
        format!("$JS.API.CONSUMER.MSG.NEXT.{locks}.x"),
        format!("$JS.API.CONSUMER.MSG.NEXT.{CHANNEL_STREAM}.x"),
        format!("$JS.FC.{states}.x"),
        format!("$JS.API.CONSUMER.DELETE.{CHANNEL_STREAM}.x"),
        format!("$JS.API.CONSUMER.NAMES.{states}"),
        format!("$JS.API.STREAM.INFO.{states}"),
        "$JS.API.STREAM.CREATE.x".to_owned(),
        format!("$JS.API.STREAM.UPDATE.{states}"),
        format!("$JS.API.STREAM.DELETE.{states}"),
        format!("$JS.API.STREAM.PURGE.{states}"),
        format!("$JS.API.STREAM.MSG.DELETE.{states}"),
        format!("$JS.API.STREAM.SNAPSHOT.{states}"),
        "$JS.API.STREAM.NAMES".to_owned(),
        "$JS.API.INFO".to_owned(),
        "$SYS.REQ.SERVER.PING".to_owned(),
    ] {
        intruder.cannot_publish(&subject).await;
    }
    for subject in [
        ">".to_owned(),
        direct_filter("*test", "Dusk"),
        "i3.v1.=2Atest.direct.*.*".to_owned(),
        "i3.v1.=2Atest.own.Dusk.>".to_owned(),
        "i3.v1.=2Atest.permit.*".to_owned(),
        "i3.v1.*.links.*".to_owned(),
        channel_filter("*test"),
        format!("{}.>", inbox_prefix("*test", "Dusk")),
        "_INBOX.>".to_owned(),
        of_dusk("password"),
        "$KV.>".to_owned(),
        "$JS.API.>".to_owned(),
        "$JS.EVENT.>".to_owned(),
    ] {
        intruder.cannot_subscribe(&subject).await;
    }
}

#[tokio::test]
async fn what_a_consumer_reads_is_what_its_subject_says() {
    let secured = Secured::start().await;
    let intruder = Intruder::with_identity(&secured, "Dawn").await;
    let context = jetstream::new(intruder.client.clone());
    let own = bucket_subject(LOCK_BUCKET, &lock_key("*test", "Dawn"));
    let other = bucket_subject(LOCK_BUCKET, &lock_key("*test", "Dusk"));
    let subject = format!("CONSUMER.CREATE.{}.x.{own}", bucket_stream(LOCK_BUCKET));
    for filter in [
        json!({"filter_subject": other}),
        json!({"filter_subjects": [other]}),
        json!({"filter_subjects": [own, other]}),
        json!({}),
    ] {
        let mut config = json!({"name": "x", "deliver_subject": intruder.client.new_inbox(), "ack_policy": "none",
            "deliver_policy": "all"});
        config.as_object_mut().unwrap().extend(filter.as_object().unwrap().clone());
        let request = json!({"stream_name": bucket_stream(LOCK_BUCKET), "config": config});
        let answer: serde_json::Value = context.request(subject.clone(), &request).await.unwrap();
        assert!(answer["error"]["code"].is_number(), "{filter}: {answer}");
    }
    assert!(intruder.refusals.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nobody_sweeps_the_keys_of_others_away_with_his_own() {
    let secured = Secured::start().await;
    let state = secured.nats.context().await.get_key_value(STATE_BUCKET).await.unwrap();
    let key = state_key("*test", "Dusk", "password");
    state.put(&key, "1".into()).await.unwrap();
    let intruder = Intruder::with_identity(&secured, "Dawn").await;
    let own = bucket_subject(STATE_BUCKET, &state_key("*test", "Dawn", "password"));
    for rollup in ["all", "sub"] {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Rollup", rollup);
        let request = async_nats::Request::new().headers(headers).payload("x".into());
        let answer = intruder.client.send_request(own.clone(), request).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        assert!(answer["error"]["code"].is_number(), "{answer}");
    }
    assert_eq!(state.get(&key).await.unwrap().as_deref(), Some(&b"1"[..]));
}
