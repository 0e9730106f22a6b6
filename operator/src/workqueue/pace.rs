//! That what is told of an object in quick succession is looked at once.
//!
//! While a pod starts its Deployment says this and that, and its gateway reports. Each is written to a status and costs
//! the API server a fifth of what it costs to make the gateway.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::key::Key;

/// The least time from one look at an object to the next, as long as nobody changes its spec.
const PAUSE: Duration = Duration::from_secs(2);

/// When each object was looked at last. Bounded: only those of the last pause are kept.
#[derive(Debug, Default)]
pub struct Pace {
    last: HashMap<Key, Instant>,
}

impl Pace {
    /// Notes that an object has been looked at.
    pub fn looked(&mut self, key: Key, now: Instant) {
        // An object may be gone by the time that the look at it ends.
        self.last.retain(|_, looked| now < *looked + PAUSE);
        self.last.insert(key, now);
    }

    /// Until when it is to be left alone.
    pub fn rests_until(&self, key: &Key) -> Option<Instant> {
        self.last.get(key).map(|looked| *looked + PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_was_looked_at_rests() {
        let (mut pace, key, now) = (Pace::default(), Key::new("ns", "a"), Instant::now());
        assert_eq!(pace.rests_until(&key), None);
        pace.looked(key.clone(), now);
        assert_eq!(pace.rests_until(&key), Some(now + PAUSE));
        assert_eq!(pace.rests_until(&Key::new("ns", "b")), None);
    }

    #[test]
    fn nothing_is_kept_of_objects_that_nobody_looks_at_any_more() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for name in ["a", "b"] {
            pace.looked(Key::new("ns", name), now);
        }
        pace.looked(Key::new("ns", "c"), now + PAUSE);
        assert_eq!(pace.last.len(), 1);
    }
}
