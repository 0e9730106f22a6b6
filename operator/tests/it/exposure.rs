//! Ways in from outside the cluster, without whoever carries them out: what is asked of the API server and what is told.

use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, Patch};
use mudgateway_crds::MudGateway;
use mudgateway_crds::status::{ConditionType, Endpoints};
use serde_json::json;

use crate::harness::{NO_NATS, Operator, Space, eventually, message};
use crate::secret::{self, text};

fn endpoints(gateway: &MudGateway) -> Endpoints {
    gateway.status.clone().and_then(|status| status.endpoints).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ports_of_nodes_are_told_as_they_are() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    let expose = json!({"expose": {"service": {"type": "NodePort", "host": "nodes.example"}}});
    space.create("luminari", "LuminariMUD", expose).await;
    let gateway = space
        .wait("luminari", "with an endpoint", |gateway: &MudGateway| endpoints(gateway).tcp.is_some())
        .await;
    let service: Service = space.api().get("luminari").await.unwrap();
    let ports = service.spec.unwrap().ports.unwrap();
    let port = |name: &str| {
        ports.iter().find(|port| port.name.as_deref() == Some(name)).and_then(|port| port.node_port).unwrap()
    };
    let endpoints = endpoints(&gateway);
    assert_eq!(endpoints.websocket, Some(format!("ws://nodes.example:{}/ws", port("websocket"))));
    assert_eq!(endpoints.tcp, Some(format!("nodes.example:{}", port("tcp"))));

    // And back to the inside, without a trace.
    space.change::<MudGateway>("luminari", json!({"spec": {"expose": {"service": null}}})).await;
    space
        .wait("luminari", "inside only", |service: &Service| {
            let spec = service.spec.as_ref().unwrap();
            let no_node_port = spec.ports.as_ref().unwrap().iter().all(|port| port.node_port.is_none());
            spec.type_.as_deref() == Some("ClusterIP") && no_node_port
        })
        .await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_is_told_of_when_it_has_an_address() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    let expose =
        json!({"expose": {"service": {"type": "LoadBalancer", "annotations": {"example.com/a": "b"}}}});
    space.create("luminari", "LuminariMUD", expose).await;
    let service: Service = space.wait("luminari", "there", |_| true).await;
    assert_eq!(service.metadata.annotations.unwrap()["example.com/a"], "b");
    let inside = format!("'ws://luminari.{}.svc:8080/ws'", space.name);
    let before: Secret = space.wait("luminari-api-key", "there", |_| true).await;
    assert!(text(&before)["snippet"].contains(&inside));
    let address = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.5"}]}}});
    let services: Api<Service> = space.api();
    services.patch_status("luminari", &Default::default(), &Patch::Merge(address)).await.unwrap();
    space
        .wait("luminari", "reachable", |gateway: &MudGateway| {
            endpoints(gateway).websocket.as_deref() == Some("ws://192.0.2.5:8080/ws")
        })
        .await;
    // What is ready to be pasted follows, and the key stays.
    let outside = |secret: &Secret| text(secret)["snippet"].contains("'ws://192.0.2.5:8080/ws'");
    let after: Secret = space.wait("luminari-api-key", "of the outside", outside).await;
    assert_eq!(text(&after)["token"], text(&before)["token"]);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_can_never_be_changed_is_told_and_healed_by_hand() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    let class = |class| json!({"expose": {"service": {"type": "LoadBalancer", "loadBalancerClass": class}}});
    space.create("luminari", "LuminariMUD", class("lb.example/a")).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;

    space.change::<MudGateway>("luminari", json!({"spec": class("lb.example/b")})).await;
    let told = space.wait_for("luminari", ConditionType::Programmed, "False", "ImmutableField").await;
    let told = message(&told, ConditionType::Programmed);
    assert!(told.contains("spec.loadBalancerClass") && told.contains("may not change once set"), "{told}");

    space.delete::<Service>("luminari").await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_asked_for_goes() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    let more = json!({"replicas": 2, "expose": {"ingress": {"host": "mud.example"}}});
    space.create("luminari", "LuminariMUD", more).await;
    let ingress: Ingress = space.wait("luminari-gateway", "there", |_| true).await;
    assert_eq!(ingress.spec.unwrap().rules.unwrap()[0].host.as_deref(), Some("mud.example"));
    space.wait("luminari-gateway", "there", |_: &PodDisruptionBudget| true).await;
    space.wait("luminari-gateway", "there", |_: &NetworkPolicy| true).await;
    space
        .wait("luminari", "reachable", |gateway: &MudGateway| {
            endpoints(gateway).websocket.as_deref() == Some("ws://mud.example/ws")
        })
        .await;

    // Someone else's object of such a name stays.
    let less = json!({"spec": {"replicas": 1, "expose": {"ingress": null}}});
    space.change::<MudGateway>("luminari", less).await;
    eventually("the end of both", async || {
        let ingress = space.api::<Ingress>().get_opt("luminari-gateway").await.unwrap();
        let budget = space.api::<PodDisruptionBudget>().get_opt("luminari-gateway").await.unwrap();
        (ingress.is_none() && budget.is_none()).then_some(())
    })
    .await;
    operator.stop().await;
}

/// Without pods, so that only the way to them is told of.
fn by_ingress(more: serde_json::Value) -> serde_json::Value {
    let mut ingress = json!({"host": "muds.example"});
    crate::harness::merge(&mut ingress, more);
    json!({"replicas": 0, "expose": {"ingress": ingress}})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_leads_there_when_it_has_its_certificate_and_an_address() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    space.create("luminari", "LuminariMUD", by_ingress(json!({"tlsSecretName": "cert"}))).await;
    let lost = space.wait_for("luminari", ConditionType::Programmed, "False", "SecretNotFound").await;
    assert!(message(&lost, ConditionType::Programmed).starts_with("Secret cert has no entries"));
    space.wait("luminari-gateway", "there all the same", |_: &Ingress| true).await;

    secret::add(&space, "cert", json!({"tls.crt": "x", "tls.key": "x"})).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "AddressPending").await;
    let address = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.5"}]}}});
    let ingresses: Api<Ingress> = space.api();
    ingresses.patch_status("luminari-gateway", &Default::default(), &Patch::Merge(address)).await.unwrap();
    space.wait_for("luminari", ConditionType::Programmed, "True", "ScaledToZero").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_ask_for_one_way_in_the_older_has_it() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    // Of one second the first by name is the older.
    for (name, reason) in [("first", "AddressPending"), ("second", "EndpointConflict")] {
        space.create(name, name, by_ingress(json!({}))).await;
        space.wait_for(name, ConditionType::Programmed, "False", reason).await;
    }
    let second: MudGateway = space.api().get("second").await.unwrap();
    let told = message(&second, ConditionType::Programmed);
    assert!(told.contains(&format!("is that of the older MudGateway {}/first", space.name)), "{told}");
    assert_eq!(endpoints(&second).websocket, None);
    assert!(space.api::<Ingress>().get_opt("second-gateway").await.unwrap().is_none());

    let elsewhere = json!({"spec": {"expose": {"ingress": {"host": "first.example"}}}});
    space.change::<MudGateway>("first", elsewhere).await;
    let heir = space.wait_for("second", ConditionType::Programmed, "False", "AddressPending").await;
    assert_eq!(endpoints(&heir).websocket.as_deref(), Some("ws://muds.example/ws"));
    space.wait("second-gateway", "there", |_: &Ingress| true).await;
    operator.stop().await;
}
