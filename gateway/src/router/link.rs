//! The task that holds the connection to the router.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use intermud3::Packet;
use intermud3::frame::MudModeCodec;
use jiff::Timestamp;
use mudgateway_crds::report::SessionReason;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;

use super::session::{Due, Received, Session};
use super::{LinkEvent, Next, RouterHandle, SessionStatus};
use crate::bus::StateStore;
use crate::config::{Mud, RouterAddress};
use crate::metrics::{Direction, Metrics};
use crate::services::packets;

/// How long a TCP connection to a router may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one write to the router may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the state store may take to read or keep the password.
const STATE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long what waits may still be sent at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// A session that lasted this long was a success: the back-off starts over.
const STABLE_AFTER: Duration = Duration::from_secs(30);

/// Undecodable packets are logged once in this time.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Holds the router session, for ever.
pub struct Link {
    /// Who we are.
    pub mud: Mud,
    /// The routers, in order of preference.
    pub routers: Vec<RouterAddress>,
    /// The password to start with when none is stored.
    pub initial_password: Option<i64>,
    /// Where the password is kept.
    pub state: StateStore,
    /// The way others see the link.
    pub handle: RouterHandle,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who is told of packets.
    pub listener: Box<dyn Fn(LinkEvent) + Send + Sync>,
    /// Fires when the gateway ends.
    pub shutdown: CancellationToken,
}

/// Why a session, or the attempt at one, ended.
#[derive(Debug)]
struct Ended {
    reason: SessionReason,
    message: String,
}

type Connection = Framed<TcpStream, MudModeCodec>;

impl Link {
    /// Connects, serves, and comes back, until the gateway ends.
    pub async fn run(self) {
        let mut backoff =
            Backoff::new(Duration::from_millis(1100), Duration::from_secs(1), Duration::from_secs(60));
        // Each router in turn; a fresh start begins with the preferred one.
        let mut attempt = 0;
        while !self.shutdown.is_cancelled() {
            let router = &self.routers[attempt % self.routers.len()];
            let started = Instant::now();
            let ended = self.attempt(router).await;
            self.metrics.session_ended(ended.reason);
            self.set_status(ended.reason, ended.message, router);
            match ended.reason {
                // No fault of the router's: stay with it.
                SessionReason::StateUnavailable | SessionReason::ShuttingDown => {}
                SessionReason::RouterRefused => attempt += 1,
                _ if started.elapsed() >= STABLE_AFTER => {
                    backoff.reset();
                    attempt = 0;
                }
                _ => attempt += 1,
            }
            let wait = backoff.next(&mut rand::rng());
            if ended.reason != SessionReason::ShuttingDown {
                tracing::info!(seconds = wait.as_secs_f64(), "will try the router again");
                self.pause(wait).await;
            }
        }
    }

    /// One session from connecting to its end.
    async fn attempt(&self, router: &RouterAddress) -> Ended {
        match self.establish(router).await {
            Ok((mut connection, mut session)) => {
                match self.serve(router, &mut connection, &mut session).await {
                    ControlFlow::Break(ended) => ended,
                    ControlFlow::Continue(()) => ended(SessionReason::SessionLost, "the session ended"),
                }
            }
            Err(ended) => ended,
        }
    }

    /// Connects and sends the registration.
    async fn establish(&self, router: &RouterAddress) -> Result<(Connection, Session), Ended> {
        let shutdown = || ended(SessionReason::ShuttingDown, "the gateway is shutting down");
        let password = tokio::select! {
            () = self.shutdown.cancelled() => return Err(shutdown()),
            password = self.password() => password?,
        };
        let stream = tokio::select! {
            () = self.shutdown.cancelled() => return Err(shutdown()),
            connected = connect(router) => connected?,
        };
        let mut connection = Framed::new(stream, MudModeCodec::new());
        let now = Instant::now();
        {
            let mut outbox = self.handle.outbox();
            outbox.registered(now);
            // A registration repeats every subscription, so older ones need not go out.
            outbox.forget_control();
        }
        self.write(&mut connection, &packets::startup(&self.mud, &router.name, password)).await?;
        tracing::info!(%router, "registering with the router");
        Ok((connection, Session::new(&self.mud.name, &router.name, now)))
    }

