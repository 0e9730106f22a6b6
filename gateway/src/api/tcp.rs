//! TCP clients: one JSON-RPC message a line.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::codec::{Decoder, FramedRead};

use super::Api;
use super::rpc::IdScanner;
use crate::hub::{CloseReason, Line, Session, Transport};
use crate::net::{Listener, Stream};

/// What is read at once. Most requests are shorter, and for one that is not the buffer grows.
const BUFFER_BYTES: usize = 1024;

/// How long a client may take to hear why it is closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// How many clients may at once be told that there is no place for them.
const REFUSALS: usize = 64;

/// Accepts clients until the gateway ends.
pub async fn serve(api: Api, mut listener: Listener) {
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    loop {
        let (stream, peer) = tokio::select! {
            () = api.draining.cancelled() => return,
            accepted = listener.next() => accepted,
        };
        let Some(slot) = api.slot() else {
            tracing::warn!("refused a TCP client: too many connections");
            refuse(&api, stream, &refusals);
            continue;
        };
        let (api, connections) = (api.clone(), api.connections.clone());
        connections.spawn(async move {
            let _connected = api.metrics.clients.connected(Transport::Tcp);
            let session = Session::new(Transport::Tcp, peer.ip(), api.limits.queue_bytes);
            let ended = converse(&api, &session, stream).await;
            api.finish(&session);
            match ended {
                Ok(Some((stream, reason))) => farewell(stream, reason).await,
                Ok(None) => {}
                Err(error) => tracing::debug!(session = %session.id, %error, "a TCP client is gone"),
            }
            drop(slot);
        });
    }
}

/// Tells a client that there is no place for it. When too many are being told already, it is not.
fn refuse(api: &Api, stream: Stream, refusals: &Arc<Semaphore>) {
    api.metrics.clients.closed(Transport::Tcp, CloseReason::Full, 0);
    if let Ok(place) = Arc::clone(refusals).try_acquire_owned() {
        api.connections.spawn(async move {
            farewell(stream, CloseReason::Full).await;
            drop(place);
        });
    }
}

/// Says why the connection ends, and ends it: what WebSocket has close codes for. A client that does not take it
/// within [`FAREWELL`] goes without.
async fn farewell(mut stream: Stream, reason: CloseReason) {
    let said = async {
        stream.write_all(closing(reason).bytes()).await?;
        stream.shutdown().await?;
        // To close while something of the client's is unread would reset the connection, and the line be lost.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    let _ = timeout(FAREWELL, said).await;
}

/// Reads and writes until the queue is closed, which returns what is needed to say so, or the connection is gone.
async fn converse(
    api: &Api,
    session: &Arc<Session>,
    stream: Stream,
) -> io::Result<Option<(Stream, CloseReason)>> {
    let mut lines =
        FramedRead::with_capacity(stream, LineDecoder::new(api.limits.message_bytes), BUFFER_BYTES);
    session.queue.push(welcome());
    let unauthenticated = sleep(api.limits.authentication);
    tokio::pin!(unauthenticated);
    loop {
        write(api, session, lines.get_mut()).await?;
        if let Some(reason) = session.queue.closed() {
            return Ok(Some((lines.into_inner(), reason)));
        }
        tokio::select! {
            () = session.queue.changed() => {}
            line = lines.next() => match line {
                Some(Ok(Incoming::Line(line))) => api.handle(session, &line).await,
                Some(Ok(Incoming::TooLong(scanner))) => api.refuse_oversized(session, scanner),
                Some(Err(error)) => return Err(error),
                None => return Ok(None),
            },
            () = &mut unauthenticated, if !session.is_authenticated() => {
                session.queue.close(CloseReason::NotAuthenticated);
            }
            () = api.shutdown.cancelled() => session.queue.close(CloseReason::ShuttingDown),
        }
    }
}

/// Writes all that waits, in one send. A write that stalls closes the queue and is an error: part of a line may be
/// written, so nothing can follow.
async fn write(api: &Api, session: &Session, stream: &mut Stream) -> io::Result<()> {
    let bytes = match session.queue.take().as_slice() {
        [] => return Ok(()),
        [line] => line.bytes().clone(),
        lines => lines
            .iter()
            .fold(BytesMut::new(), |mut all, line| {
                all.extend_from_slice(line.bytes());
                all
            })
            .freeze(),
    };
    let write = async {
        stream.write_all(&bytes).await?;
        // Under TLS the last record may still be in a buffer.
        stream.flush().await
    };
    match timeout(api.limits.write, write).await {
        Ok(result) => result,
        Err(stalled) => {
            session.queue.close(CloseReason::SlowConsumer);
            Err(stalled.into())
        }
    }
}

/// What the server says last.
fn closing(reason: CloseReason) -> Line {
    Line::new(&json!({
        "jsonrpc": "2.0",
        "method": "connection_closing",
        "params": {
            "code": reason.code(),
            "reason": reason.as_str(),
            "reconnect": reason.should_reconnect(),
        },
    }))
}

/// What the server says first.
fn welcome() -> Line {
    Line::new(&json!({
        "jsonrpc": "2.0",
        "method": "welcome",
        "params": {
            "service": "i3-gateway",
            "version": "1.0.0",
            "protocol": "JSON-RPC 2.0",
            "authentication": "required",
        },
    }))
}

/// A line from a client.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// The line, without its end.
    Line(Bytes),
    /// A line over the limit; all that is kept of it is its id.
    TooLong(IdScanner),
}

