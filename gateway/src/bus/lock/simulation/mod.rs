//! Seeded schedules of kills, pauses and partitions over several processes, a bus and a router, in made-up time.
//!
//! The router has the rules of the real one (dead-souls-router 35, 36): a login from the same address replaces the old
//! one, which is left open but deaf; from another address it waits in silence until the old one has closed.

mod fault;
mod schedules;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use fault::Fault;

/// How long a router may stay silent before a process that took the lock over tries again.
const REGISTRATION: u64 = 1000;
/// How long a process in holdover takes to find out that its session is deaf: two probes, 3 s apart.
const DEAF: u64 = 6000;

/// What is on its way.
#[derive(Debug)]
enum Message {
    /// The key changed, or a watch begins; with the watch it is for.
    Watch(usize, u64, Option<Entry>),
    WriteArrives(usize, u64, Write),
    WriteAnswer(usize, u64, Result<u64, WriteError>),
    WriteTimeout(usize, u64),
    /// Whether the bucket takes writes; with the watch under which it was asked.
    Answer(usize, u64, bool),
    Rewatch(usize),
    Registration(usize, u64),
    Accepted(usize, u64),
    BadMojo(usize, u64),
    LinkClosed(u64),
    Deaf(usize, u64),
    TryAgain(usize, u64),
    Fault(Fault),
    Wake,
}

struct Process {
    lock: SessionLock,
    generation: u64,
    alive: bool,
    paused_until: u64,
    bus_cut: bool,
    router_cut: bool,
    /// Its watch, and its write under way.
    watch: Option<u64>,
    write: Option<u64>,
    /// Its connection to the router, and whether the router has accepted it.
    link: Option<(u64, bool)>,
}

struct World {
    seed: u64,
    epoch: Instant,
    now: u64,
    random: StdRng,
    queue: BTreeMap<Reverse<(u64, u64)>, Message>,
    count: u64,
    key: Option<Entry>,
    revision: u64,
    no_leader_until: u64,
    processes: Vec<Process>,
    same_address: bool,
    /// The connection and process that is logged in.
    registered: Option<(u64, usize)>,
    /// Logins that wait in silence.
    waiting: Vec<(u64, usize)>,
    /// Since when nobody was logged in, and the longest time nobody was.
    gap_since: Option<u64>,
    gaps: Vec<u64>,
    logins: usize,
}

impl World {
    fn new(seed: u64, processes: usize, same_address: bool) -> Self {
        let mut world = Self {
            seed,
            epoch: Instant::now(),
            now: 0,
            random: StdRng::seed_from_u64(seed),
            queue: BTreeMap::new(),
            count: 0,
            key: None,
            revision: 0,
            no_leader_until: 0,
            processes: Vec::new(),
            same_address,
            registered: None,
            waiting: Vec::new(),
            gap_since: None,
            gaps: Vec::new(),
            logins: 0,
        };
        for index in 0..processes {
            world.processes.push(Process {
                lock: SessionLock::new(format!("{index}.0"), false),
                generation: 0,
                alive: true,
                paused_until: 0,
                bus_cut: false,
                router_cut: false,
                watch: None,
                write: None,
                link: None,
            });
            world.watch(index);
        }
        world
    }

    fn instant(&self) -> Instant {
        self.epoch + Duration::from_millis(self.now)
    }

