//! What tenants may do to each other, and the operator to anybody: nothing.

use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, PostParams};
use mudgateway_crds::status::ConditionType;
use serde_json::json;

use crate::harness::{NO_NATS, OPERATOR_NAMESPACE, OPERATOR_USER, Operator, Space, run_ok};

/// Whether the operator may do something: `verb`, `group/resource/subresource`, in a namespace or anywhere.
async fn may(space: &Space, verb: &str, what: &str, namespace: Option<&str>, name: Option<&str>) -> bool {
    user_may(OPERATOR_USER, space, verb, what, namespace, name).await
}

pub(crate) async fn user_may(
    user: &str,
    space: &Space,
    verb: &str,
    what: &str,
    namespace: Option<&str>,
    name: Option<&str>,
) -> bool {
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
            user: Some(user.to_owned()),
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

/// What the chart adds to the roles that every cluster has. Their own controller, which does not run here, puts them
/// together by the labels; each is bound by itself here.
#[tokio::test]
async fn people_may_see_or_change_what_their_role_says() {
    let space = Space::new().await;
    let chart = ["template", "mudgateway", "charts/mudgateway", "--namespace", &space.name];
    let roles = [&chart[..], &["--show-only", "templates/operator/roles-for-people.yaml"]].concat();
    let roles = run_ok("helm", &roles, b"").stdout;
    run_ok("kubectl", &["apply", "--server-side", "--force-conflicts", "--filename", "-"], &roles);
    let (viewer, editor) = (format!("viewer-of-{}", space.name), format!("editor-of-{}", space.name));
    for (role, user) in [("view", &viewer), ("edit", &editor)] {
        let binding = ["create", "rolebinding", role, "--namespace", &space.name];
        let to = [format!("--clusterrole=mudgateway-{role}"), format!("--user={user}")];
        run_ok("kubectl", &[&binding[..], &[&to[0], &to[1]]].concat(), b"");
    }

    let here = Some(space.name.as_str());
    let (gateways, scale) = ("intermud.dev/mudgateways", "intermud.dev/mudgateways/scale");
    for (user, verb, what, allowed) in [
        (&viewer, "get", gateways, true),
        (&viewer, "watch", gateways, true),
        (&viewer, "patch", gateways, false),
        (&viewer, "delete", gateways, false),
        (&viewer, "get", "/secrets", false),
        (&editor, "create", gateways, true),
        (&editor, "delete", gateways, true),
        (&editor, "patch", scale, true),
        (&editor, "patch", "intermud.dev/mudgateways/status", false),
        (&editor, "patch", "intermud.dev/intermudnetworks", false),
        (&editor, "get", "/secrets", false),
    ] {
        assert_eq!(user_may(user, &space, verb, what, here, None).await, allowed, "{user} {verb} {what}");
        assert!(!user_may(user, &space, verb, what, Some("default"), None).await, "{user} elsewhere");
    }
    // By these labels they become parts of the roles that every cluster has.
    let added = |role: &str| {
        let label = format!("--selector=rbac.authorization.k8s.io/aggregate-to-{role}=true");
        let named = run_ok("kubectl", &["get", "clusterroles", &label, "--output=name"], b"").stdout;
        let named = String::from_utf8(named).unwrap();
        ["view", "edit"].map(|part| named.contains(&format!("/mudgateway-{part}\n")))
    };
    assert_eq!([added("view"), added("edit"), added("admin")], [[true, false], [true, true], [true, true]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_get_no_token_of_the_api_server() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    let deployment: Deployment = space.wait("luminari-gateway", "there", |_| true).await;
    let pod = deployment.spec.template.spec.unwrap();
    assert_eq!(pod.automount_service_account_token, Some(false));
    let volumes = serde_json::to_string(&pod.volumes).unwrap();
    assert!(!volumes.contains("serviceAccountToken"), "{volumes}");
    operator.stop().await;
}

/// How many bad objects the noisy tenant has.
const BAD: usize = 1000;

/// What the good one may take beside them.
const PROMPT: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_bad_objects_of_one_tenant_do_not_slow_anothers_good_one() {
    let (noisy, quiet) = (Space::new().await, Space::new().await);
    let bad = async |index: usize| {
        // Half of them have no Secret, and half claim one name.
        let (name, more) = match index % 2 {
            0 => (format!("bad-{index}"), json!({"api": {"keys": [{"secretRef": {"name": "missing"}}]}})),
            _ => ("Same".to_owned(), json!({})),
        };
        noisy.create(&format!("bad-{index}"), &name, more).await;
    };
    futures::stream::iter(0..BAD).for_each_concurrent(32, bad).await;
    let more = format!("--watch-namespace={}", quiet.name);
    let operator = Operator::start_with(&noisy, NO_NATS, &[&more]).await;
    let looked_at = async || {
        operator.metric("i3op_reconcile_total{outcome=\"Rejected\"}").await
            + operator.metric("i3op_reconcile_total{outcome=\"Applied\"}").await
    };
    let mut slowest = Duration::ZERO;
    for index in 0..3 {
        let name = format!("good-{index}");
        let started = Instant::now();
        quiet.create(&name, &name, json!({})).await;
        quiet.wait_for(&name, ConditionType::Programmed, "False", "Progressing").await;
        slowest = slowest.max(started.elapsed());
    }
    println!(
        "beside {BAD} bad objects a good one took {slowest:?} at most, {} looked at by then",
        looked_at().await
    );
    assert!(slowest < PROMPT, "it took {slowest:?}");
    operator.stop().await;
}
