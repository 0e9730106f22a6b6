//! How much other muds may make us say.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How many requests of one mud are answered in a second. More than ten packets a second, and a router ignores us.
const REQUESTS: u32 = 5;

/// The most muds counted in a second; requests of any more are not answered. Names can be forged, so there is no
/// telling how many come.
const MUDS: usize = 200;

/// The longest name of a mud that is counted, in bytes.
const NAME: usize = 256;

/// Counts the requests of each mud in the present second; pure, with the time as a parameter.
#[derive(Debug, Default)]
pub struct Allowance {
    since: Option<Instant>,
    muds: HashMap<String, u32>,
    refused: u64,
}

impl Allowance {
    /// Whether a request of a mud may be answered now.
    pub fn admit(&mut self, now: Instant, mud: &str) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1)) {
            self.since = Some(now);
            self.muds.clear();
        }
        let count = self.muds.get(mud).copied();
        let room = self.muds.len() < MUDS && mud.len() <= NAME;
        let admitted = count.map_or(room, |count| count < REQUESTS);
        if admitted {
            self.muds.insert(mud.to_owned(), count.unwrap_or_default() + 1);
        } else {
            self.refused += 1;
        }
        admitted
    }

    /// How many requests were not admitted so far.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mud_gets_so_many_answers_a_second_and_others_theirs() {
        let now = Instant::now();
        let mut allowance = Allowance::default();
        let admitted = (0..20).filter(|_| allowance.admit(now, "Greedy")).count();
        assert_eq!(admitted, REQUESTS as usize);
        assert!(allowance.admit(now, "Modest"));
        assert!(!allowance.admit(now + Duration::from_millis(999), "Greedy"));
        assert!(allowance.admit(now + Duration::from_secs(1), "Greedy"));
        assert_eq!(allowance.refused(), 16);
    }

    #[test]
    fn forged_names_take_no_memory_without_end() {
        let now = Instant::now();
        let mut allowance = Allowance::default();
        let admitted = (0..10_000).filter(|index| allowance.admit(now, &index.to_string())).count();
        assert_eq!((admitted, allowance.muds.len()), (MUDS, MUDS));
        assert!(!Allowance::default().admit(now, &"x".repeat(NAME + 1)));
    }
}
