//! Limits guessing: an address that shows too many wrong keys is not listened to for a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// So many wrong keys are forgiven within the window.
const FORGIVEN: u32 = 10;

/// The time for which wrong keys count.
const WINDOW: Duration = Duration::from_secs(60);

/// The most addresses remembered; past it those whose window began first are forgotten.
const ADDRESSES: usize = 10_000;

/// Wrong keys by address; pure, with the time as a parameter.
#[derive(Debug, Default)]
pub struct FailedAttempts {
    by_address: HashMap<IpAddr, (Instant, u32)>,
}

impl FailedAttempts {
    /// Whether an address has shown too many wrong keys.
    pub fn is_blocked(&self, now: Instant, address: IpAddr) -> bool {
        self.by_address
            .get(&address)
            .is_some_and(|(since, count)| *count >= FORGIVEN && now.duration_since(*since) < WINDOW)
    }

    /// An address has shown a wrong key.
    pub fn record(&mut self, now: Instant, address: IpAddr) {
        if self.by_address.len() >= ADDRESSES && !self.by_address.contains_key(&address) {
            self.make_room(now);
        }
        let (since, count) = self.by_address.entry(address).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
    }

    fn make_room(&mut self, now: Instant) {
        self.by_address.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        if self.by_address.len() >= ADDRESSES {
            let oldest =
                self.by_address.iter().min_by_key(|(_, (since, _))| *since).map(|(address, _)| *address);
            if let Some(oldest) = oldest {
                self.by_address.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from(number).into()
    }

    #[test]
    fn an_address_is_blocked_for_a_while_and_no_other() {
        let now = Instant::now();
        let mut attempts = FailedAttempts::default();
        for _ in 0..FORGIVEN {
            assert!(!attempts.is_blocked(now, address(1)));
            attempts.record(now, address(1));
        }
        assert!(attempts.is_blocked(now, address(1)) && !attempts.is_blocked(now, address(2)));
        assert!(!attempts.is_blocked(now + WINDOW, address(1)));
        attempts.record(now + WINDOW, address(1));
        assert!(!attempts.is_blocked(now + WINDOW, address(1)), "counting starts over");
    }

    #[test]
    fn the_addresses_remembered_are_bounded() {
        let start = Instant::now();
        let mut attempts = FailedAttempts::default();
        for number in 0..u32::try_from(ADDRESSES).unwrap() + 10 {
            attempts.record(start + Duration::from_micros(number.into()), address(number));
        }
        assert_eq!(attempts.by_address.len(), ADDRESSES);
        assert!(!attempts.by_address.contains_key(&address(0)), "the oldest go first");
    }
}
