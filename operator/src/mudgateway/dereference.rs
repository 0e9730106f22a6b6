//! Step one: reads what the spec refers to, and what already exists under the names we need. Writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use kube::core::DynamicObject;
use kube::{Client, Resource};
use mudgateway_crds::mudgateway::{ParentRef, SecretRef};
use mudgateway_crds::{IntermudNetwork, MudGateway, MudGatewaySpec};

use super::api_error::{Plain, is_missing_kind};
use super::build::{api_key_name, kinds, nats_login_name, router_password_name};
use super::children::{Child, Children, Kind};
use super::endpoint::Endpoint;
use super::gateway_api::{self, Edge};
use super::own_secrets::OwnSecret;
use crate::context::Context;
use crate::key::Key;
use crate::network::{Effective, effective};

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The older MudGateway that has the mud name this one claims.
    pub senior: Option<Key>,
    /// A way in that the spec asks for, and the older MudGateway that has it.
    pub taken: Option<(Endpoint, Key)>,
    /// The network that the spec refers to.
    pub network: Option<Arc<IntermudNetwork>>,
    /// The objects that exist under the names we need.
    pub found: BTreeMap<Kind, Child>,
    /// The Secret of the name we need if we make the API key.
    pub api_key: Option<OwnSecret>,
    /// The Secrets that the spec refers to, by name, as far as they exist.
    pub secrets: BTreeMap<String, SecretFacts>,
    /// The Secret of the name we need for the login to NATS.
    pub nats_login: Option<OwnSecret>,
    /// The Secret of the name we need for the mirror of the router password.
    pub router_password: Option<OwnSecret>,
    /// The Gateway of spec.expose.gateway.
    pub edge: Edge,
}

impl Facts {
    /// Whether a Secret that the spec refers to has an entry.
    pub fn has(&self, secret: &str, entry: &str) -> bool {
        self.secrets.get(secret).is_some_and(|secret| secret.entries.contains(entry))
    }
}

