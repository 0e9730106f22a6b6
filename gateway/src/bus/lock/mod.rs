//! The session lock: of all the processes that serve one mud, one talks to the router.
//!
//! The lock is one key of a NATS bucket; its revision is the fencing token. The holder renews it each second. A standby
//! that has watched a healthy bus for 3 s without a renewal takes it; healthy means that the lock's bucket takes writes. The holder may register with the router only
//! within 2 s of its last renewal, so that no two processes may at once, whatever their clocks say: only durations
//! are compared, and each process measures its own. A holder that cannot reach the bus keeps the session it has
//! ("holdover") but opens none; the router is the last fence, for it knows one session to a name.

mod keeper;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub use keeper::{Holding, Keeper, LockListener};

/// How often the holder renews.
pub const RENEW_EVERY: Duration = Duration::from_secs(1);

/// How long after its last renewal, as it was sent, the holder may still open a session with the router.
pub const FRESH: Duration = Duration::from_secs(2);

/// How long a standby must have watched the bus without seeing a renewal before it takes the lock.
pub const TAKEN_OVER_AFTER: Duration = Duration::from_secs(3);

/// How long after a renewal of another the bucket is asked whether it works at all, and then how often.
const ASK_AFTER: Duration = Duration::from_millis(1200);
const ASK_EVERY: Duration = Duration::from_millis(500);

/// How long its answer is waited for.
pub const ASK_TIMEOUT: Duration = Duration::from_millis(500);

/// How long the outcome of a write is waited for.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// Who gave the lock back waits so long for another to take it before it takes it again itself.
const YIELD: Duration = Duration::from_secs(3);

/// What the lock's key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The revision of the value: it grows with every write.
    pub revision: u64,
    /// The process that wrote it.
    pub by: String,
    /// Whether that process holds the lock, or has given it back.
    pub held: bool,
}

impl Duty {
    /// Whether a session may be kept.
    pub fn may_keep(self) -> bool {
        matches!(self, Self::Holder | Self::Holdover)
    }
}

/// What this process may do with the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Nothing: it must close a session it has at once.
    Standby,
    /// The same, because the bus does not tell who holds the lock.
    Unknown,
    /// Keep the session it has, but open none: the bus cannot tell whether the lock is still ours.
    Holdover,
    /// Open and keep a session.
    Holder,
}

impl Duty {
    /// The duty as a metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::Unknown => "unknown",
            Self::Holdover => "holdover",
            Self::Holder => "holder",
        }
    }
}

/// A write to the lock's key. It must succeed only if the key is as expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// The revision the key must have; none: it must not exist.
    pub expected: Option<u64>,
    /// Whether the lock is held after it, or given back.
    pub held: bool,
}

/// Why a write did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The key was not as expected.
    Conflict,
    /// Nobody knows: there was no answer.
    Unknown,
}

/// One process' view of the lock; pure, with the time as a parameter.
///
/// The one who drives it tells it what it sees ([`SessionLock::bus`], [`SessionLock::seen`]), makes the writes it asks
/// for one at a time ([`SessionLock::write`], [`SessionLock::wrote`]) at the latest at [`SessionLock::wake_at`],
/// and obeys [`SessionLock::duty`] at all times.
#[derive(Debug)]
pub struct SessionLock {
    me: String,
    /// Since when the key is watched without interruption.
    watching: Option<Instant>,
    /// What was seen last, and when; none: there is no such key.
    last: Option<(Entry, Instant)>,
    /// Whether `last` is what the key holds, as far as can be known: not at the start of a watch, nor after a conflict.
    looked: bool,
    /// Whether another process may hold the lock though there is no such key: then the bucket was lost.
    others: bool,
    /// When the write was sent by which the lock is ours.
    renewed: Option<Instant>,
    /// The write that is under way, and when it was sent.
    writing: Option<(Write, Instant)>,
    /// When the bucket was asked last whether it works.
    asked: Option<Instant>,
    /// Until when another may take a lock that we gave back.
    yields_until: Option<Instant>,
    /// Whether the lock is to be given back: for good, or to who can do better.
    leaving: Leaving,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    /// The router cannot be reached from here.
    Yielding,
    /// This process ends.
    ForGood,
}

