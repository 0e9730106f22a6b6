//! The `MudGateway` resource: what a provider asks for.

// `KubeSchema` repeats each struct, with its `pub`, in a private scope.
#![allow(unreachable_pub)]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::status::MudGatewayStatus;

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
    printcolumn(name = "MUD", type_ = "string", json_path = ".spec.mud.name"),
    printcolumn(name = "ROUTER", type_ = "string", json_path = ".status.router.name"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "ENDPOINT", type_ = "string", json_path = ".status.endpoints.websocket"),
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
    )
)]
pub struct MudGatewaySpec {
    /// The mud: what the network learns about it.
    pub mud: Mud,
    /// The routers of the network, in order of preference. The name of the first one is also the name of the
    /// network: muds of one provider whose first router is the same hear each other directly.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("self.all(r, self.exists_one(o, o.name == r.name))")
        .message("routers must have different names: remove the repeated one"))]
    pub routers: Vec<Router>,
    /// The channels the gateway listens to from its start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub channels: Vec<Channel>,
    /// The API for the mud.
    #[serde(default)]
    pub api: ApiSpec,
    /// How many gateway pods to run: 1, or 0 to leave the network.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    #[x_kube(validation = Rule::new("self <= 1")
        .message("replicas must be 0 or 1: more than one pod needs the session lock, which does not exist yet"))]
    pub replicas: i32,
    /// The gateway image to use in place of the operator's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^\S+$"))]
    pub image: Option<String>,
}

/// What the network learns about a mud.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mud {
    /// The name of the mud on the network. It cannot change: routers tie a password to it, so a renamed mud
    /// is another mud.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(
        validation = Rule::new("self == oldSelf")
            .message("mud.name is immutable: create another MudGateway for another name")
            .reason(kube::core::Reason::FieldValueForbidden),
        validation = Rule::new(r"self.matches('^[^\\p{C}\\s*]([^\\p{C}]*[^\\p{C}\\s])?$')")
            .message("mud.name must be printable: use no control characters, no space at either end, and no leading '*', which marks routers")
    )]
    pub name: String,
    /// The port players connect to, as the mudlist shows it.
    #[serde(default = "player_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// The address of the mud's administrator, as the mudlist shows it to the whole network. Empty by default.
    #[serde(default)]
    #[schemars(length(max = 254), regex(pattern = r"^\P{C}*$"))]
    pub admin_email: String,
    /// The mudlib, as the mudlist shows it.
    #[serde(default = "custom")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^\P{C}*$"))]
    pub mudlib: String,
    /// The mudlib that the mudlib is based on.
    #[serde(default = "custom")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^\P{C}*$"))]
    pub base_mudlib: String,
    /// The driver, as the mudlist shows it.
    #[serde(default = "custom")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^\P{C}*$"))]
    pub driver: String,
    /// The type of the mud, such as LP, Diku or MUSH.
    #[serde(rename = "type", default = "mud_type")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^\P{C}*$"))]
    pub mud_type: String,
    /// Who may play, in the mud's own words, such as "open" or "beta testing".
    #[serde(default = "open_status")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^\P{C}*$"))]
    pub open_status: String,
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
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[0-9A-Za-z.:_-]+$"))]
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
}

/// The API for the mud.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiSpec {
    /// The API keys, each in a Secret beside this MudGateway. None: the operator makes a Secret with one key
    /// and names it in status.apiKeySecret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new(
        "self.all(k, self.exists_one(o, o.secretRef.name == k.secretRef.name && o.secretRef.key == k.secretRef.key))"
    ).message("api.keys must differ: remove the repeated one"))]
    pub keys: Vec<ApiKey>,
}

/// One API key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// Where the key is.
    pub secret_ref: SecretRef,
}

/// One entry of a Secret in the namespace of the MudGateway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The key inside the Secret.
    #[serde(default = "token_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

impl MudGatewaySpec {
    /// The name of the network on the bus: that of the first router.
    pub fn network(&self) -> &str {
        self.routers.first().map_or("", |router| &router.name)
    }
}

fn one() -> i32 {
    1
}

fn player_port() -> i32 {
    4000
}

fn custom() -> String {
    "Custom".to_owned()
}

fn mud_type() -> String {
    "LP".to_owned()
}

fn open_status() -> String {
    "open".to_owned()
}

fn token_key() -> String {
    "token".to_owned()
}
