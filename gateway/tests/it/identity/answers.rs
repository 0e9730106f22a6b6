//! What JetStream answers goes where who asks wants it, and NATS checks that nowhere. So somebody with the identity of one
//! mud tries to have it answer to the keys of another one, and to JetStream's own orders.

use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions};
use mudgateway_crds::bus::{
    CHANNEL_STREAM, LOCK_BUCKET, REPORT_BUCKET, STATE_BUCKET, bucket_stream, bucket_subject, channel_filter,
    channel_subject, lock_key, own_log_subject, own_request_subject, report_key, state_key,
};
use mudgateway_identity::{Login, Subject, gateway_permissions};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::support::{Nats, hear, router, say};
use super::Secured;
use super::intruder::Intruder;

const DAWN: Subject<'static> = Subject { network: "*test", mud: "Dawn", namespace: "tenant", name: "dawn" };

/// What of the other mud, Dusk, is to stay as it is.
fn of_dusk() -> [String; 4] {
    [
        bucket_subject(STATE_BUCKET, &state_key("*test", "Dusk", "password")),
        bucket_subject(LOCK_BUCKET, &lock_key("*test", "Dusk")),
        bucket_subject(REPORT_BUCKET, &report_key("tenant", "dusk")),
        channel_subject("*test", "c", "Dusk"),
    ]
}

fn streams() -> [String; 4] {
    let bucket = |bucket| bucket_stream(bucket);
    [bucket(STATE_BUCKET), bucket(LOCK_BUCKET), bucket(REPORT_BUCKET), CHANNEL_STREAM.to_owned()]
}

/// Where the answers are to go.
fn targets() -> Vec<String> {
    let orders = streams().into_iter().flat_map(|name| {
        ["PURGE", "DELETE", "UPDATE", "MSG.DELETE"].map(|order| format!("$JS.API.STREAM.{order}.{name}"))
    });
    of_dusk().into_iter().chain(orders).collect()
}

/// All that makes JetStream answer somebody with Dawn's identity.
struct Asking<'a> {
    client: &'a Client,
    payload: &'static str,
}

impl Asking<'_> {
    async fn for_answers_to(&self, target: &str) {
        let state = bucket_subject(STATE_BUCKET, &state_key("*test", "Dawn", "password"));
        let lock = bucket_subject(LOCK_BUCKET, &lock_key("*test", "Dawn"));
        let report = bucket_subject(REPORT_BUCKET, &report_key("tenant", "dawn"));
        let channel = channel_subject("*test", "c", "Dawn");
        // That it is stored.
        for subject in [&state, &lock, &report, &channel] {
            self.publish(subject, target, self.payload).await;
        }
        // What is stored.
        self.publish(&format!("$JS.API.DIRECT.GET.{}.{state}", bucket_stream(STATE_BUCKET)), target, "")
            .await;
        self.publish(&format!("$JS.API.DIRECT.GET.{}.{lock}", bucket_stream(LOCK_BUCKET)), target, "").await;
        let channels = channel_filter("*test");
        for (stream, filter) in [(bucket_stream(LOCK_BUCKET), &lock), (CHANNEL_STREAM.to_owned(), &channels)]
        {
            self.consume(&stream, filter, target).await;
        }
    }

    /// By a consumer that sends there, and by the answer that it was made.
    async fn consume(&self, stream: &str, filter: &str, target: &str) {
        for deliver in [None, Some(target)] {
            let name = Uuid::new_v4().simple().to_string();
            let config = json!({
                "name": name, "filter_subject": filter, "deliver_policy": "all", "ack_policy": "none",
                "deliver_subject": deliver, "num_replicas": 1,
            });
            let request = json!({"stream_name": stream, "config": config}).to_string();
            self.publish(&format!("$JS.API.CONSUMER.CREATE.{stream}.{name}.{filter}"), target, &request)
                .await;
        }
    }

    async fn publish(&self, subject: &str, reply: &str, payload: &str) {
        let sent =
            self.client.publish_with_reply(subject.to_owned(), reply.to_owned(), payload.to_owned().into());
        sent.await.unwrap();
    }
}

/// Has JetStream answer to all targets; `after` each of them it has done so.
async fn attack(intruder: &Intruder) {
    // What some orders want is nothing, or no members.
    for payload in ["{}", "", r#"{"seq":1000000}"#] {
        for target in targets() {
            Asking { client: &intruder.client, payload }.for_answers_to(&target).await;
        }
    }
    // Each stream answers in the order in which it is asked.
    let context = jetstream::new(intruder.client.clone());
    for subject in [
        bucket_subject(STATE_BUCKET, &state_key("*test", "Dawn", "password")),
        bucket_subject(LOCK_BUCKET, &lock_key("*test", "Dawn")),
        channel_subject("*test", "c", "Dawn"),
    ] {
        // After an attack that has succeeded there may be no stream any more.
        if let Ok(stored) = context.publish(subject, "{}".into()).await {
            let _ = stored.await;
        }
    }
}