    fn unique(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn latency(&mut self) -> u64 {
        self.random.random_range(1..20)
    }

    fn send(&mut self, after: u64, message: Message) {
        let id = self.unique();
        self.queue.insert(Reverse((self.now + after, id)), message);
    }

    fn watch(&mut self, index: usize) {
        let watch = self.unique();
        self.processes[index].watch = Some(watch);
        let latency = self.latency();
        let key = self.key.clone();
        let now = self.instant();
        self.processes[index].lock.bus(now, true);
        self.send(latency, Message::Watch(index, watch, key));
    }

    fn key_changed(&mut self) {
        for index in 0..self.processes.len() {
            if let Some(watch) = self.processes[index].watch {
                let latency = self.latency();
                let key = self.key.clone();
                self.send(latency, Message::Watch(index, watch, key));
            }
        }
    }

    /// Runs until a time, checking at every step.
    fn run_until(&mut self, end: u64) {
        loop {
            let next = self.queue.last_key_value().map(|(Reverse(key), _)| key.0);
            if next.is_none_or(|next| next > end) {
                self.now = end;
                return;
            }
            if let Some((Reverse((at, _)), message)) = self.queue.pop_last() {
                self.now = at;
                self.handle(message);
                self.drive();
                self.check();
            }
        }
    }

    /// A paused process takes nothing before it goes on.
    fn paused(&mut self, index: usize, message: Message) -> Option<Message> {
        let until = self.processes[index].paused_until;
        if until > self.now {
            self.send(until - self.now, message);
            return None;
        }
        Some(message)
    }

    fn handle(&mut self, message: Message) {
        let to = match &message {
            Message::Watch(index, ..)
            | Message::WriteAnswer(index, ..)
            | Message::WriteTimeout(index, ..)
            | Message::Answer(index, ..)
            | Message::Accepted(index, ..)
            | Message::BadMojo(index, ..)
            | Message::Deaf(index, ..)
            | Message::TryAgain(index, ..) => Some(*index),
            _ => None,
        };
        let message = match to {
            Some(index) => match self.paused(index, message) {
                Some(message) => message,
                None => return,
            },
            None => message,
        };
        let now = self.instant();
        match message {
            Message::Watch(index, watch, key) => {
                let process = &mut self.processes[index];
                if process.alive && process.watch == Some(watch) && !process.bus_cut {
                    process.lock.seen(now, key);
                }
            }
            Message::WriteArrives(index, id, write) => self.store(index, id, write),
            Message::WriteAnswer(index, id, outcome) => {
                let process = &mut self.processes[index];
                if process.alive && process.write == Some(id) && !process.bus_cut {
                    process.write = None;
                    process.lock.wrote(now, outcome);
                }
            }
            Message::WriteTimeout(index, id) => {
                let process = &mut self.processes[index];
                if process.alive && process.write == Some(id) {
                    process.write = None;
                    process.lock.wrote(now, Err(WriteError::Unknown));
                }
            }
            Message::Answer(index, watch, answers) => {
                let process = &mut self.processes[index];
                if !answers && process.watch == Some(watch) {
                    process.watch = None;
                    process.lock.bus(now, false);
                    self.send(250, Message::Rewatch(index));
                }
            }
            Message::Rewatch(index) if self.no_leader_until > self.now => {
                self.send(250, Message::Rewatch(index));
            }
            Message::Rewatch(index) => {
                let process = &self.processes[index];
                if process.alive && !process.bus_cut && process.watch.is_none() {
                    self.watch(index);
                }
            }
            Message::Registration(index, link) => self.register(index, link),
            Message::Accepted(index, link) => {
                if let Some((open, accepted)) = &mut self.processes[index].link
                    && *open == link
                {
                    *accepted = true;
                }
            }
            Message::BadMojo(index, link) => {
                if self.processes[index].link == Some((link, true))
                    && self.processes[index].lock.duty(now) == Duty::Holdover
                {
                    self.close(index);
                }
            }
            Message::Deaf(index, link) => {
                let is_deaf = self.processes[index].link.is_some_and(|(open, _)| open == link)
                    && self.registered.is_none_or(|(registered, _)| registered != link);
                if is_deaf {
                    self.close(index);
                }
            }
            Message::TryAgain(index, link) => {
                if self.processes[index].link == Some((link, false)) {
                    self.close(index);
                }
            }
            Message::LinkClosed(link) => self.closed(link),
            Message::Fault(fault) => self.fault(fault),
            Message::Wake => {}
        }
    }

    /// The bus takes a write, or does not.
    fn store(&mut self, index: usize, id: u64, write: Write) {
        if self.processes[index].bus_cut || self.no_leader_until > self.now {
            return;
        }
        let outcome = if write.expected == self.key.as_ref().map(|key| key.revision) {
            self.revision += 1;
            let by = self.processes[index].lock.me.clone();
            self.key = Some(Entry { revision: self.revision, by, held: write.held });
            self.key_changed();
            Ok(self.revision)
        } else {
            Err(WriteError::Conflict)
        };
        let latency = self.latency();
        self.send(latency, Message::WriteAnswer(index, id, outcome));
    }

    /// The router takes a login.
    fn register(&mut self, index: usize, link: u64) {
        let process = &self.processes[index];
        if process.router_cut || process.link.is_none_or(|(open, _)| open != link) {
            return;
        }
        match self.registered {
            Some((old, owner)) if !self.same_address && owner != index => {
                self.waiting.push((link, index));
                let latency = self.latency();
                self.send(latency, Message::BadMojo(owner, old));
            }
            Some((old, owner)) => {
                self.send(DEAF, Message::Deaf(owner, old));
                self.accept(index, link);
            }
            None => self.accept(index, link),
        }
    }

    fn accept(&mut self, index: usize, link: u64) {
        self.registered = Some((link, index));
        self.logins += 1;
        if let Some(since) = self.gap_since.take() {
            self.gaps.push(self.now - since);
        }
        let latency = self.latency();
        self.send(latency, Message::Accepted(index, link));
    }

    /// The router sees that a connection has closed.
    fn closed(&mut self, link: u64) {
        self.waiting.retain(|(waiting, _)| *waiting != link);
        if self.registered.is_some_and(|(registered, _)| registered == link) {
            self.registered = None;
            self.gap_since = Some(self.now);
        }
    }

    fn close(&mut self, index: usize) {
        if let Some((link, _)) = self.processes[index].link.take() {
            let latency = self.latency();
            self.send(latency, Message::LinkClosed(link));
        }
    }

    /// Lets every process that can do what it wants to do now.
    fn drive(&mut self) {
        for index in 0..self.processes.len() {
            let process = &self.processes[index];
            if !process.alive || process.paused_until > self.now {
                continue;
            }
            self.drive_lock(index);
            self.drive_link(index);
            let now = self.instant();
            let wake = self.processes[index].lock.wake_at(now).duration_since(self.epoch).as_millis();
            let wake = u64::try_from(wake).unwrap();
            self.send(wake.saturating_sub(self.now).max(1), Message::Wake);
        }
        self.queue_is_bounded();
    }

    fn drive_lock(&mut self, index: usize) {
        let now = self.instant();
        let process = &mut self.processes[index];
        if process.lock.should_look()
            && process.write.is_none()
            && let Some(watch) = process.watch
        {
            let key = self.key.clone();
            let latency = self.latency();
            self.send(latency, Message::Watch(index, watch, key));
        }
        if self.processes[index].lock.ask(now)
            && let Some(watch) = self.processes[index].watch
        {
            let answers = self.no_leader_until <= self.now && !self.processes[index].bus_cut;
            let timeout = u64::try_from(ASK_TIMEOUT.as_millis()).unwrap();
            let after = if answers { self.latency() } else { timeout };
            self.send(after, Message::Answer(index, watch, answers));
        }
        let Some(write) = self.processes[index].lock.write(now) else { return };
        let id = self.unique();
        self.processes[index].write = Some(id);
        let latency = self.latency();
        self.send(latency, Message::WriteArrives(index, id, write));
        let timeout = u64::try_from(WRITE_TIMEOUT.as_millis()).unwrap();
        self.send(timeout, Message::WriteTimeout(index, id));
    }

    fn drive_link(&mut self, index: usize) {
        let duty = self.processes[index].lock.duty(self.instant());
        match (duty, self.processes[index].link) {
            (Duty::Standby | Duty::Unknown, Some(_)) => self.close(index),
            (Duty::Holder, None) => {
                let link = self.unique();
                self.processes[index].link = Some((link, false));
                let latency = self.latency();
                self.send(latency, Message::Registration(index, link));
                self.send(REGISTRATION, Message::TryAgain(index, link));
            }
            _ => {}
        }
        // Logins that waited are heard once the old one has closed: the same socket asks again.
        if self.registered.is_none()
            && let Some(position) = self.waiting.iter().position(|(_, waiting)| *waiting == index)
        {
            let (link, _) = self.waiting.remove(position);
            let latency = self.latency();
            self.send(latency, Message::Registration(index, link));
        }
    }

    /// Wakes pile up otherwise: of those in the future only one each is needed.
    fn queue_is_bounded(&mut self) {
        let mut kept = 0;
        self.queue.retain(|_, message| {
            kept += usize::from(matches!(message, Message::Wake));
            !matches!(message, Message::Wake) || kept <= 64
        });
    }

    /// What must hold at every moment.
    fn check(&self) {
        let now = self.instant();
        let holders = self.processes.iter().filter(|one| one.alive && one.lock.duty(now) == Duty::Holder);
        assert!(holders.count() <= 1, "two processes may log in at {} ms of seed {}", self.now, self.seed);
    }

    /// What must hold when all is well again.
    fn check_settled(&self) {
        let now = self.instant();
        let holder = self.processes.iter().position(|one| one.alive && one.lock.duty(now) == Duty::Holder);
        let holder = holder.unwrap_or_else(|| panic!("nobody holds the lock at {} ms", self.now));
        assert_eq!(self.registered.map(|(_, owner)| owner), Some(holder), "the holder is not logged in");
        let open: Vec<_> = self.processes.iter().filter(|one| one.alive && one.link.is_some()).collect();
        assert_eq!(open.len(), 1, "a second connection is open");
    }
}
