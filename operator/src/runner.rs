//! Runs reconciliations.
//!
//! In place of the runner in kube's `Controller`. That begins at once with everything that is asked for, so that it is the
//! reconciliations that wait for a place, and looks through all of them whenever something happens: with 4,000 that took
//! most of the operator's processor time. Here who waits is a key in the queue, and the object is read when its turn has
//! come.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future;
use kube::runtime::reflector::Store;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::context::Context;
use crate::key::{Guarded, Key};
use crate::mudgateway::{self, Looked};

/// How long to sleep when nothing is due.
const LONG: Duration = Duration::from_secs(3600);

/// How long MudGateways that are on a network wait for the networks to be listed. Not in vain for ever: what comes of it
/// is told.
const NETWORKS: Duration = Duration::from_secs(10);

/// Reconciles what is asked for until `shutdown`, then ends what has begun. The objects are those of the stores.
pub async fn run(context: Context, stores: Vec<Store<Guarded>>, shutdown: CancellationToken) {
    let begin = future::join(context.leading(), context.listed());
    tokio::select! {
        _ = begin => {}
        () = shutdown.cancelled() => return,
    }
    context.work.open();
    context.trigger_all();
    let networks = context.networks.clone();
    let mut networks = pin!(timeout(NETWORKS, networks.listed()));
    let mut runner = Runner { context, stores, knows_networks: false, tasks: JoinSet::new() };
    while !shutdown.is_cancelled() {
        runner.start();
        let due = runner.context.work.lock().next_due();
        tokio::select! {
            () = runner.context.work.asked() => {}
            Some(ended) = runner.tasks.join_next() => runner.ended(ended),
            () = sleep_until(due.unwrap_or_else(|| Instant::now() + LONG)) => {}
            _ = &mut networks, if !runner.knows_networks => runner.networks_listed(),
            () = shutdown.cancelled() => {}
        }
    }
    while let Some(ended) = runner.tasks.join_next().await {
        runner.ended(ended);
    }
}

struct Runner {
    context: Context,
    stores: Vec<Store<Guarded>>,
    /// Whether those that are on a network wait no longer.
    knows_networks: bool,
    tasks: JoinSet<(Key, Looked)>,
}

impl Runner {
    /// Begins with whatever is due and has a place.
    fn start(&mut self) {
        let now = Instant::now();
        while let Some(key) = self.due(now) {
            let Some(object) = self.object(&key) else { continue };
            if !self.knows_networks && mudgateway::wants_network(&object) {
                continue;
            }
            let work = mudgateway::work(&object, &key, &self.context);
            self.context.work.lock().enter(key, work, mudgateway::is_news(&object), now);
        }
        while let Some(key) = self.turn() {
            match self.object(&key) {
                Some(object) => {
                    let looking = mudgateway::reconcile(object, self.context.clone());
                    self.tasks.spawn(async move { (key, looking.await) });
                }
                // It went while it waited.
                None => self.context.work.lock().done(key, None, false, now),
            }
        }
    }

    /// What is due. A function of its own, for the queue is not to be locked while the object is read.
    fn due(&self, now: Instant) -> Option<Key> {
        self.context.work.lock().pop_due(now)
    }

    /// Whose turn it is.
    fn turn(&self) -> Option<Key> {
        self.context.work.lock().start()
    }

    fn networks_listed(&mut self) {
        self.knows_networks = true;
        self.context.trigger_all();
    }

    fn object(&self, key: &Key) -> Option<Arc<Guarded>> {
        let reference = key.to_ref();
        self.stores.iter().find_map(|store| store.get(&reference))
    }

    fn ended(&self, ended: Result<(Key, Looked), JoinError>) {
        match ended {
            Ok((key, Looked { again, settled })) => {
                debug!(mudgateway = %key, ?again, "reconciled");
                self.context.work.lock().done(key, again, settled, Instant::now());
            }
            // What is wrong with the program is not hidden.
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
}
