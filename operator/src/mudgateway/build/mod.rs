//! Step three: makes the objects of a gateway. Pure: the same spec gives the same objects, to the byte.

mod config_map;
mod deployment;
mod secret;
mod service;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use mudgateway_crds::mudgateway::SecretRef;
use mudgateway_crds::status::Endpoints;

use super::validate::{Gateway, Keys, MountedKey};
use crate::settings::Settings;

pub use secret::api_key;

/// The entry of the Secret we make that holds the API key.
pub const API_KEY_ENTRY: &str = "token";

/// The selector for everything we make, for the watches.
pub const SELECTOR: &str =
    "app.kubernetes.io/name=mudgateway-gateway,app.kubernetes.io/managed-by=mudgateway-operator";

const WEBSOCKET_PORT: u16 = 8080;
const TCP_PORT: u16 = 8081;
const METRICS_PORT: u16 = 9090;

/// A failure to make them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The gateway's configuration cannot be written as YAML.
    #[error("writing the gateway's configuration: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

/// The objects of one gateway.
#[derive(Clone, Debug)]
pub struct Resources {
    /// The gateway's configuration.
    pub config_map: ConfigMap,
    /// Where the mud connects to.
    pub service: Service,
    /// Labels and owner of the API key we made. Never its data: what an admin put there stays.
    pub api_key: Option<PartialObjectMeta<Secret>>,
    /// The pod.
    pub deployment: Deployment,
}

/// Makes the objects of a gateway whose API keys exist.
///
/// # Errors
/// When its configuration cannot be written.
pub fn resources(gateway: &Gateway, settings: &Settings) -> Result<Resources, Error> {
    let keys = mounted_keys(gateway);
    let config = config_map::config(gateway, keys.len(), settings)?;
    Ok(Resources {
        deployment: deployment::deployment(gateway, &config.read_once, &keys, settings),
        config_map: config_map::config_map(gateway, config.text),
        service: service::service(gateway),
        api_key: secret::api_key_metadata(gateway),
    })
}

/// Where the mud connects to, inside the cluster.
pub fn endpoints(gateway: &Gateway) -> Endpoints {
    let host = format!("{}.{}.svc", gateway.key.name, gateway.key.namespace);
    Endpoints {
        websocket: Some(format!("ws://{host}:{WEBSOCKET_PORT}/ws")),
        tcp: Some(format!("{host}:{TCP_PORT}")),
        ..Endpoints::default()
    }
}

/// The name of the ConfigMap and the Deployment.
pub fn workload_name(name: &str) -> String {
    format!("{name}-gateway")
}

/// The name of the Secret we make when the spec names none.
pub fn api_key_name(name: &str) -> String {
    format!("{name}-api-key")
}

/// The keys to mount. That we made is told apart by its Secret's uid alone: its resourceVersion also moves with
/// its labels, and a restart of the pod costs the mud its router session.
fn mounted_keys(gateway: &Gateway) -> Vec<MountedKey> {
    match &gateway.keys {
        Keys::Given(keys) => keys.clone(),
        Keys::Made { uid } => vec![MountedKey {
            secret: SecretRef { name: api_key_name(&gateway.key.name), key: API_KEY_ENTRY.to_owned() },
            version: uid.clone(),
        }],
        Keys::Missing => Vec::new(),
    }
}

fn metadata(gateway: &Gateway, name: String) -> ObjectMeta {
    ObjectMeta {
        namespace: Some(gateway.key.namespace.clone()),
        name: Some(name),
        labels: Some(labels(gateway)),
        owner_references: Some(vec![gateway.owner.clone()]),
        ..Default::default()
    }
}

fn labels(gateway: &Gateway) -> BTreeMap<String, String> {
    let mut labels = selector_labels(gateway);
    for (name, value) in
        [("component", "gateway"), ("part-of", "mudgateway"), ("managed-by", "mudgateway-operator")]
    {
        labels.insert(format!("app.kubernetes.io/{name}"), value.to_owned());
    }
    labels
}

/// The labels by which Service and Deployment find the pod. A Deployment can never change them.
fn selector_labels(gateway: &Gateway) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("app.kubernetes.io/name".to_owned(), "mudgateway-gateway".to_owned()),
        ("app.kubernetes.io/instance".to_owned(), gateway.key.name.clone()),
    ])
}

#[cfg(test)]
mod tests;
