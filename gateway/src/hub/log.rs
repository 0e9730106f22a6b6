//! The event log: every event gets a position, and recent ones can be had again.
//!
//! All processes of a mud have the same log. One of them writes it at a time, under an epoch of its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::event::Event;
use crate::mud::Position;

/// The most events that can be had again.
const CAPACITY: usize = 1000;

/// The most bytes of large events, such as files, that can be had again: a client that comes back gets all at once.
const BULK: usize = 512 * 1024;

/// The most ends of epochs remembered.
const ENDS: usize = 16;

/// How much later than another copy the router's may come, for the two to be known as one here.
const SAME_MESSAGE: Duration = Duration::from_secs(8);

/// How long after the router has accepted a writer it may be told, by relays and the bus, what was said before.
const TOLD_LATE: Duration = Duration::from_secs(2);

/// How far the places leap when another process may be writing the log already: further than anybody writes before others know
/// of it.
pub(super) const LEAP: u64 = 1_000_000_000;

/// How long an event can be had again.
const RETENTION: Duration = Duration::from_secs(600);

/// An event, its place and its time.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its place.
    pub position: Position,
    /// The event.
    pub event: Arc<Event>,
    /// When it came.
    pub at: Timestamp,
    /// Whether no other process can have heard it from the router: the writer's session brought it, if not first, or the
    /// router never had it.
    pub here_alone: bool,
}

impl Logged {
    /// An event that another process may have heard from the router, or that is none of a channel's.
    pub fn new(position: Position, event: Arc<Event>, at: Timestamp) -> Self {
        Self { position, event, at, here_alone: false }
    }
}

/// What is missing of what others have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Nothing, up to now.
    Nothing,
    /// Some of it up to this place.
    UpTo(Position),
    /// Nobody can say.
    Anything,
}

impl Missing {
    /// Whether one who has all up to a place misses nothing of it.
    pub fn is_known_at(self, position: Position) -> bool {
        match self {
            Self::Nothing => true,
            Self::UpTo(place) => position >= place,
            Self::Anything => false,
        }
    }

    /// The same when some is missing up to another place, too; none: nobody can say which.
    pub fn and(self, up_to: Option<Position>) -> Self {
        match (self, up_to) {
            (Self::Nothing, Some(place)) => Self::UpTo(place),
            (Self::UpTo(known), Some(place)) => Self::UpTo(known.max(place)),
            (Self::Anything, _) | (_, None) => Self::Anything,
        }
    }
}

/// The recent events; pure, with the time as a parameter.
#[derive(Clone, Debug)]
pub struct EventLog {
    last: Position,
    recent: VecDeque<Logged>,
    /// After this place nothing is missing but what is of no use later.
    complete_after: Position,
    /// The last places of earlier epochs, oldest first.
    ends: VecDeque<Position>,
    /// The bytes of the large ones among the recent.
    bulk: usize,
}

impl EventLog {
    /// An empty log.
    pub fn new(epoch: u64) -> Self {
        let start = Position { epoch, seq: 0 };
        Self { last: start, recent: VecDeque::new(), complete_after: start, ends: VecDeque::new(), bulk: 0 }
    }

    /// A log as another process has it: where it is, after which place nothing is missing, where earlier epochs ended,
    /// and the recent events.
    pub fn of(last: Position, complete_after: Position, ends: Vec<Position>, recent: Vec<Logged>) -> Self {
        let bulk = recent.iter().map(|logged| logged.event.bulk()).sum();
        Self { last, recent: recent.into(), complete_after, ends: ends.into(), bulk }
    }

    /// The last places of earlier epochs.
    pub fn ends(&self) -> Vec<Position> {
        self.ends.iter().copied().collect()
    }

    /// The place of the last event.
    pub fn position(&self) -> Position {
        self.last
    }

    /// After which place nothing is missing.
    pub fn complete_after(&self) -> Position {
        self.complete_after
    }

    /// The recent events, oldest first.
    pub fn recent(&self) -> impl Iterator<Item = &Logged> {
        self.recent.iter()
    }

    /// From now on this process writes, under an epoch greater than all before.
    pub(super) fn begin(&mut self, epoch: u64, missing: Missing) {
        let before = self.last;
        self.end(Position { epoch: epoch.max(before.epoch + 1), seq: 0 });
        match missing {
            Missing::Nothing => {}
            // Who has what is missing here goes on.
            Missing::UpTo(place) => self.complete_after = place.clamp(before, self.last),
            Missing::Anything => self.complete_after = self.last,
        }
    }

