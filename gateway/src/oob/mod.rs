//! Out-of-band (OOB) services, mail, files and news from mud to mud: what is decided without sockets.
//!
//! [`conversation`] is a conversation of either role, [`auth_keys`] the rights that were handed out, [`address`] and
//! [`path`] say what may be called and named. The gateway has no mailboxes, files or news: what other muds ask for waits
//! at the [`desk`] for one of our clients. [`crate::calls`] brings this to sockets.

pub mod address;
pub mod auth_keys;
pub mod conversation;
pub mod desk;
pub mod path;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use intermud3::oob::OobBegin;
use intermud3::packet::{AuthMudReply, Body};
use intermud3::{Header, Packet};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use auth_keys::AuthKeys;
use desk::Desk;

use crate::mud::Offer;
use crate::sync::lock;

/// How conversations are had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where muds are waited for, if at all.
    pub listen: Option<SocketAddr>,
    /// Whether muds at private addresses are called.
    pub allow_private: bool,
}

/// What conversations are had by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What we offer.
    pub offer: Offer,
    /// Whether muds at private addresses are called.
    pub allow_private: bool,
    /// The port players connect to, for the articles they publish.
    pub player_port: u16,
    /// How many bytes may wait for a client, of which others' requests have half.
    pub queue_bytes: usize,
}

/// How many conversations we begin at a time.
const CALLS: usize = 32;

/// What conversations share.
#[derive(Debug)]
pub struct Oob {
    /// Requests of other muds that wait for a client.
    pub desk: Desk,
    /// The conversations, so that the end can wait for them.
    pub tasks: TaskTracker,
    /// Fires when the gateway ends.
    pub stop: CancellationToken,
    pub(crate) rules: Rules,
    keys: Mutex<AuthKeys>,
    /// Who waits for a key of which mud. A new key makes the one before useless, so one a mud.
    awaited: Mutex<HashMap<String, oneshot::Sender<i64>>>,
    /// Those who begin a conversation with one mud do so one after another, for the same reason.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// The places of the conversations that we begin.
    pub(crate) calls: Arc<Semaphore>,
    last_number: AtomicI64,
}

impl Oob {
    /// No conversations yet.
    pub fn new(rules: Rules) -> Self {
        Self {
            desk: Desk::new(rules.queue_bytes / 2),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            rules,
            keys: Mutex::default(),
            awaited: Mutex::default(),
            turns: Mutex::default(),
            calls: Arc::new(Semaphore::new(CALLS)),
            last_number: AtomicI64::new(0),
        }
    }

    /// What we offer.
    pub fn offer(&self) -> &Offer {
        &self.rules.offer
    }

    /// The answer to an `auth-mud-req`: a key, also where nothing is offered, since the service `auth` is announced.
    pub fn key(&self, mud: &str, request: &Packet) -> Packet {
        let origin = &request.header.origin_mud;
        let session_key = lock(&self.keys).hand_out(Instant::now(), origin, &mut rand::rng());
        Packet { header: Header::to_mud(mud, origin), body: Body::AuthMudReply(AuthMudReply { session_key }) }
    }

    /// A mud gave us a key: it goes to who waits for it.
    pub fn on_key(&self, mud: &str, key: i64) {
        if let Some(waiting) = lock(&self.awaited).remove(mud) {
            // Who waited may just have given up.
            let _ = waiting.send(key);
        }
    }

    /// Whether other muds may call us.
    pub fn is_open(&self) -> bool {
        self.rules.offer.port > 0
    }

    /// A mud said by `oob-req` that it will come without a key.
    pub fn expect(&self, mud: &str) {
        lock(&self.keys).expect(Instant::now(), mud);
    }

    /// Whether a caller may come in; its right is used up by that.
    pub(crate) fn admits(&self, begin: &OobBegin, from_its_address: bool) -> bool {
        lock(&self.keys).redeem(Instant::now(), begin, from_its_address)
    }

    /// Waits for a key of a mud from now on.
    pub(crate) fn await_key(&self, mud: &str) -> oneshot::Receiver<i64> {
        let (sender, receiver) = oneshot::channel();
        let mut awaited = lock(&self.awaited);
        awaited.retain(|_, waiting| !waiting.is_closed());
        awaited.insert(mud.to_owned(), sender);
        receiver
    }

    /// The lock of those who begin a conversation with a mud.
    pub(crate) fn turn(&self, mud: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = lock(&self.turns);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(mud.to_owned()).or_default())
    }

    /// A number for a request of ours: a 32-bit integer, as LPC drivers have them.
    pub(crate) fn next_number(&self) -> i64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) % i64::from(i32::MAX) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_asked_for_is_sent_and_opens_the_door() {
        let oob = Oob::new(Rules::default());
        let request = Packet::decode(br#"({"auth-mud-req",5,"Dusk",0,"Dawn",0,})"#).unwrap();
        let reply = oob.key("Dawn", &request);
        assert_eq!(reply.header, Header::to_mud("Dawn", "Dusk"));
        let Body::AuthMudReply(reply) = reply.body else { panic!("{reply:?}") };
        let begin = OobBegin { mud: "Dusk".into(), auth_type: 1, auth_token: reply.session_key };
        assert!(oob.admits(&begin, false) && !oob.admits(&begin, false));
    }

    #[test]
    fn a_key_reaches_who_waits_for_it() {
        let oob = Oob::new(Rules::default());
        let mut waiting = oob.await_key("Dusk");
        oob.on_key("Other", 41);
        assert!(waiting.try_recv().is_err());
        oob.on_key("Dusk", 42);
        assert_eq!(waiting.try_recv(), Ok(42));
    }

    #[test]
    fn numbers_fit_32_bits() {
        let oob = Oob::new(Rules::default());
        assert_eq!((oob.next_number(), oob.next_number()), (1, 2));
        oob.last_number.store(i64::from(i32::MAX) - 1, Ordering::Relaxed);
        assert_eq!((oob.next_number(), oob.next_number()), (i64::from(i32::MAX), 1));
    }
}
