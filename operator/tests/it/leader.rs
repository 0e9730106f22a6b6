//! Several operators, of which one leads.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, Patch, PatchParams};
use mudgateway_crds::status::ConditionType;
use serde_json::json;

use crate::harness::{NO_NATS, OPERATOR_USER, Operator, Space, eventually, run};

/// An operator that may lead by the Lease of this test.
async fn candidate(space: &Space) -> Operator {
    let binding = ["create", "rolebinding", "lease", "--clusterrole=lease", "--user", OPERATOR_USER];
    let role = ["create", "clusterrole", "lease", "--verb=get,create,update", "--resource=leases"];
    // The second candidate finds both there.
    run("kubectl", &role, b"");
    run("kubectl", &[&binding[..], &["--namespace", &space.name]].concat(), b"");
    let name = format!("--lease-name={}", space.name);
    let namespace = format!("--lease-namespace={}", space.name);
    Operator::start_with(space, NO_NATS, &[&name, &namespace]).await
}

async fn leads(operator: &Operator) -> bool {
    operator.metric("i3op_leader").await == 1.0
}

async fn wait_to_lead(operator: &Operator) {
    eventually("the lead", async || leads(operator).await.then_some(())).await;
}

fn leases(space: &Space) -> Api<Lease> {
    space.api()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_and_the_next_takes_over_at_once_when_it_ends() {
    let space = Space::new().await;
    let first = candidate(&space).await;
    wait_to_lead(&first).await;
    let second = candidate(&space).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    space.wait_for("luminari", ConditionType::Accepted, "True", "Accepted").await;
    assert!(second.get("/readyz").await.ends_with("ok"), "it has everything at hand");
    assert!(!leads(&second).await);
    assert_eq!(second.metric("i3op_reconcile_total{outcome=\"Applied\"}").await, 0.0);

    let stopped = std::time::Instant::now();
    first.stop().await;
    wait_to_lead(&second).await;
    assert!(stopped.elapsed().as_secs() < 10, "the lease was not given back");
    let said = leases(&space).get(&space.name).await.unwrap().spec.unwrap().lease_transitions.unwrap();
    assert!(said > 0);
    let told = async || (second.metric("i3op_lease_transitions").await == f64::from(said)).then_some(());
    eventually("the changes of hands", told).await;
    space.create("dawn", "DawnMUD", json!({})).await;
    space.wait_for("dawn", ConditionType::Accepted, "True", "Accepted").await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_lease_ends() {
    let space = Space::new().await;
    let operator = candidate(&space).await;
    wait_to_lead(&operator).await;
    let stolen = json!({"spec": {"holderIdentity": "another"}});
    leases(&space).patch(&space.name, &PatchParams::default(), &Patch::Merge(stolen)).await.unwrap();
    let error = operator.ended().await.expect_err("it went on");
    assert!(error.to_string().contains("the lease is lost to another"), "{error}");
}

/// Takes as long as a Lease holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_leader_is_followed_when_its_time_is_up() {
    let space = Space::new().await;
    let first = candidate(&space).await;
    wait_to_lead(&first).await;
    let second = candidate(&space).await;
    first.crash().await;
    wait_to_lead(&second).await;
    second.stop().await;
}
