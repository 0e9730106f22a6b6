//! What is known of the other hosted muds: pure, with the time as a parameter.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How long what a gateway told is good for: one that tells no more may be gone.
const CURRENT: Duration = Duration::from_secs(15);

/// The most muds remembered. Of more nothing is known, and then the router is asked as ever.
const MUDS: usize = 1000;

/// While relays are needed those that may be elected tell each second; who has not for so long is not elected.
const HEALTHY: Duration = Duration::from_secs(3);

/// How long after a need has begun those count as healthy that have not told since.
const SETTLE: Duration = Duration::from_millis(1500);

/// What a gateway tells the others of its mud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// The mud.
    pub mud: String,
    /// Whether its link to the router is up.
    pub connected: bool,
    /// The channels of the network it is on. Older gateways tell none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub channels: BTreeSet<String>,
    /// The channels of the provider it is on.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub provider: BTreeSet<String>,
    /// Whether it wants to be told what is said on its channels, because its link is down.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub relay: bool,
}

/// What the gateways of the other hosted muds told lately.
#[derive(Debug, Default)]
pub struct LinkStates {
    muds: HashMap<String, (Instant, LinkState)>,
}

impl LinkStates {
    /// Takes what the gateway of a mud tells; true when it is news whether its link is up. A link that is up and was
    /// not known to be down is none.
    pub fn told(&mut self, now: Instant, state: LinkState) -> bool {
        self.muds.retain(|_, (told, _)| now.duration_since(*told) < CURRENT);
        if self.muds.len() >= MUDS && !self.muds.contains_key(&state.mud) {
            return false;
        }
        let connected = state.connected;
        let before = self.muds.insert(state.mud.clone(), (now, state));
        before.map_or(!connected, |(_, before)| before.connected != connected)
    }

    /// Whether a mud's link is known to be down.
    pub fn is_cut(&self, now: Instant, mud: &str) -> bool {
        self.of(now, mud).is_some_and(|state| !state.connected)
    }

    /// Whether any mud's link is known to be down.
    pub fn any_cut(&self, now: Instant) -> bool {
        self.current(now).any(|(_, state)| !state.connected)
    }

    /// Whether a mud is known to be a hosted one.
    pub fn is_hosted(&self, now: Instant, mud: &str) -> bool {
        self.of(now, mud).is_some()
    }

    /// Whether a mud has told that it is on a channel of the provider's.
    pub fn is_member(&self, now: Instant, mud: &str, channel: &str) -> bool {
        self.of(now, mud).is_some_and(|state| state.provider.contains(channel))
    }

    /// How many muds have told that they are on a channel of the provider's.
    pub fn members(&self, now: Instant, channel: &str) -> usize {
        self.current(now).filter(|(_, state)| state.provider.contains(channel)).count()
    }

    /// The channels that muds want relayed, and which muds.
    pub fn needs(&self, now: Instant) -> BTreeMap<String, BTreeSet<String>> {
        let mut needs: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (_, state) in self.current(now).filter(|(_, state)| state.relay) {
            for channel in &state.channels {
                needs.entry(channel.clone()).or_default().insert(state.mud.clone());
            }
        }
        needs
    }

    /// The muds that can relay a channel which is needed since then.
    pub fn relays(&self, now: Instant, channel: &str, since: Instant) -> impl Iterator<Item = &str> {
        let healthy = move |told: Instant| match told >= since {
            true => now.duration_since(told) < HEALTHY,
            false => now.duration_since(since) < SETTLE,
        };
        self.current(now)
            .filter(move |(told, state)| {
                state.connected && state.channels.contains(channel) && healthy(*told)
            })
            .map(|(_, state)| state.mud.as_str())
    }

    fn of(&self, now: Instant, mud: &str) -> Option<&LinkState> {
        let (told, state) = self.muds.get(mud)?;
        (now.duration_since(*told) < CURRENT).then_some(state)
    }

    fn current(&self, now: Instant) -> impl Iterator<Item = (Instant, &LinkState)> {
        let current = self.muds.values().filter(move |(told, _)| now.duration_since(*told) < CURRENT);
        current.map(|(told, state)| (*told, state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(mud: &str, connected: bool) -> LinkState {
        LinkState { mud: mud.into(), connected, ..LinkState::default() }
    }

    #[test]
    fn a_mud_is_cut_until_it_tells_otherwise_or_no_more() {
        let now = Instant::now();
        let mut links = LinkStates::default();
        assert!(!links.is_cut(now, "Dusk") && !links.any_cut(now));
        assert!(!links.told(now, state("Dusk", true)), "no news");
        assert!(links.told(now, state("Dusk", false)));
        assert!(links.is_cut(now, "Dusk") && links.any_cut(now) && !links.is_cut(now, "Dawn"));
        assert!(links.told(now, state("Dusk", true)));
        assert!(!links.is_cut(now, "Dusk") && !links.any_cut(now) && links.is_hosted(now, "Dusk"));
        links.told(now, state("Dusk", false));
        assert!(!links.told(now + Duration::from_secs(5), state("Dusk", false)), "the same again");
        assert!(links.is_cut(now + Duration::from_secs(19), "Dusk"));
        assert!(!links.is_cut(now + Duration::from_secs(20), "Dusk"));
        assert!(!links.any_cut(now + Duration::from_secs(20)));
        assert!(!links.is_hosted(now + Duration::from_secs(20), "Dusk"));
    }

    #[test]
    fn names_take_no_memory_without_end_and_what_is_old_makes_room() {
        let now = Instant::now();
        let mut links = LinkStates::default();
        for index in 0..MUDS + 10 {
            links.told(now, state(&index.to_string(), false));
        }
        assert_eq!(links.muds.len(), MUDS);
        links.told(now + Duration::from_secs(1), state("0", false));
        assert!(links.is_cut(now + CURRENT, "0"), "one that is known is renewed all the same");
        links.told(now + CURRENT, state("new", false));
        assert_eq!(links.muds.len(), 2);
    }

    #[test]
    fn members_of_a_channel_of_the_providers_are_those_that_told_so() {
        let now = Instant::now();
        let mut links = LinkStates::default();
        links.told(now, LinkState { provider: ["staff".into()].into(), ..state("Dusk", false) });
        links.told(now, LinkState { channels: ["staff".into()].into(), ..state("Noon", true) });
        assert!(links.is_member(now, "Dusk", "staff") && !links.is_member(now, "Noon", "staff"));
        assert_eq!((links.members(now, "staff"), links.members(now, "other")), (1, 0));
    }

    #[test]
    fn what_an_older_gateway_tells_is_understood_and_a_new_one_tells_it_no_more_than_needed() {
        let old = r#"{"mud":"Dusk","connected":true}"#;
        let read: LinkState = serde_json::from_str(old).unwrap();
        assert_eq!(read, state("Dusk", true));
        assert_eq!(serde_json::to_string(&read).unwrap(), old);
    }
}
