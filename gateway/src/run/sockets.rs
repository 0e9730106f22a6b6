//! The listeners, opened before anything else starts: a port in use ends the start at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::RunError;
use crate::config::Config;
use crate::net::{Listener, Tls};

/// Everything the gateway listens at.
pub(super) struct Sockets {
    /// WebSocket and HTTP.
    pub websocket: Listener,
    /// JSON-RPC, a line each.
    pub lines: Option<Listener>,
    /// Metrics and health.
    pub observers: Option<Listener>,
    /// Other muds' out-of-band calls.
    pub muds: Option<Listener>,
}

impl Sockets {
    /// Opens them all. An out-of-band port left to the system is announced as it turns out.
    pub async fn open(config: &mut Config, tls: Option<&Arc<Tls>>) -> Result<Self, RunError> {
        // A handshake is part of showing a key, so it has that long.
        let handshake = config.api.limits.authentication;
        let api = &config.api;
        let websocket = listen(api.websocket, "WebSocket and health", tls.cloned(), handshake).await?;
        let lines = maybe(api.tcp, "TCP lines", tls.cloned(), handshake).await?;
        let observers = maybe(config.metrics, "metrics", None, handshake).await?;
        let muds = maybe(config.oob.listen, "other muds", None, handshake).await?;
        if let Some(muds) = &muds
            && config.mud.oob.port == 0
        {
            config.mud.oob.port = muds.address().port();
        }
        Ok(Self { websocket, lines, observers, muds })
    }
}

async fn maybe(
    address: Option<SocketAddr>,
    what: &'static str,
    tls: Option<Arc<Tls>>,
    handshake: Duration,
) -> Result<Option<Listener>, RunError> {
    match address {
        Some(address) => listen(address, what, tls, handshake).await.map(Some),
        None => Ok(None),
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
