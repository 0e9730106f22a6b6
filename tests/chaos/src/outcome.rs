//! One run of a scenario: what it showed, and what of that is not as promised.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;

use crate::Error;
use crate::fault::{Fault, Link, Wrong};
use crate::scenario::{Plan, Scenario};
use crate::tally::{Count, Kind, Source};
use crate::trouble::{Cost, Observer};
use crate::world::World;

/// How long a recovery may take after the fault is mended.
const LIMIT: Duration = Duration::from_secs(45);

/// How long after a recovery it is still watched.
const AFTERMATH: Duration = Duration::from_secs(1);

/// How much later than what was said after it something may be heard.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// How much a client may hear again at most that its process told it, and not the others yet, when that came to an end.
const LAST_MOMENT: usize = 2;

/// Where in the second of a renewal, and of a router's clock, a run begins.
const PHASE_MILLIS: u64 = 1500;

/// As many packets as a dead link to the router may swallow at most: six without a sign of life, and what was on its way.
const SWALLOWED: usize = 8;

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
    /// What of them it said on the channel of the network, at a mud elsewhere.
    pub own_afar: Count,
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
        let Plan { fault, lasts, .. } = self.plan();
        fault.break_it(world, holder).await?;
        match &mut observer {
            Some(observer) => observer.until(start + lasts).await,
            None => sleep(lasts.saturating_sub(start.elapsed())).await,
        }
        fault.mend(world, holder).await?;
        world.all_heard(LIMIT).await?;
        if let Some(observer) = &mut observer {
            observer.until_well().await;
        }
        sleep(AFTERMATH).await;
        let (to, end) = (world.tally.place(), Instant::now());
        // What waited for the router is still on its way, no faster than it takes it.
        world.all_heard(LIMIT).await?;
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
        let router_gap = if scenario.plan().fault.is_silent() {
            world.watcher.until_login(*start, *end).unwrap_or(*end - *start)
        } else {
            world.watcher.gap(*start, *end)
        };
        let silence = |of: &dyn Fn(Source) -> bool| world.tally.gap(of, *start, *end);
        // One channel may be silent while the other is not.
        let hosted = to.keys().copied().filter(|source| source.kind == Kind::Hosted);
        Outcome {
            router_gap,
            remote_gap: silence(&|source| source.kind == Kind::Remote),
            hosted_gap: hosted.map(|channel| silence(&|source| source == channel)).max().unwrap_or_default(),
            remote: world.tally.count(Kind::Remote, from, to),
            hosted: world.tally.count(Kind::Hosted, from, to),
            own: world.tally.count(Kind::Own, from, to),
            own_afar: world.tally.count(Kind::OwnAfar, from, to),
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
        let plan = scenario.plan();
        if let Some(promise) = plan.promise().filter(|promise| self.router_gap > *promise) {
            broken.push(format!("nobody was logged in for {:?}, promised are {promise:?}", self.router_gap));
        }
        for (what, count, promise) in self.promised(&plan) {
            if count.doubled > promise.again {
                broken.push(format!("{what}: {} doubled", count.doubled));
            }
            if count.disordered > 0 && promise.in_order {
                broken.push(format!("{what}: {} out of order", count.disordered));
            }
            match promise.kept {
                Kept::All if count.lost > 0 => {
                    broken.push(format!("{what}: {} of {} lost", count.lost, count.said));
                }
                Kept::AllBut(few) if count.lost > few => {
                    broken.push(format!("{what}: {} lost, promised are {few} at most", count.lost));
                }
                Kept::Queued if count.dropped > 0 => {
                    broken.push(format!("{what}: {} lost that were to be kept", count.dropped));
                }
                _ => {}
            }
        }
        if plan.fault.keeps_session() && self.logins > 0 {
            broken.push(format!("logged in {} times, though the session should stay", self.logins));
        }
        // Of which one is deaf: the old one where all processes have one address, the new one where each has its own.
        if plan.fault.hangs() && self.links != 2 {
            broken.push(format!("the router had {} connections, where two are expected", self.links));
        }
        broken.extend(self.cost.iter().flat_map(Cost::broken));
        broken
    }
}

impl Outcome {
    /// What was heard, and what of it is promised.
    fn promised(&self, plan: &Plan) -> [(&'static str, Count, Promise); 5] {
        [
            ("remote", self.remote, Promise::by_router(plan.fault)),
            ("hosted", self.hosted, Promise::of_hosted(plan.fault)),
            ("own", self.own, Promise::of_own(plan.fault)),
            ("own afar", self.own_afar, Promise::of_own_afar(plan.fault)),
            ("tell", self.tells, Promise { again: 0, ..Promise::by_router(plan.fault) }),
        ]
    }
}

/// What is promised of messages.
#[derive(Clone, Copy)]
struct Promise {
    /// Which may not be lost.
    kept: Kept,
    /// So many at most are heard twice.
    again: usize,
    /// None is heard after a later one.
    in_order: bool,
}

/// Which messages may not be lost.
#[derive(Clone, Copy)]
enum Kept {
    /// None of them.
    All,
    /// All but so many.
    AllBut(usize),
    /// None of those that were answered `queued`.
    Queued,
    /// Any of them may be.
    Any,
}

/// The exceptions are named in FAILOVER.md.
impl Promise {
    const ALL: Self = Self { kept: Kept::All, again: 0, in_order: true };

