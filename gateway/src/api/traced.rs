//! What is logged of a request. All lines for it carry its id, also those of the process that does it for another.

use std::time::Instant;

use tracing::{Span, field};
use uuid::Uuid;

/// An id for a request.
pub(super) fn new_id() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

/// The span of a request. Whatever is logged, it is there to say for which request.
pub(super) fn request(id: Uuid) -> Span {
    tracing::error_span!("request", request_id = %id, session = field::Empty)
}

/// A request was answered.
pub(super) fn answered(method: &'static str, error: Option<i64>, start: Instant) {
    tracing::debug!(method, error, seconds = start.elapsed().as_secs_f64(), "answered a request");
}

/// A request that a client made of another process was answered here.
pub(super) fn answered_for_another(method: &str, error: Option<i64>, start: tokio::time::Instant) {
    tracing::debug!(
        method,
        error,
        seconds = start.elapsed().as_secs_f64(),
        "answered a request of another process"
    );
}
