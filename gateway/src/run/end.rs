//! The end, in order: what one part still sends must reach the next.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Ending, Parts};
use crate::api::{Api, drain};
use crate::services::Services;

/// How long conversations with other muds may take to end.
const MUDS_GO: Duration = Duration::from_secs(1);

/// How long it may take to give the session lock back.
const LOCK_GIVEN_BACK: Duration = Duration::from_secs(2);

/// Takes everything down.
pub(super) async fn run(parts: &Parts, api: &Api, ending: Ending) {
    parts.supervisor.end();
    tracing::info!("shutting down");
    end_conversations(&parts.services).await;
    drain::run(api, &mut rand::rng()).await;
    // The link ends by itself within its own drain time.
    ended(ending.link, "the router link failed").await;
    // What still waits is kept, and only then may another process take the session over.
    parts.stops.state.cancel();
    ended(ending.spool, "what waits for the router was not kept").await;
    ended(ending.users, "what is known of users was not kept").await;
    if let Some(log) = ending.lasting.log {
        log.reach().await;
    }
    parts.stops.kept.cancel();
    if let Some(kept) = ending.kept {
        ended(kept, "the tells that wait for a client were not kept").await;
    }
    parts.stops.lock.cancel();
    if let Some(lock) = ending.lasting.lock
        && timeout(LOCK_GIVEN_BACK, lock).await.is_err()
    {
        tracing::warn!("the session lock was not given back; another process has to wait for its end");
    }
    parts.stops.bus.cancel();
    ended(ending.lists, "the lists were not kept").await;
    tracing::info!("stopped");
}

/// Waits for a task; it fails by a panic only.
async fn ended(task: JoinHandle<()>, otherwise: &'static str) {
    if let Err(error) = task.await {
        tracing::error!(%error, "{otherwise}");
    }
}

/// Conversations with other muds end first, so that clients are still told what became of what they asked for.
async fn end_conversations(services: &Services) {
    services.oob.stop.cancel();
    services.oob.tasks.close();
    if timeout(MUDS_GO, services.oob.tasks.wait()).await.is_err() {
        tracing::warn!("some conversations with other muds did not end in time");
    }
}
