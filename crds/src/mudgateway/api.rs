//! The API for the mud: its transports, its limits and its keys.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The API for the mud.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.websocket.enabled || self.tcp.enabled")
    .message("api: without WebSocket and TCP no mud can connect: set api.websocket.enabled or api.tcp.enabled to true"))]
pub struct ApiSpec {
    /// JSON-RPC over WebSocket, at the path /ws.
    #[serde(default)]
    pub websocket: Transport,
    /// JSON-RPC over TCP, a line for each message.
    #[serde(default)]
    pub tcp: Transport,
    /// TLS on both, ended by the gateway itself. None: plain, for use inside the cluster, or behind an Ingress or a
    /// Gateway that ends TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ApiTls>,
    /// What clients may do to the gateway.
    #[serde(default)]
    pub limits: ApiLimits,
    /// The API keys, each in a Secret beside this MudGateway. None: the operator makes a Secret with one key that
    /// allows everything, and names it in status.apiKeySecret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new(
        "self.all(k, self.exists_one(o, o.secretRef.name == k.secretRef.name && o.secretRef.key == k.secretRef.key))"
    ).message("api.keys must differ: remove the repeated one"))]
    pub keys: Vec<ApiKey>,
}

/// One way to speak to the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transport {
    /// Whether it is served.
    #[serde(default = "on")]
    pub enabled: bool,
}

impl Default for Transport {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// TLS for clients.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiTls {
    /// The Secret of type kubernetes.io/tls with certificate and key (tls.crt, tls.key), in the namespace of the
    /// MudGateway. A renewed certificate is shown within two minutes, without a restart.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::object_name())]
    pub secret_name: String,
    /// Clients must show a certificate signed by one in the entry ca.crt of the same Secret.
    #[serde(default)]
    pub require_client_certificate: bool,
}

/// What clients may do to the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiLimits {
    /// Client connections at the same time, over both transports, for each gateway pod.
    #[serde(default = "connections")]
    #[schemars(range(min = 1, max = 10000))]
    pub connections: i32,
    /// The largest message of a client, in bytes.
    #[serde(default = "message_bytes")]
    #[schemars(range(min = 1024, max = 1_048_576))]
    pub message_bytes: i32,
    /// How many bytes may wait for one client before it counts as too slow.
    #[serde(default = "queue_bytes")]
    #[schemars(range(min = 65536, max = 16_777_216))]
    pub queue_bytes: i32,
    /// Requests a minute for each key that has no limit of its own.
    #[serde(default = "requests_per_minute")]
    #[schemars(range(min = 1, max = 60000))]
    pub requests_per_minute: i32,
    /// Requests at once for each key that has no limit of its own. None: a third of a minute's, at least 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60000))]
    pub request_burst: Option<i32>,
    /// Limits of single methods, such as tell, for each key and on top of the key's own limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub methods: Vec<MethodLimit>,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self {
            connections: connections(),
            message_bytes: message_bytes(),
            queue_bytes: queue_bytes(),
            requests_per_minute: requests_per_minute(),
            request_burst: None,
            methods: Vec::new(),
        }
    }
}

/// How often one method may be called.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodLimit {
    /// The name of the method, such as "channel_send".
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = crate::rule::method())]
    pub name: String,
    /// Calls a minute, for each key.
    #[schemars(range(min = 1, max = 60000))]
    pub requests_per_minute: i32,
}

/// One API key.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// Where the key is.
    pub secret_ref: SecretRef,
    /// What it allows. None given: everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7), extend("x-kubernetes-list-type" = "set"))]
    pub permissions: Vec<Permission>,
    /// Requests a minute. None: as api.limits.requestsPerMinute says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60000))]
    pub requests_per_minute: Option<i32>,
    /// When it ends to be valid, such as 2027-01-01T00:00:00Z. None: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

/// A group of methods and events that a key may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Tells and emotes to users.
    Tell,
    /// Channels.
    Channel,
    /// Questions about muds and users.
    Info,
    /// Letters.
    Mail,
    /// Files.
    File,
    /// News.
    News,
    /// Control of the gateway itself, and of channels of one's own.
    Admin,
}

/// One entry of a Secret in the namespace of the MudGateway.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::object_name())]
    pub name: String,
    /// The key inside the Secret.
    #[serde(default = "token_key")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::entry())]
    pub key: String,
}

fn on() -> bool {
    true
}

fn connections() -> i32 {
    1000
}

fn message_bytes() -> i32 {
    65_536
}

fn queue_bytes() -> i32 {
    1_048_576
}

fn requests_per_minute() -> i32 {
    100
}

fn token_key() -> String {
    "token".to_owned()
}
