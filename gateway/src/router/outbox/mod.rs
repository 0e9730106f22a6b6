//! What waits to be sent to the router: by priority, paced below the router's flood limit, for a bounded time.

mod class;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use intermud3::Packet;
use intermud3::lpc::EncodeError;
use tokio::sync::oneshot;

pub use class::Class;

/// The most packets in any second, by default. Routers ignore a mud for some seconds after more than ten in one clock
/// second.
pub const PACKETS_PER_SECOND: usize = 8;

const SECOND: Duration = Duration::from_secs(1);

/// What was sent within this time may reach the router within one of its seconds: a link does not always take equally long.
const LOOKED_BACK: Duration = Duration::from_millis(1250);

/// The most packets within that time: as many as a pace of so many a second allows on average, so that a backlog goes at that
/// pace, but not in heaps. With the default pace it is the ten that a router takes in a second.
const fn within_looked_back(pace: usize) -> usize {
    pace + pace.div_ceil(4)
}

/// The most packets in any second while another process may use the name too: its registration and its own pace fit beside.
const SHARED_PACE: usize = 2;

/// For how long after this process has lost the bus another one may do so: one that takes over does by then, and this one has
/// found out that it is deaf.
const SHARED_FOR: Duration = Duration::from_secs(10);

/// What a router counts a registration as.
pub const STARTUP_WEIGHT: usize = 6;

/// The most bytes, as they are kept, of what our clients asked to send; the same again of all else. An earlier process may have
/// left as much, and both together must fit into the 1 MiB of a value on the bus.
pub const KEPT_BYTES: usize = 450_000;

/// What is kept of a packet besides its text, at most.
const KEPT_BESIDES: usize = 95;

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
    /// How many bytes are kept of it.
    bytes: usize,
    /// Its number, which no other packet of the mud has; 0: one from an older version, without.
    pub(super) id: u64,
    /// Whether another process may find it if this one is gone.
    offered: bool,
    /// Whether it certainly would.
    kept: bool,
}

/// A packet that waited elsewhere: in an earlier process, or in one that does not hold the session.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    /// Its number; 0: it has none.
    pub id: u64,
    /// Its class.
    pub class: Class,
    /// The packet.
    pub packet: Packet,
    /// How long it may still wait.
    pub time: Duration,
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
    #[error("too much waits for the router; try again later")]
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
    /// What went of late: when, and of which class; a registration has none.
    sent: VecDeque<(Instant, Option<Class>)>,
    /// Since when another process may use the name too.
    shared_since: Option<Instant>,
    last_id: u64,
    /// What went though another process may find it: the numbers, and when it would stop to matter.
    gone: Vec<(u64, Instant)>,
}

impl Outbox {
    /// An outbox for at most `capacity` packets, which are numbered after `last_id`: a number that is far from those of all other
    /// processes of the mud.
    pub fn new(capacity: usize, last_id: u64) -> Self {
        Self {
            queues: Default::default(),
            capacity,
            pace: PACKETS_PER_SECOND,
            sent: VecDeque::with_capacity(PACKETS_PER_SECOND),
            shared_since: None,
            last_id,
            gone: Vec::new(),
        }
    }

    /// Sets the most packets in any second.
    pub fn set_pace(&mut self, pace: usize) {
        self.pace = pace;
    }

    /// Takes note of whether another process may hold the session too, as far as this one can know. For a while then this one leaves
    /// room for it, for the router counts both, and what another may find is left to it.
    pub fn set_shared(&mut self, now: Instant, shared: bool) {
        self.shared_since = shared.then(|| self.shared_since.unwrap_or(now));
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
    /// [`NotAccepted`] when the capacity, in packets or in bytes, or the class' own is used up, or when the packet has no form on
    /// the wire.
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
        let bytes = kept_bytes(&text);
        if self.bytes(class.is_asked_for()) + bytes > KEPT_BYTES {
            return Err(NotAccepted::Full);
        }
        let (sender, receiver) = oneshot::channel();
        self.last_id += 1;
        let (id, taken, expires) = (self.last_id, Some(sender), now + class.time_to_live());
        let (offered, kept) = (false, false);
        let entry = Entry { packet, text, class, since: now, expires, taken, bytes, id, offered, kept };
        self.queues[class as usize].push_back(entry);
        Ok(receiver)
    }

    /// How many bytes are kept of what clients asked to send, or would be of all else.
    fn bytes(&self, asked_for: bool) -> usize {
        let classes = Class::ALL.into_iter().filter(|class| class.is_asked_for() == asked_for);
        classes.flat_map(|class| &self.queues[class as usize]).map(|entry| entry.bytes).sum()
    }

    /// What a client asked to send, oldest first. From now on another process may find it.
    pub fn offer(&mut self) -> impl Iterator<Item = &Entry> {
        for entry in self.queues.iter_mut().flatten().filter(|entry| entry.class.is_asked_for()) {
            entry.offered = true;
        }
        let asked_for = Class::ALL.into_iter().filter(|class| class.is_asked_for());
        asked_for.flat_map(|class| &self.queues[class as usize])
    }

    /// Takes note that another process would find all that was offered last.
    pub fn set_kept(&mut self) {
        for entry in self.queues.iter_mut().flatten() {
            entry.kept |= entry.offered;
        }
    }

    /// Takes note that the link took a packet.
    pub fn note_gone(&mut self, entry: &Entry) {
        if entry.offered && entry.id != 0 {
            self.gone.push((entry.id, entry.expires));
        }
    }

