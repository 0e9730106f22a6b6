//! The events of a router, kept so that a test can wait for one that may have happened already.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::Event;

/// A place between two events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

impl Mark {
    /// Before the first event.
    pub const START: Mark = Mark(0);
}

/// How many events are kept, and how many bytes of frames in them.
const MAX_EVENTS: usize = 20_000;
const MAX_BYTES: usize = 16 * 1024 * 1024;

pub(crate) struct Journal {
    kept: Mutex<Kept>,
    /// How many events there have been.
    written: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    events: VecDeque<Event>,
    bytes: usize,
    /// The place of the first event kept.
    first: u64,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self { kept: Mutex::default(), written: watch::Sender::new(0) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self, event: Event) {
        self.kept().push(event);
        self.written.send_modify(|written| *written += 1);
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark(*self.written.borrow())
    }

    /// The first event after the mark that is as wanted; waits for it if need be.
    pub(crate) async fn find(&self, since: Mark, wanted: impl Fn(&Event) -> bool) -> Event {
        let mut written = self.written.subscribe();
        let mut next = since.0;
        loop {
            written.mark_unchanged();
            {
                let kept = self.kept();
                let skip = usize::try_from(next.saturating_sub(kept.first)).unwrap_or(usize::MAX);
                if let Some(found) = kept.events.iter().skip(skip).find(|event| wanted(event)) {
                    return found.clone();
                }
                next = kept.first + kept.events.len() as u64;
            }
            // Fails only when the sender is gone, which is in self.
            let _ = written.changed().await;
        }
    }
}

impl Journal {
    /// How many events after the mark are as wanted, of those that are kept, and the place behind the last.
    pub(crate) fn count(&self, since: Mark, wanted: impl Fn(&Event) -> bool) -> (usize, Mark) {
        let kept = self.kept();
        let skip = usize::try_from(since.0.saturating_sub(kept.first)).unwrap_or(usize::MAX);
        let count = kept.events.iter().skip(skip).filter(|event| wanted(event)).count();
        (count, Mark(kept.first + kept.events.len() as u64))
    }
}

impl Kept {
    fn push(&mut self, event: Event) {
        self.bytes += size(&event);
        self.events.push_back(event);
        while self.events.len() > MAX_EVENTS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= size(&oldest);
            self.first += 1;
        }
    }
}

fn size(event: &Event) -> usize {
    match event {
        Event::Received { text, .. } => text.len(),
        _ => 0,
    }
}
