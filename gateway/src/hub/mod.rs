//! The clients' sessions, and how events reach them: those of this process at once, those of the other processes of the
//! mud by the log that they all have.

mod event;
mod filter;
mod inner;
mod kept;
mod log;
mod others;
mod queue;
mod record;
mod replicated;
mod session;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

pub use event::{
    Addressed, Beeped, ChannelAdmins, ChannelWho, EVENTS, Event, EventKind, FileGetRequested,
    FileListRequested, FileOutcome, FilePutRequested, FileResult, FilterRequested, Finger, Identity,
    ListedFile, Located, MailReceived, MailResult, Maintenance, NewsGroupsRequested, NewsPostRequested,
    NewsReadRequested, NewsResult, Reply, Told, Trouble, UserInfo, Who, WhoUser, timestamp,
};
pub use filter::{Colour, Options, Selection};
pub use log::{EventLog, Logged};
pub use others::{Changed, News, Remote, TOLD_EVERY};
pub use queue::{CloseReason, Line, Queue};
pub use record::{Change, Epoch, Fate, KeptTell, Record, SaidCopy};
pub use replicated::HubState;
pub use session::{SESSION_CHANNELS, Session, Subscription, Transport, Wishes};

use inner::Inner;

use crate::bus::Path;
use crate::keys::{Key, Permission};
use crate::metrics::Metrics;
use crate::mud::Position;
use crate::sync::lock;

/// All authenticated sessions.
#[derive(Debug)]
pub struct Hub {
    mud: String,
    metrics: Arc<Metrics>,
    inner: Mutex<Inner>,
    /// What the other processes of the mud are to be told; none: there are no others.
    outgoing: Option<mpsc::Sender<Outgoing>>,
    /// Counts what is told to them.
    told: AtomicU64,
    /// Counts the changes of the tells that wait.
    kept: watch::Sender<u64>,
    /// The channels that clients are on without having joined them.
    subscribed: HashSet<String>,
}

/// What the other processes of the mud are told.
#[derive(Debug)]
pub enum Outgoing {
    /// An entry of the log.
    Record(Box<Record>),
    /// An epoch of the log begins where another ended, or goes on after a leap.
    Epoch(Epoch),
    /// What became of a session.
    News(News),
}

#[derive(Debug)]
struct Client {
    session: Arc<Session>,
    /// It has all up to this place, which another process may have given it.
    after: Position,
}

/// A client's wish to go on where another connection ended.
#[derive(Clone, Copy, Debug)]
pub struct Resume {
    /// The session it had.
    pub session: Uuid,
    /// The last event it got.
    pub position: Position,
}

/// A session that has shown its key, before it gets events: the answer to that goes out first.
#[derive(Debug)]
#[must_use = "without Hub::admit the session gets no events"]
pub struct Admission {
    /// From where it gets events.
    pub position: Position,
    /// Whether everything since the position asked for will come; none when nothing was asked for.
    pub recovered: Option<bool>,
    /// The session it takes the place of, which counts as one until this one does.
    resumed: Option<Uuid>,
}

impl Hub {
    /// No sessions yet, and no other processes. The epoch must be greater than that of any hub this mud had before.
    pub fn new(mud: &str, epoch: u64) -> Self {
        Self::with(mud, EventLog::new(epoch), true, None)
    }

    /// No sessions yet. Other processes are told by `outgoing`, and one of them may write the log.
    pub fn shared(mud: &str, outgoing: mpsc::Sender<Outgoing>) -> Self {
        Self::with(mud, EventLog::new(0), false, Some(outgoing))
    }

