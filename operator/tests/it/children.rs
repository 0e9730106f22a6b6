//! The objects of a gateway: made, kept in shape, and never written without need.

use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount};
use kube::ResourceExt;
use kube::api::{Api, ObjectMeta, PostParams, WatchEvent, WatchParams};
use mudgateway_crds::MudGateway;
use mudgateway_crds::status::ConditionType;
use serde_json::json;

use crate::harness::{NO_NATS, Namespaced, Operator, Space, eventually, message};
use crate::secret::text;

const CONFIG: &str = "config.yaml";

fn config(map: &ConfigMap) -> &str {
    &map.data.as_ref().unwrap()[CONFIG]
}

fn hash(deployment: &Deployment) -> Option<String> {
    let annotations = deployment.spec.template.metadata.as_ref()?.annotations.as_ref()?;
    annotations.get("intermud.dev/config-hash").cloned()
}

fn token(secret: &Secret) -> Vec<u8> {
    secret.data.as_ref().unwrap()["token"].0.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_gets_its_objects_and_an_endpoint() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    let created =
        space.create("luminari", "LuminariMUD", json!({"channels": [{"name": "imud_gossip"}]})).await;
    let gateway = space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;

    let status = gateway.status.unwrap();
    let host = format!("luminari.{}.svc", space.name);
    let endpoints = status.endpoints.as_ref().unwrap();
    assert_eq!(endpoints.websocket.as_deref(), Some(format!("ws://{host}:8080/ws").as_str()));
    assert_eq!(endpoints.tcp.as_deref(), Some(format!("{host}:8081").as_str()));
    assert_eq!(status.api_key_secret.as_deref(), Some("luminari-api-key"));
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(status.condition(ConditionType::Accepted).unwrap().status, "True");

    let map: ConfigMap = space.api().get("luminari-gateway").await.unwrap();
    assert!(config(&map).contains("name: LuminariMUD"));
    assert!(config(&map).contains("- name: imud_gossip"));
    let service: Service = space.api().get("luminari").await.unwrap();
    let deployment: Deployment = space.api().get("luminari-gateway").await.unwrap();
    let pod = deployment.spec.template.spec.as_ref().unwrap();
    assert_eq!(pod.containers[0].image.as_deref(), Some("gateway:it"));
    let secret: Secret = space.api().get("luminari-api-key").await.unwrap();
    assert_eq!(token(&secret).len(), 64);

    // Without a garbage collector these references are all there is to see of the deletion.
    for metadata in [&map.metadata, &service.metadata, &deployment.metadata, &secret.metadata] {
        let owners = metadata.owner_references.as_ref().unwrap();
        assert_eq!((owners.len(), &owners[0].uid), (1, created.metadata.uid.as_ref().unwrap()));
        assert_eq!((owners[0].kind.as_str(), owners[0].controller), ("MudGateway", Some(true)));
    }

    assert!(operator.get("/healthz").await.ends_with("ok"));
    assert!(operator.get("/readyz").await.ends_with("ok"));
    assert_eq!(operator.metric("i3op_managed_mudgateways").await, 1.0);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programmed_follows_the_pod() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;
    let available = json!({"status": {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "availableReplicas": 1}});
    let deployments: Api<Deployment> = space.api();
    deployments
        .patch_status("luminari-gateway", &Default::default(), &kube::api::Patch::Merge(available))
        .await
        .unwrap();
    space.wait_for("luminari", ConditionType::Programmed, "True", "MinimumReplicasAvailable").await;

    space.change::<MudGateway>("luminari", json!({"spec": {"replicas": 0}})).await;
    space.wait_for("luminari", ConditionType::Ready, "False", "ScaledToZero").await;
    let deployment = deployments.get("luminari-gateway").await.unwrap();
    assert_eq!(deployment.spec.replicas, Some(0));
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pod_is_let_into_a_restricted_namespace() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    let deployment: Deployment = space.wait("luminari-gateway", "there", |_| true).await;

    // What the controllers that do not run here would do.
    let account = ServiceAccount {
        metadata: ObjectMeta { name: Some("default".to_owned()), ..Default::default() },
        ..Default::default()
    };
    space.api().create(&PostParams::default(), &account).await.unwrap();
    let template = deployment.spec.template;
    let pod = Pod {
        metadata: ObjectMeta { name: Some("luminari".to_owned()), ..template.metadata.unwrap_or_default() },
        spec: template.spec,
        ..Default::default()
    };
    space.api().create(&PostParams::default(), &pod).await.unwrap();
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_spec_reaches_config_and_pod() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    let before: Deployment = space.wait("luminari-gateway", "there", |_| true).await;

    space.change::<MudGateway>("luminari", json!({"spec": {"channels": [{"name": "imud_code"}]}})).await;
    let after: Deployment =
        space.wait("luminari-gateway", "changed", |deployment| hash(deployment) != hash(&before)).await;
    let map: ConfigMap = space.api().get("luminari-gateway").await.unwrap();
    assert!(config(&map).contains("imud_code"), "the configuration comes before the pod");
    assert_eq!(after.metadata.generation, Some(2));
    space
        .wait("luminari", "seen", |gateway: &MudGateway| {
            gateway.status.as_ref().is_some_and(|status| status.observed_generation == Some(2))
        })
        .await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_put_back_and_what_others_add_stays() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;

    space.change::<Deployment>("luminari-gateway", json!({"spec": {"replicas": 3}})).await;
    space.wait("luminari-gateway", "one pod", |d: &Deployment| d.spec.replicas == Some(1)).await;

    let spoilt = json!({"data": {CONFIG: "spoilt"}, "metadata": {"annotations": {"theirs": "kept"}}});
    space.change::<ConfigMap>("luminari-gateway", spoilt).await;
    let map: ConfigMap = space.wait("luminari-gateway", "as it was", |map| config(map) != "spoilt").await;
    assert_eq!(map.annotations()["theirs"], "kept");

    space
        .change::<Service>("luminari", json!({"spec": {"selector": {"app.kubernetes.io/name": "other"}}}))
        .await;
    space
        .wait("luminari", "as it was", |service: &Service| {
            let selector = service.spec.as_ref().unwrap().selector.as_ref().unwrap();
            selector["app.kubernetes.io/name"] == "mudgateway-gateway"
        })
        .await;

    space.delete::<Service>("luminari").await;
    space.wait("luminari", "there again", |_: &Service| true).await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_is_made_once() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;
    let before: Deployment = space.api().get("luminari-gateway").await.unwrap();

    // An admin puts another key there and takes our label away: the label comes back, the key stays theirs.
    let theirs = json!({
        "stringData": {"token": "theirs"},
        "metadata": {"labels": {"app.kubernetes.io/part-of": null}},
    });
    space.change::<Secret>("luminari-api-key", theirs).await;
    let secret: Secret = space
        .wait("luminari-api-key", "labelled", |secret: &Secret| {
            secret.labels().contains_key("app.kubernetes.io/part-of")
                && text(secret)["snippet"].contains("theirs")
        })
        .await;
    assert_eq!(token(&secret), b"theirs");
    assert!(text(&secret)["snippet"].contains(&format!("gateway_host = luminari.{}.svc\n", space.name)));
    let after: Deployment = space.api().get("luminari-gateway").await.unwrap();
    assert_eq!(hash(&after), hash(&before), "a label is no reason to restart the pod");

    // Deleted, there is a new key. The pod sees it in its file, and is not restarted for it.
    space.delete::<Secret>("luminari-api-key").await;
    let secret: Secret = space.wait("luminari-api-key", "there again", |_| true).await;
    assert_eq!(token(&secret).len(), 64);
    assert!(text(&secret)["snippet"].contains(std::str::from_utf8(&token(&secret)).unwrap()));
    let after: Deployment = space.api().get("luminari-gateway").await.unwrap();
    assert_eq!(hash(&after), hash(&before));
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_others_are_left_alone() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": "luminari"},
        "spec": {"selector": {"app": "the-mud-itself"}, "ports": [{"port": 4000}]},
    }))
    .unwrap();
    space.api().create(&PostParams::default(), &service).await.unwrap();
    space.create("luminari", "LuminariMUD", json!({})).await;
    let gateway = space.wait_for("luminari", ConditionType::Programmed, "False", "ObjectExists").await;
    assert!(message(&gateway, ConditionType::Programmed).starts_with("Service luminari exists"));
    let untouched: Service = space.api().get("luminari").await.unwrap();
    assert_eq!(untouched.spec.unwrap().selector.unwrap()["app"], "the-mud-itself");
    assert!(space.api::<Deployment>().get_opt("luminari-gateway").await.unwrap().is_none());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_operator_writes_nothing() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;

    let gateway = version::<MudGateway>(&space, "luminari").await;
    let service = version::<Service>(&space, "luminari").await;
    let secret = version::<Secret>(&space, "luminari-api-key").await;
    let deployment = version::<Deployment>(&space, "luminari-gateway").await;

    let (touched, ..) = tokio::join!(
        touch_again_and_again(&space, &operator),
        assert_unwritten::<MudGateway>(&space, "luminari", gateway),
        assert_unwritten::<Service>(&space, "luminari", service),
        assert_unwritten::<Secret>(&space, "luminari-api-key", secret),
        assert_unwritten::<Deployment>(&space, "luminari-gateway", deployment),
    );
    assert_eq!(version::<ConfigMap>(&space, "luminari-gateway").await, touched);
    operator.stop().await;
}

