//! Step two: decides whether a spec can be carried out. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use mudgateway_crds::mudgateway::{ApiTls, Expose, SecretRef};
use mudgateway_crds::status::Reason;
use mudgateway_crds::{MudGateway, MudGatewaySpec};

use super::build::{
    API_KEY_ENTRY, INSTANCE_LABEL, MANAGER_LABEL, METRICS_PORT, TCP_PORT, WEBSOCKET_PORT, api_key_name,
    kinds, nats_login_name, router_password_name,
};
use super::dereference::{Facts, SecretFacts, network_of};
use super::endpoint::Endpoint;
use super::gateway_api::Edge;
use super::lacks::{Lacks, lacks};
use crate::access::GatewayFiles;
use crate::key::Key;
use crate::network::{Effective, Unknown};
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
    /// Whether NATS keeps its name for it; to be found out.
    pub claimed: bool,
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

/// Why a spec cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The API server lets through only what the schema allows, so the definition it has is another version's.
    #[error("{0}: install the CustomResourceDefinition of this operator's version and correct the spec")]
    InvalidSpec(&'static str),
    /// Another has the name.
    #[error(
        "MudGateway {holder} is older and has the mud name {mud:?} on the network {network}: \
         use another name, or delete one of the two"
    )]
    NameConflict {
        /// The name both claim.
        mud: String,
        /// The network both claim it on.
        network: String,
        /// The older one.
        holder: Key,
    },
    /// Another namespace has the name, and no MudGateway that we see.
    #[error(
        "the mud name {mud:?} on the network {network} is of the namespace {namespace}: use another name, or have it \
         given up there: a MudGateway of that mud on that network gives it up that is deleted, or moved to another \
         network, with spec.deletionPolicy: Delete"
    )]
    NameKept {
        /// The name.
        mud: String,
        /// The network.
        network: String,
        /// Who has it.
        namespace: String,
    },
    /// The network does not exist.
    #[error("IntermudNetwork {0} does not exist: ask the provider to create it, or correct spec.networkRef")]
    NetworkNotFound(String),
    /// Nobody can say what the network is.
    #[error(transparent)]
    NetworkUnavailable(Unknown),
    /// The login for the proxy is not where the network, or the spec, says.
    #[error(
        "Secret {0} has no entries \"username\" and \"password\", or does not exist: create it in this namespace, \
         for the proxy asks for them"
    )]
    ProxyLoginNotFound(String),
    /// A Secret is not what the spec says.
    #[error(
        "Secret {name} has no entry {entry:?}, or does not exist: create it in this namespace, or change {field}"
    )]
    SecretNotFound {
        /// The name of the Secret.
        name: String,
        /// What it should hold.
        entry: String,
        /// Where the spec refers to it.
        field: &'static str,
    },
    /// The API key we made is gone from its Secret.
    #[error("Secret {0} has lost its entry \"token\": delete the Secret, and the operator makes a new one")]
    ApiKeyLost(String),
    /// The image is not one that we may run.
    #[error(
        "the image {0} is not allowed: remove spec.image to use the operator's own, \
         or have the operator's admin allow it (gateway.allowedImages in the chart)"
    )]
    ImageNotAllowed(String),
    /// An object of a name we need belongs to someone else.
    #[error(
        "{kind} {name} exists and does not belong to this MudGateway: remove it, or rename the MudGateway"
    )]
    ObjectExists {
        /// The kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
    },
}

impl Rejection {
    /// The reason as it stands in conditions, events and logs.
    pub fn reason(&self) -> Reason {
        match self {
            Self::InvalidSpec(_) => Reason::InvalidSpec,
            Self::NameConflict { .. } | Self::NameKept { .. } => Reason::NameConflict,
            Self::NetworkNotFound(_) => Reason::NetworkNotFound,
            Self::NetworkUnavailable(_) => Reason::NetworkUnavailable,
            Self::SecretNotFound { .. } | Self::ApiKeyLost(_) | Self::ProxyLoginNotFound(_) => {
                Reason::SecretNotFound
            }
            Self::ImageNotAllowed(_) => Reason::ImageNotAllowed,
            Self::ObjectExists { .. } => Reason::ObjectExists,
        }
    }
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
    let (claimed, nats) = (false, GatewayFiles::default());
    Ok(Gateway { key: key.clone(), owner, spec, network, claimed, keys, edge, taken, lacks, nats })
}

