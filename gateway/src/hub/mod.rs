//! The clients' sessions, and how events reach them.

mod event;
mod filter;
mod log;
mod queue;
mod session;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use uuid::Uuid;

pub use event::{
    Addressed, Beeped, ChannelAdmins, ChannelWho, EVENTS, Event, EventKind, FileGetRequested,
    FileListRequested, FileOutcome, FilePutRequested, FileResult, FilterRequested, Finger, Identity,
    ListedFile, Located, MailReceived, MailResult, Maintenance, NewsGroupsRequested, NewsPostRequested,
    NewsReadRequested, NewsResult, Reply, Told, Trouble, UserInfo, Who, WhoUser, timestamp,
};
pub use filter::{Colour, Options, Selection};
pub use log::{EventLog, Logged, Position};
pub use queue::{CloseReason, Line, Queue};
pub use session::{SESSION_CHANNELS, Session, Subscription, Transport};

use crate::keys::Key;
use crate::sync::lock;

/// How long a tell waits for a client when none is there.
const KEEP_TELLS: Duration = Duration::from_secs(300);

/// The most tells that wait; past it the oldest are dropped.
const KEPT_TELLS: usize = 200;

/// How long what a session wanted is kept after its connection ended.
const KEEP_SESSIONS: Duration = Duration::from_secs(600);

/// The most sessions kept; past it the oldest are forgotten.
const KEPT_SESSIONS: usize = 1000;

/// All authenticated sessions.
#[derive(Debug)]
pub struct Hub {
    mud: String,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    sessions: HashMap<Uuid, Arc<Session>>,
    log: EventLog,
    /// Tells that nobody was there to hear.
    kept: VecDeque<(Instant, Logged)>,
    /// What sessions wanted whose connections ended, oldest first.
    ended: VecDeque<(Instant, Uuid, Subscription)>,
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
}

impl Hub {
    /// No sessions yet. The epoch must be greater than that of any hub this mud had before.
    pub fn new(mud: &str, epoch: u64) -> Self {
        let inner = Inner {
            sessions: HashMap::new(),
            log: EventLog::new(epoch),
            kept: VecDeque::new(),
            ended: VecDeque::new(),
        };
        Self { mud: mud.to_owned(), inner: Mutex::new(inner) }
    }

    /// Authenticates a session and, if it wants to go on where another ended, gives it what that one wanted.
    pub fn authenticate(&self, session: &Session, key: Arc<Key>, resume: Option<Resume>) -> Admission {
        session.authenticate(key);
        let mut inner = lock(&self.inner);
        let now = Instant::now();
        let current = inner.log.position();
        let Some(resume) = resume else { return Admission { position: current, recovered: None } };
        let subscription = inner.take_over(resume.session);
        let reaches = inner.log.since(now, resume.position).is_some();
        let recovered = subscription.is_some() && reaches;
        if let Some(subscription) = subscription {
            session.subscribe(subscription);
        }
        Admission { position: if recovered { resume.position } else { current }, recovered: Some(recovered) }
    }

    /// From now on the session gets events: first what came since its position, then the tells that waited.
    pub fn admit(&self, session: &Arc<Session>, admission: &Admission) {
        let mut inner = lock(&self.inner);
        let now = Instant::now();
        let missed: Vec<Logged> = match inner.log.since(now, admission.position) {
            Some(events) => events.cloned().collect(),
            None => Vec::new(),
        };
        for (since, logged) in std::mem::take(&mut inner.kept) {
            if !session.wants(&logged.event, &self.mud) {
                inner.kept.push_back((since, logged));
            } else if now.duration_since(since) < KEEP_TELLS && logged.position.seq <= admission.position.seq
            {
                self.send(session, &logged, &mut Encoded::default());
            }
        }
        for logged in missed {
            self.send(session, &logged, &mut Encoded::default());
        }
        inner.sessions.insert(session.id, Arc::clone(session));
    }

