//! Who may connect to the pods, and where to they may connect.
//!
//! In: to the API from anywhere, for the mud may be anywhere and a key is needed; to the metrics from inside the
//! cluster, or from the namespaces that the operator was told. Out: to DNS, to NATS, to the port for traces, to the routers, and to public addresses, for a router may send us to another one.
//! So a gateway that was taken over reaches nothing else inside the cluster.

use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use mudgateway_crds::mudgateway::Router;

use super::{METRICS_PORT, TCP_PORT, WEBSOCKET_PORT, metadata, selector_labels, workload_name};
use crate::mudgateway::validate::Gateway;
use crate::settings::Settings;

/// Addresses that are not public: private networks, carrier networks, link-local (with the clouds' metadata services),
/// loopback.
const PRIVATE: [&str; 6] =
    ["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"];
const PRIVATE_6: [&str; 2] = ["fc00::/7", "fe80::/10"];

/// Where NATS listens unless its URL says otherwise.
const NATS_PORT: u16 = 4222;

pub(super) fn network_policy(gateway: &Gateway, settings: &Settings) -> NetworkPolicy {
    NetworkPolicy {
        metadata: metadata(gateway, workload_name(&gateway.key.name)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(selector_labels(gateway)),
                ..Default::default()
            }),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress(gateway, &settings.gateway_metrics_namespaces)),
            egress: Some(egress(gateway, settings)),
        }),
    }
}

fn ingress(gateway: &Gateway, metrics_namespaces: &[String]) -> Vec<NetworkPolicyIngressRule> {
    let spec = &gateway.spec;
    let websocket = spec.api.websocket.enabled.then_some(i32::from(WEBSOCKET_PORT));
    let tcp = spec.api.tcp.enabled.then_some(i32::from(TCP_PORT));
    let oob = spec.oob.as_ref().map(|oob| oob.port);
    let api = [websocket, tcp, oob].into_iter().flatten().map(|number| port(number, "TCP"));
    let inside =
        NetworkPolicyPeer { namespace_selector: Some(namespaces(metrics_namespaces)), ..Default::default() };
    vec![
        NetworkPolicyIngressRule { ports: Some(api.collect()), from: None },
        NetworkPolicyIngressRule {
            ports: Some(vec![port(METRICS_PORT.into(), "TCP")]),
            from: Some(vec![inside]),
        },
    ]
}

/// The namespaces of these names; all where there is none.
fn namespaces(names: &[String]) -> LabelSelector {
    let named = LabelSelectorRequirement {
        key: "kubernetes.io/metadata.name".to_owned(),
        operator: "In".to_owned(),
        values: Some(names.to_vec()),
    };
    LabelSelector { match_expressions: (!names.is_empty()).then(|| vec![named]), ..Default::default() }
}

fn egress(gateway: &Gateway, settings: &Settings) -> Vec<NetworkPolicyEgressRule> {
    let to = |peers: Option<Vec<NetworkPolicyPeer>>, ports: Vec<NetworkPolicyPort>| NetworkPolicyEgressRule {
        to: peers,
        ports: Some(ports),
    };
    let mut nats: Vec<u16> = settings.nats_url_of_gateways().split(',').map(nats_port).collect();
    nats.sort_unstable();
    nats.dedup();
    let mut rules = vec![
        to(None, vec![port(53, "UDP"), port(53, "TCP")]),
        to(None, nats.into_iter().map(|number| port(number.into(), "TCP")).collect()),
        NetworkPolicyEgressRule { to: Some(public()), ports: None },
    ];
    let routers = gateway.network.routers.iter().map(|Router { host, port, .. }| (host, *port));
    let proxy = gateway.network.proxy.iter().map(|proxy| (&proxy.host, proxy.port));
    rules.extend(
        settings.gateway_otlp_endpoint.iter().map(|traces| to(None, vec![port(traces.port().into(), "TCP")])),
    );
    rules.extend(routers.chain(proxy).map(|(host, number)| to(address(host), vec![port(number, "TCP")])));
    rules
}

/// The address of a router or proxy, where it is one: a name may mean anything, so there the port has to do.
fn address(host: &str) -> Option<Vec<NetworkPolicyPeer>> {
    let address: IpAddr = host.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    Some(vec![block(format!("{address}/{bits}"), &[])])
}

fn public() -> Vec<NetworkPolicyPeer> {
    vec![block("0.0.0.0/0".to_owned(), &PRIVATE), block("::/0".to_owned(), &PRIVATE_6)]
}

fn block(cidr: String, except: &[&str]) -> NetworkPolicyPeer {
    let except = (!except.is_empty()).then(|| except.iter().map(|&range| range.to_owned()).collect());
    NetworkPolicyPeer { ip_block: Some(IPBlock { cidr, except }), ..Default::default() }
}

fn port(number: i32, protocol: &str) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(number)),
        protocol: Some(protocol.to_owned()),
        ..Default::default()
    }
}

/// The port of a NATS server's URL.
fn nats_port(url: &str) -> u16 {
    let authority = url.trim().rsplit("//").next().unwrap_or_default();
    let host = authority.split('/').next().unwrap_or_default();
    match host.rsplit_once(':') {
        Some((_, port)) => port.parse().unwrap_or(NATS_PORT),
        None => NATS_PORT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_for_all_namespaces_or_for_those_that_are_named() {
        assert_eq!(namespaces(&[]), LabelSelector::default());
        let named = namespaces(&["monitoring".to_owned()]).match_expressions.unwrap();
        assert_eq!(named[0].values, Some(vec!["monitoring".to_owned()]));
    }

    #[test]
    fn the_port_of_nats_is_in_its_url_or_the_usual_one() {
        for (url, expected) in [
            ("nats://nats:4222", 4222),
            ("nats://nats", 4222),
            ("tls://user:secret@nats.example:4443/", 4443),
            (" nats:5222", 5222),
            ("nats://[2001:db8::1]:6222", 6222),
        ] {
            assert_eq!(nats_port(url), expected, "{url}");
        }
    }
}
