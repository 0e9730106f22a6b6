//! The clients' sessions, and how events reach them.

mod event;
mod queue;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

pub use event::{Event, timestamp};
pub use queue::{CloseReason, Line, QUEUE_BYTES, Queue};

/// How long a tell waits for a client when none is there.
const KEEP_TELLS: Duration = Duration::from_secs(300);

/// The most tells that wait; past it the oldest are dropped.
const KEPT_TELLS: usize = 200;

/// How a client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// WebSocket.
    WebSocket,
    /// TCP lines.
    Tcp,
}

impl Transport {
    /// The transport as it stands in metric labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Tcp => "tcp",
        }
    }
}

/// One client connection.
#[derive(Debug)]
pub struct Session {
    /// Unique; shown to the client.
    pub id: Uuid,
    /// How it is connected.
    pub transport: Transport,
    /// What it is to be sent.
    pub queue: Queue,
    opened: Instant,
    authenticated: AtomicBool,
    channels: Mutex<HashSet<String>>,
}

/// The most channels one session may join.
pub const SESSION_CHANNELS: usize = 500;

impl Session {
    /// A new connection, not yet authenticated.
    pub fn new(transport: Transport) -> Arc<Self> {
        Arc::new(Self {
            id: Uuid::new_v4(),
            transport,
            queue: Queue::new(QUEUE_BYTES),
            opened: Instant::now(),
            authenticated: AtomicBool::new(false),
            channels: Mutex::default(),
        })
    }

    /// Whether it has shown a valid key.
    pub fn is_authenticated(&self) -> bool {
        self.authenticated.load(Ordering::Acquire)
    }

    /// How long it has been connected.
    pub fn uptime(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Joins a channel; false when the session is on as many as it may be.
    pub fn join(&self, channel: &str) -> bool {
        let mut channels = lock(&self.channels);
        if channels.len() >= SESSION_CHANNELS && !channels.contains(channel) {
            return false;
        }
        channels.insert(channel.to_owned());
        true
    }

    /// Leaves a channel.
    pub fn leave(&self, channel: &str) {
        lock(&self.channels).remove(channel);
    }

    /// Whether it is on a channel, by its exact name.
    pub fn is_on(&self, channel: &str) -> bool {
        lock(&self.channels).contains(channel)
    }

    /// The channels it is on, sorted.
    pub fn channels(&self) -> Vec<String> {
        let mut channels: Vec<_> = lock(&self.channels).iter().cloned().collect();
        channels.sort();
        channels
    }
}

/// All authenticated sessions.
#[derive(Debug, Default)]
pub struct Hub {
    sessions: Mutex<HashMap<Uuid, Arc<Session>>>,
    kept: Mutex<VecDeque<(Instant, Line)>>,
}

impl Hub {
    /// Marks a session as authenticated: from now on it gets events, first the tells that waited for a client.
    pub fn admit(&self, session: &Arc<Session>) {
        let mut sessions = lock(&self.sessions);
        session.authenticated.store(true, Ordering::Release);
        sessions.insert(session.id, Arc::clone(session));
        for (since, line) in lock(&self.kept).drain(..) {
            if since.elapsed() < KEEP_TELLS {
                session.queue.push(line);
            }
        }
    }

    /// Forgets a session that has ended.
    pub fn remove(&self, session: &Session) {
        lock(&self.sessions).remove(&session.id);
    }

    /// How many sessions there are, by transport.
    pub fn count(&self, transport: Transport) -> usize {
        lock(&self.sessions).values().filter(|session| session.transport == transport).count()
    }

    /// Whether any session is on a channel.
    pub fn anyone_on(&self, channel: &str) -> bool {
        lock(&self.sessions).values().any(|session| session.is_on(channel))
    }

    /// All channels any session is on.
    pub fn channels(&self) -> HashSet<String> {
        lock(&self.sessions).values().flat_map(|session| session.channels()).collect()
    }

