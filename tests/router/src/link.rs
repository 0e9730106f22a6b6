//! One connection: a task that reads frames and one that writes them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{mpsc, watch};
use tokio_util::codec::FramedRead;
use tokio_util::sync::CancellationToken;

use crate::core::Conn;
use crate::frame::{Frames, frame};
use crate::outbox::{Item, Outbox};
use crate::running::Input;

/// How long a connection that is being closed may take to read what it was sent.
const LINGER: Duration = Duration::from_secs(2);

/// The bytes that may wait because of a fault that was made on purpose.
const FAULTY_ROOM: usize = 8 * 1024 * 1024;

/// What is done to a connection on purpose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Nothing is read or written, and the connection stays open.
    pub(crate) frozen: bool,
    /// Everything is written so much later.
    pub(crate) delay: Duration,
    /// Everything is written so many bytes at a time; 0 for no such thing.
    pub(crate) slice: usize,
}

/// The router's end of a connection. Dropping it sends what is waiting and then closes.
pub(crate) struct Link {
    outbox: Arc<Outbox>,
    room: usize,
    nul: bool,
    faults: watch::Sender<Faults>,
    closing: CancellationToken,
}

/// What a link is made with.
pub(crate) struct Setup {
    pub(crate) conn: Conn,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) stop: CancellationToken,
    pub(crate) send_buffer: usize,
    pub(crate) nul: bool,
}

impl Link {
    /// Starts both tasks; what is read goes to the inputs, the end of the connection too.
    pub(crate) fn start(stream: TcpStream, setup: Setup) -> Self {
        let Setup { conn, inputs, stop, send_buffer, nul } = setup;
        let (read, write) = stream.into_split();
        let outbox = Arc::new(Outbox::new(write));
        let (faults, seen) = watch::channel(Faults::default());
        let closing = stop.child_token();
        let link =
            Self { outbox: Arc::clone(&outbox), room: send_buffer, nul, faults, closing: closing.clone() };
        let writer = send_until_closed(outbox, seen.clone(), closing.clone());
        tokio::spawn(stop.run_until_cancelled_owned(writer));
        tokio::spawn(async move {
            closing.run_until_cancelled(receive(conn, read, &inputs, seen)).await;
            // Fails only when the router has ended.
            let _ = inputs.send(Input::Closed(conn)).await;
        });
        link
    }

    /// Sends a text as a frame.
    pub(crate) fn send(&self, text: &[u8]) {
        self.send_raw(frame(text, self.nul));
    }

    /// Sends bytes as they are.
    pub(crate) fn send_raw(&self, bytes: Bytes) {
        if *self.faults.borrow() == Faults::default() {
            self.outbox.write(bytes, self.room);
        } else {
            self.outbox.keep(bytes, FAULTY_ROOM);
        }
    }

    pub(crate) fn change_faults(&self, change: impl FnOnce(&mut Faults)) {
        self.faults.send_modify(change);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.closing.cancel();
        self.outbox.close();
    }
}

/// Until the peer closes, or a frame cannot be one (which closes, as drivers do).
async fn receive(
    conn: Conn,
    read: OwnedReadHalf,
    inputs: &mpsc::Sender<Input>,
    mut faults: watch::Receiver<Faults>,
) {
    let mut frames = FramedRead::new(read, Frames);
    loop {
        thawed(&mut faults).await;
        tokio::select! {
            frame = frames.next() => {
                let Some(Ok(body)) = frame else { return };
                if inputs.send(Input::Frame(conn, body)).await.is_err() {
                    return;
                }
            }
            Ok(()) = faults.changed() => {}
        }
    }
}

/// Waits until the link is not frozen.
async fn thawed(faults: &mut watch::Receiver<Faults>) -> Faults {
    // An error: the link is closed, and nothing holds it any more.
    let seen = faults.wait_for(|faults| !faults.frozen).await.map(|faults| *faults);
    seen.unwrap_or_default()
}

async fn send_until_closed(outbox: Arc<Outbox>, faults: watch::Receiver<Faults>, closing: CancellationToken) {
    let patience = async {
        closing.cancelled().await;
        tokio::time::sleep(LINGER).await;
    };
    tokio::select! {
        // Fails when the other end is gone, which the reader sees as well.
        _ = send(&outbox, faults) => {}
        () = patience => {}
    }
}

async fn send(outbox: &Outbox, mut faults: watch::Receiver<Faults>) -> io::Result<()> {
    while let Some(Item { frame, since }) = outbox.next().await {
        let Faults { delay, slice, .. } = thawed(&mut faults).await;
        if !delay.is_zero() {
            tokio::time::sleep_until(since + delay).await;
        }
        let size = if slice == 0 { frame.len().max(1) } else { slice };
        for part in frame.chunks(size) {
            thawed(&mut faults).await;
            outbox.write_all(part).await?;
            // So that others get to see that it comes in pieces.
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}
