//! Networks that the provider maintains.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use mudgateway_crds::bus::{inbox_prefix, permit_subject};
use mudgateway_crds::network::{NetworkConditionType, RouterState};
use mudgateway_crds::permit::{PermitAnswer, PermitRequest, Purpose, Step};
use mudgateway_crds::report::SessionReason;
use mudgateway_crds::status::ConditionType;
use mudgateway_crds::{IntermudNetwork, MudGateway};
use serde_json::{Value, json};

use crate::harness::{NO_NATS, Operator, PATIENCE, Space, eventually, run};
use crate::nats::{Nats, report};

/// Creates or changes the network that has the name of a test's namespace.
pub async fn apply(space: &Space, spec: Value) -> kube::Result<IntermudNetwork> {
    let object = json!({
        "apiVersion": "intermud.dev/v1alpha1",
        "kind": "IntermudNetwork",
        "metadata": {"name": space.name},
        "spec": spec,
    });
    networks(space).patch(&space.name, &PatchParams::apply("it").force(), &Patch::Apply(object)).await
}

pub fn networks(space: &Space) -> Api<IntermudNetwork> {
    Api::all(space.client.clone())
}

/// The spec of one, with more in it.
pub fn spec(more: Value) -> Value {
    let mut spec = json!({"routers": [{"name": "*it", "host": "router.example", "port": 8787}]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// A MudGateway on that network.
async fn on_it(space: &Space, name: &str) -> MudGateway {
    let object = json!({
        "apiVersion": "intermud.dev/v1alpha1",
        "kind": "MudGateway",
        "metadata": {"name": name},
        "spec": {"mud": {"name": name}, "networkRef": {"name": space.name}},
    });
    let api: Api<MudGateway> = space.api();
    api.patch(name, &PatchParams::apply("it"), &Patch::Apply(object)).await.unwrap()
}

fn reason(gateway: &MudGateway, type_: ConditionType) -> Option<&str> {
    Some(gateway.status.as_ref()?.condition(type_)?.reason.as_str())
}

#[tokio::test]
async fn a_network_reaches_its_muds_and_a_change_restarts_nothing() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    on_it(&space, "dawn").await;
    let lost = |gateway: &MudGateway| reason(gateway, ConditionType::Accepted) == Some("NetworkNotFound");
    space.wait::<MudGateway>("dawn", "without a network", lost).await;

    apply(&space, spec(json!({"bans": ["*@SpamMUD"]}))).await.unwrap();
    let has = |text: &'static str| {
        move |map: &ConfigMap| map.data.as_ref().is_some_and(|data| data["config.yaml"].contains(text))
    };
    space.wait::<ConfigMap>("dawn-gateway", "told of the ban", has("*@SpamMUD")).await;
    let before: Deployment = space.wait("dawn-gateway", "there", |_| true).await;

    apply(&space, spec(json!({"bans": ["*@Other"]}))).await.unwrap();
    space.wait::<ConfigMap>("dawn-gateway", "told of the other ban", has("*@Other")).await;
    let after: Deployment = space.wait("dawn-gateway", "there", |_| true).await;
    assert_eq!(before.spec.template, after.spec.template, "nothing is restarted");

    let name = space.name.clone();
    let seen = async {
        loop {
            let network = networks(&space).get(&name).await.unwrap();
            match network.status {
                Some(status) if status.muds == 1 => return status,
                _ => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            }
        }
    };
    let status = tokio::time::timeout(PATIENCE, seen).await.expect("no status");
    assert_eq!(status.condition(NetworkConditionType::Accepted).unwrap().status, "True");
    assert_eq!(status.condition(NetworkConditionType::Ready).unwrap().reason, "NobodyConnects");
    let printed = run("kubectl", &["get", "intermudnetworks", &name], b"");
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(printed.contains("REGISTERED") && printed.contains("Unknown"), "{printed}");

    networks(&space).delete(&name, &DeleteParams::default()).await.unwrap();
    space.wait::<MudGateway>("dawn", "without a network again", lost).await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gateways_report_adds_up_in_the_status_of_the_network() {
    let (space, nats) = (Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    // The reports of these tests name this router.
    let routers = ["*demo", "*spare"].map(|name| json!({"name": name, "host": "router.example", "port": 1}));
    apply(&space, json!({"routers": routers})).await.unwrap();
    for name in ["dawn", "dusk", "night"] {
        on_it(&space, name).await;
    }
    let accepted = |gateway: &MudGateway| reason(gateway, ConditionType::Accepted) == Some("Accepted");
    space.wait::<MudGateway>("night", "accepted", accepted).await;
    let bucket = nats.reports().await;
    report(&bucket, &space, "dawn", SessionReason::SessionEstablished).await;
    report(&bucket, &space, "dusk", SessionReason::RouterRefused).await;
    let status = eventually("the sums", async || {
        let status = networks(&space).get(&space.name).await.unwrap().status?;
        (status.registered == 1).then_some(status)
    })
    .await;
    assert_eq!((status.muds, status.routers_up, status.permits_waiting), (3, 1, 0));
    let states: Vec<_> = status.routers.iter().map(|router| (router.name.as_str(), router.state)).collect();
    assert_eq!(states, [("*demo", RouterState::Up), ("*spare", RouterState::Unknown)]);
    assert_eq!(status.condition(NetworkConditionType::Ready).unwrap().reason, "RouterUp");

    report(&bucket, &space, "dawn", SessionReason::RouterUnreachable).await;
    let down = eventually("the loss", async || {
        let status = networks(&space).get(&space.name).await.unwrap().status?;
        // Both of it: while NATS cannot be reached for a moment nothing is known of anybody.
        (status.registered == 0 && status.routers[0].state == RouterState::Down).then_some(status)
    })
    .await;
    assert_eq!(down.condition(NetworkConditionType::Ready).unwrap().reason, "RoutersDown");
    operator.stop().await;
}

/// Says something about a permit as a mud on the network of a test does, and returns the answer.
async fn permit(space: &Space, nats: &Nats, mud: &str, step: Step) -> PermitAnswer {
    let options = async_nats::ConnectOptions::new().custom_inbox_prefix(inbox_prefix(&space.name, mud));
    let client = options.connect(nats.url()).await.unwrap();
    let router = format!("{}.example:8080", space.name);
    let request = PermitRequest { router, egress: "node".to_owned(), step };
    let request = serde_json::to_vec(&request).unwrap();
    // It answers once it leads and has a session with NATS.
    let answer = eventually("an answer", async || {
        client.request(permit_subject(&space.name, mud), request.clone().into()).await.ok()
    });
    serde_json::from_slice(&answer.await.payload).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn muds_that_wait_for_a_router_are_counted() {
    let (space, nats) = (Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    // So long that nobody's turn comes while this runs.
    apply(&space, spec(json!({"limits": {"connectIntervalMilliseconds": 60000}}))).await.unwrap();
    for name in ["dawn", "dusk", "night"] {
        on_it(&space, name).await;
        let accepted = |gateway: &MudGateway| reason(gateway, ConditionType::Accepted) == Some("Accepted");
        space.wait::<MudGateway>(name, "accepted", accepted).await;
    }
    let waiting = async |wanted: i32| {
        eventually("the count of who waits", async || {
            let status = networks(&space).get(&space.name).await.unwrap().status?;
            (status.permits_waiting == wanted).then_some(())
        })
        .await;
        assert_eq!(operator.metric("i3op_permits_waiting").await, f64::from(wanted));
    };
    let ask = Step::Ask { waited_milliseconds: 0, purpose: Purpose::Connect, known: true };
    assert!(matches!(permit(&space, &nats, "dawn", ask).await, PermitAnswer::Granted { .. }));
    for (mud, before) in [("dusk", 0), ("night", 1)] {
        let answer = permit(&space, &nats, mud, ask).await;
        assert!(matches!(answer, PermitAnswer::Wait { ahead, .. } if ahead == before), "{answer:?}");
    }
    waiting(2).await;

    assert_eq!(permit(&space, &nats, "night", Step::GivenBack).await, PermitAnswer::Noted);
    waiting(1).await;
    operator.stop().await;
}
