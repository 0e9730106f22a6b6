//! Puts the parts together and takes them down in order.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::api::forward::Forward;
use crate::api::{Api, drain, http, tcp};
use crate::bus::lock::{Holding, Keeper, LockListener};
use crate::bus::{Bus, BusError, Direct, Permits, Publisher, Relay, StateStore, report};
use crate::config::{Config, Source};
use crate::hub::CloseReason;
use crate::keys::{KeyError, Keyring};
use crate::metrics::Metrics;
use crate::net::{Listener, Tls, TlsError};
use crate::oob::{self, Driver};
use crate::replicas::{self, Replicas};
use crate::router::{Link, LinkEvent, LinkListener, Memory, RouterHandle, Rules, spool};
use crate::services::useless::Useless;
use crate::services::{BusLink, Services, Setup, kept, lists, users};
use crate::supervise::Supervisor;

/// How long conversations with other muds may take to end.
const MUDS_GO: Duration = Duration::from_secs(1);

/// How long the start waits to learn whether the mud was on the network before.
const KNOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// How long it may take to give the session lock back.
const LOCK_GIVEN_BACK: Duration = Duration::from_secs(2);

/// How often files are looked at: a new key works, an old one ends, and a new certificate is shown within this.
const RELOAD_INTERVAL: Duration = Duration::from_secs(2);

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

