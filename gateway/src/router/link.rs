//! The task that holds the connection to the router.

mod farewell;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use intermud3::Packet;
use jiff::Timestamp;
use mudgateway_crds::permit::Purpose;
use mudgateway_crds::report::SessionReason;
use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::ended::{
    Ended, ended, into_flow, is_bad_mojo, may_not_open, refused, standing_by, taken_over, unavailable,
};
use super::memory::Memory;
use super::routers::Routers;
use super::rules::{Egress, Rules};
use super::session::{Due, Received, Session};
use super::turn::{Door, HAND_OVER, InUse};
use super::wire::{self, Failed, Wire};
use super::{Class, LinkEvent, LinkListener, Next, RouterAddress, RouterHandle};
use crate::bus::Permits;
use crate::bus::lock::{Duty, Holding};
use crate::metrics::Metrics;
use crate::mud::{Mud, SessionStatus};
use crate::packets;

/// Between two registrations that may carry a wrong password: at least, and, after many, at most. A hundred take days.
const SLOW_FLOOR: Duration = Duration::from_secs(30);
const SLOW_CAP: Duration = Duration::from_secs(3600);

/// How often another process gets the chance to reach a router that cannot be reached from here.
const YIELD_INTERVAL: Duration = Duration::from_secs(30);

/// How long another process must hold the session before that is worth telling.
const STANDBY_AFTER: Duration = Duration::from_secs(5);

/// Another process must have held the session for this long for this one to take it over: who has just started stands
/// by for a moment, too, and a whole fleet that starts is not to go first.
const TAKES_OVER_AFTER: Duration = Duration::from_secs(1);

/// A session that lasted this long was a success: the back-off starts over.
const STABLE_AFTER: Duration = Duration::from_secs(30);

/// Holds the router session, for ever.
pub struct Link {
    /// Who we are.
    pub mud: Mud,
    /// The routers and the way there, as they are now.
    pub rules: watch::Receiver<Rules>,
    /// The way to the operator, who says when to connect.
    pub permits: Permits,
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
    /// Fires when the mud leaves the network for good: nobody takes over.
    pub retired: CancellationToken,
}

impl Link {
    /// Connects, serves, and comes back, until the gateway ends.
    pub async fn run(self) {
        let mut backoff =
            Backoff::new(Duration::from_millis(1100), Duration::from_secs(1), Duration::from_secs(60));
        let mut slow_backoff = Backoff::new(SLOW_FLOOR, SLOW_FLOOR, SLOW_CAP);
        let mut routers = Routers::new(self.rules.borrow().routers.clone());
        self.memory.restore(&mut routers).await;
        let mut stood_by = None;
        let mut yielded: Option<Instant> = None;
        while !self.is_over() {
            routers.configure(self.rules.borrow().routers.clone());
            let router = routers.current().clone();
            if self.holding.now() != Duty::Holder {
                // Who held the session before may not have closed it yet.
                stood_by = Some(self.stand_by(&router).await);
                continue;
            }
            self.handle.take_over(&self.memory).await;
            let started = Instant::now();
            let ended = self.attempt(&router, &mut routers, stood_by.take()).await;
            if ended.reason == SessionReason::Standby {
                self.set_status(ended.reason, ended.message, &router);
                continue;
            }
            let unreachable = ended.reason == SessionReason::RouterUnreachable;
            if unreachable && yielded.is_none_or(|last| last.elapsed() >= YIELD_INTERVAL) {
                yielded = Some(Instant::now());
                self.holding.yield_to_others();
            }
            self.metrics.router.session_ended(ended.reason);
            self.set_status(ended.reason, ended.message, &router);
            match ended.reason {
                // No fault of the router's: stay with it. A redirection has chosen the next one already.
                SessionReason::StateUnavailable
                | SessionReason::ProxyFailed
                | SessionReason::ShuttingDown
                | SessionReason::Redirected => {}
                SessionReason::RouterRefused | SessionReason::AddressFull => routers.advance(),
                // A fresh start begins with the preferred one.
                _ if started.elapsed() >= STABLE_AFTER => {
                    backoff.reset();
                    routers.restart();
                }
                SessionReason::RouterSilent => {
                    // To find out took long enough.
                    backoff.reset();
                    routers.advance();
                }
                _ => routers.advance(),
            }
            let backoff = if ended.slow { &mut slow_backoff } else { &mut backoff };
            let wait = backoff.next(&mut rand::rng());
            if ended.reason != SessionReason::ShuttingDown {
                tracing::info!(seconds = wait.as_secs_f64(), "will try the router again");
                self.pause(wait).await;
            }
        }
        if self.handle.status().reason != SessionReason::ShuttingDown {
            self.set_status(SessionReason::ShuttingDown, self.why_it_ends().to_owned(), routers.current());
        }
    }

