//! The gateway pods: what they may use, and where they run.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::expose::AnnotationValue;

/// When nodes pull an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// Before each start of a container.
    Always,
    /// When a node does not have it.
    IfNotPresent,
    /// Never.
    Never,
}

/// A Secret in the namespace of the MudGateway.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalSecret {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::object_name())]
    pub name: String,
}

/// What a gateway pod may use.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "!has(self.requests.memory) || !has(self.limits.memory) || !quantity(self.requests.memory).isGreaterThan(quantity(self.limits.memory))"
).message("resources.requests.memory is more than resources.limits.memory: raise the limit, or lower the request"))]
pub struct Resources {
    /// What the node must have free for a pod.
    #[serde(default = "requests")]
    pub requests: Amounts,
    /// What a pod gets at most. No limit on the CPU by default: it would delay a burst of chatter and save nothing on an
    /// idle node.
    #[serde(default = "limits")]
    pub limits: Amounts,
}

impl Default for Resources {
    fn default() -> Self {
        Self { requests: requests(), limits: limits() }
    }
}

/// Amounts of what a pod uses.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Amounts {
    /// Of CPUs, such as "10m" (a hundredth of one) or "2".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(validation = crate::rule::cpu())]
    pub cpu: Option<String>,
    /// Of memory, such as "64Mi".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(validation = crate::rule::memory())]
    pub memory: Option<String>,
}

/// Where gateway pods run. Pods of one mud keep away from each other's nodes by themselves, as far as there are nodes.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scheduling {
    /// On nodes with these labels only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = crate::rule::label_values())]
    pub node_selector: BTreeMap<String, LabelValue>,
    /// Taints that are tolerated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "atomic"),
        transform = crate::bound::bounded
    )]
    pub tolerations: Vec<Toleration>,
    /// Which nodes and neighbours are wanted or avoided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = crate::bound::bounded)]
    pub affinity: Option<Affinity>,
    /// The PriorityClass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = crate::rule::object_name())]
    pub priority_class_name: Option<String>,
}

/// Labels and annotations for gateway pods, beside the operator's own.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodMetadata {
    /// Labels. Those under app.kubernetes.io and intermud.dev are the operator's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(
        validation = Rule::new("self.all(k, !k.startsWith('app.kubernetes.io/') && !k.startsWith('intermud.dev/'))")
            .message("podMetadata.labels: labels under app.kubernetes.io/ and intermud.dev/ are the operator's: choose another prefix"),
        validation = crate::rule::label_values()
    )]
    pub labels: BTreeMap<String, LabelValue>,
    /// Annotations. Those under intermud.dev are the operator's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = Rule::new("self.all(k, !k.startsWith('intermud.dev/'))")
        .message("podMetadata.annotations: annotations under intermud.dev/ are the operator's: choose another prefix"))]
    pub annotations: BTreeMap<String, AnnotationValue>,
}

/// The value of a label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct LabelValue(#[schemars(length(max = 63))] pub String);

/// What becomes of the mud's name on the network when the MudGateway is deleted. The router is told that the mud has
/// left in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The password by which the router knows the mud is kept, so that a MudGateway made anew has the name again.
    #[default]
    Retain,
    /// It is forgotten, and with it the right to the name.
    Delete,
}

fn requests() -> Amounts {
    Amounts { cpu: Some("10m".to_owned()), memory: Some("32Mi".to_owned()) }
}

fn limits() -> Amounts {
    Amounts { cpu: None, memory: Some("128Mi".to_owned()) }
}