/// Runs the gateway until `stop` resolves.
///
/// # Errors
/// [`RunError`] when it cannot start, or when one of its tasks fails. Otherwise only `stop` ends it.
pub async fn run(mut config: Config, stop: impl Future<Output = ()>) -> Result<(), RunError> {
    let now = Timestamp::now();
    let keyring = Arc::new(Keyring::load(config.api.keys.clone(), config.api.rates.clone(), now)?);
    let tls = config.api.tls.clone().map(Tls::load).transpose()?.map(Arc::new);
    // A handshake is part of showing a key, so it has that long.
    let handshake = config.api.limits.authentication;
    let websocket = listen(config.api.websocket, "WebSocket and health", tls.clone(), handshake).await?;
    let lines = match config.api.tcp {
        Some(address) => Some(listen(address, "TCP lines", tls.clone(), handshake).await?),
        None => None,
    };
    let observers = match config.metrics {
        Some(address) => Some(listen(address, "metrics", None, handshake).await?),
        None => None,
    };
    let muds = match config.oob.listen {
        Some(address) => Some(listen(address, "other muds", None, handshake).await?),
        None => None,
    };
    if let Some(muds) = &muds
        && config.mud.oob.port == 0
    {
        config.mud.oob.port = muds.address().port();
    }
    let metrics = Arc::new(Metrics::new(&config.mud.name, &config.network));
    let router = RouterHandle::new(Arc::clone(&metrics));
    let bus = match &config.nats {
        Some(nats) => {
            Some(Bus::connect(nats, &config.network, &config.mud.name, &config.holder, &metrics).await?)
        }
        None => None,
    };

    // The clients and the router link end first, so that what they still send reaches the bus.
    let clients_stop = CancellationToken::new();
    let lock_stop = CancellationToken::new();
    let bus_stop = CancellationToken::new();
    let supervisor = Supervisor::new();
    let direct = bus
        .as_ref()
        .map(|bus| Direct::start(bus, &config.mud.name, Arc::clone(&metrics), &supervisor, bus_stop.clone()));
    let relay = direct.as_ref().map(|direct| {
        // Another number for each process, so that what two of them relay is told apart.
        Relay::start(direct, rand::random(), &supervisor, bus_stop.clone())
    });
    let (publisher, unpublished) = Publisher::new();
    let (outgoing, to_others) = mpsc::channel(replicas::QUEUE);
    let services = Arc::new(Services::new(
        Setup {
            metrics: Arc::clone(&metrics),
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
        },
        router.clone(),
        bus.as_ref().zip(direct.clone()).zip(relay.clone()).map(|((bus, direct), relay)| BusLink {
            direct,
            relay,
            publisher,
            connected: bus.connected(),
            outgoing,
        }),
    ));
    let state = state_store(&config, bus.as_ref());
    let me = format!("{}.{}", config.holder, uuid::Uuid::new_v4());
    let (lock, holding) =
        session_lock(&config, bus.as_ref(), &me, &services, &state, &supervisor, &lock_stop).await;
    let mut log_end = None;
    if let Some(bus) = &bus {
        bus.start_login(&supervisor, bus_stop.clone());
        let speaker = Arc::clone(&services);
        bus.start_publisher(unpublished, &supervisor, bus_stop.clone(), move |event| {
            speaker.on_unpublished(&event);
        });
        log_end = Some(Replicas::start(bus, &me, &services, to_others, &supervisor, &bus_stop));
        let (reader, listener) = (Arc::clone(&services), Arc::clone(&services));
        bus.start_subscriber(
            holding.clone(),
            &supervisor,
            bus_stop.clone(),
            move || reader.stream_place(),
            move |place, event| listener.on_bus(place, event),
        );
        let hub = Arc::clone(&services);
        let clients = move || hub.hub.count_all();
        start_report(bus, &config, &router, &holding, clients, &supervisor, &bus_stop);
    }
    if let (Some(direct), Some(relay)) = (direct, relay) {
        let (listener, member, hearer) =
            (Arc::clone(&services), Arc::clone(&services), Arc::clone(&services));
        direct.start_links(
            relay,
            router.watch(),
            holding.clone(),
            move || member.wanted(),
            move |relayed| hearer.on_relayed(relayed),
            &supervisor,
            bus_stop.clone(),
        );
        direct.start_mailbox(
            router.watch(),
            holding.clone(),
            &supervisor,
            clients_stop.clone(),
            move |packet| {
                listener.on_direct(packet);
            },
        );
    }
    let api = Api::new(
        Arc::clone(&services),
        Arc::clone(&keyring),
        Arc::clone(&metrics),
        config.api.limits,
        bus.as_ref().map(|bus| Forward::new(bus, &services)),
        clients_stop.clone(),
    );
    if let Some(forward) = api.forward.clone() {
        let asked = forward.clone().serve(api.clone(), holding.clone(), bus_stop.clone());
        supervisor.spawn("requests of other processes", asked);
        supervisor.spawn("hand-over", forward.hand_over(bus_stop.clone()));
        let kept = kept::keep(Arc::clone(&services), state.clone(), bus_stop.clone());
        supervisor.spawn("kept tells", kept);
    }
    supervisor.spawn("http", http::serve_clients(api.clone(), websocket, config.api.served));
    if let Some(listener) = lines {
        supervisor.spawn("tcp", tcp::serve(api.clone(), listener));
    }
    if let Some(listener) = observers {
        supervisor.spawn("metrics", http::serve_metrics(api.clone(), listener));
    }
    if let Some(muds) = muds {
        let driver = Driver { services: Arc::clone(&services), metrics: Arc::clone(&metrics) };
        supervisor.spawn("oob", oob::listener::run(driver, muds));
    }
    router.set_pace(config.rules.packets_per_second);
    let rules = watch::Sender::new(config.rules.clone());
    let link_rules = rules.subscribe();
    let followed = Followed {
        keyring,
        tls,
        source: config.source.take(),
        rules,
        router: router.clone(),
        services: Arc::clone(&services),
    };
    supervisor.spawn("reload", reload(followed, bus_stop.clone()));
    supervisor.spawn("each second", each_second(router.clone(), Arc::clone(&services), bus_stop.clone()));
    supervisor
        .spawn("session lock watch", watch_duty(holding.clone(), Arc::clone(&metrics), bus_stop.clone()));
    supervisor.spawn("event loop delay", until(bus_stop.clone(), metrics.event_loop.measure()));
    let kept = supervisor.spawn("lists", lists::keep(Arc::clone(&services), state.clone(), bus_stop.clone()));
    let spool_stop = CancellationToken::new();
    let spool = spool::keep(router.clone(), Memory(state.clone()), holding.clone(), spool_stop.clone());
    let spool = supervisor.spawn("spool", spool);
    let users = users::keep(Arc::clone(&services), state.clone(), holding.clone(), spool_stop.clone());
    let users = supervisor.spawn("users", users);
    let permits = bus.as_ref().map_or_else(Permits::none, |bus| Permits::over(bus, &config.mud.name));
    let ways = Ways { rules: link_rules, permits };
    let link = link(&config, state, router, metrics, services, holding, ways, &clients_stop);
    let link = supervisor.spawn("router link", link);

    let failed = tokio::select! {
        () = stop => None,
        name = supervisor.failed() => Some(name),
    };
    supervisor.end();
    tracing::info!("shutting down");
    end_conversations(&api.services).await;
    drain::run(&api, &mut rand::rng()).await;
    // The link ends by itself within its own drain time.
    if let Err(error) = link.await {
        tracing::error!(%error, "the router link failed");
    }
    // What still waits is kept, and only then may another process take the session over.
    spool_stop.cancel();
    if let Err(error) = spool.await {
        tracing::error!(%error, "what waits for the router was not kept");
    }
    if let Err(error) = users.await {
        tracing::error!(%error, "what is known of users was not kept");
    }
    if let Some(log_end) = log_end {
        log_end.reach().await;
    }
    lock_stop.cancel();
    if let Some(lock) = lock
        && timeout(LOCK_GIVEN_BACK, lock).await.is_err()
    {
        tracing::warn!("the session lock was not given back; another process has to wait for its end");
    }
    bus_stop.cancel();
    if let Err(error) = kept.await {
        tracing::error!(%error, "the lists were not kept");
    }
    tracing::info!("stopped");
    failed.map_or(Ok(()), |name| Err(RunError::TaskEnded(name)))
}

