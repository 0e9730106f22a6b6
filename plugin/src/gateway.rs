//! MudGateways as the plug-in looks at them.
//!
//! Their specs are read leniently, field by field, so that a plug-in that is older or newer than the cluster's
//! definition still shows what it can.

use jiff::Timestamp;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::{Client, ResourceExt};
use mudgateway_crds::mudgateway::SecretRef;
use mudgateway_crds::status::ConditionType;
use mudgateway_crds::{MudGateway, MudGatewayStatus};
use serde_json::Value;

use crate::access::needs;
use crate::cluster::Cluster;
use crate::error::{Error, Result};

/// The entry of the Secret that the operator makes.
const TOKEN: &str = "token";

/// One MudGateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The mud's name.
    pub mud: String,
    /// How many pods it asks for.
    pub replicas: i64,
    /// Whether its API speaks TLS.
    pub tls: bool,
    /// Whether its API wants a certificate of clients.
    pub wants_certificate: bool,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// The generation of its spec.
    pub generation: Option<i64>,
    /// The API keys it names.
    pub keys: Vec<SecretRef>,
    /// What the operator says of it.
    pub status: MudGatewayStatus,
    /// All of it.
    pub raw: DynamicObject,
}

impl From<DynamicObject> for Gateway {
    fn from(raw: DynamicObject) -> Self {
        let spec = &raw.data["spec"];
        let parsed = |value: &Value| serde_json::from_value(value.clone()).unwrap_or_default();
        Self {
            namespace: raw.namespace().unwrap_or_default(),
            name: raw.name_any(),
            mud: spec["mud"]["name"].as_str().unwrap_or_default().to_owned(),
            replicas: spec["replicas"].as_i64().unwrap_or(1),
            tls: spec["api"]["tls"].is_object(),
            wants_certificate: spec["api"]["tls"]["requireClientCertificate"].as_bool().unwrap_or_default(),
            created: raw.metadata.creation_timestamp.as_ref().map(|time| time.0),
            generation: raw.metadata.generation,
            keys: spec["api"]["keys"].as_array().into_iter().flatten().filter_map(key).collect(),
            status: serde_json::from_value(raw.data["status"].clone()).unwrap_or_else(|_| MudGatewayStatus {
                conditions: parsed(&raw.data["status"]["conditions"]),
                ..Default::default()
            }),
            raw,
        }
    }
}

fn key(key: &Value) -> Option<SecretRef> {
    let reference = &key["secretRef"];
    let entry = reference["key"].as_str().unwrap_or(TOKEN);
    Some(SecretRef { name: reference["name"].as_str()?.to_owned(), key: entry.to_owned() })
}

impl Gateway {
    /// Namespace and name.
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Status, reason and message of a condition, if the operator has said anything.
    pub fn condition(&self, type_: ConditionType) -> Option<(&str, &str, &str)> {
        let condition = self.status.condition(type_)?;
        Some((&condition.status, &condition.reason, &condition.message))
    }

    /// Where its API key is: what the operator made, or the first that the spec names.
    pub fn key_place(&self) -> Option<SecretRef> {
        let made = self.status.api_key_secret.clone().map(|name| SecretRef { name, key: TOKEN.to_owned() });
        made.or_else(|| self.keys.first().cloned())
    }

    /// The selector of its pods.
    pub fn selector(&self) -> String {
        format!("app.kubernetes.io/name=mudgateway-gateway,app.kubernetes.io/instance={}", self.name)
    }
}

