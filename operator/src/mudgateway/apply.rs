//! Step four: makes the cluster have the objects. Server-side apply, so that drift in what is ours is put back
//! and what others add stays; and nothing is written where nothing has changed.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::DynamicObject;
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::api_error::{Plain, is_missing_kind};
use super::build::Resources;
use super::children::{Child, Kind};
use super::drift::{self, is_applied, is_applied_metadata};
use super::gateway_api::RouteState;
use super::own_secrets::{OwnSecret, OwnSecrets};
use crate::context::{Context, FIELD_MANAGER};

const SECRET: &str = "Secret";

/// An object could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{action} {kind} {name}: {}", Plain(source))]
pub struct Error {
    action: &'static str,
    kind: &'static str,
    name: String,
    /// What the API server said.
    pub source: kube::Error,
}

/// How this operator applies.
pub fn params() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

/// Creates the Secret with the API key and returns it. Created, not applied: an API key that exists is never overwritten.
///
/// # Errors
/// When it cannot be created, or exists by now.
pub async fn create_api_key(
    secrets: &OwnSecrets,
    namespace: &str,
    secret: &Secret,
) -> Result<OwnSecret, Error> {
    let created = secrets.create(namespace, secret).await;
    created.map_err(|source| failed("creating", SECRET, &secret.name_any(), source))
}

/// Applies what we keep in shape of that Secret, unless it is as it should be.
///
/// # Errors
/// When the API server refuses, as it does when the Secret is gone.
pub async fn api_key(
    secrets: &OwnSecrets,
    namespace: &str,
    kept: &Secret,
    existing: &OwnSecret,
) -> Result<(), Error> {
    let metadata = serde_json::json!({"metadata": kept.metadata});
    let mut entries = kept.data.iter().flatten();
    let is_there = is_applied_metadata(&metadata, &existing.metadata)
        && entries.all(|(name, text)| existing.data.get(name) == Some(text));
    if is_there { Ok(()) } else { secret(secrets, namespace, kept).await }
}

/// What the API server has now, as far as it tells us anything.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The pods.
    pub deployment: Deployment,
    /// Where the mud connects to.
    pub service: Service,
    /// What became of the Ingress and the routes.
    pub routes: Vec<(Kind, RouteOutcome)>,
}

/// What became of an Ingress or a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteOutcome {
    /// It is there, and this is what its Gateway says.
    Applied(RouteState),
    /// The cluster does not know the kind.
    KindMissing,
}

/// What exists already, to which nothing is done where it is as it should be.
#[derive(Clone, Copy, Debug)]
pub struct Existing<'a> {
    /// Our objects.
    pub found: &'a BTreeMap<Kind, Child>,
    /// The Secret with the login for NATS.
    pub nats_login: Option<&'a OwnSecret>,
}

/// Applies the objects that are not as they should be, and returns what the API server has now.
///
/// The Deployment comes last: a pod that starts must find what it mounts, in its newest state, and be fenced in. The
/// Service comes before it so that its name resolves when the mud looks for the pod.
///
/// # Errors
/// When the API server refuses one; those before it are applied then.
pub async fn apply(
    context: &Context,
    namespace: &str,
    resources: &Resources,
    existing: Existing<'_>,
) -> Result<Applied, Error> {
    // Without `..`, so that a new object that is not applied does not compile.
    let Resources {
        config_map,
        service,
        network_policy,
        disruption_budget,
        ingress,
        routes,
        nats_login,
        deployment,
    } = resources;
    let to = Applier { client: &context.client, namespace, found: existing.found };
    to.child(Kind::NetworkPolicy, network_policy).await?;
    to.child(Kind::ConfigMap, config_map).await?;
    if let Some(login) = nats_login.as_ref().filter(|login| !is_there(login, existing.nats_login)) {
        secret(&context.secrets, namespace, login).await?;
    }
    let service = to.child(Kind::Service, service).await?;
    let mut outcomes = Vec::with_capacity(routes.len() + 1);
    if let Some(ingress) = ingress {
        outcomes.push((Kind::Ingress, to.ingress(ingress).await?));
    }
    for (kind, route) in routes {
        outcomes.push((*kind, to.route(*kind, route).await?));
    }
    if let Some(budget) = disruption_budget {
        to.child(Kind::PodDisruptionBudget, budget).await?;
    }
    let deployment = to.child(Kind::Deployment, deployment).await?;
    let (deployment, service) = (typed(Kind::Deployment, deployment)?, typed(Kind::Service, service)?);
    Ok(Applied { deployment, service, routes: outcomes })
}

