//! The ways in from outside that need nothing but kube-proxy. The endpoints that the status tells are tried as they stand
//! there, by a client that is in no pod; `tests/gateway-api` does the same with Gateways and Ingresses.

use mudgateway_e2e::client::Client;
use mudgateway_e2e::kubectl::kubectl;
use serde_json::{Value, json};

use super::{applied, cluster, fail, key, removed, waited};

/// The address of the node on which the mud's pod is not.
fn other_node() -> String {
    let path = r#"jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}"#;
    kubectl(&["get", "nodes", "-l", "test-node=2", "-o", path]).unwrap_or_else(|error| fail(&error))
}

/// Makes a mud that is exposed in this way, with its pod on the first node.
fn exposed(name: &str, service: &Value) {
    cluster();
    applied(name, |spec| {
        spec["expose"] = json!({"service": service});
        spec["scheduling"] = json!({"nodeSelector": {"test-node": "1"}});
    });
}

/// Connects to both endpoints that are told, and returns them.
fn served(name: &str) -> [String; 2] {
    let gateway = waited(name, "Ready", "True");
    let key = key(name, &gateway);
    let told =
        |transport: &str| gateway["status"]["endpoints"][transport].as_str().unwrap_or_default().to_owned();
    let endpoints = [told("websocket"), told("tcp")];
    for url in [endpoints[0].clone(), format!("tcp://{}", endpoints[1])] {
        let mut client = Client::connect_from_outside(&url, &key).unwrap_or_else(|error| fail(&error));
        let status = client.call("status", &json!({})).unwrap_or_else(|error| fail(&error));
        assert_eq!(status["mud_name"], format!("Mud-{name}"), "{url}: {status}");
    }
    endpoints
}

#[test]
fn a_mud_is_reached_by_the_ports_of_nodes() {
    let host = other_node();
    exposed("node-port", &json!({"type": "NodePort", "host": host}));
    let [websocket, tcp] = served("node-port");
    assert!(websocket.starts_with(&format!("ws://{host}:3")) && websocket.ends_with("/ws"), "{websocket}");
    assert!(tcp.starts_with(&format!("{host}:3")), "{tcp}");
    removed("node-port");
}

#[test]
fn a_mud_is_reached_by_the_address_that_a_load_balancer_gave_it() {
    exposed("balanced", &json!({"type": "LoadBalancer"}));
    waited("balanced", "Programmed", "False/AddressPending");
    // Nobody here gives addresses. As the load balancers do that have none of their own, a node's is given: kube-proxy has it
    // lead to the Service.
    let address = other_node();
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}).to_string();
    let patch = [
        "patch",
        "service",
        "balanced",
        "-n",
        "balanced",
        "--subresource=status",
        "--type=merge",
        "-p",
        &status,
    ];
    kubectl(&patch).unwrap_or_else(|error| fail(&error));
    assert_eq!(served("balanced"), [format!("ws://{address}:8080/ws"), format!("{address}:8081")]);
    removed("balanced");
}