/// What we need to know of a Secret of someone else: never what is in it.
#[derive(Clone, Debug, Default)]
pub struct SecretFacts {
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

/// Reads everything at the same time. Of our own objects those that the watches saw are not read again.
///
/// # Errors
/// When one of the objects cannot be read. One that does not exist is no error here.
pub async fn dereference(
    context: &Context,
    key: &Key,
    gateway: &MudGateway,
    senior: Option<Key>,
    network: Option<Arc<IntermudNetwork>>,
) -> Result<Facts, Error> {
    let (client, children) = (&context.client, &context.children);
    let namespace = key.namespace.as_str();
    let spec = &gateway.spec;
    let wanted = kinds(spec);
    let own = async |name: String| {
        let found = context.secrets.get(&Key::new(namespace, &name)).await;
        found.map_err(|source| failed::<Secret>(&name, source))
    };
    let api_key =
        async { if spec.api.keys.is_empty() { own(api_key_name(&key.name)).await } else { Ok(None) } };
    let login = network_of(spec, network.as_deref()).and_then(|network| network.proxy?.secret_ref);
    let names: BTreeSet<String> = secrets(spec).into_iter().chain(login.map(|login| login.name)).collect();
    let given = names.iter().map(|reference| secret(client, namespace, reference));
    let found = Kind::ALL.into_iter().map(|kind| child(client, children, key, kind, wanted.contains(&kind)));
    let (found, api_key, secrets, edge, nats_login, router_password) = tokio::try_join!(
        try_join_all(found),
        api_key,
        try_join_all(given),
        edge(client, namespace, spec),
        own(nats_login_name(&key.name)),
        own(router_password_name(&key.name))
    )?;
    Ok(Facts {
        senior,
        taken: None,
        network,
        found: found.into_iter().flatten().collect(),
        api_key,
        secrets: names.into_iter().zip(secrets).filter_map(|(name, found)| Some((name, found?))).collect(),
        nats_login,
        router_password,
        edge,
    })
}

/// The names of the Secrets that a spec itself refers to.
pub fn secrets(spec: &MudGatewaySpec) -> BTreeSet<String> {
    let keys = spec.api.keys.iter().map(|key| &key.secret_ref).map(|SecretRef { name, .. }| name);
    let proxy = spec.egress.as_ref().and_then(|egress| egress.proxy.as_ref());
    let login = proxy.and_then(|proxy| proxy.secret_ref.as_ref()).map(|secret| &secret.name);
    let ingress = ingress_tls(spec);
    let pull = spec.image_pull_secrets.iter().map(|secret| &secret.name);
    let certificate = spec.api.tls.iter().map(|tls| &tls.secret_name);
    keys.chain(certificate).chain(login).chain(ingress).chain(pull).cloned().collect()
}

/// The Secret with the certificate of the Ingress.
pub fn ingress_tls(spec: &MudGatewaySpec) -> Option<&String> {
    spec.expose.ingress.as_ref()?.tls_secret_name.as_ref()
}

/// What holds for a mud on the network that it refers to, or on its own; none if it refers to one that was not found.
pub fn network_of(spec: &MudGatewaySpec, found: Option<&IntermudNetwork>) -> Option<Effective> {
    let lost = spec.network_ref.is_some() && found.is_none();
    (!lost).then(|| effective(spec, found.map(|network| &network.spec)))
}

/// One of our objects: as the watches saw it, else, where we need its name, as the API server has it. It may be someone
/// else's then.
async fn child(
    client: &Client,
    children: &Children,
    key: &Key,
    kind: Kind,
    wanted: bool,
) -> Result<Option<(Kind, Child)>, Error> {
    if let Some(seen) = children.get(kind, key) {
        return Ok(Some((kind, seen)));
    }
    if !wanted {
        return Ok(None);
    }
    let (name, resource) = (kind.name_for(&key.name), kind.resource());
    let api: Api<Child> = Api::namespaced_with(client.clone(), &key.namespace, &resource);
    match api.get_opt(&name).await {
        Ok(found) => Ok(found.map(|object| (kind, object))),
        Err(error) if is_missing_kind(&error) => Ok(None),
        Err(source) => Err(Error { kind: kind.as_str().to_owned(), name, source }),
    }
}

/// The Gateway that the spec refers to.
async fn edge(client: &Client, namespace: &str, spec: &MudGatewaySpec) -> Result<Edge, Error> {
    let Some(exposed) = &spec.expose.gateway else { return Ok(Edge::default()) };
    let ParentRef { name, namespace: elsewhere } = &exposed.parent_ref;
    let namespace = elsewhere.as_deref().unwrap_or(namespace);
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &gateway_api::gateway_resource());
    match api.get_opt(name).await {
        Ok(Some(object)) => Ok(Edge::Found(gateway_api::Gateway::read(&object.data))),
        Ok(None) => Ok(Edge::NotFound),
        Err(error) if is_missing_kind(&error) => Ok(Edge::ApiMissing),
        Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(Edge::Forbidden),
        Err(source) => Err(Error { kind: "Gateway".to_owned(), name: name.clone(), source }),
    }
}

async fn secret(client: &Client, namespace: &str, name: &str) -> Result<Option<SecretFacts>, Error> {
    let found = Api::<Secret>::namespaced(client.clone(), namespace).get_opt(name).await;
    found.map(|secret| secret.map(SecretFacts::from)).map_err(|source| failed::<Secret>(name, source))
}

fn failed<K: Resource<DynamicType = ()>>(name: &str, source: kube::Error) -> Error {
    Error { kind: K::kind(&()).into_owned(), name: name.to_owned(), source }
}

impl From<Secret> for SecretFacts {
    fn from(secret: Secret) -> Self {
        let entries = secret.data.unwrap_or_default();
        let entries = entries.into_iter().filter(|(_, value)| !value.0.is_empty());
        Self { entries: entries.map(|(name, _)| name).collect() }
    }
}
