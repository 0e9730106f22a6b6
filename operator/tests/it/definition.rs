//! The definition on a real API server.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResourceExt;
use kube::api::{Api, ListParams, Patch};
use mudgateway_crds::status::{Endpoints, RouterSession};
use mudgateway_crds::{IntermudNetwork, IntermudNetworkStatus, MudGateway, MudGatewayStatus};
use serde_json::{Value, json};

use crate::harness::{Space, eventually, run, run_ok};
use crate::network;

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

/// The paths of all fields of a schema, each with what is said of it.
fn fields(path: &str, schema: &Value, found: &mut Vec<(String, String)>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        found.push((path.clone(), field["description"].as_str().unwrap_or_default().to_owned()));
        fields(&path, field, found);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            fields(path, &schema[inner], found);
        }
    }
}

#[tokio::test]
async fn every_field_is_explained() {
    let space = Space::new().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(space.client.clone());
    for (kind, definition, at_least) in
        [("mudgateway", MudGateway::crd_name(), 150), ("intermudnetwork", IntermudNetwork::crd_name(), 30)]
    {
        let served = serde_json::to_value(definitions.get(definition).await.unwrap()).unwrap();
        let schema = &served["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let mut found = Vec::new();
        fields(kind, schema, &mut found);
        assert!(found.len() >= at_least, "{kind} has {} fields only", found.len());
        let silent: Vec<_> = found.iter().filter(|(_, said)| said.trim().len() < 5).collect();
        assert!(silent.is_empty(), "nothing is said of {silent:?}");
        // One of each, to the end of the chain: as people see it.
        let (path, said) = found.iter().rfind(|(path, _)| path.contains(".spec.")).unwrap();
        // The API server publishes its schema some time after it serves a new kind.
        let explained = eventually(path, async || {
            let explained = run("kubectl", &["explain", path], b"");
            explained.status.success().then_some(explained.stdout)
        })
        .await;
        let explained = String::from_utf8_lossy(&explained).split_whitespace().collect::<Vec<_>>().join(" ");
        let beginning: Vec<_> = said.split_whitespace().take(5).collect();
        assert!(explained.contains(&beginning.join(" ")), "{path}: {said:?} is not in {explained}");
    }
}

/// What `kubectl get` prints of one object, by column.
fn columns(of: &[&str]) -> BTreeMap<String, String> {
    let printed = run_ok("kubectl", &[&["get", "--output=wide"], of].concat(), b"").stdout;
    let printed = String::from_utf8(printed).unwrap();
    let mut lines = printed.lines().map(|line| line.split_whitespace().map(str::to_owned));
    let columns: BTreeMap<_, _> = lines.next().unwrap().zip(lines.next().unwrap()).collect();
    columns.into_iter().filter(|(column, _)| column != "AGE").collect()
}

fn expected(columns: &[(&str, &str)]) -> BTreeMap<String, String> {
    columns.iter().map(|(column, value)| ((*column).to_owned(), (*value).to_owned())).collect()
}

/// A condition Ready of this reason.
fn ready(reason: &str) -> Vec<Condition> {
    let time = "2026-11-25T10:00:00Z";
    let ready = json!({"type": "Ready", "status": "True", "reason": reason, "message": "m", "lastTransitionTime": time});
    vec![serde_json::from_value(ready).unwrap()]
}

#[tokio::test]
async fn the_columns_of_a_mudgateway_show_its_status() {
    let space = Space::new().await;
    space.create("dawn", "DawnMUD", json!({})).await;
    let status = MudGatewayStatus {
        conditions: ready("SessionEstablished"),
        endpoints: Some(Endpoints {
            websocket: Some("ws://dawn.it.svc:8080/ws".to_owned()),
            tcp: Some("dawn.it.svc:8081".to_owned()),
            ..Default::default()
        }),
        router: Some(RouterSession { name: "*it".to_owned(), connected_since: None }),
        holder: Some("dawn-gateway-pod".to_owned()),
        clients: Some(2),
        replicas: 3,
        ..Default::default()
    };
    let api: Api<MudGateway> = space.api();
    let patch = Patch::Merge(json!({"status": status}));
    api.patch_status("dawn", &Default::default(), &patch).await.unwrap();
    let shown = expected(&[
        ("NAME", "dawn"),
        ("MUD", "DawnMUD"),
        ("ROUTER", "*it"),
        ("READY", "True"),
        ("ENDPOINT", "ws://dawn.it.svc:8080/ws"),
        ("PODS", "3"),
        ("HOLDER", "dawn-gateway-pod"),
        ("CLIENTS", "2"),
        ("TCP", "dawn.it.svc:8081"),
        ("REASON", "SessionEstablished"),
    ]);
    assert_eq!(columns(&["mudgateway", "dawn", "--namespace", &space.name]), shown);
}

#[tokio::test]
async fn the_columns_of_a_network_show_its_status() {
    let space = Space::new().await;
    let networks = network::networks(&space);
    network::apply(&space, network::spec(json!({}))).await.unwrap();
    let status = IntermudNetworkStatus {
        conditions: ready("RouterUp"),
        muds: 5,
        registered: 4,
        routers_up: 3,
        permits_waiting: 2,
        ..Default::default()
    };
    let shown = expected(&[
        ("NAME", &space.name),
        ("MUDS", "5"),
        ("REGISTERED", "4"),
        ("UP", "3"),
        ("WAITING", "2"),
        ("READY", "True"),
        ("REASON", "RouterUp"),
    ]);
    // The operators of other tests say what they see of this network, too: nothing.
    eventually("the columns", async || {
        let patch = Patch::Merge(json!({"status": status}));
        networks.patch_status(&space.name, &Default::default(), &patch).await.unwrap();
        // By its short name.
        (columns(&["imnet", &space.name]) == shown).then_some(())
    })
    .await;
    networks.delete(&space.name, &Default::default()).await.unwrap();
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
