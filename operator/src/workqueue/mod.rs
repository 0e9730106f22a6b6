//! Which object is reconciled when: each once at a time, no more at a time than there are places, and all tenants fairly.

mod lane;
mod pace;
mod queue;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::queue::{Queue, Work};
use crate::key::Key;
use crate::lock::lock;

/// How long to gather changes of one object: an apply of its four objects is one reason to look again, not four.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// The queue that all parts of the operator share. Until it is open nothing is kept: who does not lead may wait for months.
#[derive(Debug)]
pub struct WorkQueue {
    is_open: AtomicBool,
    queue: Mutex<Queue>,
    asked: Notify,
}

impl WorkQueue {
    /// With so many places, and as many for objects that are deleted.
    pub fn new(places: usize) -> Self {
        Self { is_open: AtomicBool::new(false), queue: Mutex::new(Queue::new(places)), asked: Notify::new() }
    }

    /// Takes in what is asked for from now on. Whoever opens it asks for all that there is.
    pub fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
    }

    /// Has objects reconciled soon.
    pub fn request(&self, keys: impl IntoIterator<Item = Key>) {
        if !self.is_open.load(Ordering::SeqCst) {
            return;
        }
        let mut queue = self.lock();
        let at = Instant::now() + DEBOUNCE;
        keys.into_iter().for_each(|key| queue.request(key, at));
        drop(queue);
        self.asked.notify_one();
    }

    /// Waits until somebody asks for something.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// What stands in it. Never held across an await.
    pub fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_requests_hears_of_one_that_came_before() {
        let (work, key) = (WorkQueue::new(1), Key::new("ns", "a"));
        work.open();
        work.request([key.clone()]);
        work.asked().await;
        assert!(poll!(std::pin::pin!(work.asked())).is_pending());
        assert_eq!(work.lock().pop_due(Instant::now()), None, "more may come");
        tokio::time::advance(DEBOUNCE).await;
        assert_eq!(work.lock().pop_due(Instant::now()), Some(key));
    }

    #[tokio::test]
    async fn before_it_is_open_nothing_is_kept() {
        let work = WorkQueue::new(1);
        work.request([Key::new("ns", "a")]);
        assert_eq!(work.lock().next_due(), None);
        assert!(poll!(std::pin::pin!(work.asked())).is_pending());
    }
}
