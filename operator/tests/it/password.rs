//! The router password: mirrored to a Secret, and restored from it.

use std::path::Path;

use async_nats::jetstream::kv;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use mudgateway_crds::bus::{STATE_BUCKET, state_key};
use mudgateway_crds::status::ConditionType;
use mudgateway_crds::{IntermudNetworkSpec, MudGateway};
use serde_json::{Value, json};

use crate::harness::{NO_NATS, Operator, Space, eventually, message, run_ok};
use crate::nats::Nats;
use crate::network;
use crate::secret::{self, text};

const MUD: &str = "LuminariMUD";
const MIRROR: &str = "luminari-router-password";

async fn bucket(nats: &Nats) -> kv::Store {
    let jetstream = nats.jetstream().await;
    eventually("the bucket", async || jetstream.get_key_value(STATE_BUCKET).await.ok()).await
}

fn key(space: &Space) -> String {
    state_key(&format!("*{}", space.name), MUD, "password")
}

async fn mirrored(space: &Space, password: &str) -> Secret {
    let is = |secret: &Secret| text(secret)["password"] == password;
    space.wait(MIRROR, "the mirror", is).await
}

/// Waits until NATS has a password.
async fn stored(space: &Space, bucket: &kv::Store, password: &str) {
    eventually("the password on NATS", async || {
        (bucket.get(key(space)).await.ok()?? == password.as_bytes()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_mirrored_and_comes_back_when_nats_has_lost_it() {
    let (space, mut nats) = (Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    space.create("luminari", MUD, json!({})).await;
    bucket(&nats).await.put(key(&space), "559354526".into()).await.unwrap();
    let secret = mirrored(&space, "559354526").await;
    assert_eq!((text(&secret)["mud"].as_str(), text(&secret)["network"].len()), (MUD, space.name.len() + 1));

    // A new one from the router follows; what is changed by hand is put back.
    bucket(&nats).await.put(key(&space), "-7".into()).await.unwrap();
    mirrored(&space, "-7").await;
    space.change::<Secret>(MIRROR, json!({"stringData": {"password": "1"}})).await;
    mirrored(&space, "-7").await;
    space.delete::<Secret>(MIRROR).await;
    mirrored(&space, "-7").await;

    // One key is lost, and then everything.
    bucket(&nats).await.delete(key(&space)).await.unwrap();
    stored(&space, &bucket(&nats).await, "-7").await;
    nats.kill().await;
    eventually("the loss", async || (operator.metric("i3op_bus_connected").await == 0.0).then_some(())).await;
    nats.revive_empty().await;
    stored(&space, &bucket(&nats).await, "-7").await;
    let events = space.api::<Event>().list(&ListParams::default()).await.unwrap();
    assert!(events.iter().any(|event| event.reason.as_deref() == Some("PasswordRestored")));
    operator.stop().await;
}

/// The Secret of docs/OPERATOR.md, as it stands there.
#[tokio::test(flavor = "multi_thread")]
async fn a_mud_that_was_elsewhere_before_brings_its_password_along() {
    let (space, nats) = (Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/OPERATOR.md");
    let document = std::fs::read_to_string(document).unwrap();
    let section = document.split_once("## A mud that was elsewhere before").unwrap().1;
    let yaml = section.split("```").find_map(|block| block.strip_prefix("yaml\n")).unwrap();
    let ours = yaml.replace("\"*i4\"", &format!("\"*{}\"", space.name));
    assert_ne!(ours, yaml, "it names a network");
    run_ok("kubectl", &["apply", "--namespace", &space.name, "--filename", "-"], ours.as_bytes());
    space.create("luminari", MUD, json!({})).await;
    stored(&space, &bucket(&nats).await, "559354526").await;
    mirrored(&space, "559354526").await;
    operator.stop().await;
}

/// The whole of docs/BACKUP.md: MudGateways and Secrets, and nothing of NATS.
#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_comes_back_from_a_backup() {
    let (space, nats) = (Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    space.create("luminari", MUD, json!({})).await;
    bucket(&nats).await.put(key(&space), "559354526".into()).await.unwrap();
    mirrored(&space, "559354526").await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;
    let key_before = text(&space.api().get("luminari-api-key").await.unwrap());
    let network = make_another_on_a_network(&space, &nats).await;

    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup").display().to_string();
    run_ok("scripts/backup", &["save", &backup, "--namespace", &space.name], b"");
    only_the_network_of(&space, &folder.path().join("backup/networks.json"));
    operator.stop().await;
    drop(nats);
    lose(&space).await;

    let nats = Nats::start().await;
    run_ok("scripts/backup", &["restore", &backup, "--namespace", &space.name], b"");
    let operator = Operator::start(&space, &nats.url()).await;
    stored(&space, &bucket(&nats).await, "559354526").await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;
    assert_eq!(
        text(&space.api().get("luminari-api-key").await.unwrap()),
        key_before,
        "the mud's key still works"
    );
    space.wait_for("dawn", ConditionType::Programmed, "False", "Progressing").await;
    let (bucket, key) = (bucket(&nats).await, state_key(&space.name, "DawnMUD", "password"));
    eventually("the other mud's password", async || {
        (bucket.get(&key).await.ok()?? == b"-11".as_slice()).then_some(())
    })
    .await;
    let networks = network::networks(&space);
    assert_eq!(networks.get(&space.name).await.unwrap().spec, network);
    networks.delete(&space.name, &Default::default()).await.unwrap();
    operator.stop().await;
}

/// A network, and a MudGateway on it with an API key of its own, whose password a router gave.
async fn make_another_on_a_network(space: &Space, nats: &Nats) -> IntermudNetworkSpec {
    let made = network::apply(space, network::spec(json!({"bans": ["*@SpamMUD"]}))).await.unwrap();
    secret::add(space, "given", json!({"token": "x"})).await;
    let spec = json!({
        "routers": null,
        "networkRef": {"name": space.name},
        "api": {"keys": [{"secretRef": {"name": "given"}}]},
    });
    space.create("dawn", "DawnMUD", spec).await;
    let key = state_key(&space.name, "DawnMUD", "password");
    bucket(nats).await.put(key, "-11".into()).await.unwrap();
    let is = |secret: &Secret| text(secret)["password"] == "-11";
    space.wait("dawn-router-password", "the mirror", is).await;
    made.spec
}

/// Leaves the networks of other tests out of a backup: they must not come back to these.
fn only_the_network_of(space: &Space, path: &Path) {
    let mut list: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    list["items"].as_array_mut().unwrap().retain(|network| network["metadata"]["name"] == space.name);
    std::fs::write(path, list.to_string()).unwrap();
}

/// All that a cluster has that is lost.
async fn lose(space: &Space) {
    let all = "mudgateways,secrets,deployments,services,configmaps,networkpolicies";
    let free: Value = json!({"metadata": {"finalizers": null}});
    for name in ["luminari", "dawn"] {
        space.change::<MudGateway>(name, free.clone()).await;
    }
    run_ok("kubectl", &["delete", "intermudnetwork", &space.name], b"");
    run_ok("kubectl", &["delete", all, "--all", "--namespace", &space.name, "--wait=true"], b"");
    assert!(space.api::<MudGateway>().get_opt("luminari").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_somebody_else_is_not_taken() {
    let (space, nats) = (Space::new().await, Nats::start().await);
    let theirs: Secret = serde_json::from_value(json!({
        "metadata": {"name": MIRROR}, "stringData": {"password": "1", "mud": MUD, "network": format!("*{}", space.name)},
    }))
    .unwrap();
    space.api().create(&Default::default(), &theirs).await.unwrap();
    let operator = Operator::start(&space, &nats.url()).await;
    space.create("luminari", MUD, json!({})).await;
    let gateway = space.wait_for("luminari", ConditionType::Programmed, "False", "ObjectExists").await;
    assert!(message(&gateway, ConditionType::Programmed).starts_with(&format!("Secret {MIRROR} exists")));
    assert_eq!(bucket(&nats).await.get(key(&space)).await.unwrap(), None);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_appears_later_is_seen_at_once() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    space.create("luminari", MUD, json!({})).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;
    secret::add(&space, MIRROR, json!({"password": "1"})).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "ObjectExists").await;
    operator.stop().await;
}
