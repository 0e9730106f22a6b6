//! What the metrics show of the services.

use super::Services;
use crate::hub::Transport;
use crate::metrics::Now;

impl Services {
    /// What is so at the moment.
    pub fn now(&self) -> Now {
        let (known, sessions) = (self.known(), self.hub.sessions());
        let queued = || sessions.iter().map(|session| session.queue.bytes());
        Now {
            status: self.router.status(),
            waiting: self.router.waiting_by_class(),
            muds: known.muds,
            muds_up: known.muds_up,
            channels: known.channels,
            ignored: self.ignored(),
            requests_dropped: self.requests_dropped(),
            bus: self.bus_connected(),
            unpublished: self.unpublished(),
            epoch: self.hub.position().epoch,
            sessions: Transport::ALL.map(|transport| self.hub.count(transport)),
            queued: queued().sum(),
            most_queued: queued().max().unwrap_or_default(),
            queue_limit: sessions.last().map(|session| session.queue.limit()),
            tells_dropped: self.hub.tells_dropped(),
        }
    }
}
