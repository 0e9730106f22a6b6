//! What tenants may do to each other, and the operator to anybody: nothing.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, PostParams};
use mudgateway_crds::status::ConditionType;
use serde_json::json;

use crate::harness::{NO_NATS, OPERATOR_NAMESPACE, OPERATOR_USER, Operator, Space};

/// Whether the operator may do something: `verb`, `group/resource/subresource`, in a namespace or anywhere.
async fn may(space: &Space, verb: &str, what: &str, namespace: Option<&str>, name: Option<&str>) -> bool {
    let mut parts = what.split('/');
    let attributes = ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: parts.next().map(str::to_owned),
        resource: parts.next().map(str::to_owned),
        subresource: parts.next().map(str::to_owned),
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        ..Default::default()
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(OPERATOR_USER.to_owned()),
            groups: Some(vec!["system:serviceaccounts".to_owned(), "system:authenticated".to_owned()]),
            resource_attributes: Some(attributes),
            ..Default::default()
        },
        ..Default::default()
    };
    let answer = Api::all(space.client.clone()).create(&PostParams::default(), &review).await.unwrap();
    answer.status.unwrap().allowed
}

#[tokio::test]
async fn the_operator_may_do_what_it_needs_and_nothing_else() {
    let space = Space::new().await;
    let here = Some(space.name.as_str());
    for (verb, what) in [
        ("watch", "intermud.dev/mudgateways"),
        ("patch", "intermud.dev/mudgateways"),
        ("patch", "intermud.dev/mudgateways/status"),
        ("delete", "apps/deployments"),
        ("patch", "networking.k8s.io/networkpolicies"),
        ("create", "policy/poddisruptionbudgets"),
        ("delete", "gateway.networking.k8s.io/tcproutes"),
        ("get", "gateway.networking.k8s.io/gateways"),
        ("create", "/secrets"),
        ("create", "events.k8s.io/events"),
    ] {
        assert!(may(&space, verb, what, here, None).await, "it may not {verb} {what}");
    }
    for (verb, what) in [
        ("create", "intermud.dev/mudgateways"),
        ("update", "intermud.dev/mudgateways"),
        ("delete", "intermud.dev/mudgateways"),
        ("delete", "/secrets"),
        ("update", "/secrets"),
        ("get", "/pods"),
        ("create", "/pods"),
        ("create", "/pods/exec"),
        ("get", "/nodes"),
        ("delete", "/namespaces"),
        ("delete", "/services"),
        ("patch", "gateway.networking.k8s.io/gateways"),
        ("list", "gateway.networking.k8s.io/gateways"),
        ("patch", "apiextensions.k8s.io/customresourcedefinitions"),
        ("create", "rbac.authorization.k8s.io/clusterroles"),
        ("create", "/serviceaccounts/token"),
        ("impersonate", "/users"),
        ("get", "coordination.k8s.io/leases"),
    ] {
        assert!(!may(&space, verb, what, here, None).await, "it may {verb} {what}");
    }
    let own = Some(OPERATOR_NAMESPACE);
    let leases = "coordination.k8s.io/leases";
    assert!(may(&space, "update", leases, own, Some("mudgateway-operator")).await);
    assert!(!may(&space, "update", leases, own, Some("another")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_bad_objects_of_one_tenant_do_not_slow_anothers_good_one() {
    let (noisy, quiet) = (Space::new().await, Space::new().await);
    let bad = json!({"api": {"keys": [{"secretRef": {"name": "missing"}}]}});
    let creating = (0..200).map(|index| noisy.create_quietly(format!("bad-{index}"), bad.clone()));
    futures::future::join_all(creating).await;
    let more = format!("--watch-namespace={}", quiet.name);
    let operator = Operator::start_with(&noisy, NO_NATS, &[&more, "--concurrency=4"]).await;
    let started = std::time::Instant::now();
    quiet.create("good", "GoodMUD", json!({})).await;
    quiet.wait_for("good", ConditionType::Programmed, "False", "Progressing").await;
    assert!(started.elapsed().as_secs() < 5, "it took {:?}", started.elapsed());
    operator.stop().await;
}
