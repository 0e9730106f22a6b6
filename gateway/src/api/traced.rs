//! What is logged and traced of a request. All lines for it carry its id, also those of the process that does it for
//! another, and that of its trace, if traces are sent.

use std::time::Instant;

use async_nats::HeaderMap;
use mudgateway_telemetry::traces;
use tracing::{Span, field};
use uuid::Uuid;

/// An id for a request.
pub(super) fn new_id() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

/// The span of a request. Whatever is logged, it is there to say for which request.
pub(super) fn request(id: Uuid, session: Uuid) -> Span {
    let span = span(id);
    span.record("session", field::display(session));
    record_trace(span)
}

/// The span of a request that another process passed on with its trace.
pub(super) fn passed_on(id: Uuid, headers: Option<&HeaderMap>) -> Span {
    let span = span(id);
    if let Some(carried) = headers.and_then(|headers| headers.get(traces::HEADER)) {
        traces::go_on(&span, carried.as_str());
    }
    record_trace(span)
}

/// The headers by which the trace goes on in the process that is asked, if traces are sent.
pub(super) fn headers() -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(traces::HEADER, traces::carry(&Span::current())?);
    Some(headers)
}

fn span(id: Uuid) -> Span {
    tracing::error_span!(
        "request",
        request_id = %id,
        session = field::Empty,
        trace_id = field::Empty,
        otel.kind = "server",
        error.code = field::Empty,
    )
}

fn record_trace(span: Span) -> Span {
    if let Some(trace) = traces::id(&span) {
        span.record("trace_id", trace);
    }
    span
}

/// Says in the trace what it was.
fn record(method: &str, error: Option<i64>) {
    let span = Span::current();
    traces::rename(&span, method);
    if let Some(code) = error {
        span.record("error.code", code);
    }
}

/// A request was answered.
pub(super) fn answered(method: &'static str, error: Option<i64>, start: Instant) {
    record(method, error);
    tracing::debug!(method, error, seconds = start.elapsed().as_secs_f64(), "answered a request");
}

/// A request that a client made of another process was answered here.
pub(super) fn answered_for_another(method: &str, error: Option<i64>, start: tokio::time::Instant) {
    record(method, error);
    tracing::debug!(
        method,
        error,
        seconds = start.elapsed().as_secs_f64(),
        "answered a request of another process"
    );
}
