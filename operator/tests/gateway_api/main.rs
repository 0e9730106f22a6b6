//! Muds reached through a real Gateway: Contour and Envoy in front of real gateway processes, a real kube-apiserver and
//! a real nats-server. Without nodes: this test says itself where the processes of a Service are.
//!
//! `tests/gateway-api` sets everything up.

// Clippy knows tests by their attribute; the helpers beside them are tests too.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

mod edge;
#[path = "../it/harness.rs"]
mod harness;
#[path = "../it/nats.rs"]
mod nats;

use std::time::Duration;

use mudclient::Client;
use mudgateway_crds::MudGateway;
use mudgateway_crds::status::{ConditionType, Endpoints};
use serde_json::json;

use crate::edge::{ADDRESS, Edge, Process, lead_to, make_available, tls_stream};
use crate::harness::{Operator, Space, eventually, message, run_ok};
use crate::nats::Nats;

fn endpoints(gateway: &MudGateway) -> Endpoints {
    gateway.status.clone().and_then(|status| status.endpoints).unwrap_or_default()
}

/// Shows its key and asks for the state of the gateway; false while that cannot be had.
async fn is_served(client: Result<Client, mudclient::ConnectError>, key: &str) -> Option<()> {
    let client = client.ok()?;
    client.authenticate(key).await.ok()?;
    let status = client.call("status", json!({})).await.ok()?;
    assert_eq!(status["mud_name"], "LuminariMUD", "{status}");
    Some(())
}

/// A mud has its pods.
async fn programmed(space: &Space, name: &str) -> MudGateway {
    make_available(space, name).await;
    space.wait_for(name, ConditionType::Programmed, "True", "MinimumReplicasAvailable").await
}

#[tokio::test(flavor = "multi_thread")]
async fn muds_are_reached_through_a_real_gateway() {
    let (space, nats) = (Space::new().await, Nats::start());
    let operator = Operator::start(&space, &nats.url()).await;

    // Without the Gateway API that is said, and heals when it is installed.
    let exposed = json!({"parentRef": {"name": "edge"}, "path": "/luminari", "tcpSection": "mud"});
    space.create("luminari", "LuminariMUD", json!({"expose": {"gateway": exposed}})).await;
    make_available(&space, "luminari").await;
    let gateway = space.wait_for("luminari", ConditionType::Programmed, "False", "GatewayApiMissing").await;
    assert!(message(&gateway, ConditionType::Programmed).contains("install the Gateway API's definitions"));
    edge::install_definitions();
    space.wait_for("luminari", ConditionType::Programmed, "False", "GatewayNotFound").await;
    let _edge = Edge::start(&space);
    let gateway = programmed(&space, "luminari").await;
    let endpoints_of_luminari = endpoints(&gateway);
    assert_eq!(endpoints_of_luminari.websocket, Some(format!("ws://{ADDRESS}/luminari")));
    assert_eq!(endpoints_of_luminari.tcp, Some(format!("{ADDRESS}:7001")));

    // By an HTTPRoute and by a TCPRoute, at exactly these addresses.
    let key = edge::api_key(&space, "luminari").await;
    let first = Process::start(&space, "luminari", 20_080).await;
    lead_to(&space, "luminari", &[&first]).await;
    let websocket = endpoints_of_luminari.websocket.unwrap();
    let tcp = format!("tcp://{}", endpoints_of_luminari.tcp.unwrap());
    for url in [&websocket, &tcp] {
        eventually(url, async || is_served(Client::connect(url).await, &key).await).await;
    }

    // When the process behind them dies, another one serves at the same addresses.
    let held = Client::connect(&websocket).await.unwrap();
    let second = Process::start(&space, "luminari", 20_180).await;
    first.kill();
    lead_to(&space, "luminari", &[&second]).await;
    held.closed(Duration::from_secs(10)).await.unwrap();
    for url in [&websocket, &tcp] {
        eventually(url, async || is_served(Client::connect(url).await, &key).await).await;
    }

    // TLS that the Gateway ends, for WebSocket, by the mud's host name.
    let secure = json!({"gateway": {"parentRef": {"name": "edge"}, "hostname": "luminari.muds.example"}});
    space.change::<MudGateway>("luminari", json!({"spec": {"expose": {"gateway": null}}})).await;
    space.change::<MudGateway>("luminari", json!({"spec": {"expose": secure}})).await;
    let url = "wss://luminari.muds.example/ws";
    space
        .wait("luminari", "behind TLS", |gateway: &MudGateway| {
            endpoints(gateway).websocket.as_deref() == Some(url)
                && harness::says(gateway, ConditionType::Programmed, "True", "MinimumReplicasAvailable")
        })
        .await;
    eventually(url, async || {
        let stream = tls_stream("luminari.muds.example", 443).await?;
        is_served(Client::over_web_socket(url, stream, mudclient::Options::default()).await, &key).await
    })
    .await;

    // TLS that it passes through, for TCP, by the host name in the handshake.
    edge::make_certificate(&space, "pod-cert");
    let passed = json!({
        "api": {"tls": {"secretName": "pod-cert"}, "websocket": {"enabled": false}},
        "expose": {"gateway": {
            "parentRef": {"name": "edge"}, "hostname": "luminari.muds.example", "tlsSection": "tls",
        }},
    });
    space.change::<MudGateway>("luminari", json!({"spec": passed})).await;
    space
        .wait("luminari", "passed through", |gateway: &MudGateway| {
            let endpoints = endpoints(gateway);
            endpoints.tcp.as_deref() == Some("luminari.muds.example:7443") && endpoints.tcp_tls
        })
        .await;
    make_available(&space, "luminari").await;
    space.wait_for("luminari", ConditionType::Programmed, "True", "MinimumReplicasAvailable").await;
    let third = Process::start(&space, "luminari", 20_280).await;
    second.kill();
    lead_to(&space, "luminari", &[&third]).await;
    eventually("TLS passed through", async || {
        let stream = tls_stream("luminari.muds.example", 7443).await?;
        is_served(
            Client::over("luminari.muds.example:7443", stream, mudclient::Options::default()).await,
            &key,
        )
        .await
    })
    .await;

    // A listener that is not there is said in words.
    let lost = json!({"spec": {"expose": {"gateway": {"tlsSection": "nosuch"}}}});
    space.change::<MudGateway>("luminari", lost).await;
    let gateway = space.wait_for("luminari", ConditionType::Programmed, "False", "GatewayNotFound").await;
    assert!(message(&gateway, ConditionType::Programmed).contains("named nosuch"));
    let routes = ["get", "httproutes,tcproutes,tlsroutes", "--namespace", &space.name, "--output", "name"];
    let left = String::from_utf8(run_ok("kubectl", &routes, b"").stdout).unwrap();
    assert!(
        !left.contains("httproute") && !left.contains("tcproute"),
        "what is not asked for is gone: {left}"
    );
    operator.stop().await;
}
