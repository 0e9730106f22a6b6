//! The mudlists a mud gets when it registers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use intermud3::{Mapping, Value};
use rand::RngExt;

use super::{Conn, Core, Mud, Place};

/// Muds in a packet of the first list, and packets of the second list in a beat.
const CHUNK: usize = 10;

/// What a mud told of itself.
pub(super) struct Entry {
    pub(super) address: String,
    /// `player_port` to `other_data` of `startup-req-3`, in its order.
    pub(super) info: Vec<Value>,
}

/// Where the services are in [`Entry::info`].
const SERVICES: usize = 9;

/// How an entry is written.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    Full,
    /// Without `admin_email` and `other_data`, for the protocols 1 and 2.
    Old,
    /// The same, and with a restart delay behind the state.
    OldWithDelay,
}

impl Entry {
    pub(super) fn write(&self, up: bool, layout: Layout) -> Value {
        let state = Value::Int(if up { -1 } else { 0 });
        let delay = matches!(layout, Layout::OldWithDelay).then_some(Value::Int(-1));
        let old = |at: &usize| *at < SERVICES - 1 || *at == SERVICES;
        let wanted = |at: &usize| matches!(layout, Layout::Full) || old(at);
        let info = (0..self.info.len()).filter(wanted).map(|at| self.info[at].clone());
        let start = [Some(state), delay, Some(self.address.as_str().into())];
        Value::Array(start.into_iter().flatten().chain(info).collect())
    }

    pub(super) fn has_service(&self, name: &str) -> bool {
        self.info.get(SERVICES).and_then(Value::as_mapping).is_some_and(|all| all.contains_key(name))
    }
}

/// What is left to send of the second list, as it was when the mud registered.
pub(super) struct Listing {
    pub(super) due: Instant,
    id: i64,
    rest: VecDeque<(String, bool, Arc<Entry>)>,
}

/// The fields of a mudlist.
pub(super) fn fields(id: i64, muds: impl IntoIterator<Item = (String, Value)>) -> [Value; 2] {
    [id.into(), muds.into_iter().collect::<Mapping>().into()]
}

impl Mud {
    pub(super) fn is_up(&self) -> bool {
        self.place != Place::Nowhere
    }
}

impl Core {
    /// Rule 5: every mud ever known, ten a packet, with random ids but for the last.
    pub(super) fn tell_muds(&mut self, conn: Conn, name: &str, protocol: i64) {
        // Rule 46.
        let layout = if protocol < 3 { Layout::OldWithDelay } else { Layout::Full };
        let entry = |mud: &Mud| mud.entry.as_ref().map(|entry| entry.write(mud.is_up(), layout));
        let muds: Vec<(String, Value)> =
            self.muds.iter().map(|(name, mud)| (name.clone(), entry(mud).unwrap_or(Value::ZERO))).collect();
        let packets = muds.len().div_ceil(CHUNK);
        for (n, chunk) in muds.chunks(CHUNK).enumerate() {
            let last = n + 1 == packets;
            let id = if last { self.mudlist_id } else { self.rng.random_range(1..10_000_000) };
            self.send_own(conn, "mudlist", name.into(), fields(id, chunk.to_vec()));
        }
    }

    /// Rule 4: the list again, one mud a packet, to target 0.
    pub(super) fn tell_muds_again(&mut self, now: Instant, conn: Conn) {
        let entry =
            |(name, mud): (&String, &Mud)| Some((name.clone(), mud.is_up(), Arc::clone(mud.entry.as_ref()?)));
        let rest = self.muds.iter().filter_map(entry).collect();
        let due = self.beat(now + self.config.up_delay);
        self.listings.insert(conn, Listing { due, id: self.mudlist_id, rest });
    }

    pub(super) fn tell_due_listings(&mut self, now: Instant) {
        let due: Vec<(Conn, Listing)> =
            self.listings.extract_if(.., |_, listing| listing.due <= now).collect();
        let pace = if self.config.heartbeat.is_zero() { usize::MAX } else { CHUNK };
        for (conn, mut listing) in due {
            if self.mud_on(conn).is_none() {
                continue;
            }
            let part = pace.min(listing.rest.len());
            for (name, up, entry) in listing.rest.drain(..part) {
                let entry = (name, entry.write(up, Layout::Full));
                self.send_own(conn, "mudlist", Value::ZERO, fields(listing.id, [entry]));
            }
            listing.due = now + self.config.heartbeat;
            if !listing.rest.is_empty() {
                self.listings.insert(conn, listing);
            }
        }
    }
}
