//! Stands in for the gateways: for each pod that runs, it reports on the bus what a gateway that is logged in reports.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use mudgateway_crds::bus::{REPORT_BUCKET, report_key};
use mudgateway_crds::report::{GatewayReport, REPORT_TTL_SECONDS, SessionReason};

use crate::Result;

/// How often each report is renewed, as gateways do it.
const RENEWAL: Duration = Duration::from_secs(REPORT_TTL_SECONDS / 3);

/// How many reports are under way at the same time.
const AT_ONCE: usize = 64;

/// By the report's key: the pod, and when its report is due.
type Pods = Arc<Mutex<HashMap<String, (String, Instant)>>>;

/// Reports for all pods, for ever.
pub async fn run(client: Client, url: String) -> Result<()> {
    let jetstream = jetstream::new(async_nats::connect(url).await?);
    let bucket = jetstream.get_key_value(REPORT_BUCKET).await.map_err(async_nats::Error::from)?;
    let pods = Pods::default();
    tokio::spawn(follow(client, Arc::clone(&pods)));
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        stream::iter(due(&pods))
            .map(Ok)
            .try_for_each_concurrent(AT_ONCE, async |(key, pod)| {
                let report = serde_json::to_vec(&report(&pod)).unwrap_or_default();
                bucket.put(key, report.into()).await.map(drop).map_err(async_nats::Error::from)
            })
            .await?;
    }
}

fn due(pods: &Pods) -> Vec<(String, String)> {
    let now = Instant::now();
    let mut pods = pods.lock().unwrap_or_else(PoisonError::into_inner);
    let due = pods.iter_mut().filter(|(_, (_, at))| *at <= now);
    due.map(|(key, (pod, at))| {
        *at = now + RENEWAL;
        (key.clone(), pod.clone())
    })
    .collect()
}

/// Keeps the pods in step with the API server.
async fn follow(client: Client, pods: Pods) {
    let selector = watcher::Config::default().labels("app.kubernetes.io/name=mudgateway-gateway");
    let mut events = watcher(Api::<Pod>::all(client), selector).boxed();
    while let Some(event) = events.next().await {
        // An error is tried again by the watcher itself.
        let Ok(Event::Apply(pod) | Event::InitApply(pod)) = event else { continue };
        let Some(instance) = pod.labels().get("app.kubernetes.io/instance") else { continue };
        let runs = pod.metadata.deletion_timestamp.is_none()
            && pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"));
        let key = report_key(&pod.namespace().unwrap_or_default(), instance);
        let mut pods = pods.lock().unwrap_or_else(PoisonError::into_inner);
        match pods.get(&key) {
            Some((holder, _)) if *holder == pod.name_any() => {}
            _ if runs => drop(pods.insert(key, (pod.name_any(), Instant::now()))),
            _ => {}
        }
    }
}

fn report(pod: &str) -> GatewayReport {
    GatewayReport {
        holder: pod.to_owned(),
        reason: SessionReason::SessionEstablished,
        message: "registered with *scale".to_owned(),
        router: Some("*scale".to_owned()),
        router_address: None,
        egress: None,
        clients: Some(1),
        connected_since: Some("2026-11-25T10:00:00Z".to_owned()),
    }
}
