//! Step four: makes the cluster have the objects. Server-side apply, so that drift in what is ours is put back
//! and what others add stays.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api_error::Plain;
use super::build::Resources;
use super::validate::is_owned;
use crate::context::FIELD_MANAGER;
use crate::key::Key;

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

/// Applies the objects and returns the Deployment as the API server has it now.
///
/// The Deployment comes last: a pod that starts must find what it mounts, in its newest state. The Service
/// comes before it so that its name resolves when the mud looks for the pod.
///
/// # Errors
/// When the API server refuses one; those before it are applied then.
pub async fn apply(client: &Client, namespace: &str, resources: &Resources) -> Result<Deployment, Error> {
    // Without `..`, so that a new object that is not applied does not compile.
    let Resources { config_map, service, api_key, deployment } = resources;
    apply_one(client, namespace, config_map).await?;
    if let Some(metadata) = api_key {
        let name = metadata.name_any();
        let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
        let patched = secrets.patch_metadata(&name, &params(), &Patch::Apply(metadata)).await;
        patched.map_err(|source| failed::<Secret>("applying", &name, source))?;
    }
    apply_one(client, namespace, service).await?;
    apply_one(client, namespace, deployment).await
}

/// Deletes the Deployment, if it exists and is this MudGateway's: another has the mud's name now.
///
/// # Errors
/// When it cannot be deleted.
pub async fn stop(
    client: &Client,
    key: &Key,
    uid: &str,
    deployment: Option<&ObjectMeta>,
) -> Result<(), Error> {
    let Some(found) = deployment.filter(|metadata| is_owned(metadata, uid)) else { return Ok(()) };
    let name = found.name.as_deref().unwrap_or_default();
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: found.uid.clone(), resource_version: None }),
        ..DeleteParams::background()
    };
    let deleted = Api::<Deployment>::namespaced(client.clone(), &key.namespace).delete(name, &params).await;
    match deleted {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other.map(|_| ()).map_err(|source| failed::<Deployment>("deleting", name, source)),
    }
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
