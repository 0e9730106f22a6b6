//! The time as NATS has it: pure, with the time as a parameter.

use std::time::{Duration, Instant, SystemTime};

/// What NATS' clock shows, reckoned from what it showed once. The clock of our own machine is not asked: where it goes wrong by
/// a minute, every channel event would seem too old.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    read_at: Instant,
    showed: SystemTime,
}

impl Clock {
    /// A clock that showed this when it was read, which was now at the latest.
    pub fn new(now: Instant, showed: SystemTime) -> Self {
        Self { read_at: now, showed }
    }

    /// How long ago something was stored; no time for what seems to be of the future, for it took a moment to read the clock,
    /// and the servers of a cluster may differ.
    pub fn age(&self, now: Instant, stored: SystemTime) -> Duration {
        self.time(now).duration_since(stored).unwrap_or_default()
    }

    /// By how many seconds the clock of our own machine is ahead.
    pub fn skew(&self, now: Instant, ours: SystemTime) -> f64 {
        match ours.duration_since(self.time(now)) {
            Ok(ahead) => ahead.as_secs_f64(),
            Err(behind) => -behind.duration().as_secs_f64(),
        }
    }

    fn time(&self, now: Instant) -> SystemTime {
        self.showed + now.saturating_duration_since(self.read_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_old_something_is_tells_the_clock_of_nats_however_wrong_ours_is() {
        let (start, nats) = (Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        let second = Duration::from_secs;
        let clock = Clock::new(start, nats);
        assert_eq!(clock.age(start + second(3), nats + second(1)), second(2));
        assert_eq!(clock.age(start, nats + second(1)), Duration::ZERO);
        assert_eq!(clock.age(start + second(3), nats - second(60)), second(63));
        assert_eq!(clock.skew(start + second(3), nats + second(123)), 120.0);
        assert_eq!(clock.skew(start + second(3), nats - second(57)), -60.0);
    }
}