/// The network, if it is there, and what its proxy asks for.
fn network(spec: &MudGatewaySpec, facts: &Facts) -> Result<Effective, Rejection> {
    let network = network_of(spec, facts.network.as_deref());
    let network = network.ok_or_else(|| Rejection::NetworkNotFound(spec.network().to_owned()))?;
    let login = network.proxy.as_ref().and_then(|proxy| proxy.secret_ref.as_ref());
    let complete = |secret: &SecretFacts| PROXY_LOGIN.iter().all(|entry| secret.entries.contains(*entry));
    match login {
        Some(login) if !facts.secrets.get(&login.name).is_some_and(complete) => {
            Err(Rejection::ProxyLoginNotFound(login.name.clone()))
        }
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
    if facts.secrets.get(name).is_some_and(|secret| secret.entries.contains(entry)) {
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
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use k8s_openapi::ByteString;
    use serde_json::json;

    use super::*;
    use crate::mudgateway::children::{Child, Kind};
    use crate::mudgateway::dereference::OwnSecret;
    use crate::testing::{gateway, settings};

    const UID: &str = "uid-of-luminari";

    fn key() -> Key {
        Key::new("tenant-a", "luminari")
    }

    fn object() -> MudGateway {
        gateway("tenant-a", "luminari", "LuminariMUD")
    }

    fn owned_by(uid: &str) -> ObjectMeta {
        let owner = OwnerReference { uid: uid.to_owned(), ..Default::default() };
        ObjectMeta { owner_references: Some(vec![owner]), ..Default::default() }
    }

    fn api_key(metadata: ObjectMeta, entry: &str) -> OwnSecret {
        let metadata = ObjectMeta { uid: Some("secret-uid".to_owned()), ..metadata };
        OwnSecret { metadata, data: BTreeMap::from([(entry.to_owned(), ByteString(b"key".to_vec()))]) }
    }

    fn with_secret(name: &str, entries: &[&str]) -> Facts {
        let secret = SecretFacts { entries: entries.iter().map(|&entry| entry.to_owned()).collect() };
        let secrets = BTreeMap::from([(name.to_owned(), secret)]);
        Facts { secrets, ..Facts::default() }
    }

    fn decide(object: &MudGateway, facts: &Facts) -> Result<Gateway, Rejection> {
        validate(&key(), object, facts, &settings())
    }

    fn rejection(object: &MudGateway, facts: &Facts) -> Rejection {
        decide(object, facts).expect_err("accepted")
    }

    #[test]
    fn a_new_gateway_gets_a_key_made() {
        let gateway = decide(&object(), &Facts::default()).unwrap();
        assert_eq!(gateway.keys, Keys::Missing);
        assert_eq!(gateway.owner.uid, UID);
        assert_eq!(gateway.owner.controller, Some(true));
    }

    #[test]
    fn the_key_made_before_is_kept() {
        let facts = Facts { api_key: Some(api_key(owned_by(UID), "token")), ..Facts::default() };
        let gateway = decide(&object(), &facts).unwrap();
        assert_eq!(gateway.keys, Keys::Made { uid: "secret-uid".to_owned() });
    }

    #[test]
    fn a_made_secret_without_its_key_is_not_filled_again() {
        let facts = Facts { api_key: Some(api_key(owned_by(UID), "other")), ..Facts::default() };
        assert_eq!(rejection(&object(), &facts), Rejection::ApiKeyLost("luminari-api-key".to_owned()));
    }

    #[test]
    fn given_keys_must_exist_with_their_entry() {
        let mut object = object();
        object.spec.api.keys =
            serde_json::from_str(r#"[{"secretRef": {"name": "bot", "key": "key"}}]"#).unwrap();
        for facts in [Facts::default(), with_secret("bot", &["another"])] {
            let rejection = rejection(&object, &facts);
            assert_eq!(rejection.reason(), Reason::SecretNotFound);
            insta::allow_duplicates! {
                insta::assert_snapshot!(rejection, @r#"Secret bot has no entry "key", or does not exist: create it in this namespace, or change spec.api.keys"#);
            }
        }
        assert_eq!(decide(&object, &with_secret("bot", &["key"])).unwrap().keys, Keys::Given);
    }

    #[test]
    fn a_certificate_must_be_whole() {
        let mut object = object();
        object.spec.api.tls = serde_json::from_value(json!({"secretName": "cert"})).unwrap();
        for facts in [Facts::default(), with_secret("cert", &["tls.crt"])] {
            assert_eq!(rejection(&object, &facts).reason(), Reason::SecretNotFound);
        }
        let whole = with_secret("cert", &["tls.crt", "tls.key"]);
        assert!(decide(&object, &whole).is_ok());
        object.spec.api.tls.as_mut().unwrap().require_client_certificate = true;
        insta::assert_snapshot!(rejection(&object, &whole), @r#"Secret cert has no entry "ca.crt", or does not exist: create it in this namespace, or change spec.api.tls"#);
    }

    #[test]
    fn only_known_images_are_run() {
        let mut object = object();
        for (image, allowed) in [("gateway:2", true), ("mirror.example/x/gateway:1", false)] {
            object.spec.image = Some(image.to_owned());
            assert_eq!(decide(&object, &Facts::default()).is_ok(), allowed, "{image}");
        }
        assert_eq!(rejection(&object, &Facts::default()).reason(), Reason::ImageNotAllowed);
    }

    #[test]
    fn the_older_claimant_is_named() {
        let facts = Facts { senior: Some(Key::new("tenant-b", "other")), ..Facts::default() };
        let rejection = rejection(&object(), &facts);
        assert_eq!(rejection.reason(), Reason::NameConflict);
        insta::assert_snapshot!(rejection, @r#"MudGateway tenant-b/other is older and has the mud name "LuminariMUD" on the network *demo: use another name, or delete one of the two"#);
    }

    #[test]
    fn objects_of_others_are_never_taken_over() {
        let found = |kind: Kind, metadata| {
            let child = Child { metadata, ..Child::default() };
            Facts { found: BTreeMap::from([(kind, child)]), ..Facts::default() }
        };
        for owner in [ObjectMeta::default(), owned_by("the uid of one deleted before")] {
            let rejection = rejection(&object(), &found(Kind::Service, owner));
            let expected = Rejection::ObjectExists { kind: "Service", name: "luminari".to_owned() };
            assert_eq!(rejection, expected);
        }
        let facts = Facts { api_key: Some(api_key(ObjectMeta::default(), "token")), ..Facts::default() };
        assert_eq!(
            rejection(&object(), &facts),
            Rejection::ObjectExists { kind: "Secret", name: "luminari-api-key".to_owned() }
        );
        assert!(decide(&object(), &found(Kind::Deployment, owned_by(UID))).is_ok());
        assert!(decide(&object(), &found(Kind::Ingress, ObjectMeta::default())).is_ok(), "none is needed");
    }

    #[test]
    fn secrets_from_a_backup_are_taken_up() {
        let labels = |instance: &str| {
            let labels = [("managed-by", "mudgateway-operator"), ("instance", instance)];
            Some(labels.map(|(name, value)| (format!("app.kubernetes.io/{name}"), value.to_owned())).into())
        };
        let made_for = |instance: &str| ObjectMeta { labels: labels(instance), ..ObjectMeta::default() };
        let with = |metadata: &ObjectMeta| Facts {
            api_key: Some(api_key(metadata.clone(), "token")),
            router_password: Some(OwnSecret { metadata: metadata.clone(), ..OwnSecret::default() }),
            ..Facts::default()
        };
        assert!(decide(&object(), &with(&made_for("luminari"))).is_ok());
        for other in [made_for("other"), ObjectMeta::default()] {
            assert_eq!(rejection(&object(), &with(&other)).reason(), Reason::ObjectExists);
        }
        let facts = Facts { api_key: None, ..with(&ObjectMeta::default()) };
        let expected =
            Rejection::ObjectExists { kind: "Secret", name: "luminari-router-password".to_owned() };
        assert_eq!(rejection(&object(), &facts), expected);
    }

    #[test]
    fn a_network_must_exist_with_the_login_for_its_proxy() {
        let mut object = object();
        object.spec.routers.clear();
        object.spec.network_ref = serde_json::from_str(r#"{"name": "i4"}"#).unwrap();
        let lost = rejection(&object, &Facts::default());
        assert_eq!(lost.reason(), Reason::NetworkNotFound);
        insta::assert_snapshot!(lost, @"IntermudNetwork i4 does not exist: ask the provider to create it, or correct spec.networkRef");

        let network = json!({"metadata": {"name": "i4"}, "spec": {
            "routers": [{"name": "*i4", "host": "h", "port": 1}],
            "egress": {"proxy": {"host": "proxy.example", "secretRef": {"name": "login"}}},
        }});
        let network = Arc::new(serde_json::from_value(network).unwrap());
        let with = |facts: Facts| Facts { network: Some(Arc::clone(&network)), ..facts };
        for facts in [Facts::default(), with_secret("login", &["username"])] {
            let rejection = rejection(&object, &with(facts));
            assert_eq!(rejection, Rejection::ProxyLoginNotFound("login".to_owned()));
            assert_eq!(rejection.reason(), Reason::SecretNotFound);
        }
        let gateway = decide(&object, &with(with_secret("login", &["username", "password"]))).unwrap();
        assert_eq!((gateway.network.name.as_str(), gateway.network.routers.len()), ("i4", 1));
    }

    #[test]
    fn what_an_older_schema_lets_through_is_refused_here() {
        let mut many = object();
        many.spec.replicas = 4;
        let mut nowhere = object();
        nowhere.spec.routers.clear();
        let mut bell = object();
        bell.spec.mud.name.push('\u{7}');
        let taken = [WEBSOCKET_PORT, TCP_PORT, METRICS_PORT].map(|port| {
            let mut taken = object();
            taken.spec.oob = serde_json::from_value(json!({"mail": true, "port": port})).unwrap();
            taken
        });
        for object in [many, nowhere, bell].into_iter().chain(taken) {
            assert_eq!(rejection(&object, &Facts::default()).reason(), Reason::InvalidSpec);
        }
    }
}