    /// The stored password, else the configured one, else 0: "I have none".
    async fn password(&self) -> Result<i64, Ended> {
        let stored = timeout(STATE_TIMEOUT, self.state.load_password()).await;
        let problem = match stored {
            Ok(Ok(stored)) => return Ok(stored.or(self.initial_password).unwrap_or(0)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the state store does not answer".to_owned(),
        };
        // To register without the right password would lock the mud out of its name, so wait for the store.
        let message = format!("cannot read the router password, so not registering: {problem}");
        Err(ended(SessionReason::StateUnavailable, message))
    }

    /// Reads and writes until the session ends.
    async fn serve(
        &self,
        router: &RouterAddress,
        connection: &mut Connection,
        session: &mut Session,
    ) -> ControlFlow<Ended> {
        let mut last_log = None;
        loop {
            let pace =
                if self.handle.status().is_connected() { self.send_waiting(connection).await? } else { None };
            let wake_at = pace.map_or(session.deadline(), |pace| pace.min(session.deadline()));
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return ControlFlow::Break(self.farewell(router, connection).await),
                frame = connection.next() => match frame {
                    Some(Ok(frame)) => self.receive(router, session, &frame, &mut last_log).await?,
                    Some(Err(error)) => {
                        let message = format!("{} broke the framing: {error}", router.name);
                        return ControlFlow::Break(ended(SessionReason::ProtocolError, message));
                    }
                    None => return ControlFlow::Break(closed(router)),
                },
                () = self.handle.shared.wake.notified() => {}
                () = self.handle.shared.reconnect.notified() => {
                    return ControlFlow::Break(ended(SessionReason::SessionLost, "asked to reconnect"));
                }
                () = tokio::time::sleep_until(wake_at.into()) => {
                    match session.due(Instant::now()) {
                        Due::Nothing => {}
                        Due::Probe(probe) => into_flow(self.write(connection, &probe).await)?,
                        Due::Refused => return ControlFlow::Break(refused(&self.mud, router)),
                        Due::Silent => {
                            let message = format!("{} stopped answering", router.name);
                            return ControlFlow::Break(ended(SessionReason::RouterSilent, message));
                        }
                    }
                }
            }
        }
    }

    /// Handles one frame. A packet that cannot be read never ends the session.
    async fn receive(
        &self,
        router: &RouterAddress,
        session: &mut Session,
        frame: &Bytes,
        last_log: &mut Option<Instant>,
    ) -> ControlFlow<Ended> {
        let packet = match Packet::decode(frame) {
            Ok(packet) => packet,
            Err(error) => {
                self.metrics.undecodable();
                if last_log.is_none_or(|last: Instant| last.elapsed() >= LOG_INTERVAL) {
                    *last_log = Some(Instant::now());
                    tracing::warn!(%error, sample = %hex_sample(frame), "dropped a packet that cannot be read");
                }
                return ControlFlow::Continue(());
            }
        };
        self.metrics.packet(Direction::In, &packet);
        match session.receive(Instant::now(), packet) {
            Received::Registered { password, preferred } => {
                self.keep_password(password).await?;
                if let Some(preferred) = preferred {
                    tracing::info!(
                        router = router.name,
                        preferred,
                        "the router names another one as preferred"
                    );
                }
                let message = format!("registered with {}", router.name);
                self.set_status(SessionReason::SessionEstablished, message, router);
                (self.listener)(LinkEvent::Established);
            }
            Received::Deliver(packet) => (self.listener)(LinkEvent::Packet(packet)),
            Received::Ignore(why) => tracing::debug!(why, "ignored a packet"),
        }
        ControlFlow::Continue(())
    }

