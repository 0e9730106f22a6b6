//! `key rotate`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use mudgateway_crds::api_key;
use mudgateway_crds::mudgateway::SecretRef;
use rand::TryRng;
use serde_json::{Value, json};

use super::print;
use crate::access::needs;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::gateway::{self, Gateway};
use crate::tls::Identity;
use crate::{forward, gateway_client};

/// How long the nodes may take to bring a changed Secret into the pods: kubelets look about once a minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// Between two attempts with the new key: who shows ten wrong keys in a minute is not listened to.
const RETRY: Duration = Duration::from_secs(10);

/// How to rotate.
pub(super) struct Rotation {
    /// How long the old key still works.
    pub(super) grace: SignedDuration,
    /// Also while the one before it still works.
    pub(super) again: bool,
    /// Wait until every pod knows the new key.
    pub(super) wait: bool,
    /// Print the new key.
    pub(super) show: bool,
    /// Who we are to the pods.
    pub(super) identity: Option<Identity>,
}

/// Puts a new key into the Secret.
pub(super) async fn rotate(cluster: &Cluster, name: Option<&str>, rotation: Rotation) -> Result<()> {
    let gateway = gateway::pick(cluster, name).await?;
    let identity = rotation.identity.as_ref();
    if rotation.wait {
        // Not found out when the key is changed already.
        gateway_client::certified(&gateway, identity)?;
    }
    let place = gateway.key_place().ok_or_else(|| {
        Error::Other(format!("MudGateway {} has no API key yet: there is nothing to rotate", gateway.path()))
    })?;
    let secret = gateway_client::secret(cluster, &gateway.namespace, &place).await?;
    let old = gateway_client::entry(&secret, &place, &gateway.namespace)?;
    let new = random_key()?;
    let now = Timestamp::now();
    if let Some(until) = previous_until(&secret, &place).filter(|until| *until > now && !rotation.again) {
        return Err(Error::Other(format!(
            "the key before the present one works until {}: a client may still use it, and it would end now.\n\
             Wait until then, or give --again if no client uses it",
            whole_seconds(until)
        )));
    }
    let until = whole_seconds(now.saturating_add(rotation.grace).unwrap_or(Timestamp::MAX));
    let api: Api<Secret> = Api::namespaced(cluster.client.clone(), &gateway.namespace);
    let patch = Patch::Merge(changed(&secret, &place, &old, &new, until));
    let patched = api.patch(&place.name, &PatchParams::default(), &patch).await;
    needs::SECRET_CHANGE.check(
        Some(&gateway.namespace),
        &format!("changing Secret {}", place.name),
        patched,
    )?;
    eprintln!(
        "Secret {} in namespace {} holds a new key in {}; the old one works until {until}",
        place.name, gateway.namespace, place.key
    );
    if rotation.wait {
        eprintln!("waiting until every pod of {} knows it (about a minute)", gateway.path());
        wait(cluster, &gateway, identity, &new).await?;
        eprintln!("every pod knows the new key: give it to the mud now");
    }
    if rotation.show {
        return print(&format!("{new}\n"));
    }
    eprintln!(
        "read it with: kubectl get secret {} -n {} -o go-template='{{{{index .data {:?} | base64decode}}}}'",
        place.name, gateway.namespace, place.key
    );
    Ok(())
}

/// A key of 256 random bits, as the operator makes them.
fn random_key() -> Result<String> {
    let mut random = [0; 32];
    rand::rngs::SysRng
        .try_fill_bytes(&mut random)
        .map_err(|error| Error::Other(format!("this machine has no randomness: {error}")))?;
    Ok(random.iter().fold(String::with_capacity(64), |mut key, byte| {
        // Writing to a String cannot fail.
        let _ = write!(key, "{byte:02x}");
        key
    }))
}

/// Until when the key before the present one works, if there is one.
fn previous_until(secret: &Secret, place: &SecretRef) -> Option<Timestamp> {
    let value = secret.data.as_ref()?.get(&api_key::previous(&place.key))?;
    std::str::from_utf8(&value.0).ok()?.lines().nth(1)?.trim().parse().ok()
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The change, which the API server refuses if somebody changed the Secret meanwhile: two rotations at once would
/// lose the key that the mud has.
fn changed(secret: &Secret, place: &SecretRef, old: &str, new: &str, until: Timestamp) -> Value {
    let data = BTreeMap::from([
        (place.key.clone(), ByteString(new.as_bytes().to_vec())),
        (api_key::previous(&place.key), ByteString(format!("{old}\n{until}\n").into_bytes())),
    ]);
    json!({"metadata": {"resourceVersion": secret.resource_version()}, "data": data})
}

/// Waits until every pod that serves accepts a key.
async fn wait(cluster: &Cluster, gateway: &Gateway, identity: Option<&Identity>, key: &str) -> Result<()> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let pods = forward::pods(&cluster.client, &gateway.namespace, &gateway.selector()).await?;
        let pods: Vec<_> = pods.into_iter().filter(forward::is_ready).collect();
        let mut last = if pods.is_empty() { Some("no pod is ready".to_owned()) } else { None };
        for pod in &pods {
            let session = gateway_client::connect(cluster, gateway, identity, pod, key, &[], None).await;
            if let Err(error) = session {
                if matches!(error, Error::Forbidden(_)) {
                    return Err(error);
                }
                last = Some(error.to_string());
            }
        }
        let Some(last) = last else { return Ok(()) };
        if tokio::time::Instant::now() + RETRY > deadline {
            return Err(Error::Other(format!(
                "not every pod knows the new key after {} s ({last}); the old one still works. \
                 See: kubectl mudgw doctor {}",
                PATIENCE.as_secs(),
                gateway.name
            )));
        }
        tokio::time::sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(data: Value) -> Secret {
        serde_json::from_value(json!({"metadata": {"resourceVersion": "7"}, "data": data})).unwrap()
    }

    fn place() -> SecretRef {
        SecretRef { name: "bot".to_owned(), key: "token".to_owned() }
    }

    #[test]
    fn the_old_key_stays_beside_the_new_one_until_its_time() {
        let until = "2026-11-26T10:00:00Z".parse().unwrap();
        let patch = changed(&secret(json!({})), &place(), "old", "new", until);
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        let after = secret(patch["data"].clone());
        let data = after.data.clone().unwrap();
        assert_eq!(data["token"].0, b"new");
        assert_eq!(data["token.previous"].0, b"old\n2026-11-26T10:00:00Z\n");
        assert_eq!(previous_until(&after, &place()), Some(until));
        assert_eq!(previous_until(&secret(json!({})), &place()), None);
    }

    #[test]
    fn keys_are_long_and_never_the_same() {
        let [first, second] = [random_key().unwrap(), random_key().unwrap()];
        assert!(first.len() == 64 && first != second);
    }
}
