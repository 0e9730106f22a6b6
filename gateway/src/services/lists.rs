//! Keeps the mudlist and the channel list, so that a new process knows the network before the router tells it.

use std::sync::Arc;
use std::time::Duration;

use intermud3::Packet;
use intermud3::lpc::Limits;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use super::Services;
use crate::bus::{Part, StateError, StateStore};

/// How often changed lists are written.
const INTERVAL: Duration = Duration::from_secs(60);

/// How long the store may take at the start and at the end.
const PATIENCE: Duration = Duration::from_secs(3);

/// The largest list that is kept; NATS takes no message over 1 MiB.
const LIMITS: Limits = Limits { output_bytes: 1_000_000, ..Limits::DEFAULT };

/// Gives the services what was kept before. Without it they start empty: the router tells everything anew.
pub async fn restore(services: &Services, store: &StateStore) {
    // What the process that holds the session has told is newer.
    if services.hub.follows() && !services.leads() {
        return;
    }
    let restore = async {
        for part in [Part::Mudlist, Part::Chanlist] {
            match store.load(part, |text| Packet::decode(text).ok()).await {
                Ok(Some(packet)) => services.restore_list(packet),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "starting without a list that was kept"),
            }
        }
    };
    if timeout(PATIENCE, restore).await.is_err() {
        tracing::warn!("starting without the lists that were kept: the state store does not answer");
    }
}

/// Keeps the lists, now and then and at the end.
pub async fn keep(services: Arc<Services>, store: StateStore, stop: CancellationToken) {
    let mut look = interval(INTERVAL);
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            _ = look.tick() => {}
        }
        if !services.leads() {
            continue;
        }
        let Some([mudlist, chanlist]) = services.changed_lists() else { continue };
        let save = async {
            save(&store, Part::Mudlist, &mudlist).await?;
            save(&store, Part::Chanlist, &chanlist).await
        };
        match timeout(PATIENCE, save).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lists are not kept"),
            Err(_) => tracing::warn!("the lists are not kept: the state store does not answer"),
        }
    }
}

async fn save(store: &StateStore, part: Part, list: &Packet) -> Result<(), StateError> {
    match list.encode_with(&LIMITS) {
        Ok(text) => store.save(part, text.to_vec()).await,
        Err(error) => {
            tracing::warn!(%error, kind = list.kind(), "a list is too large to be kept");
            Ok(())
        }
    }
}
