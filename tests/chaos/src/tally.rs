//! What was said and what was heard of it; pure, with the time as a parameter.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Where messages come from. The name of a source says which kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A mud elsewhere, on a channel: by the router alone.
    Remote,
    /// A hosted mud, on a channel: by the router and by the bus, or by the bus alone.
    Hosted,
    /// The mud that is broken, heard by the hosted one.
    Own,
    /// Tells of a mud elsewhere.
    Tell,
}

/// What says numbered messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// How they come.
    pub kind: Kind,
    /// Which of several.
    pub index: u8,
}

/// How many messages there have been of each source: those before are of the past.
pub type Place = BTreeMap<Source, u64>;

/// Everything said and heard.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    /// By number from 0 on: whether it was said for certain.
    said: BTreeMap<Source, Vec<bool>>,
    /// In order of arrival.
    heard: Vec<(Instant, Source, u64)>,
}

/// What became of the messages between two places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Said.
    pub said: usize,
    /// Never heard.
    pub lost: usize,
    /// Heard again, however often.
    pub doubled: usize,
    /// Heard after a later one of the same source.
    pub disordered: usize,
}

impl Tally {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next message, which counts as said from now on.
    pub fn say(&self, source: Source) -> u64 {
        let number = self.try_to_say(source);
        self.said(source, number);
        number
    }

    /// The number of the next message, which need not be heard unless it is taken, but never twice.
    pub fn try_to_say(&self, source: Source) -> u64 {
        let mut book = self.book();
        let said = book.said.entry(source).or_default();
        said.push(false);
        said.len() as u64 - 1
    }

    /// A message was taken: it counts as said.
    pub fn said(&self, source: Source, number: u64) {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(said) = self.book().said.get_mut(&source).and_then(|said| said.get_mut(place)) {
            *said = true;
        }
    }

    /// Takes a message that was heard.
    pub fn hear(&self, now: Instant, source: Source, number: u64) {
        self.book().heard.push((now, source, number));
    }

    /// Now.
    pub fn place(&self) -> Place {
        self.book().said.iter().map(|(source, said)| (*source, said.len() as u64)).collect()
    }

    /// Whether of each source something was heard that was said after a place.
    pub fn reaches(&self, place: &Place) -> bool {
        let book = self.book();
        let after = |source, number| place.get(&source).is_some_and(|first| number >= *first);
        let late = book.heard.iter().rev().take(4096).filter(|(_, source, number)| after(*source, *number));
        late.map(|(_, source, _)| source).collect::<BTreeSet<_>>().len() == place.len()
    }

    /// What became of the messages of a kind between two places.
    pub fn count(&self, kind: Kind, from: &Place, to: &Place) -> Count {
        let book = self.book();
        let mut count = Count::default();
        for source in to.keys().filter(|source| source.kind == kind) {
            let first = from.get(source).copied().unwrap_or_default();
            let heard: Vec<u64> =
                book.heard.iter().filter(|heard| heard.1 == *source).map(|heard| heard.2).collect();
            count.add(first..to[source], &book.said[source], &heard);
        }
        count
    }

