//! What goes to the stream of the channels in one message: pure, with the time as a parameter.
//!
//! One message is on its way at a time, with all that waited when it went. Were there several, one that NATS refuses, or that
//! is lost with the connection, could be repeated only after the next one was stored, and what was said first would be heard
//! last: JetStream has no condition "only after that one" that does not break when other muds publish in between. So the next
//! message goes when this one is known to be stored. Until then it is repeated under the same id, and nothing is added to it:
//! of attempts that were stored after all, JetStream keeps the first.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::event::{Published, TOGETHER};
use super::{ChannelEvent, EVENT_TTL};

/// The most bytes of a single event, as it is written.
pub(super) const EVENT: usize = 160 * 1024;

/// From so many bytes on nothing is added to a message. With one more event it has less than the 256 KiB that the stream takes:
/// a message that is longer would be refused as often as it is repeated, and with it all that is said after it.
const FULL: usize = 64 * 1024;

/// How many bytes an event has as it is written.
pub(super) fn size(event: &ChannelEvent) -> usize {
    // Texts and numbers can always be written.
    serde_json::to_vec(event).map_or(0, |json| json.len())
}

/// The events of one message, oldest first, and when each was accepted.
#[derive(Debug)]
pub(super) struct Batch {
    /// The message's id, that of the event which was its first.
    id: String,
    events: VecDeque<(Instant, ChannelEvent)>,
    /// It was sent, and may be stored.
    sent: bool,
}

impl Batch {
    /// One that begins with an event.
    pub fn new(accepted: Instant, first: ChannelEvent) -> Self {
        Self { id: first.id.clone(), events: [(accepted, first)].into(), sent: false }
    }

    /// The message's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How many events there are.
    pub fn len(&self) -> u32 {
        u32::try_from(self.events.len()).unwrap_or(u32::MAX)
    }

    /// Whether there are none any more.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Takes what waits, as much as fits, for the first attempt; nothing later.
    pub fn fill(&mut self, mut next: impl FnMut() -> Option<(Instant, ChannelEvent)>) {
        if std::mem::replace(&mut self.sent, true) {
            return;
        }
        let mut bytes: usize = self.events.iter().map(|(_, event)| size(event)).sum();
        while self.events.len() < TOGETHER && bytes < FULL {
            let Some((accepted, event)) = next() else { break };
            bytes += size(&event);
            self.events.push_back((accepted, event));
        }
    }

    /// How long the oldest event is still worth telling.
    pub fn left(&self, now: Instant) -> Duration {
        let oldest = self.events.front().map_or(now, |(accepted, _)| *accepted);
        EVENT_TTL.saturating_sub(now.saturating_duration_since(oldest))
    }

    /// Takes out what is not.
    pub fn take_expired(&mut self, now: Instant) -> Vec<ChannelEvent> {
        let is_old =
            |(accepted, _): &&(Instant, ChannelEvent)| now.saturating_duration_since(*accepted) >= EVENT_TTL;
        let old = self.events.iter().take_while(is_old).count();
        self.events.drain(..old).map(|(_, event)| event).collect()
    }

    /// How long each event has waited.
    pub fn waited(&self, now: Instant) -> impl Iterator<Item = Duration> {
        self.events.iter().map(move |(accepted, _)| now.saturating_duration_since(*accepted))
    }

