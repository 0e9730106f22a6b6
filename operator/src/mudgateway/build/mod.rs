//! Step three: makes the objects of a gateway. Pure: the same spec gives the same objects, to the byte.

mod config_map;
mod deployment;
mod disruption_budget;
mod exposed;
mod network_policy;
mod secret;
mod service;
mod snippet;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicObject;
use mudgateway_crds::MudGatewaySpec;
use mudgateway_crds::mudgateway::SecretRef;

use super::children::Kind;
use super::validate::{Gateway, Keys};
use crate::settings::Settings;

pub use secret::{api_key, kept_of_api_key};

/// The entry of the Secret we make that holds the API key.
pub const API_KEY_ENTRY: &str = "token";
/// Its entry that says how clients use it.
pub const SNIPPET_ENTRY: &str = "snippet";

/// How the names of our Secrets end, behind that of their MudGateway.
const API_KEY_SUFFIX: &str = "-api-key";
const NATS_LOGIN_SUFFIX: &str = "-gateway-nats";
const ROUTER_PASSWORD_SUFFIX: &str = "-router-password";

/// The label that names the MudGateway of everything we make.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";

/// The label that says who made it, and that it was us.
pub const MANAGER_LABEL: (&str, &str) = ("app.kubernetes.io/managed-by", "mudgateway-operator");

/// The selector for everything we make, for the watches.
pub const SELECTOR: &str =
    "app.kubernetes.io/name=mudgateway-gateway,app.kubernetes.io/managed-by=mudgateway-operator";

/// Where WebSocket is served.
pub const WEBSOCKET_PORT: u16 = 8080;
/// Its path.
pub const WEBSOCKET_PATH: &str = "/ws";
/// Where lines over TCP are served.
pub const TCP_PORT: u16 = 8081;
/// Where metrics and health are served.
pub const METRICS_PORT: u16 = 9090;

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
    /// Who may connect to the pods, and where to they may connect.
    pub network_policy: NetworkPolicy,
    /// How many pods may be evicted at once.
    pub disruption_budget: Option<PodDisruptionBudget>,
    /// The way in through an Ingress.
    pub ingress: Option<Ingress>,
    /// The ways in through a Gateway.
    pub routes: Vec<(Kind, DynamicObject)>,
    /// What the gateway logs in to NATS with, if it needs anything.
    pub nats_login: Option<Secret>,
    /// The pod.
    pub deployment: Deployment,
}

/// Makes the objects of a gateway whose API keys exist.
///
/// # Errors
/// When its configuration cannot be written.
pub fn resources(gateway: &Gateway, settings: &Settings) -> Result<Resources, Error> {
    let keys = mounted_keys(gateway);
    let config = config_map::config(gateway, settings)?;
    let routes = [
        (Kind::HttpRoute, exposed::http_route(gateway)),
        (Kind::TcpRoute, exposed::tcp_route(gateway)),
        (Kind::TlsRoute, exposed::tls_route(gateway)),
    ];
    Ok(Resources {
        deployment: deployment::deployment(gateway, &config.read_once, &keys, settings),
        config_map: config_map::config_map(gateway, config.text),
        service: service::service(gateway),
        network_policy: network_policy::network_policy(gateway, settings),
        disruption_budget: disruption_budget::disruption_budget(gateway),
        ingress: exposed::ingress(gateway),
        routes: routes.into_iter().filter_map(|(kind, route)| Some((kind, route?))).collect(),
        nats_login: secret::nats_login(gateway),
    })
}

/// The kinds of object that a spec asks for.
pub fn kinds(spec: &MudGatewaySpec) -> BTreeSet<Kind> {
    let gateway = spec.expose.gateway.as_ref();
    let tcp = gateway.filter(|_| spec.api.tcp.enabled);
    let optional = [
        (Kind::PodDisruptionBudget, spec.replicas > 1),
        (Kind::Ingress, spec.expose.ingress.is_some()),
        (Kind::HttpRoute, gateway.is_some() && spec.api.websocket.enabled),
        (Kind::TcpRoute, tcp.is_some_and(|gateway| gateway.tcp_section.is_some())),
        (Kind::TlsRoute, tcp.is_some_and(|gateway| gateway.tls_section.is_some())),
    ];
    let always = [Kind::ConfigMap, Kind::Service, Kind::NetworkPolicy, Kind::Deployment];
    always
        .into_iter()
        .chain(optional.into_iter().filter(|(_, wanted)| *wanted).map(|(kind, _)| kind))
        .collect()
}

/// The selector of the pods, as text.
pub fn pod_selector(gateway: &str) -> String {
    format!("app.kubernetes.io/name=mudgateway-gateway,app.kubernetes.io/instance={gateway}")
}

/// The name of the ConfigMap and the Deployment.
pub fn workload_name(name: &str) -> String {
    format!("{name}-gateway")
}

/// The name of the Secret we make when the spec names none.
pub fn api_key_name(name: &str) -> String {
    format!("{name}{API_KEY_SUFFIX}")
}

/// The name of the Secret by which the gateway logs in to NATS.
pub fn nats_login_name(name: &str) -> String {
    format!("{name}{NATS_LOGIN_SUFFIX}")
}

/// The name of the Secret with the mirror of the router password.
pub fn router_password_name(name: &str) -> String {
    format!("{name}{ROUTER_PASSWORD_SUFFIX}")
}

/// The names of the MudGateways that have, or would have, a Secret of this name.
pub fn secret_of(name: &str) -> impl Iterator<Item = &str> {
    let suffixes = [API_KEY_SUFFIX, NATS_LOGIN_SUFFIX, ROUTER_PASSWORD_SUFFIX];
    suffixes.into_iter().filter_map(|suffix| name.strip_suffix(suffix))
}

/// The names of the Secrets that we make for the MudGateway of this name.
pub fn own_secrets(gateway: &str) -> [String; 3] {
    [api_key_name(gateway), nats_login_name(gateway), router_password_name(gateway)]
}

/// The keys to mount.
fn mounted_keys(gateway: &Gateway) -> Vec<SecretRef> {
    match &gateway.keys {
        Keys::Given => gateway.spec.api.keys.iter().map(|key| key.secret_ref.clone()).collect(),
        Keys::Made { .. } => {
            vec![SecretRef { name: api_key_name(&gateway.key.name), key: API_KEY_ENTRY.to_owned() }]
        }
        Keys::Missing => Vec::new(),
    }
}

/// The metadata of an object of this name.
pub(super) fn metadata(gateway: &Gateway, name: String) -> ObjectMeta {
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
