//! Who may connect to a router when. Pure: the time is a parameter.
//!
//! A router closes a connection that it accepts in the same second of its clock as the one before. So for each router
//! there is one door, through which one mud goes at a time. Who asks is told to go, or when to ask again: the queue is
//! known from those who ask, with the time for which they have been asking, so that a new operator goes on where the
//! old one was.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use mudgateway_crds::permit::{PermitAnswer, Purpose};

/// How long after a question the connecting that it allows may begin.
pub const VALID: Duration = Duration::from_secs(1);

/// How long a permit for a successor waits for it.
pub const RESERVED: Duration = Duration::from_secs(2);

/// After this long the door opens again though nobody said what became of the permit.
pub const LOST: Duration = Duration::from_secs(3);

/// The longest time after which who waits asks again, and is known to still wait.
pub const ASK_AGAIN: Duration = Duration::from_secs(5);

/// How late one may ask again without losing the turn to the next.
const GRACE: Duration = Duration::from_millis(100);

/// Who has not asked again for this long no longer waits.
const GONE: Duration = Duration::from_secs(15);

/// The part of the interval that is there for what connecting takes: not needed when it is over.
const MARGIN: Duration = Duration::from_millis(100);

/// The least time after which one is told to ask again.
const SHORTLY: Duration = Duration::from_millis(5);

/// The most time that counts as waited for.
const MOST_WAITED: Duration = Duration::from_secs(600);

/// How long a mud that was let through counts for its address before it has reported.
const COUNTS_FOR: Duration = Duration::from_secs(20);

/// The most routers there are doors to. Muds know some dozens at most.
const DOORS: usize = 256;

/// A mud of a network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mud {
    /// The name of the network on the bus.
    pub network: String,
    /// The name of the mud.
    pub name: String,
}

/// What routers of a network tolerate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two connections.
    pub interval: Duration,
    /// From so many muds of one address on a router lets in only those that it knows.
    pub muds_per_address: usize,
}

/// A question.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub mud: &'a Mud,
    /// The host and port of the router.
    pub router: &'a str,
    /// What names the address from which it will connect.
    pub egress: &'a str,
    /// For how long it has been asking.
    pub waited: Duration,
    /// Why it connects.
    pub purpose: Purpose,
    /// Whether the router knows it.
    pub known: bool,
    /// The muds that are registered with this router from this address.
    pub registered: &'a BTreeSet<Mud>,
}

/// The doors to all routers.
#[derive(Debug, Default)]
pub struct Permits {
    doors: HashMap<String, Door>,
}

#[derive(Debug, Default)]
struct Door {
    /// From when on the next may go.
    opens: Option<Instant>,
    /// Who has a permit now.
    out: Option<Out>,
    queue: Vec<Waiting>,
    /// Who was let through lately: when, and from which address.
    lately: Vec<(Instant, String, Mud)>,
    used: Option<Instant>,
}

#[derive(Debug)]
struct Out {
    mud: Mud,
    granted: Instant,
    /// When it was this mud's turn: a little before, so that being late does not add up.
    turn: Instant,
    /// Whether it is for the mud's next process.
    reserved: bool,
}

#[derive(Debug)]
struct Waiting {
    mud: Mud,
    first: bool,
    since: Instant,
    /// When it was told to ask again.
    expected: Instant,
}

impl Waiting {
    fn rank(&self) -> (bool, Instant, &Mud) {
        (!self.first, self.since, &self.mud)
    }
}

impl Permits {
    /// Answers a question.
    pub fn ask(&mut self, now: Instant, pace: Pace, question: &Question<'_>) -> PermitAnswer {
        if !self.doors.contains_key(question.router) && !self.make_room(now) {
            return PermitAnswer::Noted;
        }
        let door = self.doors.entry(question.router.to_owned()).or_default();
        door.used = Some(now);
        door.settle(now, pace.interval);
        if let Some(muds) = door.full(pace.muds_per_address, question) {
            door.queue.retain(|waiting| waiting.mud != *question.mud);
            return PermitAnswer::AddressFull { muds };
        }
        door.ask(now, pace.interval, question)
    }

    /// A mud has used its permit: the router has accepted it by now, or the mud has given up.
    pub fn used(&mut self, now: Instant, interval: Duration, router: &str, mud: &Mud) {
        if let Some(door) = self.doors.get_mut(router)
            && let Some(out) = door.out.take_if(|out| out.mud == *mud)
        {
            door.opens = Some((out.turn + interval).max(now + interval.saturating_sub(MARGIN)));
        }
    }

    /// A mud that has not reached the router leaves its turn, or its place, to others.
    pub fn given_back(&mut self, now: Instant, router: &str, mud: &Mud) {
        let Some(door) = self.doors.get_mut(router) else { return };
        door.queue.retain(|waiting| waiting.mud != *mud);
        door.lately.retain(|(_, _, one)| one != mud);
        if door.out.take_if(|out| out.mud == *mud).is_some() {
            door.opens = Some(now);
        }
    }