    /// The longest silence of some sources together in a time.
    pub fn gap(&self, of: impl Fn(Source) -> bool, from: Instant, to: Instant) -> Duration {
        let book = self.book();
        let heard = book.heard.iter().filter(|heard| of(heard.1)).map(|heard| heard.0);
        let inside = heard.filter(|at| (from..=to).contains(at));
        let moments: Vec<_> = std::iter::once(from).chain(inside).chain(std::iter::once(to)).collect();
        moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}

impl Count {
    /// Adds those of a source with these numbers; `said` tells of each whether it was, and `heard` is all that was heard
    /// of it, in order of arrival.
    fn add(&mut self, numbers: std::ops::Range<u64>, said: &[bool], heard: &[u64]) {
        let was_said =
            |number: u64| usize::try_from(number).is_ok_and(|number| said.get(number) == Some(&true));
        let mut seen = BTreeSet::new();
        let mut latest = None;
        for number in heard {
            let counts = numbers.contains(number);
            if !seen.insert(*number) {
                self.doubled += usize::from(counts);
            } else if latest.is_some_and(|latest| latest > *number) {
                // Who does not wait for the answer may be overtaken by itself.
                self.disordered += usize::from(counts && was_said(*number));
            }
            latest = latest.max(Some(*number));
        }
        for number in numbers.filter(|number| was_said(*number)) {
            self.said += 1;
            self.lost += usize::from(!seen.contains(&number));
        }
    }
}

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { said, lost, doubled, disordered } = self;
        write!(f, "{lost} of {said} lost, {doubled} doubled, {disordered} out of order")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: Source = Source { kind: Kind::Remote, index: 0 };
    const NEAR: Source = Source { kind: Kind::Hosted, index: 0 };

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn what_is_lost_doubled_and_out_of_order_is_counted_where_it_was_said() {
        let mut count = Count::default();
        count.add(2..8, &[true; 10], &[0, 0, 2, 4, 3, 3, 6, 9, 7, 9]);
        assert_eq!(count, Count { said: 6, lost: 1, doubled: 1, disordered: 2 });
    }

    #[test]
    fn a_range_of_which_nothing_was_heard_is_lost() {
        let mut count = Count::default();
        count.add(2..4, &[true; 4], &[0, 1]);
        assert_eq!(count, Count { said: 2, lost: 2, ..Count::default() });
    }

    #[test]
    fn what_was_not_taken_may_be_lost_or_late_but_not_heard_twice() {
        let (tally, now) = (Tally::default(), Instant::now());
        let from = tally.place();
        assert_eq!([(); 3].map(|()| tally.try_to_say(NEAR)), [0, 1, 2]);
        tally.said(NEAR, 1);
        for number in [2, 2, 0] {
            tally.hear(now, NEAR, number);
        }
        let expected = Count { said: 1, lost: 1, doubled: 1, disordered: 0 };
        assert_eq!(tally.count(Kind::Hosted, &from, &tally.place()), expected);
    }

    #[test]
    fn kinds_are_counted_apart() {
        let (tally, now) = (Tally::default(), Instant::now());
        let from = tally.place();
        assert_eq!((tally.say(FAR), tally.say(FAR), tally.say(NEAR)), (0, 1, 0));
        tally.hear(now, FAR, 1);
        let to = tally.place();
        assert_eq!(tally.count(Kind::Remote, &from, &to), Count { said: 2, lost: 1, ..Count::default() });
        assert_eq!(tally.count(Kind::Hosted, &from, &to), Count { said: 1, lost: 1, ..Count::default() });
    }

    #[test]
    fn all_sources_must_be_heard_again() {
        let (tally, now) = (Tally::default(), Instant::now());
        tally.say(FAR);
        tally.say(NEAR);
        let place = tally.place();
        tally.hear(now, FAR, 1);
        assert!(!tally.reaches(&place));
        tally.hear(now, NEAR, 0);
        assert!(!tally.reaches(&place), "that was said before");
        tally.hear(now, NEAR, 1);
        assert!(tally.reaches(&place));
    }

    #[test]
    fn the_longest_silence_may_be_at_either_end_and_is_of_one_kind() {
        let (tally, start) = (Tally::default(), Instant::now());
        for (millis, source) in [(100, FAR), (150, NEAR), (400, FAR), (900, FAR)] {
            tally.hear(at(start, millis), source, millis);
        }
        let gap = |kind, to| tally.gap(|source| source.kind == kind, at(start, 0), at(start, to)).as_millis();
        assert_eq!((gap(Kind::Remote, 1000), gap(Kind::Remote, 2000)), (500, 1100));
        assert_eq!((gap(Kind::Hosted, 1000), gap(Kind::Tell, 1000)), (850, 1000));
    }
}
