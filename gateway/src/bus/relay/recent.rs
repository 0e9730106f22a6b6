//! What was said in the last seconds: pure, with the time as a parameter.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::bus::event::ChannelMessage;

/// How long it is remembered: longer than it takes to elect another relay for one that has died.
const KEEP: Duration = Duration::from_secs(5);

/// The most messages remembered.
const MESSAGES: usize = 1000;

/// The most text remembered, in bytes.
const BYTES: usize = 1 << 20;

/// Messages of muds elsewhere, oldest first, each with a number of its own.
#[derive(Debug, Default)]
pub struct Recent {
    messages: VecDeque<(Instant, u64, ChannelMessage)>,
    bytes: usize,
    last: u64,
}

impl Recent {
    /// Takes a message; returns its number.
    pub fn add(&mut self, now: Instant, said: &ChannelMessage) -> u64 {
        self.last += 1;
        self.bytes += size(said);
        self.messages.push_back((now, self.last, said.clone()));
        self.forget(now);
        self.last
    }

    /// What was said on a channel lately: when, its number, and the message.
    pub fn of<'a>(
        &'a self,
        now: Instant,
        channel: &'a str,
    ) -> impl Iterator<Item = (Instant, u64, &'a ChannelMessage)> {
        let lately = move |heard: Instant| now.duration_since(heard) < KEEP;
        let messages =
            self.messages.iter().filter(move |(heard, _, said)| lately(*heard) && said.channel == channel);
        messages.map(|(heard, number, said)| (*heard, *number, said))
    }

    fn forget(&mut self, now: Instant) {
        while let Some((heard, _, said)) = self.messages.front()
            && (self.messages.len() > MESSAGES || self.bytes > BYTES || now.duration_since(*heard) >= KEEP)
        {
            self.bytes -= size(said);
            self.messages.pop_front();
        }
    }
}

/// About how much memory a message takes.
fn size(said: &ChannelMessage) -> usize {
    let target = said.target.as_ref().map_or(0, |target| {
        target.target_mud.len()
            + target.target_user.len()
            + target.target_visname.len()
            + target.message_target.len()
    });
    size_of::<ChannelMessage>()
        + [&said.mud, &said.user, &said.channel, &said.visname, &said.message]
            .map(String::len)
            .iter()
            .sum::<usize>()
        + target
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::ChannelKind;

    fn said(channel: &str, message: &str) -> ChannelMessage {
        ChannelMessage {
            mud: "Far".into(),
            user: "eve".into(),
            channel: channel.into(),
            kind: ChannelKind::Message,
            visname: "Eve".into(),
            message: message.into(),
            target: None,
        }
    }

    #[test]
    fn the_last_seconds_of_a_channel_are_remembered_in_order() {
        let (mut recent, start) = (Recent::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for (second, channel, text) in [(0, "c", "old"), (3, "c", "a"), (4, "d", "other"), (6, "c", "b")] {
            recent.add(at(second), &said(channel, text));
        }
        let texts = |now| -> Vec<_> {
            recent.of(now, "c").map(|(_, number, said)| (number, said.message.clone())).collect()
        };
        assert_eq!(texts(at(7)), [(2, "a".to_owned()), (4, "b".to_owned())]);
        assert_eq!(texts(at(11)), []);
    }

    #[test]
    fn it_is_bounded_in_number_and_in_bytes() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        for _ in 0..MESSAGES + 10 {
            recent.add(now, &said("c", "hi"));
        }
        assert_eq!(recent.messages.len(), MESSAGES);
        for _ in 0..10 {
            recent.add(now, &said("c", &"x".repeat(BYTES / 4)));
        }
        assert!(recent.bytes <= BYTES && recent.messages.len() <= 3);
        recent.add(now, &said("c", &"x".repeat(BYTES)));
        assert_eq!((recent.messages.len(), recent.bytes), (0, 0));
    }
}
