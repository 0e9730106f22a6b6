//! How long to wait before the next attempt to connect.

use std::time::Duration;

use rand::{Rng, RngExt};

/// Full-jitter exponential back-off: the n-th attempt waits a random time up to `base * 2^n`, at most `cap`.
///
/// The floor keeps two attempts out of one clock second: routers accept one connection a second.
#[derive(Debug)]
pub struct Backoff {
    attempt: u32,
    floor: Duration,
    base: Duration,
    cap: Duration,
}

impl Backoff {
    /// A back-off that waits at least `floor` and at most `cap`.
    pub fn new(floor: Duration, base: Duration, cap: Duration) -> Self {
        Self { attempt: 0, floor, base, cap }
    }

    /// The wait before the next attempt.
    pub fn next(&mut self, random: &mut impl Rng) -> Duration {
        let ceiling = self.base.saturating_mul(1 << self.attempt.min(16)).min(self.cap);
        self.attempt = self.attempt.saturating_add(1);
        ceiling.mul_f64(random.random::<f64>()).max(self.floor)
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn waits_grow_to_the_cap_stay_above_the_floor_and_start_over() {
        let seconds = Duration::from_secs;
        let mut random = StdRng::seed_from_u64(7);
        let mut backoff = Backoff::new(seconds(1), seconds(2), seconds(60));
        let waits: Vec<_> = (0..200).map(|_| backoff.next(&mut random)).collect();
        assert!(waits[0] <= seconds(2) && waits[1] <= seconds(4) && waits[2] <= seconds(8));
        assert!(waits.iter().all(|wait| (seconds(1)..=seconds(60)).contains(wait)));
        assert!(waits.iter().any(|wait| *wait > seconds(50)), "the cap is reached");
        backoff.reset();
        assert!(backoff.next(&mut random) <= seconds(2));
    }
}
