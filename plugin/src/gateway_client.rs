//! A session with a gateway: through the API server into one of its pods, with the API key of its Secret.
//!
//! The session only looks on: it lets no tells through, so that those that wait for the mud go on waiting.

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::Api;
use mudclient::{Client, Options};
use mudgateway_crds::mudgateway::SecretRef;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::access::needs;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::forward;
use crate::gateway::Gateway;
use crate::tls::{self, Identity};

/// A session with a gateway.
pub struct Session {
    /// The connection.
    pub client: Client,
    /// Its id, to resume it by.
    pub id: Value,
    /// The place of the last event.
    pub position: Value,
    /// Whether all that was missed will come, where something was resumed.
    pub recovered: Option<bool>,
}

/// The API key, and nothing that prints it.
pub struct Key(String);

impl Key {
    /// The text; for the gateway's eyes only.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The API key of a gateway, from its Secret.
///
/// # Errors
/// When the Secret cannot be read, or does not hold the key.
pub async fn key(cluster: &Cluster, gateway: &Gateway) -> Result<Key> {
    let place = gateway.key_place().ok_or_else(|| {
        Error::Other(format!(
            "MudGateway {} has no API key yet; `kubectl mudgw doctor {}` says why",
            gateway.path(),
            gateway.name
        ))
    })?;
    let secret = secret(cluster, &gateway.namespace, &place).await?;
    entry(&secret, &place, &gateway.namespace).map(Key)
}

/// The Secret that holds a key.
///
/// # Errors
/// When it cannot be read, or does not exist.
pub async fn secret(cluster: &Cluster, namespace: &str, place: &SecretRef) -> Result<Secret> {
    let api: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
    let found = api.get_opt(&place.name).await;
    let found = needs::SECRET.check(Some(namespace), &format!("reading Secret {}", place.name), found)?;
    found.ok_or_else(|| missing(place, namespace, ""))
}

/// The key in a Secret.
///
/// # Errors
/// When it is not there.
pub fn entry(secret: &Secret, place: &SecretRef, namespace: &str) -> Result<String> {
    let value = secret.data.as_ref().and_then(|data| data.get(&place.key));
    let text = value.and_then(|value| String::from_utf8(value.0.clone()).ok()).unwrap_or_default();
    let text = text.trim();
    if text.is_empty() {
        return Err(missing(place, namespace, &format!(" with an entry {}", place.key)));
    }
    Ok(text.to_owned())
}

fn missing(place: &SecretRef, namespace: &str, what: &str) -> Error {
    Error::NotFound {
        kind: "Secret",
        name: format!("{}{what}", place.name),
        namespace: namespace.to_owned(),
        hint: ", which should hold the API key; `kubectl mudgw doctor` says what to do".to_owned(),
    }
}

/// A pod to talk to: the one that holds the router session, or any that is ready.
///
/// # Errors
/// When none is ready.
pub async fn pod(cluster: &Cluster, gateway: &Gateway) -> Result<Pod> {
    let pods = forward::pods(&cluster.client, &gateway.namespace, &gateway.selector()).await?;
    best(pods, gateway.status.holder.as_deref())
        .ok_or_else(|| Error::NoPod(gateway.path(), gateway.name.clone()))
}

fn best(pods: Vec<Pod>, holder: Option<&str>) -> Option<Pod> {
    let ready = pods.into_iter().filter(forward::is_ready);
    ready.min_by_key(|pod| Some(pod.name_any().as_str()) != holder)
}

/// A session with one pod that gets these events and no others. `resume` is an earlier session's id and position.
///
/// # Errors
/// When the pod cannot be reached, or does not accept the key.
pub async fn connect(
    cluster: &Cluster,
    gateway: &Gateway,
    identity: Option<&Identity>,
    pod: &Pod,
    key: &str,
    events: &[&str],
    resume: Option<Value>,
) -> Result<Session> {
    let client = open(cluster, gateway, identity, pod).await?;
    let options = json!({"events": {"allow": events}, "colour": "plain"});
    let mut params = json!({"api_key": key, "options": options});
    if let Some(resume) = resume {
        params["resume"] = resume;
    }
    let mut answer = client.call("authenticate", params).await?;
    let recovered = answer["recovered"].as_bool();
    Ok(Session { client, id: answer["session_id"].take(), position: answer["position"].take(), recovered })
}

/// A connection to a pod, by whichever transport it serves, under TLS where it wants that.
async fn open(
    cluster: &Cluster,
    gateway: &Gateway,
    identity: Option<&Identity>,
    pod: &Pod,
) -> Result<Client> {
    certified(gateway, identity)?;
    let name = format!("pod {}", pod.name_any());
    let serves_lines = forward::port(pod, "tcp").is_some();
    let stream = forward::open(&cluster.client, pod, if serves_lines { "tcp" } else { "websocket" }).await?;
    let stream: Box<dyn Stream> = if gateway.tls {
        let secured = tls::over(stream, identity).await;
        Box::new(secured.map_err(|error| Error::Api {
            doing: format!("the TLS handshake with {name}"),
            message: error.to_string(),
        })?)
    } else {
        Box::new(stream)
    };
    let options = Options::default();
    Ok(if serves_lines {
        Client::over(&name, stream, options).await?
    } else {
        Client::over_web_socket(&name, stream, options).await?
    })
}

/// Whether we have what the gateway wants to see before anything else.
///
/// # Errors
/// When it wants a certificate, and we have none.
pub fn certified(gateway: &Gateway, identity: Option<&Identity>) -> Result<()> {
    if gateway.wants_certificate && identity.is_none() {
        return Err(Error::NoCertificate(gateway.path()));
    }
    Ok(())
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A session with the best pod, with the key of its Secret.
///
/// # Errors
/// See [`key`], [`pod`] and [`connect`].
pub async fn session(
    cluster: &Cluster,
    gateway: &Gateway,
    identity: Option<&Identity>,
    events: &[&str],
) -> Result<Session> {
    certified(gateway, identity)?;
    let (key, pod) = futures::try_join!(key(cluster, gateway), pod(cluster, gateway))?;
    connect(cluster, gateway, identity, &pod, key.text(), events, None).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, ready: &str) -> Pod {
        let status = json!({"conditions": [{"type": "Ready", "status": ready}]});
        serde_json::from_value(json!({"metadata": {"name": name}, "status": status})).unwrap()
    }

    #[test]
    fn the_holder_is_talked_to_first_and_never_a_pod_that_is_not_ready() {
        let pods = || vec![pod("a", "True"), pod("b", "True"), pod("c", "False")];
        let best = |holder: &str| super::best(pods(), Some(holder)).unwrap().name_any();
        assert_eq!([best("b"), best("c"), best("gone")], ["b", "a", "a"]);
        assert!(super::best(vec![pod("c", "False")], None).is_none());
    }

    #[test]
    fn who_has_no_certificate_is_told_where_one_is_wanted() {
        let told = |tls: Value| {
            let gateway = crate::gateway::tests::gateway("dawn", json!({"api": {"tls": tls}}), json!({}));
            certified(&gateway, None).err().map(|error| error.to_string())
        };
        assert_eq!(told(json!({"secretName": "x"})), None);
        let told = told(json!({"secretName": "x", "requireClientCertificate": true})).unwrap();
        assert!(told.contains("tenant-a/dawn") && told.contains("--client-certificate FILE"), "{told}");
    }

    #[test]
    fn a_key_is_taken_without_the_blanks_around_it() {
        let secret: Secret =
            serde_json::from_value(json!({"data": {"token": "IGtleQo=", "empty": "Cg=="}})).unwrap();
        let place = |key: &str| SecretRef { name: "bot".to_owned(), key: key.to_owned() };
        assert_eq!(entry(&secret, &place("token"), "ns").unwrap(), "key");
        for key in ["empty", "other"] {
            let error = entry(&secret, &place(key), "ns").unwrap_err().to_string();
            assert!(error.contains(&format!("Secret bot with an entry {key} in namespace ns")), "{error}");
        }
    }
}