    /// Sends an event to every session it concerns; it is encoded once.
    pub fn publish(&self, event: &Event) {
        let line = event.encode(&timestamp());
        let sessions = lock(&self.sessions);
        for session in sessions.values() {
            if event.channel().is_none_or(|channel| session.is_on(channel)) {
                session.queue.push(line.clone());
            }
        }
        // Still under the lock, so that no client can slip in between unseen.
        if sessions.is_empty() && matches!(event, Event::TellReceived { .. }) {
            let mut kept = lock(&self.kept);
            if kept.len() >= KEPT_TELLS {
                kept.pop_front();
            }
            kept.push_back((Instant::now(), line));
        }
    }

    /// Closes every session.
    pub fn close_all(&self, reason: CloseReason) {
        for session in lock(&self.sessions).values() {
            session.queue.close(reason);
        }
    }
}

/// Locks a mutex. No holder can leave the data broken, so one that panicked does not matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(channel: &str) -> Event {
        Event::ChannelMessage {
            channel: channel.into(),
            from_mud: "Dawn".into(),
            from_user: "ann".into(),
            message: "hi".into(),
            visname: "Ann".into(),
        }
    }

    fn tell(message: &str) -> Event {
        Event::TellReceived {
            from_mud: "Dawn".into(),
            from_user: "ann".into(),
            to_mud: "Dusk".into(),
            to_user: "bob".into(),
            message: message.into(),
            visname: "Ann".into(),
        }
    }

    fn received(session: &Session) -> Vec<String> {
        session.queue.take().iter().map(|line| line.text().to_string()).collect()
    }

    #[test]
    fn channel_events_reach_only_who_is_on_the_channel_in_its_exact_case() {
        let hub = Hub::default();
        let (on, off) = (Session::new(Transport::WebSocket), Session::new(Transport::Tcp));
        hub.admit(&on);
        hub.admit(&off);
        assert!(on.join("imud_gossip") && off.join("Imud_Gossip"));
        hub.publish(&chat("imud_gossip"));
        assert_eq!(received(&on).len(), 1);
        assert!(received(&off).is_empty());
        on.leave("imud_gossip");
        hub.publish(&chat("imud_gossip"));
        assert!(received(&on).is_empty());
    }

    #[test]
    fn nobody_gets_anything_before_authentication_or_after_the_end() {
        let hub = Hub::default();
        let session = Session::new(Transport::WebSocket);
        hub.publish(&Event::GatewayReconnected);
        assert!(!session.is_authenticated() && received(&session).is_empty());
        hub.admit(&session);
        hub.publish(&Event::GatewayReconnected);
        assert_eq!(received(&session).len(), 1);
        hub.remove(&session);
        hub.publish(&Event::GatewayReconnected);
        assert!(received(&session).is_empty());
    }

    #[test]
    fn tells_wait_for_the_next_client_and_are_delivered_once() {
        let hub = Hub::default();
        hub.publish(&tell("first"));
        hub.publish(&tell("second"));
        hub.publish(&chat("imud_gossip"));
        let (one, two) = (Session::new(Transport::Tcp), Session::new(Transport::Tcp));
        hub.admit(&one);
        hub.admit(&two);
        let lines = received(&one);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains("first") && lines[1].contains("second"));
        assert!(received(&two).is_empty());
    }

    #[test]
    fn the_tells_that_wait_are_bounded() {
        let hub = Hub::default();
        for index in 0..KEPT_TELLS + 5 {
            hub.publish(&tell(&format!("tell {index}.")));
        }
        let session = Session::new(Transport::Tcp);
        hub.admit(&session);
        let lines = received(&session);
        assert_eq!(lines.len(), KEPT_TELLS);
        assert!(lines[0].contains("tell 5."), "the oldest go first");
    }

    #[test]
    fn a_session_can_join_only_so_many_channels() {
        let session = Session::new(Transport::Tcp);
        assert!((0..SESSION_CHANNELS).all(|index| session.join(&index.to_string())));
        assert!(!session.join("one more"));
        assert!(session.join("0"), "one it is on already");
    }
}
