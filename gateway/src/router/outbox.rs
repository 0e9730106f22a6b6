//! What waits to be sent to the router: by priority, paced below the router's flood limit, for a bounded time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use intermud3::Packet;
use tokio::sync::oneshot;

/// The most packets in any second. Routers ignore a mud for some seconds after more than ten in one clock second.
pub const PACKETS_PER_SECOND: usize = 8;

/// What a router counts a registration as.
pub const STARTUP_WEIGHT: usize = 6;

/// What is sent first, what costs how much, and how long it may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Subscriptions: routers do not count them.
    Control,
    /// Tells and answers.
    Direct,
    /// Channel chatter.
    Channel,
}

impl Class {
    const ALL: [Self; 3] = [Self::Control, Self::Direct, Self::Channel];

    fn weight(self) -> usize {
        usize::from(self != Self::Control)
    }

    /// How long a packet of this class may wait for the router.
    pub fn time_to_live(self) -> Duration {
        match self {
            Self::Control | Self::Channel => Duration::from_secs(60),
            Self::Direct => Duration::from_secs(300),
        }
    }
}

/// A packet that waits.
#[derive(Debug)]
pub struct Entry {
    /// The packet.
    pub packet: Packet,
    /// Its class.
    pub class: Class,
    expires: Instant,
    taken: Option<oneshot::Sender<()>>,
}

impl Entry {
    /// Tells whoever waits for it that the router link took the packet.
    pub fn taken(self) {
        if let Some(taken) = self.taken {
            // Nobody waits any more: fine.
            let _ = taken.send(());
        }
    }
}

/// What to do next.
#[derive(Debug)]
pub enum Next {
    /// Send this now.
    Send(Box<Entry>),
    /// Something waits, but the pace allows it only then.
    At(Instant),
    /// Nothing waits.
    Empty,
}

/// The outbox holds as many packets as it may.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many packets wait for the router; try again later")]
pub struct Full;

/// The queue itself; pure, with the time as a parameter.
#[derive(Debug)]
pub struct Outbox {
    queues: [VecDeque<Entry>; 3],
    capacity: usize,
    sent: VecDeque<Instant>,
}

impl Outbox {
    /// An outbox for at most `capacity` packets.
    pub fn new(capacity: usize) -> Self {
        Self { queues: Default::default(), capacity, sent: VecDeque::with_capacity(PACKETS_PER_SECOND) }
    }