    /// What is sent; none when there is nothing.
    pub fn message(&self, now: Instant) -> Option<Published> {
        let waited = self.waited(now).map(|waited| u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
        let events = self.events.iter().zip(waited);
        let mut events = events.map(|((_, event), waited)| ChannelEvent { waited, ..event.clone() });
        Some(Published { first: events.next()?, then: events.collect() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bus::event::tests::said;

    fn number(event: &ChannelEvent) -> usize {
        event.message.message.parse().unwrap()
    }

    /// A stream, which keeps of messages with one id the first.
    #[derive(Default)]
    struct Stream {
        ids: Vec<String>,
        events: Vec<usize>,
    }

    impl Stream {
        fn store(&mut self, id: &str, message: &Published) {
            if !self.ids.iter().any(|known| known == id) {
                self.ids.push(id.to_owned());
                self.events.extend([&message.first].into_iter().chain(&message.then).map(number));
            }
        }
    }

    /// An event that is long by one of its texts, and about how long.
    fn long(field: fn(&mut ChannelEvent) -> &mut String, text: &str, bytes: usize) -> ChannelEvent {
        let mut event = said("");
        *field(&mut event) =
            text.repeat(bytes / serde_json::to_string(text).unwrap().len().saturating_sub(2));
        event
    }

    #[test]
    fn a_message_is_bounded_in_events_and_in_bytes_as_the_stream_counts_them() {
        /// As the operator makes the stream.
        const STREAM: usize = 256 << 10;
        let now = Instant::now();
        let message: fn(&mut ChannelEvent) -> &mut String = |event| &mut event.message.message;
        let visname: fn(&mut ChannelEvent) -> &mut String = |event| &mut event.message.visname;
        for (field, text) in [(message, "x"), (visname, "x"), (message, "\""), (visname, "\u{1}")] {
            for (bytes, count) in [(1, TOGETHER), (FULL / 4, 4), (EVENT - 1024, 1)] {
                let event = || long(field, text, bytes.max(10));
                let mut batch = Batch::new(now, event());
                batch.fill(|| Some((now, event())));
                assert_eq!(batch.events.len(), count, "{text:?} {bytes}");
                // The longest comes last.
                let mut batch = Batch::new(now, long(field, text, FULL / 2));
                let mut rest =
                    [long(field, text, FULL / 2 - 1024), long(field, text, EVENT - 1024)].into_iter();
                batch.fill(|| rest.next().map(|event| (now, event)));
                let message = serde_json::to_vec(&batch.message(now).unwrap()).unwrap();
                assert!(batch.events.len() == 3 && message.len() < STREAM, "{text:?}: {}", message.len());
            }
        }
    }

    #[test]
    fn what_is_too_old_is_taken_out_and_the_rest_goes_under_the_same_id() {
        let start = Instant::now();
        let mut batch = Batch::new(start, said("0"));
        let id = batch.id().to_owned();
        let mut more = [(start, said("1")), (start + EVENT_TTL / 2, said("2"))].into_iter();
        batch.fill(|| more.next());
        batch.fill(|| Some((start, said("never"))));
        assert_eq!(batch.left(start + EVENT_TTL / 4), EVENT_TTL * 3 / 4);
        let now = start + EVENT_TTL;
        assert_eq!(batch.take_expired(now).iter().map(number).collect::<Vec<_>>(), [0, 1]);
        let message = batch.message(now).unwrap();
        assert_eq!((number(&message.first), message.then.len(), batch.id()), (2, 0, id.as_str()));
        assert_eq!(Duration::from_millis(message.first.waited), EVENT_TTL / 2);
        assert_eq!(batch.take_expired(now + EVENT_TTL).len(), 1);
        assert!(batch.is_empty() && batch.message(now).is_none());
    }

    proptest! {
        /// Whatever becomes of each attempt (lost, stored without an answer, stored) and however much comes meanwhile: all
        /// that is said is in the stream, once and in order.
        #[test]
        fn whatever_becomes_of_each_attempt_the_stream_has_all_once_and_in_order(
            attempts in proptest::collection::vec((0u8..3, 0usize..100), 1..60),
        ) {
            let now = Instant::now();
            let (mut stream, mut waiting, mut said_up_to) = (Stream::default(), VecDeque::new(), 0);
            let mut batch: Option<Batch> = None;
            let end = std::iter::repeat_n((2, 0), attempts.iter().map(|(_, said)| said).sum::<usize>() + 1);
            for (fate, count) in attempts.into_iter().chain(end) {
                waiting.extend((said_up_to..said_up_to + count).map(|number| (now, said(&number.to_string()))));
                said_up_to += count;
                let next = || waiting.pop_front().map(|(accepted, first)| Batch::new(accepted, first));
                let Some(mut current) = batch.take().or_else(next) else { continue };
                current.fill(|| waiting.pop_front());
                if fate > 0 {
                    stream.store(current.id(), &current.message(now).unwrap());
                }
                batch = (fate < 2).then_some(current);
            }
            prop_assert_eq!(stream.events, (0..said_up_to).collect::<Vec<_>>());
        }
    }
}
