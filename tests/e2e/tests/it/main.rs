//! End-to-end tests on a running cluster. `make test-e2e` brings one up and runs them, one after the other.

mod expose;
mod node;
mod operator;
mod plugin;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use mudgateway_e2e::client::Client;
use mudgateway_e2e::install;
use mudgateway_e2e::kubectl::{apply, condition, get, kubectl, namespace, wait, wait_condition};
use mudgateway_e2e::story::{Narrator, tell};
use serde_json::{Value, json};

/// The channel that muds talk on.
const CHANNEL: &str = "imud_gossip";

const READY: Duration = Duration::from_secs(120);

/// Installs the chart and the router once for all tests.
fn cluster() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        assert!(std::env::var_os("KUBECONFIG").is_some(), "no cluster: run these tests with `make test-e2e`");
        install::chart().and_then(|()| install::router()).unwrap_or_else(|error| fail(&error));
    });
}

fn fail(error: &mudgateway_e2e::Error) -> ! {
    panic!("{error}\n{}", install::diagnosis())
}

/// A `MudGateway` of the demo's network in its own namespace, with a change of its spec.
fn gateway(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut gateway = json!({
        "apiVersion": "intermud.dev/v1alpha1",
        "kind": "MudGateway",
        "metadata": {"name": name},
        "spec": {
            "mud": {"name": format!("Mud-{name}")},
            "routers": [{"name": "*demo", "host": "i3-router.i3-demo.svc", "port": 8787}],
            "channels": [{"name": CHANNEL}],
        },
    });
    change(&mut gateway["spec"]);
    gateway
}

fn applied(name: &str, change: impl FnOnce(&mut Value)) {
    namespace(name).unwrap_or_else(|error| fail(&error));
    apply(name, &gateway(name, change).to_string()).unwrap_or_else(|error| fail(&error));
}

fn waited(name: &str, kind: &str, wanted: &str) -> Value {
    wait_condition(name, name, kind, wanted, READY).unwrap_or_else(|error| fail(&error))
}

/// The API key that the operator made.
fn key(namespace: &str, gateway: &Value) -> String {
    let secret = gateway["status"]["apiKeySecret"].as_str().unwrap_or_default();
    kubectl(&["get", "secret", secret, "-n", namespace, "-o", "go-template={{.data.token | base64decode}}"])
        .unwrap_or_else(|error| fail(&error))
}

/// A client on the channel.
fn on_channel(url: &str, key: &str) -> Client {
    let mut client = Client::connect(url, key).unwrap_or_else(|error| fail(&error));
    client.call("channel_join", &json!({"channel": CHANNEL})).unwrap_or_else(|error| fail(&error));
    client
}

fn removed(name: &str) {
    kubectl(&["delete", "namespace", name, "--wait=false"]).unwrap_or_else(|error| fail(&error));
}

/// Every step of the demo is an assertion of its own.
#[test]
fn the_demos_story() {
    struct Log;
    impl Narrator for Log {
        fn begin(&mut self, step: &str) {
            println!("{step}");
        }
        fn done(&mut self, took: Duration) {
            println!("  took {took:?}");
        }
        fn show(&mut self, text: &str) {
            println!("{text}");
        }
    }
    cluster();
    tell(&mut Log).unwrap_or_else(|error| fail(&error));
}

#[test]
fn a_wrong_router_name_is_said_so_and_does_not_stop_others() {
    cluster();
    applied("wrong-name", |spec| spec["routers"][0]["name"] = json!("*nosuch"));
    applied("no-host", |spec| spec["routers"][0]["port"] = json!(9));
    applied("all-well", |_| {});
    waited("all-well", "Ready", "True");
    let refused = waited("wrong-name", "Connected", "False/RouterRefused");
    let message = refused["status"]["conditions"].to_string();
    assert!(message.contains("Likely causes") && message.contains("*nosuch"), "{message}");
    waited("no-host", "Connected", "False/RouterUnreachable");
    assert!(condition(&refused, "Ready").starts_with("False"));
    for name in ["wrong-name", "no-host", "all-well"] {
        removed(name);
    }
}

