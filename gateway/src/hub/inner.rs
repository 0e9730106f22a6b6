//! What a hub holds.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use uuid::Uuid;

use super::kept::Kept;
use super::log::Missing;
use super::others::Others;
use super::{Client, CloseReason, EventLog, KeptTell, Subscription};
use crate::mud::Position;

/// How long what a session wanted is kept after its connection ended.
const KEEP_SESSIONS: Duration = Duration::from_secs(600);

/// The most sessions kept; past it the oldest are forgotten.
pub(super) const KEPT_SESSIONS: usize = 1000;

#[derive(Debug)]
pub(super) struct Inner {
    pub sessions: HashMap<Uuid, Client>,
    pub others: Others,
    pub log: EventLog,
    /// Whether this process writes the log.
    pub leading: bool,
    /// Until when no other process can write it; none: for ever, or this one does not.
    pub certain_until: Option<Instant>,
    /// Whether the places have leapt since that was so.
    leapt: bool,
    /// What is missing of what another process has written.
    pub missing: Missing,
    /// Tells that nobody was there to hear.
    pub kept: Kept,
    /// Up to where the log was known to this process when it began to write it without knowing all: tells that came after may be
    /// stored. None once they have been read, and when all was known.
    pub unread: Option<Position>,
    /// What sessions wanted whose connections ended, oldest first.
    pub ended: VecDeque<(Instant, Uuid, Subscription)>,
}

impl Inner {
    /// Nothing yet.
    pub fn new(log: EventLog, leading: bool) -> Self {
        Self {
            sessions: HashMap::new(),
            others: Others::default(),
            log,
            leading,
            certain_until: None,
            leapt: false,
            missing: Missing::Anything,
            kept: Kept::default(),
            unread: None,
            ended: VecDeque::new(),
        }
    }

    /// Whether the places are to leap now: another process may have begun to write, and this one has not written since.
    pub fn is_to_leap(&mut self, now: Instant) -> bool {
        let uncertain = self.certain_until.is_some_and(|until| until <= now);
        !std::mem::replace(&mut self.leapt, uncertain) && uncertain
    }

    /// Has a tell wait for a client.
    pub fn wait(&mut self, tell: KeptTell) {
        tracing::debug!(position = ?tell.position, "a tell waits for a client");
        self.kept.keep(tell);
    }

    /// What another connection of the same client wanted. If that one still seems to live, it is at its end.
    pub fn take_over(&mut self, id: Uuid) -> Option<Subscription> {
        if let Some(client) = self.sessions.remove(&id) {
            client.session.queue.close(CloseReason::Resumed);
            return Some(client.session.subscription());
        }
        if let Some(subscription) = self.others.take_over(id) {
            return Some(subscription);
        }
        let index = self.ended.iter().position(|(_, ended, _)| *ended == id)?;
        let (since, _, subscription) = self.ended.remove(index)?;
        (since.elapsed() < KEEP_SESSIONS).then_some(subscription)
    }

    /// Whether all that came after a position is here, or is on its way from the process that has given it.
    pub fn reaches(&mut self, now: Timestamp, position: Position) -> bool {
        let ahead = !self.leading && self.missing.is_known_at(position) && position > self.log.position();
        ahead || self.log.since(now, position).is_some()
    }

    /// What sessions want that may still come back: what is said meanwhile must be there for them.
    pub fn may_come_back(&self) -> impl Iterator<Item = &Subscription> {
        let there = self.ended.iter().filter(|(since, ..)| since.elapsed() < KEEP_SESSIONS);
        there.map(|(_, _, subscription)| subscription)
    }

    /// Remembers what a session wanted that has ended, for a while.
    pub fn keep(&mut self, id: Uuid, subscription: Subscription) {
        while self.ended.len() >= KEPT_SESSIONS
            || self.ended.front().is_some_and(|(since, ..)| since.elapsed() >= KEEP_SESSIONS)
        {
            self.ended.pop_front();
        }
        self.forget(id);
        self.ended.push_back((Instant::now(), id, subscription));
    }

    /// Forgets what a session wanted: another one has taken its place.
    pub fn forget(&mut self, id: Uuid) {
        self.ended.retain(|(_, ended, _)| *ended != id);
    }
}
