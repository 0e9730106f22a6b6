//! The end of a MudGateway: its router is told, NATS forgets, and it is never held for long.

use async_nats::Subscriber;
use bytes::Bytes;
use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use mudgateway_crds::MudGateway;
use mudgateway_crds::bus::{
    LOCK_BUCKET, REPORT_BUCKET, STATE_BUCKET, lock_key, own_retire_subject, state_key,
};
use mudgateway_crds::report::SessionReason::SessionEstablished;
use mudgateway_crds::status::ConditionType;
use serde_json::json;

use crate::harness::{NO_NATS, Operator, PATIENCE, Space, eventually};
use crate::nats::{Nats, report};

pub(crate) const MUD: &str = "LuminariMUD";

/// A mud that is on the network: what its gateway has on NATS.
pub(crate) async fn on_the_network(space: &Space, nats: &Nats, policy: &str) -> String {
    let network = format!("*{}", space.name);
    space.create("luminari", MUD, json!({"deletionPolicy": policy})).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;
    report(&nats.reports().await, space, "luminari", SessionEstablished).await;
    let jetstream = nats.jetstream().await;
    let locks = jetstream.get_key_value(LOCK_BUCKET).await.unwrap();
    locks.put(lock_key(&network, MUD), "{}".into()).await.unwrap();
    let state = jetstream.get_key_value(STATE_BUCKET).await.unwrap();
    for (field, value) in [("mudlist", "x"), ("password", "559354526")] {
        state.put(state_key(&network, MUD, field), value.into()).await.unwrap();
    }
    space.wait("luminari-router-password", "there", |_: &Secret| true).await;
    network
}

/// What of a mud NATS has: its lock, its report, its password and its mudlist.
pub(crate) async fn left(space: &Space, nats: &Nats, network: &str) -> [bool; 4] {
    let jetstream = nats.jetstream().await;
    let report = mudgateway_crds::bus::report_key(&space.name, "luminari");
    let keys = [
        (LOCK_BUCKET, lock_key(network, MUD)),
        (REPORT_BUCKET, report),
        (STATE_BUCKET, state_key(network, MUD, "password")),
        (STATE_BUCKET, state_key(network, MUD, "mudlist")),
    ];
    let mut left = [false; 4];
    for (left, (bucket, key)) in left.iter_mut().zip(keys) {
        *left = jetstream.get_key_value(bucket).await.unwrap().get(key).await.unwrap().is_some();
    }
    left
}

async fn delete(space: &Space) {
    space.api::<MudGateway>().delete("luminari", &DeleteParams::background()).await.unwrap();
}

/// Takes its leave as a gateway does.
pub(crate) async fn take_leave(nats: &Nats, asked: &mut Subscriber) {
    let message = tokio::time::timeout(PATIENCE, asked.next()).await.expect("nobody asked").unwrap();
    let client = nats.jetstream().await.client().clone();
    client.publish(message.reply.unwrap(), Bytes::new()).await.unwrap();
    client.flush().await.unwrap();
}

/// Waits until the pods are told to end, and lets the Deployment go as the controllers do that do not run here.
pub(crate) async fn end_pods(space: &Space, name: &str) {
    let deployment = format!("{name}-gateway");
    let ending = |deployment: &Deployment| deployment.metadata.deletion_timestamp.is_some();
    space.wait(&deployment, "ending", ending).await;
    space.change::<Deployment>(&deployment, json!({"metadata": {"finalizers": null}})).await;
}

async fn gone(space: &Space) {
    eventually("gone", async || {
        space.api::<MudGateway>().get_opt("luminari").await.unwrap().is_none().then_some(())
    })
    .await;
}

