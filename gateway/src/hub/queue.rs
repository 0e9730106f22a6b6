//! What waits to be written to one client: bounded in bytes, closed when the client does not keep up.

use std::sync::Mutex;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::sync::lock;

/// One JSON-RPC message, encoded once and shared by all who get it.
#[derive(Clone, Debug)]
pub struct Line {
    /// The JSON with a newline behind it, as TCP wants it.
    bytes: Bytes,
    /// The same memory without the newline, as WebSocket wants it.
    text: Utf8Bytes,
}

impl Line {
    /// Encodes a message.
    pub fn new(message: &impl Serialize) -> Self {
        // It fails for maps whose keys are no texts, and no message has one.
        let mut json = serde_json::to_string(message).unwrap_or_default();
        json.push('\n');
        let bytes = Bytes::from(json);
        // JSON text is UTF-8, so the conversion cannot fail; the default is an empty text.
        let text = Utf8Bytes::try_from(bytes.slice(..bytes.len() - 1)).unwrap_or_default();
        Self { bytes, text }
    }

    /// The JSON text.
    pub fn text(&self) -> &Utf8Bytes {
        &self.text
    }

    /// The JSON text and a newline.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Why a connection is closed by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The gateway ends.
    ShuttingDown,
    /// The client does not read fast enough.
    SlowConsumer,
    /// No valid key within the time for it.
    NotAuthenticated,
    /// A message over the hard limit.
    TooBig,
    /// There are as many connections as there may be.
    Full,
    /// The client broke the rules of WebSocket.
    Protocol,
    /// A text that is not UTF-8.
    NotUtf8,
    /// The client went on with another connection.
    Resumed,
    /// Its key is no longer valid.
    KeyRevoked,
    /// Nothing was heard of the client, not even an answer to a ping.
    Unresponsive,
    /// The gateway has neither the router nor the bus; another process of the mud may have.
    Useless,
}

impl CloseReason {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::ShuttingDown,
        Self::Useless,
        Self::Unresponsive,
        Self::Protocol,
        Self::NotUtf8,
        Self::NotAuthenticated,
        Self::TooBig,
        Self::Full,
        Self::SlowConsumer,
        Self::Resumed,
        Self::KeyRevoked,
    ];

    /// The WebSocket close code (RFC 6455 section 7.4; 40xx asks to reconnect, 41xx not to).
    pub fn code(self) -> u16 {
        match self {
            Self::ShuttingDown | Self::Unresponsive => 1001,
            Self::Useless => 1012,
            Self::SlowConsumer => 4008,
            Self::Resumed => 4100,
            Self::KeyRevoked => 4101,
            Self::NotAuthenticated => 1008,
            Self::Full => 1013,
            Self::Protocol => 1002,
            Self::NotUtf8 => 1007,
            Self::TooBig => 1009,
        }
    }

    /// Whether the same client should try again: what is wrong is neither its key nor what it does.
    pub fn should_reconnect(self) -> bool {
        matches!(
            self,
            Self::ShuttingDown | Self::Useless | Self::Unresponsive | Self::SlowConsumer | Self::Full
        )
    }

    /// The reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ShuttingDown => "Server shutting down",
            Self::Useless => "no router and no bus",
            Self::SlowConsumer => "slow consumer",
            Self::NotAuthenticated => "authentication timeout",
            Self::Full => "too many connections",
            Self::Protocol => "protocol error",
            Self::NotUtf8 => "text is not UTF-8",
            Self::TooBig => "message too big",
            Self::Resumed => "resumed by another connection",
            Self::KeyRevoked => "API key no longer valid",
            Self::Unresponsive => "no answer to ping",
        }
    }

    /// What happened and what to do, for the API's description.
    pub fn advice(self) -> &'static str {
        match self {
            Self::ShuttingDown => "The gateway ends: reconnect and resume.",
            Self::Useless => "This process of the gateway is cut off: reconnect, to another one, and resume.",
            Self::SlowConsumer => "More waited for the client than may: read faster, reconnect and resume.",
            Self::NotAuthenticated => "No key came within the time for it.",
            Self::Full => "There are as many connections as there may be: try again later.",
            Self::Protocol => "A frame broke the rules of WebSocket.",
            Self::NotUtf8 => "A text was not UTF-8.",
            Self::TooBig => "A message was past the hard limit, four times the limit of a message.",
            Self::Resumed => "The client went on with another connection: do not reconnect.",
            Self::KeyRevoked => "The API key was removed or replaced: do not reconnect with it.",
            Self::Unresponsive => "Nothing was heard, not even an answer to a ping: reconnect and resume.",
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    lines: Vec<Line>,
    bytes: usize,
    /// How many were not written because the client was too slow.
    dropped: usize,
    closed: Option<CloseReason>,
}