    /// The numbers of what went though another process may find it, oldest first.
    pub fn gone(&mut self, now: Instant) -> Vec<u64> {
        self.gone.retain(|(_, expires)| *expires > now);
        self.gone.iter().map(|(id, _)| *id).collect()
    }

    /// Takes out what went up to a number: nobody finds it any more.
    pub fn forget_gone(&mut self, last: u64) {
        let end = self.gone.iter().position(|(id, _)| *id == last).map_or(0, |at| at + 1);
        self.gone.drain(..end);
    }

    /// Drops what another process has found by now, and would send too.
    pub fn forget_kept(&mut self) {
        for queue in &mut self.queues {
            queue.retain(|entry| !entry.kept);
        }
    }

    /// Takes out what a client asked to send and no other process would find.
    pub fn take_not_kept(&mut self, now: Instant) -> Vec<Left> {
        let mut taken = Vec::new();
        for class in Class::ALL.into_iter().filter(|class| class.is_asked_for()) {
            let queue = &mut self.queues[class as usize];
            for entry in std::mem::take(queue) {
                if entry.kept {
                    queue.push_back(entry);
                } else {
                    let time = entry.expires.saturating_duration_since(now);
                    taken.push(Left { id: entry.id, class, packet: entry.packet, time });
                }
            }
        }
        taken
    }

    /// Takes what an earlier process left, oldest first. It goes before all else of its class, and counts against no limit: it was
    /// accepted.
    pub fn take_over(&mut self, now: Instant, left: Vec<Left>) {
        self.put_back(now, left, true);
    }

    /// Takes what another process accepted when nobody held the session: all of it, or nothing.
    ///
    /// # Errors
    /// [`NotAccepted::Full`] when it does not fit with what waits.
    pub fn take_in(&mut self, now: Instant, packets: Vec<Left>) -> Result<(), NotAccepted> {
        let texts = packets.iter().filter_map(|left| left.packet.encode().ok());
        let bytes: usize = texts.map(|text| kept_bytes(&text)).sum();
        if self.bytes(true) + bytes > KEPT_BYTES {
            return Err(NotAccepted::Full);
        }
        self.put_back(now, packets, false);
        Ok(())
    }

    /// Puts back what was taken out. `kept` says whether another process would find it.
    pub fn put_back(&mut self, now: Instant, packets: Vec<Left>, kept: bool) {
        for Left { id, class, packet, time } in packets.into_iter().rev() {
            if let Ok(text) = packet.encode() {
                let expires = now + time.min(class.time_to_live());
                let (bytes, offered, taken) = (kept_bytes(&text), kept, None);
                let entry =
                    Entry { packet, text, class, since: now, expires, taken, bytes, id, offered, kept };
                self.queues[class as usize].push_front(entry);
            }
        }
    }

    /// The next packet to send, if the pace allows one now.
    pub fn next(&mut self, now: Instant) -> Next {
        while self.sent.front().is_some_and(|(sent, _)| now.duration_since(*sent) >= LOOKED_BACK) {
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
                        self.count(now, usize::from(class.is_counted()), Some(class));
                        return Next::Send(Box::new(entry));
                    }
                }
            }
        }
        earliest.map_or(Next::Empty, Next::At)
    }

    /// When the pace allows a packet of a class; none: now.
    fn allowed_at(&self, class: Class, now: Instant) -> Option<Instant> {
        if !class.is_counted() {
            return None;
        }
        let shared_until = self.shared_since.map(|since| since + SHARED_FOR).filter(|until| *until > now);
        let pace = if shared_until.is_some() { self.pace.min(SHARED_PACE) } else { self.pace };
        let is_offered = self.queues[class as usize].front().is_some_and(|entry| entry.offered);
        if let Some(until) = shared_until.filter(|_| is_offered) {
            return Some(until);
        }
        let second = self.sent.partition_point(|(sent, _)| now.duration_since(*sent) >= SECOND);
        let last_second = self.sent.range(second..);
        let mut own = last_second.clone().filter(|(_, sent)| *sent == Some(class));
        // Each limit: how many it counts, how many it allows, and when the oldest of them counts no more.
        let oldest = |sent: Option<&(Instant, Option<Class>)>| sent.map_or(now, |(sent, _)| *sent);
        let limits = [
            (self.sent.len(), within_looked_back(pace), oldest(self.sent.front()) + LOOKED_BACK),
            (last_second.len(), pace, oldest(last_second.clone().next()) + SECOND),
            (own.clone().count(), class.rate(pace), oldest(own.next()) + SECOND),
        ];
        limits.into_iter().filter(|(used, allowed, _)| used >= allowed).map(|(_, _, then)| then).max()
    }

    /// From when on nothing was sent for a second; none: nothing was.
    pub fn quiet_from(&self) -> Option<Instant> {
        self.sent.back().map(|(sent, _)| *sent + SECOND)
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

    /// Takes note of a probe, which the router counts too.
    pub fn probed(&mut self, now: Instant) {
        self.count(now, 1, None);
    }

    /// Takes note that the last so many packets may have reached the router only now: the link stood still.
    pub fn delayed(&mut self, now: Instant, packets: usize) {
        self.count(now, packets, None);
    }

    fn count(&mut self, now: Instant, weight: usize, class: Option<Class>) {
        for _ in 0..weight {
            self.sent.push_back((now, class));
        }
    }
}

/// How many bytes are kept of a packet: what JSON makes of its text, and what is kept besides.
fn kept_bytes(text: &[u8]) -> usize {
    // Texts can always be written.
    let json = serde_json::to_vec(&String::from_utf8_lossy(text)).unwrap_or_default();
    json.len() + KEPT_BESIDES
}

#[cfg(test)]
mod tests;
