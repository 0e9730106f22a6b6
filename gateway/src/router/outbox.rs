//! What waits to be sent to the router: by priority, paced below the router's flood limit, for a bounded time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use intermud3::Packet;
use intermud3::lpc::EncodeError;
use tokio::sync::oneshot;

/// The most packets in any second, by default. Routers ignore a mud for some seconds after more than ten in one clock
/// second.
pub const PACKETS_PER_SECOND: usize = 8;

const SECOND: Duration = Duration::from_secs(1);

/// What a router counts a registration as.
pub const STARTUP_WEIGHT: usize = 6;

/// What is sent first, what costs how much, and how long it may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Subscriptions: routers do not count them.
    Control,
    /// Tells, and what our users ask.
    Direct,
    /// Answers to other muds. They leave half of the pace to channel chatter, so that nobody silences us by asking.
    Answer,
    /// Channel chatter.
    Channel,
    /// News of our users: one a second, when nothing else waits.
    Background,
}

impl Class {
    /// Every class, in this order.
    pub const ALL: [Self; 5] = [Self::Control, Self::Direct, Self::Answer, Self::Channel, Self::Background];

    /// The class as a metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Direct => "direct",
            Self::Answer => "answer",
            Self::Channel => "channel",
            Self::Background => "background",
        }
    }

    fn weight(self) -> usize {
        usize::from(self != Self::Control)
    }

    /// How long a packet of this class may wait for the router.
    pub fn time_to_live(self) -> Duration {
        match self {
            Self::Direct => Duration::from_secs(300),
            Self::Answer => Duration::from_secs(30),
            Self::Control | Self::Channel | Self::Background => Duration::from_secs(60),
        }
    }

    /// How many of this class may go in any second, at a pace of so many packets.
    fn rate(self, pace: usize) -> usize {
        match self {
            Self::Control => usize::MAX,
            Self::Direct | Self::Channel => pace,
            Self::Answer => pace / 2,
            Self::Background => 1,
        }
    }

    /// How many of this class may wait, in an outbox for `total`: what others make us send must not keep our
    /// users' words out.
    fn capacity(self, total: usize) -> usize {
        match self {
            Self::Control | Self::Direct | Self::Channel => total,
            Self::Answer => 100,
            Self::Background => 50,
        }
    }

    /// Whether a client is told when a packet of this class could not be sent in time.
    pub fn is_asked_for(self) -> bool {
        matches!(self, Self::Direct | Self::Channel)
    }
}

/// A packet that waits.
#[derive(Debug)]
pub struct Entry {
    /// The packet.
    pub packet: Packet,
    /// The same as it goes over the wire.
    pub text: Bytes,
    /// Its class.
    pub class: Class,
    /// Since when this process has it.
    pub since: Instant,
    pub(super) expires: Instant,
    taken: Option<oneshot::Sender<()>>,
    /// Its number: they grow.
    id: u64,
    /// Whether another process would find it if this one were gone.
    kept: bool,
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

/// Why a packet is not accepted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// The outbox holds as many packets as it may.
    #[error("too many packets wait for the router; try again later")]
    Full,
    /// The bus is away, or does not keep up.
    #[error("too much waits for the bus; try again later")]
    BusFull,
    /// No router would take it.
    #[error("this cannot be sent over Intermud-3: {0}")]
    Unwritable(#[from] EncodeError),
    /// The mud would not get it.
    #[error("{0} is not connected now; nothing was sent")]
    Away(String),
    /// The mud's gateway was asked to take it, and did not answer.
    #[error("{0} did not answer in time: it is not known whether this arrived, so ask before it is repeated")]
    Unknown(String),
}

/// The queue itself; pure, with the time as a parameter.
#[derive(Debug)]
pub struct Outbox {
    queues: [VecDeque<Entry>; Class::ALL.len()],
    capacity: usize,
    /// The most packets in any second.
    pace: usize,
    /// What went in the last second: when, and of which class; a registration has none.
    sent: VecDeque<(Instant, Option<Class>)>,
    last_id: u64,
}

impl Outbox {
    /// An outbox for at most `capacity` packets.
    pub fn new(capacity: usize) -> Self {
        let sent = VecDeque::with_capacity(PACKETS_PER_SECOND);
        Self { queues: Default::default(), capacity, pace: PACKETS_PER_SECOND, sent, last_id: 0 }
    }

    /// Sets the most packets in any second.
    pub fn set_pace(&mut self, pace: usize) {
        self.pace = pace;
    }

