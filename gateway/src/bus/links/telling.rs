//! When we tell the others how our mud is: pure, with time and chance as parameters.
//!
//! All hear what each one tells, so who told at a fixed interval would let each process hear the more the more muds there are.
//! As with RTCP the interval grows with their number instead: all together tell so many times a second, however many they are.
//! Changes are told at once.

use std::time::{Duration, Instant};

use super::states::LinkState;

/// The interval at which we tell, where there are few muds.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// What each mud known adds to it, else: all together tell 50 times a second.
const SHARE: Duration = Duration::from_millis(20);

/// The interval while others may need to know soon that we are well no more.
const TOLD_OFTEN: Duration = Duration::from_secs(1);

/// The longest interval at which older gateways, which forget after 15 s, do not forget us.
const FOR_OLDER: Duration = Duration::from_secs(10);

/// Older gateways know no more muds than this, whatever is told.
const OLDER_KNOW: usize = 1000;

/// The interval at which we tell, with so many muds known, of which some may have older gateways.
pub(super) fn interval(muds: usize, older: bool) -> Duration {
    let every = share(muds).max(TOLD_EVERY);
    if older && muds <= OLDER_KNOW { every.min(FOR_OLDER) } else { every }
}

/// The time in which so many may tell once each.
fn share(muds: usize) -> Duration {
    SHARE.saturating_mul(u32::try_from(muds).unwrap_or(u32::MAX))
}

/// What we told last, and when we tell again.
#[derive(Debug, Default)]
pub(super) struct Telling {
    told: Option<Told>,
    /// When we tell those that have yet to hear of us.
    answer: Option<Instant>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    state: LinkState,
    again: Instant,
}

impl Telling {
    /// Whether we are to tell now how our mud is. `near`: others may need to know soon that it is well no more.
    pub fn is_due(&self, now: Instant, us: &LinkState, near: bool) -> bool {
        let Some(Told { at, state, again }) = &self.told else { return true };
        let often = near && now.duration_since(*at) >= TOLD_OFTEN;
        state != us || now >= *again || often || self.answer.is_some_and(|answer| now >= answer)
    }

    /// Whether we have told nothing yet, and so may have heard little.
    pub fn is_new(&self) -> bool {
        self.told.is_none()
    }

    /// Whether we have told that we need relays.
    pub fn needs(&self) -> bool {
        self.told.as_ref().is_some_and(|told| told.state.relay)
    }

    /// Takes note that we have told. By chance (0 to 1) the next time is a bit earlier or later, lest all tell together.
    pub fn told(&mut self, now: Instant, state: LinkState, every: Duration, chance: f64) {
        self.told = Some(Told { at: now, state, again: now + every.mul_f64(0.75 + chance / 2.0) });
        self.answer = None;
    }

    /// Somebody has yet to hear of us, and of so many others like us: by chance soon or later, so that all together tell no
    /// more often than ever.
    pub fn answer(&mut self, now: Instant, others: usize, chance: f64) {
        let within = share(others);
        let from = self.told.as_ref().map_or(now, |told| now.max(told.at + within));
        self.answer.get_or_insert(from + within.mul_f64(chance));
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    const TICK: Duration = Duration::from_millis(250);

    fn us() -> LinkState {
        LinkState { mud: "Dawn".into(), connected: true, ..LinkState::default() }
    }

    #[test]
    fn the_interval_grows_with_the_number_of_muds_so_that_each_hears_no_more() {
        for (muds, seconds) in [(0, 5), (100, 5), (250, 5), (1000, 20), (3000, 60), (10_000, 200)] {
            assert_eq!(interval(muds, false), Duration::from_secs(seconds), "{muds}");
        }
        // Older ones would forget us, as far as they know so many.
        for (muds, seconds) in [(100, 5), (1000, 10), (1001, 20)] {
            assert_eq!(interval(muds, true).as_secs(), seconds, "{muds}");
        }
    }

    #[test]
    fn a_change_is_told_at_once_and_what_has_not_changed_when_it_is_time() {
        let (now, mut telling) = (Instant::now(), Telling::default());
        assert!(telling.is_new() && telling.is_due(now, &us(), false));
        telling.told(now, us(), TOLD_EVERY, 0.5);
        let after = |seconds| now + Duration::from_secs(seconds);
        assert!(!telling.is_new() && !telling.is_due(after(4), &us(), false));
        assert!(telling.is_due(after(5), &us(), false));
        assert!(telling.is_due(now, &LinkState { connected: false, ..us() }, false));
        assert!(!telling.is_due(now, &us(), true) && telling.is_due(after(1), &us(), true));
    }

    #[test]
    fn who_has_yet_to_hear_of_us_is_told_soon_where_there_are_few() {
        let (now, mut telling) = (Instant::now(), Telling::default());
        telling.told(now, us(), TOLD_EVERY, 0.5);
        telling.answer(now, 10, 0.9);
        // Later ones do not put it off.
        telling.answer(now + Duration::from_millis(200), 10, 0.9);
        assert!(!telling.is_due(now + Duration::from_millis(199), &us(), false));
        assert!(telling.is_due(now + Duration::from_millis(400), &us(), false));
        telling.told(now + Duration::from_millis(400), us(), TOLD_EVERY, 0.5);
        assert!(!telling.is_due(now + Duration::from_secs(5), &us(), false), "once");
    }

    /// How many times a second so many tell, in the busiest ten seconds of three intervals, after the first. All begin together;
    /// `newcomer` comes each second.
    fn busiest(muds: usize, newcomer: bool) -> usize {
        let (start, mut random) = (Instant::now(), StdRng::seed_from_u64(7));
        let (us, every) = (us(), interval(muds, false));
        let mut all: Vec<_> = (0..muds).map(|_| Telling::default()).collect();
        let mut windows = vec![0; (every * 4).as_secs() as usize / 10];
        let mut now = start;
        while now - start < every * 4 {
            for telling in &mut all {
                if newcomer && (now - start).subsec_millis() == 0 {
                    telling.answer(now, muds, random.random());
                }
                if telling.is_due(now, &us, false) {
                    telling.told(now, us.clone(), every, random.random());
                    windows[(now - start).as_secs() as usize / 10] += 1;
                }
            }
            now += TICK;
        }
        let first = every.as_secs() as usize / 10 + 1;
        windows[first..].iter().max().unwrap() / 10
    }

    #[test]
    fn however_many_there_are_each_hears_about_fifty_states_a_second() {
        for muds in [250, 1000, 3000] {
            for newcomer in [false, true] {
                let heard = busiest(muds, newcomer);
                assert!((30..=110).contains(&heard), "{muds} muds, newcomer {newcomer}: {heard} a second");
            }
        }
    }
}
