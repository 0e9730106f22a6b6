//! Muds that send too much (rules 40 and 41).

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use intermud3::Value;
use intermud3::packet::ErrorPacket;

use super::{Conn, Core, MAX_MUDS};

/// More than this in one clock second is a flood.
const MOST: u32 = 10;

/// One mud is forgiven each time this has passed since the start.
const FORGIVING: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Flood {
    second: u64,
    /// What came in that second, by the name it came under.
    counts: HashMap<String, u32>,
    /// Muds that are ignored, in the order in which they are forgiven.
    gray: VecDeque<String>,
    due: Option<Instant>,
}

impl Flood {
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The mud that has been ignored longest is heard again.
    pub(super) fn forgive(&mut self, now: Instant) {
        if let Some(due) = self.due.filter(|due| *due <= now) {
            self.gray.pop_front();
            self.due = (!self.gray.is_empty()).then(|| due + FORGIVING);
        }
    }

    /// How much came under this name in this second.
    fn count(&mut self, second: u64, name: &str, cost: u32) -> u32 {
        if self.second != second {
            self.second = second;
            self.counts.clear();
        }
        if self.counts.len() >= MAX_MUDS && !self.counts.contains_key(name) {
            return cost;
        }
        let count = self.counts.entry(name.to_owned()).or_default();
        *count += cost;
        *count
    }

    fn is_gray(&self, name: &str) -> bool {
        self.gray.iter().any(|gray| gray == name)
    }

    fn add(&mut self, name: &str, next: Instant) {
        if self.gray.len() < MAX_MUDS {
            self.gray.push_back(name.to_owned());
            self.due.get_or_insert(next);
        }
    }
}

impl Core {
    /// Whether a packet is dropped. It counts for the name it claims to come from.
    pub(super) fn is_flood(&mut self, now: Instant, conn: Conn, packet: &Value) -> bool {
        let [kind, _, origin, user, ..] = packet.as_array().unwrap_or_default() else { return false };
        let Some(name) = origin.as_str().filter(|_| self.config.flood_limit) else { return false };
        let cost = match kind.as_str() {
            Some("channel-listen") => 0,
            Some(kind) if kind.starts_with("startup-req") => 6,
            _ => 1,
        };
        let count = self.flood.count(self.second(now), name, cost);
        let gray = self.flood.is_gray(name);
        let message = match gray {
            true if count < 2 => "Your packets are being temporarily dropped due to flooding.",
            false if count > MOST => "Flood detected! Your packets will be temporarily ignored.",
            _ => return gray,
        };
        self.answer(conn, origin, user, ErrorPacket::NOT_ALLOWED, message, packet.clone());
        if !gray {
            let periods = self.second(now) / FORGIVING.as_secs() + 1;
            self.flood.add(name, self.epoch + Duration::from_secs(periods * FORGIVING.as_secs()));
        }
        true
    }
}
