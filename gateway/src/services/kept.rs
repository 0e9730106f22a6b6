//! Keeps the tells that nobody was there to hear, so that they outlive all processes of the mud.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Services;
use crate::bus::{Part, StateError, StateStore};
use crate::hub::KeptTell;

/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Keeps them whenever they change, as long as this process writes the log; and reads what was kept when it comes to
/// write a log that it does not know.
pub async fn keep(services: Arc<Services>, store: StateStore, stop: CancellationToken) {
    let mut changes = services.hub.kept_changes();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = services.incomplete.notified() => restore(&services, &store).await,
            // The sender lives as long as the services do.
            _ = changes.changed() => if services.leads() { save(&services, &store).await },
        }
    }
}

async fn restore(services: &Services, store: &StateStore) {
    let parse = |json: &[u8]| serde_json::from_slice::<Vec<KeptTell>>(json).ok();
    match within(store.load(Part::Kept, parse)).await {
        Ok(Some(kept)) => services.hub.restore_kept(kept),
        Ok(None) => {}
        Err(problem) => tracing::warn!(problem, "starting without the tells that waited for a client"),
    }
}

async fn save(services: &Services, store: &StateStore) {
    // Texts and numbers can always be written.
    let json = serde_json::to_vec(&services.hub.kept()).unwrap_or_default();
    match within(store.save(Part::Kept, json)).await {
        Ok(()) => tracing::debug!("the tells that wait for a client are kept"),
        Err(problem) => {
            tracing::warn!(problem, "the tells that wait for a client are kept in memory only")
        }
    }
}

async fn within<T>(work: impl Future<Output = Result<T, StateError>>) -> Result<T, String> {
    match timeout(PATIENCE, work).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the state store does not answer".to_owned()),
    }
}