/// Applies a Secret.
///
/// # Errors
/// When the API server refuses.
pub async fn secret(secrets: &OwnSecrets, namespace: &str, secret: &Secret) -> Result<(), Error> {
    let applied = secrets.apply(namespace, secret).await;
    applied.map_err(|source| failed("applying", SECRET, &secret.name_any(), source))
}

/// Whether a Secret is there as it should be. By what is in it, of which not even a hash is to be seen.
fn is_there(wanted: &Secret, existing: Option<&OwnSecret>) -> bool {
    let metadata = serde_json::json!({"metadata": wanted.metadata});
    existing.is_some_and(|existing| {
        is_applied_metadata(&metadata, &existing.metadata) && wanted.data.as_ref() == Some(&existing.data)
    })
}

struct Applier<'a> {
    client: &'a Client,
    namespace: &'a str,
    found: &'a BTreeMap<Kind, Child>,
}

impl Applier<'_> {
    /// Applies an object, unless it is there as it should be. Returns what there is then.
    async fn child(&self, kind: Kind, object: &impl Serialize) -> Result<Child, Error> {
        let sealed = sealed(kind.as_str(), object)?;
        if let Some(found) = self.found.get(&kind)
            && found.mark.as_ref().is_some_and(|mark| is_applied(&sealed, mark))
        {
            return Ok(found.clone());
        }
        let name = name_of(&sealed);
        let api: Api<Child> = Api::namespaced_with(self.client.clone(), self.namespace, &kind.resource());
        let applied = api.patch(name, &params(), &Patch::Apply(&sealed)).await;
        applied.map_err(|source| failed("applying", kind.as_str(), name, source))
    }

    async fn route(&self, kind: Kind, route: &DynamicObject) -> Result<RouteOutcome, Error> {
        match self.child(kind, route).await {
            Ok(there) => {
                let said = there.read().map_err(|error| unreadable(kind, &there, error))?;
                Ok(RouteOutcome::Applied(RouteState::read(&said, there.metadata.generation)))
            }
            Err(Error { source, .. }) if is_missing_kind(&source) => Ok(RouteOutcome::KindMissing),
            Err(error) => Err(error),
        }
    }

    async fn ingress(&self, ingress: &Ingress) -> Result<RouteOutcome, Error> {
        let there = self.child(Kind::Ingress, ingress).await?;
        let there: Ingress = typed(Kind::Ingress, there)?;
        let addresses = there.status.and_then(|status| status.load_balancer?.ingress);
        let state = if addresses.is_some_and(|addresses| !addresses.is_empty()) {
            RouteState::Accepted
        } else {
            RouteState::Pending
        };
        Ok(RouteOutcome::Applied(state))
    }
}

fn sealed(kind: &'static str, object: &impl Serialize) -> Result<Value, Error> {
    drift::sealed(object).map_err(|error| failed("writing", kind, "", kube::Error::SerdeError(error)))
}

fn name_of(sealed: &Value) -> &str {
    sealed["metadata"]["name"].as_str().unwrap_or_default()
}

/// What is kept of an object, in its type.
fn typed<K: Resource + DeserializeOwned>(kind: Kind, child: Child) -> Result<K, Error> {
    let mut object: K = child.read().map_err(|error| unreadable(kind, &child, error))?;
    *object.meta_mut() = child.metadata;
    Ok(object)
}

fn unreadable(kind: Kind, child: &Child, error: serde_json::Error) -> Error {
    failed("reading", kind.as_str(), &child.name_any(), kube::Error::SerdeError(error))
}

/// Deletes what is this MudGateway's and of a kind that is not wanted.
///
/// # Errors
/// When one cannot be deleted.
pub async fn prune(
    client: &Client,
    namespace: &str,
    uid: &str,
    found: &BTreeMap<Kind, Child>,
    is_wanted: impl Fn(Kind) -> bool,
) -> Result<(), Error> {
    let unwanted = found.iter().filter(|(kind, child)| !is_wanted(**kind) && child.is_owned(uid));
    for (kind, child) in unwanted {
        let name = child.name_any();
        // That one and no other which may have its name by now.
        let preconditions = Preconditions { uid: child.uid(), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        let api: Api<Child> = Api::namespaced_with(client.clone(), namespace, &kind.resource());
        match api.delete(&name, &params).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(source) => return Err(failed("deleting", kind.as_str(), &name, source)),
            Ok(_) => {}
        }
    }
    Ok(())
}

fn failed(action: &'static str, kind: &'static str, name: &str, source: kube::Error) -> Error {
    Error { action, kind, name: name.to_owned(), source }
}
