//! What only the operator can see is told within five seconds, and heals within five when it is mended.

use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use mudgateway_crds::status::ConditionType;
use mudgateway_crds::{IntermudNetwork, MudGateway};
use serde_json::json;

use crate::harness::{NO_NATS, Operator, Space, message, says};
use crate::secret;

/// The promise.
const PROMPT: Duration = Duration::from_secs(5);

/// Waits for a reason of the condition Accepted, no longer than is promised.
async fn accepted(space: &Space, name: &str, reason: &str) -> MudGateway {
    let status = if reason == "Accepted" { "True" } else { "False" };
    let is = |gateway: &MudGateway| says(gateway, ConditionType::Accepted, status, reason);
    space.wait_within(PROMPT, name, reason, is).await
}

async fn add_network(space: &Space) {
    let network = json!({
        "apiVersion": "intermud.dev/v1alpha1", "kind": "IntermudNetwork", "metadata": {"name": space.name},
        "spec": {"routers": [{"name": "*prompt", "host": "h", "port": 1}]},
    });
    let networks: Api<IntermudNetwork> = Api::all(space.client.clone());
    networks.patch(&space.name, &PatchParams::apply("it"), &Patch::Apply(network)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_missing() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    for (name, more, says, secret, entries) in [
        (
            "key",
            json!({"api": {"keys": [{"secretRef": {"name": "bot"}}]}}),
            "Secret bot has no entry \"token\"",
            "bot",
            json!({"token": "k"}),
        ),
        (
            "tls",
            json!({"api": {"tls": {"secretName": "cert"}}}),
            "Secret cert has no entry \"tls.crt\"",
            "cert",
            json!({"tls.crt": "c", "tls.key": "k"}),
        ),
        (
            "proxy",
            json!({"egress": {"proxy": {"host": "h", "secretRef": {"name": "login"}}}}),
            "login",
            "login",
            json!({"username": "u", "password": "p"}),
        ),
    ] {
        space.create(name, name, more).await;
        let told = accepted(&space, name, "SecretNotFound").await;
        let told = message(&told, ConditionType::Accepted);
        assert!(told.contains(says) && told.contains("create"), "{told}");
        secret::add(&space, secret, entries).await;
        accepted(&space, name, "Accepted").await;
    }
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_nobody_made() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    space.create("dawn", "Dawn", json!({"routers": null, "networkRef": {"name": space.name}})).await;
    let told = accepted(&space, "dawn", "NetworkNotFound").await;
    assert!(message(&told, ConditionType::Accepted).contains(&space.name));
    add_network(&space).await;
    accepted(&space, "dawn", "Accepted").await;
    let networks: Api<IntermudNetwork> = Api::all(space.client.clone());
    networks.delete(&space.name, &DeleteParams::default()).await.unwrap();
    accepted(&space, "dawn", "NetworkNotFound").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken() {
    let space = Space::new().await;
    let operator = Operator::start_with(&space, NO_NATS, &["--deletion-seconds=1"]).await;
    space.create("first", "Same", json!({})).await;
    accepted(&space, "first", "Accepted").await;
    space.create("second", "Same", json!({})).await;
    accepted(&space, "second", "NameConflict").await;
    space.delete::<MudGateway>("first").await;
    accepted(&space, "second", "Accepted").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_someone_elses() {
    let space = Space::new().await;
    let service: Service = serde_json::from_value(
        json!({"metadata": {"name": "dawn"}, "spec": {"ports": [{"port": 4000}], "selector": {"app": "mud"}}}),
    )
    .unwrap();
    space.api::<Service>().create(&PostParams::default(), &service).await.unwrap();
    let operator = Operator::start(&space, NO_NATS).await;
    space.create("dawn", "Dawn", json!({})).await;
    let exists = |gateway: &MudGateway| says(gateway, ConditionType::Programmed, "False", "ObjectExists");
    let told = space.wait_within(PROMPT, "dawn", "told", exists).await;
    assert!(message(&told, ConditionType::Programmed).contains("Service dawn exists"));
    space.delete::<Service>("dawn").await;
    let programmed = |gateway: &MudGateway| says(gateway, ConditionType::Programmed, "False", "Progressing");
    // Nothing tells of an object that is not ours: it is looked at again after four seconds, later ever more seldom.
    space.wait_within(PROMPT * 2, "dawn", "programmed", programmed).await;
    operator.stop().await;
}
