//! The checks of one MudGateway.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use mudgateway_crds::status::ConditionType;
use serde_json::Value;

use super::facts::{GatewayFacts, KeyFacts, Quota, Read};
use super::finding::{Check, Finding, Level};
use super::pod::problem;
use super::remedy;
use crate::forward;
use crate::gateway::Gateway;
use crate::table::{age, harmless};

/// How long an operator may take to look at a change.
const LOOKED_AT_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// All checks of one MudGateway.
pub fn check(facts: &GatewayFacts, now: Timestamp) -> Vec<Finding> {
    let path = facts.gateway.path();
    let named = |name: &'static str| Check { subject: &path, name };
    let gateway = &facts.gateway;
    let mut findings = vec![accepted(gateway, now, named("accepted"))];
    findings.extend(key(facts.key.as_ref(), gateway, now, named("key")));
    findings.extend(quotas(&facts.quotas, named("quota")));
    if gateway.replicas == 0 {
        findings.push(named("pods").warning(
            "spec.replicas is 0: the mud is off the network",
            format!("kubectl scale mudgateway {} -n {} --replicas=1", gateway.name, gateway.namespace),
        ));
        return findings;
    }
    findings.push(programmed(gateway, named("programmed")));
    findings.extend(pods(&facts.pods, gateway, named("pods")));
    findings.push(connected(gateway, named("router")));
    findings.push(endpoint(facts, named("endpoint")));
    findings.extend(clients(facts, named("clients")));
    findings.retain(|finding| !finding.message.is_empty());
    findings
}

/// Can the spec be carried out, and has the operator looked at it?
fn accepted(gateway: &Gateway, now: Timestamp, check: Check<'_>) -> Finding {
    let is_new = gateway.created.is_some_and(|created| now.duration_since(created) < LOOKED_AT_WITHIN);
    let Some((status, reason, message)) = gateway.condition(ConditionType::Accepted) else {
        if is_new {
            return check.ok("just created: the operator has not looked at it yet");
        }
        return check.wrong(
            "no operator has looked at it",
            "see that the operator runs (checks of the cluster above) and watches this namespace (watchNamespaces)",
        );
    };
    if gateway.status.observed_generation < gateway.generation {
        return check.warning(
            "the operator has not looked at the last change of the spec",
            "in a moment it should have; if not, see the checks of the operator above",
        );
    }
    // Remedies quote it.
    let message = harmless(message);
    let (text, remedy) = (format!("{reason}: {message}"), remedy::of(reason, &message, gateway));
    match (status, reason) {
        ("True", "KeyExpiring" | "KeyExpired") => check.warning(text, remedy),
        ("True", _) => check.ok("the spec can be carried out"),
        _ => check.wrong(text, remedy),
    }
}

/// Do the objects exist?
fn programmed(gateway: &Gateway, check: Check<'_>) -> Finding {
    let Some((status, reason, message)) = gateway.condition(ConditionType::Programmed) else {
        // Said by the check of the spec.
        return check.ok("");
    };
    if status == "True" {
        return check.ok("its objects exist");
    }
    not_so(gateway, reason, message, check)
}

/// A condition that does not hold: wrong, or only a moment that passes.
fn not_so(gateway: &Gateway, reason: &str, message: &str, check: Check<'_>) -> Finding {
    let message = harmless(message);
    let remedy = match gateway.condition(ConditionType::Accepted) {
        Some(("False", cause, _)) if cause == reason => "see what is said of the spec above".to_owned(),
        _ => remedy::of(reason, &message, gateway),
    };
    let text = format!("{reason}: {message}");
    if remedy::passes(reason) { check.warning(text, remedy) } else { check.wrong(text, remedy) }
}

/// Do the pods run?
fn pods(pods: &Read<Vec<Pod>>, gateway: &Gateway, check: Check<'_>) -> Vec<Finding> {
    let pods = match pods {
        Err(error) => return vec![check.unknown(error)],
        Ok(pods) => pods,
    };
    let ready = pods.iter().filter(|pod| forward::is_ready(pod)).count();
    let wanted = usize::try_from(gateway.replicas).unwrap_or_default();
    let mut findings: Vec<Finding> = pods
        .iter()
        .filter(|pod| !forward::is_ready(pod))
        .filter_map(|pod| problem(pod).map(|problem| (pod, problem)))
        .map(|(pod, problem)| {
            check.wrong(format!("pod {}: {}", pod.name_any(), harmless(&problem.message)), problem.remedy)
        })
        .collect();
    if ready >= wanted {
        findings.push(check.ok(format!("{ready} of {wanted} pods ready")));
    } else if ready > 0 {
        findings.push(check.warning(
            format!("{ready} of {wanted} pods ready: the mud is served, but a standby is missing"),
            format!("see: kubectl get pods -n {} -l {}", gateway.namespace, gateway.selector()),
        ));
    } else if findings.is_empty() {
        let what = if pods.is_empty() { "there is no pod" } else { "no pod is ready" };
        findings.push(check.wrong(
            what,
            format!("see: kubectl describe deployment {}-gateway -n {}", gateway.name, gateway.namespace),
        ));
    }
    findings
}