    /// How many packets wait.
    pub fn len(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    /// How many packets of each class wait.
    pub fn waiting(&self) -> [usize; Class::ALL.len()] {
        Class::ALL.map(|class| self.queues[class as usize].len())
    }

    /// Adds a packet; the receiver fires when the router link took it and fails when it expired.
    ///
    /// # Errors
    /// [`NotAccepted`] when the capacity, or the class' own, is used up, or when the packet has no form on the wire.
    pub fn push(
        &mut self,
        now: Instant,
        packet: Packet,
        class: Class,
    ) -> Result<oneshot::Receiver<()>, NotAccepted> {
        let waiting = self.queues[class as usize].len();
        if self.len() >= self.capacity || waiting >= class.capacity(self.capacity) {
            return Err(NotAccepted::Full);
        }
        let text = packet.encode()?;
        let (sender, receiver) = oneshot::channel();
        self.last_id += 1;
        let (id, taken, expires) = (self.last_id, Some(sender), now + class.time_to_live());
        let entry = Entry { packet, text, class, since: now, expires, taken, id, kept: false };
        self.queues[class as usize].push_back(entry);
        Ok(receiver)
    }

    /// What a client asked to send, oldest first, and the number of the last packet that was pushed.
    pub fn asked_for(&self) -> (impl Iterator<Item = &Entry>, u64) {
        let asked_for = Class::ALL.into_iter().filter(|class| class.is_asked_for());
        (asked_for.flat_map(|class| &self.queues[class as usize]), self.last_id)
    }

    /// Takes note that another process would find all that was pushed up to this number.
    pub fn set_kept(&mut self, last_id: u64) {
        for entry in self.queues.iter_mut().flatten().filter(|entry| entry.class.is_asked_for()) {
            entry.kept |= entry.id <= last_id;
        }
    }

    /// Drops what another process has found by now, and would send too.
    pub fn forget_kept(&mut self) {
        for queue in &mut self.queues {
            queue.retain(|entry| !entry.kept);
        }
    }

    /// Takes out what a client asked to send and no other process would find, with the time it still may wait.
    pub fn take_not_kept(&mut self, now: Instant) -> Vec<(Class, Packet, Duration)> {
        let mut taken = Vec::new();
        for class in Class::ALL.into_iter().filter(|class| class.is_asked_for()) {
            let queue = &mut self.queues[class as usize];
            for entry in std::mem::take(queue) {
                if entry.kept {
                    queue.push_back(entry);
                } else {
                    taken.push((class, entry.packet, entry.expires.saturating_duration_since(now)));
                }
            }
        }
        taken
    }

    /// Takes what an earlier process left, with the time it still may wait, oldest first. It goes before all else of
    /// its class, and counts against no limit: it was accepted.
    pub fn take_over(&mut self, now: Instant, left: Vec<(Class, Packet, Duration)>) {
        self.put_back(now, left, true);
    }

    /// Puts back what was taken out, or takes what another process has handed over. `kept` says whether yet another
    /// one would find it.
    pub fn put_back(&mut self, now: Instant, packets: Vec<(Class, Packet, Duration)>, kept: bool) {
        for (class, packet, time) in packets.into_iter().rev() {
            if let Ok(text) = packet.encode() {
                let expires = now + time.min(class.time_to_live());
                let entry = Entry { packet, text, class, since: now, expires, taken: None, id: 0, kept };
                self.queues[class as usize].push_front(entry);
            }
        }
    }

    /// The next packet to send, if the pace allows one now.
    pub fn next(&mut self, now: Instant) -> Next {
        while self.sent.front().is_some_and(|(sent, _)| now.duration_since(*sent) >= SECOND) {
            self.sent.pop_front();
        }
        let mut earliest: Option<Instant> = None;
        for class in Class::ALL {
            if self.queues[class as usize].is_empty() {
                continue;
            }
            match self.allowed_at(class, now) {
                Some(then) => earliest = Some(earliest.map_or(then, |earliest| earliest.min(then))),
                None => {
                    if let Some(entry) = self.queues[class as usize].pop_front() {
                        self.count(now, class.weight(), Some(class));
                        return Next::Send(Box::new(entry));
                    }
                }
            }
        }
        earliest.map_or(Next::Empty, Next::At)
    }

    /// When the pace allows a packet of a class; none: now.
    fn allowed_at(&self, class: Class, now: Instant) -> Option<Instant> {
        if class.weight() == 0 {
            return None;
        }
        let after = |sent: Option<&(Instant, Option<Class>)>| sent.map_or(now, |(sent, _)| *sent + SECOND);
        if self.sent.len() >= self.pace {
            return Some(after(self.sent.front()));
        }
        let mut own = self.sent.iter().filter(|(_, sent)| *sent == Some(class));
        let used = own.clone().count();
        (used >= class.rate(self.pace)).then(|| after(own.next()))
    }

    /// Puts back what could not be sent after all.
    pub fn restore(&mut self, entry: Entry) {
        self.queues[entry.class as usize].push_front(entry);
    }

    /// A new registration was sent: it counts, what went over the old link does not.
    pub fn registered(&mut self, now: Instant) {
        self.sent.clear();
        self.count(now, STARTUP_WEIGHT, None);
    }

    /// Drops what waits of a class.
    pub fn forget(&mut self, class: Class) {
        self.queues[class as usize].clear();
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

    fn count(&mut self, now: Instant, weight: usize, class: Option<Class>) {
        for _ in 0..weight {
            self.sent.push_back((now, class));
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
    fn answers_go_behind_tells_leave_room_for_chatter_and_keep_nothing_out() {
        let now = Instant::now();
        let mut outbox = Outbox::new(1000);
        for index in 0..100 {
            outbox.push(now, tell(&format!("answer {index}")), Class::Answer).unwrap();
        }
        assert_eq!(outbox.push(now, tell("one too many"), Class::Answer).err(), Some(NotAccepted::Full));
        for index in 0..10 {
            outbox.push(now, chat(&index.to_string()), Class::Channel).unwrap();
        }
        outbox.push(now, tell("1"), Class::Direct).unwrap();
        let first = sent_at(&mut outbox, now);
        assert_eq!(first[..3], [tell("1"), tell("answer 0"), tell("answer 1")]);
        assert_eq!(first[5..], [chat("0"), chat("1"), chat("2")]);
        // Alone they have no more than their half either.
        let second = sent_at(&mut outbox, now + SECOND);
        assert_eq!(second.iter().filter(|packet| packet.kind() == "tell").count(), PACKETS_PER_SECOND / 2);
    }

    #[test]
    fn what_nobody_waits_for_goes_last_and_one_a_second() {
        let start = Instant::now();
        let mut outbox = Outbox::new(1000);
        for index in 0..50 {
            outbox.push(start, tell(&format!("news {index}")), Class::Background).unwrap();
        }
        assert_eq!(
            outbox.push(start, tell("one too many"), Class::Background).err(),
            Some(NotAccepted::Full)
        );
        outbox.push(start, chat("1"), Class::Channel).unwrap();
        assert_eq!(sent_at(&mut outbox, start), [chat("1"), tell("news 0")]);
        let Next::At(then) = outbox.next(start) else { panic!("the pace holds") };
        assert_eq!(then, start + SECOND);
        assert_eq!(sent_at(&mut outbox, then), [tell("news 1")]);
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
        assert_eq!(outbox.push(now, tell("3"), Class::Direct).err(), Some(NotAccepted::Full));
        let Next::Send(entry) = outbox.next(now) else { unreachable!("two wait") };
        outbox.restore(*entry);
        assert_eq!(sent_at(&mut outbox, now), [tell("1"), tell("2")]);
    }

    #[test]
    fn what_has_no_form_on_the_wire_is_not_accepted() {
        let mut outbox = Outbox::new(3);
        let refused = outbox.push(Instant::now(), tell(&"x".repeat(300_000)), Class::Direct).err().unwrap();
        assert!(matches!(refused, NotAccepted::Unwritable(EncodeError::TooLong { .. })), "{refused}");
        assert_eq!(outbox.len(), 0);
    }

    #[test]
    fn what_an_earlier_process_left_goes_first_and_expires_when_it_would_have() {
        let start = Instant::now();
        let mut outbox = Outbox::new(2);
        outbox.push(start, tell("new"), Class::Direct).unwrap();
        let left = [("1", 5), ("2", 10), ("3", 9999)];
        let left = left.map(|(text, time)| (Class::Direct, tell(text), Duration::from_secs(time)));
        outbox.take_over(start, left.into());
        assert_eq!(outbox.expired(start + Duration::from_secs(10)).len(), 2);
        let Next::Send(entry) = outbox.next(start) else { panic!("3 waits") };
        assert_eq!((entry.packet, entry.expires), (tell("3"), start + Class::Direct.time_to_live()));
    }

    #[test]
    fn what_another_process_has_found_is_forgotten_here() {
        let start = Instant::now();
        let mut outbox = Outbox::new(10);
        outbox.push(start, tell("kept"), Class::Direct).unwrap();
        let (waiting, last) = outbox.asked_for();
        assert_eq!((waiting.count(), last), (1, 1));
        outbox.push(start, tell("later"), Class::Direct).unwrap();
        outbox.set_kept(last);
        outbox.forget_kept();
        let Next::Send(entry) = outbox.next(start) else { panic!("one waits") };
        assert_eq!(entry.packet, tell("later"));
    }
}
