//! How fast a key may be used.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// So many requests a minute, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_minute: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

impl Rate {
    /// A rate whose burst is a third of a minute's requests, at least 20: the Python gateway's rule.
    pub fn per_minute(per_minute: NonZeroU32) -> Self {
        let burst = NonZeroU32::new(per_minute.get() / 3).map_or(BURST, |third| third.max(BURST));
        Self { per_minute, burst }
    }
}

const BURST: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// The limits for keys that have none of their own, and for methods whatever the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// For all methods together.
    pub default: Rate,
    /// For single methods, besides.
    pub by_method: HashMap<String, Rate>,
}

impl Default for RateLimits {
    /// 100 a minute, 20 at once: the Python gateway's.
    fn default() -> Self {
        const PER_MINUTE: NonZeroU32 = NonZeroU32::new(100).unwrap();
        Self { default: Rate { per_minute: PER_MINUTE, burst: BURST }, by_method: HashMap::new() }
    }
}

/// A key is used too fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Rate limit exceeded")]
pub struct RateLimited {
    /// When the next request will do.
    pub retry_after: Duration,
}

/// Methods that keep a connection alive: to refuse them would only make clients reconnect.
const FREE: &[&str] = &["ping", "heartbeat"];

/// The counts of one key.
pub(super) struct Limiters {
    all: DefaultDirectRateLimiter,
    by_method: HashMap<String, DefaultDirectRateLimiter>,
}

impl Limiters {
    pub(super) fn new(limits: &RateLimits, own: Option<Rate>) -> Self {
        Self {
            all: limiter(own.unwrap_or(limits.default)),
            by_method: limits.by_method.iter().map(|(name, rate)| (name.clone(), limiter(*rate))).collect(),
        }
    }

    pub(super) fn check(&self, method: &'static str) -> Result<(), RateLimited> {
        if FREE.contains(&method) {
            return Ok(());
        }
        for limiter in self.by_method.get(method).into_iter().chain([&self.all]) {
            if let Err(until) = limiter.check() {
                return Err(RateLimited { retry_after: until.wait_time_from(DefaultClock::default().now()) });
            }
        }
        Ok(())
    }
}

fn limiter(rate: Rate) -> DefaultDirectRateLimiter {
    RateLimiter::direct(Quota::per_minute(rate.per_minute).allow_burst(rate.burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_minute: u32) -> Rate {
        Rate::per_minute(NonZeroU32::new(per_minute).unwrap())
    }

    fn admitted(limiters: &Limiters, method: &'static str) -> usize {
        (0..1000).take_while(|_| limiters.check(method).is_ok()).count()
    }

    #[test]
    fn the_burst_is_a_third_of_a_minutes_requests_but_at_least_20() {
        assert_eq!((rate(600).burst.get(), rate(30).burst.get(), rate(1).burst.get()), (200, 20, 20));
    }

    #[test]
    fn a_key_may_be_used_so_often_at_once_and_then_is_told_when() {
        let limiters = Limiters::new(&RateLimits::default(), None);
        assert_eq!(admitted(&limiters, "tell"), 20);
        let limited = limiters.check("channel_send").unwrap_err();
        assert!(limited.retry_after > Duration::ZERO && limited.retry_after <= Duration::from_millis(600));
        assert_eq!(admitted(&limiters, "ping"), 1000, "what keeps a connection alive is free");
        let own = Limiters::new(&RateLimits::default(), Some(rate(600)));
        assert_eq!(admitted(&own, "tell"), 200);
    }

    #[test]
    fn a_method_may_have_a_limit_of_its_own() {
        let slow = Rate { per_minute: NonZeroU32::MIN, burst: NonZeroU32::MIN };
        let limits = RateLimits { by_method: [("who".to_owned(), slow)].into(), ..RateLimits::default() };
        let limiters = Limiters::new(&limits, None);
        assert_eq!(admitted(&limiters, "who"), 1);
        assert_eq!(admitted(&limiters, "tell"), 19, "and it counts for all methods too");
    }
}
