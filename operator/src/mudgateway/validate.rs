//! Step two: decides whether a spec can be carried out. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use mudgateway_crds::mudgateway::{ApiTls, Expose, SecretRef};
use mudgateway_crds::{MudGateway, MudGatewaySpec};

use super::build::{
    API_KEY_ENTRY, INSTANCE_LABEL, MANAGER_LABEL, METRICS_PORT, TCP_PORT, WEBSOCKET_PORT, api_key_name,
    kinds, nats_login_name, router_password_name,
};
use super::dereference::{Facts, network_of};
use super::endpoint::Endpoint;
use super::gateway_api::Edge;
use super::lacks::{Lacks, lacks};
use super::rejection::Rejection;
use crate::access::GatewayFiles;
use crate::key::Key;
use crate::network::Effective;
use crate::settings::Settings;

/// The entries of a Secret with the login for a proxy.
pub const PROXY_LOGIN: [&str; 2] = ["username", "password"];

/// A MudGateway that can be carried out.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Its namespace and name.
    pub key: Key,
    /// The reference by which its objects are deleted with it.
    pub owner: OwnerReference,
    /// What is asked for.
    pub spec: MudGatewaySpec,
    /// The network as the mud is on it.
    pub network: Effective,
    /// The API keys.
    pub keys: Keys,
    /// The Gateway that leads to it.
    pub edge: Edge,
    /// A way in that was asked for, and the older MudGateway that has it: the spec asks for none then.
    pub taken: Option<(Endpoint, Key)>,
    /// What the spec names, is not there, and stops nothing.
    pub lacks: Lacks,
    /// The files by which it logs in to NATS; to be filled in.
    pub nats: GatewayFiles,
}

/// Where the API keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// In Secrets that the spec names.
    Given,
    /// In the Secret of this uid, which we made before.
    Made {
        /// The uid of the Secret.
        uid: String,
    },
    /// In a Secret that we have yet to make.
    Missing,
}

/// Decides whether `gateway` can be carried out, given what was found.
///
/// # Errors
/// The first reason why it cannot.
pub fn validate(
    key: &Key,
    gateway: &MudGateway,
    facts: &Facts,
    settings: &Settings,
) -> Result<Gateway, Rejection> {
    let owner = gateway.controller_owner_ref(&()).ok_or(Rejection::InvalidSpec("the object has no uid"))?;
    check_spec(&gateway.spec)?;
    check_name(&gateway.spec, facts)?;
    check_image(&gateway.spec, settings)?;
    check_ownership(key, gateway, &owner.uid, facts)?;
    if let Some(tls) = &gateway.spec.api.tls {
        check_tls(tls, facts)?;
    }
    let network = network(&gateway.spec, facts)?;
    let keys = keys(&key.name, &gateway.spec, facts)?;
    let (edge, taken, lacks) = (facts.edge.clone(), facts.taken.clone(), lacks(&gateway.spec, facts));
    let mut spec = gateway.spec.clone();
    if taken.is_some() {
        spec.expose = Expose::default();
    }
    let (key, nats) = (key.clone(), GatewayFiles::default());
    Ok(Gateway { key, owner, spec, network, keys, edge, taken, lacks, nats })
}

/// The network, if it is there, and what its proxy asks for.
fn network(spec: &MudGatewaySpec, facts: &Facts) -> Result<Effective, Rejection> {
    let network = network_of(spec, facts.network.as_deref());
    let network = network.ok_or_else(|| Rejection::NetworkNotFound(spec.network().to_owned()))?;
    let login = network.proxy.as_ref().and_then(|proxy| proxy.secret_ref.as_ref());
    let complete = |secret: &str| PROXY_LOGIN.iter().all(|entry| facts.has(secret, entry));
    match login {
        Some(login) if !complete(&login.name) => Err(Rejection::ProxyLoginNotFound(login.name.clone())),
        _ => Ok(network),
    }
}

/// What would do harm if the schema in the cluster let it through.
fn check_spec(spec: &MudGatewaySpec) -> Result<(), Rejection> {
    let own_ports = [WEBSOCKET_PORT, TCP_PORT, METRICS_PORT].map(i32::from);
    let checks = [
        (
            spec.network_ref.is_some() == spec.routers.is_empty(),
            "give either spec.networkRef or spec.routers",
        ),
        ((0..=3).contains(&spec.replicas), "spec.replicas is not 0 to 3"),
        (!spec.mud.name.is_empty(), "spec.mud.name is empty"),
        (!spec.mud.name.chars().any(char::is_control), "spec.mud.name has control characters"),
        (
            !spec.oob.as_ref().is_some_and(|oob| own_ports.contains(&oob.port)),
            "spec.oob.port is a port of the gateway itself",
        ),
    ];
    match checks.into_iter().find(|(good, _)| !good) {
        Some((_, problem)) => Err(Rejection::InvalidSpec(problem)),
        None => Ok(()),
    }
}

