//! What may go wrong.

use rand::{Rng, RngExt};

use super::*;

#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Kill(usize),
    Start(usize),
    Pause(usize, u64),
    Leave(usize),
    CutBus(usize),
    HealBus(usize),
    CutRouter(usize),
    HealRouter(usize),
    LoseBucket,
    /// The bucket has no leader for so long.
    LoseLeader(u64),
}

impl Fault {
    /// Any fault, to any of so many processes.
    pub fn any(random: &mut impl Rng, processes: usize) -> Self {
        let index = random.random_range(0..processes);
        match random.random_range(0..7) {
            0 => Self::Kill(index),
            1 => Self::Pause(index, random.random_range(10..12_000)),
            2 => Self::CutBus(index),
            3 => Self::CutRouter(index),
            4 => Self::LoseBucket,
            5 => Self::LoseLeader(random.random_range(10..12_000)),
            _ => Self::Start(index),
        }
    }
}

impl World {
    /// Lets it go wrong now.
    pub fn fault(&mut self, fault: Fault) {
        let now = self.instant();
        match fault {
            Fault::Kill(index) => {
                self.processes[index].alive = false;
                self.processes[index].watch = None;
                self.processes[index].write = None;
                self.close(index);
            }
            Fault::Start(index) => {
                let known = self.logins > 0;
                let process = &mut self.processes[index];
                if process.alive {
                    return;
                }
                process.generation += 1;
                process.alive = true;
                process.lock = SessionLock::new(format!("{index}.{}", process.generation), known);
                if !process.bus_cut {
                    self.watch(index);
                }
            }
            Fault::Pause(index, millis) => self.processes[index].paused_until = self.now + millis,
            Fault::Leave(index) => {
                self.close(index);
                self.processes[index].lock.leave();
            }
            Fault::CutBus(index) => {
                let process = &mut self.processes[index];
                process.bus_cut = true;
                process.watch = None;
                process.lock.bus(now, false);
            }
            Fault::HealBus(index) => {
                if std::mem::take(&mut self.processes[index].bus_cut) && self.processes[index].alive {
                    self.watch(index);
                }
            }
            Fault::CutRouter(index) => {
                self.processes[index].router_cut = true;
                // The operating system gives up on it, and the router too.
                self.close(index);
                self.processes[index].lock.yield_to_others();
            }
            Fault::HealRouter(index) => self.processes[index].router_cut = false,
            Fault::LoseLeader(millis) => self.no_leader_until = self.now + millis,
            Fault::LoseBucket => {
                self.key = None;
                self.revision = 0;
                for index in 0..self.processes.len() {
                    self.processes[index].lock.bus(now, false);
                    if self.processes[index].alive && !self.processes[index].bus_cut {
                        self.watch(index);
                    }
                }
            }
        }
    }
}
