//! One run of a scenario: what it showed, and what of that is not as promised.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;

use crate::Error;
use crate::scenario::{Measure, Scenario};
use crate::tally::{Count, Kind, Source};
use crate::trouble::{Cost, Observer};
use crate::world::World;

/// How long a recovery may take after the fault is mended.
const LIMIT: Duration = Duration::from_secs(45);

/// How long after a recovery it is still watched.
const AFTERMATH: Duration = Duration::from_secs(1);

/// How long what was said last may take to be heard.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// Where in the second of a renewal, and of a router's clock, a run begins.
const PHASE_MILLIS: u64 = 1500;

/// What one run showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How long nobody was logged in that could be heard.
    pub router_gap: Duration,
    /// The longest time in which the client heard nothing of a mud elsewhere, on a channel.
    pub remote_gap: Duration,
    /// The same of a hosted mud.
    pub hosted_gap: Duration,
    /// Channel messages of a mud elsewhere.
    pub remote: Count,
    /// Channel messages of a hosted mud.
    pub hosted: Count,
    /// Channel messages of the mud itself, at the hosted mud.
    pub own: Count,
    /// Tells.
    pub tells: Count,
    /// How often the mud logged in.
    pub logins: usize,
    /// The most connections on which somebody asked the router to be the mud.
    pub links: usize,
    /// What trouble with NATS cost the gateways.
    pub cost: Option<Cost>,
}

impl Scenario {
    /// Runs it once in a world in which all is well.
    ///
    /// # Errors
    /// When the world is not well before, or does not recover.
    pub async fn run(self, world: &mut World, seed: u64) -> Result<Run, Error> {
        let mut random = StdRng::seed_from_u64(seed);
        world.ready().await?;
        sleep(Duration::from_millis(random.random_range(0..PHASE_MILLIS))).await;
        // The first second of another session is over by now.
        let holder = world.ready().await?;
        let (from, start) = (world.tally.place(), Instant::now());
        let mut observer = Observer::start(self, world, holder).await?;
        self.break_it(world, holder).await?;
        match &mut observer {
            Some(observer) => observer.until(start + self.lasts()).await,
            None => sleep(self.lasts().saturating_sub(start.elapsed())).await,
        }
        self.mend(world, holder).await?;
        world.all_heard(LIMIT).await?;
        if let Some(observer) = &mut observer {
            observer.until_well().await;
        }
        sleep(AFTERMATH).await;
        let (to, end) = (world.tally.place(), Instant::now());
        sleep(ON_ITS_WAY).await;
        Ok(Run { scenario: self, start, end, from, to, cost: observer.map(Observer::end) })
    }
}

/// One run, of which more may still be heard.
#[derive(Clone, Debug)]
pub struct Run {
    scenario: Scenario,
    start: Instant,
    end: Instant,
    from: crate::tally::Place,
    to: crate::tally::Place,
    cost: Option<Cost>,
}

impl Run {
    /// What it showed up to now.
    pub fn outcome(&self, world: &World) -> Outcome {
        let Self { scenario, start, end, from, to, cost } = self;
        let gap = match scenario.measure() {
            Measure::Seen => None,
            Measure::SinceFault => Some(world.watcher.until_login(*start, *end).unwrap_or(*end - *start)),
        };
        let silence = |of: &dyn Fn(Source) -> bool| world.tally.gap(of, *start, *end);
        // One channel may be silent while the other is not.
        let hosted = to.keys().copied().filter(|source| source.kind == Kind::Hosted);
        Outcome {
            router_gap: gap.unwrap_or_else(|| world.watcher.gap(*start, *end)),
            remote_gap: silence(&|source| source.kind == Kind::Remote),
            hosted_gap: hosted.map(|channel| silence(&|source| source == channel)).max().unwrap_or_default(),
            remote: world.tally.count(Kind::Remote, from, to),
            hosted: world.tally.count(Kind::Hosted, from, to),
            own: world.tally.count(Kind::Own, from, to),
            tells: world.tally.count(Kind::Tell, from, to),
            logins: world.watcher.logins(*start, *end),
            links: world.watcher.most_links(*start, *end),
            cost: cost.clone(),
        }
    }
}

