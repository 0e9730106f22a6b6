//! One WebSocket client.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, interval_at, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

use super::Api;
use crate::hub::{CloseReason, Session};

/// Small buffers: the library's defaults take 136 KiB a client, these 8 KiB.
const BUFFER_BYTES: usize = 4096;

/// Serves an upgraded connection until either side ends it.
pub(super) async fn serve<S>(api: Api, session: Arc<Session>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(2 * api.limits.queue_bytes)
        .max_message_size(Some(api.limits.hard_message_bytes()))
        .max_frame_size(Some(api.limits.hard_message_bytes()));
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let conversed = converse(&api, &session, &mut socket).await;
    if let (Ok(()), Some(reason)) = (conversed, session.queue.closed()) {
        let frame = CloseFrame { code: reason.code().into(), reason: reason.as_str().into() };
        // The client may be gone or stalled already; then there is nobody to tell.
        let _ = timeout(Duration::from_secs(1), socket.close(Some(frame))).await;
    }
    api.finish(&session);
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
                    Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => {
                        session.queue.close(CloseReason::TooBig);
                    }
                    Some(Err(error)) => return Err(error),
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
