//! That what is told of an object in quick succession is looked at once.
//!
//! While a pod starts its Deployment says this and that, and its gateway reports. Each is written to a status and costs
//! the API server a fifth of what it costs to make the gateway.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::key::Key;
use crate::lock::lock;

/// The least time from one look at an object to the next, as long as nobody changes its spec.
const PAUSE: Duration = Duration::from_secs(2);

/// When each object was looked at last. Bounded: only those of the last pause are kept.
#[derive(Debug, Default)]
pub struct Pace {
    last: Mutex<HashMap<Key, Instant>>,
}

impl Pace {
    /// Notes that an object has been looked at.
    pub fn looked(&self, key: Key) {
        let (mut last, now) = (lock(&self.last), Instant::now());
        // An object may be gone, and forgotten, by the time that the look at it ends.
        last.retain(|_, looked| now < *looked + PAUSE);
        last.insert(key, now);
    }

    /// Waits until it is time to look at it again.
    pub async fn turn(&self, key: &Key) {
        let last = lock(&self.last).get(key).copied();
        if let Some(last) = last {
            tokio::time::sleep_until(last + PAUSE).await;
        }
    }

    /// Forgets an object.
    pub fn forget(&self, key: &Key) {
        lock(&self.last).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_object_is_looked_at_again_after_a_pause() {
        let (pace, key, start) = (Pace::default(), Key::new("ns", "a"), Instant::now());
        pace.turn(&key).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        pace.looked(key.clone());
        pace.turn(&Key::new("ns", "b")).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        pace.turn(&key).await;
        assert!(start.elapsed() >= PAUSE);
        pace.looked(key.clone());
        pace.forget(&key);
        pace.turn(&key).await;
        assert!(start.elapsed() < PAUSE * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_objects_that_nobody_looks_at_any_more() {
        let pace = Pace::default();
        for name in ["a", "b"] {
            pace.looked(Key::new("ns", name));
        }
        tokio::time::sleep(PAUSE).await;
        pace.looked(Key::new("ns", "c"));
        assert_eq!(lock(&pace.last).len(), 1);
    }
}
