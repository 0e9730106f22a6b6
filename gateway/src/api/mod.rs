//! The JSON-RPC API that MUDs speak to us, over WebSocket and TCP lines.

mod authenticate;
pub mod drain;
pub mod forward;
pub mod http;
mod methods;
pub mod openrpc;
pub(crate) mod rpc;
mod status;
pub mod tcp;
mod traced;
mod ws;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuid::Uuid;

use forward::Forward;

use crate::calls::{Driver, Holder};
use crate::hub::{Admission, Line, Session, Transport};
use crate::keys::{FailedAttempts, Keyring, RateLimited};
use crate::metrics::Metrics;
use crate::services::Services;
use crate::sync::lock;
use rpc::{Incoming, Rejected, Request, RpcError};

/// What a client may do to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most client connections, of both transports together.
    pub connections: usize,
    /// The largest message a client may send, in bytes; a larger one is answered with an error.
    pub message_bytes: usize,
    /// How much may wait for one client before it counts as too slow, in bytes.
    pub queue_bytes: usize,
    /// How long a client may take to show a key.
    pub authentication: Duration,
    /// How long one write to a client may take before it counts as stalled.
    pub write: Duration,
    /// How long the closing of many clients may take when the gateway ends.
    pub drain: Duration,
    /// How often a WebSocket client is pinged. One that sends nothing from one ping to the next is gone.
    pub ping_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1000,
            message_bytes: 64 * 1024,
            queue_bytes: 1024 * 1024,
            authentication: Duration::from_secs(10),
            write: Duration::from_secs(10),
            drain: Duration::from_secs(5),
            ping_interval: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Past this a WebSocket message is not even read: the connection is closed.
    fn hard_message_bytes(&self) -> usize {
        self.message_bytes.saturating_mul(4)
    }
}

/// What every connection needs.
#[derive(Clone)]
pub struct Api {
    /// What the methods work on.
    pub services: Arc<Services>,
    /// Who may use them.
    pub keyring: Arc<Keyring>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Fires when the gateway begins to end: it is not ready any more and takes no new clients.
    pub draining: CancellationToken,
    /// Fires when all clients are to go.
    pub shutdown: CancellationToken,
    /// The connections, so that the end can wait for them.
    pub connections: TaskTracker,
    /// What a client may do to us.
    pub limits: Limits,
    /// The way to the process that holds the session; none: there is one process only.
    pub forward: Option<Forward>,
    attempts: Arc<Mutex<FailedAttempts>>,
    slots: Arc<Semaphore>,
}

