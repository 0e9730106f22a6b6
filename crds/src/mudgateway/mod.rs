//! The `MudGateway` resource: what a provider asks for.

// `KubeSchema` repeats each struct, with its `pub`, in a private scope.
#![allow(unreachable_pub)]

mod api;
mod expose;
mod mud;
mod oob;
mod pod;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::network::{Egress, NetworkRef, Policies};
use crate::status::MudGatewayStatus;

pub use api::{ApiKey, ApiLimits, ApiSpec, ApiTls, MethodLimit, Permission, SecretRef, Transport};
pub use expose::{
    AnnotationValue, Expose, ExposeGateway, ExposeIngress, ExposeService, ParentRef, ServiceType,
};
pub use mud::{Mud, OtherData, Service};
pub use oob::Oob;
pub use pod::{
    Amounts, DeletionPolicy, LabelValue, LocalSecret, PodMetadata, PullPolicy, Resources, Scheduling,
};

/// The connection of one mud to an Intermud-3 network, and the API through which the mud uses it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "intermud.dev",
    version = "v1alpha1",
    kind = "MudGateway",
    plural = "mudgateways",
    namespaced,
    shortname = "mudgw",
    category = "intermud",
    doc = "A MudGateway connects one mud to an Intermud-3 network and serves the mud a JSON-RPC API over WebSocket and TCP.",
    status = "MudGatewayStatus",
    derive = "PartialEq",
    selectable = ".spec.mud.name",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "MUD", type_ = "string", json_path = ".spec.mud.name"),
    printcolumn(name = "ROUTER", type_ = "string", json_path = ".status.router.name"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "ENDPOINT", type_ = "string", json_path = ".status.endpoints.websocket"),
    printcolumn(name = "PODS", type_ = "integer", json_path = ".status.replicas", priority = 1),
    printcolumn(name = "HOLDER", type_ = "string", json_path = ".status.holder", priority = 1),
    printcolumn(name = "CLIENTS", type_ = "integer", json_path = ".status.clients", priority = 1),
    printcolumn(name = "TCP", type_ = "string", json_path = ".status.endpoints.tcp", priority = 1),
    printcolumn(
        name = "REASON",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = 1
    ),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 52").message(
        "metadata.name must have at most 52 characters: the names of the gateway's objects are made from it"
    ),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message(
        "metadata.name becomes the name of a Service: begin with a lower case letter, then use lower case letters, digits and '-'"
    ),
    validation = Rule::new("!has(self.spec.expose.ingress) || !has(self.spec.api.tls)").message(
        "an Ingress ends TLS itself: remove spec.api.tls, and give the certificate to spec.expose.ingress.tlsSecretName"
    ).field_path(".spec.api.tls"),
    validation = Rule::new("!has(self.spec.expose.ingress) || self.spec.api.websocket.enabled").message(
        "an Ingress is for WebSocket only: set spec.api.websocket.enabled to true, or expose the TCP API by a service or gateway"
    ).field_path(".spec.expose.ingress"),
    validation = Rule::new(
        "!has(self.spec.expose.gateway) || !has(self.spec.api.tls) || !self.spec.api.websocket.enabled"
    ).message(
        "a Gateway ends TLS for the WebSocket itself: remove spec.api.tls, or set spec.api.websocket.enabled to false"
    ).field_path(".spec.api.tls"),
    validation = Rule::new(
        "!has(self.spec.expose.gateway) || !has(self.spec.expose.gateway.tlsSection) || (has(self.spec.api.tls) && has(self.spec.expose.gateway.hostname))"
    ).message(
        "expose.gateway.tlsSection passes TLS through by its host name: set spec.api.tls and expose.gateway.hostname"
    ).field_path(".spec.expose.gateway.tlsSection"),
    validation = Rule::new(
        "!has(self.spec.expose.gateway) || self.spec.api.tcp.enabled || !(has(self.spec.expose.gateway.tcpSection) || has(self.spec.expose.gateway.tlsSection))"
    ).message(
        "expose.gateway leads to the TCP API, which is off: set spec.api.tcp.enabled to true, or remove tcpSection and tlsSection"
    ).field_path(".spec.expose.gateway"),
    validation = Rule::new("has(self.spec.networkRef) != has(self.spec.routers)").message(
        "give either spec.networkRef, the name of an IntermudNetwork, or spec.routers, and not both"
    ).field_path(".spec.networkRef")
)]
pub struct MudGatewaySpec {
    /// The mud: what the network learns about it.
    pub mud: Mud,
    /// The IntermudNetwork to be on, which the provider maintains; in place of routers. Its name is the network's name on
    /// the bus: muds of one provider that refer to the same one hear each other directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_ref: Option<NetworkRef>,
    /// The routers of the network, in order of preference, where there is no networkRef. The name of the first one is
    /// also the name of the network: muds of one provider whose first router is the same hear each other directly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("self.all(r, self.exists_one(o, o.name == r.name))")
        .message("routers must have different names: remove the repeated one"))]
    pub routers: Vec<Router>,
    /// The channels the mud is on, and how. Clients may join any other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub channels: Vec<Channel>,
    /// How the connection to the router leaves the cluster. None: as the network says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
    /// The rules for what comes in and goes out. None: the network's. What the network bans is banned in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Policies>,
    /// The API for the mud.
    #[serde(default)]
    pub api: ApiSpec,
    /// What other muds may bring and fetch over connections of their own: mail, news and files. None: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oob: Option<Oob>,
    /// How the API is reached from outside the cluster.
    #[serde(default)]
    pub expose: Expose,
    /// How many gateway pods to run. One of them is logged in at the router, the others stand by; 0 leaves the network.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 3))]
    pub replicas: i32,
    /// The gateway image, in place of the operator's default. Only images that the operator was told to allow are taken
    /// (its flag --allowed-image): whoever chooses the image can read the Secrets that are mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = crate::rule::image())]
    pub image: Option<String>,
    /// When nodes pull the image. None: as the operator was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,
    /// Secrets with the credentials to pull the image, in the namespace of the MudGateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub image_pull_secrets: Vec<LocalSecret>,
    /// What each gateway pod may use.
    #[serde(default)]
    pub resources: Resources,
    /// Where the gateway pods run.
    #[serde(default)]
    pub scheduling: Scheduling,
    /// Labels and annotations for the gateway pods.
    #[serde(default)]
    pub pod_metadata: PodMetadata,
    /// What the gateway pods log: a level, and levels of parts, as in "info,mudgateway::router=debug". A running gateway
    /// follows it.
    #[serde(default = "info")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = crate::rule::log_level())]
    pub log_level: String,
    /// Leave everything as it is: what runs goes on, and changes of this MudGateway wait until this is false again.
    #[serde(default)]
    pub paused: bool,
    /// What becomes of the mud's name on the network when this MudGateway is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// An Intermud-3 router.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Router {
    /// The exact name of the router, such as "*i4": it ignores muds that call it otherwise.
    #[schemars(length(min = 2, max = 64))]
    #[x_kube(validation = Rule::new(r"self.matches('^[*][^\\p{C}\\s]+$')")
        .message("a router's name begins with '*' and has no spaces, such as *i4: write it as its operator does"))]
    pub name: String,
    /// The host name or address of the router.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::host())]
    pub host: String,
    /// The port of the router.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

