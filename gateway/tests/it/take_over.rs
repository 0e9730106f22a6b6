//! Who comes to hold a mud's session goes on where the log ends that the one before has written, however late the end of it
//! arrives.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_nats::jetstream::kv::Store;
use async_nats::{Client as Connection, jetstream};
use futures::StreamExt;
use i3_router::RunningRouter;
use jiff::Timestamp;
use mudclient::Client;
use mudgateway::bus::StreamPlace;
use mudgateway::hub::{Change, Event, Fate, Record, Told};
use mudgateway::mud::{Position, SessionStatus};
use mudgateway::services::replica::Part;
use mudgateway_crds::bus::{LOCK_BUCKET, lock_key, own_log_subject, own_snapshot_subject};
use mudgateway_crds::report::SessionReason;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use super::bus::on_bus;
use super::lock::process;
use super::replicas::{listener, resumed};
use super::support::{Gateway, Nats, WITHIN, hear, is, router, say};

const MUD: &str = "Dawn";

/// What the process before calls itself, and its epoch.
const BEFORE: &str = "before";
const EPOCH: u64 = 7;

/// What keeps who reads it busy for longer than it takes to take the lock.
const LISTS: usize = 20;
const MUDS: usize = 1000;

/// A process that holds the session of Dawn, as far as another one can tell.
struct Before {
    connection: Connection,
    locks: Store,
    network: String,
    renewing: JoinHandle<()>,
}

impl Before {
    async fn start(router: &RunningRouter, nats: &Nats) -> Self {
        let context: jetstream::Context = nats.context().await;
        let (connection, network) = (context.client(), router.name().to_owned());
        let locks = context.get_key_value(LOCK_BUCKET).await.unwrap();
        let mut asked = connection.subscribe(own_snapshot_subject(&network, MUD)).await.unwrap();
        let teller = connection.clone();
        tokio::spawn(async move {
            while let Some(message) = asked.next().await {
                for part in [start_of_log(), Part::End] {
                    let part = json!({"from": BEFORE, "news": part}).to_string();
                    teller.publish(message.reply.clone().unwrap(), part.into()).await.unwrap();
                }
            }
        });
        let (store, key) = (locks.clone(), lock_key(&network, MUD));
        let value = lock_value(true, None);
        store.put(&key, value.clone().into()).await.unwrap();
        let renewing = tokio::spawn(async move {
            let mut each = interval(Duration::from_millis(500));
            loop {
                each.tick().await;
                store.put(&key, value.clone().into()).await.unwrap();
            }
        });
        Self { connection, locks, network, renewing }
    }

    /// Writes to the log.
    async fn write(&self, changes: impl IntoIterator<Item = Change>) {
        for (seq, change) in (1..).zip(changes) {
            let (position, at) = (Position { epoch: EPOCH, seq }, Timestamp::now());
            let record = json!({"record": Record { position, at, change }}).to_string();
            self.connection.publish(own_log_subject(&self.network, MUD), record.into()).await.unwrap();
        }
    }

    /// Gives the lock back, and says where the log ends, if that is to be said.
    async fn give_back(&self, end: Option<u64>) {
        self.renewing.abort();
        let value = lock_value(false, end);
        self.locks.put(lock_key(&self.network, MUD), value.into()).await.unwrap();
    }

    /// Waits until another process has the lock.
    async fn replaced(&self) {
        let mut changes = self.locks.watch_with_history(lock_key(&self.network, MUD)).await.unwrap();
        let taken = async {
            while let Some(entry) = changes.next().await {
                let value: Value = serde_json::from_slice(&entry.unwrap().value).unwrap();
                if value["held"] == true && value["by"] != BEFORE {
                    return;
                }
            }
        };
        timeout(WITHIN, taken).await.expect("the lock is taken");
    }
}

fn lock_value(held: bool, end: Option<u64>) -> String {
    let mut value = json!({"by": BEFORE, "held": held, "epoch": EPOCH});
    if let Some(seq) = end {
        value["end"] = json!(Position { epoch: EPOCH, seq });
    }
    value.to_string()
}

