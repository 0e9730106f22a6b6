//! Exponential back-off with jitter, and the failures of each object it is counted from.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::key::Key;
use crate::lock::lock;

/// How long to wait after repeated failures.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The delay after the first failure, before jitter.
    pub first: Duration,
    /// The most the delay grows to.
    pub most: Duration,
}

/// For the reconciliation of one object.
pub const RECONCILE: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(300) };

/// For the connection to NATS: short, for all gateways wait on it.
pub const BUS: Backoff = Backoff { first: Duration::from_millis(500), most: Duration::from_secs(15) };

impl Backoff {
    /// The delay after `failures` failures in a row: it doubles each time, and `random` in `0.0..1.0` takes away
    /// up to half of it, so that objects that failed together do not come back together.
    pub fn delay(&self, failures: u32, random: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let full = self.first.saturating_mul(doubled).min(self.most);
        full.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
    }
}

/// The failures in a row of each object. It holds only objects that fail now.
#[derive(Debug, Default)]
pub struct Failures {
    counts: Mutex<HashMap<Key, Count>>,
}

#[derive(Debug)]
struct Count {
    /// A changed spec is a new attempt, not another failure of the old one.
    generation: Option<i64>,
    failures: u32,
}

impl Failures {
    /// Counts one more failure of an object at a generation of its spec, and returns how many there are now.
    pub fn count(&self, key: Key, generation: Option<i64>) -> u32 {
        let mut counts = lock(&self.counts);
        let count = counts.entry(key).or_insert(Count { generation, failures: 0 });
        if count.generation != generation {
            *count = Count { generation, failures: 0 };
        }
        count.failures = count.failures.saturating_add(1);
        count.failures
    }

    /// How many failures in a row an object has had at a generation of its spec.
    pub fn so_far(&self, key: &Key, generation: Option<i64>) -> u32 {
        let counts = lock(&self.counts);
        counts.get(key).filter(|count| count.generation == generation).map_or(0, |count| count.failures)
    }

    /// Forgets the failures of an object that succeeded, or is gone.
    pub fn forget(&self, key: &Key) {
        lock(&self.counts).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_its_bound() {
        let seconds: Vec<u64> =
            [1, 2, 3, 8, 9, 10, 1000].iter().map(|&n| RECONCILE.delay(n, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 128, 256, 300, 300]);
        assert_eq!(BUS.delay(u32::MAX, 0.0), BUS.most);
    }

    #[test]
    fn jitter_takes_away_at_most_half() {
        assert_eq!(RECONCILE.delay(3, 0.5), Duration::from_secs(3));
        assert_eq!(RECONCILE.delay(3, 1.0), Duration::from_secs(2));
        assert_eq!(RECONCILE.delay(3, 7.0), Duration::from_secs(2));
    }

    #[test]
    fn failures_are_counted_for_each_object_and_generation() {
        let failures = Failures::default();
        let (a, b) = (Key::new("ns", "a"), Key::new("ns", "b"));
        assert_eq!(failures.count(a.clone(), Some(1)), 1);
        assert_eq!(failures.count(a.clone(), Some(1)), 2);
        assert_eq!(failures.count(b, Some(1)), 1);
        assert_eq!((failures.so_far(&a, Some(1)), failures.so_far(&a, Some(2))), (2, 0));
        assert_eq!(failures.count(a.clone(), Some(2)), 1);
        failures.forget(&a);
        assert_eq!(failures.count(a, Some(2)), 1);
    }
}