impl Api {
    /// The API on top of the services.
    pub fn new(
        services: Arc<Services>,
        keyring: Arc<Keyring>,
        metrics: Arc<Metrics>,
        limits: Limits,
        forward: Option<Forward>,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            services,
            keyring,
            metrics,
            draining: shutdown.child_token(),
            shutdown,
            connections: TaskTracker::new(),
            limits,
            forward,
            attempts: Arc::default(),
            slots: Arc::new(Semaphore::new(limits.connections)),
        }
    }

    /// What conversations with other muds need.
    pub(crate) fn driver(&self) -> Driver {
        let holder = self.forward.clone().map(|forward| Arc::new(forward) as Arc<dyn Holder>);
        Driver { services: Arc::clone(&self.services), metrics: Arc::clone(&self.metrics), holder }
    }

    /// A place for one more connection, if there is one.
    fn slot(&self) -> Option<OwnedSemaphorePermit> {
        if self.draining.is_cancelled() {
            return None;
        }
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }

    /// Handles one message of a client. The answer, if there is one, goes into its queue.
    pub(crate) async fn handle(&self, session: &Arc<Session>, text: &[u8]) {
        if text.len() > self.limits.message_bytes {
            let mut scanner = rpc::IdScanner::default();
            scanner.feed(text);
            return self.refuse_oversized(session, scanner);
        }
        match rpc::parse(text) {
            Incoming::Single(request) => {
                let (answer, admission) = self.one(session, request).await;
                send(session, answer);
                if let Some(admission) = admission {
                    self.services.admit(session, &admission);
                }
            }
            Incoming::Batch(requests) => {
                let mut answers = Vec::new();
                let mut admitted = None;
                for request in requests {
                    let (answer, admission) = self.one(session, request).await;
                    answers.extend(answer);
                    admitted = admission.or(admitted);
                }
                send(session, (!answers.is_empty()).then_some(Value::Array(answers)));
                if let Some(admission) = admitted {
                    self.services.admit(session, &admission);
                }
            }
        }
    }

    /// Answers one request. A session that has just shown its key gets events only once it has the answer. The request
    /// has an id, which stands in all that is logged for it.
    async fn one(
        &self,
        session: &Arc<Session>,
        request: Result<Request, Rejected>,
    ) -> (Option<Value>, Option<Admission>) {
        let id = traced::new_id();
        self.answer(session, id, request).instrument(traced::request(id, session.id)).await
    }

    async fn answer(
        &self,
        session: &Arc<Session>,
        id: Uuid,
        request: Result<Request, Rejected>,
    ) -> (Option<Value>, Option<Admission>) {
        let start = Instant::now();
        let request = match request {
            Ok(request) => request,
            Err(Rejected { id, error }) => {
                self.metrics.clients.request("invalid", Some(error.code), start.elapsed());
                traced::answered("invalid", Some(error.code), start);
                return (Some(rpc::answer(id.as_ref(), Err(error))), None);
            }
        };
        let (name, result, admission) = if request.method == authenticate::NAME {
            let (result, admission) = authenticate::call(self, session, &request);
            (authenticate::NAME, result, admission)
        } else {
            let (name, result) = methods::call(methods::Context { api: self, session, id }, &request).await;
            (name, result, None)
        };
        let error = result.as_ref().err().map(|error| error.code);
        self.metrics.clients.request(name, error, start.elapsed());
        traced::answered(name, error, start);
        (request.id.map(|id| rpc::answer(Some(&id), result)), admission)
    }

    /// Answers a message that is too long.
    pub(crate) fn refuse_oversized(&self, session: &Session, scanner: rpc::IdScanner) {
        let message = format!("Message too long: send at most {} bytes", self.limits.message_bytes);
        let error = RpcError::new(rpc::INVALID_REQUEST, message);
        self.metrics.clients.request("invalid", Some(error.code), Duration::ZERO);
        send(session, Some(rpc::answer(scanner.id().as_ref(), Err(error))));
    }

    /// Ends a session.
    fn finish(&self, session: &Session) {
        self.services.hub.remove(session);
        if let Some(reason) = session.queue.closed() {
            self.metrics.clients.closed(session.transport, reason, session.queue.dropped());
            tracing::info!(
                session = %session.id, transport = session.transport.as_str(), reason = reason.as_str(),
                "closed a client connection"
            );
        }
    }

    fn attempts(&self) -> MutexGuard<'_, FailedAttempts> {
        lock(&self.attempts)
    }
}

fn send(session: &Session, answer: Option<Value>) {
    if let Some(answer) = answer {
        session.queue.push(Line::new(&answer));
    }
}

/// "Not authenticated", with the code that clients of a transport know.
fn not_authenticated(transport: Transport) -> RpcError {
    let code = match transport {
        Transport::WebSocket => rpc::INVALID_REQUEST,
        Transport::Tcp => rpc::NOT_AUTHENTICATED,
    };
    RpcError::new(code, "Not authenticated. Please authenticate first.")
}

/// "Rate limit exceeded", with the code that clients of a transport know.
fn rate_limited(transport: Transport, limited: RateLimited) -> RpcError {
    let code = match transport {
        Transport::WebSocket => rpc::INVALID_REQUEST,
        Transport::Tcp => rpc::RATE_LIMITED,
    };
    let data = json!({"retry_after": limited.retry_after.as_secs_f64()});
    RpcError { data: Some(data), ..RpcError::new(code, limited.to_string()) }
}
