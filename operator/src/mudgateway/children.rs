//! The kinds of object that make up a gateway, and those of them that exist, as the watches last saw them.

use std::sync::Mutex;

use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use kube::runtime::reflector::{ObjectRef, Store};
use serde_json::{Value, json};

use super::build::workload_name;
use super::drift::{self, APPLIED_HASH};
use crate::index::Scope;
use crate::key::Key;
use crate::lock::lock;

/// An object, or what [`Kind::slim`] keeps of it.
pub type Child = DynamicObject;

/// A kind of object of which a gateway has one at most. Secrets are not among them: they are watched apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The gateway's configuration.
    ConfigMap,
    /// Where the mud connects to.
    Service,
    /// The pods.
    Deployment,
    /// Who may connect to the pods, and where to they may connect.
    NetworkPolicy,
    /// How many pods may be evicted at once.
    PodDisruptionBudget,
    /// The way in through an Ingress.
    Ingress,
    /// The way in through a Gateway, for WebSocket.
    HttpRoute,
    /// The way in through a Gateway, for TCP.
    TcpRoute,
    /// The way in through a Gateway, for TLS that is passed through.
    TlsRoute,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::ConfigMap,
        Self::Service,
        Self::Deployment,
        Self::NetworkPolicy,
        Self::PodDisruptionBudget,
        Self::Ingress,
        Self::HttpRoute,
        Self::TcpRoute,
        Self::TlsRoute,
    ];

    /// Group, version, kind and plural.
    fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        const GATEWAY_API: &str = "gateway.networking.k8s.io";
        match self {
            Self::ConfigMap => ("", "v1", "ConfigMap", "configmaps"),
            Self::Service => ("", "v1", "Service", "services"),
            Self::Deployment => ("apps", "v1", "Deployment", "deployments"),
            Self::NetworkPolicy => ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
            Self::PodDisruptionBudget => ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
            Self::Ingress => ("networking.k8s.io", "v1", "Ingress", "ingresses"),
            Self::HttpRoute => (GATEWAY_API, "v1", "HTTPRoute", "httproutes"),
            Self::TcpRoute => (GATEWAY_API, "v1alpha2", "TCPRoute", "tcproutes"),
            Self::TlsRoute => (GATEWAY_API, "v1alpha2", "TLSRoute", "tlsroutes"),
        }
    }

    /// The kind as it stands in messages.
    pub fn as_str(self) -> &'static str {
        self.names().2
    }

    /// How the API server knows it.
    pub fn resource(self) -> ApiResource {
        let (group, version, kind, plural) = self.names();
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version,
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }

    /// Leaves of an object what tells whether it is as it should be, and what the status says of it.
    pub fn slim(self, object: &mut Child) {
        drift::keep_ours(&mut object.metadata);
        if let Some(annotations) = &mut object.metadata.annotations {
            annotations.retain(|name, _| name == APPLIED_HASH);
        }
        let data = std::mem::take(&mut object.data);
        let take = |part: &str, field: &str| data[part][field].clone();
        object.data = match self {
            Self::Deployment => {
                json!({"spec": {"replicas": take("spec", "replicas")}, "status": data["status"]})
            }
            Self::Service => json!({"spec": {"ports": take("spec", "ports")}, "status": data["status"]}),
            Self::HttpRoute | Self::TcpRoute | Self::TlsRoute => json!({"status": data["status"]}),
            Self::ConfigMap | Self::NetworkPolicy | Self::PodDisruptionBudget | Self::Ingress => Value::Null,
        };
    }

    /// Whether a cluster may lack the kind as such.
    pub fn is_gateway_api(self) -> bool {
        matches!(self, Self::HttpRoute | Self::TcpRoute | Self::TlsRoute)
    }

    /// The name of the object for the MudGateway of this name. The Service has its name, for that is what ends up in the
    /// configuration of the mud.
    pub fn name_for(self, gateway: &str) -> String {
        match self {
            Self::Service => gateway.to_owned(),
            // Contour takes routes of different kinds and one name for one, and reports on one of them only.
            Self::TcpRoute => format!("{}-tcp", workload_name(gateway)),
            Self::TlsRoute => format!("{}-tls", workload_name(gateway)),
            _ => workload_name(gateway),
        }
    }
}

/// The objects with our labels, as the watches last saw them.
#[derive(Default)]
pub struct Children {
    stores: Mutex<Vec<(Kind, Scope, Store<Child>)>>,
}

impl Children {
    /// Adds what a watch sees.
    pub fn add(&self, kind: Kind, scope: Scope, store: Store<Child>) {
        lock(&self.stores).push((kind, scope, store));
    }

    /// The object of a kind that the MudGateway of this key has, or that only has its name.
    pub fn get(&self, kind: Kind, gateway: &Key) -> Option<Child> {
        let stores = lock(&self.stores);
        let name = kind.name_for(&gateway.name);
        let object = ObjectRef::<Child>::new_with(&name, kind.resource()).within(&gateway.namespace);
        let in_scope = |scope: &Scope| scope.as_ref().is_none_or(|namespace| *namespace == gateway.namespace);
        let mut found = stores.iter().filter(|(of, scope, _)| *of == kind && in_scope(scope));
        found.find_map(|(_, _, store)| store.get(&object)).map(|object| (*object).clone())
    }
}
