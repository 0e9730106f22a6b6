//! Puts the parts together and takes them down in order.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::api::{Api, drain, http, tcp};
use crate::bus::{Bus, BusError, StateStore, report};
use crate::config::Config;
use crate::keys::{KeyError, Keyring};
use crate::metrics::Metrics;
use crate::net::{Listener, Tls, TlsError};
use crate::router::{Link, LinkEvent, LinkListener, Memory, RouterHandle};
use crate::services::{BusLink, Services, Setup, lists};

/// How often files are looked at: a new key works, an old one ends, and a new certificate is shown within this.
const RELOAD_INTERVAL: Duration = Duration::from_secs(2);

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
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
}

/// Runs the gateway until `stop` resolves.
///
/// # Errors
/// [`StartError`] when it cannot start. Once it runs, only `stop` ends it.
pub async fn run(config: Config, stop: impl Future<Output = ()>) -> Result<(), StartError> {
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
    let metrics = Arc::new(Metrics::default());
    let router = RouterHandle::default();
    let bus = match &config.nats_url {
        Some(url) => Some(Bus::connect(url, &config.network, &config.holder).await?),
        None => None,
    };

    // The clients and the router link end first, so that what they still send reaches the bus.
    let clients_stop = CancellationToken::new();
    let bus_stop = CancellationToken::new();
    let services = Arc::new(Services::new(
        Setup {
            mud: config.mud.name.clone(),
            epoch: epoch(now),
            channels: config.channels.clone(),
            policy: config.policy.clone(),
            history: config.history,
        },
        router.clone(),
        bus.as_ref().map(|bus| BusLink {
            publisher: bus.start_publisher(bus_stop.clone()),
            connected: bus.connected(),
        }),
    ));
    if let Some(bus) = &bus {
        start_bus(bus, &config, &services, &router, &bus_stop);
    }
    let api = Api::new(
        Arc::clone(&services),
        Arc::clone(&keyring),
        Arc::clone(&metrics),
        config.api.limits,
        clients_stop.clone(),
    );
    tokio::spawn(http::serve_clients(api.clone(), websocket, config.api.echo));
    if let Some(listener) = lines {
        tokio::spawn(tcp::serve(api.clone(), listener));
    }
    if let Some(listener) = observers {
        tokio::spawn(http::serve_metrics(api.clone(), listener));
    }
    tokio::spawn(reload(keyring, tls, Arc::clone(&services), bus_stop.clone()));
    tokio::spawn(expire(router.clone(), Arc::clone(&services), bus_stop.clone()));
    let state = state_store(&config, bus.as_ref());
    let kept = tokio::spawn(lists::keep(Arc::clone(&services), state.clone(), bus_stop.clone()));
    let link = link(&config, state, router, metrics, services, &clients_stop);
    let link = tokio::spawn(link);

    stop.await;
    tracing::info!("shutting down");
    drain::run(&api, &mut rand::rng()).await;
    // The link ends by itself within its own drain time.
    if let Err(error) = link.await {
        tracing::error!(%error, "the router link failed");
    }
    bus_stop.cancel();
    if let Err(error) = kept.await {
        tracing::error!(%error, "the lists were not kept");
    }
    tracing::info!("stopped");
    Ok(())
}

async fn listen(
    address: SocketAddr,
    what: &'static str,
    tls: Option<Arc<Tls>>,
    handshake: Duration,
) -> Result<Listener, StartError> {
    let secured = tls.is_some();
    let listener = Listener::bind(address, tls, handshake).await.map_err(|source| StartError::Listen {
        address,
        what,
        source,
    })?;
    tracing::info!(address = %listener.address(), what, tls = secured, "listening");
    Ok(listener)
}

fn start_bus(
    bus: &Bus,
    config: &Config,
    services: &Arc<Services>,
    router: &RouterHandle,
    stop: &CancellationToken,
) {
    let listener = Arc::clone(services);
    bus.start_subscriber(stop.clone(), move |event| listener.on_bus(event));
    if let Some(resource) = &config.kubernetes {
        tokio::spawn(report::run(
            bus.context().clone(),
            resource.clone(),
            config.holder.clone(),
            router.watch(),
            stop.clone(),
        ));
    }
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

/// The link to the router, which starts with what is known from before.
fn link(
    config: &Config,
    state: StateStore,
    router: RouterHandle,
    metrics: Arc<Metrics>,
    services: Arc<Services>,
    stop: &CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let link = Link {
        mud: config.mud.clone(),
        routers: config.routers.clone(),
        initial_password: config.router_password,
        memory: Memory(state.clone()),
        handle: router,
        metrics,
        listener: Arc::clone(&services) as Arc<dyn LinkListener>,
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

/// Looks for changed files now and then. What a key's end takes with it are the sessions that use it.
async fn reload(
    keyring: Arc<Keyring>,
    tls: Option<Arc<Tls>>,
    services: Arc<Services>,
    stop: CancellationToken,
) {
    let mut look = interval(RELOAD_INTERVAL);
    let mut last_problem = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        let problem = reload_once(&keyring, tls.as_deref(), &services).err();
        if problem != last_problem
            && let Some(problem) = &problem
        {
            tracing::warn!(problem, "keeping what was read before");
        }
        last_problem = problem;
    }
}

fn reload_once(keyring: &Keyring, tls: Option<&Tls>, services: &Services) -> Result<(), String> {
    if keyring.reload(Timestamp::now()).map_err(|error| error.to_string())? {
        tracing::info!("the API keys have changed");
        services.hub.close_revoked(|key| keyring.holds(key));
    }
    if let Some(tls) = tls
        && tls.reload().map_err(|error| error.to_string())?
    {
        tracing::info!("the TLS certificate has changed");
    }
    Ok(())
}

/// Takes packets that waited too long out of the outbox, each second.
async fn expire(router: RouterHandle, services: Arc<Services>, stop: CancellationToken) {
    let mut second = interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = second.tick() => {}
        }
        for packet in router.expire() {
            services.on_link(LinkEvent::Expired(packet));
        }
    }
}