fn start_of_log() -> Part {
    let position = Position { epoch: EPOCH, seq: 0 };
    let status = SessionStatus {
        reason: SessionReason::SessionEstablished,
        message: "registered".to_owned(),
        router: None,
        address: None,
        egress: None,
        since: None,
    };
    let (ends, status) = (Vec::new(), Box::new(status));
    let stream = Some(StreamPlace { sequence: 0, published: SystemTime::now(), part: 0 });
    Part::Start { position, complete_after: position, ends, stream, status }
}

fn tell(number: u64) -> Change {
    let event = Event::Tell(Told {
        from_mud: "Dusk".into(),
        from_user: "bob".into(),
        to_mud: MUD.into(),
        to_user: "ann".into(),
        message: number.to_string(),
        visname: "Bob".into(),
    });
    Change::Event { event: Arc::new(event), fate: Fate::Told }
}

/// A list that takes a while to be read.
fn long_list() -> Change {
    let mud = |number| {
        format!(r#""Mud{number}":({{-1,"127.0.0.1",4000,0,0,"lib","base","driver","LP","open",([]),0,}}),"#)
    };
    let muds: String = (0..MUDS).map(mud).collect();
    Change::List(format!(r#"({{"mudlist",5,"*test",0,"Dawn",0,1,([{muds}]),}})"#))
}

/// A process before, and one that follows it, with a client.
async fn follower(router: &RunningRouter, nats: &Nats) -> (Before, Gateway, Client) {
    let before = Before::start(router, nats).await;
    let gateway = process(router, nats).await;
    gateway.logged("caught up with the log").await;
    let ann = gateway.client().await;
    (before, gateway, ann)
}

/// Hears all that the process before has told, in order and once, and then what is of the next epoch.
async fn hears_all(ann: &Client, count: u64) {
    for number in 1..=count {
        let told = ann.wait_event(is("tell_received"), WITHIN).await;
        let told = told.unwrap_or_else(|error| panic!("{number} of {count} is not told: {error}"));
        assert_eq!(told["params"]["message"], number.to_string());
        assert_eq!(told["params"]["epoch"], EPOCH);
    }
    let accepted = ann.wait_event(is("gateway_reconnected"), WITHIN).await.unwrap();
    assert!(accepted["params"]["epoch"].as_u64().unwrap() > EPOCH, "{accepted}");
}

#[tokio::test]
async fn what_arrives_after_the_lock_was_given_back_and_taken_is_read_before_anything_is_written() {
    let (router, nats) = (router().await, Nats::start().await);
    let (before, _gateway, ann) = follower(&router, &nats).await;
    before.give_back(Some(3)).await;
    before.replaced().await;
    before.write((1..=3).map(tell)).await;
    hears_all(&ann, 3).await;
}

#[tokio::test]
async fn what_has_arrived_is_read_though_it_is_not_said_where_the_log_ends() {
    let (router, nats) = (router().await, Nats::start().await);
    let (before, _gateway, ann) = follower(&router, &nats).await;
    before.write(std::iter::repeat_n(long_list(), LISTS).chain((1..=3).map(tell))).await;
    before.give_back(None).await;
    hears_all(&ann, 3).await;
}

#[tokio::test]
async fn what_never_arrives_is_not_waited_for_for_long() {
    let (router, nats) = (router().await, Nats::start().await);
    let (before, gateway, ann) = follower(&router, &nats).await;
    before.give_back(Some(1)).await;
    gateway.logged("what was written to the log last is missing").await;
    hears_all(&ann, 0).await;
    let log = gateway.logged("writing the log").await;
    assert_eq!(log["complete"], false, "{log}");
}

#[tokio::test]
async fn who_has_more_than_a_process_told_before_it_died_hears_what_hosted_muds_said_meanwhile() {
    let (router, nats) = (router().await, Nats::start().await);
    let (before, gateway, _) = follower(&router, &nats).await;
    let dusk = on_bus("Dusk", &router, &nats, &[]).await;
    let ((_, session), other, bob) =
        (listener(&gateway).await, gateway.listener().await, dusk.listener().await);
    say(&bob, &["while nobody was there"]).await;
    before.give_back(None).await;
    hear(&other, &["while nobody was there"]).await;
    gateway.logged("SessionEstablished").await;
    let (ann, welcome) = resumed(&gateway, &session, (EPOCH, 1)).await;
    assert_eq!(welcome["recovered"], true, "{welcome}");
    hear(&ann, &["while nobody was there"]).await;
}
