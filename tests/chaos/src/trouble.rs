//! What gateways must say of themselves while NATS is in trouble, and what it costs them.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

use crate::inside::Inside;
use crate::scenario::Scenario;
use crate::world::World;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// How much more memory a gateway may have at most while and after NATS is in trouble, and say as much as it can.
pub const MEMORY: u64 = 24 << 20;

/// How soon all that waited must be on the bus again, and all be as before.
pub const CAUGHT_UP: Duration = Duration::from_secs(30);

/// Which gateway says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The process that holds the session.
    Holder,
    /// The gateway of the other hosted mud.
    Hosted,
}

/// Something that a gateway says of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sign {
    /// A gauge has this value.
    Is(&'static str, f64),
    /// A gauge has this value at most.
    AtMost(&'static str, f64),
    /// A counter, the sum of its series with these labels, has grown.
    Grew(&'static str, &'static [&'static str]),
    /// The readiness says this word at a JSON pointer.
    Says(&'static str, &'static str),
    /// The readiness says at least this number there.
    SaysAtLeast(&'static str, u64),
}

impl Sign {
    fn shows(self, before: &Inside, now: &Inside) -> bool {
        match self {
            Self::Is(name, value) => now.metric(name, &[]) == Some(value),
            Self::AtMost(name, most) => now.metric(name, &[]).is_some_and(|value| value <= most),
            Self::Grew(name, labels) => {
                let of = |inside: &Inside| inside.metric(name, labels).unwrap_or_default();
                of(now) > of(before)
            }
            Self::Says(pointer, word) => now.health(pointer).and_then(Value::as_str) == Some(word),
            Self::SaysAtLeast(pointer, least) => {
                now.health(pointer).and_then(Value::as_u64).is_some_and(|said| said >= least)
            }
        }
    }
}

impl Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(name, value) => write!(f, "`{name} {value}`"),
            Self::AtMost(name, most) => write!(f, "`{name}` {most} at most"),
            Self::Grew(name, []) => write!(f, "`{name}`"),
            Self::Grew(name, labels) => write!(f, "`{name}{{{}}}`", labels.join(",")),
            Self::Says(pointer, word) => write!(f, "ready {pointer} `{word}`"),
            Self::SaysAtLeast(pointer, least) => write!(f, "ready {pointer} {least} or more"),
        }
    }
}

/// What must be seen of a scenario while it lasts.
pub fn signs(scenario: Scenario) -> Vec<(Who, Sign)> {
    use Sign::{Grew, Is, Says, SaysAtLeast};
    use Who::{Holder, Hosted};
    match scenario {
        Scenario::NatsRestart | Scenario::NatsRestartSecured | Scenario::NatsAway | Scenario::NatsFlood => {
            vec![
                (Holder, Is("bus_connected", 0.0)),
                (Holder, Says("/bus/state", "disconnected")),
                (Holder, Says("/bus/lock", "holdover")),
                (Holder, Grew("session_lock_changes_total", &["duty=\"holdover\""])),
                (Hosted, SaysAtLeast("/bus/publish_queue", 1)),
            ]
        }
        Scenario::NatsPartition => vec![
            (Holder, Says("/bus/lock", "holdover")),
            (Holder, Grew("bus_write_failures_total", &["store=\"lock\"", "reason=\"NoAnswer\""])),
            (Holder, Says("/bus/writes/lock/outcome", "NoAnswer")),
        ],
        Scenario::NatsLeader => vec![
            // Whose server is the one that goes tries no write, and so none fails.
            (Holder, Grew("session_lock_changes_total", &["duty=\"holdover\""])),
            (Holder, Says("/bus/lock", "holdover")),
        ],
        Scenario::NatsFull => vec![
            (Hosted, Says("/bus/writes/channels/outcome", "StorageFailed")),
            (Hosted, Grew("bus_write_failures_total", &["store=\"channels\"", "reason=\"StorageFailed\""])),
            (Hosted, SaysAtLeast("/bus/publish_queue", 1)),
        ],
        Scenario::NatsDiskFull => vec![
            (Hosted, Grew("bus_write_failures_total", &["store=\"channels\""])),
            (Hosted, SaysAtLeast("/bus/publish_queue", 1)),
        ],
        Scenario::NatsSlow => vec![
            (Holder, SaysAtLeast("/bus/writes/lock/milliseconds", 300)),
            (Hosted, SaysAtLeast("/bus/writes/channels/milliseconds", 300)),
        ],
        Scenario::NatsCrawls => vec![
            (Holder, Says("/bus/writes/lock/outcome", "NoAnswer")),
            (Holder, Says("/bus/lock", "holdover")),
            (Holder, Grew("bus_write_failures_total", &["store=\"lock\"", "reason=\"NoAnswer\""])),
        ],
        Scenario::NatsSliced => vec![(Hosted, SaysAtLeast("/bus/writes/channels/milliseconds", 10))],
        _ => Vec::new(),
    }
}

/// What must be true again when it is over.
const WELL: [(Who, Sign); 5] = [
    (Who::Holder, Sign::Is("bus_connected", 1.0)),
    (Who::Holder, Sign::Says("/bus/lock", "holder")),
    (Who::Holder, Sign::Says("/bus/writes/lock/outcome", "Stored")),
    // It goes on talking.
    (Who::Hosted, Sign::AtMost("bus_publish_queue_size", 2.0)),
    (Who::Hosted, Sign::Says("/bus/writes/channels/outcome", "Stored")),
];

/// What trouble with NATS cost the gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The most bytes by which the memory of one has grown.
    pub memory: u64,
    /// The most channel messages that waited to be published.
    pub waiting: u64,
    /// From the end of the trouble until all was as before.
    pub caught_up: Duration,
    /// What should have been seen and was not.
    pub unseen: Vec<String>,
}

