//! Gathers the facts, with the rights of the caller. What fails is a fact; only a cluster that cannot be reached is an error.

use std::collections::HashMap;
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease as LeaseObject;
use k8s_openapi::api::core::v1::{Pod, ResourceQuota, Secret};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams};
use kube::{Client, CustomResourceExt, Resource, ResourceExt};
use mudgateway_crds::{MudGateway, api_key};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::facts::{ClusterFacts, Facts, GatewayFacts, KeyFacts, Lease, Operator, Quota, Read};
use crate::access::{Need, needs};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::forward;
use crate::gateway::Gateway;

/// How many MudGateways are looked at at the same time.
const AT_ONCE: usize = 8;

/// How long an endpoint outside the cluster may take to answer.
const CONNECT: Duration = Duration::from_secs(3);

/// How the chart labels its operator, and its NATS.
const OPERATOR: &str = "app.kubernetes.io/component=operator,app.kubernetes.io/part-of=mudgateway";
const NATS: &str = "app.kubernetes.io/component=bus,app.kubernetes.io/part-of=mudgateway";

/// Collects everything about these MudGateways and what they need.
///
/// # Errors
/// When the cluster cannot be reached, or does not accept who we are: then there is nothing to find.
pub async fn collect(cluster: &Cluster, gateways: Vec<Gateway>) -> Result<Facts> {
    let client = &cluster.client;
    let cluster = cluster_facts(client).await?;
    let gateways = stream::iter(gateways)
        .map(|gateway| gateway_facts(client, gateway))
        .buffered(AT_ONCE)
        .collect()
        .await;
    Ok(Facts { now: Timestamp::now(), cluster, gateways })
}

async fn cluster_facts(client: &Client) -> Result<ClusterFacts> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = definitions.get_opt(MudGateway::crd_name()).await;
    let definition = match needs::DEFINITIONS.check(None, "reading the definition", definition) {
        Err(error @ (Error::Unreachable(_) | Error::Unauthorized(_))) => return Err(error),
        other => read(other).map(|found| found.map(|found| json(&found))),
    };
    let (operators, nats) = futures::join!(operators(client), list::<Pod>(client, None, NATS, needs::PODS));
    Ok(ClusterFacts { definition, known_definition: json(&MudGateway::crd()), operators, nats })
}

fn json(value: &impl serde::Serialize) -> Value {
    // A Kubernetes object can always be written.
    serde_json::to_value(value).unwrap_or_default()
}

fn read<T>(result: Result<T>) -> Read<T> {
    result.map_err(|error| error.to_string())
}

async fn list<K>(client: &Client, namespace: Option<&str>, selector: &str, need: Need) -> Read<Vec<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let listed = api.list(&ListParams::default().labels(selector)).await;
    let doing = format!("listing {}", need.resource);
    read(need.check(namespace, &doing, listed)).map(|list| list.items)
}

async fn operators(client: &Client) -> Read<Vec<Operator>> {
    let deployments = list::<Deployment>(client, None, OPERATOR, needs::DEPLOYMENTS).await?;
    Ok(futures::future::join_all(deployments.into_iter().map(|one| operator(client, one))).await)
}

async fn operator(client: &Client, deployment: Deployment) -> Operator {
    let (namespace, name) = (deployment.namespace().unwrap_or_default(), deployment.name_any());
    let labels = deployment.spec.selector.match_labels.clone().unwrap_or_default();
    let selector = labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    // One that may not see pods may not see these either, and the check of the operator says so by itself.
    let pods = forward::pods(client, &namespace, &selector).await.unwrap_or_default();
    let lease = lease(client, &namespace, &name).await;
    let holder = match &lease {
        Some(Ok(lease)) => lease.holder.clone().unwrap_or_default(),
        _ => String::new(),
    };
    let ready = pods.iter().filter(|pod| forward::is_ready(pod));
    let best = ready.min_by_key(|pod| !holder.starts_with(&pod.name_any()));
    let metrics = match best {
        Some(pod) => Some(read(forward::get(client, pod, "metrics", "/metrics").await)),
        None => None,
    };
    Operator {
        version: deployment.labels().get("app.kubernetes.io/version").cloned(),
        wanted: deployment.spec.replicas.unwrap_or(1),
        namespace,
        name,
        pods,
        lease,
        metrics,
    }
}

/// The Lease named like the Deployment.
async fn lease(client: &Client, namespace: &str, name: &str) -> Option<Read<Lease>> {
    let leases = match list::<LeaseObject>(client, Some(namespace), "", needs::LEASES).await {
        Err(error) => return Some(Err(error)),
        Ok(leases) => leases,
    };
    let spec = leases.into_iter().find(|lease| lease.name_any() == name)?.spec?;
    Some(Ok(Lease {
        holder: spec.holder_identity,
        renewed: spec.renew_time.map(|time| time.0),
        seconds: spec.lease_duration_seconds.unwrap_or_default(),
    }))
}

