//! What is known of the other hosted muds: pure, with the time as a parameter.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How long what a gateway told is good for at least: one that tells no more may be gone.
const CURRENT: Duration = Duration::from_secs(15);

/// It is good for so many of the intervals at which the gateway tells.
const INTERVALS: u32 = 3;

/// The longest interval that is believed.
const LONGEST: Duration = Duration::from_secs(300);

/// The most muds remembered. Of more nothing is known, and then the router is asked as ever.
const MUDS: usize = 10_000;

/// The most bytes of names remembered.
const BYTES: usize = 16 << 20;

/// How often what is old makes room.
const SWEEP: Duration = Duration::from_secs(1);

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

impl LinkState {
    /// How many bytes its names have.
    fn bytes(&self) -> usize {
        self.channels.iter().chain(&self.provider).chain([&self.mud]).map(String::len).sum()
    }
}

/// A state as it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The state.
    #[serde(flatten)]
    pub state: LinkState,
    /// The interval at which it is told, in milliseconds; 0 from older gateways.
    #[serde(default)]
    pub every: u64,
    /// Whether who tells it has yet to hear of the others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asks: bool,
}

/// What is new in what was told. Of one that there is no room for nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Who tells it has yet to hear of the others.
    pub asks: bool,
    /// Whether its link is up. A link that is up and was not known to be down is no news.
    pub link: bool,
    /// Anything: who relays what may be another one now.
    pub any: bool,
}

/// What the gateways of the other hosted muds told lately.
#[derive(Debug, Default)]
pub struct LinkStates {
    muds: HashMap<String, Known>,
    bytes: usize,
    /// How many times a mud has come to need relays.
    needs: u64,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Known {
    told: Instant,
    until: Instant,
    older: bool,
    /// The number of its need, if it has one.
    need: u64,
    state: LinkState,
}

impl LinkStates {
    /// Takes what the gateway of a mud tells.
    pub fn told(&mut self, now: Instant, Told { state, every, asks }: Told) -> News {
        self.sweep(now);
        let before = self.muds.get(&state.mud);
        let bytes = self.bytes - before.map_or(0, |before| before.state.bytes()) + state.bytes();
        if before.is_none() && self.muds.len() >= MUDS || bytes > BYTES {
            return News::default();
        }
        let before = before.filter(|before| now < before.until);
        let goes_on = |before: &&Known| before.state.relay && before.state.channels == state.channels;
        let need = match before.filter(goes_on) {
            Some(before) => before.need,
            None => self.needs + u64::from(state.relay),
        };
        let before = before.map(|before| &before.state);
        let news = News {
            asks: asks || before.is_none(),
            link: before.map_or(!state.connected, |before| before.connected != state.connected),
            any: before != Some(&state),
        };
        let good = (Duration::from_millis(every).min(LONGEST) * INTERVALS).max(CURRENT);
        let known = Known { told: now, until: now + good, older: every == 0, need, state };
        self.needs = self.needs.max(need);
        self.muds.insert(known.state.mud.clone(), known);
        self.bytes = bytes;
        news
    }

