//! The JSON-RPC API that MUDs speak to us, over WebSocket and TCP lines.

mod auth;
pub mod http;
mod methods;
mod rpc;
pub mod tcp;
mod ws;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use auth::{KeyError, Keyring};

use crate::hub::{Session, Transport};
use crate::metrics::{Metrics, Outcome};
use crate::services::Services;
use rpc::{Request, RpcError};

/// The largest message a client may send; a larger one is answered with an error.
pub const MESSAGE_BYTES: usize = 64 * 1024;

/// Past this a WebSocket message is not even read: the connection is closed.
pub const HARD_MESSAGE_BYTES: usize = 4 * MESSAGE_BYTES;

/// How long a client may take to show a key.
pub const AUTHENTICATION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one write to a client may take before it counts as stalled.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// The most client connections, of both transports together.
pub const CONNECTIONS: usize = 1000;

/// What every connection needs.
#[derive(Clone)]
pub struct Api {
    /// What the methods work on.
    pub services: Arc<Services>,
    /// Who may use them.
    pub keyring: Arc<Keyring>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Fires when the gateway ends.
    pub shutdown: CancellationToken,
    /// The connections, so that the end can wait for them.
    pub connections: TaskTracker,
    slots: Arc<Semaphore>,
}

impl Api {
    /// The API on top of the services.
    pub fn new(
        services: Arc<Services>,
        keyring: Keyring,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            services,
            keyring: Arc::new(keyring),
            metrics,
            shutdown,
            connections: TaskTracker::new(),
            slots: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    /// A place for one more connection, if there is one.
    fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }

    /// Handles one message of a client. The answer, if there is one, goes into its queue.
    async fn handle(&self, session: &Arc<Session>, text: &[u8]) {
        if text.len() > MESSAGE_BYTES {
            let mut scanner = rpc::IdScanner::default();
            scanner.feed(text);
            return self.refuse_oversized(session, scanner);
        }
        match rpc::parse(text) {
            Ok(request) => {
                let result = self.call(session, &request).await;
                if let Some(id) = &request.id {
                    session.queue.push(rpc::answer(Some(id), result));
                }
            }
            Err(rejected) => {
                self.metrics.request("invalid", Outcome::of(rejected.error.code));
                session.queue.push(rpc::answer(rejected.id.as_ref(), Err(rejected.error)));
            }
        }
    }

    /// Answers a message that is too long.
    fn refuse_oversized(&self, session: &Session, scanner: rpc::IdScanner) {
        let message = format!("Message too long: send at most {MESSAGE_BYTES} bytes");
        let error = RpcError::new(rpc::INVALID_REQUEST, message);
        self.metrics.request("invalid", Outcome::of(error.code));
        session.queue.push(rpc::answer(scanner.id().as_ref(), Err(error)));
    }

    async fn call(&self, session: &Arc<Session>, request: &Request) -> Result<Value, RpcError> {
        let (name, result) = methods::call(self, session, request).await;
        let outcome = result.as_ref().err().map_or(Outcome::Ok, |error| Outcome::of(error.code));
        self.metrics.request(name, outcome);
        result
    }

    /// Ends a session.
    fn finish(&self, session: &Session) {
        self.services.hub.remove(session);
        if let Some(reason) = session.queue.closed() {
            self.metrics.closed(session.transport, reason);
            tracing::info!(
                session = %session.id, transport = session.transport.as_str(), reason = reason.as_str(),
                "closed a client connection"
            );
        }
    }
}

/// The code that says "not authenticated" on a transport.
fn not_authenticated_code(transport: Transport) -> i64 {
    match transport {
        Transport::WebSocket => rpc::INVALID_REQUEST,
        Transport::Tcp => rpc::NOT_AUTHENTICATED,
    }
}

/// The code that says "wrong key" on a transport.
fn invalid_key_code(transport: Transport) -> i64 {
    match transport {
        Transport::WebSocket => rpc::INTERNAL_ERROR,
        Transport::Tcp => rpc::NOT_AUTHENTICATED,
    }
}