/// The queue of one client.
#[derive(Debug)]
pub struct Queue {
    inner: Mutex<Inner>,
    changed: Notify,
    limit: usize,
}

impl Queue {
    /// A queue that closes itself once more than `limit` bytes wait.
    pub fn new(limit: usize) -> Self {
        Self { inner: Mutex::default(), changed: Notify::new(), limit }
    }

    /// Adds a message, unless the queue is closed.
    pub fn push(&self, line: Line) {
        let mut inner = lock(&self.inner);
        if inner.closed.is_some() {
            return;
        }
        inner.bytes += line.bytes.len();
        inner.lines.push(line);
        if inner.bytes > self.limit {
            inner.closed = Some(CloseReason::SlowConsumer);
            inner.dropped = inner.lines.len();
            inner.lines.clear();
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// Closes the queue; what waits is still written. The first reason stays.
    pub fn close(&self, reason: CloseReason) {
        lock(&self.inner).closed.get_or_insert(reason);
        self.changed.notify_one();
    }

    /// Takes all that waits.
    pub fn take(&self) -> Vec<Line> {
        let mut inner = lock(&self.inner);
        inner.bytes = 0;
        std::mem::take(&mut inner.lines)
    }

    /// How many bytes wait.
    pub fn bytes(&self) -> usize {
        lock(&self.inner).bytes
    }

    /// How many bytes may wait.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many messages were dropped because the client did not keep up.
    pub fn dropped(&self) -> usize {
        lock(&self.inner).dropped
    }

    /// Why it was closed, once it is.
    pub fn closed(&self) -> Option<CloseReason> {
        lock(&self.inner).closed
    }

    /// Waits until something was added or the queue was closed. Only one task may wait.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_transports_share_one_encoding() {
        let line = Line::new(&json!({"a": "é\n"}));
        assert_eq!(line.text().as_str(), "{\"a\":\"é\\n\"}");
        assert_eq!(line.bytes().as_ref(), "{\"a\":\"é\\n\"}\n".as_bytes());
    }

    #[tokio::test]
    async fn what_was_added_before_waiting_is_noticed() {
        let queue = Queue::new(1000);
        queue.push(Line::new(&json!(1)));
        queue.changed().await;
        assert_eq!(queue.take().len(), 1);
        assert!(queue.take().is_empty());
    }

    #[tokio::test]
    async fn a_client_over_its_bytes_is_closed_and_its_memory_freed() {
        let queue = Queue::new(20);
        for _ in 0..11 {
            queue.push(Line::new(&json!(1)));
        }
        assert_eq!(queue.closed(), Some(CloseReason::SlowConsumer));
        assert!(queue.take().is_empty());
        assert_eq!((queue.dropped(), queue.bytes()), (11, 0));
        queue.push(Line::new(&json!(1)));
        assert!(queue.take().is_empty(), "a closed queue takes nothing");
        queue.close(CloseReason::ShuttingDown);
        assert_eq!(queue.closed(), Some(CloseReason::SlowConsumer), "the first reason stays");
    }
}