    /// Forgets a session that has ended, but not at once what it wanted.
    pub fn remove(&self, session: &Session) {
        let mut inner = lock(&self.inner);
        if inner.sessions.remove(&session.id).is_some() {
            inner.keep(session.id, session.subscription());
        }
    }

    /// The place of the last event.
    pub fn position(&self) -> Position {
        lock(&self.inner).log.position()
    }

    /// How many sessions there are, by transport.
    pub fn count(&self, transport: Transport) -> usize {
        lock(&self.inner).sessions.values().filter(|session| session.transport == transport).count()
    }

    /// Whether any session is on a channel.
    pub fn anyone_on(&self, channel: &str) -> bool {
        lock(&self.inner).sessions.values().any(|session| session.is_on(channel))
    }

    /// All channels any session is on.
    pub fn channels(&self) -> HashSet<String> {
        let inner = lock(&self.inner);
        inner.sessions.values().flat_map(|session| session.subscription().channels).collect()
    }

    /// Sends an event to every session that wants it; it is encoded once for each way of showing colours. False:
    /// none wants it.
    pub fn publish(&self, event: Event) -> bool {
        let mut inner = lock(&self.inner);
        let now = Instant::now();
        let logged = inner.log.append(now, event);
        let mut encoded = Encoded::default();
        let mut heard = false;
        for session in inner.sessions.values() {
            heard |= self.send(session, &logged, &mut encoded);
        }
        if !heard && logged.event.is_kept() {
            if inner.kept.len() >= KEPT_TELLS {
                inner.kept.pop_front();
            }
            inner.kept.push_back((now, logged));
        }
        heard
    }

    /// All authenticated sessions.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        lock(&self.inner).sessions.values().map(Arc::clone).collect()
    }

    /// Sends an event to one session, if it wants it. Who resumes does not get it again.
    pub fn publish_to(&self, session: &Session, event: &Event) {
        if session.wants(event, &self.mud) {
            session.queue.push(event.encode(self.position(), &timestamp(), session.colour()));
        }
    }

    /// Closes the sessions whose key is no longer valid.
    pub fn close_revoked(&self, is_valid: impl Fn(&Key) -> bool) {
        for session in lock(&self.inner).sessions.values() {
            if session.key().is_some_and(|key| !is_valid(&key)) {
                session.queue.close(CloseReason::KeyRevoked);
            }
        }
    }

    fn send(&self, session: &Session, logged: &Logged, encoded: &mut Encoded) -> bool {
        let wanted = session.wants(&logged.event, &self.mud);
        if wanted {
            session.queue.push(encoded.line(logged, session.colour()));
        }
        wanted
    }
}

impl Inner {
    /// What another connection of the same client wanted. If that one still seems to live, it is at its end.
    fn take_over(&mut self, id: Uuid) -> Option<Subscription> {
        if let Some(session) = self.sessions.remove(&id) {
            session.queue.close(CloseReason::Resumed);
            return Some(session.subscription());
        }
        let index = self.ended.iter().position(|(_, ended, _)| *ended == id)?;
        let (since, _, subscription) = self.ended.remove(index)?;
        (since.elapsed() < KEEP_SESSIONS).then_some(subscription)
    }

    fn keep(&mut self, id: Uuid, subscription: Subscription) {
        while self.ended.len() >= KEPT_SESSIONS
            || self.ended.front().is_some_and(|(since, ..)| since.elapsed() >= KEEP_SESSIONS)
        {
            self.ended.pop_front();
        }
        self.ended.push_back((Instant::now(), id, subscription));
    }
}

/// An event's encodings, each made when the first session needs it.
#[derive(Default)]
struct Encoded {
    lines: [Option<Line>; 3],
}

impl Encoded {
    fn line(&mut self, logged: &Logged, colour: Colour) -> Line {
        let encode = || logged.event.encode(logged.position, &timestamp(), colour);
        self.lines[colour as usize].get_or_insert_with(encode).clone()
    }
}

#[cfg(test)]
mod tests;
