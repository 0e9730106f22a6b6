//! What muds elsewhere say, between us and hosted muds whose link is down.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Services;
use crate::bus::{ChannelMessage, Path, Relayed, Scope};

impl Services {
    /// Offers what the router brought to hosted muds that do not get it from there: also what we ourselves ignore.
    pub(super) fn offer_to_relay(&self, path: Path, said: Option<&ChannelMessage>) {
        if let (Path::Router, Some(said), Some(bus)) = (path, said, &self.bus) {
            bus.relay.offer(Instant::now(), said);
        }
    }

    /// Handles what another hosted mud relays to us.
    pub fn on_relayed(&self, relayed: Relayed) {
        let Relayed { by, number, message, .. } = relayed;
        if self.scope(&message.channel) != Scope::Network || !self.is_wanted(&message.channel) {
            return;
        }
        if self.policy().ignores_user(&message.user, &message.mud) {
            self.ignored.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.deliver(Path::Relay { by, number }, None, message);
    }
}