    /// What is old makes room.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|last| now.duration_since(last) >= SWEEP) {
            self.swept = Some(now);
            self.muds.retain(|_, known| now < known.until);
            self.bytes = self.muds.values().map(|known| known.state.bytes()).sum();
        }
    }

    /// How many muds are known, about.
    pub fn count(&self) -> usize {
        self.muds.len()
    }

    /// How many of them want channels relayed.
    pub fn needing(&self, now: Instant) -> usize {
        self.current(now).filter(|known| known.state.relay).count()
    }

    /// Whether any of them has an older gateway, which does not tell its interval nor heed that of others.
    pub fn any_older(&self, now: Instant) -> bool {
        self.current(now).any(|known| known.older)
    }

    /// Whether a mud's link is known to be down.
    pub fn is_cut(&self, now: Instant, mud: &str) -> bool {
        self.of(now, mud).is_some_and(|state| !state.connected)
    }

    /// Whether any mud's link is known to be down.
    pub fn any_cut(&self, now: Instant) -> bool {
        self.current(now).any(|known| !known.state.connected)
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
        self.current(now).filter(|known| known.state.provider.contains(channel)).count()
    }

    /// The channels that muds want relayed.
    pub fn needs(&self, now: Instant) -> BTreeSet<&str> {
        let needing = self.current(now).filter(|known| known.state.relay);
        needing.flat_map(|known| known.state.channels.iter().map(String::as_str)).collect()
    }

    /// The number of the need that was told last by a mud that wants a channel relayed: they grow.
    pub fn last_need(&self, now: Instant, channel: &str) -> u64 {
        let needs = |known: &&Known| known.state.relay && known.state.channels.contains(channel);
        self.current(now).filter(needs).map(|known| known.need).max().unwrap_or(0)
    }

    /// The muds that can relay a channel which is needed since then.
    pub fn relays(&self, now: Instant, channel: &str, since: Instant) -> impl Iterator<Item = &str> {
        let healthy = move |told: Instant| match told >= since {
            true => now.duration_since(told) < HEALTHY,
            false => now.duration_since(since) < SETTLE,
        };
        let can = move |Known { told, state, .. }: &&Known| {
            state.connected && state.channels.contains(channel) && healthy(*told)
        };
        self.current(now).filter(can).map(|known| known.state.mud.as_str())
    }

    fn of(&self, now: Instant, mud: &str) -> Option<&LinkState> {
        let known = self.muds.get(mud)?;
        (now < known.until).then_some(&known.state)
    }

    fn current(&self, now: Instant) -> impl Iterator<Item = &Known> {
        self.muds.values().filter(move |known| now < known.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(mud: &str, connected: bool) -> LinkState {
        LinkState { mud: mud.into(), connected, ..LinkState::default() }
    }

    fn told(state: LinkState) -> Told {
        Told { state, every: 5000, asks: false }
    }

    #[test]
    fn a_mud_is_cut_until_it_tells_otherwise_or_no_more() {
        let now = Instant::now();
        let mut links = LinkStates::default();
        let tell = |links: &mut LinkStates, now, connected| links.told(now, told(state("Dusk", connected)));
        assert!(!links.is_cut(now, "Dusk") && !links.any_cut(now));
        let first = tell(&mut links, now, true);
        assert_eq!(first, News { asks: true, link: false, any: true }, "it is new");
        assert_eq!(tell(&mut links, now, true), News::default());
        let cut = tell(&mut links, now, false);
        assert_eq!(cut, News { asks: false, link: true, any: true });
        assert!(links.is_cut(now, "Dusk") && links.any_cut(now) && !links.is_cut(now, "Dawn"));
        assert!(tell(&mut links, now, true).link);
        assert!(!links.is_cut(now, "Dusk") && !links.any_cut(now) && links.is_hosted(now, "Dusk"));
        tell(&mut links, now, false);
        let later = now + Duration::from_secs(5);
        assert_eq!(tell(&mut links, later, false), News::default(), "the same again");
        assert!(links.is_cut(now + Duration::from_secs(19), "Dusk"));
        let late = now + Duration::from_secs(20);
        assert!(!links.is_cut(late, "Dusk") && !links.any_cut(late) && !links.is_hosted(late, "Dusk"));
        assert!(tell(&mut links, late, false).asks, "it is new again");
    }

    #[test]
    fn a_state_is_good_for_three_of_the_intervals_at_which_it_is_told() {
        let now = Instant::now();
        for (every, seconds) in [(0, 15), (5000, 15), (20_000, 60), (60_000, 180), (u64::MAX, 900)] {
            let mut links = LinkStates::default();
            links.told(now, Told { every, ..told(state("Dusk", true)) });
            assert_eq!(links.any_older(now), every == 0);
            let until = now + Duration::from_secs(seconds);
            assert!(links.is_hosted(until - Duration::from_millis(1), "Dusk"), "{every}");
            assert!(!links.is_hosted(until, "Dusk"), "{every}");
        }
    }

    #[test]
    fn who_asks_is_told_though_its_mud_is_known() {
        let (now, mut links) = (Instant::now(), LinkStates::default());
        links.told(now, told(state("Dusk", true)));
        let asks = Told { asks: true, ..told(state("Dusk", true)) };
        assert_eq!(links.told(now, asks), News { asks: true, link: false, any: false });
    }

    #[test]
    fn names_take_no_memory_without_end_and_what_is_old_makes_room() {
        let now = Instant::now();
        let mut links = LinkStates::default();
        for index in 0..MUDS {
            links.told(now, told(state(&index.to_string(), false)));
        }
        // One that there is no room for is no newcomer, how often it may tell: it would be answered for ever.
        assert_eq!(links.told(now, Told { asks: true, ..told(state("one more", false)) }), News::default());
        assert_eq!(links.count(), MUDS);
        links.told(now + Duration::from_secs(1), told(state("0", false)));
        assert!(links.is_cut(now + CURRENT, "0"), "one that is known is renewed all the same");
        links.told(now + CURRENT, told(state("new", false)));
        assert_eq!(links.count(), 2);
        let wide = |mud: usize| LinkState {
            channels: (0..100).map(|index| format!("{index:0256}")).collect(),
            ..state(&mud.to_string(), true)
        };
        for mud in 0..MUDS {
            links.told(now + CURRENT, told(wide(mud)));
        }
        assert!(links.bytes <= BYTES && links.count() < 1000, "{}", links.count());
    }

    #[test]
    fn members_of_a_channel_of_the_providers_are_those_that_told_so() {
        let now = Instant::now();
        let mut links = LinkStates::default();
        links.told(now, told(LinkState { provider: ["staff".into()].into(), ..state("Dusk", false) }));
        links.told(now, told(LinkState { channels: ["staff".into()].into(), ..state("Noon", true) }));
        assert!(links.is_member(now, "Dusk", "staff") && !links.is_member(now, "Noon", "staff"));
        assert_eq!((links.members(now, "staff"), links.members(now, "other")), (1, 0));
    }

    #[test]
    fn what_an_older_gateway_tells_is_understood_and_it_understands_what_a_new_one_tells() {
        let old = r#"{"mud":"Dusk","connected":true}"#;
        let read: Told = serde_json::from_str(old).unwrap();
        assert_eq!(read, Told { state: state("Dusk", true), every: 0, asks: false });
        let new =
            Told { state: LinkState { relay: true, ..state("Dusk", false) }, every: 20_000, asks: true };
        let written = serde_json::to_string(&new).unwrap();
        assert_eq!(serde_json::from_str::<LinkState>(&written).unwrap(), new.state, "what it knows of it");
        assert_eq!(serde_json::from_str::<Told>(&written).unwrap(), new);
    }
}
