//! Packets from one hosted mud to another over the bus, for when the router cannot carry them.
//!
//! A packet is handed over by a request: the other gateway says that it took it, or nobody is there, or nobody knows.
//! The bus carries what users tell and ask each other and nothing else, and nobody can speak for a router on it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::{Client, HeaderMap, Message, Request, RequestError, RequestErrorKind};
use bytes::Bytes;
use intermud3::Packet;
use intermud3::lpc::EncodeError;
use mudgateway_crds::bus::{answer_inbox, direct_subject, everyone_subject};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Bus;
use super::links::LinkStates;
use crate::metrics::{Direction, Metrics};
use crate::mud::NAME_BYTES;
use crate::supervise::Supervisor;
use crate::sync::lock;

/// How long a gateway may take to say that it took a packet.
pub(super) const TAKEN_WITHIN: Duration = Duration::from_secs(1);

/// How many answers may wait to be published.
const ANSWERS: usize = 100;

/// The header that says which muds a packet to all is for.
const AUDIENCE: &str = "Mudgateway-Audience";

/// What a gateway says that took a packet.
pub(super) const TAKEN: &[u8] = b"taken";

/// What a gateway says that does not take such a packet.
pub(super) const REFUSED: &[u8] = b"refused";

/// What became of a packet that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// The mud's gateway took it.
    Taken,
    /// No gateway of the mud is on the bus, or it does not take such a packet.
    Nobody,
    /// Nobody knows: there was no answer in time.
    Unknown,
}

impl Handed {
    /// The word for it in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Nobody => "nobody",
            Self::Unknown => "unknown",
        }
    }
}

/// Which hosted muds a packet to all is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All of them: the sender's link is down.
    All,
    /// Those whose own link is down: the others get it from the router.
    Cut,
}

impl Audience {
    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Cut => "cut",
        }
    }

    /// The audience a message names; it is for all when it names none.
    pub(super) fn of(message: &Message) -> Self {
        let named = message.headers.as_ref().and_then(|headers| headers.get(AUDIENCE));
        if named.is_some_and(|named| named.as_str() == Self::Cut.as_str()) { Self::Cut } else { Self::All }
    }
}

/// The way of packets to other hosted muds.
#[derive(Clone)]
pub struct Direct {
    pub(super) client: Client,
    pub(super) network: String,
    pub(super) mud: String,
    pub(super) metrics: Arc<Metrics>,
    pub(super) links: Arc<Mutex<LinkStates>>,
    connected: watch::Receiver<bool>,
    answers: mpsc::Sender<Packet>,
}