async fn gateway_facts(client: &Client, gateway: Gateway) -> GatewayFacts {
    let namespace = gateway.namespace.as_str();
    let selector = gateway.selector();
    let (pods, key, addresses, quotas, endpoint) = futures::join!(
        list::<Pod>(client, Some(namespace), &selector, needs::PODS),
        key(client, &gateway),
        addresses(client, &gateway),
        quotas(client, namespace),
        endpoint(&gateway),
    );
    let holder = gateway.status.holder.as_deref();
    let ready = pods.iter().flatten().filter(|pod| forward::is_ready(pod));
    let best = ready.min_by_key(|pod| Some(pod.name_any().as_str()) != holder);
    let health = match best {
        // Where the operator counts, nobody else need.
        Some(pod) if gateway.status.clients.is_none() => {
            let health = read(forward::get(client, pod, "metrics", "/health").await);
            Some(health.and_then(|body| serde_json::from_str(&body).map_err(|error| error.to_string())))
        }
        _ => None,
    };
    GatewayFacts { pods, key, addresses, health, quotas, endpoint, gateway }
}

async fn key(client: &Client, gateway: &Gateway) -> Option<Read<KeyFacts>> {
    let place = gateway.key_place()?;
    let api: Api<Secret> = Api::namespaced(client.clone(), &gateway.namespace);
    let found = api.get_opt(&place.name).await;
    let found =
        needs::SECRET.check(Some(&gateway.namespace), &format!("reading Secret {}", place.name), found);
    Some(read(found).map(|secret| {
        let data = secret.as_ref().and_then(|secret| secret.data.as_ref());
        let text = |entry: &str| Some(String::from_utf8_lossy(&data?.get(entry)?.0).into_owned());
        let previous = text(&api_key::previous(&place.key));
        KeyFacts {
            exists: secret.is_some(),
            has_entry: text(&place.key).is_some_and(|text| !text.trim().is_empty()),
            previous_until: previous.and_then(|text| text.lines().nth(1)?.trim().parse().ok()),
            secret: place.name,
            entry: place.key,
        }
    }))
}

/// How many addresses the Service leads to that are ready.
async fn addresses(client: &Client, gateway: &Gateway) -> Read<Option<usize>> {
    let selector = format!("kubernetes.io/service-name={}", gateway.name);
    let slices = list::<EndpointSlice>(client, Some(&gateway.namespace), &selector, needs::SLICES).await?;
    if slices.is_empty() {
        return Ok(None);
    }
    let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let ready = endpoints.filter(|one| one.conditions.as_ref().and_then(|all| all.ready).unwrap_or(true));
    Ok(Some(ready.map(|one| one.addresses.len()).sum()))
}

async fn quotas(client: &Client, namespace: &str) -> Read<Vec<Quota>> {
    let quotas = list::<ResourceQuota>(client, Some(namespace), "", needs::QUOTAS).await?;
    let limits = quotas.into_iter().flat_map(|quota| {
        let name = quota.name_any();
        let status = quota.status.unwrap_or_default();
        let used: HashMap<_, _> = status.used.unwrap_or_default().into_iter().collect();
        let hard = status.hard.unwrap_or_default().into_iter();
        hard.map(move |(resource, hard)| Quota {
            name: name.clone(),
            used: used.get(&resource).map(|used| used.0.clone()).unwrap_or_default(),
            resource,
            hard: hard.0,
        })
    });
    Ok(limits.collect())
}

/// Tries an endpoint that is meant to be reached from outside.
async fn endpoint(gateway: &Gateway) -> Option<Read<()>> {
    let endpoints = gateway.status.endpoints.as_ref()?;
    let address = outside(endpoints.websocket.as_deref()?)?;
    Some(match timeout(CONNECT, TcpStream::connect(&address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no connection within {} s", CONNECT.as_secs())),
    })
}

/// Host and port of a URL; none when it is a name inside the cluster.
fn outside(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next().filter(|authority| !authority.is_empty())?;
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    if host.ends_with(".svc") || host.contains(".svc.") {
        return None;
    }
    let default = if scheme == "wss" { 443 } else { 80 };
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Some(if has_port { authority.to_owned() } else { format!("{authority}:{default}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_reachable_from_outside_is_tried() {
        let cases = [
            ("ws://dawn.tenant-a.svc:8080/ws", None),
            ("ws://dawn.tenant-a.svc.cluster.local:8080/ws", None),
            ("wss://dawn.muds.example/ws", Some("dawn.muds.example:443")),
            ("ws://192.0.2.7:30080/ws", Some("192.0.2.7:30080")),
            ("ws://[2001:db8::1]/ws", Some("[2001:db8::1]:80")),
            ("ws://[2001:db8::1]:81/ws", Some("[2001:db8::1]:81")),
            ("ws:///ws", None),
            ("", None),
        ];
        for (url, expected) in cases {
            assert_eq!(outside(url).as_deref(), expected, "{url}");
        }
    }
}
