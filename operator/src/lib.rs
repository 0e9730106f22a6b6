//! The mudgateway operator: turns MudGateway resources into gateway pods.
//!
//! [`run`] is the whole of it. A change seen by a watch (`controller`) is noted (`index`), waits for its turn (`workqueue`),
//! and is reconciled (`runner`, `mudgateway`); beside that, the operator keeps NATS in shape and hears the gateways'
//! reports (`bus`).

mod access;
mod backoff;
mod bus;
mod client;
mod context;
mod controller;
mod http;
mod index;
mod key;
mod leader;
mod lock;
pub mod metrics;
mod mudgateway;
pub mod network;
mod runner;
pub mod settings;
pub mod telemetry;
#[cfg(test)]
mod testing;
mod watch;
mod workqueue;

use std::borrow::Cow;
use std::fmt::Debug;
use std::io;

use futures::future;
use kube::api::{Api, ListParams};
use kube::{Config, Resource};
use mudgateway_crds::{IntermudNetwork, MudGateway};
use mudgateway_telemetry::listen;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::access::Access;
use crate::bus::Bus;
use crate::context::Context;
use crate::metrics::Metrics;
use crate::settings::Settings;

/// Why the operator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address for health and metrics cannot be had.
    #[error("listening on {0}: {1}")]
    Listen(std::net::SocketAddr, #[source] io::Error),
    /// The server for health and metrics failed.
    #[error("serving health and metrics: {0}")]
    Serve(#[source] io::Error),
    /// The configuration for the API server cannot be used.
    #[error("setting up the connection to the API server: {0}")]
    Client(#[source] kube::Error),
    /// There is no way into NATS.
    #[error(transparent)]
    Access(#[from] access::Error),
    /// The cluster has no MudGateways, or no IntermudNetworks.
    #[error(
        "the API server does not know {0}s: install the definition with \
         `kubectl apply --server-side -f crds/`, or with the chart by `crds.enabled=true`"
    )]
    NoDefinition(Cow<'static, str>),
    /// Another operator leads now.
    #[error(transparent)]
    Lost(#[from] leader::Lost),
    /// The API server refuses us.
    #[error("listing MudGateways: {0}")]
    List(#[source] kube::Error),
}

/// Runs the operator until `shutdown`, then ends what has begun.
///
/// # Errors
/// When it cannot begin: there is no use in an operator without the API server, or without MudGateways.
pub async fn run(config: Config, settings: Settings, shutdown: CancellationToken) -> Result<(), Error> {
    let listener = listen::listen(settings.http_listen)
        .await
        .map_err(|error| Error::Listen(settings.http_listen, error))?;
    serve(config, settings, listener, shutdown).await
}

/// The same, with health and metrics on a listener that is there already.
///
/// # Errors
/// See [`run`].
pub async fn serve(
    config: Config,
    settings: Settings,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let metrics = Metrics::default();
    let client = client::client(config, &metrics).map_err(Error::Client)?;
    let scopes = settings.scopes();
    for scope in &scopes {
        check_definition::<MudGateway>(controller::api(&client, scope)).await?;
    }
    let no_networks = no_networks(Api::all(client.clone()));
    let identity = identity(&settings);
    let access = Access::find(&client, &settings).await?;
    let context = Context::new(client, settings, metrics, access);
    info!(version = env!("CARGO_PKG_VERSION"), ?scopes, "operator started");

    let controller = controller::run(context.clone(), scopes, shutdown);
    let bus = Bus::new(context.clone());
    let networks = future::join(network::watch(context.clone()), network_statuses(context.clone()));
    let event_loop = context.metrics.event_loop.measure();
    // It is given back when the last reconciliation has ended, and not before.
    let release = CancellationToken::new();
    let election = elect(&context, identity, release.clone());
    tokio::pin!(election);
    tokio::select! {
        () = event_loop => {}
        // Ends after the shutdown, with the last reconciliation.
        () = controller => {}
        () = bus.run() => {}
        _ = networks => {}
        error = no_networks => return Err(error),
        result = http::serve(listener, context.clone(), CancellationToken::new()) => result.map_err(Error::Serve)?,
        result = &mut election => result?,
    }
    release.cancel();
    election.await?;
    info!("operator stopped");
    Ok(())
}

/// Who we are among several operators, if there may be several.
fn identity(settings: &Settings) -> Option<leader::Identity> {
    let namespace = settings.lease_namespace.clone()?;
    let pod = std::env::var("POD_NAME").unwrap_or_else(|_| "operator".to_owned());
    // A container that starts again in its pod is another holder.
    let holder = format!("{pod}_{:016x}", rand::random::<u64>());
    Some(leader::Identity { namespace, lease: settings.lease_name.clone(), holder })
}

/// Who does not lead writes nothing.
async fn network_statuses(context: Context) {
    context.leading().await;
    network::keep_statuses(context).await;
}

/// Leads when it is our turn, until `release`; at once where there is nobody else.
async fn elect(
    context: &Context,
    identity: Option<leader::Identity>,
    release: CancellationToken,
) -> Result<(), leader::Lost> {
    match identity {
        Some(identity) => {
            let (leads, transitions) = (|| context.lead(), &context.metrics.lease_transitions);
            leader::run(context.client.clone(), identity, leads, transitions, release).await
        }
        None => {
            context.lead();
            release.cancelled().await;
            Ok(())
        }
    }
}

/// A watch on a kind that does not exist would fail again and again, with an error that does not help.
async fn check_definition<K>(api: Api<K>) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    match api.list_metadata(&ListParams::default().limit(1)).await {
        Ok(_) => Ok(()),
        // By the code: the answer for an unknown kind has no reason, it is not even JSON.
        Err(kube::Error::Api(status)) if status.code == 404 => Err(Error::NoDefinition(K::kind(&()))),
        Err(error) => Err(Error::List(error)),
    }
}

/// Says so if there are no IntermudNetworks, and else nothing, for ever. Nobody waits for that: most muds are on none, and
/// the others are told whatever else is wrong.
async fn no_networks(api: Api<IntermudNetwork>) -> Error {
    match check_definition(api).await {
        Err(error @ Error::NoDefinition(_)) => error,
        _ => future::pending().await,
    }
}
