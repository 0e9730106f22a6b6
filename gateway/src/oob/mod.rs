//! Out-of-band (OOB) services: mail, files and news, over a TCP connection from mud to mud.
//!
//! [`conversation`], [`auth_keys`], [`address`] and [`path`] decide, without sockets; [`line`] drives a conversation over
//! a socket, [`listener`] for muds that call us and [`outbound`] when we call. The gateway has no mailboxes, files or
//! news: what other muds ask for waits at the [`desk`] for one of our clients ([`serve`]), and what our clients ask for
//! becomes a call ([`errands`]). A mud may call any process of ours ([`elsewhere`]).

pub mod address;
pub mod auth_keys;
pub mod conversation;
pub mod desk;
mod elsewhere;
pub mod errands;
mod line;
pub mod listener;
pub mod outbound;
pub mod path;
mod serve;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use intermud3::oob::OobBegin;
use intermud3::packet::{AuthMudReply, Body};
use intermud3::{Header, Mapping, Packet};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use auth_keys::AuthKeys;
use desk::Desk;

pub use outbound::Unavailable;

use crate::api::Api;
use crate::api::forward::Forward;
use crate::metrics::Metrics;
use crate::services::Services;
use crate::sync::lock;

/// A service between muds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Letters.
    Mail,
    /// Files.
    File,
    /// News.
    News,
}

impl Service {
    /// The service as it stands in the mudlist.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::File => "file",
            Self::News => "news",
        }
    }
}

/// What we offer to other muds, as the mudlist has it; by default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The port they reach us at; 0: none.
    pub port: u16,
    /// The address they reach us at, when it is not the one the router sees.
    pub address: Option<IpAddr>,
    /// Letters.
    pub mail: bool,
    /// Files.
    pub file: bool,
    /// News.
    pub news: bool,
}

impl Offer {
    /// Whether a service is offered.
    pub fn has(&self, service: Service) -> bool {
        match service {
            Service::Mail => self.mail,
            Service::File => self.file,
            Service::News => self.news,
        }
    }

    /// The services that are offered.
    pub fn services(&self) -> impl Iterator<Item = &'static str> {
        let all = [Service::Mail, Service::File, Service::News].into_iter();
        all.filter(|service| self.port > 0 && self.has(*service)).map(Service::as_str)
    }

    /// Writes what is offered into our entry of the mudlist, for muds that look for the port `oob` as well.
    pub fn announce(&self, services: &mut Mapping, other_data: &mut Mapping) {
        if self.port == 0 {
            return;
        }
        self.services().for_each(|service| services.push(service, 1));
        services.push("oob", i64::from(self.port));
        if let Some(address) = self.address {
            other_data.push("ip", address.to_string());
        }
    }
}

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
    rules: Rules,
    keys: Mutex<AuthKeys>,
    /// Who waits for a key of which mud. A new key makes the one before useless, so one a mud.
    awaited: Mutex<HashMap<String, oneshot::Sender<i64>>>,
    /// Those who begin a conversation with one mud do so one after another, for the same reason.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    calls: Arc<Semaphore>,
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
    fn admits(&self, begin: &OobBegin, from_its_address: bool) -> bool {
        lock(&self.keys).redeem(Instant::now(), begin, from_its_address)
    }

    /// Waits for a key of a mud from now on.
    fn await_key(&self, mud: &str) -> oneshot::Receiver<i64> {
        let (sender, receiver) = oneshot::channel();
        let mut awaited = lock(&self.awaited);
        awaited.retain(|_, waiting| !waiting.is_closed());
        awaited.insert(mud.to_owned(), sender);
        receiver
    }

    /// The lock of those who begin a conversation with a mud.
    fn turn(&self, mud: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = lock(&self.turns);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(mud.to_owned()).or_default())
    }

    /// A number for a request of ours: a 32-bit integer, as LPC drivers have them.
    fn next_number(&self) -> i64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) % i64::from(i32::MAX) + 1
    }
}

/// What a conversation needs.
#[derive(Clone)]
pub struct Driver {
    /// The rest of the gateway.
    pub services: Arc<Services>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The way to the process that holds the session; none: there is one process only.
    pub forward: Option<Forward>,
}

impl Driver {
    /// What conversations of this gateway need.
    pub fn new(api: &Api) -> Self {
        Self {
            services: Arc::clone(&api.services),
            metrics: Arc::clone(&api.metrics),
            forward: api.forward.clone(),
        }
    }

    /// Whether a caller may come in to this process, which holds the session.
    fn admits_here(&self, begin: &OobBegin, from: IpAddr) -> bool {
        let services = &self.services;
        let known = services.mud_entry(&begin.mud).and_then(|entry| address::from_address(&entry));
        !services.policy().ignores_user("", &begin.mud) && self.oob().admits(begin, known == Some(from))
    }

    fn oob(&self) -> &Oob {
        &self.services.oob
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
    fn what_is_offered_is_announced_and_nothing_else() {
        let announced = |offer: Offer| {
            let (mut services, mut other) = (Mapping::default(), Mapping::default());
            offer.announce(&mut services, &mut other);
            (services, other)
        };
        assert_eq!(announced(Offer { mail: true, ..Offer::default() }), Default::default());
        let address = Some([203, 0, 114, 9].into());
        let (services, other) = announced(Offer { port: 4003, address, mail: true, file: false, news: true });
        assert_eq!(services, [("mail", 1), ("news", 1), ("oob", 4003)].into_iter().collect());
        assert_eq!(other, [("ip", "203.0.114.9")].into_iter().collect());
    }

    #[test]
    fn numbers_fit_32_bits() {
        let oob = Oob::new(Rules::default());
        assert_eq!((oob.next_number(), oob.next_number()), (1, 2));
        oob.last_number.store(i64::from(i32::MAX) - 1, Ordering::Relaxed);
        assert_eq!((oob.next_number(), oob.next_number()), (i64::from(i32::MAX), 1));
    }
}
