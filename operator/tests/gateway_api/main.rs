//! Muds reached through a real Gateway, and by a real Ingress: Contour and Envoy in front of real gateway processes, a real
//! kube-apiserver and a real nats-server. Without nodes: this test says itself where the processes of a Service are.
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

use mudclient::{Client, Options};
use mudgateway_crds::MudGateway;
use mudgateway_crds::status::{ConditionType, Endpoints};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::edge::{ADDRESS, Edge, Process, lead_to, make_available, tls_stream};
use crate::harness::{Operator, Space, eventually, message, run_ok};
use crate::nats::Nats;

/// The host name of the mud at the Gateway.
const HOST: &str = "luminari.muds.example";

fn endpoints(gateway: &MudGateway) -> Endpoints {
    gateway.status.clone().and_then(|status| status.endpoints).unwrap_or_default()
}

/// A way to the mud through the Gateway.
#[derive(Debug)]
enum Way {
    /// Without TLS.
    Plain(String),
    /// WebSocket by the host name, without TLS.
    WebSocket,
    /// WebSocket under TLS.
    WebSocketTls,
    /// TCP under TLS, at this port.
    TcpTls(u16),
}

impl Way {
    /// A connection; none while there is none to be had.
    async fn open(&self) -> Option<Client> {
        let opened = match self {
            Self::Plain(url) => Client::connect(url).await,
            Self::WebSocket => {
                let stream = TcpStream::connect((ADDRESS, 80)).await.ok()?;
                Client::over_web_socket(&format!("ws://{HOST}/ws"), stream, Options::default()).await
            }
            Self::WebSocketTls => {
                let url = format!("wss://{HOST}/ws");
                Client::over_web_socket(&url, tls_stream(HOST, 443).await?, Options::default()).await
            }
            Self::TcpTls(port) => {
                Client::over(HOST, tls_stream(HOST, *port).await?, Options::default()).await
            }
        };
        opened.ok()
    }
}

/// A mud, and the gateway process that serves it.
struct Mud {
    space: Space,
    key: String,
    port: u16,
    process: Process,
}

impl Mud {
    const NAME: &str = "luminari";

    /// A first process for a mud that is there.
    async fn start(space: Space) -> Self {
        let (port, key) = (20_080, edge::api_key(&space, Self::NAME).await);
        let process = Process::start(&space, Self::NAME, port).await;
        lead_to(&space, Self::NAME, &[&process]).await;
        Self { space, key, port, process }
    }

    /// Another process comes, and the one before dies.
    async fn replace(&mut self) {
        self.port += 100;
        let next = Process::start(&self.space, Self::NAME, self.port).await;
        std::mem::replace(&mut self.process, next).kill();
        lead_to(&self.space, Self::NAME, &[&self.process]).await;
    }

    /// Changes how it is exposed, and perhaps more.
    async fn change(&self, spec: Value) {
        self.space.change::<MudGateway>(Self::NAME, json!({"spec": spec})).await;
    }

    /// Waits until its status tells these endpoints, and its pods are there.
    async fn told(&self, what: &str, is: impl Fn(&Endpoints) -> bool + Send) {
        self.space.wait(Self::NAME, what, move |gateway: &MudGateway| is(&endpoints(gateway))).await;
        programmed(&self.space).await;
    }

    /// Waits until it is served by this way: the key is shown, and the gateway asked for its state.
    async fn served(&self, way: &Way) {
        eventually(&format!("{way:?}"), async || {
            let client = way.open().await?;
            client.authenticate(&self.key).await.ok()?;
            let status = client.call("status", json!({})).await.ok()?;
            assert_eq!(status["mud_name"], "LuminariMUD", "{status}");
            Some(())
        })
        .await;
    }

    /// When the process dies its clients hear of it, and another one serves by the same ways.
    async fn survives(&mut self, ways: &[Way]) {
        let mut held = Vec::new();
        for way in ways {
            self.served(way).await;
            held.push(way.open().await.unwrap());
        }
        self.replace().await;
        for (client, way) in held.iter().zip(ways) {
            let closed = client.closed(Duration::from_secs(10)).await;
            closed.unwrap_or_else(|error| panic!("{way:?}: {error}"));
            self.served(way).await;
        }
    }
}

/// A mud has its pods.
async fn programmed(space: &Space) -> MudGateway {
    make_available(space, Mud::NAME).await;
    space.wait_for(Mud::NAME, ConditionType::Programmed, "True", "MinimumReplicasAvailable").await
}

