//! Puts the parts together and takes them down in order.

mod end;
mod on_bus;
mod reload;
mod sockets;
mod tasks;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mudgateway_telemetry::log::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::api::forward::Forward;
use crate::api::{Api, http, tcp};
use crate::bus::lock::{Holding, Keeper, LockListener};
use crate::bus::{Bus, BusError, Permits, StateStore};
use crate::calls;
use crate::config::Config;
use crate::keys::{KeyError, Keyring};
use crate::metrics::Metrics;
use crate::net::{Tls, TlsError};
use crate::oob;
use crate::replicas::LogEnd;
use crate::router::{Link, LinkListener, Memory, RouterHandle, Rules, spool};
use crate::services::{BusLink, Services, Setup, kept, lists, users};
use crate::supervise::Supervisor;
use on_bus::OnBus;
use reload::Followed;
use sockets::Sockets;

/// How long the start waits to learn whether the mud was on the network before.
const KNOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the gateway cannot start, or go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A listener.
    #[error("cannot listen on {address} for {what}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What it is for.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A task that should run as long as the gateway does.
    #[error("the task {0:?} ended, which is a fault of the gateway's: see the log")]
    TaskEnded(&'static str),
}

/// Runs the gateway until `stop` resolves. What is logged follows the configuration file.
///
/// # Errors
/// [`RunError`] when it cannot start, or when one of its tasks fails. Otherwise only `stop` ends it.
pub async fn run(mut config: Config, log: Handle, stop: impl Future<Output = ()>) -> Result<(), RunError> {
    let now = Timestamp::now();
    let keyring = Arc::new(Keyring::load(config.api.keys.clone(), config.api.rates.clone(), now)?);
    let tls = config.api.tls.clone().map(Tls::load).transpose()?.map(Arc::new);
    let sockets = Sockets::open(&mut config, tls.as_ref()).await?;
    let (parts, lasting) = Parts::start(&config, now).await?;
    let (api, requests) = parts.serve(&config, &keyring, sockets);
    let rules = watch::Sender::new(config.rules.clone());
    let link_rules = rules.subscribe();
    let (source, levels) = (config.source.take(), config.log.levels.clone());
    let (router, services) = (parts.router.clone(), Arc::clone(&parts.services));
    let followed = Followed { keyring, tls, source, log, levels, rules, router, services };
    parts.supervisor.spawn("reload", followed.run(parts.stops.bus.clone()));
    parts.watch();
    let ending = parts.keep(&config, link_rules, requests, lasting);

    let failed = tokio::select! {
        () = stop => None,
        name = parts.supervisor.failed() => Some(name),
    };
    end::run(&parts, &api, ending).await;
    failed.map_or(Ok(()), |name| Err(RunError::TaskEnded(name)))
}

/// What all tasks work with.
struct Parts {
    supervisor: Supervisor,
    stops: Stops,
    metrics: Arc<Metrics>,
    router: RouterHandle,
    services: Arc<Services>,
    bus: Option<Bus>,
    state: StateStore,
    holding: Holding,
}

/// Tells tasks to stop: one kind after the other, so that what one still sends reaches the next.
#[derive(Default)]
struct Stops {
    /// The clients.
    clients: CancellationToken,
    /// The router link, and what other hosted muds hand over.
    link: CancellationToken,
    /// The requests of other processes.
    requests: CancellationToken,
    /// The mud leaves the network for good; the process goes on until somebody ends it.
    retired: CancellationToken,
    /// What keeps the state that the next process goes on with.
    state: CancellationToken,
    /// What keeps the tells that wait: the log is at its end.
    kept: CancellationToken,
    /// The session lock.
    lock: CancellationToken,
    /// All else.
    bus: CancellationToken,
}

/// What outlives the clients: another process goes on from there. None: there is no bus.
struct Lasting {
    log: Option<LogEnd>,
    lock: Option<JoinHandle<()>>,
}