impl Direct {
    /// The way from one mud to all others of its network. Answers are published until `stop`.
    pub fn start(
        bus: &Bus,
        mud: &str,
        metrics: Arc<Metrics>,
        supervisor: &Supervisor,
        stop: CancellationToken,
    ) -> Self {
        let (answers, waiting) = mpsc::channel(ANSWERS);
        let direct = Self {
            client: bus.context().client(),
            network: bus.network.clone(),
            mud: mud.to_owned(),
            metrics,
            links: Arc::default(),
            connected: bus.connected(),
            answers,
        };
        let poster = direct.clone();
        supervisor.spawn("answers by the bus", async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = poster.post_all(waiting) => {}
            }
        });
        direct
    }

    /// Whether the bus is there.
    pub fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Whether a hosted mud has told that its link is down.
    pub fn is_cut(&self, mud: &str) -> bool {
        lock(&self.links).is_cut(Instant::now(), mud)
    }

    /// Whether a mud is known to be a hosted one.
    pub fn is_hosted(&self, mud: &str) -> bool {
        lock(&self.links).is_hosted(Instant::now(), mud)
    }

    /// Whether any other hosted mud has told that its link is down.
    pub fn any_cut(&self) -> bool {
        lock(&self.links).any_cut(Instant::now())
    }

    /// Whether a hosted mud has told that it is on a channel of the provider's.
    pub fn is_member(&self, mud: &str, channel: &str) -> bool {
        lock(&self.links).is_member(Instant::now(), mud, channel)
    }

    /// How many other hosted muds have told that they are on a channel of the provider's.
    pub fn members(&self, channel: &str) -> usize {
        lock(&self.links).members(Instant::now(), channel)
    }

    /// Hands a packet to the gateway of a mud, and waits up to 1 s for its word.
    ///
    /// # Errors
    /// [`EncodeError`] when the packet has no form on the wire.
    pub async fn hand_over(&self, mud: &str, packet: &Packet) -> Result<Handed, EncodeError> {
        let handed = self.request(mud, packet.encode()?).await;
        if handed != Handed::Nobody {
            self.metrics.bus.packet(Direction::Out, packet);
        }
        self.metrics.bus.handed_over(handed);
        Ok(handed)
    }

    async fn request(&self, mud: &str, text: Bytes) -> Handed {
        if !is_name(mud) {
            return Handed::Nobody;
        }
        // An inbox of its own goes with the request: the shared one remembers requests without an answer for ever, and
        // is nobody else's to know.
        let inbox = answer_inbox(&self.network, &self.mud, &Uuid::new_v4().simple().to_string());
        let request = Request::new().payload(text).inbox(inbox);
        let sending = self.client.send_request(direct_subject(&self.network, mud, &self.mud), request);
        timeout(TAKEN_WITHIN, sending).await.map_or(Handed::Unknown, outcome)
    }

    /// Gives a packet to all hosted muds of an audience; false: it could not be given to anybody.
    ///
    /// # Errors
    /// [`EncodeError`] when the packet has no form on the wire.
    pub async fn hand_to_all(&self, packet: &Packet, audience: Audience) -> Result<bool, EncodeError> {
        let text = packet.encode()?;
        let mut headers = HeaderMap::new();
        headers.insert(AUDIENCE, audience.as_str());
        let subject = everyone_subject(&self.network, &self.mud);
        let sending = self.client.publish_with_headers(subject, headers, text);
        let given = matches!(timeout(TAKEN_WITHIN, sending).await, Ok(Ok(())));
        if given {
            self.metrics.bus.packet(Direction::Out, packet);
        }
        Ok(given)
    }

    /// Sends an answer, which nobody waits for, to the mud it is for; false: dropped, because too much waits.
    pub fn post(&self, answer: Packet) -> bool {
        self.answers.try_send(answer).is_ok()
    }

    async fn post_all(&self, mut answers: mpsc::Receiver<Packet>) {
        while let Some(answer) = answers.recv().await {
            let mud = answer.header.target_mud.as_deref().filter(|mud| is_name(mud));
            // An answer that comes when the bus is back comes too late.
            let (Some(mud), true) = (mud, self.is_connected()) else { continue };
            let Ok(text) = answer.encode() else {
                tracing::debug!(kind = answer.kind(), "dropped an answer that cannot be written");
                continue;
            };
            match self.client.publish(direct_subject(&self.network, mud, &self.mud), text).await {
                Ok(()) => self.metrics.bus.packet(Direction::Out, &answer),
                Err(error) => tracing::debug!(%error, "cannot publish an answer"),
            }
        }
    }
}

/// Whether a mud's name can be part of a subject.
pub(super) fn is_name(mud: &str) -> bool {
    (1..=NAME_BYTES).contains(&mud.len())
}

fn outcome(answer: Result<Message, RequestError>) -> Handed {
    match answer {
        Ok(message) if *message.payload == *TAKEN => Handed::Taken,
        Ok(message) if *message.payload == *REFUSED => Handed::Nobody,
        Ok(_) => Handed::Unknown,
        Err(error) => match error.kind() {
            RequestErrorKind::NoResponders
            | RequestErrorKind::InvalidSubject
            | RequestErrorKind::MaxPayloadExceeded => Handed::Nobody,
            RequestErrorKind::TimedOut | RequestErrorKind::Other => Handed::Unknown,
        },
    }
}
