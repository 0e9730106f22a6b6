//! The ways in from outside that only one MudGateway can have: two that publish one URL would get each other's clients.

use std::collections::BTreeMap;
use std::fmt;

use http::Uri;
use mudgateway_crds::mudgateway::{ExposeGateway, ExposeIngress};
use mudgateway_crds::{MudGateway, MudGatewaySpec};

use super::gateway_api::Edge;
use crate::key::Key;

/// A way in, as a spec asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A path at a Gateway.
    Http {
        /// The Gateway.
        gateway: Key,
        /// The host name, if one is named.
        hostname: Option<String>,
        /// The path.
        path: String,
    },
    /// A listener of a Gateway.
    Tcp {
        /// The Gateway.
        gateway: Key,
        /// Its listener.
        section: String,
    },
    /// A host name at a listener of a Gateway.
    Tls {
        /// The Gateway.
        gateway: Key,
        /// Its listener.
        section: String,
        /// The host name, if one is named.
        hostname: Option<String>,
    },
    /// A host name of Ingresses.
    Ingress {
        /// Their class, if one is named.
        class: Option<String>,
        /// The host name.
        host: String,
    },
}

impl Endpoint {
    fn is_http(&self) -> bool {
        matches!(self, Self::Http { .. })
    }

    fn is_tls(&self) -> bool {
        matches!(self, Self::Tls { .. })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { gateway, hostname, path } => {
                let of = hostname.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
                write!(f, "the path {path}{of} at Gateway {gateway}")
            }
            Self::Tcp { gateway, section } => write!(f, "the listener {section} of Gateway {gateway}"),
            Self::Tls { gateway, section, hostname } => {
                let name = hostname.as_deref().unwrap_or("any host name");
                write!(f, "{name} at the listener {section} of Gateway {gateway}")
            }
            Self::Ingress { host, .. } => write!(f, "the host {host} of Ingresses"),
        }
    }
}

/// The listener of a Gateway to which a way in is restricted. None: it is by each of them.
pub type Section = Option<String>;

/// The ways in that a spec asks for, in a namespace.
pub fn endpoints(namespace: &str, spec: &MudGatewaySpec) -> Vec<(Endpoint, Section)> {
    let ingress = spec.expose.ingress.iter().map(|ExposeIngress { class_name, host, .. }| {
        (Endpoint::Ingress { class: class_name.clone(), host: host.clone() }, None)
    });
    let gateway = spec.expose.gateway.iter().flat_map(|exposed| by_gateway(namespace, spec, exposed));
    ingress.chain(gateway).collect()
}

fn by_gateway(namespace: &str, spec: &MudGatewaySpec, exposed: &ExposeGateway) -> Vec<(Endpoint, Section)> {
    let parent = &exposed.parent_ref;
    let gateway = Key::new(parent.namespace.as_deref().unwrap_or(namespace), &parent.name);
    let hostname = exposed.hostname.clone();
    let http = spec.api.websocket.enabled.then(|| {
        let (gateway, hostname, path) = (gateway.clone(), hostname.clone(), exposed.path.clone());
        (Endpoint::Http { gateway, hostname, path }, exposed.section_name.clone())
    });
    let named = |section: &Option<String>| section.clone().filter(|_| spec.api.tcp.enabled);
    let tcp = named(&exposed.tcp_section).map(|section| Endpoint::Tcp { gateway: gateway.clone(), section });
    let tls = named(&exposed.tls_section).map(|section| Endpoint::Tls {
        gateway: gateway.clone(),
        section,
        hostname: hostname.clone(),
    });
    http.into_iter().chain(tcp.into_iter().chain(tls).map(|endpoint| (endpoint, None))).collect()
}

/// What the listeners of its Gateway add to that: a spec that names no host name asks for theirs, and another may name
/// one of them.
pub fn implied(namespace: &str, spec: &MudGatewaySpec, edge: &Edge) -> Vec<(Endpoint, Section)> {
    let (Some(exposed), Edge::Found(edge)) = (nameless(spec), edge) else { return Vec::new() };
    let mut hosts: BTreeMap<&str, Section> = BTreeMap::new();
    let section = &exposed.section_name;
    for listener in edge.listeners.iter().filter(|listener| listener.takes_http()) {
        if let Some(host) = listener.exact_hostname()
            && section.as_ref().is_none_or(|section| *section == listener.name)
        {
            let by = hosts.entry(host).and_modify(|by| *by = None);
            by.or_insert_with(|| Some(listener.name.clone()));
        }
    }
    let http = hosts.into_iter().flat_map(|(host, by)| {
        let ways = named(namespace, spec, exposed, host).into_iter();
        ways.filter(|(way, _)| way.is_http()).map(move |(way, _)| (way, by.clone()))
    });
    let listener = exposed.tls_section.as_deref().and_then(|section| edge.listener(section));
    let tls = listener.and_then(|listener| listener.exact_hostname());
    let tls = tls.into_iter().flat_map(|host| named(namespace, spec, exposed, host));
    http.chain(tls.filter(|(way, _)| way.is_tls())).collect()
}

