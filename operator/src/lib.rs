//! The mudgateway operator: turns MudGateway resources into gateway pods.
//!
//! [`run`] is the whole of it. A change seen by a watch ([`controller`]) is noted ([`index`]) and reconciled
//! ([`mudgateway`]); beside that, the operator keeps NATS in shape and hears the gateways' reports ([`bus`]).

pub mod backoff;
pub mod bus;
pub mod context;
pub mod controller;
pub mod http;
pub mod index;
pub mod key;
mod lock;
pub mod metrics;
pub mod mudgateway;
pub mod network;
pub mod settings;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod triggers;

use std::io;

use futures::future;
use kube::Config;
use kube::api::ListParams;
use kube::client::ClientBuilder;
use mudgateway_crds::MudGateway;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

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
    /// The cluster has no MudGateways.
    #[error(
        "the API server does not know MudGateways: install the definition with \
         `kubectl apply --server-side -f crds/`, or with the chart by `crds.enabled=true`"
    )]
    NoDefinition,
    /// The API server refuses us.
    #[error("listing MudGateways: {0}")]
    List(#[source] kube::Error),
}

/// Runs the operator until `shutdown`, then ends what has begun.
///
/// # Errors
/// When it cannot begin: there is no use in an operator without the API server, or without MudGateways.
pub async fn run(config: Config, settings: Settings, shutdown: CancellationToken) -> Result<(), Error> {
    let listener = TcpListener::bind(settings.http_listen)
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
    let client =
        ClientBuilder::try_from(config).map_err(Error::Client)?.with_layer(&metrics.requests).build();
    let scopes = settings.scopes();
    for scope in &scopes {
        check_definition(controller::api(&client, scope)).await?;
    }
    let concurrency = settings.concurrency.div_ceil(u16::try_from(scopes.len()).unwrap_or(u16::MAX));
    let context = Context::new(client, settings, metrics);
    info!(version = env!("CARGO_PKG_VERSION"), ?scopes, "operator started");

    let controllers = future::join_all(
        scopes
            .into_iter()
            .map(|scope| controller::run(context.clone(), scope, concurrency, shutdown.clone())),
    );
    let bus = Bus::new(context.clone());
    let networks = future::join(network::watch(context.clone()), network::keep_statuses(context.clone()));
    let event_loop = context.metrics.event_loop.measure();
    context.metrics.leader.set(1);
    tokio::select! {
        () = event_loop => {}
        // Ends after the shutdown, with the last reconciliation.
        _ = controllers => {}
        () = bus.run() => {}
        _ = networks => {}
        result = http::serve(listener, context, CancellationToken::new()) => result.map_err(Error::Serve)?,
    }
    info!("operator stopped");
    Ok(())
}

/// A watch on a kind that does not exist would fail again and again, with an error that does not help.
async fn check_definition(api: kube::Api<MudGateway>) -> Result<(), Error> {
    match api.list_metadata(&ListParams::default().limit(1)).await {
        Ok(_) => Ok(()),
        // By the code: the answer for an unknown kind has no reason, it is not even JSON.
        Err(kube::Error::Api(status)) if status.code == 404 => Err(Error::NoDefinition),
        Err(error) => Err(Error::List(error)),
    }
}
