//! What the checks look at.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use crate::gateway::Gateway;

/// What was read, or why it could not be.
pub type Read<T> = Result<T, String>;

/// Everything.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When it was collected.
    pub now: Timestamp,
    /// About the cluster.
    pub cluster: ClusterFacts,
    /// About each MudGateway.
    pub gateways: Vec<GatewayFacts>,
}

/// About the cluster.
#[derive(Clone, Debug)]
pub struct ClusterFacts {
    /// The definition as it is installed; none: there is none.
    pub definition: Read<Option<Value>>,
    /// The definition this plug-in was built with.
    pub known_definition: Value,
    /// The operators.
    pub operators: Read<Vec<Operator>>,
    /// The pods of the NATS that came with the chart.
    pub nats: Read<Vec<Pod>>,
}

/// An operator's Deployment.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The version it says it is.
    pub version: Option<String>,
    /// How many of its pods are wanted.
    pub wanted: i32,
    /// Its pods.
    pub pods: Vec<Pod>,
    /// Its Lease; none: it has none.
    pub lease: Option<Read<Lease>>,
    /// Its metrics, from the pod that leads, or any.
    pub metrics: Option<Read<String>>,
}

/// Who leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// The pod.
    pub holder: Option<String>,
    /// When it last said so.
    pub renewed: Option<Timestamp>,
    /// How many seconds that holds.
    pub seconds: i32,
}

/// About a MudGateway.
#[derive(Clone, Debug)]
pub struct GatewayFacts {
    /// The object itself.
    pub gateway: Gateway,
    /// Its pods.
    pub pods: Read<Vec<Pod>>,
    /// Its API key; none: it names none, and the operator made none.
    pub key: Option<Read<KeyFacts>>,
    /// How many addresses its Service leads to; none: there is no Service.
    pub addresses: Read<Option<usize>>,
    /// What the pod that holds the session says of itself.
    pub health: Option<Read<Value>>,
    /// The quotas of its namespace.
    pub quotas: Read<Vec<Quota>>,
    /// Whether the endpoint that is reachable from outside answers from here; none: it is inside the cluster.
    pub endpoint: Option<Read<()>>,
}

/// About an API key: never the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// The Secret.
    pub secret: String,
    /// The entry.
    pub entry: String,
    /// Whether the Secret exists.
    pub exists: bool,
    /// Whether it has the entry, and something in it.
    pub has_entry: bool,
    /// Until when the key before it works.
    pub previous_until: Option<Timestamp>,
}

/// A limit of a ResourceQuota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The quota's name.
    pub name: String,
    /// What is limited, such as `pods`.
    pub resource: String,
    /// The limit.
    pub hard: String,
    /// How much of it is used.
    pub used: String,
}