/// The same as far as a status tells it.
pub fn published(namespace: &str, gateway: &MudGateway) -> Vec<(Endpoint, Section)> {
    let spec = &gateway.spec;
    let told = gateway.status.as_ref().and_then(|status| status.endpoints.as_ref());
    let (Some(exposed), Some(told)) = (nameless(spec), told) else { return Vec::new() };
    let ways = |url: &Option<String>| {
        let host = url.as_ref().and_then(|url| url.parse::<Uri>().ok()?.host().map(str::to_owned));
        host.into_iter().flat_map(|host| named(namespace, spec, exposed, &host))
    };
    let http = ways(&told.websocket).filter(|(way, _)| way.is_http());
    http.chain(ways(&told.tcp).filter(|(way, _)| way.is_tls())).collect()
}

fn nameless(spec: &MudGatewaySpec) -> Option<&ExposeGateway> {
    spec.expose.gateway.as_ref().filter(|exposed| exposed.hostname.is_none())
}

/// What it would ask for if it named a host name.
fn named(
    namespace: &str,
    spec: &MudGatewaySpec,
    exposed: &ExposeGateway,
    host: &str,
) -> Vec<(Endpoint, Section)> {
    by_gateway(namespace, spec, &ExposeGateway { hostname: Some(host.to_owned()), ..exposed.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::gateway_api::Gateway;
    use super::*;
    use crate::testing::gateway;

    fn asked(expose: Value) -> Vec<String> {
        let mut spec = gateway("ns", "a", "Mud").spec;
        spec.expose = serde_json::from_value(expose).unwrap();
        endpoints("ns", &spec).iter().map(|(endpoint, _)| endpoint.to_string()).collect()
    }

    #[test]
    fn each_way_in_is_an_endpoint() {
        assert_eq!(asked(json!({})), Vec::<String>::new());
        assert_eq!(asked(json!({"service": {"type": "LoadBalancer"}})), Vec::<String>::new());
        assert_eq!(asked(json!({"ingress": {"host": "mud.example"}})), ["the host mud.example of Ingresses"]);
        let edge = json!({"name": "edge", "namespace": "infra"});
        let gateway =
            json!({"parentRef": edge, "hostname": "muds.example", "path": "/dawn", "tcpSection": "dawn"});
        assert_eq!(
            asked(json!({"gateway": gateway})),
            [
                "the path /dawn of muds.example at Gateway infra/edge",
                "the listener dawn of Gateway infra/edge"
            ]
        );
        let tls = json!({"parentRef": {"name": "edge"}, "hostname": "muds.example", "tlsSection": "tls"});
        assert_eq!(
            asked(json!({"gateway": tls})),
            [
                "the path /ws of muds.example at Gateway ns/edge",
                "muds.example at the listener tls of Gateway ns/edge"
            ]
        );
    }

    /// What is implied by listeners, and by a status that publishes what they make of it.
    fn implied_by(gateway_spec: Value, told: Value) -> [Vec<(String, Section)>; 2] {
        let mut object = gateway("ns", "a", "Mud");
        object.spec.expose = serde_json::from_value(json!({"gateway": gateway_spec})).unwrap();
        object.status = serde_json::from_value(json!({"endpoints": told})).unwrap();
        let edge = Edge::Found(Gateway::read(&json!({"spec": {"listeners": [
            {"name": "http", "port": 80, "protocol": "HTTP", "hostname": "muds.example"},
            {"name": "https", "port": 443, "protocol": "HTTPS", "hostname": "muds.example"},
            {"name": "other", "port": 81, "protocol": "HTTP", "hostname": "other.example"},
            {"name": "any", "port": 82, "protocol": "HTTP", "hostname": "*.example"},
            {"name": "tls", "port": 7443, "protocol": "TLS", "hostname": "tls.example"},
        ]}})));
        [implied("ns", &object.spec, &edge), published("ns", &object)]
            .map(|ways| ways.into_iter().map(|(way, section)| (way.to_string(), section)).collect())
    }

    #[test]
    fn who_names_no_host_asks_for_those_of_the_listeners() {
        let way = |host: &str, section: Option<&str>| {
            (format!("the path /ws of {host} at Gateway ns/edge"), section.map(str::to_owned))
        };
        let (muds, other) = (way("muds.example", None), way("other.example", Some("other")));
        let edge = json!({"name": "edge"});
        let told = json!({"websocket": "wss://muds.example:8443/ws", "tcp": "a.ns.svc:8081"});
        let by_all = implied_by(json!({"parentRef": edge}), told.clone());
        assert_eq!(by_all, [vec![muds.clone(), other], vec![muds]]);
        let by_one = implied_by(json!({"parentRef": edge, "sectionName": "http"}), told.clone());
        let muds = vec![way("muds.example", Some("http"))];
        assert_eq!(by_one, [muds.clone(), muds]);
        let by_any = implied_by(json!({"parentRef": edge, "sectionName": "any"}), json!({}));
        assert_eq!(by_any, [vec![], vec![]], "it has the names that nobody names");
        let named = implied_by(json!({"parentRef": edge, "hostname": "muds.example"}), told);
        assert_eq!(named, [vec![], vec![]]);
        let tls = json!({"parentRef": edge, "sectionName": "any", "tlsSection": "tls"});
        let told = json!({"tcp": "tls.example:7443"});
        let tls_way = ("tls.example at the listener tls of Gateway ns/edge".to_owned(), None);
        assert_eq!(implied_by(tls, told), [vec![tls_way.clone()], vec![tls_way]]);
    }
}
