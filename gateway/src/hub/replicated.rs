//! The log and the sessions of the mud's other processes, as this one writes and follows them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::watch;

use super::kept::Kept;
use super::log::Missing;
use super::{
    Changed, CloseReason, Epoch, Event, EventLog, Fate, Hub, Inner, KeptTell, Logged, News, Outgoing, Remote,
    SaidCopy, remote,
};
use crate::mud::Position;
use crate::sync::lock;

/// What a process that comes later needs to go on: the log, and the tells that wait.
#[derive(Clone, Debug)]
pub struct HubState {
    /// The log.
    pub log: EventLog,
    /// The tells.
    pub kept: Vec<KeptTell>,
}

impl Hub {
    /// From now on this process writes the log, in an epoch that no other has written in; returns which, and whether
    /// nothing is missing of what others wrote.
    pub fn lead(&self, epoch: u64) -> (u64, bool) {
        let mut inner = lock(&self.inner);
        let missing = std::mem::replace(&mut inner.missing, Missing::Nothing);
        let complete = missing == Missing::Nothing;
        let after = inner.log.position();
        inner.unread = (!complete).then_some(after);
        inner.log.begin(epoch, missing);
        inner.leading = true;
        if complete {
            self.out(|| Outgoing::Epoch(Epoch { begin: inner.log.position(), after }));
        }
        self.offer_all_kept(&mut inner, |after| after);
        // What is stored is read only now.
        self.kept.send_modify(|count| *count += u64::from(!complete));
        (inner.log.position().epoch, complete)
    }

    /// Until when no other process can begin to write the log; none: this one does not.
    pub fn certain_until(&self, until: Option<Instant>) {
        lock(&self.inner).certain_until = until;
    }

    /// Before anything is written: a process that was paused or cut off may have a successor by now. Who goes on from here
    /// must be known there.
    pub(super) fn leap_if_uncertain(&self, inner: &mut Inner) {
        if inner.is_to_leap(Instant::now()) {
            let after = inner.log.position();
            let begin = inner.log.leap();
            self.out(|| Outgoing::Epoch(Epoch { begin, after }));
        }
    }

    /// Something of what another process has written is missing, up to a place; none: nobody can say what.
    pub fn miss(&self, up_to: Option<Position>) {
        let mut inner = lock(&self.inner);
        inner.missing = inner.missing.and(up_to);
    }

    /// Whether nothing is missing of what the others have written up to a place.
    pub fn follows(&self) -> bool {
        lock(&self.inner).missing == Missing::Nothing
    }

    /// Goes on in an epoch that another process has begun, or after its leap. False: something may be missing before it.
    pub fn go_on(&self, Epoch { begin, after }: Epoch) -> bool {
        let mut inner = lock(&self.inner);
        let is_next = inner.missing == Missing::Nothing && inner.log.position() == after;
        if is_next && !inner.leading {
            inner.log.end(begin);
        }
        is_next || inner.leading || begin <= inner.log.position()
    }

    /// From now on another process writes it.
    pub fn follow(&self) {
        let mut inner = lock(&self.inner);
        inner.leading = false;
    }

    /// Takes a place of the log that another process has written, with its event, if it is one.
    pub fn take(&self, position: Position, at: Timestamp, event: Option<Arc<Event>>, fate: Fate) {
        let mut inner = lock(&self.inner);
        if inner.leading || position <= inner.log.position() {
            return;
        }
        let Some(event) = event else { return inner.log.advance(position) };
        let logged = Logged::new(position, event, at);
        inner.log.take(Timestamp::now(), logged.clone());
        let heard = self.deliver(&inner, &logged);
        match fate {
            Fate::Kept if !heard => inner.wait(KeptTell::new(position, at, logged.event)),
            // Its writer does not know yet of who has come here.
            Fate::Told | Fate::Kept => {}
            Fate::Waited(since) => {
                inner.kept.forget(since);
                inner.log.withdraw(since);
            }
        }
    }

    /// The same for a place at which the tell that came at another one was heard.
    pub fn take_heard(&self, position: Position, tell: Position) {
        let mut inner = lock(&self.inner);
        if !inner.leading && position > inner.log.position() {
            inner.log.advance(position);
            inner.kept.forget(tell);
        }
    }

    /// The same for a copy of a channel message.
    pub fn take_said(&self, position: Position, at: Timestamp, copy: SaidCopy) {
        let mut inner = lock(&self.inner);
        if !inner.leading && position > inner.log.position() {
            self.take_copy(&mut inner, position, at, copy);
        }
    }

    /// What another process needs to go on.
    pub fn state(&self) -> HubState {
        let inner = lock(&self.inner);
        HubState { log: inner.log.clone(), kept: inner.kept.all() }
    }