    fn is_over(&self) -> bool {
        self.shutdown.is_cancelled() || self.retired.is_cancelled()
    }

    /// Waits for the end of the gateway, or of the mud's time on the network.
    async fn over(&self) {
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = self.retired.cancelled() => {}
        }
    }

    fn why_it_ends(&self) -> &'static str {
        if self.retired.is_cancelled() {
            "the mud leaves the network: its MudGateway is deleted"
        } else {
            "the gateway is shutting down"
        }
    }

    /// Whether another process may take over when this one ends.
    fn has_successors(&self) -> bool {
        self.holding.is_shared() && !self.retired.is_cancelled()
    }

    /// Waits until this process may hold the session. Returns for how long another one held it meanwhile.
    async fn stand_by(&self, router: &RouterAddress) -> Duration {
        let mut holding = self.holding.clone();
        // The lock is free, or ours again, in a moment: no news.
        let news_at = tokio::time::Instant::now() + STANDBY_AFTER;
        let mut told = false;
        let mut held_by_other: Option<Instant> = None;
        loop {
            let duty = holding.now();
            match duty {
                Duty::Holder => break,
                Duty::Standby => {
                    held_by_other.get_or_insert_with(Instant::now);
                    self.handle.hand_over();
                }
                Duty::Holdover | Duty::Unknown => {}
            }
            tokio::select! {
                () = self.over() => break,
                () = holding.wait_for(|now| now != duty) => {}
                () = tokio::time::sleep_until(news_at), if !told => {
                    told = true;
                    let (reason, message) = standing_by(duty);
                    self.set_status(reason, message.to_owned(), router);
                }
            }
        }
        held_by_other.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// One session from connecting to its end. `stood_by`: for how long another process held it just before.
    async fn attempt(
        &self,
        router: &RouterAddress,
        routers: &mut Routers,
        stood_by: Option<Duration>,
    ) -> Ended {
        match self.establish(router, stood_by).await {
            Ok((mut wire, mut session, permit)) => {
                let served = self.serve(router, routers, &mut wire, &mut session, permit).await;
                self.listener.on_link(LinkEvent::Ended);
                match served {
                    ControlFlow::Break(ended) => ended,
                    ControlFlow::Continue(()) => ended(SessionReason::SessionLost, "the session ended"),
                }
            }
            Err(ended) => ended,
        }
    }

    /// Connects and sends the registration.
    async fn establish(
        &self,
        router: &RouterAddress,
        stood_by: Option<Duration>,
    ) -> Result<(Wire, Session, InUse), Ended> {
        let takes_over = stood_by.is_some_and(|time| time >= TAKES_OVER_AFTER);
        let shutdown = || ended(SessionReason::ShuttingDown, self.why_it_ends());
        let password = tokio::select! {
            () = self.over() => return Err(shutdown()),
            password = self.memory.password(self.initial_password) => password.map_err(unavailable)?,
        };
        let (mut wire, permit) = tokio::select! {
            () = self.over() => return Err(shutdown()),
            connected = self.connect(router, takes_over, password.known) => connected?,
        };
        self.register(router, password.value, &mut wire).await?;
        // A registration repeats every subscription, so older ones need not go out.
        self.handle.outbox().forget(Class::Control);
        tracing::info!(%router, "registering with the router");
        // A wrong password must not be shown again and again: routers ban an address for that.
        let insist = stood_by.is_some() && password.known;
        Ok((wire, Session::new(&self.mud.name, &router.name, Instant::now(), password, insist), permit))
    }

    /// Waits for the turn, and connects.
    async fn connect(
        &self,
        router: &RouterAddress,
        takes_over: bool,
        known: bool,
    ) -> Result<(Wire, InUse), Ended> {
        let egress = self.rules.borrow().egress.clone();
        let door = Door::new(&self.permits, router, egress.name());
        let purpose = if takes_over { Purpose::TakeOver } else { Purpose::Connect };
        let waits = |ahead| {
            let message =
                format!("waiting to connect to {router}, which takes one a second: {ahead} muds go before");
            self.set_status(SessionReason::WaitingForPermit, message, router);
        };
        let mut holding = self.holding.clone();
        loop {
            let permit = tokio::select! {
                permit = door.turn(purpose, known, waits) => permit?,
                () = holding.wait_for(|duty| duty != Duty::Holder) => {
                    door.give_back().await;
                    return Err(may_not_open());
                }
            };
            if permit.is_void(Instant::now()) {
                door.give_back().await;
                continue;
            }
            return match Wire::connect(router, &egress, &self.metrics).await {
                Ok(wire) => Ok((wire, door.in_use())),
                Err(Failed { ended, seen }) => {
                    if seen {
                        drop(door.in_use());
                    } else {
                        door.give_back().await;
                    }
                    Err(ended)
                }
            };
        }
    }

    /// Sends the registration, if a session may be opened.
    async fn register(&self, router: &RouterAddress, password: i64, wire: &mut Wire) -> Result<(), Ended> {
        // By the clock: who was paused does not know its duty yet.
        if !self.holding.is_certain() {
            return Err(may_not_open());
        }
        self.handle.outbox().registered(Instant::now());
        let ids = self.listener.list_ids(&router.name);
        let startup = packets::startup(&self.mud, &router.name, password, ids);
        self.while_kept(wire.send(&startup)).await
    }

    /// Does work as long as the session may be kept.
    async fn while_kept<T>(&self, work: impl Future<Output = Result<T, Ended>>) -> Result<T, Ended> {
        self.holding.while_kept(work).await.unwrap_or_else(|| Err(taken_over()))
    }

    /// Reads and writes until the session ends.
    async fn serve(
        &self,
        router: &RouterAddress,
        routers: &mut Routers,
        wire: &mut Wire,
        session: &mut Session,
        permit: InUse,
    ) -> ControlFlow<Ended> {
        let mut stall_check = interval(wire::STALL_CHECK);
        let egress = self.rules.borrow().egress.clone();
        let mut leave = std::pin::pin!(self.time_to_leave(router, &egress));
        let mut holding = self.holding.clone();
        let mut permit = Some(permit);
        loop {
            let duty = holding.now();
            if !duty.may_keep() {
                return ControlFlow::Break(taken_over());
            }
            if duty == Duty::Holdover && !session.is_established() {
                return ControlFlow::Break(may_not_open());
            }
            session.set_watchful(duty == Duty::Holdover);
            self.handle.outbox().set_shared(Instant::now(), duty == Duty::Holdover);
            let connected = self.handle.status().is_connected();
            let pace = if connected { self.send_waiting(wire, session).await? } else { None };
            let wake_at = pace.map_or(session.deadline(), |pace| pace.min(session.deadline()));
            tokio::select! {
                biased;
                () = &mut leave => {
                    return ControlFlow::Break(self.farewell(router, routers, wire, session).await);
                }
                () = holding.wait_for(|now| now != duty) => {}
                packet = wire.receive() => {
                    // Routers say nothing but to those they have accepted.
                    drop(permit.take());
                    if self.receive(router, routers, session, into_flow(packet)?).await? {
                        return ControlFlow::Break(self.redirect(router, routers, wire).await);
                    }
                }
                _ = stall_check.tick() => into_flow(wire.check_stall())?,
                () = self.handle.shared.wake.notified() => {}
                () = self.handle.shared.reconnect.notified() => {
                    return ControlFlow::Break(ended(SessionReason::SessionLost, "asked to reconnect"));
                }
                () = tokio::time::sleep_until(wake_at.into()) => {
                    self.look_after(router, wire, session).await?;
                }
            }
        }
    }

    /// Does what is due for the session by the time.
    async fn look_after(
        &self,
        router: &RouterAddress,
        wire: &mut Wire,
        session: &mut Session,
    ) -> ControlFlow<Ended> {
        match session.due(Instant::now()) {
            Due::Nothing => ControlFlow::Continue(()),
            Due::Probe(probe) => {
                self.handle.outbox().probed(Instant::now());
                into_flow(self.while_kept(wire.send(&probe)).await)
            }
            Due::Register => into_flow(self.register(router, session.password().value, wire).await),
            Due::Refused => ControlFlow::Break(refused(&self.mud, router, session.password().known)),
            Due::Silent => {
                let message = format!("{} stopped answering", router.name);
                ControlFlow::Break(ended(SessionReason::RouterSilent, message))
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
        let now = Instant::now();
        self.handle.outbox().delayed(now, session.late(now));
        match session.receive(now, packet) {
            Received::Registered { password, routers: list } => {
                let keeping = self.memory.keep_password(session.password(), password);
                into_flow(self.while_kept(async { keeping.await.map_err(unavailable) }).await)?;
                if routers.learn(&list) {
                    self.memory.keep_routers(routers).await;
                }
                if list.first().is_some_and(|preferred| routers.redirect(Instant::now(), &preferred.name)) {
                    return ControlFlow::Continue(true);
                }
                let message = format!("registered with {}", router.name);
                self.metrics.router.established(session.started().elapsed());
                self.set_status(SessionReason::SessionEstablished, message, router);
                self.listener.on_link(LinkEvent::Established);
            }
            Received::Deliver(packet) if is_bad_mojo(&packet) && self.holding.now() == Duty::Holdover => {
                let message = "another process of this mud registers with the router";
                return ControlFlow::Break(ended(SessionReason::Standby, message));
            }
            Received::Deliver(packet) => {
                let start = Instant::now();
                let span =
                    tracing::info_span!("packet from router", kind = packet.kind(), otel.kind = "consumer");
                span.in_scope(|| self.listener.on_link(LinkEvent::Packet(packet)));
                self.metrics.router.processed(start.elapsed());
            }
            Received::Ignore(why) => tracing::debug!(why, "ignored a packet"),
        }
        ControlFlow::Continue(false)
    }

    /// Leaves a router that named another one as preferred: the name must be free there at once.
    async fn redirect(&self, router: &RouterAddress, routers: &Routers, wire: &mut Wire) -> Ended {
        let preferred = routers.current();
        tracing::info!(%router, %preferred, "the router names another one as preferred; going there");
        let message = format!("{} sends us to {}", router.name, preferred.name);
        match wire.send(&packets::shutdown(&self.mud.name, &router.name, 0)).await {
            Ok(()) => ended(SessionReason::Redirected, message),
            Err(error) => Ended { reason: SessionReason::Redirected, ..error },
        }
    }

    /// Sends what waits, as far as the pace and the link allow; then when to look again.
    async fn send_waiting(
        &self,
        wire: &mut Wire,
        session: &mut Session,
    ) -> ControlFlow<Ended, Option<Instant>> {
        loop {
            if !session.may_send() {
                return ControlFlow::Continue((self.handle.waiting() > 0).then(|| session.deadline()));
            }
            let next = self.handle.outbox().next(Instant::now());
            let entry = match next {
                Next::Send(entry) => *entry,
                Next::At(then) => return ControlFlow::Continue(Some(then)),
                Next::Empty => return ControlFlow::Continue(None),
            };
            match self.while_kept(wire.send_text(&entry.packet, entry.text.clone())).await {
                Ok(()) => {
                    if entry.class.is_counted() {
                        session.sent(Instant::now());
                    }
                    self.metrics.router.waited(entry.class, entry.since.elapsed());
                    self.handle.outbox().note_gone(&entry);
                    entry.taken();
                    self.handle.note_change();
                }
                Err(ended) => {
                    self.handle.outbox().restore(entry);
                    self.handle.note_change();
                    return ControlFlow::Break(ended);
                }
            }
        }
    }

    /// Resolves when this process ends and its successor, if there may be one, can connect at once. Until then the
    /// session goes on.
    async fn time_to_leave(&self, router: &RouterAddress, egress: &Egress) {
        self.over().await;
        if self.has_successors() {
            let door = Door::new(&self.permits, router, egress.name());
            // Without a permit the successor has to wait for its turn.
            let _ = timeout(HAND_OVER, door.turn(Purpose::HandOver, true, |_| {})).await;
        }
    }

    async fn pause(&self, wait: Duration) {
        let mut holding = self.holding.clone();
        tokio::select! {
            // When the session comes to be ours again, that is a fresh start.
            () = holding.wait_for(|duty| duty != Duty::Holder) => {}
            () = self.over() => {}
            () = self.handle.shared.reconnect.notified() => {}
            () = sleep(wait) => {}
        }
    }

    fn set_status(&self, reason: SessionReason, message: String, router: &RouterAddress) {
        let established = reason == SessionReason::SessionEstablished;
        let before = self.handle.status();
        let since = established.then(|| before.since.unwrap_or_else(Timestamp::now));
        self.handle.set_status(SessionStatus {
            reason,
            message: message.clone(),
            router: Some(router.name.clone()),
            address: Some(router.host_and_port()),
            egress: Some(self.rules.borrow().egress.name()),
            since,
        });
        // Who reads this may count on it.
        if established || matches!(reason, SessionReason::ShuttingDown | SessionReason::Standby) {
            tracing::info!(reason = reason.as_str(), detail = message, "router session");
        } else {
            tracing::warn!(reason = reason.as_str(), detail = message, "router session");
        }
    }
}