    /// The epoch ends here, and another one begins; or it goes on after a leap.
    pub fn end(&mut self, begin: Position) {
        if begin.epoch > self.last.epoch {
            if self.ends.len() >= ENDS {
                self.ends.pop_front();
            }
            self.ends.push_back(self.last);
        }
        self.last = begin;
    }

    /// Another process may be writing from now on: who has what comes here, too, is to be told from one who has what was not
    /// told any more by a process that died.
    pub fn leap(&mut self) -> Position {
        self.last.seq += LEAP;
        self.last
    }

    /// A place for what is no event.
    pub fn skip(&mut self) -> Position {
        self.last = self.last.next();
        self.last
    }

    /// Gives an event the next place.
    pub fn append(&mut self, at: Timestamp, event: Arc<Event>) -> Logged {
        let logged = Logged::new(self.last.next(), event, at);
        self.take(at, logged.clone());
        logged
    }

    /// Takes an event that another process gave a place.
    pub fn take(&mut self, now: Timestamp, logged: Logged) {
        self.advance(logged.position);
        self.forget(now);
        if !logged.event.is_passing() {
            self.bulk += logged.event.bulk();
            self.recent.push_back(logged);
            while self.recent.len() > CAPACITY || self.bulk > BULK {
                self.forget_oldest();
            }
        }
    }

    /// The router has brought what came another way before.
    pub fn brought(&mut self, now: Timestamp, event: &Event) {
        let epoch = self.last.epoch;
        let lately =
            |logged: &&mut Logged| logged.position.epoch == epoch && age(now, logged.at) < SAME_MESSAGE;
        let mut lately = self.recent.iter_mut().rev().take_while(lately);
        if let Some(logged) = lately.find(|logged| !logged.here_alone && *logged.event == *event) {
            logged.here_alone = true;
        }
    }

    /// Takes back what nobody has heard: it gets another place.
    pub fn withdraw(&mut self, position: Position) {
        let index = self.recent.partition_point(|logged| logged.position < position);
        if let Some(logged) = self.recent.get(index).filter(|logged| logged.position == position) {
            self.bulk -= logged.event.bulk();
            self.recent.remove(index);
        }
    }

    /// Another process has come to a place.
    pub fn advance(&mut self, position: Position) {
        self.last = self.last.max(position);
    }

    /// All that came after a position; none when the log does not reach back that far.
    ///
    /// A position a leap past the end of its epoch is of a client whose process was cut off from the others and went on: up to
    /// the moment at which its successor was accepted by the router it has heard from there what is said on channels. A
    /// router brings a mud each message once: what it brought the successor it did not bring that process, nor what it was
    /// never told. A position a little past the end is of a client whose process died before the others had all of it: it
    /// has heard nothing since, and nobody knows what it heard last.
    pub fn since(&mut self, now: Timestamp, position: Position) -> Option<impl Iterator<Item = &Logged>> {
        self.forget(now);
        let reaches = position <= self.last && position >= self.complete_after;
        reaches.then(|| {
            let skip = self.recent.partition_point(|logged| logged.position <= position);
            let heard_until = self.heard_until(position);
            let heard = move |logged: &&Logged| {
                !logged.here_alone
                    && logged.event.channel().is_some()
                    && heard_until.is_some_and(|until| until.covers(logged))
            };
            self.recent.iter().skip(skip).filter(move |logged| !heard(logged))
        })
    }

    /// Until when the next epoch's writer may still be told what was said before the router accepted it, for a position a leap
    /// past the end of its epoch.
    fn heard_until(&self, position: Position) -> Option<HeardUntil> {
        let mut ends = self.ends.iter();
        if !ends.any(|end| end.epoch == position.epoch && position.seq.saturating_sub(end.seq) >= LEAP) {
            return None;
        }
        // The epoch that followed, which may be the present one.
        let next = ends.next().map_or(self.last.epoch, |end| end.epoch);
        let accepted = |logged: &&Logged| {
            logged.position.epoch == next && matches!(*logged.event, Event::GatewayReconnected(_))
        };
        let at = self.recent.iter().find(accepted).map(|accepted| accepted.at);
        Some(HeardUntil { epoch: next, at })
    }

    fn forget(&mut self, now: Timestamp) {
        while self.recent.front().is_some_and(|logged| age(now, logged.at) >= RETENTION) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(logged) = self.recent.pop_front() {
            self.complete_after = self.complete_after.max(logged.position);
            self.bulk -= logged.event.bulk();
        }
    }
}

