//! What a gateway does on the bus.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::bus::{Bus, BusError, Direct, Nats, Publisher, Relay, Waiting, report, retire};
use crate::config::Config;
use crate::hub::Outgoing;
use crate::metrics::Metrics;
use crate::replicas::{self, LogEnd, Replicas};
use crate::services::BusLink;
use crate::supervise::Supervisor;

/// The connection to the bus, before anything is done there.
pub(super) struct OnBus {
    pub bus: Bus,
    direct: Direct,
    relay: Relay,
    unpublished: Waiting,
    to_others: mpsc::Receiver<Outgoing>,
}

impl OnBus {
    /// Connects, if only in the background, and makes what the services need of it.
    pub async fn connect(
        nats: &Nats,
        config: &Config,
        metrics: &Arc<Metrics>,
        supervisor: &Supervisor,
        stop: &CancellationToken,
    ) -> Result<(Self, BusLink), BusError> {
        let bus = Bus::connect(nats, &config.network, &config.mud.name, &config.holder, metrics).await?;
        let direct = Direct::start(&bus, &config.mud.name, Arc::clone(metrics), supervisor, stop.clone());
        // Another number for each process, so that what two of them relay is told apart.
        let relay = Relay::start(&direct, rand::random(), supervisor, stop.clone());
        let (publisher, unpublished) = Publisher::new();
        let (outgoing, to_others) = mpsc::channel(replicas::QUEUE);
        let (direct_link, relay_link) = (direct.clone(), relay.clone());
        let link = BusLink {
            direct: direct_link,
            relay: relay_link,
            publisher,
            connected: bus.connected(),
            writes: bus.writes().clone(),
            outgoing,
        };
        Ok((Self { bus, direct, relay, unpublished, to_others }, link))
    }

    /// Starts everything that is done there; returns how to end the log that the mud's processes share.
    pub fn start(self, config: &Config, me: &str, parts: &Parts) -> LogEnd {
        let Parts { supervisor, services, holding, stops, .. } = parts;
        self.bus.start_login(supervisor, stops.bus.clone());
        let speaker = Arc::clone(services);
        let stop = stops.bus.clone();
        self.bus.start_publisher(self.unpublished, supervisor, stops.clients.clone(), stop, move |event| {
            speaker.on_unpublished(&event);
        });
        let log_end = Replicas::start(&self.bus, me, services, self.to_others, supervisor, &stops.bus);
        let (reader, listener) = (Arc::clone(services), Arc::clone(services));
        self.bus.start_subscriber(
            holding.clone(),
            supervisor,
            stops.bus.clone(),
            move || reader.stream_place(),
            move |place, event| listener.on_bus(place, event),
        );
        start_report(&self.bus, config, parts);
        let (mud, status) = (config.mud.name.clone(), parts.router.watch());
        let (holding, retired) = (holding.clone(), stops.retired.clone());
        let retirement = retire::serve(self.bus, mud, status, holding, retired, stops.bus.clone());
        supervisor.spawn("retirement", retirement);
        start_direct(&self.direct, self.relay, parts);
        log_end
    }
}

/// Reports to the operator, if one made this process.
fn start_report(bus: &Bus, config: &Config, parts: &Parts) {
    let Some(resource) = &config.kubernetes else { return };
    let hub = Arc::clone(&parts.services);
    let report = report::run(
        bus.context().clone(),
        resource.clone(),
        config.holder.clone(),
        parts.router.watch(),
        parts.holding.clone(),
        move || hub.hub.count_all(),
        parts.stops.bus.clone(),
    );
    parts.supervisor.spawn("report", report);
}

/// Packets from one hosted mud to another, and which of them have a link.
fn start_direct(direct: &Direct, relay: Relay, parts: &Parts) {
    let Parts { supervisor, services, holding, router, stops, .. } = parts;
    let (listener, member, hearer) = (Arc::clone(services), Arc::clone(services), Arc::clone(services));
    direct.start_links(
        relay,
        router.watch(),
        holding.clone(),
        move || member.wanted(),
        move |relayed| hearer.on_relayed(relayed),
        supervisor,
        stops.bus.clone(),
    );
    let take = move |packet| listener.on_direct(packet);
    direct.start_mailbox(router.watch(), holding.clone(), supervisor, stops.link.clone(), take);
}