impl SessionLock {
    /// A process that has seen nothing yet. No other process, not even an earlier one in its place, has the same name.
    /// `known` says whether the mud was ever on the network: then somebody may hold a lock whose key was lost.
    pub fn new(me: impl Into<String>, known: bool) -> Self {
        Self {
            me: me.into(),
            watching: None,
            last: None,
            looked: false,
            others: known,
            renewed: None,
            writing: None,
            asked: None,
            yields_until: None,
            leaving: Leaving::No,
        }
    }

    /// What this process may do with the router now.
    pub fn duty(&self, now: Instant) -> Duty {
        match self.renewed {
            None if !self.watched_and_looked() => Duty::Unknown,
            None => Duty::Standby,
            Some(_) if self.leaving != Leaving::No => Duty::Standby,
            Some(sent) if now.duration_since(sent) < FRESH => Duty::Holder,
            Some(_) => Duty::Holdover,
        }
    }

    /// Until when nobody else can have taken the lock; none: it is not ours.
    pub fn certain_until(&self) -> Option<Instant> {
        self.renewed.filter(|_| self.leaving == Leaving::No).map(|sent| sent + FRESH)
    }

    /// Takes note of whether the key is watched. A watch begins with what the key holds.
    pub fn bus(&mut self, now: Instant, watched: bool) {
        match (watched, self.watching) {
            (true, None) => {
                self.watching = Some(now);
                self.looked = false;
            }
            (false, _) => self.watching = None,
            (true, Some(_)) => {}
        }
    }

    /// Takes what the key holds; none: there is no such key.
    pub fn seen(&mut self, now: Instant, entry: Option<Entry>) {
        let before = self.last.as_ref().map_or(0, |(last, _)| last.revision);
        // The answer to a write, or to a look, may overtake the watch.
        if self.looked && entry.as_ref().is_some_and(|entry| entry.revision <= before) {
            return;
        }
        self.looked = true;
        if let Some(entry) = &entry {
            let ours = entry.by == self.me;
            self.others |= !ours;
            if !ours && entry.held {
                self.renewed = None;
            } else if ours && !entry.held && self.leaving != Leaving::No {
                self.given_back(now);
            }
        }
        self.last = entry.map(|entry| (entry, now));
    }

    /// The write to make now, if any; it counts as sent.
    pub fn write(&mut self, now: Instant) -> Option<Write> {
        if self.writing.is_some() || !self.watched_and_looked() {
            return None;
        }
        let write = self.wanted(now).filter(|(at, _)| *at <= now).map(|(_, write)| write)?;
        self.writing = Some((write, now));
        Some(write)
    }

    /// Takes the outcome of the write: the key's new revision, or why there is none.
    pub fn wrote(&mut self, now: Instant, outcome: Result<u64, WriteError>) {
        let Some((write, sent)) = self.writing.take() else { return };
        match outcome {
            Ok(revision) => {
                if write.held {
                    self.renewed = Some(sent);
                } else {
                    self.given_back(now);
                }
                if self.last.as_ref().is_none_or(|(last, _)| last.revision < revision) {
                    self.last = Some((Entry { revision, by: self.me.clone(), held: write.held }, now));
                }
            }
            // Another wrote, or an earlier write of ours was done after all: somebody has to look.
            Err(WriteError::Conflict) => self.looked = false,
            Err(WriteError::Unknown) => {}
        }
    }

    /// Whether the driver should ask now if the bucket takes writes; it counts as asked. A bucket without a leader takes
    /// none, and then the holder's silence means nothing: the driver says so by [`SessionLock::bus`].
    pub fn ask(&mut self, now: Instant) -> bool {
        let due = self.ask_at().is_some_and(|at| at <= now);
        if due {
            self.asked = Some(now);
        }
        due
    }

    /// Whether the driver should read the key, because a write found it other than it was seen.
    pub fn should_look(&self) -> bool {
        self.watching.is_some() && !self.looked
    }

