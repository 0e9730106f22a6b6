//! Identities on a NATS whose keys the operator makes.

use async_nats::jetstream;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use mudgateway_crds::bus::{REPORT_BUCKET, bucket_subject, permit_subject, report_key};
use mudgateway_crds::permit::{PermitAnswer, PermitRequest, Purpose, Step};
use mudgateway_crds::report::{GatewayReport, SessionReason};
use mudgateway_crds::status::ConditionType;
use mudgateway_identity::{Credentials, Login};
use serde_json::json;

use crate::harness::{Operator, Space, eventually};
use crate::nats::{Nats, unused_port};

const KEYS: &str = "nats-auth";
const FLAGS: &[&str] = &["--nats-auth-secret", KEYS, "--nats-identity-seconds", "600"];

async fn entry(space: &Space, secret: &str, entry: &str) -> String {
    let found = eventually(secret, async || space.api::<Secret>().get_opt(secret).await.unwrap()).await;
    String::from_utf8(found.data.unwrap()[entry].0.clone()).unwrap()
}

/// An operator, and the NATS that knows nobody but whom it signs.
async fn start(space: &Space) -> (Operator, Nats) {
    let port = unused_port();
    let operator = Operator::start_with(space, &format!("nats://127.0.0.1:{port}"), FLAGS).await;
    // As a pod of NATS waits for the Secret.
    let config = entry(space, KEYS, "auth.conf").await;
    let nats = Nats::start_with(Some(port), &format!("max_control_line: 64KB\n{config}")).await;
    (operator, nats)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gateway_gets_an_identity_that_nats_lets_in_for_its_own_mud() {
    let space = Space::new().await;
    let (operator, nats) = start(&space).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;
    eventually("a session", async || (operator.metric("i3op_bus_connected").await == 1.0).then_some(()))
        .await;

    let credentials = entry(&space, "luminari-gateway-nats", "nats.creds").await;
    let login = Login::default().with_credentials(Credentials::parse(&credentials).unwrap());
    let inbox = mudgateway_crds::bus::inbox_prefix(&format!("*{}", space.name), "LuminariMUD");
    let client = login.options().custom_inbox_prefix(inbox).connect(nats.url()).await.unwrap();
    let report = GatewayReport {
        holder: "pod".to_owned(),
        reason: SessionReason::SessionEstablished,
        message: "fine".to_owned(),
        router: None,
        connected_since: None,
        ..serde_json::from_value(json!({"holder": "", "reason": "Connecting", "message": ""})).unwrap()
    };
    let context = jetstream::new(client.clone());
    let publish = async |name: &str| {
        let subject = bucket_subject(REPORT_BUCKET, &report_key(&space.name, name));
        let sent = context.publish(subject, serde_json::to_vec(&report).unwrap().into()).await.unwrap();
        sent.await.map(drop)
    };
    publish("luminari").await.unwrap();
    space.wait_for("luminari", ConditionType::Connected, "True", "SessionEstablished").await;
    assert!(publish("dawn").await.is_err(), "for another mud");

    // It is told whether it may connect, though the operator is in another account.
    let ask = PermitRequest {
        router: "127.0.0.1:8080".to_owned(),
        egress: "node".to_owned(),
        step: Step::Ask { waited_milliseconds: 0, purpose: Purpose::Connect, known: true },
    };
    let subject = permit_subject(&format!("*{}", space.name), "LuminariMUD");
    let answer = client.request(subject, serde_json::to_vec(&ask).unwrap().into()).await.unwrap();
    let answer: PermitAnswer = serde_json::from_slice(&answer.payload).unwrap();
    assert!(matches!(answer, PermitAnswer::Granted { .. }), "{answer:?}");
    assert!(async_nats::connect(nats.url()).await.is_err(), "without an identity");

    // The pod is told where its files are, and no secret is in its configuration.
    let config: ConfigMap = space.api().get("luminari-gateway").await.unwrap();
    let config = &config.data.unwrap()["config.yaml"];
    assert!(config.contains("/etc/mudgateway/nats/nats.creds") && !config.contains("BEGIN"), "{config}");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_identities_outlive_the_operator_and_a_lost_identity_is_made_anew() {
    let space = Space::new().await;
    let (operator, nats) = start(&space).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    let keys = entry(&space, KEYS, "operator.creds").await;
    let identity = entry(&space, "luminari-gateway-nats", "nats.creds").await;
    operator.stop().await;

    let operator = Operator::start_with(&space, &nats.url(), FLAGS).await;
    eventually("a session", async || (operator.metric("i3op_bus_connected").await == 1.0).then_some(()))
        .await;
    space.wait_for("luminari", ConditionType::Accepted, "True", "Accepted").await;
    assert_eq!(entry(&space, KEYS, "operator.creds").await, keys);
    assert_eq!(entry(&space, "luminari-gateway-nats", "nats.creds").await, identity);
    assert_eq!(operator.metric("i3op_nats_identities_issued_total").await, 0.0);
    let generation = |deployment: Deployment| deployment.metadata.generation;
    let before = generation(space.api().get("luminari-gateway").await.unwrap());

    space.delete::<Secret>("luminari-gateway-nats").await;
    let renewed = entry(&space, "luminari-gateway-nats", "nats.creds").await;
    assert_ne!(renewed, identity);
    eventually("the count", async || {
        (operator.metric("i3op_nats_identities_issued_total").await == 1.0).then_some(())
    })
    .await;
    assert_eq!(generation(space.api().get("luminari-gateway").await.unwrap()), before, "no new pod");
    operator.stop().await;
}