    /// Counts what it delivers there.
    pub fn counting(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..self }
    }

    /// Has clients on these channels from when they authenticate.
    pub fn subscribing(self, subscribed: HashSet<String>) -> Self {
        Self { subscribed, ..self }
    }

    fn with(mud: &str, log: EventLog, leading: bool, outgoing: Option<mpsc::Sender<Outgoing>>) -> Self {
        Self {
            mud: mud.to_owned(),
            metrics: Arc::default(),
            inner: Mutex::new(Inner::new(log, leading)),
            outgoing,
            told: AtomicU64::new(0),
            kept: watch::Sender::new(0),
            subscribed: HashSet::new(),
        }
    }

    /// Authenticates a session and, if it wants to go on where another ended, gives it what that one wanted; else what
    /// all are given.
    pub fn authenticate(&self, session: &Session, key: Arc<Key>, resume: Option<Resume>) -> Admission {
        let new = self.subscription_of_new(&key);
        session.authenticate(key);
        let mut inner = lock(&self.inner);
        let current = inner.log.position();
        let Some(resume) = resume else {
            session.subscribe(new);
            return Admission { position: current, recovered: None, resumed: None };
        };
        let subscription = inner.take_over(resume.session);
        let recovered = subscription.is_some() && inner.reaches(Timestamp::now(), resume.position);
        session.subscribe(subscription.clone().unwrap_or(new));
        if let Some(subscription) = subscription {
            inner.keep(resume.session, subscription);
        }
        self.metrics.clients.resumed(recovered);
        let position = if recovered { resume.position } else { current };
        Admission { position, recovered: Some(recovered), resumed: Some(resume.session) }
    }

    /// What a session wants that has said nothing yet.
    fn subscription_of_new(&self, key: &Key) -> Subscription {
        let may = key.permissions().grant(Some(Permission::Channel));
        let channels = if may { self.subscribed.clone() } else { HashSet::new() };
        Subscription { channels, ..Subscription::default() }
    }

    /// From now on the session gets events: first what came since its position, then the tells that waited.
    pub fn admit(&self, session: &Arc<Session>, admission: &Admission) {
        let mut inner = lock(&self.inner);
        let after = admission.position;
        let missed: Vec<Logged> = match inner.log.since(Timestamp::now(), after) {
            Some(events) => events.cloned().collect(),
            None => Vec::new(),
        };
        for logged in missed {
            self.send(session, &logged, &mut Encoded::default());
        }
        inner.sessions.insert(session.id, Client { session: Arc::clone(session), after });
        self.offer_kept(&mut inner, after, |event| session.wants(event, &self.mud));
        self.out(|| Outgoing::News(news_of(session, after, None)));
        if let Some(resumed) = admission.resumed {
            inner.forget(resumed);
            self.out(|| Outgoing::News(News::Moved(resumed)));
        }
    }

    /// Forgets a session that has ended, but not at once what it wanted.
    pub fn remove(&self, session: &Session) {
        let mut inner = lock(&self.inner);
        if inner.sessions.remove(&session.id).is_some() {
            inner.keep(session.id, session.subscription());
            self.out(|| Outgoing::News(News::Ended(session.id)));
        }
    }

    /// A session wants something else now; a channel may have to be switched on for it.
    pub fn changed(&self, session: &Session, listen: Option<&str>) {
        let inner = lock(&self.inner);
        if let Some(client) = inner.sessions.get(&session.id) {
            self.out(|| Outgoing::News(news_of(session, client.after, listen.map(str::to_owned))));
        }
    }

    /// The place of the last event.
    pub fn position(&self) -> Position {
        lock(&self.inner).log.position()
    }

    /// Whether this process writes the log.
    pub fn leads(&self) -> bool {
        lock(&self.inner).leading
    }

    /// How many sessions this process has, by transport.
    pub fn count(&self, transport: Transport) -> usize {
        let inner = lock(&self.inner);
        inner.sessions.values().filter(|client| client.session.transport == transport).count()
    }

    /// How many sessions all processes of the mud have.
    pub fn count_all(&self) -> usize {
        let inner = lock(&self.inner);
        inner.sessions.len() + inner.others.all().count()
    }

    /// Whether any session, of whatever process, is on a channel, or was and may come back.
    pub fn anyone_on(&self, channel: &str) -> bool {
        let inner = lock(&self.inner);
        inner.sessions.values().any(|client| client.session.is_on(channel))
            || inner.others.are_on(channel)
            || inner.may_come_back().any(|subscription| subscription.channels.contains(channel))
    }

    /// All channels any session, of whatever process, is on, or was and may come back.
    pub fn channels(&self) -> HashSet<String> {
        let inner = lock(&self.inner);
        let ours = inner.sessions.values().flat_map(|client| client.session.subscription().channels);
        let others =
            inner.others.all().flat_map(|remote| remote.wishes.subscription.channels.iter().cloned());
        let ended = inner.may_come_back().flat_map(|subscription| subscription.channels.iter().cloned());
        ours.chain(others).chain(ended).collect()
    }

    /// Tells an event to every session that wants it; it is encoded once for each way of showing colours. False:
    /// none wants it.
    pub fn publish(&self, event: Event) -> bool {
        let mut inner = lock(&self.inner);
        self.tell(&mut inner, Timestamp::now(), Arc::new(event), None)
    }

    /// The same for a copy of a channel message, which is told unless its twin was.
    pub fn publish_copy(&self, at: Timestamp, copy: SaidCopy) {
        let mut inner = lock(&self.inner);
        if !inner.leading {
            return;
        }
        let change = self.outgoing.as_ref().map(|_| Change::Copy(Box::new(copy.clone())));
        if copy.delivered || change.is_some() {
            self.leap_if_uncertain(&mut inner);
            let position = inner.log.position().next();
            self.take_copy(&mut inner, position, at, copy);
        }
        self.out_change(&inner, at, change);
    }

    /// Takes note of what is no event, but of which other processes must know.
    pub fn note(&self, change: Change) {
        self.write_note(&mut lock(&self.inner), change);
    }

    /// All authenticated sessions of this process.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        lock(&self.inner).sessions.values().map(|client| Arc::clone(&client.session)).collect()
    }

    /// Sends an event to one session, if it wants it. Who resumes does not get it again.
    pub fn publish_to(&self, session: &Session, event: &Event) {
        if session.wants(event, &self.mud) {
            session.queue.push(event.encode(self.position(), &timestamp(), session.colour()));
        }
    }

    /// Closes the sessions whose key is no longer valid.
    pub fn close_revoked(&self, is_valid: impl Fn(&Key) -> bool) {
        for client in lock(&self.inner).sessions.values() {
            if client.session.key().is_some_and(|key| !is_valid(&key)) {
                client.session.queue.close(CloseReason::KeyRevoked);
            }
        }
    }

    /// Closes all sessions of this process.
    pub fn close_all(&self, reason: CloseReason) {
        for client in lock(&self.inner).sessions.values() {
            client.session.queue.close(reason);
        }
    }

    /// Gives an event its place and tells it; true: somebody hears it.
    fn tell(&self, inner: &mut Inner, at: Timestamp, event: Arc<Event>, waited: Option<Position>) -> bool {
        if !inner.leading {
            return self.tell_here(inner, &Logged::new(inner.log.position(), event, at));
        }
        self.leap_if_uncertain(inner);
        let logged = inner.log.append(at, event);
        let heard = self.deliver(inner, &logged) || inner.others.want(&logged.event, &self.mud);
        let fate = match waited {
            Some(since) => Fate::Waited(since),
            None if !heard && logged.event.is_kept() => Fate::Kept,
            None => Fate::Told,
        };
        if fate == Fate::Kept {
            let event = Arc::clone(&logged.event);
            inner.wait(KeptTell::new(logged.position, at, event));
            self.kept.send_modify(|count| *count += 1);
        }
        let change = self.outgoing.as_ref().map(|_| Change::Event { event: logged.event, fate });
        self.out_change(inner, at, change);
        heard
    }

    /// Gives a copy of a channel message its place.
    fn take_copy(&self, inner: &mut Inner, position: Position, at: Timestamp, copy: SaidCopy) {
        let by_router = copy.path == Path::Router;
        let event = Arc::new(Event::said(copy.message));
        if copy.delivered {
            let logged = Logged { position, event, at, here_alone: by_router || copy.only };
            inner.log.take(at, logged.clone());
            self.deliver(inner, &logged);
        } else {
            inner.log.advance(position);
            if by_router {
                inner.log.brought(at, &event);
            }
        }
    }

    /// Tells what concerns this process alone, and has no place of its own.
    fn tell_here(&self, inner: &Inner, logged: &Logged) -> bool {
        self.send_to(inner.sessions.values(), logged)
    }

    fn deliver(&self, inner: &Inner, logged: &Logged) -> bool {
        self.send_to(inner.sessions.values().filter(|client| client.after < logged.position), logged)
    }

    /// Sends an event to those who want it; true: somebody does.
    fn send_to<'a>(&self, clients: impl Iterator<Item = &'a Client>, logged: &Logged) -> bool {
        let mut encoded = Encoded::default();
        let mut deliveries = 0;
        for client in clients {
            deliveries += u64::from(self.send(&client.session, logged, &mut encoded));
        }
        self.metrics.clients.event(deliveries);
        deliveries > 0
    }

    fn send(&self, session: &Session, logged: &Logged, encoded: &mut Encoded) -> bool {
        let wanted = session.wants(&logged.event, &self.mud);
        if wanted {
            session.queue.push(encoded.line(logged, session.colour()));
        }
        wanted
    }

    /// Tells the tells that waited, to who has come with all up to a place.
    fn offer_kept(&self, inner: &mut Inner, after: Position, wants: impl Fn(&Event) -> bool) {
        if !inner.leading {
            return;
        }
        let taken = inner.kept.take(Timestamp::now(), |tell| wants(&tell.event));
        for tell in &taken {
            if tell.position <= after {
                // Who comes back later must not get it at both places.
                inner.log.withdraw(tell.position);
                self.tell(inner, tell.at, Arc::clone(&tell.event), Some(tell.position));
            } else {
                // Who goes on from a place before it has just got it. Another process would tell it when it comes to write.
                self.write_note(inner, Change::Heard(tell.position));
            }
        }
        if !taken.is_empty() {
            self.kept.send_modify(|count| *count += 1);
        }
    }

    fn write_note(&self, inner: &mut Inner, change: Change) {
        if inner.leading && self.outgoing.is_some() {
            self.leap_if_uncertain(inner);
            inner.log.skip();
            self.out_change(inner, Timestamp::now(), Some(change));
        }
    }

    fn out_change(&self, inner: &Inner, at: Timestamp, change: Option<Change>) {
        if let Some(change) = change {
            let position = inner.log.position();
            self.out(|| Outgoing::Record(Box::new(Record { position, at, change })));
        }
    }

    /// Others notice when something is missing.
    fn out(&self, outgoing: impl FnOnce() -> Outgoing) {
        let Some(sender) = &self.outgoing else { return };
        match sender.try_send(outgoing()) {
            Ok(()) => drop(self.told.fetch_add(1, Ordering::Relaxed)),
            Err(_) => tracing::debug!("too much waits to be told to the other processes"),
        }
    }
}

fn remote(session: &Session, after: Position) -> Remote {
    Remote { id: session.id, after, wishes: session.wishes() }
}

fn news_of(session: &Session, after: Position, listen: Option<String>) -> News {
    News::Session { session: Box::new(remote(session, after)), listen }
}

/// An event's encodings, each made when the first session needs it.
#[derive(Default)]
struct Encoded {
    lines: [Option<Line>; 3],
}

impl Encoded {
    fn line(&mut self, logged: &Logged, colour: Colour) -> Line {
        let encode = || logged.event.encode(logged.position, &event::written(logged.at), colour);
        self.lines[colour as usize].get_or_insert_with(encode).clone()
    }
}

#[cfg(test)]
mod tests;
