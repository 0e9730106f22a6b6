//! The event log: every event gets a position, and recent ones can be had again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::Event;

/// The most events that can be had again.
const CAPACITY: usize = 1000;

/// The most bytes of large events, such as files, that can be had again: a client that comes back gets all at once.
const BULK: usize = 512 * 1024;

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
    /// The number from which on nothing is missing but what is of no use later.
    oldest: u64,
    /// The bytes of the large ones among the recent.
    bulk: usize,
}

impl EventLog {
    /// An empty log.
    pub fn new(epoch: u64) -> Self {
        Self { last: Position { epoch, seq: 0 }, recent: VecDeque::new(), oldest: 1, bulk: 0 }
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
        if !logged.event.is_passing() {
            self.bulk += logged.event.bulk();
            self.recent.push_back(logged.clone());
            while self.recent.len() > CAPACITY || self.bulk > BULK {
                self.forget_oldest();
            }
        }
        logged
    }

    /// All that came after a position; none when the log does not reach back that far.
    pub fn since(&mut self, now: Instant, position: Position) -> Option<impl Iterator<Item = &Logged>> {
        self.forget(now);
        let reaches = position.epoch == self.last.epoch
            && position.seq <= self.last.seq
            && position.seq + 1 >= self.oldest;
        reaches.then(|| {
            let skip = self.recent.partition_point(|logged| logged.position.seq <= position.seq);
            self.recent.iter().skip(skip)
        })
    }

    fn forget(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|logged| now.duration_since(logged.at) >= RETENTION) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(logged) = self.recent.pop_front() {
            self.oldest = logged.position.seq + 1;
            self.bulk -= logged.event.bulk();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{FileResult, NewsGroupsRequested};

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

    #[test]
    fn large_events_are_bounded_in_bytes_and_requests_are_not_kept() {
        let now = Instant::now();
        let mut log = EventLog::new(7);
        let file = |len: usize| {
            let result = FileResult::new("r".into(), "Dusk".into(), "get", "a".into());
            Event::FileResult(FileResult { contents: Some("x".repeat(len)), ..result })
        };
        let request = NewsGroupsRequested { request_id: "r".into(), from_mud: "Dusk".into() };
        log.append(now, file(BULK / 2));
        log.append(now, Event::NewsGroupsRequested(request));
        log.append(now, file(BULK / 2));
        assert_eq!(seqs(&mut log, now, at(7, 0)), Some(vec![1, 3]));
        log.append(now, file(1));
        assert_eq!((seqs(&mut log, now, at(7, 0)), seqs(&mut log, now, at(7, 1))), (None, Some(vec![3, 4])));
        log.append(now, file(BULK + 1));
        assert_eq!((seqs(&mut log, now, at(7, 4)), seqs(&mut log, now, at(7, 5))), (None, Some(vec![])));
        assert_eq!((log.bulk, log.recent.len()), (0, 0));
    }
}
