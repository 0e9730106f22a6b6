//! What was said on channels lately.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bus::ChannelMessage;

/// The most channels whose talk is remembered.
const CHANNELS: usize = 200;

/// A message and when it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The message.
    pub message: ChannelMessage,
    /// When it came.
    pub at: Timestamp,
}

/// The last messages of each channel.
#[derive(Debug)]
pub struct History {
    size: usize,
    channels: BTreeMap<String, VecDeque<Said>>,
}

impl History {
    /// A history of so many messages for each channel.
    pub fn new(size: usize) -> Self {
        Self { size, channels: BTreeMap::new() }
    }

    /// Remembers a message.
    pub fn record(&mut self, said: Said) {
        let channel = &said.message.channel;
        if self.size == 0 || (self.channels.len() >= CHANNELS && !self.channels.contains_key(channel)) {
            return;
        }
        let messages = self.channels.entry(channel.clone()).or_default();
        if messages.len() >= self.size {
            messages.pop_front();
        }
        messages.push_back(said);
    }

    /// All messages, oldest first in each channel.
    pub fn all(&self) -> Vec<Said> {
        self.channels.values().flatten().cloned().collect()
    }

    /// Adds what another process remembers and this one does not.
    pub fn restore(&mut self, remembered: Vec<Said>) {
        for said in remembered {
            let last = self.channels.get(&said.message.channel).and_then(VecDeque::back);
            if last.is_none_or(|last| last.at < said.at) {
                self.record(said);
            }
        }
    }

    /// The last `limit` messages of a channel between two times, oldest first.
    pub fn of(
        &self,
        channel: &str,
        limit: usize,
        after: Option<Timestamp>,
        before: Option<Timestamp>,
    ) -> Vec<Said> {
        let between = |said: &&Said| {
            after.is_none_or(|after| said.at > after) && before.is_none_or(|before| said.at < before)
        };
        let messages = self.channels.get(channel).into_iter().flatten();
        let mut last: Vec<_> = messages.rev().filter(between).take(limit).cloned().collect();
        last.reverse();
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::ChannelKind;

    fn said(channel: &str, second: i64) -> Said {
        let message = ChannelMessage {
            mud: "Dawn".into(),
            user: "ann".into(),
            channel: channel.into(),
            kind: ChannelKind::Message,
            visname: "Ann".into(),
            message: second.to_string(),
            target: None,
        };
        Said { message, at: at(second) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn texts(said: Vec<Said>) -> Vec<String> {
        said.into_iter().map(|said| said.message.message).collect()
    }

    #[test]
    fn the_last_messages_of_a_channel_can_be_had_by_number_and_time() {
        let mut history = History::new(4);
        for second in 1..=6 {
            history.record(said("chat", second));
        }
        history.record(said("other", 9));
        assert_eq!(texts(history.of("chat", 100, None, None)), ["3", "4", "5", "6"]);
        assert_eq!(texts(history.of("chat", 2, None, None)), ["5", "6"]);
        assert_eq!(texts(history.of("chat", 100, Some(at(3)), Some(at(6)))), ["4", "5"]);
        assert_eq!(texts(history.of("chat", 1, None, Some(at(6)))), ["5"]);
        assert!(history.of("Chat", 100, None, None).is_empty());
    }

    #[test]
    fn what_another_process_remembers_is_added_once() {
        let (mut one, mut other) = (History::new(4), History::new(4));
        for second in 1..=3 {
            one.record(said("chat", second));
        }
        other.record(said("chat", 1));
        for _ in 0..2 {
            other.restore(one.all());
        }
        assert_eq!(texts(other.of("chat", 9, None, None)), ["1", "2", "3"]);
    }

    #[test]
    fn the_channels_are_bounded() {
        let mut history = History::new(1);
        for index in 0..CHANNELS + 5 {
            history.record(said(&index.to_string(), 1));
        }
        assert_eq!(history.channels.len(), CHANNELS);
    }
}