/// A channel of the network.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Channel {
    /// The exact name of the channel, such as "imud_gossip".
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new(r"self.matches('^[^\\p{C}\\s]([^\\p{C}]*[^\\p{C}\\s])?$')")
        .message("a channel's name must be printable, with no space at either end"))]
    pub name: String,
    /// How far the channel reaches: network (all muds of the network, by the router), or provider (the muds of this
    /// provider that have the channel with this scope on the same network, never by the router).
    #[serde(default)]
    pub scope: Scope,
    /// Whether the mud listens to the channel from its start, so that what was said is remembered before a client comes.
    /// Otherwise it does while a client is on the channel.
    #[serde(default = "on")]
    pub listen: bool,
    /// Whether clients whose keys allow channels are on the channel as soon as they have authenticated, without
    /// channel_join. One that leaves the channel, and one that resumes a session it had left it in, is not.
    #[serde(default)]
    pub subscribe: bool,
}

/// How far a channel reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// All muds of the network, by the router.
    #[default]
    Network,
    /// The muds of this provider that have the channel with this scope, never by the router.
    Provider,
}

impl MudGatewaySpec {
    /// The name of the network on the bus: that of the IntermudNetwork, else that of the first router. The two cannot be
    /// mistaken for each other: a router's name begins with a star.
    pub fn network(&self) -> &str {
        match &self.network_ref {
            Some(network) => &network.name,
            None => self.routers.first().map_or("", |router| &router.name),
        }
    }
}

fn on() -> bool {
    true
}

fn one() -> i32 {
    1
}

fn info() -> String {
    "info".to_owned()
}
