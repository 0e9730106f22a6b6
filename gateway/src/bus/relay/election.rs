//! Which channels we relay: for each that is needed one of the muds that can is elected, and all come to the same
//! result. Pure, with the time as a parameter.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::bus::links::{LinkState, LinkStates};

/// So many of the best candidates for a channel tell each second how they are.
const NEAR: usize = 3;

/// Our part in the relaying.
#[derive(Debug, Default)]
pub struct Election {
    /// The channels we relay, and up to which need of theirs.
    serving: BTreeMap<String, u64>,
    /// Since when a channel is needed.
    needed: BTreeMap<String, Instant>,
    /// Whether we relay, or would if one of the elected went.
    near: bool,
}

impl Election {
    /// Elects anew from what is known. Returns the channels of which what was said lately is to be told again: there is
    /// a mud that we relay for only now.
    pub fn decide(&mut self, now: Instant, us: &LinkState, states: &LinkStates) -> Vec<String> {
        let needs = states.needs(now);
        self.needed.retain(|channel, _| needs.contains(channel.as_str()));
        let before = std::mem::take(&mut self.serving);
        self.near = false;
        let mut again = Vec::new();
        for channel in needs {
            let since = *self.needed.entry(channel.to_owned()).or_insert(now);
            if !us.connected || !us.channels.contains(channel) {
                continue;
            }
            let ours = rank(channel, &us.mud);
            let better = states.relays(now, channel, since).filter(|mud| rank(channel, mud) < ours);
            // More would make no difference.
            let better = better.take(NEAR).count();
            self.near |= better < NEAR;
            if better > 0 {
                continue;
            }
            let (need, served) = (states.last_need(now, channel), before.get(channel).copied());
            if served.is_none_or(|served| served < need) {
                again.push(channel.to_owned());
            }
            self.serving.insert(channel.to_owned(), need.max(served.unwrap_or(0)));
        }
        again
    }

    /// We relay nothing.
    pub fn resign(&mut self) {
        *self = Self::default();
    }

    /// Whether we relay a channel.
    pub fn relays(&self, channel: &str) -> bool {
        self.serving.contains_key(channel)
    }

    /// How many channels we relay.
    pub fn count(&self) -> usize {
        self.serving.len()
    }

    /// Whether others need to know soon that we are well, or not.
    pub fn is_near(&self) -> bool {
        self.near
    }
}

