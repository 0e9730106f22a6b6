//! The definition on a real API server.

use kube::api::{Api, ListParams};
use mudgateway_crds::MudGateway;
use serde_json::json;

use crate::harness::{Space, run_ok};

#[tokio::test]
async fn bad_objects_are_refused_with_the_way_out() {
    let space = Space::new().await;
    let router = |name: &str| json!({"name": name, "host": "h", "port": 1});
    let key = json!({"secretRef": {"name": "a"}});
    let cases = [
        ("1mud", json!({}), "metadata.name becomes the name of a Service"),
        ("a-name-of-more-than-fifty-two-characters-is-one-too-long", json!({}), "at most 52 characters"),
        ("mud", json!({"mud": {"name": "Bad\u{7}Name"}}), "mud.name must be printable"),
        ("mud", json!({"routers": []}), "should have at least 1 items"),
        ("mud", json!({"routers": [router("i4")]}), "a router's name begins with '*'"),
        ("mud", json!({"routers": [router("*i4"), router("*i4")]}), "routers must have different names"),
        ("mud", json!({"replicas": 4}), "should be less than or equal to 3"),
        ("mud", json!({"api": {"keys": [key, key]}}), "api.keys must differ"),
        ("mud", json!({"channels": [{"name": "a"}, {"name": "a"}]}), "duplicate"),
    ];
    for (name, more, message) in cases {
        let error = space.try_create(name, "Mud", more.clone()).await.expect_err("accepted");
        assert!(error.to_string().contains(message), "{more} was refused with {error}");
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
async fn the_examples_are_good() {
    let space = Space::new().await;
    for example in ["deploy/examples/luminari.yaml", "deploy/examples/dawn.yaml"] {
        let args = [
            "apply",
            "--dry-run=server",
            "--validate=strict",
            "--namespace",
            &space.name,
            "--filename",
            example,
        ];
        run_ok("kubectl", &args, b"");
    }
}