/// Forces one reconciliation after the other for more than a second, so that a time in the status would show.
/// None of them has anything to put back. Returns the version of the object it touched.
async fn touch_again_and_again(space: &Space, operator: &Operator) -> String {
    let reconciled = "i3op_reconcile_total{outcome=\"Applied\"}";
    let start = Instant::now();
    let mut version = String::new();
    while start.elapsed() < Duration::from_millis(1500) {
        let before = operator.metric(reconciled).await;
        let touch = json!({"metadata": {"annotations": {"touched": before.to_string()}}});
        version = space.change::<ConfigMap>("luminari-gateway", touch).await.resource_version().unwrap();
        eventually("a reconciliation", async || (operator.metric(reconciled).await > before).then_some(()))
            .await;
    }
    version
}

async fn version<K: Namespaced>(space: &Space, name: &str) -> String {
    space.api::<K>().get(name).await.unwrap().resource_version().unwrap()
}

/// Watches an object from a version on and for some seconds, in which nobody may write it.
async fn assert_unwritten<K: Namespaced>(space: &Space, name: &str, version: String) {
    let params = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(4);
    let mut events = space.api::<K>().watch(&params, &version).await.unwrap().boxed();
    while let Some(event) = events.next().await {
        assert!(
            matches!(event, Ok(WatchEvent::Bookmark(_))),
            "{} {name} was written: {event:?}",
            K::kind(&())
        );
    }
}