/// Is the mud on the network?
fn connected(gateway: &Gateway, check: Check<'_>) -> Finding {
    let Some((status, reason, message)) = gateway.condition(ConditionType::Connected) else {
        return check.ok("");
    };
    if status == "True" {
        let router = gateway.status.router.as_ref().map_or("its router", |router| router.name.as_str());
        return check.ok(format!("the mud is connected to {router}"));
    }
    not_so(gateway, reason, message, check)
}

/// Is the API key there?
fn key(
    facts: Option<&Read<KeyFacts>>,
    gateway: &Gateway,
    now: Timestamp,
    check: Check<'_>,
) -> Option<Finding> {
    let KeyFacts { secret, entry, exists, has_entry, previous_until } = match facts? {
        Err(error) => return Some(check.unknown(error)),
        Ok(facts) => facts,
    };
    let namespace = &gateway.namespace;
    let is_made = gateway.status.api_key_secret.is_some();
    if !exists || !has_entry {
        let what = if *exists {
            format!("Secret {secret} has no entry {entry}")
        } else {
            format!("Secret {secret} is gone")
        };
        let remedy = if is_made {
            format!(
                "bring it back from a backup; or delete it, and the operator makes a new key, which the mud must be given: kubectl delete secret {secret} -n {namespace} --ignore-not-found"
            )
        } else {
            format!("kubectl create secret generic {secret} -n {namespace} --from-literal={entry}=KEY")
        };
        return Some(check.wrong(format!("{what}, which holds the API key"), remedy));
    }
    Some(match previous_until.filter(|until| *until > now) {
        Some(until) => check.ok(format!(
            "the key is in Secret {secret}, entry {entry}; the key before it works for another {}",
            age(now, until)
        )),
        None => check.ok(format!("the key is in Secret {secret}, entry {entry}")),
    })
}

/// Does the endpoint lead to a pod?
fn endpoint(facts: &GatewayFacts, check: Check<'_>) -> Finding {
    let gateway = &facts.gateway;
    let endpoints = gateway.status.endpoints.as_ref();
    let Some(place) = endpoints.and_then(|one| one.websocket.as_ref().or(one.tcp.as_ref())) else {
        return check.ok("");
    };
    let (name, namespace) = (&gateway.name, &gateway.namespace);
    match &facts.addresses {
        Err(error) => return check.unknown(error),
        Ok(None) => {
            let remedy =
                "the operator puts it back within seconds; if not, see the checks of the operator above";
            return check.wrong(format!("Service {name} does not exist"), remedy);
        }
        Ok(Some(0)) => {
            let remedy = format!(
                "a pod must be ready; if one is, see its labels: kubectl get endpointslices -n {namespace} -l kubernetes.io/service-name={name}"
            );
            return check.wrong(format!("{place} leads to no pod"), remedy);
        }
        Ok(Some(_)) => {}
    }
    match &facts.endpoint {
        Some(Err(error)) => check.warning(
            format!("{place} does not answer from this machine: {error}"),
            "check the name's DNS entry, the load balancer or Gateway, and firewalls; from inside the cluster it may well answer",
        ),
        _ => check.ok(format!("{place} leads to a pod")),
    }
}

/// Does the mud use its gateway?
fn clients(facts: &GatewayFacts, check: Check<'_>) -> Option<Finding> {
    let gateway = &facts.gateway;
    let from_pod = |health: &Value| health["active_sessions"].as_i64();
    let count = match (gateway.status.clients, &facts.health) {
        (Some(count), _) => i64::from(count),
        (None, None) => return None,
        (None, Some(Err(error))) => return Some(check.unknown(error)),
        (None, Some(Ok(health))) => from_pod(health)?,
    };
    if count > 0 {
        return Some(check.ok(format!("{count} connected")));
    }
    let endpoints = gateway.status.endpoints.iter().flat_map(|one| [&one.websocket, &one.tcp]);
    let endpoints: Vec<_> = endpoints.flatten().map(String::as_str).collect();
    let place = if endpoints.is_empty() { String::new() } else { format!(" {}", endpoints.join(" or ")) };
    let key = gateway
        .key_place()
        .map_or_else(String::new, |place| format!(" and the key of Secret {}", place.name));
    Some(check.warning(
        "no client is connected: the mud does not hear what is said",
        format!("see that the mud runs, and that it is configured with{place}{key}"),
    ))
}

/// Is a quota used up?
fn quotas(quotas: &Read<Vec<Quota>>, check: Check<'_>) -> Vec<Finding> {
    let quotas = match quotas {
        Err(error) => return vec![check.unknown(error)],
        Ok(quotas) => quotas,
    };
    let full = quotas.iter().filter(|quota| quota.hard == quota.used && quota.hard != "0");
    full.map(|Quota { name, resource, hard, .. }| {
        check.warning(
            format!("ResourceQuota {name}: {resource} is used up ({hard})"),
            "what runs runs on; for more, or for a rollout, which needs one pod more for a moment, raise it",
        )
    })
    .collect()
}

/// The worst of some findings.
pub fn worst(findings: &[Finding]) -> Level {
    findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
}

#[cfg(test)]
mod tests;
