//! The definition on a real API server.

use kube::api::{Api, ListParams};
use mudgateway_crds::MudGateway;
use serde_json::json;

use crate::harness::{Space, run_ok};

#[tokio::test]
async fn wrong_names_are_refused_with_the_way_out() {
    let space = Space::new().await;
    for (name, message) in [
        ("1mud", "metadata.name becomes the name of a Service"),
        ("my.mud", "metadata.name becomes the name of a Service"),
        ("a-name-of-more-than-fifty-two-characters-is-one-too-long", "at most 52 characters"),
    ] {
        let error = space.try_create(name, "Mud", json!({})).await.expect_err("accepted");
        assert!(error.to_string().contains(message), "{name} was refused with {error}");
    }
}

#[tokio::test]
async fn the_name_of_a_mud_stays() {
    let space = Space::new().await;
    space.create("mud", "Mud", json!({})).await;
    let error = space.try_create("mud", "Other", json!({})).await.expect_err("renamed");
    assert!(error.to_string().contains("mud.name is immutable"), "{error}");
}

#[tokio::test]
async fn muds_are_found_by_name() {
    let space = Space::new().await;
    space.create("a", "First", json!({})).await;
    space.create("b", "Second", json!({})).await;
    let api: Api<MudGateway> = space.api();
    let found = api.list(&ListParams::default().fields("spec.mud.name=Second")).await.unwrap();
    assert_eq!(found.items.len(), 1);
    assert_eq!(found.items[0].spec.mud.name, "Second");
}

#[tokio::test]
async fn pods_are_scaled_as_those_of_a_deployment() {
    let space = Space::new().await;
    space.create("mud", "Mud", json!({})).await;
    let scale = ["scale", "--namespace", &space.name, "mudgateway/mud", "--replicas=3"];
    run_ok("kubectl", &scale, b"");
    let api: Api<MudGateway> = space.api();
    assert_eq!(api.get("mud").await.unwrap().spec.replicas, 3);
}

#[tokio::test]
async fn quotas_count_muds() {
    let space = Space::new().await;
    let quota = format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"ResourceQuota\", \"metadata\": {{\"name\": \"muds\", \"namespace\": \"{}\"}}, \
         \"spec\": {{\"hard\": {{\"count/mudgateways.intermud.dev\": \"0\"}}}}, \
         \"status\": {{\"hard\": {{\"count/mudgateways.intermud.dev\": \"0\"}}, \"used\": {{\"count/mudgateways.intermud.dev\": \"0\"}}}}}}",
        space.name
    );
    run_ok("kubectl", &["apply", "--filename", "-"], quota.as_bytes());
    // What the controller that does not run here would do.
    let status = ["apply", "--server-side", "--subresource=status", "--field-manager=it", "--filename", "-"];
    run_ok("kubectl", &status, quota.as_bytes());
    let error = space.try_create("mud", "Mud", json!({})).await.expect_err("accepted");
    assert!(error.to_string().contains("exceeded quota"), "{error}");
}

#[tokio::test]
async fn every_field_is_explained() {
    let space = Space::new().await;
    drop(space);
    let explained = run_ok("kubectl", &["explain", "mudgateway.spec.api"], b"").stdout;
    let explained = String::from_utf8_lossy(&explained);
    for text in ["JSON-RPC over WebSocket", "keys", "What clients may do to the gateway", "tls"] {
        assert!(explained.contains(text), "no {text:?} in {explained}");
    }
}

#[tokio::test]
async fn the_examples_are_good() {
    let space = Space::new().await;
    let folder = crate::harness::root().join("deploy/examples");
    let mut examples = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        examples += 1;
        let path = path.to_str().unwrap();
        let args = [
            "apply",
            "--dry-run=server",
            "--validate=strict",
            "--namespace",
            &space.name,
            "--filename",
            path,
        ];
        run_ok("kubectl", &args, b"");
    }
    assert!(examples >= 2);
}
