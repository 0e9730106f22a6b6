//! What we need to know of the Gateway API's objects. They are no part of Kubernetes itself, so a cluster may lack them.

use kube::discovery::ApiResource;
use serde::Deserialize;
use serde_json::Value;

/// How the API server knows a Gateway.
pub fn gateway_resource() -> ApiResource {
    ApiResource {
        group: "gateway.networking.k8s.io".to_owned(),
        version: "v1".to_owned(),
        api_version: "gateway.networking.k8s.io/v1".to_owned(),
        kind: "Gateway".to_owned(),
        plural: "gateways".to_owned(),
    }
}

/// What was found of the Gateway that a spec refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Edge {
    /// The spec refers to none.
    #[default]
    NotAsked,
    /// The cluster has no Gateway API.
    ApiMissing,
    /// It does not exist.
    NotFound,
    /// The operator may not look at it.
    Forbidden,
    /// It exists.
    Found(Gateway),
}

/// What we need to know of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gateway {
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// Where it is reached.
    pub address: Option<String>,
}

/// Where a Gateway listens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Listener {
    /// The name by which routes refer to it.
    pub name: String,
    /// The host names it takes: one, all below one ("*.muds.example"), or all.
    #[serde(default)]
    pub hostname: Option<String>,
    /// The port.
    pub port: u16,
    /// HTTP, HTTPS, TCP or TLS.
    pub protocol: String,
    /// Whether it ends TLS.
    #[serde(default)]
    pub tls: Option<ListenerTls>,
}

/// How a listener treats TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ListenerTls {
    /// Terminate (when it is not given) or Passthrough.
    #[serde(default)]
    pub mode: Option<String>,
}

impl Gateway {
    /// Reads one, as far as it can be read.
    pub fn read(data: &Value) -> Self {
        let listeners = data["spec"]["listeners"].as_array().into_iter().flatten();
        let addresses = data["status"]["addresses"].as_array().into_iter().flatten();
        Self {
            listeners: listeners.filter_map(|listener| Listener::deserialize(listener).ok()).collect(),
            address: addresses.filter_map(|address| address["value"].as_str()).map(str::to_owned).next(),
        }
    }

    /// The listener of a name.
    pub fn listener(&self, name: &str) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.name == name)
    }

    /// The listener that takes HTTP for a host name, or the one of the given name; one with TLS is preferred.
    pub fn http(&self, hostname: Option<&str>, name: Option<&str>) -> Option<&Listener> {
        let fits = |listener: &&Listener| {
            listener.takes_http() && name.is_none_or(|name| listener.name == name) && listener.takes(hostname)
        };
        self.listeners.iter().filter(fits).max_by_key(|listener| listener.protocol == "HTTPS")
    }
}

impl Listener {
    /// Whether it takes HTTP.
    pub fn takes_http(&self) -> bool {
        matches!(self.protocol.as_str(), "HTTP" | "HTTPS")
    }

    fn takes(&self, hostname: Option<&str>) -> bool {
        let Some(own) = self.hostname.as_deref() else { return true };
        match (own.strip_prefix('*'), hostname) {
            // Who has no host name comes by the address, and that is below no other name.
            (suffix, None) => suffix.is_none(),
            (Some(suffix), Some(hostname)) => hostname.len() > suffix.len() && hostname.ends_with(suffix),
            (None, Some(hostname)) => own == hostname,
        }
    }

    /// The one host name it takes, if it takes one only.
    pub fn exact_hostname(&self) -> Option<&str> {
        self.hostname.as_deref().filter(|hostname| !hostname.starts_with('*'))
    }

    /// Whether TLS ends at the Gateway.
    pub fn ends_tls(&self) -> bool {
        let mode = self.tls.as_ref().and_then(|tls| tls.mode.as_deref());
        matches!(self.protocol.as_str(), "HTTPS" | "TLS") && mode != Some("Passthrough")
    }
}

/// Why a route does not lead anywhere, in the words of whoever runs the Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteState {
    /// The Gateway takes it.
    Accepted,
    /// Nobody has looked at it yet.
    Pending,
    /// It is refused.
    Refused(String),
}

impl RouteState {
    /// What the status of a route says. `generation` is that of the route: what is said of an older one does not count.
    pub fn read(data: &Value, generation: Option<i64>) -> Self {
        let parents = data["status"]["parents"].as_array().into_iter().flatten();
        let conditions = parents.flat_map(|parent| parent["conditions"].as_array().into_iter().flatten());
        let mut state = Self::Pending;
        for condition in conditions {
            let observed = condition["observedGeneration"].as_i64();
            if observed.is_some() && observed < generation {
                continue;
            }
            let type_ = condition["type"].as_str().unwrap_or_default();
            match (type_, condition["status"].as_str()) {
                ("Accepted", Some("True")) => state = Self::Accepted,
                ("Accepted" | "ResolvedRefs", Some("False")) => {
                    let message = condition["message"].as_str().or(condition["reason"].as_str());
                    return Self::Refused(message.unwrap_or("it gives no reason").to_owned());
                }
                _ => {}
            }
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edge() -> Gateway {
        Gateway::read(&json!({
            "spec": {"listeners": [
                {"name": "http", "port": 80, "protocol": "HTTP"},
                {"name": "https", "port": 443, "protocol": "HTTPS", "hostname": "*.muds.example"},
                {"name": "mud", "port": 7001, "protocol": "TCP"},
                {"name": "later", "port": "a word"},
            ]},
            "status": {"addresses": [{"type": "IPAddress", "value": "192.0.2.9"}]},
        }))
    }

    #[test]
    fn listeners_are_found_by_what_they_take() {
        let edge = edge();
        assert_eq!((edge.listeners.len(), edge.address.as_deref()), (3, Some("192.0.2.9")));
        let name = |hostname, section| edge.http(hostname, section).map(|listener| listener.name.as_str());
        assert_eq!(name(Some("a.muds.example"), None), Some("https"));
        assert_eq!(name(Some("muds.example"), None), Some("http"));
        assert_eq!(name(Some("a.muds.example"), Some("http")), Some("http"));
        assert_eq!(name(None, None), Some("http"), "an address is below no host name");
        assert_eq!(name(None, Some("mud")), None, "it does not take HTTP");
        assert!(edge.listener("https").unwrap().ends_tls() && !edge.listener("mud").unwrap().ends_tls());
    }

    #[test]
    fn a_route_is_what_its_gateway_says() {
        let said = |conditions: Value| {
            RouteState::read(&json!({"status": {"parents": [{"conditions": conditions}]}}), Some(2))
        };
        let condition = |type_: &str, status: &str, generation: i64| json!({"type": type_, "status": status, "message": "no such listener", "observedGeneration": generation});
        assert_eq!(RouteState::read(&json!({}), Some(1)), RouteState::Pending);
        assert_eq!(said(json!([condition("Accepted", "True", 2)])), RouteState::Accepted);
        assert_eq!(said(json!([condition("Accepted", "True", 1)])), RouteState::Pending);
        let refused = RouteState::Refused("no such listener".to_owned());
        assert_eq!(said(json!([condition("Accepted", "False", 2)])), refused);
        let half = json!([condition("Accepted", "True", 2), condition("ResolvedRefs", "False", 2)]);
        assert_eq!(said(half), refused);
    }
}
