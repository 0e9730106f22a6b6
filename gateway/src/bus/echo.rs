//! One delivery for each message, though it comes by the bus, by the router, by relays, or by several of them.
//!
//! A router's copy carries no id, so copies are matched by all that the router passes on, and counted: "hi" said
//! twice is two messages. Whichever copy comes first is delivered and the others are swallowed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::event::ChannelMessage;

/// How long the second copy may take. More than the 60 s a channel message may wait in a sender's outbox.
pub const MATCH_WINDOW: Duration = Duration::from_secs(75);

/// The same between the router and relays, which all have it from the router: a little more than a relay tells again.
pub const RELAY_WINDOW: Duration = Duration::from_secs(8);

/// The most messages remembered. Past it the oldest are forgotten: rather one doubled than memory without end.
const CAPACITY: usize = 50_000;

/// Which way something came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// Over NATS, from the gateway of the mud it is of.
    Bus,
    /// From the I3 router.
    Router,
    /// From the I3 router to another hosted mud, and from there over NATS.
    Relay {
        /// The process that relays.
        by: u64,
        /// The message's number with that process.
        number: u64,
    },
}

/// A message that was delivered and may have twins, as another process is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// How long ago it was delivered.
    pub age: Duration,
    /// The ways its copies came.
    pub ways: Vec<Path>,
    /// The message.
    pub message: ChannelMessage,
}

impl Path {
    /// Whether two copies that came so can only be two messages.
    fn is_same_way(self, other: Self) -> bool {
        match (self, other) {
            (Self::Relay { by, .. }, Self::Relay { by: other, .. }) => by == other,
            _ => self == other,
        }
    }

    /// The time in which copies that came these ways can be of one message.
    fn window(self, other: Self) -> Duration {
        if self == Self::Bus || other == Self::Bus { MATCH_WINDOW } else { RELAY_WINDOW }
    }
}

/// Remembers which copies were delivered and may have twins; pure, with the time as a parameter.
#[derive(Debug, Default)]
pub struct EchoFilter {
    /// For each message, the times it was delivered, oldest first.
    delivered: HashMap<Arc<ChannelMessage>, VecDeque<Delivered>>,
    /// In order of arrival, so that forgetting is cheap.
    order: VecDeque<(Instant, Arc<ChannelMessage>)>,
}

/// One message that was delivered.
#[derive(Debug)]
struct Delivered {
    at: Instant,
    /// The ways its copies came.
    ways: Vec<Path>,
}

impl Delivered {
    /// Whether a copy that comes this way now can be of this message.
    fn awaits(&self, now: Instant, path: Path) -> bool {
        let age = now.duration_since(self.at);
        !self.ways.iter().any(|way| way.is_same_way(path))
            && self.ways.iter().any(|way| age < way.window(path))
    }
}

impl EchoFilter {
    /// Takes a copy. True: deliver it. False: its twin was delivered before.
    pub fn admit(&mut self, now: Instant, path: Path, message: &ChannelMessage) -> bool {
        self.forget(now);
        if let Some(delivered) = self.delivered.get_mut(message) {
            // A relay tells the same again.
            if path != Path::Bus
                && path != Path::Router
                && delivered.iter().any(|delivered| delivered.ways.contains(&path))
            {
                return false;
            }
            if let Some(twin) = delivered.iter_mut().find(|delivered| delivered.awaits(now, path)) {
                twin.ways.push(path);
                return false;
            }
        }
        self.remember(Arc::new(message.clone()), Delivered { at: now, ways: vec![path] });
        true
    }

    /// Whether the twin of a copy was delivered, which then would be swallowed.
    pub fn awaits(&self, now: Instant, path: Path, message: &ChannelMessage) -> bool {
        let delivered = self.delivered.get(message);
        delivered.is_some_and(|times| times.iter().any(|delivered| delivered.awaits(now, path)))
    }

    /// Whether on a channel something was delivered after a moment that the router brought.
    pub fn brought_after(&self, moment: Instant, channel: &str) -> bool {
        let after = self.order.iter().rev().take_while(|(at, _)| *at > moment);
        let brought = |one: &Delivered| one.at > moment && one.ways.contains(&Path::Router);
        let mut after = after.filter(|(_, message)| message.channel == channel);
        after.any(|(_, message)| self.delivered.get(message).is_some_and(|times| times.iter().any(brought)))
    }

    fn remember(&mut self, message: Arc<ChannelMessage>, delivered: Delivered) {
        self.order.push_back((delivered.at, Arc::clone(&message)));
        self.delivered.entry(message).or_default().push_back(delivered);
    }

