//! One delivery for each message, though it comes by the bus, by the router, or by both.
//!
//! A router's copy carries no id, so copies are matched by all that the router passes on, and counted: "hi" said
//! twice is two messages. Whichever copy comes first is delivered and the other one swallowed.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::event::ChannelMessage;

/// How long the second copy may take. More than the 60 s a channel message may wait in a sender's outbox.
pub const MATCH_WINDOW: Duration = Duration::from_secs(75);

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

/// Remembers which copies were delivered and still await their twin; pure, with the time as a parameter.
#[derive(Debug, Default)]
pub struct EchoFilter {
    /// For each message, the copies delivered by one path and not yet matched by the other, oldest first.
    unmatched: HashMap<ChannelMessage, VecDeque<(Path, Instant)>>,
    /// In order of arrival, so that forgetting is cheap.
    order: VecDeque<(Instant, ChannelMessage)>,
}

impl EchoFilter {
    /// Takes a copy. True: deliver it. False: its twin was delivered before.
    pub fn admit(&mut self, now: Instant, path: Path, message: &ChannelMessage) -> bool {
        self.forget(now);
        if let Some(copies) = self.unmatched.get_mut(message)
            && copies.front().is_some_and(|(delivered, _)| *delivered != path)
        {
            copies.pop_front();
            if copies.is_empty() {
                self.unmatched.remove(message);
            }
            return false;
        }
        self.unmatched.entry(message.clone()).or_default().push_back((path, now));
        self.order.push_back((now, message.clone()));
        true
    }

    /// What is remembered, oldest first.
    pub fn remembered(&self, now: Instant) -> Vec<Remembered> {
        let mut all: Vec<_> = self
            .unmatched
            .iter()
            .flat_map(|(message, copies)| copies.iter().map(move |(path, at)| (*at, *path, message)))
            .collect();
        all.sort_by_key(|(at, ..)| *at);
        let remembered = |(at, path, message): (Instant, Path, &ChannelMessage)| Remembered {
            age: now.saturating_duration_since(at),
            ways: vec![path],
            message: message.clone(),
        };
        all.into_iter().map(remembered).collect()
    }

    /// A filter that remembers the same as that of another process.
    pub fn of(now: Instant, remembered: Vec<Remembered>) -> Self {
        let mut filter = Self::default();
        for Remembered { age, ways, message } in remembered {
            let at = now.checked_sub(age).unwrap_or(now);
            let copies = filter.unmatched.entry(message.clone()).or_default();
            copies.extend(ways.into_iter().map(|path| (path, at)));
            filter.order.push_back((at, message));
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
            let Some((seen, message)) = self.order.pop_front() else {
                return;
            };
            let Some(copies) = self.unmatched.get_mut(&message) else {
                continue;
            };
            copies.retain(|(_, delivered)| *delivered != seen);
            if copies.is_empty() {
                self.unmatched.remove(&message);
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
        assert_eq!((filter.len(), filter.unmatched.len()), (1, 1));
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
        assert!(filter.len() <= CAPACITY && filter.unmatched.len() <= CAPACITY);
    }

    proptest! {
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
            prop_assert!(filter.unmatched.is_empty());
        }
    }
}
