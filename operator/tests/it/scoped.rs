//! An operator for some namespaces only: `watchNamespaces`, with the Roles that the chart gives it there in place of its
//! ClusterRole.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::DeleteParams;
use mudgateway_crds::MudGateway;
use mudgateway_crds::status::ConditionType;
use serde_json::json;

use crate::harness::{NO_NATS, Operator, Space, eventually, run_ok};
use crate::network;
use crate::tenancy::user_may;

/// Gives the operator of the chart its rights, as a release that has the name of its own namespace. It is that user.
fn install(home: &Space, watched: [&Space; 2]) -> String {
    let names = format!("watchNamespaces={{{},{}}}", watched[0].name, watched[1].name);
    let chart = ["template", &home.name, "charts/mudgateway", "--namespace", &home.name, "--set", &names];
    let rights = [&chart[..], &["--show-only", "templates/operator/rbac.yaml"]].concat();
    let rights = run_ok("helm", &rights, b"").stdout;
    run_ok("kubectl", &["apply", "--server-side", "--filename", "-"], &rights);
    format!("system:serviceaccount:{0}:{0}-mudgateway-operator", home.name)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_the_namespaces_it_has_roles_in_and_may_do_nothing_elsewhere() {
    let (home, first, second, other) =
        (Space::new().await, Space::new().await, Space::new().await, Space::new().await);
    let user = install(&home, [&first, &second]);
    it_may_nothing_elsewhere(&user, [&first, &second], &other).await;

    // One network in two namespaces.
    let networks = network::networks(&home);
    network::apply(&home, network::spec(json!({}))).await.unwrap();
    let on_it = json!({"routers": null, "networkRef": {"name": home.name}});
    other.create("dawn", "Elsewhere", on_it.clone()).await;
    let more = format!("--watch-namespace={}", second.name);
    let operator = Operator::start_as(&user, &first, NO_NATS, &[&more]).await;
    for (space, mud) in [(&first, "First"), (&second, "Second")] {
        space.create("dawn", mud, on_it.clone()).await;
        space.wait_for("dawn", ConditionType::Programmed, "False", "Progressing").await;
        let made: Deployment = space.wait("dawn-gateway", "there", |_| true).await;
        space.delete::<Deployment>("dawn-gateway").await;
        let is_another = |now: &Deployment| now.metadata.uid != made.metadata.uid;
        space.wait("dawn-gateway", "put back", is_another).await;
    }
    eventually("the status of the network", async || {
        let status = networks.get(&home.name).await.unwrap().status?;
        // Not the mud of the namespace that is not watched.
        (status.muds == 2).then_some(())
    })
    .await;

    // It asks for nothing that it has no right to: a watch or request that is refused is counted.
    let metrics = operator.get("/metrics").await;
    let refused = metrics.lines().filter(|line| line.contains("Forbidden") || line.contains("\"403\""));
    let refused: Vec<_> = refused.filter(|line| !line.ends_with(" 0")).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let elsewhere: MudGateway = other.api().get("dawn").await.unwrap();
    assert!(elsewhere.status.is_none() && elsewhere.metadata.finalizers.is_none(), "{elsewhere:?}");
    networks.delete(&home.name, &DeleteParams::default()).await.unwrap();
    operator.stop().await;
}

/// The chart's rules hold where it watches. In the whole cluster there are the networks, and that is all.
async fn it_may_nothing_elsewhere(user: &str, watched: [&Space; 2], other: &Space) {
    // Rights that were just given are not known at once.
    let network = "intermud.dev/intermudnetworks";
    eventually("the rights", async || {
        user_may(user, other, "watch", network, None, None).await.then_some(())
    })
    .await;
    for (verb, what) in [
        ("list", "intermud.dev/mudgateways"),
        ("watch", "intermud.dev/mudgateways"),
        ("patch", "intermud.dev/mudgateways/status"),
        ("watch", "/secrets"),
        ("get", "/secrets"),
        ("create", "/secrets"),
        ("patch", "apps/deployments"),
        ("delete", "apps/deployments"),
        ("create", "events.k8s.io/events"),
        ("get", "gateway.networking.k8s.io/gateways"),
    ] {
        for space in watched {
            eventually(&format!("the right to {verb} {what}"), async || {
                user_may(user, space, verb, what, Some(&space.name), None).await.then_some(())
            })
            .await;
        }
        assert!(!user_may(user, other, verb, what, Some(&other.name), None).await, "{verb} {what} elsewhere");
        assert!(!user_may(user, other, verb, what, None, None).await, "{verb} {what} everywhere");
    }
    for (verb, what, may) in [
        ("list", network, true),
        ("patch", "intermud.dev/intermudnetworks/status", true),
        ("patch", network, false),
        ("delete", network, false),
        ("list", "/namespaces", false),
        ("list", "/nodes", false),
        ("list", "apiextensions.k8s.io/customresourcedefinitions", false),
    ] {
        assert_eq!(user_may(user, other, verb, what, None, None).await, may, "{verb} {what}");
    }
}
