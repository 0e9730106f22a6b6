//! What every reconciliation has at hand.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use tokio::sync::{SetOnce, watch};
use tokio::task::JoinHandle;

use crate::access::Access;
use crate::backoff::Failures;
use crate::bus::{MudState, Reports, Session};
use crate::index::{Index, Scope};
use crate::key::Key;
use crate::lock::lock;
use crate::metrics::Metrics;
use crate::mudgateway::build::own_secrets;
use crate::mudgateway::children::Children;
use crate::mudgateway::own_secrets::OwnSecrets;
use crate::network::Networks;
use crate::network::permits::Permits;
use crate::settings::Settings;
use crate::workqueue::WorkQueue;

/// The one name under which this operator writes: server-side apply tells by it what is ours.
pub const FIELD_MANAGER: &str = "mudgateway-operator";

/// What every reconciliation has at hand. Clones share it.
#[derive(Clone)]
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Events for people; one for all, so that repeated ones are counted, not repeated.
    pub recorder: Recorder,
    /// Flags.
    pub settings: Arc<Settings>,
    /// The way into NATS.
    pub access: Arc<Access>,
    /// Counters.
    pub metrics: Metrics,
    /// Failures in a row of each object.
    pub failures: Arc<Failures>,
    /// Who is reconciled when.
    pub work: Arc<WorkQueue>,
    /// The networks that the provider maintains.
    pub networks: Networks,
    permits: Arc<Mutex<Permits>>,
    /// The objects of all gateways, as the watches last saw them.
    pub children: Arc<Children>,
    /// The Secrets that we make.
    pub secrets: OwnSecrets,
    leading: watch::Sender<bool>,
    index: Arc<Mutex<Index>>,
    reports: Arc<Mutex<Reports>>,
    listed: Arc<SetOnce<()>>,
    mud_state: Arc<Mutex<Option<MudState>>>,
    leaving: Arc<Mutex<HashMap<Key, Leaving>>>,
}

/// A mud that leaves its network.
struct Leaving {
    since: Instant,
    /// Takes its leave of the router.
    farewell: Option<JoinHandle<()>>,
}

