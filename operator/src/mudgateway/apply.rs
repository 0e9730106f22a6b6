//! Step four: makes the cluster have the objects. Server-side apply, so that drift in what is ours is put back
//! and what others add stays.

use std::collections::BTreeMap;
use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::DynamicObject;
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api_error::{Plain, is_missing_kind};
use super::build::Resources;
use super::children::Kind;
use super::gateway_api::RouteState;
use super::validate::is_owned;
use crate::context::FIELD_MANAGER;

/// An object could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{action} {kind} {name}: {}", Plain(source))]
pub struct Error {
    action: &'static str,
    kind: String,
    name: String,
    /// What the API server said.
    pub source: kube::Error,
}

/// How this operator applies.
pub fn params() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

/// Creates the Secret with the API key and returns its uid. Created, not applied: an API key that exists is
/// never overwritten.
///
/// # Errors
/// When it cannot be created, or exists by now.
pub async fn create_api_key(client: &Client, namespace: &str, secret: &Secret) -> Result<String, Error> {
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..Default::default() };
    let created = Api::<Secret>::namespaced(client.clone(), namespace).create(&params, secret).await;
    let created = created.map_err(|source| failed::<Secret>("creating", &secret.name_any(), source))?;
    Ok(created.uid().unwrap_or_default())
}

/// What the API server has now, as far as it tells us anything.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The pods.
    pub deployment: Deployment,
    /// Where the mud connects to.
    pub service: Service,
    /// What became of the routes.
    pub routes: Vec<(Kind, RouteOutcome)>,
}

/// What became of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteOutcome {
    /// It is there, and this is what its Gateway says.
    Applied(RouteState),
    /// The cluster does not know the kind.
    KindMissing,
}

/// Applies the objects and returns what the API server has now.
///
/// The Deployment comes last: a pod that starts must find what it mounts, in its newest state, and be fenced in. The
/// Service comes before it so that its name resolves when the mud looks for the pod.
///
/// # Errors
/// When the API server refuses one; those before it are applied then.
pub async fn apply(client: &Client, namespace: &str, resources: &Resources) -> Result<Applied, Error> {
    // Without `..`, so that a new object that is not applied does not compile.
    let Resources {
        config_map,
        service,
        network_policy,
        disruption_budget,
        ingress,
        routes,
        api_key,
        nats_login,
        deployment,
    } = resources;
    apply_one(client, namespace, network_policy).await?;
    apply_one(client, namespace, config_map).await?;
    if let Some(metadata) = api_key {
        let name = metadata.name_any();
        let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
        let patched = secrets.patch_metadata(&name, &params(), &Patch::Apply(metadata)).await;
        patched.map_err(|source| failed::<Secret>("applying", &name, source))?;
    }
    if let Some(secret) = nats_login {
        apply_one(client, namespace, secret).await?;
    }
    let service = apply_one(client, namespace, service).await?;
    if let Some(ingress) = ingress {
        apply_one(client, namespace, ingress).await?;
    }
    let mut outcomes = Vec::with_capacity(routes.len());
    for (kind, route) in routes {
        outcomes.push((*kind, apply_route(client, namespace, *kind, route).await?));
    }
    if let Some(budget) = disruption_budget {
        apply_one(client, namespace, budget).await?;
    }
    let deployment = apply_one(client, namespace, deployment).await?;
    Ok(Applied { deployment, service, routes: outcomes })
}

async fn apply_route(
    client: &Client,
    namespace: &str,
    kind: Kind,
    route: &DynamicObject,
) -> Result<RouteOutcome, Error> {
    let name = route.name_any();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind.resource());
    match api.patch(&name, &params(), &Patch::Apply(route)).await {
        Ok(applied) => {
            Ok(RouteOutcome::Applied(RouteState::read(&applied.data, applied.metadata.generation)))
        }
        Err(error) if is_missing_kind(&error) => Ok(RouteOutcome::KindMissing),
        Err(source) => Err(Error { action: "applying", kind: kind.as_str().to_owned(), name, source }),
    }
}

/// Deletes what is this MudGateway's and of a kind that is not wanted.
///
/// # Errors
/// When one cannot be deleted.
pub async fn prune(
    client: &Client,
    namespace: &str,
    uid: &str,
    found: &BTreeMap<Kind, ObjectMeta>,
    is_wanted: impl Fn(Kind) -> bool,
) -> Result<(), Error> {
    let unwanted = found.iter().filter(|(kind, metadata)| !is_wanted(**kind) && is_owned(metadata, uid));
    for (kind, metadata) in unwanted {
        let name = metadata.name.clone().unwrap_or_default();
        // That one and no other which may have its name by now.
        let preconditions = Preconditions { uid: metadata.uid.clone(), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind.resource());
        match api.delete(&name, &params).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(source) => {
                return Err(Error { action: "deleting", kind: kind.as_str().to_owned(), name, source });
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

async fn apply_one<K>(client: &Client, namespace: &str, object: &K) -> Result<K, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Serialize
        + Clone
        + DeserializeOwned
        + Debug,
{
    let name = object.name_any();
    let applied =
        Api::<K>::namespaced(client.clone(), namespace).patch(&name, &params(), &Patch::Apply(object)).await;
    applied.map_err(|source| failed::<K>("applying", &name, source))
}

fn failed<K: Resource<DynamicType = ()>>(action: &'static str, name: &str, source: kube::Error) -> Error {
    Error { action, kind: K::kind(&()).into_owned(), name: name.to_owned(), source }
}