    /// Takes the state of the process that writes the log, and tells the sessions what they do not have of it.
    pub fn restore(&self, state: HubState) {
        let mut inner = lock(&self.inner);
        let before = inner.log.position();
        if inner.leading || state.log.position().epoch < before.epoch {
            return;
        }
        let mut heard_here = heard_here(&inner.log, &state.log);
        inner.log = state.log;
        inner.kept = Kept::default();
        inner.kept.restore(state.kept);
        inner.missing = Missing::Nothing;
        let unheard: Vec<_> = inner.log.recent().filter(|logged| logged.position > before).cloned().collect();
        // Who has just started has no sessions that waited for what was long ago.
        if before != Position::default() {
            for logged in &unheard {
                match heard_here.iter().position(|event| *event == logged.event) {
                    Some(index) => drop(heard_here.swap_remove(index)),
                    None => drop(self.deliver(&inner, logged)),
                }
            }
        }
    }

    /// Takes what another process tells of its sessions; returns which channels may have to be switched on or off.
    pub fn hear(&self, from: &str, news: News) -> Changed {
        let mut inner = lock(&self.inner);
        if let News::Moved(id) = &news
            && let Some(client) = inner.sessions.remove(id)
        {
            client.session.queue.close(CloseReason::Resumed);
        }
        if let News::Moved(id) = &news {
            inner.forget(*id);
        }
        let changed = inner.others.hear(Instant::now(), from, news);
        self.settle(&mut inner, changed)
    }

    /// Forgets the sessions of processes that tell nothing any more.
    pub fn forget_silent(&self) -> Changed {
        let mut inner = lock(&self.inner);
        let changed = inner.others.forget_silent(Instant::now());
        self.settle(&mut inner, changed)
    }

    /// How much the other processes have been told, or soon will be.
    pub fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// All sessions of this process, as the others are told of them.
    pub fn remotes(&self) -> Vec<Remote> {
        let inner = lock(&self.inner);
        inner.sessions.values().map(|client| remote(&client.session, client.after)).collect()
    }

    /// How many tells were dropped that waited.
    pub fn tells_dropped(&self) -> u64 {
        lock(&self.inner).kept.dropped()
    }

    /// The tells that wait.
    pub fn kept(&self) -> Vec<KeptTell> {
        lock(&self.inner).kept.all()
    }

    /// Changes whenever they do, by what this process does, and when those that are stored are to be read.
    pub fn kept_changes(&self) -> watch::Receiver<u64> {
        self.kept.subscribe()
    }

    /// Whether this process writes the log without knowing the tells that are stored.
    pub fn lacks_kept(&self) -> bool {
        lock(&self.inner).unread.is_some()
    }

    /// Takes the tells that were stored by a process that is gone. What became of those that this process had from the log it
    /// knows better than the store, which is behind.
    pub fn restore_kept(&self, mut stored: Vec<KeptTell>) {
        let mut inner = lock(&self.inner);
        let Some(known) = inner.unread.take().filter(|_| inner.leading) else { return };
        stored.retain(|tell| tell.position > known);
        inner.kept.restore(stored);
        // Nobody here had them from the log.
        let now = inner.log.position();
        self.offer_all_kept(&mut inner, |_| now);
    }

    /// What the change of sessions elsewhere means here.
    fn settle(&self, inner: &mut Inner, mut changed: Changed) -> Changed {
        for (id, subscription) in changed.ended.drain(..) {
            inner.keep(id, subscription);
        }
        for id in &changed.came {
            let came = inner.others.all().find(|remote| remote.id == *id).cloned();
            if let Some(remote) = came {
                self.offer_kept(inner, remote.after, |event| remote.wishes.want(event, &self.mud));
            }
        }
        changed
    }

    /// Offers the tells that wait to all sessions; `has` says up to which place one has all, that came with all up to another.
    fn offer_all_kept(&self, inner: &mut Inner, has: impl Fn(Position) -> Position) {
        let ours = inner.sessions.values().map(|client| (client.after, client.session.wishes()));
        let others = inner.others.all().map(|remote| (remote.after, remote.wishes.clone()));
        let mut sessions: Vec<_> = ours.chain(others).collect();
        // First those who came before a tell and have it by the log, though its writer did not know: it waits for nobody else.
        sessions.sort_by_key(|(after, _)| *after);
        for (after, wishes) in sessions {
            self.offer_kept(inner, has(after), |event| wishes.want(event, &self.mud));
        }
    }
}

/// What was said on channels that our sessions heard when another process wrote the log already: one that was paused
/// hands on what it had before it learns that it was replaced.
fn heard_here(ours: &EventLog, theirs: &EventLog) -> Vec<Arc<Event>> {
    let known: HashSet<_> = theirs.recent().map(|logged| logged.position).collect();
    let after = theirs.complete_after();
    let here = |logged: &&Logged| logged.position > after && !known.contains(&logged.position);
    let said = ours.recent().filter(here).filter(|logged| logged.event.channel().is_some());
    said.map(|logged| Arc::clone(&logged.event)).collect()
}