/// Looks at the gateways while something lasts.
pub struct Observer {
    scenario: Scenario,
    addresses: BTreeMap<Who, SocketAddr>,
    before: BTreeMap<Who, Inside>,
    missing: Vec<(Who, Sign)>,
    cost: Cost,
}

impl Observer {
    /// Looks for the first time; none when there is nothing to be seen.
    ///
    /// # Errors
    /// When a gateway does not answer.
    pub async fn start(
        scenario: Scenario,
        world: &World,
        holder: usize,
    ) -> Result<Option<Self>, crate::Error> {
        let missing = signs(scenario);
        if missing.is_empty() {
            return Ok(None);
        }
        let addresses = BTreeMap::from([
            (Who::Holder, world.members[holder].gateway.observers),
            (Who::Hosted, world.hosted.observers),
        ]);
        let mut before = BTreeMap::new();
        for (who, address) in &addresses {
            before.insert(*who, Inside::of(*address).await?);
        }
        Ok(Some(Self { scenario, addresses, before, missing, cost: Cost::default() }))
    }

    /// Looks until a moment.
    pub async fn until(&mut self, end: Instant) {
        loop {
            let now = self.look().await;
            let missing = std::mem::take(&mut self.missing);
            self.missing = missing.into_iter().filter(|sign| !self.shows(&now, sign)).collect();
            if Instant::now() >= end {
                return;
            }
            sleep(LOOK.min(end.saturating_duration_since(Instant::now()))).await;
        }
    }

    /// Looks until all is as before.
    pub async fn until_well(&mut self) {
        let (start, holds) = (Instant::now(), self.scenario.plan().fault.keeps_session());
        loop {
            let now = self.look().await;
            let signs = WELL.iter().filter(|(who, _)| holds || *who == Who::Hosted);
            let ill: Vec<_> = signs.filter(|sign| !self.shows(&now, sign)).collect();
            self.cost.caught_up = start.elapsed();
            if ill.is_empty() {
                return;
            }
            if start.elapsed() > CAUGHT_UP {
                self.cost.unseen.extend(ill.iter().map(|(who, sign)| format!("afterwards {who:?}: {sign}")));
                return;
            }
            sleep(LOOK).await;
        }
    }

    /// What was seen.
    pub fn end(mut self) -> Cost {
        self.cost.unseen.extend(self.missing.iter().map(|(who, sign)| format!("{who:?}: {sign}")));
        self.cost
    }

    fn shows(&self, now: &BTreeMap<Who, Inside>, (who, sign): &(Who, Sign)) -> bool {
        now.get(who).is_some_and(|now| sign.shows(&self.before[who], now))
    }

    /// One look at all that answer.
    async fn look(&mut self) -> BTreeMap<Who, Inside> {
        let mut seen = BTreeMap::new();
        for (who, address) in &self.addresses {
            let Ok(inside) = Inside::of(*address).await else { continue };
            let grown = inside.memory().saturating_sub(self.before[who].memory());
            let waiting = inside.health("/bus/publish_queue").and_then(Value::as_u64).unwrap_or_default();
            self.cost.memory = self.cost.memory.max(grown);
            self.cost.waiting = self.cost.waiting.max(waiting);
            seen.insert(*who, inside);
        }
        seen
    }
}

impl Cost {
    /// What is not as promised.
    pub fn broken(&self) -> Vec<String> {
        let mut broken: Vec<_> = self.unseen.iter().map(|sign| format!("not seen: {sign}")).collect();
        if self.memory > MEMORY {
            broken.push(format!("memory grew by {} bytes, promised are {MEMORY}", self.memory));
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_memory_than_promised_and_what_was_not_seen_are_told() {
        let cost = Cost { memory: MEMORY + 1, unseen: vec!["x".to_owned()], ..Cost::default() };
        assert_eq!(cost.broken().len(), 2);
        assert_eq!(Cost { memory: MEMORY, ..Cost::default() }.broken(), Vec::<String>::new());
    }

    #[test]
    fn signs_are_named_as_an_operator_would_look_for_them() {
        let signs = signs(Scenario::NatsPartition).into_iter().map(|(_, sign)| sign.to_string());
        assert_eq!(
            signs.collect::<Vec<_>>(),
            [
                "ready /bus/lock `holdover`",
                "`bus_write_failures_total{store=\"lock\",reason=\"NoAnswer\"}`",
                "ready /bus/writes/lock/outcome `NoAnswer`",
            ]
        );
    }
}
