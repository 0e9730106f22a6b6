//! Who is let in: connections, addresses, and names.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{Conn, Core, MAX_MUDS};

/// Rule 38: one more of a new name is let in while there are no more than these of an address.
const MUDS_OF_AN_ADDRESS: usize = 32;

/// Rule 41b.
const WRONG_PASSWORDS: u32 = 100;
const BLACKLISTED_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);

#[derive(Default)]
pub(super) struct Doors {
    /// The second of the last connection that was let in.
    last_accept: Option<u64>,
    wrong_passwords: HashMap<IpAddr, u32>,
    /// Addresses, and until when.
    blacklist: HashMap<String, Instant>,
}

impl Core {
    /// Whole seconds since the start.
    pub(super) fn second(&self, now: Instant) -> u64 {
        (now - self.epoch).as_secs()
    }

    /// Rule 39: one a clock second. One that is turned away does not count.
    pub(super) fn may_connect(&mut self, now: Instant) -> bool {
        let second = Some(self.second(now));
        let may = !self.config.accept_limit || self.doors.last_accept != second;
        self.doors.last_accept = second;
        may
    }

    /// Rule 38: whether a name that was not known may be taken from this address.
    pub(super) fn has_room_for(&self, address: &str) -> bool {
        let here = self.up().filter(|(_, _, mud)| {
            mud.entry.as_ref().is_some_and(|entry| entry.address == address) //
        });
        !self.config.address_limit || here.count() <= MUDS_OF_AN_ADDRESS
    }

    /// Rule 41b: also true of addresses that only start like one on the list, 127.0.0.70 for 127.0.0.7.
    pub(super) fn is_blacklisted(&self, now: Instant, conn: Conn) -> bool {
        let list = &self.doors.blacklist;
        if list.is_empty() {
            return false;
        }
        let address = self.address(conn);
        list.iter().any(|(start, until)| now < *until && address.starts_with(start))
    }

    pub(super) fn count_wrong_password(&mut self, now: Instant, conn: Conn) {
        let Some(link) = self.links.get(&conn) else { return };
        let full = self.doors.wrong_passwords.len() >= MAX_MUDS || self.doors.blacklist.len() >= MAX_MUDS;
        if !self.config.blacklist || full {
            return;
        }
        let count = self.doors.wrong_passwords.entry(link.peer).or_default();
        *count += 1;
        if *count > WRONG_PASSWORDS {
            *count = 0;
            self.doors.blacklist.insert(link.peer.to_string(), now + BLACKLISTED_FOR);
        }
    }

    pub(super) fn forget_wrong_passwords(&mut self, conn: Conn) {
        if let Some(link) = self.links.get(&conn) {
            self.doors.wrong_passwords.remove(&link.peer);
        }
    }
}
