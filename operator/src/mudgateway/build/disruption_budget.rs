//! How many pods may be evicted at once.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{metadata, selector_labels, workload_name};
use crate::mudgateway::validate::Gateway;

/// One at a time, so that another is there to take over. A single pod has none: it would block the drain of its node.
pub(super) fn disruption_budget(gateway: &Gateway) -> Option<PodDisruptionBudget> {
    (gateway.spec.replicas > 1).then(|| PodDisruptionBudget {
        metadata: metadata(gateway, workload_name(&gateway.key.name)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector {
                match_labels: Some(selector_labels(gateway)),
                ..Default::default()
            }),
            // A pod that is not ready holds nothing worth keeping.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    })
}