/// The tasks that are waited for at the end.
struct Ending {
    link: JoinHandle<()>,
    /// Without a bus there are no other processes.
    requests: Option<JoinHandle<()>>,
    spool: JoinHandle<()>,
    users: JoinHandle<()>,
    lists: JoinHandle<()>,
    /// Without a bus nobody else would tell them.
    kept: Option<JoinHandle<()>>,
    lasting: Lasting,
}

impl Parts {
    /// Makes the parts and starts what is done on the bus.
    async fn start(config: &Config, now: Timestamp) -> Result<(Self, Lasting), RunError> {
        let metrics = Arc::new(Metrics::new(&config.mud.name, &config.network));
        let router = RouterHandle::new(Arc::clone(&metrics));
        router.set_pace(config.rules.packets_per_second);
        let (supervisor, stops) = (Supervisor::new(), Stops::default());
        let (on_bus, link) = match &config.nats {
            Some(nats) => {
                let (on_bus, link) = OnBus::connect(nats, config, &metrics, &supervisor, &stops.bus).await?;
                (Some(on_bus), Some(link))
            }
            None => (None, None),
        };
        let bus = on_bus.as_ref().map(|on_bus| on_bus.bus.clone());
        let services = services(config, now, &metrics, &router, link);
        let state = state_store(config, bus.as_ref());
        let me = format!("{}.{}", config.holder, uuid::Uuid::new_v4());
        let (lock, holding) =
            session_lock(config, bus.as_ref(), &me, &services, &state, &supervisor, &stops.lock).await;
        let parts = Self { supervisor, stops, metrics, router, services, bus, state, holding };
        let log = on_bus.map(|on_bus| on_bus.start(config, &me, &parts));
        Ok((parts, Lasting { log, lock }))
    }

    /// Starts serving clients, observers and other muds. Returns the task, too, that answers other processes.
    fn serve(
        &self,
        config: &Config,
        keyring: &Arc<Keyring>,
        sockets: Sockets,
    ) -> (Api, Option<JoinHandle<()>>) {
        let Self { supervisor, stops, services, .. } = self;
        let api = Api::new(
            Arc::clone(services),
            Arc::clone(keyring),
            Arc::clone(&self.metrics),
            config.api.limits,
            self.bus.as_ref().map(|bus| Forward::new(bus, services)),
            stops.clients.clone(),
        );
        let requests = api.forward.clone().map(|forward| {
            supervisor.spawn("hand-over", forward.clone().hand_over(stops.bus.clone()));
            let asked = forward.serve(api.clone(), self.holding.clone(), stops.requests.clone());
            supervisor.spawn("requests of other processes", asked)
        });
        supervisor.spawn("http", http::serve_clients(api.clone(), sockets.websocket, config.api.served));
        if let Some(listener) = sockets.lines {
            supervisor.spawn("tcp", tcp::serve(api.clone(), listener));
        }
        if let Some(listener) = sockets.observers {
            supervisor.spawn("metrics", http::serve_metrics(api.clone(), listener));
        }
        if let Some(muds) = sockets.muds {
            supervisor.spawn("oob", calls::listener::run(api.driver(), muds));
        }
        (api, requests)
    }

    /// Starts what looks at the others.
    fn watch(&self) {
        let Self { supervisor, stops, metrics, .. } = self;
        let (router, services) = (self.router.clone(), Arc::clone(&self.services));
        supervisor.spawn("each second", tasks::each_second(router, services, stops.bus.clone()));
        let duty = tasks::watch_duty(self.holding.clone(), Arc::clone(metrics), stops.bus.clone());
        supervisor.spawn("session lock watch", duty);
        supervisor.spawn("event loop delay", tasks::until(stops.bus.clone(), metrics.event_loop.measure()));
    }

