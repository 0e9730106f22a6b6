//! One connection: a task that reads frames and one that writes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use intermud3::MudModeCodec;
use intermud3::frame::MAX_OUTPUT;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_util::codec::{FramedRead, FramedWrite};
use tokio_util::sync::CancellationToken;

use crate::core::Conn;
use crate::running::Input;

/// How much may wait for a mud that reads slowly; what comes on top of that is lost to it.
const MAX_WAITING: usize = 8 * 1024 * 1024;

/// The router's end of a connection. Dropping it sends what is waiting and then closes.
pub(crate) struct Link {
    queue: mpsc::UnboundedSender<Bytes>,
    waiting: Arc<AtomicUsize>,
    stop_reading: CancellationToken,
}

impl Link {
    /// Starts both tasks; what is read goes to `inputs`, the end of the connection too.
    pub(crate) fn start(
        conn: Conn,
        stream: TcpStream,
        inputs: mpsc::Sender<Input>,
        stop: &CancellationToken,
    ) -> Self {
        let (read, write) = stream.into_split();
        let (queue, queued) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let stop_reading = stop.child_token();
        tokio::spawn(stop.clone().run_until_cancelled_owned(send(write, queued, waiting.clone())));
        let stopped = stop_reading.clone();
        tokio::spawn(async move {
            stopped.run_until_cancelled(receive(conn, read, &inputs)).await;
            // Fails only when the router has ended.
            let _ = inputs.send(Input::Closed(conn)).await;
        });
        Self { queue, waiting, stop_reading }
    }

    pub(crate) fn send(&self, text: Bytes) {
        let len = text.len();
        if self.waiting.fetch_add(len, Ordering::Relaxed) + len > MAX_WAITING
            || self.queue.send(text).is_err()
        {
            self.waiting.fetch_sub(len, Ordering::Relaxed);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop_reading.cancel();
    }
}

/// Until the peer closes, or a frame cannot be one (which closes, as Dead Souls does).
async fn receive(conn: Conn, read: OwnedReadHalf, inputs: &mpsc::Sender<Input>) {
    let mut frames = FramedRead::new(read, MudModeCodec::with_limits(MAX_OUTPUT, MAX_OUTPUT));
    while let Some(Ok(text)) = frames.next().await {
        if inputs.send(Input::Frame(conn, text)).await.is_err() {
            return;
        }
    }
}

async fn send(write: OwnedWriteHalf, mut queued: mpsc::UnboundedReceiver<Bytes>, waiting: Arc<AtomicUsize>) {
    let mut frames = FramedWrite::new(write, MudModeCodec::new());
    let mut batch = Vec::new();
    while queued.recv_many(&mut batch, 64).await > 0 {
        for text in batch.drain(..) {
            let len = text.len();
            let fed = frames.feed(text).await;
            waiting.fetch_sub(len, Ordering::Relaxed);
            if fed.is_err() {
                return;
            }
        }
        if frames.flush().await.is_err() {
            return;
        }
    }
}
