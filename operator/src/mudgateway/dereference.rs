//! Step one: reads what the spec refers to, and what already exists under the names we need. Writes nothing.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use futures::future::try_join_all;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::api::{Api, ObjectMeta};
use kube::{Client, Resource};
use mudgateway_crds::{IntermudNetwork, MudGateway, MudGatewaySpec};
use serde::de::DeserializeOwned;

use super::api_error::Plain;
use super::build::{api_key_name, workload_name};
use crate::key::Key;
use crate::network::{Effective, effective};

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The older MudGateway that has the mud name this one claims.
    pub senior: Option<Key>,
    /// The network that the spec refers to.
    pub network: Option<Arc<IntermudNetwork>>,
    /// The Secret with the login for the proxy.
    pub proxy_login: Option<SecretFacts>,
    /// The ConfigMap of the name we need.
    pub config_map: Option<ObjectMeta>,
    /// The Service of the name we need.
    pub service: Option<ObjectMeta>,
    /// The Deployment of the name we need.
    pub deployment: Option<ObjectMeta>,
    /// The Secret of the name we need if we make the API key.
    pub api_key: Option<SecretFacts>,
    /// The Secrets that the spec refers to, in its order.
    pub keys: Vec<Option<SecretFacts>>,
}

/// What we need to know of a Secret: never what is in it.
#[derive(Clone, Debug, Default)]
pub struct SecretFacts {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// The names of its entries that are not empty.
    pub entries: BTreeSet<String>,
}

/// An object could not be read.
#[derive(Debug, thiserror::Error)]
#[error("reading {kind} {name}: {}", Plain(source))]
pub struct Error {
    kind: String,
    name: String,
    /// What the API server said.
    pub source: kube::Error,
}

/// Reads everything at the same time.
///
/// # Errors
/// When one of the objects cannot be read. One that does not exist is no error here.
pub async fn dereference(
    client: &Client,
    key: &Key,
    gateway: &MudGateway,
    senior: Option<Key>,
    network: Option<Arc<IntermudNetwork>>,
) -> Result<Facts, Error> {
    let namespace = key.namespace.as_str();
    let workload = workload_name(&key.name);
    let given = &gateway.spec.api.keys;
    let ours = async {
        if given.is_empty() { secret(client, namespace, &api_key_name(&key.name)).await } else { Ok(None) }
    };
    let login = async {
        match network_of(&gateway.spec, network.as_deref()).and_then(|network| network.proxy?.secret_ref) {
            Some(login) => secret(client, namespace, &login.name).await,
            None => Ok(None),
        }
    };
    let (config_map, service, deployment, api_key, proxy_login, keys) = tokio::try_join!(
        metadata::<ConfigMap>(client, namespace, &workload),
        metadata::<Service>(client, namespace, &key.name),
        metadata::<Deployment>(client, namespace, &workload),
        ours,
        login,
        try_join_all(given.iter().map(|key| secret(client, namespace, &key.secret_ref.name))),
    )?;
    Ok(Facts { senior, network, proxy_login, config_map, service, deployment, api_key, keys })
}

/// What holds for a mud on the network that it refers to, or on its own; none if it refers to one that was not found.
pub fn network_of(spec: &MudGatewaySpec, found: Option<&IntermudNetwork>) -> Option<Effective> {
    let lost = spec.network_ref.is_some() && found.is_none();
    (!lost).then(|| effective(spec, found.map(|network| &network.spec)))
}

async fn metadata<K>(client: &Client, namespace: &str, name: &str) -> Result<Option<ObjectMeta>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
{
    let found = Api::<K>::namespaced(client.clone(), namespace).get_metadata_opt(name).await;
    found.map(|object| object.map(|object| object.metadata)).map_err(|source| failed::<K>(name, source))
}

async fn secret(client: &Client, namespace: &str, name: &str) -> Result<Option<SecretFacts>, Error> {
    let found = Api::<Secret>::namespaced(client.clone(), namespace).get_opt(name).await;
    found.map(|secret| secret.map(SecretFacts::from)).map_err(|source| failed::<Secret>(name, source))
}

fn failed<K: Resource<DynamicType = ()>>(name: &str, source: kube::Error) -> Error {
    Error { kind: K::kind(&()).into_owned(), name: name.to_owned(), source }
}

impl From<Secret> for SecretFacts {
    fn from(mut secret: Secret) -> Self {
        let metadata = std::mem::take(secret.meta_mut());
        let entries = secret.data.unwrap_or_default();
        Self {
            metadata,
            entries: entries
                .into_iter()
                .filter(|(_, value)| !value.0.is_empty())
                .map(|(name, _)| name)
                .collect(),
        }
    }
}

impl SecretFacts {
    /// What tells one state of the Secret from another.
    pub fn version(&self) -> String {
        format!(
            "{}@{}",
            self.metadata.uid.as_deref().unwrap_or_default(),
            self.metadata.resource_version.as_deref().unwrap_or_default()
        )
    }
}
