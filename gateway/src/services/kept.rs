//! Keeps the tells that nobody was there to hear, so that they outlive all processes of the mud.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Services;
use crate::bus::lock::Holding;
use crate::bus::{Part, StateError, StateStore};
use crate::hub::KeptTell;

/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Keeps them whenever they change, as long as this process holds the session, at last when it has told the end of the log and
/// before another one may go on; and reads what was kept when it comes to write a log that it does not know.
pub async fn keep(services: Arc<Services>, store: StateStore, holding: Holding, stop: CancellationToken) {
    let mut changes = services.hub.kept_changes();
    // It may have come to write before.
    changes.mark_changed();
    loop {
        let stops = tokio::select! {
            () = stop.cancelled() => true,
            // The sender lives as long as the services do.
            _ = changes.changed() => false,
        };
        // Not before it is read what would be overwritten.
        if services.hub.lacks_kept() {
            restore(&services, &store).await;
        }
        let changed = !stops || changes.has_changed().unwrap_or_default();
        if changed && (services.leads() || holding.now().may_keep()) {
            save(&services, &store).await;
        }
        if stops {
            return;
        }
    }
}

async fn restore(services: &Services, store: &StateStore) {
    let parse = |json: &[u8]| serde_json::from_slice::<Vec<KeptTell>>(json).ok();
    let kept = within(store.load(Part::Kept, parse)).await.unwrap_or_else(|problem| {
        tracing::warn!(problem, "starting without the tells that waited for a client");
        None
    });
    services.hub.restore_kept(kept.unwrap_or_default());
}

async fn save(services: &Services, store: &StateStore) {
    // Texts and numbers can always be written.
    let kept = services.hub.kept();
    let json = serde_json::to_vec(&kept).unwrap_or_default();
    match within(store.save(Part::Kept, json)).await {
        Ok(()) => tracing::debug!(tells = kept.len(), "the tells that wait for a client are kept"),
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

#[cfg(test)]
mod tests {
    use super::super::Setup;
    use super::*;
    use crate::hub::{Event, Told};
    use crate::router::RouterHandle;

    #[tokio::test]
    async fn what_changed_at_last_is_kept_before_another_process_goes_on() {
        let services = Arc::new(Services::new(Setup::default(), RouterHandle::default(), None));
        let told = Told {
            from_mud: "Dusk".into(),
            from_user: "bob".into(),
            to_mud: "Dawn".into(),
            to_user: "ann".into(),
            message: "hi".into(),
            visname: "Bob".into(),
        };
        services.hub.publish(Event::Tell(told));
        let directory = tempfile::tempdir().unwrap();
        let store = StateStore::Files(directory.path().join("state"));
        let stop = CancellationToken::new();
        services.hub.follow();
        stop.cancel();
        keep(Arc::clone(&services), store.clone(), Holding::alone(), stop).await;
        let stored = store.load(Part::Kept, |json| serde_json::from_slice::<Vec<KeptTell>>(json).ok()).await;
        assert_eq!(stored.unwrap(), Some(services.hub.kept()));
    }
}
