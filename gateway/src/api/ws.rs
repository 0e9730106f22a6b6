//! One WebSocket client.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, interval_at, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

use super::Api;
use crate::hub::{CloseReason, Session};

/// Small buffers: the library's defaults take 136 KiB a client, these 8 KiB.
const BUFFER_BYTES: usize = 4096;

/// The largest message that is sent back by [`echo`].
const ECHO_BYTES: usize = 16 * 1024 * 1024;

/// Serves an upgraded connection until either side ends it.
pub(super) async fn serve<S>(api: Api, session: Arc<Session>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _connected = api.metrics.clients.connected(session.transport);
    let config = config(api.limits.hard_message_bytes(), 2 * api.limits.queue_bytes);
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let conversed = converse(&api, &session, &mut socket).await;
    if let (Ok(()), Some(reason)) = (conversed, session.queue.closed()) {
        close(&mut socket, reason).await;
    }
    api.finish(&session);
}

/// Sends every message back, until either side ends the connection. The Autobahn test suite checks the protocol so.
pub(super) async fn echo<S>(api: &Api, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = config(ECHO_BYTES, 2 * ECHO_BYTES);
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    loop {
        let message = tokio::select! {
            message = socket.next() => message,
            () = api.shutdown.cancelled() => return close(&mut socket, CloseReason::ShuttingDown).await,
        };
        match message {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                if !matches!(timeout(api.limits.write, socket.send(message)).await, Ok(Ok(()))) {
                    return;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => match violation(&error) {
                Some(reason) => return close(&mut socket, reason).await,
                None => return,
            },
            None => return,
        }
    }
}

fn config(message_bytes: usize, write_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(write_bytes)
        .max_message_size(Some(message_bytes))
        .max_frame_size(Some(message_bytes))
}

/// Tells the client why. It may be gone or stalled already; then there is nobody to tell.
async fn close<S>(socket: &mut WebSocketStream<S>, reason: CloseReason)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let frame = CloseFrame { code: reason.code().into(), reason: reason.as_str().into() };
    let _ = timeout(Duration::from_secs(1), socket.close(Some(frame))).await;
}

/// What the client did wrong, if that is why reading failed (RFC 6455 section 7.1.7).
fn violation(error: &Error) -> Option<CloseReason> {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Some(CloseReason::TooBig),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(CloseReason::Protocol),
        Error::Utf8(_) => Some(CloseReason::NotUtf8),
        _ => None,
    }
}

/// Reads and writes until the queue is closed (`Ok`) or the connection is gone.
async fn converse<S>(api: &Api, session: &Arc<Session>, socket: &mut WebSocketStream<S>) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let unauthenticated = sleep(api.limits.authentication);
    tokio::pin!(unauthenticated);
    let mut ping = interval_at(Instant::now() + api.limits.ping_interval, api.limits.ping_interval);
    let mut heard = true;
    loop {
        tokio::select! {
            () = session.queue.changed() => {}
            message = socket.next() => {
                heard = true;
                match message {
                    Some(Ok(Message::Text(text))) => api.handle(session, text.as_bytes()).await,
                    Some(Ok(Message::Binary(bytes))) => api.handle(session, &bytes).await,
                    Some(Ok(_)) => {}
                    Some(Err(error)) => match violation(&error) {
                        Some(reason) => session.queue.close(reason),
                        None => return Err(error),
                    },
                    None => return Err(Error::ConnectionClosed),
                }
            }
            _ = ping.tick() => {
                if !std::mem::take(&mut heard) {
                    session.queue.close(CloseReason::Unresponsive);
                }
                write(api, session, socket, Some(Message::Ping(Vec::new().into()))).await?;
            }
            () = &mut unauthenticated, if !session.is_authenticated() => {
                session.queue.close(CloseReason::NotAuthenticated);
            }
            () = api.shutdown.cancelled() => session.queue.close(CloseReason::ShuttingDown),
        }
        write(api, session, socket, None).await?;
        if session.queue.closed().is_some() {
            return Ok(());
        }
    }
}

/// Writes all that waits in one go. A write that stalls closes the queue.
async fn write<S>(
    api: &Api,
    session: &Session,
    socket: &mut WebSocketStream<S>,
    first: Option<Message>,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let lines = session.queue.take();
    if lines.is_empty() && first.is_none() {
        return Ok(());
    }
    let write = async {
        for message in first.into_iter().chain(lines.iter().map(|line| Message::Text(line.text().clone()))) {
            socket.feed(message).await?;
        }
        socket.flush().await
    };
    match timeout(api.limits.write, write).await {
        Ok(result) => result,
        Err(_) => {
            session.queue.close(CloseReason::SlowConsumer);
            Ok(())
        }
    }
}