/// What is left of what Dusk had.
async fn left(nats: &Nats) -> Vec<Option<String>> {
    let context = nats.context().await;
    let mut left = Vec::new();
    for (stream, subject) in streams().into_iter().zip(of_dusk()) {
        let message = match context.get_stream(stream).await {
            Ok(stream) => stream.get_last_raw_message_by_subject(&subject).await.ok(),
            Err(_) => None,
        };
        left.push(message.map(|message| String::from_utf8_lossy(&message.payload).into_owned()));
    }
    left
}

async fn store_for_dusk(nats: &Nats) {
    let context = nats.context().await;
    for subject in of_dusk() {
        context.publish(subject, "1234".into()).await.unwrap().await.unwrap();
    }
}

#[tokio::test]
async fn no_answer_of_jetstream_touches_what_is_anothers() {
    let secured = Secured::start().await;
    store_for_dusk(&secured.nats).await;
    let made = async || {
        let context = secured.nats.context().await;
        let mut made = Vec::new();
        for name in streams() {
            let stream::Info { config, created, .. } =
                context.get_stream(name).await.unwrap().cached_info().clone();
            made.push((config, created));
        }
        made
    };
    let before = made().await;
    let intruder = Intruder::with_identity(&secured, "Dawn").await;
    attack(&intruder).await;
    assert_eq!(left(&secured.nats).await, vec![Some("1234".to_owned()); 4]);
    assert_eq!(made().await, before);
    assert!(intruder.refusals.lock().unwrap().is_empty(), "nothing was refused: it had no effect");
}

/// That it would work in the account of the streams, whatever the permissions, is why the gateways have another one. Should
/// this fail one day, NATS has learned to refuse it.
#[tokio::test]
async fn in_the_account_of_the_streams_it_would() {
    let permissions = gateway_permissions(&DAWN);
    let users = json!([
        {"user": "admin", "password": "admin"},
        {"user": "dawn", "password": "dawn",
            "permissions": {"publish": permissions.publish, "subscribe": permissions.subscribe}},
    ]);
    let admin = mudgateway_identity::Credentials::parse("admin:admin").unwrap();
    let config = format!("authorization: {{users: {users}}}\n");
    let nats = Nats::start_with(&config, Login::default().with_credentials(admin)).await;
    store_for_dusk(&nats).await;
    let options = ConnectOptions::with_user_and_password("dawn".to_owned(), "dawn".to_owned());
    attack(&Intruder::connect(options, "Dawn", &nats.url()).await).await;
    assert_eq!(left(&nats).await[0], None, "the password");
}

#[tokio::test]
async fn no_answer_of_jetstream_passes_for_another_process_of_a_mud() {
    let (router, secured) = (router().await, Secured::start().await);
    let dusk = secured.gateway("Dusk", &router).await;
    let client = dusk.listener().await;
    let intruder = Intruder::with_identity(&secured, "Dawn").await;
    let ask = json!({
        "id": Uuid::new_v4(), "epoch": 0, "method": "channel_send",
        "params": {"channel": "imud_gossip", "from_user": "ann", "message": "I am Dusk"},
    });
    let mark = router.mark();
    let (key, channel) = (
        bucket_subject(STATE_BUCKET, &state_key("*test", "Dawn", "ucache")),
        channel_subject("*test", "c", "Dawn"),
    );
    for subject in [&key, &channel] {
        let stored = intruder.client.request(subject.clone(), ask.to_string().into()).await.unwrap();
        assert!(serde_json::from_slice::<Value>(&stored.payload).unwrap()["seq"].is_number());
    }
    for target in [own_request_subject("*test", "Dusk"), own_log_subject("*test", "Dusk")] {
        let get = format!("$JS.API.DIRECT.GET.{}.{key}", bucket_stream(STATE_BUCKET));
        let asking = Asking { client: &intruder.client, payload: "" };
        asking.publish(&get, &target, "").await;
        asking.consume(CHANNEL_STREAM, &channel_filter("*test"), &target).await;
    }
    dusk.logged("ignored a request that no process of the mud has made\",\"subject\":\"i3.v1").await;
    let done = |event: &i3_router::Event| format!("{event:?}").contains("I am Dusk");
    client.call("status", json!({})).await.unwrap();
    assert!(router.wait_for(mark, done, std::time::Duration::from_millis(300)).await.is_none());
}

/// For NATS a message of nothing would be the end of what a consumer is asked for from another account.
#[tokio::test]
async fn nobody_makes_the_others_deaf_by_saying_nothing() {
    let (router, secured) = (router().await, Secured::start().await);
    let (dawn, dusk) = (secured.gateway("Dawn", &router).await, secured.gateway("Dusk", &router).await);
    let (ann, bob) = (dawn.listener().await, dusk.listener().await);
    router.cut("Dusk").await;
    dusk.logged("SessionLost").await;
    say(&ann, &["by the bus"]).await;
    hear(&bob, &["by the bus"]).await;
    let intruder = Intruder::with_identity(&secured, "Noon").await;
    intruder.client.request(channel_subject("*test", "c", "Noon"), "".into()).await.unwrap();
    router.cut("Dusk").await;
    say(&ann, &["still there"]).await;
    hear(&bob, &["still there"]).await;
}