fn api(client: &Client, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<MudGateway>(&());
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// The MudGateways of a namespace, or of all; by namespace and name.
///
/// # Errors
/// When they cannot be listed.
pub async fn list(client: &Client, namespace: Option<&str>) -> Result<Vec<Gateway>> {
    let listed = api(client, namespace).list(&ListParams::default()).await;
    let listed = needs::GATEWAYS.check(namespace, "listing MudGateways", listed)?;
    let mut gateways: Vec<Gateway> = listed.items.into_iter().map(Gateway::from).collect();
    gateways.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    Ok(gateways)
}

/// One MudGateway of the namespace, by its name.
///
/// # Errors
/// When it cannot be read, or does not exist.
pub async fn get(cluster: &Cluster, name: &str) -> Result<Gateway> {
    let namespace = cluster.namespace.as_str();
    let found = api(&cluster.client, Some(namespace)).get_opt(name).await;
    let found = needs::GATEWAYS.check(Some(namespace), &format!("reading MudGateway {name}"), found)?;
    found.map(Gateway::from).ok_or_else(|| Error::NotFound {
        kind: "MudGateway",
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        hint: "; `kubectl mudgw status -A` lists all".to_owned(),
    })
}

/// The MudGateway that is meant: the one named, or the only one of the namespace.
///
/// # Errors
/// When there is none, or more than one.
pub async fn pick(cluster: &Cluster, name: Option<&str>) -> Result<Gateway> {
    if let Some(name) = name {
        return get(cluster, name).await;
    }
    only(list(&cluster.client, Some(&cluster.namespace)).await?, &cluster.namespace)
}

fn only(mut gateways: Vec<Gateway>, namespace: &str) -> Result<Gateway> {
    match gateways.len() {
        0 => Err(Error::WhichGateway(format!(
            "there is no MudGateway in namespace {namespace}; name another with -n, or list all with `kubectl mudgw status -A`"
        ))),
        1 => Ok(gateways.remove(0)),
        _ => {
            let names: Vec<_> = gateways.iter().map(|gateway| gateway.name.as_str()).collect();
            Err(Error::WhichGateway(format!("which one? Namespace {namespace} has {}", names.join(", "))))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A MudGateway `tenant-a/<name>` with this spec and status.
    pub(crate) fn gateway(name: &str, spec: Value, status: Value) -> Gateway {
        let object = json!({
            "apiVersion": "intermud.dev/v1alpha1",
            "kind": "MudGateway",
            "metadata": {"name": name, "namespace": "tenant-a", "generation": 2, "creationTimestamp": "2026-11-25T10:00:00Z"},
            "spec": spec,
            "status": status,
        });
        Gateway::from(serde_json::from_value::<DynamicObject>(object).unwrap())
    }

    #[test]
    fn what_a_newer_definition_adds_does_no_harm() {
        let spec = json!({"mud": {"name": "Dawn", "port": "new kind of port"}, "more": [1], "api": {"tls": {"secretName": "x"}}});
        let status = json!({
            "apiKeySecret": "dawn-api-key",
            "holder": 5,
            "conditions": [{"type": "Ready", "status": "True", "reason": "SessionEstablished", "message": "m",
                "lastTransitionTime": "2026-11-25T10:00:00Z"}],
        });
        let gateway = gateway("dawn", spec, status);
        assert_eq!((gateway.mud.as_str(), gateway.replicas), ("Dawn", 1));
        assert_eq!((gateway.tls, gateway.wants_certificate), (true, false));
        assert_eq!(gateway.condition(ConditionType::Ready), Some(("True", "SessionEstablished", "m")));
    }

    #[test]
    fn the_key_is_the_one_made_or_the_first_that_is_named() {
        let spec = json!({"api": {"keys": [{"secretRef": {"name": "bot"}}, {"secretRef": {"name": "staff", "key": "k"}}]}});
        let named = gateway("a", spec.clone(), json!({})).key_place().unwrap();
        assert_eq!((named.name.as_str(), named.key.as_str()), ("bot", "token"));
        let made = gateway("a", json!({}), json!({"apiKeySecret": "a-api-key"})).key_place().unwrap();
        assert_eq!((made.name.as_str(), made.key.as_str()), ("a-api-key", "token"));
        assert_eq!(gateway("a", json!({}), json!({})).key_place(), None);
    }

    #[test]
    fn without_a_name_there_must_be_no_doubt() {
        let gateways =
            |names: &[&str]| names.iter().map(|name| gateway(name, json!({}), json!({}))).collect();
        assert_eq!(only(gateways(&["a"]), "ns").unwrap().name, "a");
        assert!(only(gateways(&[]), "ns").unwrap_err().to_string().contains("no MudGateway in namespace ns"));
        assert!(only(gateways(&["a", "b"]), "ns").unwrap_err().to_string().contains("has a, b"));
    }
}
