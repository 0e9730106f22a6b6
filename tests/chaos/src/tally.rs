//! What was said and what was heard of it; pure, with the time as a parameter.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::mouth;

/// Where messages come from. The name of a source says which kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A mud elsewhere, on a channel: by the router alone.
    Remote,
    /// A hosted mud, on a channel: by the router and by the bus, or by the bus alone.
    Hosted,
    /// The mud that is broken, heard by the hosted one: by the router and by the bus, or by the bus alone.
    Own,
    /// The same on the channel of the network, heard by a mud elsewhere: by the router alone.
    OwnAfar,
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

impl Source {
    /// The mud that is broken, at a mud elsewhere.
    pub const OWN_AFAR: Self = Self { kind: Kind::OwnAfar, index: mouth::NETWORK_INDEX };

    /// Who says what comes so.
    fn speaker(self) -> Self {
        if self == Self::OWN_AFAR { Self { kind: Kind::Own, ..self } } else { self }
    }

    /// All ways in which what this one says comes.
    fn ways(self) -> impl Iterator<Item = Self> {
        let afar = Self::OWN_AFAR;
        [self].into_iter().chain((afar.speaker() == self).then_some(afar))
    }
}

/// How many messages there have been of each source: those before are of the past.
pub type Place = BTreeMap<Source, u64>;

/// Everything said and heard.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    /// By number from 0 on.
    said: BTreeMap<Source, Vec<Taken>>,
    /// In order of arrival.
    heard: Vec<(Instant, Source, u64)>,
}

/// What was answered to one who said something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Taken {
    /// Nothing, or that it cannot be: it need not be heard, but never twice.
    #[default]
    No,
    /// That it was sent.
    Sent,
    /// That it is kept until it can be.
    Kept,
}

/// What became of the messages between two places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Said.
    pub said: usize,
    /// Never heard.
    pub lost: usize,
    /// Those of them that were to be kept.
    pub dropped: usize,
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
        self.said(source, number, Taken::Sent);
        number
    }

    /// The number of the next message, which need not be heard unless it is taken, but never twice.
    pub fn try_to_say(&self, source: Source) -> u64 {
        let mut book = self.book();
        let said = book.said.entry(source).or_default();
        said.push(Taken::No);
        said.len() as u64 - 1
    }

    /// What became of an attempt: what was taken counts as said.
    pub fn said(&self, source: Source, number: u64, taken: Taken) {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(said) = self.book().said.get_mut(&source).and_then(|said| said.get_mut(place)) {
            *said = taken;
        }
    }

    /// Takes a message that was heard.
    pub fn hear(&self, now: Instant, source: Source, number: u64) {
        self.book().heard.push((now, source, number));
    }

    /// Now.
    pub fn place(&self) -> Place {
        let book = self.book();
        let each = |(source, said): (&Source, &Vec<Taken>)| {
            let said = said.len() as u64;
            source.ways().map(move |way| (way, said))
        };
        book.said.iter().flat_map(each).collect()
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
            count.add(first..to[source], &book.said[&source.speaker()], &heard);
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
    /// Adds those of a source with these numbers; `said` tells of each whether it was taken, and `heard` is all that was
    /// heard of it, in order of arrival.
    fn add(&mut self, numbers: std::ops::Range<u64>, said: &[Taken], heard: &[u64]) {
        let taken = |number: u64| usize::try_from(number).ok().and_then(|number| said.get(number).copied());
        let was_said = |number: u64| !matches!(taken(number), None | Some(Taken::No));
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
            let is_lost = !seen.contains(&number);
            self.lost += usize::from(is_lost);
            self.dropped += usize::from(is_lost && taken(number) == Some(Taken::Kept));
        }
    }
}

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { said, lost, dropped, doubled, disordered } = self;
        write!(
            f,
            "{lost} of {said} lost, {dropped} of them to be kept, {doubled} doubled, {disordered} out of order"
        )
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
        count.add(2..8, &[Taken::Sent; 10], &[0, 0, 2, 4, 3, 3, 6, 9, 7, 9]);
        assert_eq!(count, Count { said: 6, lost: 1, doubled: 1, disordered: 2, ..Count::default() });
    }

    #[test]
    fn of_the_lost_those_that_were_to_be_kept_are_told_apart() {
        let mut count = Count::default();
        count.add(0..4, &[Taken::Sent, Taken::Kept, Taken::Kept, Taken::No], &[2]);
        assert_eq!(count, Count { said: 3, lost: 2, dropped: 1, ..Count::default() });
    }

    #[test]
    fn a_range_of_which_nothing_was_heard_is_lost() {
        let mut count = Count::default();
        count.add(2..4, &[Taken::Sent; 4], &[0, 1]);
        assert_eq!(count, Count { said: 2, lost: 2, ..Count::default() });
    }

    #[test]
    fn what_was_not_taken_may_be_lost_or_late_but_not_heard_twice() {
        let (tally, now) = (Tally::default(), Instant::now());
        let from = tally.place();
        assert_eq!([(); 3].map(|()| tally.try_to_say(NEAR)), [0, 1, 2]);
        tally.said(NEAR, 1, Taken::Sent);
        for number in [2, 2, 0] {
            tally.hear(now, NEAR, number);
        }
        let expected = Count { said: 1, lost: 1, doubled: 1, ..Count::default() };
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
    fn what_two_hear_is_counted_for_each() {
        let (tally, now) = (Tally::default(), Instant::now());
        let (own, from) = (Source { kind: Kind::Own, ..Source::OWN_AFAR }, tally.place());
        assert_eq!((tally.say(own), tally.say(own)), (0, 1));
        tally.hear(now, own, 1);
        let to = tally.place();
        assert!(!tally.reaches(&from.into_iter().chain([(own, 1), (Source::OWN_AFAR, 1)]).collect()));
        tally.hear(now, Source::OWN_AFAR, 1);
        tally.hear(now, Source::OWN_AFAR, 1);
        assert!(tally.reaches(&Place::from([(own, 1), (Source::OWN_AFAR, 1)])));
        let count = |kind| tally.count(kind, &Place::new(), &to);
        let once = Count { said: 2, lost: 1, ..Count::default() };
        assert_eq!((count(Kind::Own), count(Kind::OwnAfar)), (once, Count { doubled: 1, ..once }));
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