    /// What comes on channels from another hosted mud.
    fn of_hosted(fault: Fault) -> Self {
        Self { again: if fault.kills() { LAST_MOMENT } else { 0 }, ..Self::ALL }
    }

    /// What comes from a mud elsewhere: nobody keeps it while nobody is logged in.
    fn by_router(fault: Fault) -> Self {
        let kept = if fault.keeps_session() { Kept::All } else { Kept::Any };
        Self { kept, ..Self::of_hosted(fault) }
    }

    /// What the mud says, at the other hosted one: on a process that has lost NATS alone it comes late, after what it says
    /// elsewhere; what went just before another process took over may go again.
    fn of_own(fault: Fault) -> Self {
        let (kills, splits) = (fault.kills(), fault.splits());
        let kept = if kills { Kept::Any } else { Kept::All };
        Self { kept, again: if kills || splits { usize::MAX } else { 0 }, in_order: !splits }
    }

    /// The same at a mud elsewhere: what was sent may be lost on its way to the router, and what waits must come.
    fn of_own_afar(fault: Fault) -> Self {
        let kept = match fault {
            _ if fault.swallows() => Kept::Any,
            Fault::Link(Link::Router, Wrong::HalfOpen) => Kept::AllBut(SWALLOWED),
            _ if fault.kills() || fault.cuts_router() => Kept::Queued,
            _ => Kept::All,
        };
        Self { kept, ..Self::of_own(fault) }
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [router, remote, hosted] =
            [self.router_gap, self.remote_gap, self.hosted_gap].map(|gap| gap.as_millis());
        write!(f, "no session {router} ms, {} logins; remote unheard {remote} ms, ", self.logins)?;
        write!(
            f,
            "hosted unheard {hosted} ms; remote {}; hosted {}; own {}; own afar {}; tells {}",
            self.remote, self.hosted, self.own, self.own_afar, self.tells
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
            own_afar: own,
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
    fn a_dead_link_may_swallow_a_few_and_one_that_stood_still_none() {
        let lost = |lost| {
            let own_afar = Count { said: 90, lost, ..Count::default() };
            Outcome { own_afar, logins: 0, remote: own_afar, ..outcome(0, Count::default()) }
        };
        assert_eq!(lost(SWALLOWED).broken(Scenario::RouterHalfOpen), Vec::<String>::new());
        assert_eq!(lost(9).broken(Scenario::RouterHalfOpen), ["own afar: 9 lost, promised are 8 at most"]);
        assert_eq!(
            lost(1).broken(Scenario::RouterSilent),
            ["remote: 1 of 90 lost", "own afar: 1 of 90 lost"]
        );
    }

    #[test]
    fn nothing_may_be_doubled_or_out_of_order_in_any() {
        let count = Count { doubled: 1, disordered: 2, ..Count::default() };
        let broken = outcome(0, count).broken(Scenario::RouterReset);
        assert_eq!(broken, ["hosted: 1 doubled", "hosted: 2 out of order"]);
    }

    #[test]
    fn after_a_crash_alone_something_of_the_last_moment_may_be_heard_again() {
        let doubled = |doubled| outcome(0, Count { doubled, ..Count::default() });
        assert_eq!(doubled(LAST_MOMENT).broken(Scenario::Kill), Vec::<String>::new());
        assert_eq!(doubled(LAST_MOMENT + 1).broken(Scenario::Kill), ["hosted: 3 doubled"]);
        assert_eq!(doubled(1).broken(Scenario::Planned), ["hosted: 1 doubled"]);
    }

    #[test]
    fn what_the_mud_says_afar_is_lost_with_a_link_only_as_far_as_it_was_sent() {
        let lost = |dropped| {
            let own_afar = Count { said: 9, lost: 3, dropped, ..Count::default() };
            Outcome { own_afar, ..outcome(0, Count::default()) }
        };
        assert_eq!(lost(2).broken(Scenario::Planned), ["own afar: 3 of 9 lost"]);
        for cut in [Scenario::Kill, Scenario::RouterReset] {
            assert_eq!(lost(0).broken(cut), Vec::<String>::new());
            assert_eq!(lost(2).broken(cut), ["own afar: 2 lost that were to be kept"]);
        }
    }
}