#[tokio::test(flavor = "multi_thread")]
async fn muds_are_reached_through_a_real_gateway() {
    let (space, nats) = (Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    let (edge, endpoints) = made_when_the_gateway_api_comes(&space).await;
    let mut mud = Mud::start(space).await;
    // By an HTTPRoute and by a TCPRoute, at exactly the addresses that are told.
    let tcp = format!("tcp://{}", endpoints.tcp.unwrap());
    mud.survives(&[Way::Plain(endpoints.websocket.unwrap()), Way::Plain(tcp)]).await;
    tls_that_the_gateway_ends(&mut mud).await;
    tls_that_it_passes_through(&mut mud).await;
    a_listener_that_is_not_there_is_said_in_words(&mud).await;
    drop(edge);
    let _edge = Edge::ingresses();
    by_an_ingress(&mut mud).await;
    operator.stop().await;
}

/// Without the Gateway API that is said, and heals when it is installed.
async fn made_when_the_gateway_api_comes(space: &Space) -> (Edge, Endpoints) {
    let exposed = json!({"parentRef": {"name": "edge"}, "path": "/luminari", "tcpSection": "mud"});
    space.create(Mud::NAME, "LuminariMUD", json!({"expose": {"gateway": exposed}})).await;
    make_available(space, Mud::NAME).await;
    let gateway = space.wait_for(Mud::NAME, ConditionType::Programmed, "False", "GatewayApiMissing").await;
    assert!(message(&gateway, ConditionType::Programmed).contains("install the Gateway API's definitions"));
    edge::install_definitions();
    space.wait_for(Mud::NAME, ConditionType::Programmed, "False", "GatewayNotFound").await;
    let edge = Edge::gateway(space);
    let told = endpoints(&programmed(space).await);
    assert_eq!(told.websocket, Some(format!("ws://{ADDRESS}/luminari")));
    assert_eq!(told.tcp, Some(format!("{ADDRESS}:7001")));
    (edge, told)
}

/// For WebSocket by the mud's host name, and for TCP at a listener of the mud's own.
async fn tls_that_the_gateway_ends(mud: &mut Mud) {
    mud.change(json!({"expose": {"gateway": null}})).await;
    let gateway = json!({"parentRef": {"name": "edge"}, "hostname": HOST, "tcpSection": "ended"});
    mud.change(json!({"expose": {"gateway": gateway}})).await;
    let websocket = format!("wss://{HOST}/ws");
    mud.told("behind TLS", |told| told.websocket.as_ref() == Some(&websocket) && told.tcp_tls).await;
    mud.survives(&[Way::WebSocketTls, Way::TcpTls(7444)]).await;
}

/// For TCP, by the host name in the handshake.
async fn tls_that_it_passes_through(mud: &mut Mud) {
    edge::make_certificate(&mud.space, "pod-cert");
    mud.change(json!({
        "api": {"tls": {"secretName": "pod-cert"}, "websocket": {"enabled": false}},
        "expose": {"gateway": {"tcpSection": null, "tlsSection": "tls"}},
    }))
    .await;
    mud.told("passed through", |told| {
        told.tcp == Some(format!("{HOST}:7443")) && told.tcp_tls && told.websocket.is_none()
    })
    .await;
    // One with the new configuration.
    mud.replace().await;
    mud.survives(&[Way::TcpTls(7443)]).await;
}

async fn a_listener_that_is_not_there_is_said_in_words(mud: &Mud) {
    mud.change(json!({"expose": {"gateway": {"tlsSection": "nosuch"}}})).await;
    let space = &mud.space;
    let gateway = space.wait_for(Mud::NAME, ConditionType::Programmed, "False", "GatewayNotFound").await;
    assert!(message(&gateway, ConditionType::Programmed).contains("named nosuch"));
    let routes = ["get", "httproutes,tcproutes,tlsroutes", "--namespace", &space.name, "--output", "name"];
    let left = String::from_utf8(run_ok("kubectl", &routes, b"").stdout).unwrap();
    assert!(
        !left.contains("httproute") && !left.contains("tcproute"),
        "what is not asked for is gone: {left}"
    );
}

/// For WebSocket by the mud's host name, first plain and then under TLS.
async fn by_an_ingress(mud: &mut Mud) {
    let ingress = json!({"host": HOST, "className": "contour"});
    mud.change(json!({
        "api": {"tls": null, "websocket": null},
        "expose": {"gateway": null, "ingress": ingress},
    }))
    .await;
    let plain = format!("ws://{HOST}/ws");
    mud.told("by an Ingress", |told| told.websocket.as_ref() == Some(&plain)).await;
    // One with the new configuration.
    mud.replace().await;
    mud.survives(&[Way::WebSocket]).await;
    edge::make_certificate(&mud.space, "ingress-cert");
    mud.change(json!({"expose": {"ingress": {"tlsSecretName": "ingress-cert"}}})).await;
    let websocket = format!("wss://{HOST}/ws");
    mud.told("by an Ingress with TLS", |told| told.websocket.as_ref() == Some(&websocket)).await;
    mud.survives(&[Way::WebSocketTls]).await;
}
