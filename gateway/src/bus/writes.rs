//! How NATS takes what is written there: a server may be there and still store nothing, for its disk is full, it has no
//! leader, or it is slow.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::{self, ErrorCode};
use serde_json::{Value, json};

use crate::metrics::Metrics;
use crate::sync::lock;

/// What is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Store {
    /// The stream of the channel events.
    Channels,
    /// The bucket of the session locks, in memory.
    Lock,
    /// The bucket of what outlives a process.
    State,
}

impl Store {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Channels, Self::Lock, Self::State];

    /// The word for it in metrics and health.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Channels => "channels",
            Self::Lock => "lock",
            Self::State => "state",
        }
    }
}

/// Why something is not known to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteTrouble {
    /// The server is out of storage, or cannot write to its disk.
    StorageFailed,
    /// Nobody answers for the stream: it is missing, has no leader, or the server has ended JetStream.
    NoLeader,
    /// The answer did not come in time.
    NoAnswer,
    /// Anything else.
    Refused,
}

impl WriteTrouble {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::StorageFailed, Self::NoLeader, Self::NoAnswer, Self::Refused];

    /// The reason in metrics, logs and health.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StorageFailed => "StorageFailed",
            Self::NoLeader => "NoLeader",
            Self::NoAnswer => "NoAnswer",
            Self::Refused => "Refused",
        }
    }
}

/// What the server said of a write, if it said anything.
pub(super) fn error_code(error: &PublishError) -> Option<ErrorCode> {
    let said = error.source()?.downcast_ref::<jetstream::Error>()?;
    Some(said.error_code())
}

impl From<&PublishError> for WriteTrouble {
    fn from(error: &PublishError) -> Self {
        match error.kind() {
            PublishErrorKind::StreamNotFound => Self::NoLeader,
            PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => Self::NoAnswer,
            _ => error_code(error).map_or(Self::Refused, Self::of),
        }
    }
}

impl WriteTrouble {
    fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::INSUFFICIENT_RESOURCES
            | ErrorCode::STORAGE_RESOURCES_EXCEEDED
            | ErrorCode::MEMORY_RESOURCES_EXCEEDED
            | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
            | ErrorCode::STREAM_STORE_FAILED => Self::StorageFailed,
            ErrorCode::CLUSTER_NOT_AVAILABLE | ErrorCode::JETSTREAM_NOT_ENABLED => Self::NoLeader,
            _ => Self::Refused,
        }
    }
}

/// How the last write to each store went, for metrics, the log and health.
#[derive(Clone)]
pub struct Writes {
    metrics: Arc<Metrics>,
    last: Arc<Mutex<BTreeMap<Store, Last>>>,
}

#[derive(Clone, Copy)]
struct Last {
    trouble: Option<WriteTrouble>,
    took: Duration,
}

impl Writes {
    pub(super) fn new(metrics: &Arc<Metrics>) -> Self {
        Self { metrics: Arc::clone(metrics), last: Arc::default() }
    }

    /// Takes note of how a write went that was sent at a moment.
    pub(crate) fn done(&self, store: Store, sent: Instant, trouble: Option<WriteTrouble>) {
        let took = sent.elapsed();
        self.metrics.bus.wrote(store, took, trouble);
        let before = lock(&self.last).insert(store, Last { trouble, took }).and_then(|last| last.trouble);
        match trouble {
            Some(trouble) if before != Some(trouble) => {
                tracing::warn!(
                    store = store.as_str(),
                    reason = trouble.as_str(),
                    "the bus does not store what is written"
                );
            }
            None if before.is_some() => {
                tracing::info!(store = store.as_str(), "the bus stores again what is written");
            }
            _ => {}
        }
    }

    /// How the last write to each store went, and how long it took.
    pub fn detail(&self) -> Value {
        let last = lock(&self.last);
        let detail = |(store, last): (&Store, &Last)| {
            let outcome = last.trouble.map_or("Stored", WriteTrouble::as_str);
            let took = u64::try_from(last.took.as_millis()).unwrap_or(u64::MAX);
            (store.as_str().to_owned(), json!({"outcome": outcome, "milliseconds": took}))
        };
        Value::Object(last.iter().map(detail).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: u64) -> PublishError {
        let error = json!({"code": 503, "err_code": code, "description": "no"});
        let error: jetstream::Error = serde_json::from_value(error).unwrap();
        PublishError::with_source(PublishErrorKind::Other, error)
    }

    #[test]
    fn what_a_server_says_has_a_reason() {
        for (error, trouble) in [
            (said(10023), WriteTrouble::StorageFailed),
            (said(10077), WriteTrouble::StorageFailed),
            (said(10008), WriteTrouble::NoLeader),
            (said(10076), WriteTrouble::NoLeader),
            (said(10060), WriteTrouble::Refused),
            (PublishError::new(PublishErrorKind::StreamNotFound), WriteTrouble::NoLeader),
            (PublishError::new(PublishErrorKind::TimedOut), WriteTrouble::NoAnswer),
            (PublishError::new(PublishErrorKind::Other), WriteTrouble::Refused),
        ] {
            assert_eq!(WriteTrouble::from(&error), trouble, "{error}");
        }
    }

    #[test]
    fn health_tells_how_the_last_write_to_each_store_went() {
        let writes = Writes::new(&Arc::new(Metrics::new("Dawn", "test")));
        assert_eq!(writes.detail(), json!({}));
        writes.done(Store::Lock, Instant::now(), None);
        writes.done(Store::Channels, Instant::now(), Some(WriteTrouble::StorageFailed));
        let detail = writes.detail();
        assert_eq!(detail["lock"]["outcome"], "Stored");
        assert_eq!(detail["channels"]["outcome"], "StorageFailed");
        writes.done(Store::Channels, Instant::now(), None);
        assert_eq!(writes.detail()["channels"]["outcome"], "Stored");
    }
}
