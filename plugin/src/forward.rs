//! A pod's ports, reached through the API server.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

use crate::access::needs;
use crate::error::{Error, Result};

/// How long a forwarded port may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// The most that is read of an answer.
const MAX_ANSWER: u64 = 4 << 20;

/// The pods that a selector chooses, by name.
///
/// # Errors
/// When they cannot be listed.
pub async fn pods(client: &Client, namespace: &str, selector: &str) -> Result<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let listed = api.list(&ListParams::default().labels(selector)).await;
    let mut pods = needs::PODS.check(Some(namespace), "listing pods", listed)?.items;
    pods.sort_by_key(ResourceExt::name_any);
    Ok(pods)
}

/// Whether a pod serves, and is not on its way out.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

/// The number of a pod's port, by its name.
pub fn port(pod: &Pod, name: &str) -> Option<u16> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    let port = ports.find(|port| port.name.as_deref() == Some(name))?;
    u16::try_from(port.container_port).ok()
}

/// Opens a connection to a port of a pod.
///
/// # Errors
/// When the pod has no such port, or the API server refuses.
pub async fn open(client: &Client, pod: &Pod, port_name: &str) -> Result<DuplexStream> {
    let (name, namespace) = (pod.name_any(), pod.namespace().unwrap_or_default());
    let doing = format!("forwarding port {port_name} of pod {name}");
    let failed = |message: &str| Error::Api { doing: doing.clone(), message: message.to_owned() };
    let number = port(pod, port_name).ok_or_else(|| failed("the pod has no such port"))?;
    let api: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let forwarded = timeout(ANSWER, api.portforward(&name, &[number])).await;
    let forwarded = forwarded.map_err(|_| failed("the API server does not answer"))?;
    let mut forwarder = needs::FORWARD.check(Some(&namespace), &doing, forwarded)?;
    // The forwarder works on until both ends are closed.
    forwarder.take_stream(number).ok_or_else(|| failed("the API server forwards another port"))
}

/// The body of an answer over HTTP from a port of a pod.
///
/// # Errors
/// When there is no answer, or none that says it is well.
pub async fn get(client: &Client, pod: &Pod, port_name: &str, path: &str) -> Result<String> {
    let mut stream = open(client, pod, port_name).await?;
    let name = pod.name_any();
    let failed = |message: String| Error::Api { doing: format!("asking pod {name} for {path}"), message };
    let exchange = async {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = timeout(ANSWER, exchange).await.map_err(|_| failed("no answer".to_owned()))?;
    let answer = answer.map_err(|error| failed(error.to_string()))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| failed("no answer".to_owned()))?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status == "200" { Ok(body.to_owned()) } else { Err(failed(format!("HTTP {status}: {body}"))) }
}
