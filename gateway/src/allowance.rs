//! How much one other mud may make us do.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::mud::NAME_BYTES;

/// The most muds counted in a second; what comes of any more is not admitted. Names can be forged, so there is no
/// telling how many come.
const MUDS: usize = 200;

/// Counts what comes of each mud in the present second; pure, with the time as a parameter.
#[derive(Debug)]
pub struct Allowance {
    each_second: u32,
    since: Option<Instant>,
    muds: HashMap<String, u32>,
    refused: u64,
}

impl Allowance {
    /// So much of each mud in a second.
    pub fn new(each_second: u32) -> Self {
        Self { each_second, since: None, muds: HashMap::new(), refused: 0 }
    }

    /// Whether one more of a mud is admitted now.
    pub fn admit(&mut self, now: Instant, mud: &str) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1)) {
            self.since = Some(now);
            self.muds.clear();
        }
        let count = self.muds.get(mud).copied();
        let room = self.muds.len() < MUDS && mud.len() <= NAME_BYTES;
        let admitted = count.map_or(room, |count| count < self.each_second);
        if admitted {
            self.muds.insert(mud.to_owned(), count.unwrap_or_default() + 1);
        } else {
            self.refused += 1;
        }
        admitted
    }

    /// How many were not admitted so far.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mud_gets_so_much_a_second_and_others_theirs() {
        let now = Instant::now();
        let mut allowance = Allowance::new(5);
        let admitted = (0..20).filter(|_| allowance.admit(now, "Greedy")).count();
        assert_eq!(admitted, 5);
        assert!(allowance.admit(now, "Modest"));
        assert!(!allowance.admit(now + Duration::from_millis(999), "Greedy"));
        assert!(allowance.admit(now + Duration::from_secs(1), "Greedy"));
        assert_eq!(allowance.refused(), 16);
    }

    #[test]
    fn forged_names_take_no_memory_without_end() {
        let now = Instant::now();
        let mut allowance = Allowance::new(5);
        let admitted = (0..10_000).filter(|index| allowance.admit(now, &index.to_string())).count();
        assert_eq!((admitted, allowance.muds.len()), (MUDS, MUDS));
        assert!(!Allowance::new(5).admit(now, &"x".repeat(NAME_BYTES + 1)));
    }
}
