//! Health and metrics over HTTP.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use mudgateway_telemetry::metrics::CONTENT_TYPE;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// Serves until `shutdown`.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    context: Context,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(context);
    axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

/// Ready once every MudGateway is known. A NATS that is away changes nothing: reconciling goes on without.
async fn ready(State(context): State<Context>) -> Response {
    if context.index().is_complete() {
        "ok".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the MudGateways are not listed yet").into_response()
    }
}

async fn metrics(State(context): State<Context>) -> Response {
    context.count_objects();
    match context.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
