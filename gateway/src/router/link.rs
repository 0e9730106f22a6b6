//! The task that holds the connection to the router.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use intermud3::Packet;
use intermud3::frame::MudModeCodec;
use intermud3::packet::{Body, ErrorPacket};
use jiff::Timestamp;
use mudgateway_crds::report::SessionReason;
use tokio::net::TcpStream;
use tokio::time::{interval, sleep, timeout};
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::memory::Memory;
use super::routers::Routers;
use super::session::{Due, Received, Session};
use super::{Class, LinkEvent, LinkListener, Next, RouterHandle, SessionStatus};
use crate::bus::lock::{Duty, Holding};
use crate::config::{Mud, RouterAddress};
use crate::metrics::{Direction, Metrics};
use crate::services::packets;

/// How long a TCP connection to a router may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one write to the router may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often another process gets the chance to reach a router that cannot be reached from here.
const YIELD_INTERVAL: Duration = Duration::from_secs(30);

/// How long another process must hold the session before that is worth telling.
const STANDBY_AFTER: Duration = Duration::from_secs(5);

/// How long a router may leave a packet unfinished.
const FRAME_TIMEOUT: Duration = Duration::from_secs(15);

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
    /// The configured routers, in order of preference.
    pub routers: Vec<RouterAddress>,
    /// The password to start with when none is stored.
    pub initial_password: Option<i64>,
    /// What is kept of routers.
    pub memory: Memory,
    /// The way others see the link.
    pub handle: RouterHandle,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who is told of packets.
    pub listener: Arc<dyn LinkListener>,
    /// Whether this process may hold the session.
    pub holding: Holding,
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
        let mut routers = Routers::new(self.routers.clone());
        self.memory.restore(&mut routers).await;
        let mut insist = false;
        let mut yielded: Option<Instant> = None;
        while !self.shutdown.is_cancelled() {
            let router = routers.current().clone();
            if self.holding.now() != Duty::Holder {
                self.stand_by(&router).await;
                // Who held the session before may not have closed it yet.
                insist = true;
                continue;
            }
            let started = Instant::now();
            let ended = self.attempt(&router, &mut routers, std::mem::take(&mut insist)).await;
            if ended.reason == SessionReason::Standby {
                self.set_status(ended.reason, ended.message, &router);
                continue;
            }
            let unreachable = ended.reason == SessionReason::RouterUnreachable;
            if unreachable && yielded.is_none_or(|last| last.elapsed() >= YIELD_INTERVAL) {
                yielded = Some(Instant::now());
                self.holding.yield_to_others();
            }
            self.metrics.session_ended(ended.reason);
            self.set_status(ended.reason, ended.message, &router);
            match ended.reason {
                // No fault of the router's: stay with it. A redirection has chosen the next one already.
                SessionReason::StateUnavailable | SessionReason::ShuttingDown | SessionReason::Redirected => {
                }
                SessionReason::RouterRefused => routers.advance(),
                // A fresh start begins with the preferred one.
                _ if started.elapsed() >= STABLE_AFTER => {
                    backoff.reset();
                    routers.restart();
                }
                _ => routers.advance(),
            }
            let wait = backoff.next(&mut rand::rng());
            if ended.reason != SessionReason::ShuttingDown {
                tracing::info!(seconds = wait.as_secs_f64(), "will try the router again");
                self.pause(wait).await;
            }
        }
    }

    /// Waits until this process may hold the session.
    async fn stand_by(&self, router: &RouterAddress) {
        let mut holding = self.holding.clone();
        let taken = async {
            // The lock is free, or ours again, in a moment: no news.
            if timeout(STANDBY_AFTER, holding.wait_for(|duty| duty == Duty::Holder)).await.is_err() {
                let (reason, message) = standing_by(holding.now());
                self.set_status(reason, message.to_owned(), router);
                holding.wait_for(|duty| duty == Duty::Holder).await;
            }
        };
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = taken => {}
        }
    }

    /// One session from connecting to its end.
    async fn attempt(&self, router: &RouterAddress, routers: &mut Routers, insist: bool) -> Ended {
        match self.establish(router, insist).await {
            Ok((mut connection, mut session)) => {
                match self.serve(router, routers, &mut connection, &mut session).await {
                    ControlFlow::Break(ended) => ended,
                    ControlFlow::Continue(()) => ended(SessionReason::SessionLost, "the session ended"),
                }
            }
            Err(ended) => ended,
        }
    }

    /// Connects and sends the registration.
    async fn establish(&self, router: &RouterAddress, insist: bool) -> Result<(Connection, Session), Ended> {
        let shutdown = || ended(SessionReason::ShuttingDown, "the gateway is shutting down");
        let password = tokio::select! {
            () = self.shutdown.cancelled() => return Err(shutdown()),
            password = self.memory.password(self.initial_password) => password.map_err(unavailable)?,
        };
        let stream = tokio::select! {
            () = self.shutdown.cancelled() => return Err(shutdown()),
            connected = connect(router) => connected?,
        };
        if self.holding.now() != Duty::Holder {
            return Err(ended(SessionReason::Standby, "another process of this mud may hold the session"));
        }
        let mut connection = Framed::new(stream, MudModeCodec::new());
        let now = Instant::now();
        {
            let mut outbox = self.handle.outbox();
            outbox.registered(now);
            // A registration repeats every subscription, so older ones need not go out.
            outbox.forget(Class::Control);
        }
        self.register(router, password, &mut connection).await?;
        tracing::info!(%router, "registering with the router");
        // A wrong password must not be shown again and again: routers ban an address for that.
        let insist = insist && password != 0;
        Ok((connection, Session::new(&self.mud.name, &router.name, now, insist.then_some(password))))
    }

    async fn register(
        &self,
        router: &RouterAddress,
        password: i64,
        connection: &mut Connection,
    ) -> Result<(), Ended> {
        let ids = self.listener.list_ids(&router.name);
        self.write(connection, &packets::startup(&self.mud, &router.name, password, ids)).await
    }

    /// Reads and writes until the session ends.
    async fn serve(
        &self,
        router: &RouterAddress,
        routers: &mut Routers,
        connection: &mut Connection,
        session: &mut Session,
    ) -> ControlFlow<Ended> {
        let mut last_log = None;
        let mut stall_check = interval(FRAME_TIMEOUT / 6);
        let mut holding = self.holding.clone();
        loop {
            let duty = holding.now();
            if !duty.may_keep() {
                return ControlFlow::Break(ended(
                    SessionReason::Standby,
                    "another process of this mud took over",
                ));
            }
            session.set_watchful(duty == Duty::Holdover);
            let pace =
                if self.handle.status().is_connected() { self.send_waiting(connection).await? } else { None };
            let wake_at = pace.map_or(session.deadline(), |pace| pace.min(session.deadline()));
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return ControlFlow::Break(self.farewell(router, connection).await),
                () = holding.wait_for(|now| now != duty) => {}
                frame = connection.next() => match frame {
                    Some(Ok(frame)) => {
                        if let Some(packet) = self.decode(&frame, &mut last_log)
                            && self.receive(router, routers, session, packet).await?
                        {
                            return ControlFlow::Break(self.redirect(router, routers, connection).await);
                        }
                    }
                    Some(Err(error)) => {
                        let message = format!("{} broke the framing: {error}", router.name);
                        return ControlFlow::Break(ended(SessionReason::ProtocolError, message));
                    }
                    None => return ControlFlow::Break(closed(router)),
                },
                _ = stall_check.tick() => {
                    if let Err(error) = connection.codec_mut().check_stall(Instant::now(), FRAME_TIMEOUT) {
                        let message = format!("{} left a packet unfinished: {error}", router.name);
                        return ControlFlow::Break(ended(SessionReason::ProtocolError, message));
                    }
                }
                () = self.handle.shared.wake.notified() => {}
                () = self.handle.shared.reconnect.notified() => {
                    return ControlFlow::Break(ended(SessionReason::SessionLost, "asked to reconnect"));
                }
                () = tokio::time::sleep_until(wake_at.into()) => {
                    match session.due(Instant::now()) {
                        Due::Nothing => {}
                        Due::Probe(probe) => into_flow(self.write(connection, &probe).await)?,
                        Due::Register(password) => {
                            self.handle.outbox().registered(Instant::now());
                            into_flow(self.register(router, password, connection).await)?;
                        }
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

    /// Reads one frame. A packet that cannot be read never ends the session.
    fn decode(&self, frame: &Bytes, last_log: &mut Option<Instant>) -> Option<Packet> {
        match Packet::decode(frame) {
            Ok(packet) => {
                self.metrics.packet(Direction::In, &packet);
                Some(packet)
            }
            Err(error) => {
                self.metrics.undecodable();
                if last_log.is_none_or(|last: Instant| last.elapsed() >= LOG_INTERVAL) {
                    *last_log = Some(Instant::now());
                    tracing::warn!(%error, sample = %hex_sample(frame), "dropped a packet that cannot be read");
                }
                None
            }
        }
    }

    /// Handles one packet; true when the router wants us to go to another one.
    async fn receive(
        &self,
        router: &RouterAddress,
        routers: &mut Routers,
        session: &mut Session,
        packet: Packet,
    ) -> ControlFlow<Ended, bool> {
        match session.receive(Instant::now(), packet) {
            Received::Registered { password, routers: list } => {
                into_flow(self.memory.keep_password(password).await.map_err(unavailable))?;
                if routers.learn(&list) {
                    self.memory.keep_routers(routers).await;
                }
                if list.first().is_some_and(|preferred| routers.redirect(Instant::now(), &preferred.name)) {
                    return ControlFlow::Continue(true);
                }
                let message = format!("registered with {}", router.name);
                self.set_status(SessionReason::SessionEstablished, message, router);
                self.listener.on_link(LinkEvent::Established);
            }
            Received::Deliver(packet) if is_bad_mojo(&packet) && self.holding.now() == Duty::Holdover => {
                let message = "another process of this mud registers with the router";
                return ControlFlow::Break(ended(SessionReason::Standby, message));
            }
            Received::Deliver(packet) => self.listener.on_link(LinkEvent::Packet(packet)),
            Received::Ignore(why) => tracing::debug!(why, "ignored a packet"),
        }
        ControlFlow::Continue(false)
    }

    /// Leaves a router that named another one as preferred: the name must be free there at once.
    async fn redirect(
        &self,
        router: &RouterAddress,
        routers: &Routers,
        connection: &mut Connection,
    ) -> Ended {
        let preferred = routers.current();
        tracing::info!(%router, %preferred, "the router names another one as preferred; going there");
        let message = format!("{} sends us to {}", router.name, preferred.name);
        match self.write(connection, &packets::shutdown(&self.mud.name, &router.name, 0)).await {
            Ok(()) => ended(SessionReason::Redirected, message),
            Err(error) => Ended { reason: SessionReason::Redirected, ..error },
        }
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
        self.handle.outbox().forget(Class::Background);
        let drain = async {
            if self.handle.status().is_connected() {
                while let ControlFlow::Continue(Some(pace)) = self.send_waiting(connection).await {
                    tokio::time::sleep_until(pace.into()).await;
                }
            }
            // Where another process may take over, the end of the connection says enough.
            if self.holding.is_shared() {
                return Ok(());
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
        if established || matches!(reason, SessionReason::ShuttingDown | SessionReason::Standby) {
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

/// Why this process has no session though the router may be there.
fn standing_by(duty: Duty) -> (SessionReason, &'static str) {
    match duty {
        Duty::Unknown => (
            SessionReason::StateUnavailable,
            "the bus, which keeps the session lock and the router password, cannot be reached, so not registering",
        ),
        _ => (SessionReason::Standby, "another process of this mud holds the session"),
    }
}

/// "Another mud is trying to be you."
fn is_bad_mojo(packet: &Packet) -> bool {
    matches!(&packet.body, Body::Error(error) if error.code == ErrorPacket::BAD_MOJO)
}

fn ended(reason: SessionReason, message: impl Into<String>) -> Ended {
    Ended { reason, message: message.into() }
}

/// What the state store cannot do; its message says what the mud must not do without it.
fn unavailable(message: String) -> Ended {
    ended(SessionReason::StateUnavailable, message)
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