/// Conversations with other muds end first, so that clients are still told what became of what they asked for.
async fn end_conversations(services: &Services) {
    services.oob.stop.cancel();
    services.oob.tasks.close();
    if timeout(MUDS_GO, services.oob.tasks.wait()).await.is_err() {
        tracing::warn!("some conversations with other muds did not end in time");
    }
}

async fn listen(
    address: SocketAddr,
    what: &'static str,
    tls: Option<Arc<Tls>>,
    handshake: Duration,
) -> Result<Listener, RunError> {
    let secured = tls.is_some();
    let listener = Listener::bind(address, tls, handshake).await.map_err(|source| RunError::Listen {
        address,
        what,
        source,
    })?;
    tracing::info!(address = %listener.address(), what, tls = secured, "listening");
    Ok(listener)
}

fn start_report(
    bus: &Bus,
    config: &Config,
    router: &RouterHandle,
    holding: &Holding,
    clients: impl Fn() -> usize + Send + Sync + 'static,
    supervisor: &Supervisor,
    stop: &CancellationToken,
) {
    let Some(resource) = &config.kubernetes else { return };
    let report = report::run(
        bus.context().clone(),
        resource.clone(),
        config.holder.clone(),
        router.watch(),
        holding.clone(),
        clients,
        stop.clone(),
    );
    supervisor.spawn("report", report);
}

