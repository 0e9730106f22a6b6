//! Which hosted muds have lost their link to the router: each gateway tells the others of its own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_nats::Message;
use futures::StreamExt;
use mudgateway_crds::bus::{links_filter, links_subject};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::direct::{Direct, NAME};
use super::lock::Holding;
use crate::router::SessionStatus;
use crate::supervise::Supervisor;
use crate::sync::lock;

/// How often a link state is told again, so that who has just come hears of it.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// How long a link state is good for: a gateway that tells no more may be gone.
const CURRENT: Duration = Duration::from_secs(15);

/// The most muds remembered. More are not known to be cut, and then the router is asked as ever.
const MUDS: usize = 1000;

/// The hosted muds whose link is down, as their gateways told lately; pure, with the time as a parameter.
#[derive(Debug, Default)]
pub struct LinkStates {
    cut: HashMap<String, Instant>,
}

impl LinkStates {
    /// Takes what the gateway of a mud tells of its link; true when that is news.
    pub fn told(&mut self, now: Instant, mud: &str, connected: bool) -> bool {
        self.cut.retain(|_, told| now.duration_since(*told) < CURRENT);
        if connected {
            return self.cut.remove(mud).is_some();
        }
        let room = self.cut.len() < MUDS || self.cut.contains_key(mud);
        room && self.cut.insert(mud.to_owned(), now).is_none()
    }

    /// Whether a mud's link is known to be down.
    pub fn is_cut(&self, now: Instant, mud: &str) -> bool {
        self.cut.get(mud).is_some_and(|told| now.duration_since(*told) < CURRENT)
    }

    /// Whether any mud's link is known to be down.
    pub fn any_cut(&self, now: Instant) -> bool {
        self.cut.values().any(|told| now.duration_since(*told) < CURRENT)
    }
}

/// What a gateway tells.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LinkState {
    mud: String,
    connected: bool,
}

impl Direct {
    /// Starts telling the others how our link is, and listening to how theirs are. Of several processes of a mud only
    /// the one that may hold the session tells.
    pub fn start_links(
        &self,
        status: watch::Receiver<SessionStatus>,
        holding: Holding,
        supervisor: &Supervisor,
        stop: CancellationToken,
    ) {
        let (teller, listener) = (self.clone(), self.clone());
        supervisor.spawn("link states", async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = teller.tell_links(status, holding) => {}
                () = listener.follow_links() => {}
            }
        });
    }

    async fn tell_links(&self, mut status: watch::Receiver<SessionStatus>, holding: Holding) {
        let subject = links_subject(&self.network, &self.mud);
        let mut again = interval(TOLD_EVERY);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = again.tick() => {}
                changed = status.changed() => if changed.is_err() { return },
            }
            let connected = status.borrow_and_update().is_connected();
            if !holding.now().may_keep() || !self.is_connected() {
                continue;
            }
            // A text and a boolean can always be written.
            let state = LinkState { mud: self.mud.clone(), connected };
            let payload = serde_json::to_vec(&state).unwrap_or_default();
            if let Err(error) = self.client.publish(subject.clone(), payload.into()).await {
                tracing::debug!(%error, "cannot tell others of our link");
            }
        }
    }

    async fn follow_links(&self) {
        loop {
            match self.client.subscribe(links_filter(&self.network)).await {
                Ok(mut states) => {
                    while let Some(message) = states.next().await {
                        self.on_link_state(&message);
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot follow the links of others; trying again"),
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    fn on_link_state(&self, message: &Message) {
        match read(&self.network, &message.subject, &message.payload) {
            Some(state) if state.mud != self.mud => {
                let LinkState { mud, connected } = state;
                if lock(&self.links).told(Instant::now(), &mud, connected) {
                    tracing::debug!(mud, connected, "the link of another mud");
                }
            }
            Some(_) => {}
            None => tracing::debug!(subject = %message.subject, "ignored a link state that cannot be read"),
        }
    }
}

/// What a message tells; none when it cannot be read, or tells of another mud than its subject says.
fn read(network: &str, subject: &str, payload: &[u8]) -> Option<LinkState> {
    let state: LinkState = serde_json::from_slice(payload).ok()?;
    (state.mud.len() <= NAME && links_subject(network, &state.mud) == subject).then_some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mud_is_cut_until_it_tells_otherwise_or_no_more() {
        let now = Instant::now();
        let mut links = LinkStates::default();
        assert!(!links.is_cut(now, "Dusk") && !links.any_cut(now));
        assert!(!links.told(now, "Dusk", true), "no news");
        assert!(links.told(now, "Dusk", false));
        assert!(links.is_cut(now, "Dusk") && links.any_cut(now) && !links.is_cut(now, "Dawn"));
        assert!(links.told(now, "Dusk", true));
        assert!(!links.is_cut(now, "Dusk") && !links.any_cut(now));
        links.told(now, "Dusk", false);
        assert!(!links.told(now + Duration::from_secs(5), "Dusk", false), "the same again");
        assert!(links.is_cut(now + Duration::from_secs(19), "Dusk"));
        assert!(!links.is_cut(now + Duration::from_secs(20), "Dusk"));
        assert!(!links.any_cut(now + Duration::from_secs(20)));
    }

    #[test]
    fn names_take_no_memory_without_end_and_what_is_old_makes_room() {
        let now = Instant::now();
        let mut links = LinkStates::default();
        for index in 0..MUDS + 10 {
            links.told(now, &index.to_string(), false);
        }
        assert_eq!(links.cut.len(), MUDS);
        links.told(now + Duration::from_secs(1), "0", false);
        assert!(links.is_cut(now + CURRENT, "0"), "one that is known is renewed all the same");
        links.told(now + CURRENT, "new", false);
        assert_eq!(links.cut.len(), 2);
    }

    #[test]
    fn a_gateway_tells_of_its_own_mud_alone() {
        let payload = br#"{"mud":"My Mud","connected":false}"#;
        let read = |subject: &str, payload: &[u8]| read("*test", subject, payload);
        let subject = links_subject("*test", "My Mud");
        assert_eq!(read(&subject, payload), Some(LinkState { mud: "My Mud".into(), connected: false }));
        assert_eq!(read(&links_subject("*test", "Other"), payload), None);
        assert_eq!(read(&links_subject("*other", "My Mud"), payload), None);
        assert_eq!(read(&subject, b"{}"), None);
    }
}
