//! The status of a `MudGateway`: what the operator saw, in one bounded vocabulary.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::SessionReason;
use crate::words::words;

/// What the operator saw of a MudGateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MudGatewayStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Accepted: the spec can be carried out. Programmed: the objects exist and the pod runs. Connected: the mud
    /// is on the network. Ready: all of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The network on which the mud's name is claimed. When the spec names another one, the name there is given up
    /// first, as spec.deletionPolicy says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Where the mud connects to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Endpoints>,
    /// The Secret whose entry "token" is the API key that the operator made; none while spec.api.keys names keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_secret: Option<String>,
    /// The router that the mud is connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<RouterSession>,
    /// The pod that holds, or tries to get, the router session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// The pod that is logged in at the router, or was last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_connected: Option<String>,
    /// What last kept the mud from the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<SessionError>,
    /// How many clients were connected when this status was written. It is written when something else changes, or
    /// when the first client comes or the last one goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<i32>,
    /// How many gateway pods there are.
    #[serde(default)]
    pub replicas: i32,
    /// How many of them are ready besides the one that is logged in at the router.
    #[serde(default)]
    pub standbys: i32,
    /// The labels by which the gateway pods are found, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

/// Where the mud connects to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// The address of the JSON-RPC API over WebSocket; none while it is off, or its address is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub websocket: Option<String>,
    /// Host and port of the JSON-RPC API over TCP; none while it is off, or its address is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<String>,
    /// Whether TCP is under TLS.
    #[serde(default)]
    pub tcp_tls: bool,
    /// Where other muds connect to for mail, news and files (OOB), inside the cluster; none while that is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oob: Option<String>,
}

/// What kept the mud from the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionError {
    /// Why, in one word.
    pub reason: String,
    /// Why, in the words of the gateway or the router.
    pub message: String,
    /// The router that was meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<String>,
    /// When the operator first heard of it.
    pub time: Time,
}

/// An established router session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouterSession {
    /// The name of the router.
    pub name: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected_since: Option<Time>,
}

/// The types of condition a MudGateway has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConditionType {
    /// The spec can be carried out and the mud's name is free.
    Accepted,
    /// The gateway's objects exist and its pod runs.
    Programmed,
    /// The mud is on the network.
    Connected,
    /// All of the above.
    Ready,
}

impl ConditionType {
    /// The type as it stands in conditions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Programmed => "Programmed",
            Self::Connected => "Connected",
            Self::Ready => "Ready",
        }
    }
}

words! {
    /// Why a condition is as it is. The one vocabulary for conditions, events, metrics and logs.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Reason {
        /// Accepted: the spec can be carried out.
        Accepted,
        /// Accepted: the spec cannot be carried out, or the operator cannot read it.
        InvalidSpec,
        /// Accepted, Programmed: a Secret that the spec names, or its entry, does not exist.
        SecretNotFound,
        /// Accepted: the IntermudNetwork that the spec refers to does not exist.
        NetworkNotFound,
        /// Accepted: the operator cannot tell what the IntermudNetwork is that the spec refers to.
        NetworkUnavailable,
        /// Accepted, Connected: an older MudGateway claims the mud's name on this network.
        NameConflict,
        /// Accepted: spec.image is not one that the operator was told to allow.
        ImageNotAllowed,
        /// Accepted, and true: an API key ends within a week.
        KeyExpiring,
        /// Accepted, and true: an API key has ended.
        KeyExpired,
        /// Programmed: spec.paused is true, so changes wait.
        Paused,
        /// Programmed: the cluster has no Gateway API, or not the kind of route that is asked for.
        GatewayApiMissing,
        /// Programmed: the Gateway or its listener does not exist.
        GatewayNotFound,
        /// Programmed: the Gateway does not take the route.
        RouteNotAccepted,
        /// Programmed: what leads to the API from outside has no address yet.
        AddressPending,
        /// Programmed: an older MudGateway has the way in that spec.expose asks for.
        EndpointConflict,
        /// Programmed: an object must change in a way that the API server never allows.
        ImmutableField,
        /// Programmed: an object of a name the gateway needs exists and belongs to someone else.
        ObjectExists,
        /// Programmed: the API server refused an object of the gateway, or something failed again and again.
        ApplyFailed,
        /// Programmed: the gateway's login for NATS cannot be made.
        NatsLoginUnavailable,
        /// Programmed: the MudGateway is deleted, and something of that is not done yet.
        Deleting,
        /// Programmed: the spec names another network, and the mud has not left the one it was on yet.
        Moving,
        /// In an event: the MudGateway is gone, and NATS, which was away, still has what it was to forget.
        StateLeft,
        /// In an event: NATS had lost the router password, and has it again.
        PasswordRestored,
        /// In an event: another pod than before is logged in at the router.
        FailedOver,
        /// Programmed: the pod is available.
        MinimumReplicasAvailable,
        /// Programmed: the pod is not available yet.
        Progressing,
        /// Programmed: the pod did not become available in time.
        ProgressDeadlineExceeded,
        /// Programmed, Connected: no pod is wanted.
        ScaledToZero,
        /// Connected: the gateway has not reported lately.
        WaitingForGateway,
        /// Connected: the bus that carries the gateway's reports is away.
        BusUnavailable,
    }
    /// Connected: what the gateway says of its router session.
    Session(SessionReason)
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl MudGatewayStatus {
    /// The condition of the given type, once the operator has seen the object.
    pub fn condition(&self, type_: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_.as_str())
    }
}