#[test]
fn a_change_of_the_spec_reaches_the_pod_and_the_mud_keeps_its_password() {
    cluster();
    applied("change", |_| {});
    waited("change", "Ready", "True");
    apply("change", &gateway("change", |spec| spec["mud"]["driver"] = json!("FluffOS v2026")).to_string())
        .unwrap_or_else(|error| fail(&error));
    let gateway = get("change", "mudgateway/change").unwrap();
    let key = key("change", &gateway);
    // The new pod registers from a new address: without the stored password the router would refuse it.
    let driver = wait("the mudlist to show the new driver", READY, || {
        let url = gateway["status"]["endpoints"]["websocket"].as_str().unwrap();
        let muds = Client::connect(url, &key).and_then(|mut client| client.call("mudlist", &json!({})));
        let muds = match muds {
            Ok(muds) => muds,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let list = muds["muds"].as_array().cloned().unwrap_or_default();
        let own = list.into_iter().find(|mud| mud["name"] == "Mud-change").unwrap_or_default();
        if own["driver"] == "FluffOS v2026" { Ok(Ok(own)) } else { Ok(Err(own.to_string())) }
    })
    .unwrap_or_else(|error| fail(&error));
    assert_eq!(driver["status"], "up");
    removed("change");
}

/// A mud's login as the router has it: its connection and where that comes from; none when it is not logged in.
fn login(mud: &str) -> Option<String> {
    let links = install::router_control(&["links"]).unwrap_or_else(|error| fail(&error));
    // The fourth column holds what a link asked for, though it may not have got it.
    links.lines().find(|line| line.split('\t').nth(2) == Some(mud)).map(str::to_owned)
}

#[test]
fn a_rollout_hands_the_router_session_over_while_both_pods_are_there() {
    cluster();
    applied("rollout", |_| {});
    waited("rollout", "Ready", "True");
    let before = login("Mud-rollout").expect("it is logged in");
    kubectl(&["rollout", "restart", "deployment/rollout-gateway", "-n", "rollout"])
        .unwrap_or_else(|error| fail(&error));
    let (mut away_since, mut longest) = (None::<Instant>, Duration::ZERO);
    wait("the new pod to be logged in", READY, || {
        let now = login("Mud-rollout");
        match (&now, away_since) {
            (None, None) => away_since = Some(Instant::now()),
            (None, Some(_)) => {}
            (Some(_), _) => {
                longest = longest.max(away_since.take().map_or(Duration::ZERO, |since| since.elapsed()))
            }
        }
        match now {
            Some(now) if now != before => Ok(Ok(())),
            other => Ok(Err(format!("{other:?}"))),
        }
    })
    .unwrap_or_else(|error| fail(&error));
    // Looked at several times a second through kubectl, so this is coarse; the gateway's own tests measure it.
    assert!(longest < Duration::from_secs(3), "nobody was logged in for {longest:?}");
    let gateway = waited("rollout", "Ready", "True");
    assert!(condition(&gateway, "Connected").starts_with("True"));
    removed("rollout");
}

#[test]
fn deleting_a_gateway_removes_all_that_was_made_for_it() {
    cluster();
    // With the default policy the Secret with the router password stays.
    applied("deleted", |spec| spec["deletionPolicy"] = json!("Delete"));
    waited("deleted", "Ready", "True");
    let children = "deployments,services,configmaps,secrets,pods";
    let selector = "app.kubernetes.io/instance=deleted";
    let list = || kubectl(&["get", children, "-n", "deleted", "-l", selector, "-o", "name"]);
    let before = list().unwrap();
    for kind in ["deployment", "service", "configmap", "secret", "pod"] {
        assert!(before.contains(kind), "no {kind} among:\n{before}");
    }
    kubectl(&["delete", "mudgateway", "deleted", "-n", "deleted"]).unwrap();
    wait("all children to go", READY, || {
        let left = list()?;
        if left.trim().is_empty() { Ok(Ok(())) } else { Ok(Err(left)) }
    })
    .unwrap_or_else(|error| fail(&error));
    // The router was told, so it does not wait for the old connection to die.
    wait("the router to see the mud go", Duration::from_secs(20), || {
        let muds = install::router_control(&["muds"])?;
        let up = muds.lines().any(|line| line.contains("Mud-deleted") && line.contains("up"));
        if up { Ok(Err(muds)) } else { Ok(Ok(())) }
    })
    .unwrap_or_else(|error| fail(&error));
    removed("deleted");
}

#[test]
fn a_killed_pod_is_replaced_and_registers_with_the_stored_password() {
    cluster();
    applied("killed", |_| {});
    waited("killed", "Ready", "True");
    let pod = |what: &str| {
        let selector = "app.kubernetes.io/instance=killed";
        kubectl(&["get", "pods", "-n", "killed", "-l", selector, "-o", what])
    };
    let first = pod("name").unwrap();
    kubectl(&["delete", "-n", "killed", first.trim(), "--grace-period=0", "--force", "--wait=true"]).unwrap();
    wait("another pod to hold the session", READY, || {
        let gateway = get("killed", "mudgateway/killed")?;
        let holder = gateway["status"]["holder"].as_str().unwrap_or_default().to_owned();
        let ready = condition(&gateway, "Ready");
        let replaced = !holder.is_empty() && !first.contains(&holder) && ready.starts_with("True");
        if replaced { Ok(Ok(())) } else { Ok(Err(format!("{holder} {ready}"))) }
    })
    .unwrap_or_else(|error| fail(&error));
    removed("killed");
}