    /// Starts the router link, and what keeps state for the next process.
    fn keep(
        &self,
        config: &Config,
        rules: watch::Receiver<Rules>,
        requests: Option<JoinHandle<()>>,
        lasting: Lasting,
    ) -> Ending {
        let Self { supervisor, stops, state, services, router, holding, .. } = self;
        let kept = self.bus.as_ref().map(|_| {
            let kept = kept::keep(Arc::clone(services), state.clone(), holding.clone(), stops.kept.clone());
            supervisor.spawn("kept tells", kept)
        });
        let lists = lists::keep(Arc::clone(services), state.clone(), stops.bus.clone());
        let lists = supervisor.spawn("lists", lists);
        let spool = spool::keep(router.clone(), Memory(state.clone()), holding.clone(), stops.state.clone());
        let spool = supervisor.spawn("spool", spool);
        let users = users::keep(Arc::clone(services), state.clone(), holding.clone(), stops.state.clone());
        let users = supervisor.spawn("users", users);
        let link = supervisor.spawn("router link", self.link(config, rules));
        Ending { link, requests, spool, users, lists, kept, lasting }
    }

    /// The link to the router, which starts with what is known from before.
    fn link(&self, config: &Config, rules: watch::Receiver<Rules>) -> impl Future<Output = ()> + use<> {
        let (services, state) = (Arc::clone(&self.services), self.state.clone());
        let link = Link {
            mud: config.mud.clone(),
            rules,
            permits: self.bus.as_ref().map_or_else(Permits::none, |bus| Permits::over(bus, &config.mud.name)),
            initial_password: config.router_password,
            memory: Memory(state.clone()),
            handle: self.router.clone(),
            metrics: Arc::clone(&self.metrics),
            listener: Arc::clone(&services) as Arc<dyn LinkListener>,
            holding: self.holding.clone(),
            shutdown: self.stops.link.clone(),
            retired: self.stops.retired.clone(),
        };
        let stop = self.stops.link.clone();
        async move {
            lists::restore(&services, &state).await;
            link.run().await;
            // Who is retired waits for the end.
            stop.cancelled().await;
        }
    }
}

fn services(
    config: &Config,
    now: Timestamp,
    metrics: &Arc<Metrics>,
    router: &RouterHandle,
    bus: Option<BusLink>,
) -> Arc<Services> {
    let setup = Setup {
        metrics: Arc::clone(metrics),
        mud: config.mud.name.clone(),
        oob: oob::Rules {
            offer: config.mud.oob.clone(),
            allow_private: config.oob.allow_private,
            player_port: config.mud.port,
            queue_bytes: config.api.limits.queue_bytes,
        },
        epoch: epoch(now),
        channels: config.channels.clone(),
        policy: config.policy.clone(),
        history: config.history,
        filter_default: config.filter_default,
        announce_users: config.announce_users,
    };
    Arc::new(Services::new(setup, router.clone(), bus))
}

fn state_store(config: &Config, bus: Option<&Bus>) -> StateStore {
    match bus {
        Some(bus) => StateStore::Bus {
            context: bus.context().clone(),
            network: config.network.clone(),
            mud: config.mud.name.clone(),
            writes: bus.writes().clone(),
        },
        None => StateStore::Files(config.state_directory.clone()),
    }
}

/// The lock over the session with the router. Without a bus there is one process only, and no lock.
async fn session_lock(
    config: &Config,
    bus: Option<&Bus>,
    me: &str,
    services: &Arc<Services>,
    state: &StateStore,
    supervisor: &Supervisor,
    stop: &CancellationToken,
) -> (Option<JoinHandle<()>>, Holding) {
    let Some(bus) = bus else { return (None, Holding::alone()) };
    // Who has a password was on the network before, and may be still, in another process.
    let known = match timeout(KNOWN_TIMEOUT, state.load_password()).await {
        Ok(Ok(password)) => password.is_some(),
        _ => true,
    };
    let listener = Arc::clone(services) as Arc<dyn LockListener>;
    let (keeper, holding) = Keeper::new(bus, &config.network, &config.mud.name, me, known, listener);
    (Some(supervisor.spawn("session lock", keeper.run(stop.clone()))), holding)
}

/// Numbers of events start over when the process does, under an epoch that is never used again.
fn epoch(now: Timestamp) -> u64 {
    now.as_millisecond().unsigned_abs()
}
