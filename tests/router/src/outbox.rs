//! What waits to be written to one connection.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Writes at once as long as the kernel takes it, as the real router does. Of what comes after that a number
/// of bytes is kept, and on top of them only the newest frame (rule 45).
pub(crate) struct Outbox {
    socket: OwnedWriteHalf,
    waiting: Mutex<Waiting>,
    changed: Notify,
}

/// Frames that wait.
#[derive(Default)]
struct Waiting {
    queue: VecDeque<Item>,
    newest: Option<Item>,
    /// Of the queue.
    bytes: usize,
    /// A frame has been taken and is not written yet.
    busy: bool,
    closed: bool,
}

/// Bytes to write, and since when they wait.
pub(crate) struct Item {
    pub(crate) frame: Bytes,
    pub(crate) since: Instant,
}

impl Outbox {
    pub(crate) fn new(socket: OwnedWriteHalf) -> Self {
        Self { socket, waiting: Mutex::default(), changed: Notify::new() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what the kernel takes, if nothing waits; the rest waits.
    pub(crate) fn write(&self, mut frame: Bytes, room: usize) {
        let mut waiting = self.waiting();
        if waiting.is_idle() {
            // An error shows when the rest is written.
            while let Ok(written @ 1..) = self.socket.try_write(&frame) {
                frame.advance(written);
            }
            if !frame.is_empty() {
                waiting.start(frame);
                self.changed.notify_one();
            }
        } else {
            waiting.add(frame, room);
        }
    }

    /// Leaves everything to whoever takes it.
    pub(crate) fn keep(&self, frame: Bytes, room: usize) {
        self.waiting().add(frame, room);
        self.changed.notify_one();
    }

    /// Nothing comes any more.
    pub(crate) fn close(&self) {
        self.waiting().closed = true;
        self.changed.notify_one();
    }

    /// The next frame, when the last one has been written; None when there will be no more.
    pub(crate) async fn next(&self) -> Option<Item> {
        loop {
            {
                let mut waiting = self.waiting();
                if let Some(item) = waiting.take() {
                    return Some(item);
                }
                if waiting.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Writes all of it, however long that takes.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.socket.writable().await?;
            match self.socket.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Waiting {
    fn is_idle(&self) -> bool {
        !self.busy && self.queue.is_empty() && self.newest.is_none()
    }

    /// A frame of which a part is written already has to be.
    fn start(&mut self, frame: Bytes) {
        self.queue.push_back(Item { frame, since: Instant::now() });
    }

    fn add(&mut self, frame: Bytes, room: usize) {
        let blocked = self.newest.is_some() || self.bytes + frame.len() > room;
        let item = Item { frame, since: Instant::now() };
        if blocked {
            self.newest = Some(item);
        } else {
            self.bytes += item.frame.len();
            self.queue.push_back(item);
        }
    }

    /// The next frame. The one taken before is written.
    fn take(&mut self) -> Option<Item> {
        let item = match self.queue.pop_front() {
            Some(item) => {
                self.bytes = self.bytes.saturating_sub(item.frame.len());
                Some(item)
            }
            None => self.newest.take(),
        };
        self.busy = item.is_some();
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(mut waiting: Waiting) -> Vec<Bytes> {
        std::iter::from_fn(|| waiting.take()).map(|item| item.frame).collect()
    }

    #[test]
    fn of_what_does_not_fit_the_newest_is_kept() {
        let mut waiting = Waiting::default();
        for frame in ["aaaa", "bbbb", "cccc", "d", "eeee"] {
            waiting.add(frame.into(), 8);
        }
        assert_eq!(rest(waiting), ["aaaa", "bbbb", "eeee"]);
    }

    #[test]
    fn a_frame_that_is_begun_is_ended_and_takes_no_room() {
        let mut waiting = Waiting::default();
        waiting.start("aaaa".into());
        waiting.add("bbbb".into(), 0);
        waiting.add("cccc".into(), 0);
        assert!(!waiting.is_idle());
        assert_eq!(rest(waiting), ["aaaa", "cccc"]);
    }

    #[test]
    fn it_is_idle_when_the_last_frame_is_written() {
        let mut waiting = Waiting::default();
        waiting.add("aaaa".into(), 4);
        waiting.take();
        assert!(!waiting.is_idle(), "it may still be written");
        assert!(waiting.take().is_none() && waiting.is_idle());
        waiting.add("bbbb".into(), 4);
        assert_eq!(rest(waiting), ["bbbb"]);
    }
}
