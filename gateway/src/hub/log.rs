//! The event log: every event gets a position, and recent ones can be had again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::Event;

/// The most events that can be had again.
const CAPACITY: usize = 1000;

/// How long an event can be had again.
const RETENTION: Duration = Duration::from_secs(600);

/// A place in the sequence of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Position {
    /// Which sequence: it changes when the gateway starts anew.
    pub epoch: u64,
    /// The number of the last event received; 0 before the first.
    pub seq: u64,
}

/// An event and its place.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its place.
    pub position: Position,
    /// The event.
    pub event: Arc<Event>,
    at: Instant,
}

/// The events of one epoch; pure, with the time as a parameter.
#[derive(Debug)]
pub struct EventLog {
    last: Position,
    recent: VecDeque<Logged>,
}

impl EventLog {
    /// An empty log.
    pub fn new(epoch: u64) -> Self {
        Self { last: Position { epoch, seq: 0 }, recent: VecDeque::new() }
    }

    /// The place of the last event.
    pub fn position(&self) -> Position {
        self.last
    }

    /// Gives an event its place.
    pub fn append(&mut self, now: Instant, event: Event) -> Logged {
        self.last.seq += 1;
        let logged = Logged { position: self.last, event: Arc::new(event), at: now };
        self.forget(now);
        if self.recent.len() == CAPACITY {
            self.recent.pop_front();
        }
        self.recent.push_back(logged.clone());
        logged
    }

    /// All that came after a position; none when the log does not reach back that far.
    pub fn since(&mut self, now: Instant, position: Position) -> Option<impl Iterator<Item = &Logged>> {
        self.forget(now);
        let oldest = self.recent.front().map_or(self.last.seq + 1, |logged| logged.position.seq);
        let reaches =
            position.epoch == self.last.epoch && position.seq <= self.last.seq && position.seq + 1 >= oldest;
        reaches.then(|| {
            let skip = usize::try_from(position.seq + 1 - oldest).unwrap_or(usize::MAX);
            self.recent.iter().skip(skip)
        })
    }

    fn forget(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|logged| now.duration_since(logged.at) >= RETENTION) {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64, seq: u64) -> Position {
        Position { epoch, seq }
    }

    fn seqs(log: &mut EventLog, now: Instant, position: Position) -> Option<Vec<u64>> {
        log.since(now, position).map(|events| events.map(|logged| logged.position.seq).collect())
    }

    #[test]
    fn what_came_after_a_position_can_be_had_again() {
        let now = Instant::now();
        let mut log = EventLog::new(7);
        assert_eq!(seqs(&mut log, now, at(7, 0)), Some(vec![]));
        for _ in 0..3 {
            log.append(now, Event::reconnected());
        }
        assert_eq!(log.position(), at(7, 3));
        assert_eq!(seqs(&mut log, now, at(7, 1)), Some(vec![2, 3]));
        assert_eq!(seqs(&mut log, now, at(7, 3)), Some(vec![]));
    }

    #[test]
    fn a_position_of_another_epoch_or_of_the_future_is_not_known() {
        let now = Instant::now();
        let mut log = EventLog::new(7);
        log.append(now, Event::reconnected());
        assert_eq!(seqs(&mut log, now, at(6, 0)), None);
        assert_eq!(seqs(&mut log, now, at(7, 2)), None);
    }

    #[test]
    fn the_log_reaches_back_a_number_of_events_and_a_time() {
        let start = Instant::now();
        let mut log = EventLog::new(7);
        for _ in 0..CAPACITY + 10 {
            log.append(start, Event::reconnected());
        }
        assert_eq!(seqs(&mut log, start, at(7, 9)), None);
        assert_eq!(seqs(&mut log, start, at(7, 10)).map(|seqs| seqs.len()), Some(CAPACITY));
        let later = start + RETENTION;
        assert_eq!(seqs(&mut log, later, at(7, 1000)), None);
        assert_eq!(seqs(&mut log, later, at(7, CAPACITY as u64 + 10)), Some(vec![]));
    }
}