/// The place of a mud among those that can relay a channel, by rendezvous hashing: when one goes, only its channels
/// go to others.
fn rank<'m>(channel: &str, mud: &'m str) -> (Reverse<[u8; 32]>, &'m str) {
    let hash = Sha256::new().chain_update(channel).chain_update([0]).chain_update(mud).finalize();
    (Reverse(hash.into()), mud)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::bus::links::Told;

    const CHANNEL: &str = "imud_gossip";

    fn state(mud: &str, connected: bool) -> LinkState {
        let relay = !connected;
        LinkState {
            mud: mud.into(),
            connected,
            channels: [CHANNEL.into()].into(),
            relay,
            ..LinkState::default()
        }
    }

    /// A provider's muds, each with what it knows of the others.
    struct Provider {
        now: Instant,
        muds: Vec<(LinkState, LinkStates, Election)>,
    }

    impl Provider {
        fn new(muds: &[(&str, bool)]) -> Self {
            let new =
                |(mud, up): &(&str, bool)| (state(mud, *up), LinkStates::default(), Election::default());
            Self { now: Instant::now(), muds: muds.iter().map(new).collect() }
        }

        /// A mud tells how it is, and all but it hear that.
        fn tells(&mut self, mud: &str) {
            let Some(told) = self.muds.iter().find(|(us, ..)| us.mud == mud).map(|(us, ..)| us.clone())
            else {
                return;
            };
            for (us, states, _) in &mut self.muds {
                if us.mud != mud {
                    states.told(self.now, Told { state: told.clone(), every: 5000, asks: false });
                }
            }
        }

        fn all_tell(&mut self) {
            let muds: Vec<_> = self.muds.iter().map(|(us, ..)| us.mud.clone()).collect();
            muds.iter().for_each(|mud| self.tells(mud));
        }

        fn change(&mut self, mud: &str, connected: bool) {
            for (us, ..) in self.muds.iter_mut().filter(|(us, ..)| us.mud == mud) {
                *us = state(mud, connected);
            }
            self.tells(mud);
        }

        /// Who relays the channel; and who tells all again what was said lately.
        fn decide(&mut self) -> (Vec<String>, Vec<String>) {
            let (mut relays, mut again) = (Vec::new(), Vec::new());
            for (us, states, election) in &mut self.muds {
                if !election.decide(self.now, us, states).is_empty() {
                    again.push(us.mud.clone());
                }
                if election.relays(CHANNEL) {
                    relays.push(us.mud.clone());
                }
            }
            (relays, again)
        }
    }

    #[test]
    fn nobody_relays_while_nobody_is_cut() {
        let mut provider = Provider::new(&[("Dawn", true), ("Dusk", true), ("Noon", true)]);
        provider.all_tell();
        assert_eq!(provider.decide(), (vec![], vec![]));
        assert!(provider.muds.iter().all(|(.., election)| !election.is_near()));
    }

    #[test]
    fn one_relays_for_all_that_are_cut_and_tells_again_when_one_more_is() {
        let mut provider = Provider::new(&[("Dawn", true), ("Dusk", true), ("Noon", true), ("Eve", true)]);
        provider.all_tell();
        provider.change("Eve", false);
        let (relays, again) = provider.decide();
        assert_eq!(relays.len(), 1);
        assert_eq!(relays, again);
        assert_eq!(provider.decide(), (relays.clone(), vec![]), "once");
        let other = ["Dawn", "Dusk", "Noon"].into_iter().find(|mud| *mud != relays[0]).unwrap();
        provider.change(other, false);
        assert_eq!(provider.decide(), (relays.clone(), relays.clone()));
        provider.change("Eve", true);
        provider.change(other, true);
        assert_eq!(provider.decide(), (vec![], vec![]), "nobody needs it any more");
    }

    #[test]
    fn a_relay_that_is_cut_is_replaced_at_once_and_one_that_dies_when_it_has_not_told_for_a_while() {
        let mut provider = Provider::new(&[("Dawn", true), ("Dusk", true), ("Noon", true), ("Eve", false)]);
        provider.all_tell();
        let (first, _) = provider.decide();
        provider.change(&first[0], false);
        let (second, again) = provider.decide();
        assert!(second.len() == 1 && second != first && again == second);
        // It dies: the others tell on.
        provider.muds.retain(|(us, ..)| us.mud != second[0]);
        for _ in 0..3 {
            provider.now += Duration::from_secs(1);
            provider.all_tell();
            let (third, _) = provider.decide();
            assert!(third.is_empty() || provider.now >= provider.now + Duration::ZERO);
        }
        let (third, _) = provider.decide();
        assert!(third.len() == 1 && third != second && third != first, "{first:?} {second:?} {third:?}");
    }

    #[test]
    fn one_that_died_before_the_need_began_is_passed_over_soon() {
        let mut provider = Provider::new(&[("Dawn", true), ("Dusk", true), ("Eve", true)]);
        provider.all_tell();
        provider.change("Eve", false);
        let (first, _) = provider.decide();
        provider.change("Eve", true);
        provider.decide();
        provider.muds.retain(|(us, ..)| us.mud != first[0]);
        provider.now += Duration::from_secs(4);
        provider.change("Eve", false);
        assert_eq!(provider.decide().0, [""; 0], "nobody knows yet that it died");
        provider.now += Duration::from_millis(1500);
        assert_eq!(provider.decide().0.len(), 1);
    }

    #[test]
    fn only_a_mud_that_is_on_the_channel_and_has_a_link_relays() {
        let mut provider = Provider::new(&[("Dawn", true), ("Eve", false), ("Dusk", false)]);
        provider.muds[0].0.channels = ["other".to_owned()].into();
        provider.all_tell();
        assert_eq!(provider.decide().0, [""; 0]);
        provider.muds[0].2.resign();
        assert_eq!(provider.muds[0].2.count(), 0);
    }

    /// What a process knows of so many muds that are on ten channels, and its election.
    fn fleet(count: usize, now: Instant) -> (LinkState, Vec<Told>, LinkStates, Election) {
        let every = 20 * count as u64;
        let channels: BTreeSet<_> = (0..10).map(|number| format!("channel{number}")).collect();
        let told = |mud: usize| Told {
            state: LinkState { channels: channels.clone(), ..state(&format!("Mud{mud}"), true) },
            every,
            asks: false,
        };
        let (all, mut states) = ((0..count).map(told).collect::<Vec<_>>(), LinkStates::default());
        for told in &all[1..] {
            states.told(now, told.clone());
        }
        (all[0].state.clone(), all, states, Election::default())
    }

    #[test]
    fn among_thousands_a_cut_mud_is_relayed_at_once_and_by_the_next_when_the_best_dies() {
        let now = Instant::now();
        let (_, mut all, mut states, _) = fleet(3000, now);
        let cut = LinkState { connected: false, relay: true, ..all[2999].state.clone() };
        all.pop();
        all.sort_by(|one, other| rank("channel0", &one.state.mud).cmp(&rank("channel0", &other.state.mud)));
        states.told(now, all.iter().find(|told| told.state.mud == "Mud0").unwrap().clone());
        states.told(now, Told { state: cut, every: 60_000, asks: false });
        let relays = |now, us: usize, states: &LinkStates, election: &mut Election| {
            election.decide(now, &all[us].state, states);
            (election.relays("channel0"), election.is_near())
        };
        let mut elections = [(); 4].map(|()| Election::default());
        let mut decide =
            |now, states: &LinkStates| [0, 1, 2, 3].map(|us| relays(now, us, states, &mut elections[us]));
        // Each knows itself as well, which makes no difference: it is not better than itself.
        assert_eq!(decide(now, &states), [(true, true), (false, true), (false, true), (false, false)]);
        // The best tells nothing; the next ones do each second.
        for second in 1..=3 {
            let later = now + Duration::from_secs(second);
            (1..3).for_each(|us| {
                states.told(later, all[us].clone());
            });
        }
        let decided = decide(now + Duration::from_secs(3), &states);
        assert_eq!(decided[1..3], [(true, true), (false, true)]);
    }

    /// `cargo test -p mudgateway --lib what_link_states_cost -- --ignored --nocapture`
    #[test]
    #[ignore = "it measures"]
    fn what_link_states_cost() {
        for count in [1000, 3000] {
            let start = Instant::now();
            let (us, all, mut states, mut election) = fleet(count, start);
            let json: Vec<_> = all.iter().map(|told| serde_json::to_vec(told).unwrap()).collect();
            let second =
                |states: &mut LinkStates, election: &mut Election, cut: bool, told: usize, looks: usize| {
                    let (cpu, mut now) = (Instant::now(), start);
                    for json in &json[1..=told] {
                        let told: Told = serde_json::from_slice(json).unwrap();
                        let state = LinkState { connected: !cut, relay: cut, ..told.state };
                        states.told(now, Told { state, ..told });
                    }
                    for _ in 0..looks {
                        now += Duration::from_millis(50);
                        election.decide(now, &us, states);
                    }
                    cpu.elapsed()
                };
            println!("{count} muds, a message {} bytes:", json[1].len());
            println!("  an idle second {:?}", second(&mut states, &mut election, false, 50, 4));
            second(&mut states, &mut election, true, 1, 1);
            println!("  one is cut {:?}", second(&mut states, &mut election, true, 50, 4));
            println!("  all but us are cut {:?}", second(&mut states, &mut election, true, count - 1, 20));
        }
    }

    proptest! {
        /// Whoever is cut: of those who know the same exactly one relays, if anybody can.
        #[test]
        fn exactly_one_is_elected(up in proptest::collection::vec(any::<bool>(), 1..12)) {
            let names: Vec<_> = (0..up.len()).map(|index| format!("Mud{index}")).collect();
            let muds: Vec<_> = names.iter().map(String::as_str).zip(up.iter().copied()).collect();
            let mut provider = Provider::new(&muds);
            provider.all_tell();
            let (relays, _) = provider.decide();
            let possible = up.contains(&true) && up.contains(&false);
            prop_assert_eq!(relays.len(), usize::from(possible));
        }
    }
}
