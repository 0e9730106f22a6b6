//! Specs that cannot be carried out, and what that means for the others.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, ResourceQuota, Secret};
use kube::api::{Api, Patch, PostParams};
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use mudgateway_crds::MudGateway;
use mudgateway_crds::status::ConditionType;
use serde_json::{Value, json};

use crate::harness::{NO_NATS, Operator, Space, eventually, message, wait_for_event};
use crate::secret;

#[tokio::test(flavor = "multi_thread")]
async fn an_undecodable_object_stops_nobody() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    let resource = ApiResource::erase::<MudGateway>(&());
    let objects: Api<DynamicObject> = Api::namespaced_with(space.client.clone(), &space.name, &resource);
    let routers = json!([{"name": "*x", "host": "h", "port": 1}]);
    let later = DynamicObject::new("later", &resource)
        .data(json!({"spec": {"mud": {"name": "Later", "port": "telnet"}, "routers": routers}}));
    objects.create(&PostParams::default(), &later).await.unwrap();
    space.create("fine", "Fine", json!({})).await;
    space.wait_for("fine", ConditionType::Accepted, "True", "Accepted").await;

    let status = eventually("the status of the undecodable object", async || {
        let status = objects.get("later").await.unwrap().data["status"].clone();
        status["conditions"].is_array().then_some(status)
    })
    .await;
    let brief: Vec<(&Value, &Value)> = status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|condition| (&condition["type"], &condition["reason"]))
        .collect();
    assert_eq!(brief[0], (&json!("Accepted"), &json!("InvalidSpec")));
    assert_eq!(brief[3], (&json!("Ready"), &json!("InvalidSpec")));
    let event = wait_for_event(&space, "later", "InvalidSpec").await;
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    assert_eq!(operator.metric("i3op_invalid_objects").await, 1.0);
    assert_eq!(operator.metric("i3op_managed_mudgateways").await, 2.0);
    assert!(space.api::<ConfigMap>().get_opt("later-gateway").await.unwrap().is_none());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_has_the_name_until_it_is_deleted() {
    let space = Space::new().await;
    let operator = Operator::start_with(&space, NO_NATS, &["--deletion-seconds=1"]).await;
    space.create("first", "SameMUD", json!({})).await;
    space.wait_for("first", ConditionType::Accepted, "True", "Accepted").await;
    // Of one second, the first by name is the older.
    space.create("second", "SameMUD", json!({})).await;
    let second = space.wait_for("second", ConditionType::Accepted, "False", "NameConflict").await;
    let holder = format!("MudGateway {}/first is older", space.name);
    assert!(message(&second, ConditionType::Accepted).starts_with(&holder));
    assert!(space.api::<Deployment>().get_opt("second-gateway").await.unwrap().is_none());
    wait_for_event(&space, "second", "NameConflict").await;

    space.delete::<MudGateway>("first").await;
    space.wait_for("second", ConditionType::Accepted, "True", "Accepted").await;
    space.wait("second-gateway", "there", |_: &Deployment| true).await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_to_a_network_where_an_older_one_has_the_name_is_stopped() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    space.create("first", "SameMUD", json!({})).await;
    let elsewhere = json!({"routers": [{"name": format!("*other-{}", space.name), "host": "h", "port": 1}]});
    space.create("second", "SameMUD", elsewhere).await;
    space.wait("second-gateway", "there", |_: &Deployment| true).await;

    let here = json!([{"name": format!("*{}", space.name), "host": "h", "port": 1}]);
    space.change::<MudGateway>("second", json!({"spec": {"routers": here}})).await;
    space.wait_for("second", ConditionType::Ready, "False", "NameConflict").await;
    eventually("the end of the second", async || {
        space.api::<Deployment>().get_opt("second-gateway").await.unwrap().is_none().then_some(())
    })
    .await;
    assert!(space.api::<Deployment>().get_opt("first-gateway").await.unwrap().is_some());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_awaited_and_a_changed_one_reaches_the_pod() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    let keys = json!({"api": {"keys": [{"secretRef": {"name": "bot", "key": "key"}}]}});
    space.create("luminari", "LuminariMUD", keys).await;
    let gateway = space.wait_for("luminari", ConditionType::Accepted, "False", "SecretNotFound").await;
    assert!(message(&gateway, ConditionType::Accepted).contains("Secret bot has no entry \"key\""));
    wait_for_event(&space, "luminari", "SecretNotFound").await;

    secret::add(&space, "bot", json!({"key": "k1"})).await;
    let gateway = space.wait_for("luminari", ConditionType::Accepted, "True", "Accepted").await;
    assert_eq!(gateway.status.unwrap().api_key_secret, None);
    let before: Deployment = space.wait("luminari-gateway", "there", |_| true).await;
    let volumes = before.spec.template.spec.as_ref().unwrap().volumes.as_ref().unwrap();
    assert_eq!(volumes[1].secret.as_ref().unwrap().secret_name.as_deref(), Some("bot"));
    assert!(space.api::<Secret>().get_opt("luminari-api-key").await.unwrap().is_none());

    // The gateway reads the new key from its file: it need not be restarted for it.
    let reconciled = "i3op_reconcile_total{outcome=\"Applied\"}";
    let so_far = operator.metric(reconciled).await;
    space.change::<Secret>("bot", json!({"stringData": {"key": "k2"}})).await;
    eventually("a look at it", async || (operator.metric(reconciled).await > so_far).then_some(())).await;
    let after: Deployment = space.api().get("luminari-gateway").await.unwrap();
    assert_eq!(after.metadata.generation, before.metadata.generation);

    space.delete::<Secret>("bot").await;
    space.wait_for("luminari", ConditionType::Accepted, "False", "SecretNotFound").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_nobody_allowed_is_not_run() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    space.create("luminari", "LuminariMUD", json!({"image": "elsewhere.example/spy:1"})).await;
    let gateway = space.wait_for("luminari", ConditionType::Accepted, "False", "ImageNotAllowed").await;
    assert!(message(&gateway, ConditionType::Accepted).contains("gateway.allowedImages"));
    assert!(space.api::<Deployment>().get_opt("luminari-gateway").await.unwrap().is_none());
    space.change::<MudGateway>("luminari", json!({"spec": {"image": "gateway:2"}})).await;
    space.wait("luminari-gateway", "there", |_: &Deployment| true).await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_paused_nothing_is_changed_and_that_is_said() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;
    space.change::<MudGateway>("luminari", json!({"spec": {"paused": true, "replicas": 2}})).await;
    space.wait_for("luminari", ConditionType::Programmed, "Unknown", "Paused").await;
    wait_for_event(&space, "luminari", "Paused").await;
    // Neither the new number of pods nor drift is acted upon.
    space.delete::<ConfigMap>("luminari-gateway").await;
    let paused = "i3op_reconcile_total{outcome=\"Paused\"}";
    eventually("a look at it", async || (operator.metric(paused).await >= 2.0).then_some(())).await;
    assert!(space.api::<ConfigMap>().get_opt("luminari-gateway").await.unwrap().is_none());
    let deployment: Deployment = space.api().get("luminari-gateway").await.unwrap();
    assert_eq!(deployment.spec.replicas, Some(1));

    space.change::<MudGateway>("luminari", json!({"spec": {"paused": false}})).await;
    space.wait("luminari-gateway", "two pods", |d: &Deployment| d.spec.replicas == Some(2)).await;
    space.wait("luminari-gateway", "there again", |_: &ConfigMap| true).await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_ends_soon_is_told_of() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    secret::add(&space, "bot", json!({"token": "k"})).await;
    let tomorrow = k8s_openapi::jiff::Timestamp::now() + k8s_openapi::jiff::SignedDuration::from_hours(24);
    let ends = json!({"secretRef": {"name": "bot"}, "expires": tomorrow.to_string()});
    space.create("luminari", "LuminariMUD", json!({"api": {"keys": [ends]}})).await;
    let gateway = space.wait_for("luminari", ConditionType::Accepted, "True", "KeyExpiring").await;
    assert!(message(&gateway, ConditionType::Accepted).starts_with("the API key in Secret bot ends at"));
    wait_for_event(&space, "luminari", "KeyExpiring").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_object_is_explained_and_tried_again() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    let quotas: Api<ResourceQuota> = space.api();
    let quota =
        serde_json::from_value(json!({"metadata": {"name": "q"}, "spec": {"hard": {"services": "0"}}}));
    quotas.create(&PostParams::default(), &quota.unwrap()).await.unwrap();
    // What the controller that does not run here would do.
    let counted = json!({"status": {"hard": {"services": "0"}, "used": {"services": "0"}}});
    quotas.patch_status("q", &Default::default(), &Patch::Merge(counted)).await.unwrap();

    space.create("luminari", "LuminariMUD", json!({})).await;
    let gateway = space.wait_for("luminari", ConditionType::Programmed, "False", "ApplyFailed").await;
    let message = message(&gateway, ConditionType::Programmed);
    assert!(
        message.starts_with("applying Service luminari: services \"luminari\" is forbidden"),
        "{message}"
    );
    wait_for_event(&space, "luminari", "ApplyFailed").await;
    assert!(operator.metric("i3op_reconcile_errors_total{reason=\"Forbidden\"}").await >= 1.0);

    space.delete::<ResourceQuota>("q").await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;
    operator.stop().await;
}
