//! How the API is reached from outside the cluster.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the API is reached from outside the cluster. Nothing given: from inside only, by the Service of the MudGateway's
/// name.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "(has(self.service) ? 1 : 0) + (has(self.gateway) ? 1 : 0) + (has(self.ingress) ? 1 : 0) <= 1"
).message("expose takes one of service, gateway and ingress: remove the others"))]
pub struct Expose {
    /// By the ports of nodes, or by a load balancer of this MudGateway's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ExposeService>,
    /// By a Gateway of the Gateway API, which many MudGateways may share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<ExposeGateway>,
    /// By an Ingress; for WebSocket only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<ExposeIngress>,
}

/// By the Service itself.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type != 'NodePort' || has(self.host)")
        .message("expose.service.host is required for a NodePort: name the address under which clients reach your nodes")
        .field_path(".host"),
    validation = Rule::new("self.type == 'LoadBalancer' || !has(self.loadBalancerClass)")
        .message("expose.service.loadBalancerClass is for type LoadBalancer only: remove it, or change the type")
        .field_path(".loadBalancerClass")
)]
pub struct ExposeService {
    /// NodePort or LoadBalancer.
    #[serde(rename = "type")]
    pub type_: ServiceType,
    /// The name or address that clients use. Required for a NodePort; for a LoadBalancer the address that the load
    /// balancer was given is taken when this is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::public_host())]
    pub host: Option<String>,
    /// The class of the load balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::load_balancer_class())]
    pub load_balancer_class: Option<String>,
    /// Annotations for the Service, which many load balancers are configured by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub annotations: BTreeMap<String, AnnotationValue>,
}

/// How a Service is reached from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// A port of every node.
    NodePort,
    /// A load balancer in front of the nodes.
    LoadBalancer,
}

/// The value of an annotation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AnnotationValue(#[schemars(length(max = 1024))] pub String);

/// By a Gateway.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.tcpSection) && has(self.tlsSection))")
    .message("expose.gateway takes tcpSection or tlsSection, not both: the TCP API has one way out"))]
pub struct ExposeGateway {
    /// The Gateway. Its listeners must let routes of this namespace in (allowedRoutes).
    pub parent_ref: ParentRef,
    /// The host name under which clients reach this MudGateway at the Gateway. Needed but where the listener has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::dns_name())]
    pub hostname: Option<String>,
    /// The path of the WebSocket at the Gateway. Muds that share a host name need a path each, such as /luminari.
    #[serde(default = "ws_path")]
    #[schemars(length(min = 2, max = 256))]
    #[x_kube(validation = crate::rule::path())]
    pub path: String,
    /// The listener for the WebSocket. None: whichever of the Gateway's listeners takes HTTP for the host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::object_name())]
    pub section_name: Option<String>,
    /// The listener of protocol TCP (or TLS that is ended there) that is this MudGateway's own, for the TCP API: a
    /// TCPRoute leads from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::object_name())]
    pub tcp_section: Option<String>,
    /// The listener of protocol TLS and mode Passthrough that muds share, for the TCP API: a TLSRoute leads from there,
    /// by expose.gateway.hostname. The gateway itself ends TLS then: set api.tls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::object_name())]
    pub tls_section: Option<String>,
}

/// A Gateway.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// The name of the Gateway.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::object_name())]
    pub name: String,
    /// Its namespace. None: that of the MudGateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = crate::rule::namespace())]
    pub namespace: Option<String>,
}

/// By an Ingress.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExposeIngress {
    /// The class of the Ingress. None: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::object_name())]
    pub class_name: Option<String>,
    /// The host name under which clients reach the Ingress.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::dns_name())]
    pub host: String,
    /// The Secret with the certificate for the host name, in the namespace of the MudGateway. None: plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::object_name())]
    pub tls_secret_name: Option<String>,
    /// Annotations for the Ingress, such as the longest time a connection may be idle.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub annotations: BTreeMap<String, AnnotationValue>,
}

fn ws_path() -> String {
    "/ws".to_owned()
}
