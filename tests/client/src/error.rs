//! What can go wrong. Every message names the URL.

use std::fmt::{Display, Formatter};
use std::time::Duration;

use serde_json::Value;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is neither `ws://host:port/path` nor `tcp://host:port`.
    #[error("{url}: not a URL of the form ws://HOST:PORT/PATH or tcp://HOST:PORT")]
    Url {
        /// The URL.
        url: String,
    },
    /// The key cannot be sent in a header, or there are no headers to send it in.
    #[error("{url}: the key cannot be sent as X-API-Key")]
    Header {
        /// The URL.
        url: String,
    },
    /// The connection was refused or broke.
    #[error("{url}: cannot connect: {source}")]
    Io {
        /// The URL.
        url: String,
        /// Why.
        source: std::io::Error,
    },
    /// The WebSocket handshake failed.
    #[error("{url}: cannot connect: {source}")]
    WebSocket {
        /// The URL.
        url: String,
        /// Why.
        source: Box<tokio_tungstenite::tungstenite::Error>,
    },
    /// Nobody answered, or over TCP did not say `welcome`.
    #[error("{url}: no answer within {} s", after.as_secs_f64())]
    TimedOut {
        /// The URL.
        url: String,
        /// How long was waited.
        after: Duration,
    },
    /// The server closed instead of saying `welcome`.
    #[error("{url}: {closed}")]
    Closed {
        /// The URL.
        url: String,
        /// How.
        closed: Closed,
    },
}

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The server answered with an error.
    #[error("{url}: {method}: {error}")]
    Rpc {
        /// The URL.
        url: String,
        /// The method called.
        method: String,
        /// The answer.
        error: Box<RpcError>,
    },
    /// No answer came.
    #[error("{url}: {method}: no answer within {} s", after.as_secs_f64())]
    TimedOut {
        /// The URL.
        url: String,
        /// The method called.
        method: String,
        /// How long was waited.
        after: Duration,
    },
    /// The connection ended before the answer.
    #[error("{url}: {method}: {closed}")]
    Closed {
        /// The URL.
        url: String,
        /// The method called.
        method: String,
        /// How.
        closed: Closed,
    },
}

impl CallError {
    /// The error the server answered with, if it answered.
    pub fn rpc(&self) -> Option<&RpcError> {
        match self {
            CallError::Rpc { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The code of that error.
    pub fn code(&self) -> Option<i64> {
        self.rpc().map(|error| error.code)
    }
}

/// A JSON-RPC error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    /// A negative number: -32601 for an unknown method and so on.
    pub code: i64,
    /// The same in words.
    pub message: String,
    /// More about it, if the server gave it.
    pub data: Option<Value>,
    /// The id of the answer.
    pub id: Value,
}

impl Display for RpcError {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

/// Why an awaited message did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// Time ran out.
    #[error("{url}: nothing of the kind came within {} s", after.as_secs_f64())]
    TimedOut {
        /// The URL.
        url: String,
        /// How long was waited.
        after: Duration,
    },
    /// The connection ended, and what had come before was not it.
    #[error("{url}: {closed}")]
    Closed {
        /// The URL.
        url: String,
        /// How.
        closed: Closed,
    },
}

/// How a connection ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closed {
    /// The WebSocket close code, if one was sent.
    pub code: Option<u16>,
    /// What was said with it, or what broke.
    pub reason: String,
}

impl Display for Closed {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was closed")?;
        if let Some(code) = self.code {
            write!(f, " with code {code}")?;
        }
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}
