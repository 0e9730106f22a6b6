//! The end, in order: what one part still sends must reach the next.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Ending, Parts};
use crate::api::{Api, drain};
use crate::services::Services;

/// How long conversations with other muds may take to end.
const MUDS_GO: Duration = Duration::from_secs(1);

/// How long it may take to give the session lock back.
const LOCK_GIVEN_BACK: Duration = Duration::from_secs(2);

/// How long an end may take: Kubernetes waits for 30 s.
const GRACE: Duration = Duration::from_secs(28);

/// How long what comes after the clients may take at most: the hand-over, what waits, the state and the lock.
const AFTERWARDS: Duration = Duration::from_secs(16);

/// How long what other processes asked for may take to be done, and what was said thereby to be stored.
const ASKED_LAST: Duration = Duration::from_secs(1);

/// Takes everything down.
pub(super) async fn run(parts: &Parts, api: &Api, ending: Ending) {
    let start = Instant::now();
    parts.supervisor.end();
    tracing::info!("shutting down");
    end_conversations(&parts.services).await;
    drain::run(api, &mut rand::rng()).await;
    // The session goes on meanwhile.
    all_published(&parts.services, start + GRACE - AFTERWARDS).await;
    parts.stops.link.cancel();
    // The link ends by itself within its own drain time.
    ended(ending.link, "the router link failed").await;
    // Who asks from now on finds nobody, and asks the next holder: what is accepted later would not be kept.
    parts.stops.requests.cancel();
    if let Some(requests) = ending.requests
        && timeout(ASKED_LAST, requests).await.is_err()
    {
        tracing::warn!("some requests of other processes are not answered");
    }
    all_published(&parts.services, Instant::now() + ASKED_LAST).await;
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

/// Waits until what our mud said is stored on the bus, if there is one, or until then.
async fn all_published(services: &Services, until: Instant) {
    if timeout_at(until, services.published()).await.is_err() {
        let messages = services.unpublished();
        tracing::warn!(messages, "the bus does not take what was said in time");
    }
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
