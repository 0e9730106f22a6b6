//! Channels between the muds of one provider: never sent to the router, never taken from it.
//!
//! Only a mud that is configured to have such a channel is on it, and its name is then no name of a channel of the
//! network's any more.

use tokio::time::timeout;

use super::Services;
use crate::bus::{ChannelEvent, ChannelMessage, Path, Scope};
use crate::hub::{Addressed, Event, Trouble};
use crate::metrics::Direction;
use crate::router::{Accepted, NotAccepted, SENT_WITHIN};

impl Services {
    /// How far a channel reaches.
    pub fn scope(&self, channel: &str) -> Scope {
        self.configured.get(channel).map(|configured| configured.scope).unwrap_or_default()
    }

    /// The channels of the provider's that we are on, sorted.
    pub fn provider_channels(&self) -> Vec<String> {
        let ours = self.configured.iter().filter(|(_, configured)| configured.scope == Scope::Provider);
        ours.map(|(name, _)| name.clone()).collect()
    }

    /// Whether the users of ours on a channel are any business of a mud that asks: of a channel of the provider's they
    /// are that of its members alone.
    pub(super) fn shows(&self, path: Path, mud: &str, channel: &str) -> bool {
        match (self.scope(channel), &self.bus) {
            (Scope::Network, _) => self.is_wanted(channel),
            (Scope::Provider, Some(bus)) => path == Path::Bus && bus.direct.is_member(mud, channel),
            (Scope::Provider, None) => false,
        }
    }

    /// How many muds are on a channel of the provider's, as far as they have told.
    pub fn provider_members(&self, channel: &str) -> usize {
        let others = self.bus.as_ref().map_or(0, |bus| bus.direct.members(channel));
        others + usize::from(self.is_wanted(channel))
    }

    /// Says something on a channel of the provider's: it is sent when the bus has stored it.
    ///
    /// # Errors
    /// [`NotAccepted`]; nothing was said then.
    pub(super) async fn say_to_provider(&self, said: ChannelMessage) -> Result<Accepted, NotAccepted> {
        let bus = self.bus.as_ref().ok_or(NotAccepted::BusFull)?;
        let event = ChannelEvent::new(said, Scope::Provider);
        let number = bus.publisher.publish(event)?;
        self.metrics.channels.message(Direction::Out, true);
        let stored = timeout(SENT_WITHIN, bus.publisher.done(number)).await;
        Ok(if stored.is_ok() { Accepted::Sent } else { Accepted::Queued })
    }

    /// The bus was away too long for what was said on a channel. What went to the router as well is heard.
    pub fn on_unpublished(&self, event: &ChannelEvent) {
        if event.scope != Scope::Provider {
            return;
        }
        let said = &event.message;
        let text = format!("the bus was away too long, so what was said on {} was not sent", said.channel);
        let to =
            Addressed { from_mud: said.mud.clone(), to_mud: said.mud.clone(), to_user: said.user.clone() };
        self.hub.publish(Event::Error(Trouble::new("not-sent", &text, to).about(None)));
    }
}
