//! Keeps what is known of users of other muds, so that the next process to hold the session knows it too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::Services;
use super::ucache::KeptUser;
use crate::bus::lock::{Duty, Holding};
use crate::bus::{Part, StateError, StateStore};
use crate::sync::lock;

/// How often it is written, if there is news. Muds that announce their users do so all the time.
const INTERVAL: Duration = Duration::from_secs(300);

/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Reads what was kept when this process comes to hold the session, and writes now and then and at the end.
pub async fn keep(services: Arc<Services>, store: StateStore, mut holding: Holding, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = holding.wait_for(Duty::may_keep) => {}
        }
        // What cannot be read now is read before anything is written in its place.
        let mut restored = false;
        let mut due = interval(INTERVAL);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => {}
                // Whoever holds the session now writes.
                () = holding.wait_for(|duty| !duty.may_keep()) => break,
                _ = due.tick() => {}
            }
            if let Err(error) = exchange(&services, &store, &mut restored).await {
                tracing::warn!(%error, "what is known of users of other muds is not kept");
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }
}

/// Why the users are not kept.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("the state store does not answer")]
    Silent(#[from] tokio::time::error::Elapsed),
}

async fn exchange(services: &Services, store: &StateStore, restored: &mut bool) -> Result<(), KeepError> {
    if !*restored {
        let parse = |text: &[u8]| serde_json::from_slice::<Vec<KeptUser>>(text).ok();
        match timeout(PATIENCE, store.load(Part::Ucache, parse)).await? {
            Ok(kept) => {
                let kept = kept.unwrap_or_default();
                lock(&services.users).restore(Instant::now(), Timestamp::now(), kept);
            }
            // It is a cache: what nobody can read is replaced.
            Err(error @ StateError::Corrupt(_)) => tracing::warn!(%error, "starting without the known users"),
            Err(error) => return Err(error.into()),
        }
        *restored = true;
    }
    let changed = lock(&services.users).take_changed(Instant::now(), Timestamp::now());
    if let Some(users) = changed {
        // Texts and numbers can always be written.
        let text = serde_json::to_vec(&users).unwrap_or_default();
        let saved = timeout(PATIENCE, store.save(Part::Ucache, text)).await;
        if !matches!(saved, Ok(Ok(()))) {
            lock(&services.users).note_change();
        }
        saved??;
    }
    Ok(())
}
