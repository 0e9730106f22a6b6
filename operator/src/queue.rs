//! Who waits to be reconciled, so that it is seen when nobody comes to their turn.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::lock::lock;

/// Those who wait, in the order in which they came.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    since: BTreeMap<u64, Instant>,
}

/// One who waits, until this goes.
#[derive(Debug)]
pub struct Ticket<'a> {
    queue: &'a Queue,
    number: u64,
}

impl Queue {
    /// One more waits from now on.
    pub fn enter(&self) -> Ticket<'_> {
        let mut waiting = lock(&self.waiting);
        let number = waiting.next;
        waiting.next += 1;
        waiting.since.insert(number, Instant::now());
        Ticket { queue: self, number }
    }

    /// How many wait, and for how long the one that came first does.
    pub fn look(&self) -> (usize, Duration) {
        let waiting = lock(&self.waiting);
        let oldest = waiting.since.values().next().map(Instant::elapsed);
        (waiting.since.len(), oldest.unwrap_or_default())
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        lock(&self.queue.waiting).since.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_one_that_came_first_tells_how_long_they_wait() {
        let queue = Queue::default();
        assert_eq!(queue.look(), (0, Duration::ZERO));
        let first = queue.enter();
        tokio::time::advance(Duration::from_secs(60)).await;
        let second = queue.enter();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(queue.look(), (2, Duration::from_secs(65)));
        drop(first);
        assert_eq!(queue.look(), (1, Duration::from_secs(5)));
        drop(second);
        assert_eq!(queue.look(), (0, Duration::ZERO));
    }
}
