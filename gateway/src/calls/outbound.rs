//! Our turn: calls another mud.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use intermud3::packet::{Body, MudEntry};
use intermud3::{Header, OobPacket, Packet};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};
use tokio_util::either::Either;

use super::line::Line;
use super::{Driver, serve};
use crate::metrics::Called;
use crate::mud::Service;
use crate::oob::address::{self, NoAddress};
use crate::oob::conversation::{Conversation, End, Step};
use crate::router::Class;

/// How long another mud may take to give us a key.
const KEY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a mud without keys is given to learn that we come (OOB specification: two seconds).
const ANNOUNCED: Duration = Duration::from_secs(2);

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a mud is not called at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// It is ourselves.
    #[error("{0} is this MUD itself: nothing goes to other MUDs")]
    Ourselves(String),
    /// The mudlist does not have it.
    #[error("{0} is not known: see mudlist for the MUDs there are")]
    Unknown(String),
    /// It is not on the network.
    #[error("{0} is not connected now; nothing was sent")]
    Down(String),
    /// It does not have the service.
    #[error("{mud} does not offer the service {service}: see services in mudlist")]
    NotOffered {
        /// The mud.
        mud: String,
        /// The service.
        service: &'static str,
    },
    /// It cannot be connected to.
    #[error("{mud} cannot be connected to: {source}")]
    NoAddress {
        /// The mud.
        mud: String,
        /// Why.
        source: NoAddress,
    },
    /// The way to a mud begins at the router.
    #[error("not connected to the router now; nothing was sent")]
    NoRouter,
    /// Too many conversations.
    #[error("too many conversations with other MUDs are open; try again later")]
    Busy,
}

/// Why a call brought no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The request is longer than a packet may be.
    #[error("too long for one packet of 256 KiB")]
    TooLong,
    /// Too much waits for the router.
    #[error("too many packets wait for the router; try again later")]
    RouterBusy,
    /// The mud gave us no key.
    #[error("{0} did not answer auth-mud-req")]
    NoKey(String),
    /// There was no connection.
    #[error("cannot connect to {mud}: {why}")]
    Connect {
        /// The mud.
        mud: String,
        /// Why.
        why: String,
    },
    /// The conversation ended before the reply.
    #[error("{mud} {}", without_reply(*end))]
    Ended {
        /// The mud.
        mud: String,
        /// How.
        end: End,
    },
    /// The mud answered by an error.
    #[error("{mud} answered: {message} ({code})")]
    Error {
        /// The mud.
        mud: String,
        /// The protocol's code.
        code: String,
        /// The same in words.
        message: String,
    },
    /// The mud's reply makes no sense.
    #[error("{0} sent a reply that cannot be read")]
    Unreadable(String),
}

fn without_reply(end: End) -> &'static str {
    match end {
        End::Refused => "refused the conversation",
        End::TimedOut => "did not answer in time",
        End::Protocol => "did not keep to the protocol",
        End::Stopped => "was not asked to the end: the gateway is shutting down",
        End::Done | End::Lost | End::Unreachable | End::Busy => "broke the connection off",
    }
}

impl Failure {
    /// The conversation's end for metrics.
    fn end(&self) -> End {
        match self {
            Self::Connect { .. } => End::Unreachable,
            Self::NoKey(_) => End::TimedOut,
            Self::RouterBusy => End::Busy,
            Self::Ended { end, .. } => *end,
            Self::TooLong | Self::Unreadable(_) => End::Protocol,
            Self::Error { .. } => End::Done,
        }
    }
}

/// A call that can be made: the mud is there, and a place is reserved.
pub struct Call {
    driver: Driver,
    /// The mud.
    pub mud: String,
    entry: MudEntry,
    address: SocketAddr,
    place: OwnedSemaphorePermit,
}

impl Driver {
    /// Sees to it that a mud can be called for a service.
    ///
    /// # Errors
    /// [`Unavailable`] when it cannot; nothing was done then.
    pub fn reserve(&self, mud: &str, service: Service) -> Result<Call, Unavailable> {
        let named = || mud.to_owned();
        if mud.eq_ignore_ascii_case(self.services.mud()) {
            return Err(Unavailable::Ourselves(named()));
        }
        let entry = self.services.mud_entry(mud).ok_or_else(|| Unavailable::Unknown(named()))?;
        if !entry.is_up() {
            return Err(Unavailable::Down(named()));
        }
        if !offers(&entry, service.as_str()) {
            return Err(Unavailable::NotOffered { mud: named(), service: service.as_str() });
        }
        let address = address::of(&entry, self.oob().rules.allow_private)
            .map_err(|source| Unavailable::NoAddress { mud: named(), source })?;
        if !self.services.router_status().is_connected() {
            return Err(Unavailable::NoRouter);
        }
        let place = self.oob().calls.clone().try_acquire_owned().map_err(|_| Unavailable::Busy)?;
        Ok(Call { driver: self.clone(), mud: named(), entry, address, place })
    }
}

