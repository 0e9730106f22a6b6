//! What the methods about mail, files and news have in common.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::Context;
use crate::api::rpc::{GATEWAY_ERROR, INVALID_PARAMS, RpcError};
use crate::calls::errands::Underway;
use crate::calls::{Driver, Unavailable};
use crate::oob::desk::Answer;

impl Context<'_> {
    /// What calls to other muds need.
    pub(super) fn driver(&self) -> Driver {
        self.api.driver()
    }
}

/// The error for a mud that cannot be called.
pub(super) fn unavailable(why: Unavailable) -> RpcError {
    let code = match why {
        Unavailable::Ourselves(_) => INVALID_PARAMS,
        _ => GATEWAY_ERROR,
    };
    RpcError::new(code, why.to_string())
}

/// Waits for the results. They come as events all the same.
pub(super) async fn finished<T>(underway: Underway<T>, until: Instant) -> Result<Vec<T>, RpcError> {
    match timeout_at(until, futures::future::try_join_all(underway.results)).await {
        Ok(Ok(results)) => Ok(results),
        Ok(Err(error)) => Err(RpcError::internal(&error)),
        Err(_) => {
            let data = json!({"id": underway.id});
            let message = "No answer in time; it will still come as an event";
            Err(RpcError { data: Some(data), ..RpcError::new(GATEWAY_ERROR, message) })
        }
    }
}

/// The one result. An error of the other mud, or of the way to it, is an error.
pub(super) async fn finished_one<T>(
    underway: Underway<T>,
    until: Instant,
    error: impl Fn(&T) -> Option<String>,
) -> Result<T, RpcError> {
    let mut results = finished(underway, until).await?;
    let result = results.pop().ok_or_else(|| RpcError::new(GATEWAY_ERROR, "No answer"))?;
    match error(&result) {
        Some(error) => Err(RpcError::new(GATEWAY_ERROR, error)),
        None => Ok(result),
    }
}

/// Result of an answer to another mud's request.
#[derive(Serialize, JsonSchema)]
pub(super) struct AnswerTaken {
    /// Always `success`: it goes to the mud that asked.
    status: &'static str,
    /// As in the request.
    request_id: String,
}

/// Takes a client's answer to another mud's request.
pub(super) fn take_answer(
    context: Context<'_>,
    request_id: String,
    answer: Answer,
) -> Result<AnswerTaken, RpcError> {
    let invalid = |message: String| RpcError {
        data: Some(json!({"field": "request_id"})),
        ..RpcError::new(INVALID_PARAMS, format!("Invalid parameter: request_id: {message}"))
    };
    let id = Uuid::parse_str(&request_id).map_err(|_| invalid("expected the one of an event".to_owned()))?;
    context.services().oob.desk.answer(id, answer).map_err(|error| invalid(error.to_string()))?;
    Ok(AnswerTaken { status: "success", request_id })
}
