//! The ways in from outside that only one MudGateway can have: two that publish one URL would get each other's clients.

use std::fmt;

use mudgateway_crds::MudGatewaySpec;
use mudgateway_crds::mudgateway::{ExposeGateway, ExposeIngress};

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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
}