    /// How many packets wait.
    pub fn len(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    /// Adds a packet; the receiver fires when the router link took it and fails when it expired.
    ///
    /// # Errors
    /// [`Full`] when the capacity is used up.
    pub fn push(
        &mut self,
        now: Instant,
        packet: Packet,
        class: Class,
    ) -> Result<oneshot::Receiver<()>, Full> {
        if self.len() >= self.capacity {
            return Err(Full);
        }
        let (sender, receiver) = oneshot::channel();
        let entry = Entry { packet, class, expires: now + class.time_to_live(), taken: Some(sender) };
        self.queues[class as usize].push_back(entry);
        Ok(receiver)
    }

    /// The next packet to send, if the pace allows one now.
    pub fn next(&mut self, now: Instant) -> Next {
        while self.sent.front().is_some_and(|sent| now.duration_since(*sent) >= Duration::from_secs(1)) {
            self.sent.pop_front();
        }
        for class in Class::ALL {
            let Some(entry) = self.queues[class as usize].pop_front() else {
                continue;
            };
            if class.weight() == 0 || self.sent.len() < PACKETS_PER_SECOND {
                self.count(now, class.weight());
                return Next::Send(Box::new(entry));
            }
            self.queues[class as usize].push_front(entry);
            let oldest = self.sent.front().copied().unwrap_or(now);
            return Next::At(oldest + Duration::from_secs(1));
        }
        Next::Empty
    }

    /// Puts back what could not be sent after all.
    pub fn restore(&mut self, entry: Entry) {
        self.queues[entry.class as usize].push_front(entry);
    }

    /// A new registration was sent: it counts, what went over the old link does not.
    pub fn registered(&mut self, now: Instant) {
        self.sent.clear();
        self.count(now, STARTUP_WEIGHT);
    }

    /// Drops subscriptions that wait: a new registration repeats all that are wanted.
    pub fn forget_control(&mut self) {
        self.queues[Class::Control as usize].clear();
    }

    /// Takes out what waited too long.
    pub fn expired(&mut self, now: Instant) -> Vec<Entry> {
        let mut expired = Vec::new();
        for queue in &mut self.queues {
            // Within a class all wait equally long, so the oldest expire first.
            while queue.front().is_some_and(|entry| entry.expires <= now) {
                expired.extend(queue.pop_front());
            }
        }
        expired
    }

    fn count(&mut self, now: Instant, weight: usize) {
        for _ in 0..weight {
            self.sent.push_back(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{ChannelKind, ChannelMessage};
    use crate::services::packets;

    fn tell(text: &str) -> Packet {
        let between = packets::Between { mud: "Dawn", user: "ann", target_mud: "Dusk", target_user: "bob" };
        packets::tell(between, false, text)
    }

    fn chat(text: &str) -> Packet {
        packets::channel(&ChannelMessage {
            mud: "Dawn".into(),
            user: "ann".into(),
            channel: "imud_gossip".into(),
            kind: ChannelKind::Message,
            visname: "Ann".into(),
            message: text.into(),
            target: None,
        })
    }

    fn sent_at(outbox: &mut Outbox, now: Instant) -> Vec<Packet> {
        let mut packets = Vec::new();
        while let Next::Send(entry) = outbox.next(now) {
            packets.push(entry.packet.clone());
            entry.taken();
        }
        packets
    }

    #[test]
    fn tells_go_before_chatter_and_each_class_stays_in_order() {
        let now = Instant::now();
        let mut outbox = Outbox::new(10);
        for packet in [chat("1"), chat("2")] {
            outbox.push(now, packet, Class::Channel).unwrap();
        }
        for packet in [tell("1"), tell("2")] {
            outbox.push(now, packet, Class::Direct).unwrap();
        }
        assert_eq!(sent_at(&mut outbox, now), [tell("1"), tell("2"), chat("1"), chat("2")]);
    }

    #[test]
    fn never_more_than_the_limit_in_any_second() {
        let start = Instant::now();
        let mut outbox = Outbox::new(100);
        for index in 0..40 {
            outbox.push(start, chat(&index.to_string()), Class::Channel).unwrap();
        }
        let mut sent = Vec::new();
        let mut now = start;
        while outbox.len() > 0 {
            match outbox.next(now) {
                Next::Send(_) => sent.push(now),
                Next::At(then) => {
                    assert!(then > now, "waiting must make progress");
                    now = then;
                }
                Next::Empty => unreachable!("the loop ends when nothing waits"),
            }
        }
        for window in sent.windows(PACKETS_PER_SECOND + 1) {
            assert!(window[PACKETS_PER_SECOND] - window[0] >= Duration::from_secs(1));
        }
        assert_eq!(now - start, Duration::from_secs(4));
    }

    #[test]
    fn a_registration_counts_six_and_subscriptions_nothing() {
        let now = Instant::now();
        let mut outbox = Outbox::new(100);
        outbox.registered(now);
        for index in 0..20 {
            outbox.push(now, chat(&index.to_string()), Class::Channel).unwrap();
            let listen = packets::channel_listen("Dawn", "*test", "imud_gossip", true);
            outbox.push(now, listen, Class::Control).unwrap();
        }
        let sent = sent_at(&mut outbox, now);
        assert_eq!(sent.iter().filter(|packet| packet.kind() == "channel-listen").count(), 20);
        assert_eq!(sent.iter().filter(|packet| packet.kind() == "channel-m").count(), 2);
    }

    #[test]
    fn what_waits_too_long_comes_out_and_whoever_waits_for_it_learns() {
        let start = Instant::now();
        let mut outbox = Outbox::new(10);
        let mut chatted = outbox.push(start, chat("late"), Class::Channel).unwrap();
        let mut told = outbox.push(start, tell("late"), Class::Direct).unwrap();
        assert!(outbox.expired(start + Duration::from_secs(59)).is_empty());
        let expired: Vec<_> =
            outbox.expired(start + Duration::from_secs(60)).into_iter().map(|entry| entry.packet).collect();
        assert_eq!(expired, [chat("late")]);
        assert!(chatted.try_recv().is_err());
        sent_at(&mut outbox, start + Duration::from_secs(61));
        assert_eq!(told.try_recv(), Ok(()));
    }

    #[test]
    fn the_capacity_holds_and_what_could_not_be_sent_stays_first() {
        let now = Instant::now();
        let mut outbox = Outbox::new(2);
        outbox.push(now, tell("1"), Class::Direct).unwrap();
        outbox.push(now, tell("2"), Class::Direct).unwrap();
        assert_eq!(outbox.push(now, tell("3"), Class::Direct).err(), Some(Full));
        let Next::Send(entry) = outbox.next(now) else { unreachable!("two wait") };
        outbox.restore(*entry);
        assert_eq!(sent_at(&mut outbox, now), [tell("1"), tell("2")]);
    }
}
