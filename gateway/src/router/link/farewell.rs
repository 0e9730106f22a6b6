//! The end of a session because the process ends, or the mud leaves the network.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use futures::FutureExt;
use mudgateway_crds::report::SessionReason;
use tokio::time::timeout;

use super::Link;
use crate::bus::lock::Duty;
use crate::packets;
use crate::router::Class;
use crate::router::RouterAddress;
use crate::router::ended::{Ended, ended, into_flow};
use crate::router::routers::Routers;
use crate::router::session::Session;
use crate::router::wire::Wire;

/// How long what waits may still be sent, where no other process would send it.
const DRAIN: Duration = Duration::from_secs(5);

/// The most packets taken at the very end, which have come already.
const LAST: usize = 1000;

impl Link {
    /// At the end: what waits goes out, then the router is told, so that the name is free at once. What comes meanwhile is
    /// taken: for the router it has arrived.
    pub(super) async fn farewell(
        &self,
        router: &RouterAddress,
        routers: &mut Routers,
        wire: &mut Wire,
        session: &mut Session,
    ) -> Ended {
        self.handle.outbox().forget(Class::Background);
        let drained = timeout(DRAIN, self.drain(router, routers, wire, session)).await.is_ok();
        for _ in 0..LAST {
            let Some(Ok(packet)) = wire.receive().now_or_never() else { break };
            // What a packet at the very end means for the session does not count any more.
            let _ = self.receive(router, routers, session, packet).await;
        }
        let left = self.handle.waiting();
        if !drained || left > 0 {
            tracing::info!(packets = left, "packets still wait for the router; they are kept");
        }
        ended(SessionReason::ShuttingDown, self.why_it_ends())
    }

    /// Sends what waits, as far as nobody else will.
    async fn drain(
        &self,
        router: &RouterAddress,
        routers: &mut Routers,
        wire: &mut Wire,
        session: &mut Session,
    ) -> ControlFlow<Ended> {
        while self.handle.status().is_connected()
            && let Some(pace) = self.send_waiting(wire, session).await?
            && !self.leaves_a_successor()
        {
            let until = pace.min(session.deadline());
            if self.receive_until(until, router, routers, wire, session).await?.is_none() {
                self.look_after(router, wire, session).await?;
            }
        }
        // A registration alone is six of the ten packets that a router takes of a name in a second, and one too many has it
        // ignore the mud for up to ten seconds (rules 40 and 41).
        let quiet_from = self.handle.outbox().quiet_from();
        if let Some(quiet) = quiet_from.filter(|_| self.leaves_a_successor()) {
            while self.receive_until(quiet, router, routers, wire, session).await?.is_some() {}
        }
        // Where another process may take over, the end of the connection says enough.
        if !self.has_successors() {
            into_flow(wire.send(&packets::shutdown(&self.mud.name, &router.name, 0)).await)?;
        }
        ControlFlow::Continue(())
    }

    /// Takes the next packet, if it comes before then.
    async fn receive_until(
        &self,
        until: Instant,
        router: &RouterAddress,
        routers: &mut Routers,
        wire: &mut Wire,
        session: &mut Session,
    ) -> ControlFlow<Ended, Option<()>> {
        tokio::select! {
            packet = wire.receive() => {
                self.receive(router, routers, session, into_flow(packet)?).await?;
                ControlFlow::Continue(Some(()))
            }
            () = tokio::time::sleep_until(until.into()) => ControlFlow::Continue(None),
        }
    }

    /// Whether another process takes over, and finds what waits: without the bus it would not.
    fn leaves_a_successor(&self) -> bool {
        self.has_successors() && self.holding.now() == Duty::Holder
    }
}
