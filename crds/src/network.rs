//! The `IntermudNetwork` resource: a network's routers, and the provider's rules for all its muds on it.

// `KubeSchema` repeats each struct, with its `pub`, in a private scope.
#![allow(unreachable_pub)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::mudgateway::{LocalSecret, Router};

/// An Intermud-3 network as a provider uses it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "intermud.dev",
    version = "v1alpha1",
    kind = "IntermudNetwork",
    plural = "intermudnetworks",
    shortname = "imnet",
    category = "intermud",
    doc = "An IntermudNetwork names the routers of an Intermud-3 network and the provider's rules for all its muds there. MudGateways of any namespace refer to it by spec.networkRef.",
    status = "IntermudNetworkStatus",
    derive = "PartialEq",
    printcolumn(name = "MUDS", type_ = "integer", json_path = ".status.muds"),
    printcolumn(name = "REGISTERED", type_ = "integer", json_path = ".status.registered"),
    printcolumn(name = "UP", type_ = "integer", json_path = ".status.routersUp"),
    printcolumn(name = "WAITING", type_ = "integer", json_path = ".status.permitsWaiting"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(
        name = "REASON",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = 1
    ),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63").message(
        "metadata.name must have at most 63 characters: it is the network's name on the bus, for good"
    )
)]
pub struct IntermudNetworkSpec {
    /// The routers of the network, in order of preference; a router's own list may reorder them. A change is used when
    /// a mud connects the next time: sessions that are open stay.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("self.all(r, self.exists_one(o, o.name == r.name))")
        .message("routers must have different names: remove the repeated one"))]
    pub routers: Vec<Router>,
    /// What routers tolerate. The defaults suit the routers in use.
    #[serde(default)]
    pub limits: NetworkLimits,
    /// How the muds' connections to routers leave the cluster.
    #[serde(default)]
    pub egress: NetworkEgress,
    /// The policies of MudGateways that set none of their own.
    #[serde(default)]
    pub policies: Policies,
    /// Whom no mud of this provider listens to, as patterns user@mud in which * stands for anything, such as
    /// "*@SpamMUD". They hold in addition to each MudGateway's own policies, and no MudGateway can lift them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 3, max = 128)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = Rule::new("self.all(p, p.matches('^.+@.+$'))")
        .message("a ban is a pattern user@mud, such as *@SpamMUD or troll@*: write both parts"))]
    pub bans: Vec<String>,
}

/// What routers tolerate.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkLimits {
    /// The least time between two connections to one router, over all muds of the provider. Routers close a connection
    /// that they accept in the same second of their clock as the one before.
    #[serde(default = "connect_interval")]
    #[schemars(range(min = 1000, max = 60000))]
    pub connect_interval_milliseconds: i32,
    /// From how many muds on that leave by one address a mud that the router does not know yet is refused, with the
    /// reason AddressFull, in place of the router's silence. A mud that was on the network before is let in by routers.
    #[serde(default = "muds_per_address")]
    #[schemars(range(min = 1, max = 10000))]
    pub muds_per_address: i32,
    /// The most packets a mud sends to its router in a second. Routers ignore a mud for a while that sends more than ten;
    /// now and then a probe of the link is sent besides.
    #[serde(default = "packets_per_second")]
    #[schemars(range(min = 6, max = 9))]
    pub packets_per_second: i32,
}

impl Default for NetworkLimits {
    fn default() -> Self {
        Self {
            connect_interval_milliseconds: connect_interval(),
            muds_per_address: muds_per_address(),
            packets_per_second: packets_per_second(),
        }
    }
}

/// How the connections of all muds of a network leave the cluster.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkEgress {
    /// What routers see as the address of pods without a proxy: that of their node (Node), or one for the whole cluster
    /// (Cluster), such as that of a NAT gateway. Muds are counted by it for limits.mudsPerAddress.
    #[serde(default)]
    pub address_of: AddressOf,
    /// The proxy for MudGateways that name none of their own. None: they connect directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
}

/// Whose address the connections of a pod come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AddressOf {
    /// Each node has its own.
    #[default]
    Node,
    /// All nodes share one.
    Cluster,
}

