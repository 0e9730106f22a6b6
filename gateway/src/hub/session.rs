//! One client connection.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::keys::{Key, Permissions};
use crate::sync::lock;

use super::event::Event;
use super::filter::{Colour, Options};
use super::queue::Queue;

/// How a client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// WebSocket.
    WebSocket,
    /// TCP lines.
    Tcp,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 2] = [Self::WebSocket, Self::Tcp];

    /// The transport as it stands in metric labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Tcp => "tcp",
        }
    }
}

/// What a session wants: it outlives the connection for a while, so that the client can resume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The channels it is on.
    pub channels: HashSet<String>,
    /// Its filters.
    pub options: Options,
}

/// What a session wants and may have.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Wishes {
    /// What its key allows.
    pub permissions: Permissions,
    /// What it wants.
    pub subscription: Subscription,
}

impl Wishes {
    /// Whether an event is to reach it.
    pub fn want(&self, event: &Event, own_mud: &str) -> bool {
        wants(&self.permissions, &self.subscription, event, own_mud)
    }
}

fn wants(permissions: &Permissions, wanted: &Subscription, event: &Event, own_mud: &str) -> bool {
    permissions.grant(event.permission())
        && event.channel().is_none_or(|channel| wanted.channels.contains(channel))
        && wanted.options.admit(event, own_mud)
}

/// The most channels one session may join.
pub const SESSION_CHANNELS: usize = 500;

/// One client connection.
#[derive(Debug)]
pub struct Session {
    /// Unique; shown to the client.
    pub id: Uuid,
    /// How it is connected.
    pub transport: Transport,
    /// From where.
    pub peer: IpAddr,
    /// What it is to be sent.
    pub queue: Queue,
    opened: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// None until it has shown a valid key.
    key: Option<Arc<Key>>,
    subscription: Subscription,
}

impl Session {
    /// A new connection, not yet authenticated.
    pub fn new(transport: Transport, peer: IpAddr, queue_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            id: Uuid::new_v4(),
            transport,
            peer,
            queue: Queue::new(queue_bytes),
            opened: Instant::now(),
            state: Mutex::default(),
        })
    }

    /// Whether it has shown a valid key.
    pub fn is_authenticated(&self) -> bool {
        lock(&self.state).key.is_some()
    }

    /// It has shown this key.
    pub fn authenticate(&self, key: Arc<Key>) {
        lock(&self.state).key = Some(key);
    }

    /// The key it has shown.
    pub fn key(&self) -> Option<Arc<Key>> {
        lock(&self.state).key.clone()
    }

    /// How long it has been connected.
    pub fn uptime(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Joins a channel; false when the session is on as many as it may be.
    pub fn join(&self, channel: &str) -> bool {
        let channels = &mut lock(&self.state).subscription.channels;
        if channels.len() >= SESSION_CHANNELS && !channels.contains(channel) {
            return false;
        }
        channels.insert(channel.to_owned());
        true
    }

    /// Leaves a channel.
    pub fn leave(&self, channel: &str) {
        lock(&self.state).subscription.channels.remove(channel);
    }

    /// Whether it is on a channel, by its exact name.
    pub fn is_on(&self, channel: &str) -> bool {
        lock(&self.state).subscription.channels.contains(channel)
    }

    /// What it wants.
    pub fn subscription(&self) -> Subscription {
        lock(&self.state).subscription.clone()
    }

    /// Changes what it wants.
    pub fn subscribe(&self, subscription: Subscription) {
        lock(&self.state).subscription = subscription;
    }

    /// How it wants colours to be shown.
    pub fn colour(&self) -> Colour {
        lock(&self.state).subscription.options.colour
    }

    /// Changes its filters.
    pub fn set_options(&self, options: Options) {
        lock(&self.state).subscription.options = options;
    }

    /// What it wants and may have.
    pub fn wishes(&self) -> Wishes {
        let state = lock(&self.state);
        let permissions = state.key.as_ref().map(|key| key.permissions().clone()).unwrap_or_default();
        Wishes { permissions, subscription: state.subscription.clone() }
    }

    /// Whether it is to get an event.
    pub fn wants(&self, event: &Event, own_mud: &str) -> bool {
        let state = lock(&self.state);
        state.key.as_ref().is_some_and(|key| wants(key.permissions(), &state.subscription, event, own_mud))
    }
}