    /// Gives the lock back for another try by others, because the router cannot be reached from here.
    pub fn yield_to_others(&mut self) {
        if self.renewed.is_some() && self.leaving == Leaving::No {
            self.leaving = Leaving::Yielding;
        }
    }

    /// Gives the lock back for good. The session with the router must be closed by now.
    pub fn leave(&mut self) {
        self.leaving = Leaving::ForGood;
    }

    /// Whether this process has not been told to leave.
    pub fn stays(&self) -> bool {
        self.leaving != Leaving::ForGood
    }

    /// Whether, after [`SessionLock::leave`], there is nothing left to give back.
    pub fn has_left(&self) -> bool {
        self.leaving == Leaving::ForGood && self.renewed.is_none() && self.writing.is_none()
    }

    /// When to look again at [`SessionLock::write`] and [`SessionLock::duty`], if nothing happens before.
    pub fn wake_at(&self, now: Instant) -> Instant {
        let stale = self.renewed.map(|sent| sent + FRESH).filter(|stale| *stale > now);
        let wanted = self.watched_and_looked().then(|| self.wanted(now)).flatten().map(|(at, _)| at);
        let next = if self.writing.is_some() { None } else { wanted };
        [stale, next, self.ask_at()].into_iter().flatten().min().unwrap_or(now + RENEW_EVERY)
    }

    /// When to ask whether the bucket works: while another holds the lock and does not renew it.
    fn ask_at(&self) -> Option<Instant> {
        let (Some(watching), Some((entry, seen))) = (self.watching, &self.last) else { return None };
        let silent = self.looked && self.renewed.is_none() && entry.held && entry.by != self.me;
        if !silent || self.leaving == Leaving::ForGood {
            return None;
        }
        let first = (*seen).max(watching) + ASK_AFTER;
        Some(self.asked.map_or(first, |asked| first.max(asked + ASK_EVERY)))
    }

    fn watched_and_looked(&self) -> bool {
        self.watching.is_some() && self.looked
    }

    fn given_back(&mut self, now: Instant) {
        self.renewed = None;
        self.yields_until = Some(now + YIELD);
        if self.leaving == Leaving::Yielding {
            self.leaving = Leaving::No;
        }
    }

    /// The next write, and when it is due.
    fn wanted(&self, now: Instant) -> Option<(Instant, Write)> {
        let expected = self.last.as_ref().map(|(entry, _)| entry.revision);
        match (self.renewed, self.leaving) {
            (Some(_), Leaving::Yielding | Leaving::ForGood) => Some((now, Write { expected, held: false })),
            (Some(sent), Leaving::No) => Some((self.renewal_at(now, sent), Write { expected, held: true })),
            (None, Leaving::ForGood) => None,
            (None, _) => Some((self.free_at(now)?, Write { expected, held: true })),
        }
    }

    /// When the lock is to be renewed that was renewed last by what was sent then. If the bucket was lost meanwhile,
    /// another may have taken the lock just before: it is left the time in which it may open a session.
    fn renewal_at(&self, now: Instant, sent: Instant) -> Instant {
        let lost = self.last.is_none() && now.duration_since(sent) >= FRESH;
        match self.watching {
            Some(watching) if lost => watching + FRESH,
            _ => sent + RENEW_EVERY,
        }
    }

    /// From when on the lock may be taken.
    fn free_at(&self, now: Instant) -> Option<Instant> {
        let watching = self.watching?;
        let ours = |entry: &Entry| entry.by == self.me;
        let yields_until = self.yields_until.unwrap_or(now);
        Some(match &self.last {
            // The bucket was lost, and the holder will write its key anew as soon as it can.
            None if self.others => watching + TAKEN_OVER_AFTER,
            None => yields_until,
            // A write of ours that never had an answer.
            Some((entry, _)) if ours(entry) && entry.held => now,
            Some((entry, _)) if ours(entry) => yields_until,
            Some((entry, _)) if !entry.held => now,
            Some((_, seen)) => (*seen).max(watching) + TAKEN_OVER_AFTER,
        })
    }
}
