//! The tells that nobody was there to hear.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use super::log::age;
use super::record::KeptTell;
use crate::mud::Position;

/// How long a tell waits for a client when none is there.
const KEEP: Duration = Duration::from_secs(300);

/// The most tells that wait; past it the oldest are dropped.
pub(super) const KEPT_TELLS: usize = 200;

/// The tells that wait, oldest first; pure, with the time as a parameter.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    tells: VecDeque<KeptTell>,
    dropped: u64,
}

impl Kept {
    /// Lets a tell wait.
    pub fn keep(&mut self, tell: KeptTell) {
        if self.tells.len() >= KEPT_TELLS {
            self.tells.pop_front();
            self.dropped += 1;
        }
        self.tells.push_back(tell);
    }

    /// Adds what was stored, and is not here yet.
    pub fn restore(&mut self, stored: Vec<KeptTell>) {
        let missing = |tell: &KeptTell| !self.tells.iter().any(|one| one.position == tell.position);
        let missing: Vec<_> = stored.into_iter().filter(missing).collect();
        self.tells.extend(missing);
        self.tells.make_contiguous().sort_by_key(|tell| tell.position);
        while self.tells.len() > KEPT_TELLS {
            self.tells.pop_front();
        }
    }

    /// Forgets the tell that came at a place: somebody has it.
    pub fn forget(&mut self, position: Position) {
        self.tells.retain(|tell| tell.position != position);
    }

    /// Takes out what is for somebody who has come.
    pub fn take(&mut self, now: Timestamp, wanted: impl Fn(&KeptTell) -> bool) -> Vec<KeptTell> {
        let mut taken = Vec::new();
        for tell in std::mem::take(&mut self.tells) {
            if age(now, tell.at) >= KEEP {
                self.dropped += 1;
                continue;
            }
            if wanted(&tell) {
                taken.push(tell);
            } else {
                self.tells.push_back(tell);
            }
        }
        taken
    }

    /// How many were dropped, because they waited too long or for newer ones.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// All that wait.
    pub fn all(&self) -> Vec<KeptTell> {
        self.tells.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::event::tests::tell;
    use super::*;

    fn kept(seq: u64, at: Timestamp) -> KeptTell {
        let position = Position { epoch: 7, seq };
        KeptTell::new(position, at, Arc::new(tell(&seq.to_string())))
    }

    fn seqs(tells: &[KeptTell]) -> Vec<u64> {
        tells.iter().map(|tell| tell.position.seq).collect()
    }

    #[test]
    fn a_tell_waits_for_a_while_and_is_taken_once() {
        let now = Timestamp::now();
        let mut waiting = Kept::default();
        for seq in 1..=3 {
            waiting.keep(kept(seq, now));
        }
        assert_eq!(seqs(&waiting.take(now, |tell| tell.position.seq == 2)), [2]);
        assert_eq!(seqs(&waiting.all()), [1, 3]);
        assert!(waiting.take(now + KEEP, |_| true).is_empty());
        assert!(waiting.all().is_empty());
    }

    #[test]
    fn what_was_stored_is_added_once_in_its_order() {
        let now = Timestamp::now();
        let mut waiting = Kept::default();
        waiting.keep(kept(2, now));
        waiting.restore(vec![kept(1, now), kept(2, now)]);
        assert_eq!(seqs(&waiting.all()), [1, 2]);
        waiting.forget(Position { epoch: 7, seq: 1 });
        assert_eq!(seqs(&waiting.all()), [2]);
    }

    #[test]
    fn the_tells_that_wait_are_bounded() {
        let now = Timestamp::now();
        let mut waiting = Kept::default();
        for seq in 0..KEPT_TELLS as u64 + 5 {
            waiting.keep(kept(seq, now));
        }
        assert_eq!(
            (waiting.all().len(), waiting.all()[0].position.seq),
            (KEPT_TELLS, 5),
            "the oldest go first"
        );
    }
}
