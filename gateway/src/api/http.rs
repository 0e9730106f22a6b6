//! The HTTP side: health, metrics, and the upgrade to WebSocket.

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper_util::rt::TokioIo;
use mudgateway_telemetry::metrics::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Api, authenticate, openrpc, status, ws};
use crate::hub::{CloseReason, Session, Transport};
use crate::net::Listener;
use crate::net::http::{self, Peer};

/// What is served to clients besides health.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    /// WebSocket.
    pub websocket: bool,
    /// `/echo`, for tests of the WebSocket protocol.
    pub echo: bool,
    /// The status page.
    pub status_page: bool,
}

/// Serves clients: health, and what is wanted besides.
pub async fn serve_clients(api: Api, listener: Listener, served: Served) {
    let mut router = Router::new()
        .route("/api/info", get(info))
        .route("/api/docs", get(|| async { Json(openrpc::document()) }))
        .merge(health());
    if served.websocket {
        router = router.route("/", get(websocket)).route("/ws", get(websocket));
    }
    if served.status_page {
        router = router.merge(status::routes());
    }
    if served.echo {
        tracing::warn!("serving /echo, which is for tests: anybody can connect to it");
        router = router.route("/echo", get(self::echo));
    }
    serve(api, listener, router).await
}

/// Serves those who watch us: metrics and health.
pub async fn serve_metrics(api: Api, listener: Listener) {
    serve(api, listener, Router::new().route("/metrics", get(metrics)).merge(health())).await;
}

/// The head of a request is part of showing a key, so it has that long.
async fn serve(api: Api, listener: Listener, router: Router<Api>) {
    let (head, shutdown) = (api.limits.authentication, api.shutdown.clone());
    http::serve(listener, router.with_state(api), head, shutdown).await;
}

fn health() -> Router<Api> {
    Router::new()
        .route("/health", get(overview))
        .route("/health/live", get(|| async { Json(json!({"status": "alive"})) }))
        .route("/health/ready", get(ready))
}

async fn overview(State(api): State<Api>) -> Json<Value> {
    let websocket = api.services.hub.count(Transport::WebSocket);
    let link = api.services.router_status();
    Json(json!({
        "status": if api.services.is_ready() { "healthy" } else { "degraded" },
        "service": "i3-gateway-api",
        "websocket_connections": websocket,
        "active_sessions": websocket + api.services.hub.count(Transport::Tcp),
        "router": {"name": link.router, "state": link.reason.as_str(), "message": link.message},
        "bus": api.services.bus_state(),
        "role": api.services.role(),
    }))
}

/// Ready: clients are served usefully, because the router or the bus is there. The rest tells what is amiss all the same.
async fn ready(State(api): State<Api>) -> Response {
    let link = api.services.router_status();
    let is_ready = api.services.is_ready() && !api.draining.is_cancelled();
    let body = json!({
        "status": if is_ready { "ready" } else { "not_ready" },
        "reason": link.reason.as_str(), "message": link.message,
        "role": api.services.role(),
        "bus": api.services.bus_detail(),
    });
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

async fn info() -> Json<Value> {
    Json(json!({
        "version": "1.0.0",
        "protocol": "JSON-RPC 2.0",
        "transports": ["websocket", "tcp"],
        "authentication": "api_key",
        "documentation": "/api/docs",
    }))
}

async fn metrics(State(api): State<Api>) -> Response {
    match api.metrics.encode(&api.services.now()) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Upgrades to WebSocket. A key in `X-API-Key` is checked first; without one the client authenticates later.
async fn websocket(
    State(api): State<Api>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    mut request: Request,
) -> Response {
    let (accept, slot) = match handshake(&api, &request) {
        Ok(agreed) => agreed,
        Err((status, message)) => return refuse(status, message),
    };
    let session = Session::new(Transport::WebSocket, peer.ip(), api.limits.queue_bytes);
    let key = match request.headers().get("x-api-key").map(|key| key.to_str().unwrap_or_default()) {
        None => None,
        Some(text) => match authenticate::check(&api, &session, text) {
            Ok(key) => Some(key),
            Err(refused) => return refuse(StatusCode::UNAUTHORIZED, &refused.to_string()),
        },
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let connections = api.connections.clone();
    connections.spawn(async move {
        match upgrade.await {
            Ok(stream) => {
                if let Some(key) = key {
                    let admission = api.services.hub.authenticate(&session, key, None);
                    api.services.admit(&session, &admission);
                }
                ws::serve(api, session, TokioIo::new(stream)).await;
            }
            Err(error) => tracing::debug!(%error, "a WebSocket upgrade failed"),
        }
        drop(slot);
    });
    switch(accept)
}

/// Upgrades to a WebSocket that sends every message back.
async fn echo(State(api): State<Api>, mut request: Request) -> Response {
    let (accept, slot) = match handshake(&api, &request) {
        Ok(agreed) => agreed,
        Err((status, message)) => return refuse(status, message),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let connections = api.connections.clone();
    connections.spawn(async move {
        match upgrade.await {
            Ok(stream) => ws::echo(&api, TokioIo::new(stream)).await,
            Err(error) => tracing::debug!(%error, "a WebSocket upgrade failed"),
        }
        drop(slot);
    });
    switch(accept)
}

/// What the answer to a handshake carries and a place for the connection, or why there is none.
fn handshake(
    api: &Api,
    request: &Request,
) -> Result<(HeaderValue, OwnedSemaphorePermit), (StatusCode, &'static str)> {
    let accept = accept_key(request).map_err(|message| (StatusCode::UPGRADE_REQUIRED, message))?;
    let slot = api.slot().ok_or_else(|| {
        api.metrics.clients.closed(Transport::WebSocket, CloseReason::Full, 0);
        (StatusCode::SERVICE_UNAVAILABLE, "Too many connections: try again later")
    })?;
    Ok((accept, slot))
}

/// The answer to a handshake that succeeds.
fn switch(accept: HeaderValue) -> Response {
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// The answer to a WebSocket handshake (RFC 6455 section 4.2), or what is missing in it.
fn accept_key(request: &Request) -> Result<HeaderValue, &'static str> {
    let headers = request.headers();
    if request.method() != Method::GET
        || !has_token(headers, header::CONNECTION, "upgrade")
        || !has_token(headers, header::UPGRADE, "websocket")
    {
        return Err("This is a WebSocket endpoint: connect with a WebSocket client");
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err("Sec-WebSocket-Version must be 13");
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or("Sec-WebSocket-Key is missing")?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| "Sec-WebSocket-Key is not valid")
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, [(header::UPGRADE, "websocket")], Json(json!({"error": message}))).into_response()
}