pub(crate) async fn hear_of_the_end(nats: &Nats, network: &str) -> Subscriber {
    let client = nats.jetstream().await.client().clone();
    let asked = client.subscribe(own_retire_subject(network, MUD)).await.unwrap();
    client.flush().await.unwrap();
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn the_router_is_told_first_and_nats_forgets_last() {
    let (space, nats) = (Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    let network = on_the_network(&space, &nats, "Delete").await;
    let mirror: Secret = space.api().get("luminari-router-password").await.unwrap();
    assert_eq!(mirror.owner_references()[0].name, "luminari", "it goes with its owner");
    let mut asked = hear_of_the_end(&nats, &network).await;

    delete(&space).await;
    take_leave(&nats, &mut asked).await;
    space
        .wait("luminari-gateway", "ending", |deployment: &Deployment| {
            deployment.metadata.deletion_timestamp.is_some()
        })
        .await;
    // While pods end they may still write.
    space.wait_for("luminari", ConditionType::Programmed, "False", "Deleting").await;
    assert_eq!(left(&space, &nats, &network).await[2..], [true, true]);
    end_pods(&space, "luminari").await;
    gone(&space).await;
    assert_eq!(left(&space, &nats, &network).await, [false; 4]);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_retained_is_taken_up_by_a_mudgateway_made_anew() {
    let (space, nats) = (Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    let network = on_the_network(&space, &nats, "Retain").await;
    // No gateway runs here that could answer: that holds nothing up.
    delete(&space).await;
    end_pods(&space, "luminari").await;
    gone(&space).await;
    assert_eq!(left(&space, &nats, &network).await, [false, false, true, true]);
    let mirror: Secret = space.api().get("luminari-router-password").await.unwrap();
    assert!(mirror.owner_references().is_empty(), "it outlives its MudGateway");

    space.create("luminari", MUD, json!({})).await;
    space.wait_for("luminari", ConditionType::Accepted, "True", "Accepted").await;
    assert_eq!(left(&space, &nats, &network).await[2..], [true, true]);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_who_never_had_the_name_harms_nobody() {
    let (space, nats) = (Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    let network = on_the_network(&space, &nats, "Delete").await;
    // Of the same second the first by name has it.
    space.create("younger", MUD, json!({"deletionPolicy": "Delete"})).await;
    space.wait_for("younger", ConditionType::Accepted, "False", "NameConflict").await;
    space.delete::<MudGateway>("younger").await;
    assert_eq!(left(&space, &nats, &network).await, [true; 4]);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_nats_the_end_comes_all_the_same_and_that_is_said() {
    let space = Space::new().await;
    let operator = Operator::start_with(&space, NO_NATS, &["--deletion-seconds=6"]).await;
    space.create("luminari", MUD, json!({})).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;
    delete(&space).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Deleting").await;
    end_pods(&space, "luminari").await;
    gone(&space).await;
    let events = space.api::<Event>().list(&ListParams::default()).await.unwrap();
    assert!(events.iter().any(|event| event.reason.as_deref() == Some("StateLeft")));
    operator.stop().await;
}

/// A MudGateway in another namespace, of the mud of these tests, on a network of another test's name.
pub(crate) async fn elsewhere(space: &Space, name: &str, network: &str) {
    let routers = json!([{"name": network, "host": "router.example", "port": 1}]);
    space.create(name, MUD, json!({"routers": routers, "deletionPolicy": "Delete"})).await;
}

/// The operators do not see each other's MudGateways, as those that watch some namespaces only.
#[tokio::test(flavor = "multi_thread")]
async fn a_retained_name_is_given_to_no_other_namespace_until_it_is_given_up() {
    let (space, other, nats) = (Space::new().await, Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    let stranger = Operator::start(&other, &nats.url()).await;
    let network = on_the_network(&space, &nats, "Retain").await;
    elsewhere(&other, "thief", &network).await;
    let refused = other.wait_for("thief", ConditionType::Accepted, "False", "NameConflict").await;
    let message = &refused.status.unwrap().condition(ConditionType::Accepted).unwrap().message.clone();
    assert!(message.contains(&space.name), "{message}");

    delete(&space).await;
    end_pods(&space, "luminari").await;
    gone(&space).await;
    other.delete::<MudGateway>("thief").await;
    elsewhere(&other, "heir", &network).await;
    other.wait_for("heir", ConditionType::Accepted, "False", "NameConflict").await;
    assert_eq!(left(&space, &nats, &network).await[2..], [true, true], "the end of a stranger");
    assert!(other.api::<Secret>().get_opt("heir-router-password").await.unwrap().is_none());
    other.delete::<MudGateway>("heir").await;

    // By another name, for no controller removes here what the first one left.
    space.create("last", MUD, json!({"deletionPolicy": "Delete"})).await;
    space.wait_for("last", ConditionType::Programmed, "False", "Progressing").await;
    tokio::join!(space.delete::<MudGateway>("last"), end_pods(&space, "last"));
    elsewhere(&other, "heir", &network).await;
    other.wait_for("heir", ConditionType::Accepted, "True", "Accepted").await;
    operator.stop().await;
    stranger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_no_router_knows_is_free_after_the_end() {
    let (space, other, nats) = (Space::new().await, Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    let stranger = Operator::start(&other, &nats.url()).await;
    nats.reports().await;
    space.create("luminari", MUD, json!({})).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;
    delete(&space).await;
    end_pods(&space, "luminari").await;
    gone(&space).await;
    elsewhere(&other, "next", &format!("*{}", space.name)).await;
    other.wait_for("next", ConditionType::Accepted, "True", "Accepted").await;
    operator.stop().await;
    stranger.stop().await;
}