impl Outcome {
    /// What is not as promised.
    pub fn broken(&self, scenario: Scenario) -> Vec<String> {
        let mut broken = Vec::new();
        if let Some(promise) = scenario.promise().filter(|promise| self.router_gap > *promise) {
            broken.push(format!("nobody was logged in for {:?}, promised are {promise:?}", self.router_gap));
        }
        for (what, count, promise) in self.promised(scenario) {
            if count.doubled > 0 && promise.once {
                broken.push(format!("{what}: {} doubled", count.doubled));
            }
            if count.disordered > 0 && promise.in_order {
                broken.push(format!("{what}: {} out of order", count.disordered));
            }
            if count.lost > 0 && promise.kept {
                broken.push(format!("{what}: {} of {} lost", count.lost, count.said));
            }
        }
        if scenario.keeps_session() && self.logins > 0 {
            broken.push(format!("logged in {} times, though the session should stay", self.logins));
        }
        if scenario.leaves_two_links() && self.links != 2 {
            broken.push(format!("the router had {} connections, where two are expected", self.links));
        }
        broken.extend(self.cost.iter().flat_map(Cost::broken));
        broken
    }
}

impl Outcome {
    /// What was heard, and what of it is promised.
    fn promised(&self, scenario: Scenario) -> [(&'static str, Count, Promise); 4] {
        let kept = scenario.keeps_session();
        let (kills, is_split) = (scenario.kills(), scenario == Scenario::NatsPartition);
        // What the mud says on a process that has lost NATS alone comes late, after what it says elsewhere; what waited for the
        // router and went just before another process took over may go again: FAILOVER.md.
        let own = Promise { kept: !kills, once: !(kills || is_split), in_order: !is_split };
        [
            ("remote", self.remote, Promise { kept, ..Promise::ALL }),
            ("hosted", self.hosted, Promise::ALL),
            ("own", self.own, own),
            ("tell", self.tells, Promise { kept, ..Promise::ALL }),
        ]
    }
}

/// What is promised of messages.
struct Promise {
    /// None is lost.
    kept: bool,
    /// None is heard twice.
    once: bool,
    /// None is heard after a later one.
    in_order: bool,
}

impl Promise {
    const ALL: Self = Self { kept: true, once: true, in_order: true };
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [router, remote, hosted] =
            [self.router_gap, self.remote_gap, self.hosted_gap].map(|gap| gap.as_millis());
        write!(f, "no session {router} ms, {} logins; remote unheard {remote} ms, ", self.logins)?;
        write!(
            f,
            "hosted unheard {hosted} ms; remote {}; hosted {}; own {}; tells {}",
            self.remote, self.hosted, self.own, self.tells
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(router_gap: u64, hosted: Count) -> Outcome {
        let (remote_gap, hosted_gap) = (Duration::ZERO, Duration::ZERO);
        let (remote, tells) = (Count { lost: 7, ..Count::default() }, Count::default());
        let router_gap = Duration::from_millis(router_gap);
        let own = Count::default();
        Outcome {
            router_gap,
            remote_gap,
            hosted_gap,
            remote,
            hosted,
            own,
            tells,
            logins: 1,
            links: 2,
            cost: None,
        }
    }

    #[test]
    fn what_is_promised_depends_on_the_scenario() {
        let slow = outcome(1001, Count::default());
        assert_eq!(slow.broken(Scenario::Planned).len(), 1);
        assert_eq!(slow.broken(Scenario::Kill), Vec::<String>::new());
        let slower = outcome(60_000, Count::default());
        assert_eq!(slower.broken(Scenario::RouterHalfOpen).len(), 1);
        assert_eq!(slower.broken(Scenario::RouterRestart), Vec::<String>::new());
    }

    #[test]
    fn trouble_with_nats_costs_neither_a_word_nor_the_session_and_a_hosted_mud_is_always_heard() {
        let lost = outcome(0, Count { said: 9, lost: 2, ..Count::default() });
        let told = lost.broken(Scenario::NatsFull);
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(lost.broken(Scenario::RouterRestart), ["hosted: 2 of 9 lost"]);
    }

    #[test]
    fn a_take_over_from_one_that_hangs_leaves_a_deaf_connection() {
        let one = Outcome { links: 1, ..outcome(0, Count::default()) };
        assert_eq!(one.broken(Scenario::Stop).len(), 1);
        assert_eq!(one.broken(Scenario::Kill), Vec::<String>::new());
    }

    #[test]
    fn nothing_may_be_doubled_or_out_of_order_in_any() {
        let count = Count { doubled: 1, disordered: 2, ..Count::default() };
        let broken = outcome(0, count).broken(Scenario::ClientReset);
        assert_eq!(broken, ["hosted: 1 doubled", "hosted: 2 out of order"]);
    }
}