fn check_name(spec: &MudGatewaySpec, facts: &Facts) -> Result<(), Rejection> {
    match &facts.senior {
        Some(holder) => Err(Rejection::NameConflict {
            mud: spec.mud.name.clone(),
            network: spec.network().to_owned(),
            holder: holder.clone(),
        }),
        None => Ok(()),
    }
}

/// Whoever chooses the image can read the Secrets that are mounted, so only known images are run.
fn check_image(spec: &MudGatewaySpec, settings: &Settings) -> Result<(), Rejection> {
    match &spec.image {
        Some(image) if !settings.allows_image(image) => Err(Rejection::ImageNotAllowed(image.clone())),
        _ => Ok(()),
    }
}

/// Server-side apply would take over an object of someone else, such as the Service of the mud itself.
fn check_ownership(key: &Key, gateway: &MudGateway, uid: &str, facts: &Facts) -> Result<(), Rejection> {
    for kind in kinds(&gateway.spec) {
        if facts.found.get(&kind).is_some_and(|child| !child.is_owned(uid)) {
            return Err(Rejection::ObjectExists { kind: kind.as_str(), name: kind.name_for(&key.name) });
        }
    }
    let secrets = [
        (facts.api_key.as_ref().map(|secret| &secret.metadata), api_key_name(&key.name)),
        (facts.nats_login.as_ref().map(|secret| &secret.metadata), nats_login_name(&key.name)),
    ];
    // One that came back from a backup has no owner yet.
    let is_theirs = |metadata: &ObjectMeta| {
        let orphan = metadata.owner_references.iter().flatten().next().is_none();
        !(is_owned(metadata, uid) || orphan && is_made_for(metadata, &key.name))
    };
    let others = secrets.into_iter().find(|(found, _)| found.is_some_and(is_theirs));
    // It has no owner where it is to outlive the MudGateway.
    let mirror = facts.router_password.as_ref().filter(|mirror| !is_made_for(&mirror.metadata, &key.name));
    match others.map(|(_, name)| name).or(mirror.map(|_| router_password_name(&key.name))) {
        Some(name) => Err(Rejection::ObjectExists { kind: "Secret", name }),
        None => Ok(()),
    }
}

/// Whether an object was made for the MudGateway of this name, this one or an earlier one.
fn is_made_for(metadata: &ObjectMeta, name: &str) -> bool {
    let label = |label: &str| metadata.labels.as_ref()?.get(label).map(String::as_str);
    label(MANAGER_LABEL.0) == Some(MANAGER_LABEL.1) && label(INSTANCE_LABEL) == Some(name)
}

/// Whether an object belongs to the MudGateway of this uid.
pub fn is_owned(metadata: &ObjectMeta, uid: &str) -> bool {
    metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid)
}

fn check_tls(tls: &ApiTls, facts: &Facts) -> Result<(), Rejection> {
    let ca = tls.require_client_certificate.then_some("ca.crt");
    ["tls.crt", "tls.key"]
        .into_iter()
        .chain(ca)
        .try_for_each(|entry| check_entry(facts, &tls.secret_name, entry, "spec.api.tls"))
}

fn check_entry(facts: &Facts, name: &str, entry: &str, field: &'static str) -> Result<(), Rejection> {
    if facts.has(name, entry) {
        return Ok(());
    }
    Err(Rejection::SecretNotFound { name: name.to_owned(), entry: entry.to_owned(), field })
}

fn keys(name: &str, spec: &MudGatewaySpec, facts: &Facts) -> Result<Keys, Rejection> {
    if !spec.api.keys.is_empty() {
        for SecretRef { name, key } in spec.api.keys.iter().map(|key| &key.secret_ref) {
            check_entry(facts, name, key, "spec.api.keys")?;
        }
        return Ok(Keys::Given);
    }
    match &facts.api_key {
        None => Ok(Keys::Missing),
        Some(secret) if secret.data.get(API_KEY_ENTRY).is_some_and(|key| !key.0.is_empty()) => {
            Ok(Keys::Made { uid: secret.metadata.uid.clone().unwrap_or_default() })
        }
        Some(_) => Err(Rejection::ApiKeyLost(api_key_name(name))),
    }
}

#[cfg(test)]
mod tests;