impl Context {
    /// A context for an operator that starts now.
    pub fn new(client: Client, settings: Settings, metrics: Metrics, access: Access) -> Self {
        let reporter =
            Reporter { controller: FIELD_MANAGER.to_owned(), instance: std::env::var("POD_NAME").ok() };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            secrets: OwnSecrets::new(client.clone()),
            client,
            access: Arc::new(access),
            metrics,
            failures: Arc::default(),
            work: Arc::new(WorkQueue::new(settings.concurrency.into())),
            networks: Networks::default(),
            permits: Arc::default(),
            children: Arc::default(),
            leading: watch::Sender::new(false),
            index: Arc::new(Mutex::new(Index::new(settings.scopes()))),
            reports: Arc::new(Mutex::new(Reports::new(Instant::now()))),
            listed: Arc::default(),
            mud_state: Arc::default(),
            leaving: Arc::default(),
            settings: Arc::new(settings),
        }
    }

    /// All `MudGateway`s. Never held across an await.
    pub fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }

    /// Who may connect when. Never held across an await.
    pub fn permits(&self) -> MutexGuard<'_, Permits> {
        lock(&self.permits)
    }

    /// The same, for who answers the gateways.
    pub fn shared_permits(&self) -> Arc<Mutex<Permits>> {
        Arc::clone(&self.permits)
    }

    /// Has all reconciled.
    pub fn trigger_all(&self) {
        let all: Vec<Key> = self.index().keys().cloned().collect();
        self.work.request(all);
    }

    /// Has the muds on a network reconciled.
    pub fn trigger_network(&self, network: &str) {
        let concerned = self.index().on_network(network);
        self.work.request(concerned);
    }

    /// The `MudGateway`s that use a Secret: by themselves, or as their network says.
    pub fn users_of(&self, secret: &Key) -> Vec<Key> {
        let networks = self.networks.with_secret(&secret.name);
        let index = self.index();
        let beside = networks.iter().flat_map(|network| index.on_network(network));
        let beside = beside.filter(|key| key.namespace == secret.namespace);
        index.users_of(secret).into_iter().chain(beside).collect()
    }

    /// From now on this operator leads, to its end.
    pub fn lead(&self) {
        self.metrics.leader.set(1);
        self.leading.send_replace(true);
    }

    /// Waits until this operator leads.
    pub async fn leading(&self) {
        // Fails only when the sender is gone, and it is a part of this.
        let _ = self.leading.subscribe().wait_for(|leading| *leading).await;
    }

    /// Waits until every `MudGateway` is known. Before, nobody can know who came first.
    pub async fn listed(&self) {
        self.listed.wait().await;
    }

    /// Takes in the end of a list of a scope, forgets what is gone, and returns whom that concerns.
    pub fn complete(&self, scope: &Scope, listed: &HashSet<Key>) -> Vec<Key> {
        let (gone, concerned) = self.index().complete(scope, listed);
        gone.iter().for_each(|key| self.forget(key));
        if self.index().is_complete() {
            // Fails only after the first time.
            let _ = self.listed.set(());
        }
        concerned
    }

    /// What the gateways reported. Never held across an await; taken after the index where both are.
    pub fn reports(&self) -> MutexGuard<'_, Reports> {
        lock(&self.reports)
    }

    /// The state of the muds, while there is a session with NATS.
    pub fn mud_state(&self) -> Option<MudState> {
        lock(&self.mud_state).clone()
    }

    /// Notes the beginning or the end of a session with NATS.
    pub fn set_mud_state(&self, state: Option<MudState>) {
        *lock(&self.mud_state) = state;
    }

    /// How long ago a mud was first seen to leave its network, by our own clock.
    pub fn leaving_for(&self, key: &Key) -> Duration {
        lock(&self.leaving).entry(key.clone()).or_insert_with(Leaving::now).since.elapsed()
    }

    /// Has a mud that leaves its network take its leave, once, and says whether that is done. It takes its time, and
    /// nothing is asked of the API server meanwhile, so nobody waits for it: the mud is looked at again afterwards.
    pub fn has_taken_leave(&self, key: &Key, farewell: impl Future<Output = ()> + Send + 'static) -> bool {
        let mut leaving = lock(&self.leaving);
        let leaving = leaving.entry(key.clone()).or_insert_with(Leaving::now);
        if let Some(farewell) = &leaving.farewell {
            return farewell.is_finished();
        }
        let (key, work) = (key.clone(), Arc::clone(&self.work));
        leaving.farewell = Some(tokio::spawn(async move {
            farewell.await;
            work.request([key]);
        }));
        false
    }

    /// Notes that it has left.
    pub fn has_left(&self, key: &Key) {
        lock(&self.leaving).remove(key);
    }

    /// What is known of a gateway's router session now.
    pub fn session(&self, key: &Key) -> Session {
        self.reports().session(key, Instant::now())
    }

    /// Brings the gauges in line with what there is.
    pub fn count_objects(&self) {
        self.metrics.count_objects(&self.index(), self.networks.undecodable());
        let (size, oldest) = self.work.lock().look(tokio::time::Instant::now());
        self.metrics.waiting(size, oldest);
    }

    /// Forgets all that is kept for a `MudGateway` that is gone.
    pub fn forget(&self, key: &Key) {
        self.reports().forget(key);
        self.failures.forget(key);
        self.work.lock().forget(key);
        self.has_left(key);
        for name in own_secrets(&key.name) {
            self.secrets.changed(&Key::new(&key.namespace, name));
        }
    }
}

impl Leaving {
    fn now() -> Self {
        Self { since: Instant::now(), farewell: None }
    }
}
