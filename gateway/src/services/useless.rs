//! When a process is of no use to its clients any more, so that they had better go to another one.

use std::time::{Duration, Instant};

/// How long a process may be of no use before its clients are sent away.
const BEAR: Duration = Duration::from_secs(10);

/// Since when a process has been of no use; pure, with the time as a parameter.
#[derive(Debug, Default)]
pub struct Useless {
    since: Option<Instant>,
}

impl Useless {
    /// Takes note of whether it is of use; true: its clients are to go.
    pub fn look(&mut self, now: Instant, useful: bool) -> bool {
        if useful {
            self.since = None;
            return false;
        }
        now.duration_since(*self.since.get_or_insert(now)) >= BEAR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_go_when_it_has_been_of_no_use_for_long_without_a_break() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut useless = Useless::default();
        let mut go = Vec::new();
        for (second, useful) in [
            (0, false),
            (9, false),
            (9, true),
            (10, false),
            (19, false),
            (20, false),
            (21, false),
            (22, true),
        ] {
            if useless.look(at(second), useful) {
                go.push(second);
            }
        }
        assert_eq!(go, [20, 21]);
    }
}
