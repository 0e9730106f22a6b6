//! What muds elsewhere say, between us and hosted muds whose link is down.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Services;
use crate::bus::{ChannelMessage, Path, Relayed, Scope};
use crate::sync::lock;

/// The most channels of which it is remembered that the router has brought talk.
const CHANNELS: usize = 1000;

/// By how much what is known of when something was said may be wrong: it waits on its way to the relay, to us, and through
/// the process that held the session before.
const SAID_ABOUT: Duration = Duration::from_secs(1);

/// The channels of which the present session with the router has brought talk. From then on it brings all that is said
/// there, and what others relay only now comes too late to be in order.
#[derive(Debug, Default)]
pub(super) struct Brought(HashSet<String>);

impl Brought {
    /// Whether a copy that comes this way can be in order. How long ago something was said does not tell: it may have
    /// waited anywhere on its way.
    pub fn takes(&mut self, path: Path, channel: &str) -> bool {
        let (known, full) = (self.0.contains(channel), self.0.len() >= CHANNELS);
        match path {
            Path::Bus => true,
            Path::Relay { .. } => !known && !full,
            Path::Router => {
                if !known && !full {
                    self.0.insert(channel.to_owned());
                }
                true
            }
        }
    }
}

impl Services {
    /// Offers what the router brought to hosted muds that do not get it from there: also what we ourselves ignore.
    pub(super) fn offer_to_relay(&self, path: Path, said: Option<&ChannelMessage>) {
        if let (Path::Router, Some(said), Some(bus)) = (path, said, &self.bus) {
            bus.relay.offer(Instant::now(), said);
        }
    }

    /// Handles what another hosted mud relays to us.
    pub fn on_relayed(&self, relayed: Relayed) {
        let Relayed { by, number, age, message, .. } = relayed;
        if self.scope(&message.channel) != Scope::Network || !self.is_wanted(&message.channel) {
            return;
        }
        if self.policy().ignores_user(&message.user, &message.mud) {
            self.ignored.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // A relay tells the last seconds again. What is not known of that though a session brought what was said later had been
        // lost before that session began: now it would be out of order.
        let said = Instant::now().checked_sub(Duration::from_millis(age));
        let later = said.and_then(|said| said.checked_add(SAID_ABOUT));
        if later.is_some_and(|later| lock(&self.copies).brought_after(later, &message.channel)) {
            return;
        }
        self.deliver(Path::Relay { by, number }, None, message);
    }
}
