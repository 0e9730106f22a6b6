//! Tells the operator, over the bus, how the router session is.

use std::time::Duration;

use async_nats::jetstream;
use mudgateway_crds::bus::{REPORT_BUCKET, report_key};
use mudgateway_crds::report::{GatewayReport, REPORT_TTL_SECONDS};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::bus::kv::Bucket;
use crate::bus::lock::{Duty, Holding};
use crate::mud::SessionStatus;

/// Namespace and name of a Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceName {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// Reports at each change and often enough that the report never expires, until the end. Of several processes of a mud
/// only the one that holds the session reports.
pub async fn run(
    context: jetstream::Context,
    resource: ResourceName,
    holder: String,
    mut status: watch::Receiver<SessionStatus>,
    mut holding: Holding,
    clients: impl Fn() -> usize,
    shutdown: CancellationToken,
) {
    let key = report_key(&resource.namespace, &resource.name);
    let renewal = Duration::from_secs(REPORT_TTL_SECONDS / 3);
    loop {
        if !holding.now().may_keep() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = holding.wait_for(Duty::may_keep) => {}
            }
        }
        let report = report(&holder, &status.borrow_and_update(), clients());
        let delivered = match put(&context, &key, &report).await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "cannot report to the operator");
                false
            }
        };
        let wait = if delivered { renewal } else { Duration::from_secs(1) };
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = status.changed(), if delivered => if changed.is_err() { return },
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn report(holder: &str, status: &SessionStatus, clients: usize) -> GatewayReport {
    GatewayReport {
        holder: holder.to_owned(),
        reason: status.reason,
        message: status.message.clone(),
        router: status.router.clone(),
        router_address: status.address.clone(),
        egress: status.egress.clone(),
        clients: i32::try_from(clients).ok(),
        connected_since: status.since.map(|since| since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
    }
}

async fn put(
    context: &jetstream::Context,
    key: &str,
    report: &GatewayReport,
) -> Result<(), async_nats::Error> {
    let value = serde_json::to_vec(report)?;
    Ok(Bucket::new(context, REPORT_BUCKET).put(key, value.into()).await?)
}
