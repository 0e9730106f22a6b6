//! Keeps what waits for the router, so that it outlives the process that accepted it.

use std::time::{Duration, Instant};

use intermud3::Packet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::memory::Memory;
use super::{Class, RouterHandle};
use crate::bus::lock::Holding;

/// While the router is there most of what waits goes in a moment: only what still waits then is kept.
const SETTLE: Duration = Duration::from_secs(1);

/// A packet as it is stored.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
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

/// What waits, as it is stored; the number of the last packet; and whether that is nothing at all.
fn snapshot(router: &RouterHandle, now: Instant, wall: Timestamp) -> (Vec<u8>, u64, bool) {
    let outbox = router.outbox();
    let (waiting, last) = outbox.asked_for();
    let kept: Vec<Kept> = waiting
        .map(|entry| Kept {
            class: if entry.class == Class::Direct { KeptClass::Direct } else { KeptClass::Channel },
            expires: wall.as_millisecond() + millis(entry.expires.saturating_duration_since(now)),
            packet: String::from_utf8_lossy(&entry.text).into_owned(),
        })
        .collect();
    // Texts and numbers can always be written.
    (serde_json::to_vec(&kept).unwrap_or_default(), last, kept.is_empty())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Reads what was stored: each packet with the time it may still wait.
pub(super) fn parse(json: &[u8], wall: Timestamp) -> Option<Vec<(Class, Packet, Duration)>> {
    let kept: Vec<Kept> = serde_json::from_slice(json).ok()?;
    let entry = |Kept { class, expires, packet }: Kept| {
        let class = match class {
            KeptClass::Direct => Class::Direct,
            KeptClass::Channel => Class::Channel,
        };
        let left = u64::try_from(expires - wall.as_millisecond()).unwrap_or(0);
        Some((class, Packet::decode(packet.as_bytes()).ok()?, Duration::from_millis(left)))
    };
    Some(kept.into_iter().filter_map(entry).collect())
}

/// Keeps what waits, whenever it changes and at the end, as long as this process holds the session.
pub async fn keep(router: RouterHandle, memory: Memory, holding: Holding, stop: CancellationToken) {
    let mut changed = router.shared.changed.subscribe();
    let mut keeper = Keeper { router: &router, memory, holding, nothing_kept: false };
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            // The sender lives as long as we do.
            _ = changed.changed() => {}
        }
        if router.status().is_connected() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(SETTLE) => {}
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
}

impl Keeper<'_> {
    /// Keeps what waits now, which is no older than this change.
    async fn keep(&mut self, version: u64) {
        // What an earlier process left must be read before it is overwritten.
        if !self.holding.now().may_keep() || !self.router.has_taken_over() {
            return;
        }
        let (json, last, nothing) = snapshot(self.router, Instant::now(), Timestamp::now());
        if !(nothing && self.nothing_kept) {
            match self.memory.keep_outbox(json).await {
                Ok(()) => {
                    self.nothing_kept = nothing;
                    self.router.outbox().set_kept(last);
                }
                Err(problem) => {
                    tracing::warn!(problem, "what waits for the router is kept in memory only");
                    return;
                }
            }
        }
        self.router.shared.kept.send_replace(version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::outbox::KEPT_BYTES;
    use crate::services::packets::{Between, tell};

    #[test]
    fn what_waits_fits_a_value_on_the_bus_with_as_much_of_an_earlier_process() {
        let (router, now, wall) = (RouterHandle::default(), Instant::now(), Timestamp::now());
        let between = Between { mud: "Dawn", user: "ann", target_mud: "Dusk", target_user: "bob" };
        for text in ["x".repeat(2000), "\"\u{1b}".repeat(500)] {
            while router.outbox().push(now, tell(between, false, &text), Class::Direct).is_ok() {}
        }
        let (json, ..) = snapshot(&router, now, wall);
        assert!((KEPT_BYTES * 9 / 10..=KEPT_BYTES).contains(&json.len()), "{}", json.len());
        assert_eq!(parse(&json, wall).unwrap().len(), router.waiting());
    }

    #[test]
    fn what_waits_can_be_read_again_with_the_time_that_is_left() {
        let (router, now, wall) = (RouterHandle::default(), Instant::now(), Timestamp::now());
        assert!(snapshot(&router, now, wall).2);
        let between = Between { mud: "Dawn", user: "ann", target_mud: "Dusk", target_user: "bob" };
        let packet = tell(between, false, "grüß\n\"dich\"");
        router.outbox().push(now, packet.clone(), Class::Direct).unwrap();
        assert!(router.post(packet.clone(), Class::Answer));
        let (json, last, nothing) = snapshot(&router, now, wall);
        assert_eq!((last, nothing), (2, false));
        let later = wall + jiff::SignedDuration::from_secs(100);
        let left = parse(&json, later).unwrap();
        assert_eq!(left, [(Class::Direct, packet.clone(), Duration::from_secs(200))]);
        let much_later = wall + jiff::SignedDuration::from_secs(1000);
        assert_eq!(parse(&json, much_later).unwrap()[0].2, Duration::ZERO);
        assert!(parse(b"[{}]", wall).is_none());
    }
}
