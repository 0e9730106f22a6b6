//! `failover`: the router session moves to another pod, as for maintenance of a node.
//!
//! A pod that ends hands its session over; so with a standby the holder's pod is evicted, which respects the
//! PodDisruptionBudget. A pod that is alone is replaced by a rollout, which starts the new pod first.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, EvictParams, Patch, PatchParams};
use mudgateway_crds::status::ConditionType;
use serde_json::json;

use super::print;
use crate::access::needs;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::forward;
use crate::gateway::{self, Gateway};

/// How long a new pod may take to start and log in.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often the status is looked at.
const POLL: Duration = Duration::from_millis(500);

/// Hands the session over, and waits until another pod has it.
pub(super) async fn run(cluster: &Cluster, name: Option<&str>) -> Result<()> {
    let gateway = gateway::pick(cluster, name).await?;
    let Some(holder) = gateway.status.holder.clone().filter(|_| is_connected(&gateway)) else {
        return Err(Error::Other(format!(
            "MudGateway {} has no router session to hand over; `kubectl mudgw doctor {}` says why",
            gateway.path(),
            gateway.name
        )));
    };
    let pods = forward::pods(&cluster.client, &gateway.namespace, &gateway.selector()).await?;
    let started = Instant::now();
    if has_standby(&pods, &holder) {
        eprintln!("evicting pod {holder}: a standby takes its session over");
        evict(cluster, &gateway.namespace, &holder).await?;
    } else {
        eprintln!(
            "no standby is ready: starting a new pod first, which takes the session over from {holder}"
        );
        roll(cluster, &gateway).await?;
    }
    let now = wait(cluster, &gateway, &holder).await?;
    print(&format!(
        "{} holds the router session of {} now, {:.1} s after the command\n",
        now,
        gateway.path(),
        started.elapsed().as_secs_f64()
    ))
}

fn is_connected(gateway: &Gateway) -> bool {
    gateway.condition(ConditionType::Connected).is_some_and(|(status, ..)| status == "True")
}

fn has_standby(pods: &[Pod], holder: &str) -> bool {
    pods.iter().any(|pod| forward::is_ready(pod) && pod.name_any() != holder)
}

async fn evict(cluster: &Cluster, namespace: &str, pod: &str) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let evicted = api.evict(pod, &EvictParams::default()).await;
    needs::EVICT.check(Some(namespace), &format!("evicting pod {pod}"), evicted)?;
    Ok(())
}

/// As `kubectl rollout restart` does it.
async fn roll(cluster: &Cluster, gateway: &Gateway) -> Result<()> {
    let api: Api<Deployment> = Api::namespaced(cluster.client.clone(), &gateway.namespace);
    let name = format!("{}-gateway", gateway.name);
    let annotations = json!({"kubectl.kubernetes.io/restartedAt": Timestamp::now()});
    let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    let patched = api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await;
    needs::DEPLOYMENT_CHANGE.check(
        Some(&gateway.namespace),
        &format!("restarting Deployment {name}"),
        patched,
    )?;
    Ok(())
}

async fn wait(cluster: &Cluster, gateway: &Gateway, before: &str) -> Result<String> {
    let here = Cluster { client: cluster.client.clone(), namespace: gateway.namespace.clone() };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = gateway::get(&here, &gateway.name).await?;
        if let Some(holder) = now.status.holder.as_deref().filter(|holder| *holder != before)
            && is_connected(&now)
        {
            return Ok(holder.to_owned());
        }
        if Instant::now() > deadline {
            return Err(Error::Other(format!(
                "no other pod has the router session after {} s; `kubectl mudgw doctor {}` says why",
                PATIENCE.as_secs(),
                gateway.name
            )));
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_is_another_pod_that_is_ready() {
        let pod = |name: &str, ready: &str| -> Pod {
            let status = json!({"conditions": [{"type": "Ready", "status": ready}]});
            serde_json::from_value(json!({"metadata": {"name": name}, "status": status})).unwrap()
        };
        assert!(!has_standby(&[pod("a", "True")], "a"));
        assert!(!has_standby(&[pod("a", "True"), pod("b", "False")], "a"));
        assert!(has_standby(&[pod("a", "True"), pod("b", "True")], "a"));
    }
}