    /// Stores a new password before anything else happens: losing it locks the mud out of its own name.
    async fn keep_password(&self, password: i64) -> ControlFlow<Ended> {
        let keep = async {
            if self.state.load_password().await.ok().flatten() != Some(password) {
                self.state.save_password(password).await?;
            }
            Ok::<(), crate::bus::StateError>(())
        };
        let problem = match timeout(STATE_TIMEOUT, keep).await {
            Ok(Ok(())) => return ControlFlow::Continue(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the state store does not answer".to_owned(),
        };
        let message = format!("the router gave a password that cannot be kept: {problem}");
        ControlFlow::Break(ended(SessionReason::StateUnavailable, message))
    }

    /// Sends what waits, as far as the pace allows; then when it allows more.
    async fn send_waiting(&self, connection: &mut Connection) -> ControlFlow<Ended, Option<Instant>> {
        loop {
            let next = self.handle.outbox().next(Instant::now());
            let entry = match next {
                Next::Send(entry) => *entry,
                Next::At(then) => return ControlFlow::Continue(Some(then)),
                Next::Empty => return ControlFlow::Continue(None),
            };
            match self.write(connection, &entry.packet).await {
                Ok(()) => entry.taken(),
                Err(ended) => {
                    self.handle.outbox().restore(entry);
                    return ControlFlow::Break(ended);
                }
            }
        }
    }

    async fn write(&self, connection: &mut Connection, packet: &Packet) -> Result<(), Ended> {
        let bytes = match packet.encode() {
            Ok(bytes) => bytes,
            Err(error) => {
                // It can never be sent, and waiting would not change that.
                tracing::warn!(%error, kind = packet.kind(), "dropped a packet that cannot be written");
                return Ok(());
            }
        };
        self.metrics.packet(Direction::Out, packet);
        match timeout(WRITE_TIMEOUT, connection.send(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                Err(ended(SessionReason::SessionLost, format!("cannot write to the router: {error}")))
            }
            Err(_) => Err(ended(SessionReason::RouterSilent, "the router does not read".to_owned())),
        }
    }

    /// At the end: what waits goes out, then the router is told, so that the name is free at once.
    async fn farewell(&self, router: &RouterAddress, connection: &mut Connection) -> Ended {
        let drain = async {
            if self.handle.status().is_connected() {
                while let ControlFlow::Continue(Some(pace)) = self.send_waiting(connection).await {
                    tokio::time::sleep_until(pace.into()).await;
                }
            }
            self.write(connection, &packets::shutdown(&self.mud.name, &router.name, 0)).await
        };
        let drained = timeout(DRAIN, drain).await;
        let left = self.handle.waiting();
        if drained.is_err() || left > 0 {
            tracing::warn!(packets = left, "packets that still waited for the router are lost");
        }
        ended(SessionReason::ShuttingDown, "the gateway is shutting down")
    }

    async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = self.handle.shared.reconnect.notified() => {}
            () = sleep(wait) => {}
        }
    }

    fn set_status(&self, reason: SessionReason, message: String, router: &RouterAddress) {
        let established = reason == SessionReason::SessionEstablished;
        if established || reason == SessionReason::ShuttingDown {
            tracing::info!(reason = reason.as_str(), detail = message, "router session");
        } else {
            tracing::warn!(reason = reason.as_str(), detail = message, "router session");
        }
        let before = self.handle.status();
        let since = established.then(|| before.since.unwrap_or_else(Timestamp::now));
        self.handle.set_status(SessionStatus { reason, message, router: Some(router.name.clone()), since });
    }
}

async fn connect(router: &RouterAddress) -> Result<TcpStream, Ended> {
    let unreachable =
        |why: String| ended(SessionReason::RouterUnreachable, format!("cannot connect to {router}: {why}"));
    let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect((router.host.as_str(), router.port)))
        .await
        .map_err(|_| unreachable(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())))?
        .map_err(|error| unreachable(error.to_string()))?;
    if let Err(error) = crate::net::tune_router(&stream) {
        tracing::debug!(%error, "cannot set options of the router socket");
    }
    Ok(stream)
}

fn ended(reason: SessionReason, message: impl Into<String>) -> Ended {
    Ended { reason, message: message.into() }
}

fn closed(router: &RouterAddress) -> Ended {
    ended(SessionReason::SessionLost, format!("{} closed the connection", router.name))
}

fn into_flow(result: Result<(), Ended>) -> ControlFlow<Ended> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(ended) => ControlFlow::Break(ended),
    }
}

/// A router refuses by silence, so all that can be said is what it may be.
fn refused(mud: &Mud, router: &RouterAddress) -> Ended {
    let message = format!(
        "{router} did not answer the registration of {:?}, which is how a router refuses. Likely causes: its name \
         is not exactly {:?}; the mud's name is in use from another address; the stored password is wrong and the \
         address is new; too many muds share this address; the name or address is banned",
        mud.name, router.name
    );
    ended(SessionReason::RouterRefused, message)
}

fn hex_sample(frame: &[u8]) -> String {
    frame.iter().take(64).map(|byte| format!("{byte:02x}")).collect()
}