/// A SOCKS5 proxy (RFC 1928). It resolves the routers' names.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proxy {
    /// The host name or address of the proxy.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::host())]
    pub host: String,
    /// The port of the proxy.
    #[serde(default = "socks_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// The Secret with the user name and the password for the proxy: the entries "username" and "password", as in
    /// Secrets of the type kubernetes.io/basic-auth. It is in the namespace of each MudGateway, for Secrets are never
    /// read across namespaces. What is in it is followed; another Secret needs new pods. None: the proxy asks for
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalSecret>,
}

/// How the connection of one mud to its router leaves the cluster.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Egress {
    /// The proxy, in place of the network's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
}

/// The rules for what comes in and goes out.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policies {
    /// Whom the mud does not listen to, as patterns user@mud in which * stands for anything, such as "troll@*".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 3, max = 128)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = Rule::new("self.all(p, p.matches('^.+@.+$'))")
        .message("what is ignored is a pattern user@mud, such as *@SpamMUD or troll@*: write both parts"))]
    pub ignore: Vec<String>,
    /// The muds that the mud does not listen to, each by its exact name, such as "SpamMUD": nothing that comes from one
    /// reaches it, by the router or from a mud of the same provider. Upper and lower case are the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 64)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = Rule::new(r"self.all(m, m.matches('^[^\\p{C}*@]+$'))")
        .message("who is banned is a mud by its exact name, such as SpamMUD: patterns with * and users with @ are for ignore"))]
    pub ban: Vec<String>,
    /// The most packets the mud sends to its router in a second, within limits.packetsPerSecond of its network. None:
    /// what the network allows; 8 where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 6, max = 9))]
    pub packets_per_second: Option<i32>,
    /// The longest text that is sent, in characters. 2048 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16384))]
    pub max_message_length: Option<i32>,
}

/// The IntermudNetwork that a MudGateway is on.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkRef {
    /// The name of the IntermudNetwork. It is also the network's name on the bus.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = crate::rule::object_name())]
    pub name: String,
}

/// What the operator sees of a network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntermudNetworkStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Accepted: the spec can be used. Ready: a mud is registered with one of the routers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// How many MudGateways refer to it.
    #[serde(default)]
    pub muds: i32,
    /// How many of them are registered with a router now.
    #[serde(default)]
    pub registered: i32,
    /// How many of the routers have a mud of this provider registered now.
    #[serde(default)]
    pub routers_up: i32,
    /// How many muds wait for their turn to connect.
    #[serde(default)]
    pub permits_waiting: i32,
    /// The routers of the spec, each with what is seen of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub routers: Vec<RouterView>,
}

/// What is seen of a router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouterView {
    /// The name of the router.
    pub name: String,
    /// Up: muds are registered with it. Down: none is, and some fail to connect to it. Unknown: nobody tries.
    pub state: RouterState,
    /// How many muds of this provider are registered with it.
    pub registered: i32,
}

/// Whether a router works, as far as this provider's muds can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RouterState {
    /// A mud is registered with it.
    Up,
    /// Muds fail to connect to it.
    Down,
    /// Nobody tries.
    Unknown,
}

/// The types of condition an IntermudNetwork has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NetworkConditionType {
    /// The spec can be used.
    Accepted,
    /// A mud is registered with one of the routers.
    Ready,
}

impl NetworkConditionType {
    /// The type as it stands in conditions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Ready => "Ready",
        }
    }
}

/// Why a condition of an IntermudNetwork is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NetworkReason {
    /// Accepted: the spec can be used.
    Accepted,
    /// Accepted: the operator cannot read the spec.
    InvalidSpec,
    /// Ready: a mud is registered with a router.
    RouterUp,
    /// Ready: muds try, and none is registered.
    RoutersDown,
    /// Ready: no MudGateway tries.
    NobodyConnects,
}

impl NetworkReason {
    /// The reason as it stands in conditions and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::InvalidSpec => "InvalidSpec",
            Self::RouterUp => "RouterUp",
            Self::RoutersDown => "RoutersDown",
            Self::NobodyConnects => "NobodyConnects",
        }
    }
}

impl IntermudNetworkStatus {
    /// The condition of the given type, once the operator has seen the object.
    pub fn condition(&self, type_: NetworkConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_.as_str())
    }
}

fn connect_interval() -> i32 {
    1100
}

fn muds_per_address() -> i32 {
    32
}

fn packets_per_second() -> i32 {
    8
}

fn socks_port() -> i32 {
    1080
}
