//! What must hold, whatever goes wrong.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// The process that is logged in.
fn owner(world: &World) -> usize {
    world.registered.expect("somebody is logged in").1
}

#[test]
fn a_thousand_schedules_of_faults_never_have_two_holders_and_all_recover() {
    for seed in 0..1000 {
        let mut random = StdRng::seed_from_u64(seed);
        let processes = random.random_range(2..=3);
        let mut world = World::new(seed, processes, random.random());
        for _ in 0..random.random_range(1..12) {
            let at = random.random_range(100..40_000);
            let fault = Fault::any(&mut random, processes);
            let heal = match fault {
                Fault::Kill(index) => Some(Fault::Start(index)),
                Fault::CutBus(index) => Some(Fault::HealBus(index)),
                Fault::CutRouter(index) => Some(Fault::HealRouter(index)),
                _ => None,
            };
            world.send(at, Message::Fault(fault));
            if let Some(heal) = heal {
                world.send(at + random.random_range(10..15_000), Message::Fault(heal));
            }
        }
        world.run_until(80_000);
        world.check_settled();
        assert!(world.logins < 60, "seed {seed}: {} logins", world.logins);
    }
}

/// How long nobody was logged in after one fault to the process that was, over many seeds; sorted.
fn gaps(same_address: bool, fault: impl Fn(usize) -> Fault) -> Vec<u64> {
    let mut gaps = Vec::new();
    for seed in 0..300 {
        let mut world = World::new(seed, 2, same_address);
        world.run_until(5000 + seed * 7);
        let fault = fault(owner(&world));
        world.send(0, Message::Fault(fault));
        world.run_until(30_000);
        world.check_settled_after(fault);
        gaps.extend(world.gaps);
    }
    gaps.sort_unstable();
    gaps
}

impl World {
    fn check_settled_after(&self, fault: Fault) {
        if !matches!(fault, Fault::Pause(..)) {
            self.check_settled();
        }
        assert!(self.registered.is_some(), "nobody is logged in after {fault:?}");
    }
}

#[test]
fn a_planned_hand_over_takes_less_than_a_second() {
    for same_address in [true, false] {
        let gaps = gaps(same_address, Fault::Leave);
        assert_eq!(gaps.len(), 300);
        assert!(gaps[299] < 1000, "{} ms", gaps[299]);
    }
}

#[test]
fn a_crash_is_made_up_for_within_five_seconds() {
    for same_address in [true, false] {
        let gaps = gaps(same_address, Fault::Kill);
        assert_eq!(gaps.len(), 300);
        assert!(gaps[296] <= 5000, "p99 {} ms", gaps[296]);
    }
}

#[test]
fn who_loses_the_router_hands_over_within_five_seconds() {
    for same_address in [true, false] {
        let gaps = gaps(same_address, Fault::CutRouter);
        assert_eq!(gaps.len(), 300);
        assert!(gaps[296] <= 5000, "p99 {} ms", gaps[296]);
    }
}

#[test]
fn an_election_that_takes_long_is_no_reason_to_take_over() {
    for seed in 0..300 {
        let mut world = World::new(seed, 2, true);
        world.run_until(5000 + seed * 7);
        world.send(0, Message::Fault(Fault::LoseLeader(500 + seed * 40)));
        world.run_until(30_000);
        world.check_settled();
        assert_eq!(world.logins, 1, "seed {seed}");
    }
}

#[test]
fn who_loses_the_bus_keeps_its_session_until_another_one_takes_it() {
    // From another address the router tells the old one, which then goes.
    let gaps = gaps(false, Fault::CutBus);
    assert!(gaps.iter().all(|gap| *gap <= 5000), "{:?}", gaps.last());
}