fn offers(entry: &MudEntry, service: &str) -> bool {
    entry.services.get(service).is_some_and(|value| !value.is_zero())
}

impl Call {
    /// Makes the call, and returns the reply as soon as it is there. The rest of the conversation goes on aside.
    ///
    /// # Errors
    /// [`Failure`] when there is no reply, or an error in its place.
    pub async fn exchange(self, request: OobPacket) -> Result<OobPacket, Failure> {
        let from = self.address.ip();
        if !serve::fits(&request) {
            return Err(Failure::TooLong);
        }
        let (driver, mud) = (self.driver.clone(), self.mud.clone());
        let asked = tokio::select! {
            () = driver.oob().stop.cancelled() => Err(Failure::Ended { mud: mud.clone(), end: End::Stopped }),
            asked = self.ask(request) => asked,
        };
        let (line, place, reply) = match asked {
            Ok(asked) => asked,
            Err(failure) => {
                tracing::info!(mud, %failure, "an out-of-band conversation failed");
                driver.metrics.oob.conversation(Called::Them, failure.end());
                return Err(failure);
            }
        };
        let tasks = driver.oob().tasks.clone();
        tasks.spawn(async move {
            finish(driver, line, from).await;
            drop(place);
        });
        understood(mud, reply)
    }

    /// Opens the conversation and asks.
    async fn ask(self, request: OobPacket) -> Result<(Line, OwnedSemaphorePermit, OobPacket), Failure> {
        let ended = |end| Failure::Ended { mud: self.mud.clone(), end };
        let mut line = self.open().await?;
        let request = line.conversation.request(Instant::now(), request).ok_or(ended(End::Protocol))?;
        line.send(&request).await.map_err(ended)?;
        match line.step().await {
            Ok(Step::Reply(reply)) => Ok((line, self.place, reply)),
            Ok(_) => Err(ended(End::Protocol)),
            Err(end) => Err(ended(end)),
        }
    }

    /// Connects, and is let in.
    async fn open(&self) -> Result<Line, Failure> {
        let ended = |end| Failure::Ended { mud: self.mud.clone(), end };
        let oob = self.driver.oob();
        let turn = oob.turn(&self.mud);
        let _turn = turn.lock().await;
        let key = self.key().await?;
        let stream = self.connect().await?;
        let ours = self.driver.services.mud();
        let (conversation, begin) = Conversation::originate(Instant::now(), ours, &self.mud, key);
        let mut line = Line::new(Either::Left(stream), conversation, oob.stop.clone());
        line.send(&begin).await.map_err(ended)?;
        match line.step().await {
            Ok(Step::OurTurn) => Ok(line),
            Ok(_) => Err(ended(End::Protocol)),
            // Muds shut out who has no right without a word.
            Err(End::Lost) => Err(ended(End::Refused)),
            Err(end) => Err(ended(end)),
        }
    }

    /// Asks for a key; none when the mud gives none, and has been told that we come.
    async fn key(&self) -> Result<Option<i64>, Failure> {
        let services = &self.driver.services;
        let header = Header::to_mud(services.mud(), &self.mud);
        let gives_keys = offers(&self.entry, "auth");
        let waiting = gives_keys.then(|| self.driver.oob().await_key(&self.mud));
        let body = if gives_keys { Body::AuthMudReq } else { Body::OobReq };
        services
            .router()
            .send(Packet { header, body }, Class::Direct)
            .await
            .map_err(|_| Failure::RouterBusy)?;
        match waiting {
            Some(waiting) => match timeout(KEY_TIMEOUT, waiting).await {
                Ok(Ok(key)) => Ok(Some(key)),
                _ => Err(Failure::NoKey(self.mud.clone())),
            },
            None => {
                sleep(ANNOUNCED).await;
                Ok(None)
            }
        }
    }

    async fn connect(&self) -> Result<TcpStream, Failure> {
        let failed = |why: String| Failure::Connect { mud: self.mud.clone(), why };
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(self.address)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))),
        }
    }
}

/// Gives the turn away, and answers what the other mud asks in its own.
async fn finish(driver: Driver, mut line: Line, from: IpAddr) {
    let end = match line.conversation.end_turn(Instant::now()) {
        Some(end) => match line.send(&end).await {
            Ok(()) => serve::their_turn(&driver, &mut line, from).await,
            Err(end) => end,
        },
        None => End::Protocol,
    };
    // We have what we asked for: that the other mud is gone then is no fault.
    let end = if end == End::Lost { End::Done } else { end };
    driver.metrics.oob.conversation(Called::Them, end);
    tracing::info!(mud = line.conversation.peer(), end = end.as_str(), "an out-of-band conversation ended");
}

/// The reply, unless it is an error.
fn understood(mud: String, reply: OobPacket) -> Result<OobPacket, Failure> {
    match reply {
        OobPacket::Error(error) | OobPacket::OobError(error) => {
            let (code, message) = (error.error.code, error.error.message);
            Err(Failure::Error { mud, code, message })
        }
        reply => Ok(reply),
    }
}