/// Splits the stream into lines and never keeps more of one than the limit.
#[derive(Debug)]
pub(crate) struct LineDecoder {
    limit: usize,
    searched: usize,
    too_long: Option<IdScanner>,
}

impl Decoder for LineDecoder {
    type Item = Incoming;
    type Error = io::Error;

    fn decode(&mut self, source: &mut BytesMut) -> io::Result<Option<Incoming>> {
        loop {
            let Some(end) = source[self.searched..].iter().position(|byte| *byte == b'\n') else {
                self.keep_searching(source);
                return Ok(None);
            };
            let line = source.split_to(self.searched + end + 1).freeze();
            self.searched = 0;
            if self.too_long.is_some() || line.len() > self.limit + 1 {
                let mut scanner = self.too_long.take().unwrap_or_default();
                scanner.feed(&line);
                return Ok(Some(Incoming::TooLong(scanner)));
            }
            let start = line.iter().position(|byte| !byte.is_ascii_whitespace());
            let Some(start) = start else { continue };
            let end =
                line.iter().rposition(|byte| !byte.is_ascii_whitespace()).map_or(start, |last| last + 1);
            return Ok(Some(Incoming::Line(line.slice(start..end))));
        }
    }
}

impl LineDecoder {
    /// A decoder for lines of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, searched: 0, too_long: None }
    }

    fn keep_searching(&mut self, source: &mut BytesMut) {
        self.searched = source.len();
        if self.too_long.is_some() || source.len() > self.limit {
            self.too_long.get_or_insert_default().feed(source);
            source.clear();
            self.searched = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const LIMIT: usize = 1000;

    fn decode(pieces: &[&[u8]]) -> Vec<Result<String, Option<Value>>> {
        let mut decoder = LineDecoder::new(LIMIT);
        let mut buffer = BytesMut::new();
        let mut lines = Vec::new();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while let Some(line) = decoder.decode(&mut buffer).unwrap() {
                lines.push(match line {
                    Incoming::Line(line) => Ok(String::from_utf8_lossy(&line).into_owned()),
                    Incoming::TooLong(scanner) => Err(scanner.id()),
                });
            }
        }
        lines
    }

    #[test]
    fn lines_are_stripped_blank_ones_skipped_and_splits_do_not_matter() {
        let text = "  {\"a\":\"é\"}\r\n\n \r\n{}\n".as_bytes();
        let expected = vec![Ok("{\"a\":\"é\"}".to_owned()), Ok("{}".to_owned())];
        assert_eq!(decode(&[text]), expected);
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(decode(&single), expected);
    }

    #[test]
    fn the_last_line_has_the_codes_of_websocket_and_says_whether_to_come_back() {
        let line = |reason| serde_json::from_str::<Value>(closing(reason).text()).unwrap();
        let expected = json!({"jsonrpc": "2.0", "method": "connection_closing", "params": {
            "code": 4008, "reason": "slow consumer", "reconnect": true,
        }});
        assert_eq!(line(CloseReason::SlowConsumer), expected);
        assert_eq!(line(CloseReason::Full)["params"]["code"], 1013);
        assert_eq!(line(CloseReason::KeyRevoked)["params"]["reconnect"], false);
    }

    #[test]
    fn a_line_that_is_too_long_is_reported_with_its_id_and_the_next_one_is_read() {
        let long = format!("{{\"x\":\"{}\",\"id\":7}}\n{{}}\n", "y".repeat(LIMIT * 3));
        for size in [100, LIMIT, long.len()] {
            let pieces: Vec<&[u8]> = long.as_bytes().chunks(size).collect();
            let expected = [Err(Some(json!(7))), Ok("{}".to_owned())];
            assert!(decode(&pieces) == expected, "pieces of {size}");
        }
    }
}