    /// What is remembered, oldest first.
    pub fn remembered(&self, now: Instant) -> Vec<Remembered> {
        let all = self.delivered.iter();
        let mut all: Vec<_> =
            all.flat_map(|(message, times)| times.iter().map(move |time| (time, message))).collect();
        all.sort_by_key(|(delivered, _)| delivered.at);
        let remembered = |(delivered, message): (&Delivered, &Arc<ChannelMessage>)| Remembered {
            age: now.saturating_duration_since(delivered.at),
            ways: delivered.ways.clone(),
            message: ChannelMessage::clone(message),
        };
        all.into_iter().map(remembered).collect()
    }

    /// A filter that remembers the same as that of another process.
    pub fn of(now: Instant, remembered: Vec<Remembered>) -> Self {
        let mut filter = Self::default();
        for Remembered { age, ways, message } in remembered {
            let at = now.checked_sub(age).unwrap_or(now);
            filter.remember(Arc::new(message), Delivered { at, ways });
        }
        filter
    }

    /// How many messages are remembered.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn forget(&mut self, now: Instant) {
        while self.order.len() >= CAPACITY
            || self.order.front().is_some_and(|(seen, _)| now.duration_since(*seen) >= MATCH_WINDOW)
        {
            let Some((_, message)) = self.order.pop_front() else {
                return;
            };
            let Some(delivered) = self.delivered.get_mut(&message) else {
                continue;
            };
            delivered.pop_front();
            if delivered.is_empty() {
                self.delivered.remove(&message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::ChannelKind;
    use super::*;
    use proptest::prelude::*;

    fn said(text: &str) -> ChannelMessage {
        ChannelMessage {
            mud: "Luminari".into(),
            user: "ann".into(),
            channel: "imud_gossip".into(),
            kind: ChannelKind::Message,
            visname: "Ann".into(),
            message: text.into(),
            target: None,
        }
    }

    fn delivered(copies: &[(Path, &str)]) -> Vec<bool> {
        let now = Instant::now();
        let mut filter = EchoFilter::default();
        copies.iter().map(|(path, text)| filter.admit(now, *path, &said(text))).collect()
    }

    #[test]
    fn one_message_is_delivered_once_whichever_copy_comes_first() {
        use Path::{Bus, Router};
        assert_eq!(delivered(&[(Bus, "hi"), (Router, "hi")]), [true, false]);
        assert_eq!(delivered(&[(Router, "hi"), (Bus, "hi")]), [true, false]);
        assert_eq!(delivered(&[(Bus, "hi")]), [true]);
        assert_eq!(delivered(&[(Router, "hi")]), [true]);
    }

    #[test]
    fn two_messages_of_the_same_text_stay_two() {
        use Path::{Bus, Router};
        assert_eq!(
            delivered(&[(Bus, "hi"), (Bus, "hi"), (Router, "hi"), (Router, "hi")]),
            [true, true, false, false]
        );
        assert_eq!(
            delivered(&[(Bus, "hi"), (Router, "hi"), (Router, "hi"), (Bus, "hi")]),
            [true, false, true, false]
        );
    }

    #[test]
    fn a_different_speaker_is_a_different_message() {
        let now = Instant::now();
        let mut filter = EchoFilter::default();
        assert!(filter.admit(now, Path::Bus, &said("hi")));
        let other = ChannelMessage { user: "bob".into(), ..said("hi") };
        assert!(filter.admit(now, Path::Router, &other));
    }

    #[test]
    fn a_copy_after_the_window_is_a_new_message_and_nothing_stays_in_memory() {
        let start = Instant::now();
        let mut filter = EchoFilter::default();
        assert!(filter.admit(start, Path::Bus, &said("hi")));
        assert!(!filter.admit(start + MATCH_WINDOW - Duration::from_millis(1), Path::Router, &said("hi")));
        assert!(filter.admit(start + MATCH_WINDOW, Path::Bus, &said("ho")));
        assert!(filter.admit(start + MATCH_WINDOW * 2, Path::Router, &said("ho")));
        assert!(filter.admit(start + MATCH_WINDOW * 4, Path::Router, &said("last")));
        assert_eq!((filter.len(), filter.delivered.len()), (1, 1));
    }

    #[test]
    fn another_process_goes_on_with_what_this_one_remembers() {
        use Path::{Bus, Router};
        let start = Instant::now();
        let mut filter = EchoFilter::default();
        for (path, text) in [(Bus, "hi"), (Router, "ho"), (Bus, "hi"), (Router, "hi")] {
            filter.admit(start, path, &said(text));
        }
        let later = start + MATCH_WINDOW / 2;
        let mut other = EchoFilter::of(later, filter.remembered(later));
        assert!(!other.admit(later, Router, &said("hi")) && other.admit(later, Router, &said("hi")));
        assert!(!other.admit(later, Bus, &said("ho")));
        let mut other = EchoFilter::of(later, filter.remembered(later));
        assert!(other.admit(start + MATCH_WINDOW, Router, &said("hi")), "they have waited as long there");
    }

    #[test]
    fn a_flood_of_distinct_messages_is_bounded() {
        let now = Instant::now();
        let mut filter = EchoFilter::default();
        for index in 0..CAPACITY + 100 {
            filter.admit(now, Path::Router, &said(&index.to_string()));
        }
        assert!(filter.len() <= CAPACITY && filter.delivered.len() <= CAPACITY);
    }

    fn relay(by: u64, number: u64) -> Path {
        Path::Relay { by, number }
    }

    #[test]
    fn what_two_relays_and_the_router_bring_is_one_message_and_what_one_of_them_brings_twice_is_two() {
        use Path::Router;
        assert_eq!(
            delivered(&[(relay(1, 7), "hi"), (relay(2, 3), "hi"), (Router, "hi"), (relay(1, 8), "hi")]),
            [true, false, false, true]
        );
        assert_eq!(
            delivered(&[(Router, "hi"), (Router, "hi"), (relay(1, 1), "hi"), (relay(1, 2), "hi")]),
            [true, true, false, false]
        );
    }

    #[test]
    fn what_a_relay_tells_again_is_no_news() {
        let copies = [(relay(1, 7), "hi"), (relay(1, 8), "hi"), (relay(1, 7), "hi"), (relay(1, 8), "hi")];
        assert_eq!(delivered(&copies), [true, true, false, false]);
    }

    #[test]
    fn a_hosted_mud_that_was_taken_for_one_elsewhere_is_heard_once() {
        assert_eq!(
            delivered(&[(relay(1, 7), "hi"), (Path::Bus, "hi"), (relay(2, 1), "hi")]),
            [true, false, false]
        );
    }

    #[test]
    fn the_same_words_said_after_a_relay_has_changed_are_heard() {
        let (start, mut filter) = (Instant::now(), EchoFilter::default());
        assert!(filter.admit(start, relay(1, 7), &said("hi")));
        assert!(filter.admit(start + RELAY_WINDOW, relay(2, 1), &said("hi")));
        assert!(!filter.admit(start + RELAY_WINDOW, Path::Router, &said("hi")));
    }

    proptest! {
        /// However the copies that two relays and the router bring interleave, exactly as many are delivered as were
        /// said, also when the relays tell some of them again.
        #[test]
        fn any_interleaving_of_relays_delivers_each_message_once(
            count in 1u64..6,
            order in proptest::collection::vec(0u64..3, 0..40),
            again in proptest::collection::vec(0u64..6, 0..6),
        ) {
            let now = Instant::now();
            let mut filter = EchoFilter::default();
            let mut next = [0; 3];
            let mut heard = 0;
            let way = |way: u64, number| if way == 2 { Path::Router } else { relay(way, number) };
            let rest = (0..3).flat_map(|way| std::iter::repeat_n(way, 6));
            for which in order.into_iter().chain(rest) {
                let told = &mut next[usize::try_from(which).unwrap()];
                if *told < count {
                    heard += u64::from(filter.admit(now, way(which, *told), &said("hi")));
                    *told += 1;
                }
            }
            for number in again.into_iter().filter(|number| *number < count) {
                heard += u64::from(filter.admit(now, way(number % 2, number), &said("hi")));
            }
            prop_assert_eq!(heard, count);
        }

        /// However the copies of `count` equal messages interleave, exactly `count` are delivered.
        #[test]
        fn any_interleaving_delivers_each_message_once(count in 1usize..8, order in any::<u64>()) {
            let (mut bus, mut router) = (count, count);
            let mut bits = order;
            let now = Instant::now();
            let mut filter = EchoFilter::default();
            let mut delivered = 0;
            while bus + router > 0 {
                let by_bus = router == 0 || (bus > 0 && bits & 1 == 1);
                bits = bits.rotate_right(1);
                let path = if by_bus { bus -= 1; Path::Bus } else { router -= 1; Path::Router };
                delivered += usize::from(filter.admit(now, path, &said("hi")));
            }
            prop_assert_eq!(delivered, count);
            prop_assert_eq!(filter.len(), count);
        }
    }
}
