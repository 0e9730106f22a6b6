//! Keeps what waits for the router, so that it outlives the process that accepted it.

use std::collections::HashSet;
use std::pin::pin;
use std::time::{Duration, Instant};

use intermud3::Packet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::memory::Memory;
use super::{Class, Left, RouterHandle};
use crate::bus::lock::{Duty, Holding};

/// While the router is there most of what waits goes in a moment: only what still waits then is kept.
const SETTLE: Duration = Duration::from_secs(1);

/// A packet as it is stored.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// Older gateways keep none.
    #[serde(default)]
    id: u64,
    class: KeptClass,
    /// In milliseconds since 1970.
    expires: i64,
    /// The LPC text, which is always UTF-8 when we write it.
    packet: String,
}

/// The classes that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeptClass {
    Direct,
    Channel,
}

/// What waits, as it is stored; and whether that is nothing at all.
fn snapshot(router: &RouterHandle, now: Instant, wall: Timestamp) -> (Vec<u8>, bool) {
    let mut outbox = router.outbox();
    let kept: Vec<Kept> = outbox
        .offer()
        .map(|entry| Kept {
            id: entry.id,
            class: if entry.class == Class::Direct { KeptClass::Direct } else { KeptClass::Channel },
            expires: wall.as_millisecond() + millis(entry.expires.saturating_duration_since(now)),
            packet: String::from_utf8_lossy(&entry.text).into_owned(),
        })
        .collect();
    // Texts and numbers can always be written.
    (serde_json::to_vec(&kept).unwrap_or_default(), kept.is_empty())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Reads what was stored.
pub(super) fn parse(json: &[u8], wall: Timestamp) -> Option<Vec<Left>> {
    let kept: Vec<Kept> = serde_json::from_slice(json).ok()?;
    let entry = |Kept { id, class, expires, packet }: Kept| {
        let class = match class {
            KeptClass::Direct => Class::Direct,
            KeptClass::Channel => Class::Channel,
        };
        let time = Duration::from_millis(u64::try_from(expires - wall.as_millisecond()).unwrap_or(0));
        Some(Left { id, class, packet: Packet::decode(packet.as_bytes()).ok()?, time })
    };
    Some(kept.into_iter().filter_map(entry).collect())
}

/// Reads the numbers of what went since.
pub(super) fn parse_gone(json: &[u8]) -> Option<HashSet<u64>> {
    serde_json::from_slice(json).ok()
}

/// Keeps what waits, whenever it changes and at the end, as long as this process holds the session.
pub async fn keep(router: RouterHandle, memory: Memory, holding: Holding, stop: CancellationToken) {
    let mut changed = router.shared.changed.subscribe();
    let mut keeper = Keeper { router: &router, memory, holding, nothing_kept: false, told_gone: None };
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            // The sender lives as long as we do.
            _ = changed.changed() => {}
        }
        let mut settled = pin!(sleep(SETTLE));
        while router.status().is_connected() && !stop.is_cancelled() {
            keeper.tell_gone().await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = &mut settled => break,
                _ = changed.changed() => {}
            }
        }
        let version = *changed.borrow_and_update();
        keeper.keep(version).await;
    }
    // Something may have gone while the last state was being kept.
    let version = *changed.borrow_and_update();
    keeper.keep(version).await;
}

struct Keeper<'a> {
    router: &'a RouterHandle,
    memory: Memory,
    holding: Holding,
    /// Whether what is stored is that nothing waits.
    nothing_kept: bool,
    /// The last packet of which it was told that it is gone.
    told_gone: Option<u64>,
}

impl Keeper<'_> {
    /// Keeps what waits now, which is no older than this change.
    async fn keep(&mut self, version: u64) {
        // What an earlier process left must be read before it is overwritten.
        if !self.holding.now().may_keep() || !self.router.has_taken_over() {
            return;
        }
        let gone = self.router.outbox().gone(Instant::now());
        let (json, nothing) = snapshot(self.router, Instant::now(), Timestamp::now());
        if !(nothing && self.nothing_kept) {
            match self.memory.keep_outbox(json).await {
                Ok(()) => {
                    self.nothing_kept = nothing;
                    let mut outbox = self.router.outbox();
                    outbox.set_kept();
                    if let Some(last) = gone.last() {
                        outbox.forget_gone(*last);
                    }
                }
                Err(problem) => {
                    // It may be there all the same.
                    self.nothing_kept = false;
                    tracing::warn!(problem, "what waits for the router is kept in memory only");
                    return;
                }
            }
        }
        self.router.shared.kept.send_replace(version);
    }

    /// Tells what went of what is kept: who takes over must not send it again. What is kept may be much, so it is not written anew
    /// for each packet.
    async fn tell_gone(&mut self) {
        let gone = self.router.outbox().gone(Instant::now());
        let Some(last) = gone.last().filter(|last| self.told_gone.as_ref() != Some(*last)) else { return };
        if self.holding.now() != Duty::Holder {
            return;
        }
        // Numbers can always be written.
        match self.memory.keep_gone(serde_json::to_vec(&gone).unwrap_or_default()).await {
            Ok(()) => self.told_gone = Some(*last),
            Err(problem) => tracing::debug!(problem, "what went is not told"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packets::{Between, tell};
    use crate::router::outbox::KEPT_BYTES;

    #[test]
    fn what_waits_fits_a_value_on_the_bus_with_as_much_of_an_earlier_process() {
        let (router, now, wall) = (RouterHandle::default(), Instant::now(), Timestamp::now());
        let between = Between { mud: "Dawn", user: "ann", target_mud: "Dusk", target_user: "bob" };
        for text in ["x".repeat(2000), "\"\u{1b}".repeat(500)] {
            while router.outbox().push(now, tell(between, false, &text), Class::Direct).is_ok() {}
        }
        let (json, _) = snapshot(&router, now, wall);
        assert!((KEPT_BYTES * 9 / 10..=KEPT_BYTES).contains(&json.len()), "{}", json.len());
        assert_eq!(parse(&json, wall).unwrap().len(), router.waiting());
    }

    #[test]
    fn what_waits_can_be_read_again_with_the_time_that_is_left() {
        let (router, now, wall) = (RouterHandle::default(), Instant::now(), Timestamp::now());
        assert!(snapshot(&router, now, wall).1);
        let between = Between { mud: "Dawn", user: "ann", target_mud: "Dusk", target_user: "bob" };
        let packet = tell(between, false, "grüß\n\"dich\"");
        router.outbox().push(now, packet.clone(), Class::Direct).unwrap();
        assert!(router.post(packet.clone(), Class::Answer));
        let (json, nothing) = snapshot(&router, now, wall);
        assert!(!nothing);
        let id = router.outbox().offer().next().unwrap().id;
        let later = wall + jiff::SignedDuration::from_secs(100);
        let left = parse(&json, later).unwrap();
        assert_eq!(left, [Left { id, class: Class::Direct, packet, time: Duration::from_secs(200) }]);
        let much_later = wall + jiff::SignedDuration::from_secs(1000);
        assert_eq!(parse(&json, much_later).unwrap()[0].time, Duration::ZERO);
        assert!(parse(b"[{}]", wall).is_none());
    }
}