    /// How many muds of a network wait.
    pub fn waiting(&self, now: Instant, network: &str) -> usize {
        let all = self.doors.values().flat_map(|door| &door.queue);
        all.filter(|waiting| waiting.mud.network == network && !waiting.is_gone(now)).count()
    }

    /// How many muds wait for any router.
    pub fn all_waiting(&self, now: Instant) -> usize {
        let all = self.doors.values().flat_map(|door| &door.queue);
        all.filter(|waiting| !waiting.is_gone(now)).count()
    }

    /// Makes room for another door; false when all are in use.
    fn make_room(&mut self, now: Instant) -> bool {
        if self.doors.len() >= DOORS {
            self.doors.retain(|_, door| door.used.is_some_and(|used| now.duration_since(used) < GONE));
        }
        self.doors.len() < DOORS
    }
}

impl Waiting {
    fn is_gone(&self, now: Instant) -> bool {
        now > self.expected + GONE
    }
}

impl Door {
    /// Takes note of what time has changed.
    fn settle(&mut self, now: Instant, interval: Duration) {
        self.queue.retain(|waiting| !waiting.is_gone(now));
        self.lately.retain(|(then, _, _)| now.duration_since(*then) < COUNTS_FOR);
        let Some(out) = &self.out else { return };
        let (lost_after, opens) = if out.reserved {
            // Nobody came for it, so the router has seen nobody.
            (RESERVED, out.granted + RESERVED)
        } else {
            (LOST, out.granted + LOST.max(interval))
        };
        if now.duration_since(out.granted) >= lost_after {
            self.opens = Some(opens);
            self.out = None;
        }
    }

    /// How many muds there are, if that is too many for one that the router does not know.
    fn full(&self, most: usize, question: &Question<'_>) -> Option<u32> {
        if question.known {
            return None;
        }
        let lately = self.lately.iter().filter(|(_, egress, _)| egress == question.egress);
        let muds: BTreeSet<&Mud> = question.registered.iter().chain(lately.map(|(_, _, mud)| mud)).collect();
        let others = muds.len() - usize::from(muds.contains(question.mud));
        (others >= most).then(|| u32::try_from(others).unwrap_or(u32::MAX))
    }

    fn ask(&mut self, now: Instant, interval: Duration, question: &Question<'_>) -> PermitAnswer {
        let hands_over = question.purpose == Purpose::HandOver;
        if let Some(out) = self.out.as_mut().filter(|out| out.mud == *question.mud && out.reserved) {
            if !hands_over {
                *out = Out { granted: now, turn: now, reserved: false, mud: out.mud.clone() };
            }
            return granted();
        }
        let place = self.place(now, question);
        let opens = self.opens(now, interval);
        let before = self.queue[..place].iter().filter(|waiting| waiting.expected + GRACE >= now);
        let late = before.map(|waiting| waiting.expected + GRACE).min();
        if self.out.is_none() && now >= opens && late.is_none() {
            let Waiting { mud, .. } = self.queue.remove(place);
            self.lately.retain(|(_, _, one)| *one != mud);
            self.lately.push((now, question.egress.to_owned(), mud.clone()));
            let turn = if now.duration_since(opens) < MARGIN { opens } else { now };
            self.out = Some(Out { mud, granted: now, turn, reserved: hands_over });
            return granted();
        }
        let turn = match late {
            Some(late) if now >= opens => late,
            _ => opens + interval * u32::try_from(place).unwrap_or(u32::MAX),
        };
        let wait = turn.saturating_duration_since(now).clamp(SHORTLY, ASK_AGAIN);
        self.queue[place].expected = now + wait;
        PermitAnswer::Wait {
            milliseconds: milliseconds(wait),
            ahead: u32::try_from(place).unwrap_or(u32::MAX),
        }
    }

    /// When the next may go, as far as is known.
    fn opens(&self, now: Instant, interval: Duration) -> Instant {
        match &self.out {
            Some(out) => (out.turn + interval).max(now + SHORTLY),
            None => self.opens.unwrap_or(now),
        }
    }

    /// Puts who asks in its place of the queue.
    fn place(&mut self, now: Instant, question: &Question<'_>) -> usize {
        let since = now.checked_sub(question.waited.min(MOST_WAITED)).unwrap_or(now);
        let first = question.purpose != Purpose::Connect;
        match self.queue.iter_mut().find(|waiting| waiting.mud == *question.mud) {
            Some(waiting) => {
                waiting.first = first;
                waiting.since = waiting.since.min(since);
            }
            None => {
                let mud = question.mud.clone();
                self.queue.push(Waiting { mud, first, since, expected: now });
            }
        }
        self.queue.sort_by(|a, b| a.rank().cmp(&b.rank()));
        self.queue.iter().position(|waiting| waiting.mud == *question.mud).unwrap_or_default()
    }
}

fn granted() -> PermitAnswer {
    PermitAnswer::Granted { valid_milliseconds: milliseconds(VALID) }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