/// Until when what is told was said before a writer was accepted by the router.
#[derive(Clone, Copy, Debug)]
struct HeardUntil {
    /// The writer's.
    epoch: u64,
    /// When it was accepted; none: it was not.
    at: Option<Timestamp>,
}

impl HeardUntil {
    fn covers(self, logged: &Logged) -> bool {
        let soon = self.at.is_none_or(|accepted| age(logged.at, accepted) < TOLD_LATE);
        logged.position.epoch == self.epoch && soon
    }
}

/// How long ago something was; none when it is yet to come by this clock.
pub(super) fn age(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{FileResult, NewsGroupsRequested};

    fn at(epoch: u64, seq: u64) -> Position {
        Position { epoch, seq }
    }

    fn event() -> Arc<Event> {
        Arc::new(Event::reconnected())
    }

    fn places(log: &mut EventLog, now: Timestamp, position: Position) -> Option<Vec<Position>> {
        log.since(now, position).map(|events| events.map(|logged| logged.position).collect())
    }

    fn seqs(log: &mut EventLog, now: Timestamp, position: Position) -> Option<Vec<u64>> {
        Some(places(log, now, position)?.iter().map(|position| position.seq).collect())
    }

    #[test]
    fn what_came_after_a_position_can_be_had_again() {
        let now = Timestamp::now();
        let mut log = EventLog::new(7);
        assert_eq!(seqs(&mut log, now, at(7, 0)), Some(vec![]));
        for _ in 0..3 {
            log.append(now, event());
        }
        assert_eq!(log.position(), at(7, 3));
        assert_eq!(seqs(&mut log, now, at(7, 1)), Some(vec![2, 3]));
        assert_eq!(seqs(&mut log, now, at(7, 3)), Some(vec![]));
        assert_eq!(log.skip(), at(7, 4));
        log.append(now, event());
        assert_eq!(seqs(&mut log, now, at(7, 3)), Some(vec![5]), "what is no event has a place and no more");
    }

    #[test]
    fn what_is_taken_back_is_not_had_again() {
        let now = Timestamp::now();
        let mut log = EventLog::new(7);
        for _ in 0..3 {
            log.append(now, event());
        }
        log.withdraw(at(7, 2));
        log.withdraw(at(7, 9));
        assert_eq!(seqs(&mut log, now, at(7, 0)), Some(vec![1, 3]));
    }

    #[test]
    fn a_position_before_the_first_epoch_or_of_the_future_is_not_known() {
        let now = Timestamp::now();
        let mut log = EventLog::new(7);
        log.append(now, event());
        assert_eq!(seqs(&mut log, now, at(6, 9)), None);
        assert_eq!(seqs(&mut log, now, at(7, 2)), None);
        assert_eq!(seqs(&mut log, now, at(8, 0)), None);
    }

    #[test]
    fn a_log_goes_on_in_another_epoch() {
        let now = Timestamp::now();
        let mut log = EventLog::new(7);
        log.append(now, event());
        log.append(now, event());
        log.begin(9, Missing::Nothing);
        log.append(now, event());
        assert_eq!(places(&mut log, now, at(7, 1)), Some(vec![at(7, 2), at(9, 1)]));
        // What an old writer still said when it was replaced, and an epoch nobody followed.
        assert_eq!(places(&mut log, now, at(7, 5)), Some(vec![at(9, 1)]));
        assert_eq!(places(&mut log, now, at(8, 3)), Some(vec![at(9, 1)]));
        log.begin(9, Missing::Nothing);
        assert_eq!(log.position(), at(10, 0), "no epoch is used twice");
        log.begin(11, Missing::Anything);
        assert_eq!(places(&mut log, now, at(10, 0)), None);
        assert_eq!(places(&mut log, now, at(11, 0)), Some(vec![]));
    }

    #[test]
    fn an_epoch_goes_on_after_a_leap() {
        let now = Timestamp::now();
        let (mut log, mut follower) = (EventLog::new(7), EventLog::new(7));
        let leap = log.leap();
        follower.end(leap);
        log.append(now, event());
        for log in [&mut log, &mut follower] {
            assert_eq!((log.position().epoch, log.position().seq / LEAP, log.ends()), (7, 1, vec![]));
        }
        assert_eq!(places(&mut log, now, at(7, 0)), Some(vec![leap.next()]));
    }

    #[test]
    fn the_log_reaches_back_a_number_of_events_and_a_time() {
        let start = Timestamp::now();
        let mut log = EventLog::new(7);
        for _ in 0..CAPACITY + 10 {
            log.append(start, event());
        }
        assert_eq!(seqs(&mut log, start, at(7, 9)), None);
        assert_eq!(seqs(&mut log, start, at(7, 10)).map(|seqs| seqs.len()), Some(CAPACITY));
        let later = start + RETENTION;
        assert_eq!(seqs(&mut log, later, at(7, 1000)), None);
        assert_eq!(seqs(&mut log, later, at(7, CAPACITY as u64 + 10)), Some(vec![]));
    }

    #[test]
    fn what_was_missing_before_an_epoch_is_so_still_when_what_was_known_is_forgotten() {
        let now = Timestamp::now();
        let mut log = EventLog::new(7);
        log.append(now, event());
        log.append(now, event());
        log.begin(9, Missing::Anything);
        for _ in 0..CAPACITY - 1 {
            log.append(now, event());
        }
        assert_eq!(places(&mut log, now, at(7, 2)), None);
        assert_eq!(places(&mut log, now, at(9, 0)).map(|places| places.len()), Some(CAPACITY - 1));
    }

    #[test]
    fn large_events_are_bounded_in_bytes_and_requests_are_not_kept() {
        let now = Timestamp::now();
        let mut log = EventLog::new(7);
        let file = |len: usize| {
            let result = FileResult::new("r".into(), "Dusk".into(), "get", "a".into());
            Arc::new(Event::FileResult(FileResult { contents: Some("x".repeat(len)), ..result }))
        };
        let request = NewsGroupsRequested { request_id: "r".into(), from_mud: "Dusk".into() };
        log.append(now, file(BULK / 2));
        log.append(now, Arc::new(Event::NewsGroupsRequested(request)));
        log.append(now, file(BULK / 2));
        assert_eq!(seqs(&mut log, now, at(7, 0)), Some(vec![1, 3]));
        log.append(now, file(1));
        assert_eq!((seqs(&mut log, now, at(7, 0)), seqs(&mut log, now, at(7, 1))), (None, Some(vec![3, 4])));
        log.append(now, file(BULK + 1));
        assert_eq!((seqs(&mut log, now, at(7, 4)), seqs(&mut log, now, at(7, 5))), (None, Some(vec![])));
        assert_eq!((log.bulk, log.recent.len()), (0, 0));
    }

    #[test]
    fn who_was_cut_off_and_went_on_has_heard_the_channels_until_the_successor_was_accepted() {
        let now = Timestamp::now();
        let chat = || Arc::new(super::super::event::tests::chat("c"));
        let mut log = EventLog::new(7);
        log.append(now, chat());
        log.skip();
        log.begin(9, Missing::Nothing);
        log.append(now, chat());
        log.append(now, event());
        log.append(now + TOLD_LATE, chat());
        let mut copy =
            EventLog::of(log.position(), log.complete_after(), log.ends(), log.recent().cloned().collect());
        for log in [&mut log, &mut copy] {
            assert_eq!(places(log, now, at(7, 2)), Some(vec![at(9, 1), at(9, 2), at(9, 3)]));
            assert_eq!(places(log, now, at(7, 3)).map(|places| places.len()), Some(3), "it died");
            assert_eq!(places(log, now, at(7, 2 + LEAP)), Some(vec![at(9, 2), at(9, 3)]));
            assert_eq!(places(log, now, at(9, 0)), Some(vec![at(9, 1), at(9, 2), at(9, 3)]));
        }
    }

    #[test]
    fn what_a_relay_or_the_bus_tells_the_successor_late_was_heard_unless_it_came_to_the_successor_alone() {
        let now = Timestamp::now();
        let chat = || Arc::new(super::super::event::tests::chat("c"));
        let mut log = EventLog::new(7);
        log.skip();
        log.begin(9, Missing::Nothing);
        // By the bus, and by the router too, for which it was the first to be accepted.
        log.append(now, chat());
        log.brought(now, &chat());
        log.append(now, event());
        // A relay tells again.
        log.append(now, chat());
        // By the router, or of a channel that it does not know.
        log.take(now, Logged { here_alone: true, ..Logged::new(at(9, 4), chat(), now) });
        log.append(now + TOLD_LATE, chat());
        let since = places(&mut log, now, at(7, 2 + LEAP));
        assert_eq!(since, Some(vec![at(9, 1), at(9, 2), at(9, 4), at(9, 5)]));
        assert_eq!(places(&mut log, now, at(7, 1)).map(|places| places.len()), Some(5));
    }
}
