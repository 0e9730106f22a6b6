//! Tasks that look at the others.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::bus::lock::Holding;
use crate::hub::CloseReason;
use crate::metrics::Metrics;
use crate::router::{LinkEvent, LinkListener, RouterHandle};
use crate::services::Services;
use crate::services::useless::Useless;

/// Counts the changes of what this process may do with the router session.
pub(super) async fn watch_duty(mut holding: Holding, metrics: Arc<Metrics>, stop: CancellationToken) {
    loop {
        let duty = holding.now();
        metrics.bus.duty(duty);
        tokio::select! {
            () = stop.cancelled() => return,
            () = holding.wait_for(|now| now != duty) => {}
        }
    }
}

/// Does something until it is to stop.
pub(super) async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Looks each second for what is due: packets that waited too long, and messages nobody decided about.
pub(super) async fn each_second(router: RouterHandle, services: Arc<Services>, stop: CancellationToken) {
    let mut second = interval(Duration::from_secs(1));
    let mut useless = Useless::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = second.tick() => {}
        }
        let now = Instant::now();
        services.on_second(now);
        // Without a bus there is no other process to go to.
        let useful = services.bus_connected().is_none() || services.is_ready();
        if useless.look(now, useful) {
            services.hub.close_all(CloseReason::Useless);
        }
        for packet in router.expire() {
            services.on_link(LinkEvent::Expired(packet));
        }
    }
}