fn state_store(config: &Config, bus: Option<&Bus>) -> StateStore {
    match bus {
        Some(bus) => StateStore::Bus {
            context: bus.context().clone(),
            network: config.network.clone(),
            mud: config.mud.name.clone(),
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

/// The ways to routers.
struct Ways {
    rules: watch::Receiver<Rules>,
    permits: Permits,
}

/// The link to the router, which starts with what is known from before.
#[expect(clippy::too_many_arguments, reason = "each is a part of its own, put together here only")]
fn link(
    config: &Config,
    state: StateStore,
    router: RouterHandle,
    metrics: Arc<Metrics>,
    services: Arc<Services>,
    holding: Holding,
    ways: Ways,
    stop: &CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let link = Link {
        mud: config.mud.clone(),
        rules: ways.rules,
        permits: ways.permits,
        initial_password: config.router_password,
        memory: Memory(state.clone()),
        handle: router,
        metrics,
        listener: Arc::clone(&services) as Arc<dyn LinkListener>,
        holding,
        shutdown: stop.clone(),
    };
    async move {
        lists::restore(&services, &state).await;
        link.run().await;
    }
}

/// Numbers of events start over when the process does, under an epoch that is never used again.
fn epoch(now: Timestamp) -> u64 {
    now.as_millisecond().unsigned_abs()
}

/// What follows changes of files while the gateway runs.
struct Followed {
    keyring: Arc<Keyring>,
    tls: Option<Arc<Tls>>,
    source: Option<Source>,
    rules: watch::Sender<Rules>,
    router: RouterHandle,
    services: Arc<Services>,
}

/// Looks for changed files now and then.
async fn reload(mut followed: Followed, stop: CancellationToken) {
    let mut look = interval(RELOAD_INTERVAL);
    let mut last_problem = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        let problem = followed.reload_keys().err();
        if problem != last_problem
            && let Some(problem) = &problem
        {
            tracing::warn!(problem, "keeping what was read before");
        }
        last_problem = problem;
        if let Err(problem) = followed.reload_config() {
            tracing::warn!(problem, "keeping the configuration that was read before");
        }
    }
}

impl Followed {
    /// What a key's end takes with it are the sessions that use it.
    fn reload_keys(&self) -> Result<(), String> {
        if self.keyring.reload(Timestamp::now()).map_err(|error| error.to_string())? {
            tracing::info!("the API keys have changed");
            self.services.hub.close_revoked(|key| self.keyring.holds(key));
        }
        if let Some(tls) = &self.tls
            && tls.reload().map_err(|error| error.to_string())?
        {
            tracing::info!("the TLS certificate has changed");
        }
        Ok(())
    }

    /// Routers, pace, egress and policies are followed; all else is read once.
    fn reload_config(&mut self) -> Result<(), String> {
        let Some(source) = &mut self.source else { return Ok(()) };
        let Some(Config { rules, policy, .. }) = source.reload()? else { return Ok(()) };
        tracing::info!(
            ignored = policy.ignore.len(),
            pace = rules.packets_per_second,
            routers = rules.routers.len(),
            egress = rules.egress.name(),
            "the configuration has changed; what else it says takes effect at the next start"
        );
        self.router.set_pace(rules.packets_per_second);
        self.services.set_policy(policy);
        self.rules.send_if_modified(|current| {
            let changed = *current != rules;
            *current = rules;
            changed
        });
        Ok(())
    }
}

/// Counts the changes of what this process may do with the router session.
async fn watch_duty(mut holding: Holding, metrics: Arc<Metrics>, stop: CancellationToken) {
    loop {
        let duty = holding.now();
        metrics.bus.duty(duty);
        tokio::select! {
            () = stop.cancelled() => return,
            () = holding.wait_for(|now| now != duty) => {}
        }
    }
}

/// Does something until it is to stop.
async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Looks each second for what is due: packets that waited too long, and messages nobody decided about.
async fn each_second(router: RouterHandle, services: Arc<Services>, stop: CancellationToken) {
    let mut second = interval(Duration::from_secs(1));
    let mut useless = Useless::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = second.tick() => {}
        }
        let now = std::time::Instant::now();
        services.on_second(now);
        // Without a bus there is no other process to go to.
        let useful = services.bus_connected().is_none() || services.is_ready();
        if useless.look(now, useful) {
            services.hub.close_all(CloseReason::Useless);
        }
        for packet in router.expire() {
            services.on_link(LinkEvent::Expired(packet));
        }
    }
}
