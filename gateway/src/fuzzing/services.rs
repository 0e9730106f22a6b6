//! The router, and other muds through it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use intermud3::Packet;
use intermud3::packet::Body;
use mudgateway_crds::report::SessionReason;
use serde_json::Value;

use crate::hub::{CloseReason, Session, Transport};
use crate::keys::{Key, Permissions, RateLimits};
use crate::mud::{Offer, SessionStatus};
use crate::oob::Rules;
use crate::router::{LinkEvent, LinkListener, OUTBOX_PACKETS, RouterHandle};
use crate::services::{FilterDefault, Pattern, Policy, Scope, Services, Setup};

const MUD: &str = "Dawn";

const CHANNELS: [&str; 2] = ["imud_gossip", "dchat"];

/// How many messages of a channel are remembered.
const HISTORY: usize = 5;

/// How many muds say the same in a flood.
const FLOOD: usize = 300;

/// How many floods an input may hold: more of them take long and show nothing new.
const FLOODS: usize = 4;

/// What comes over the link, line by line: a packet; `?` and a packet of ours that could not be sent in time; `*` and a
/// packet that many muds send; `!` a new session with the router; `+` six seconds that pass.
pub fn services(data: &[u8]) {
    let mut gateway = Gateway::new();
    let mut floods = 0;
    for line in data.split(|byte| *byte == b'\n') {
        match line {
            b"!" => gateway.link(LinkEvent::Established),
            b"+" => gateway.wait(),
            [b'?', packet @ ..] => gateway.take(packet, LinkEvent::Expired),
            [b'*', packet @ ..] if floods < FLOODS => {
                floods += 1;
                gateway.flood(packet);
            }
            packet => gateway.receive(packet),
        }
        gateway.hears();
    }
    gateway.is_kept();
}

/// A gateway with a session at a router, and a client that may hear everything.
struct Gateway {
    services: Services,
    router: RouterHandle,
    session: Arc<Session>,
    now: Instant,
}

impl Gateway {
    fn new() -> Self {
        let router = RouterHandle::default();
        router.set_status(SessionStatus {
            reason: SessionReason::SessionEstablished,
            message: String::new(),
            router: Some("*test".to_owned()),
            address: None,
            egress: None,
            since: None,
        });
        let services = Services::new(setup(), router.clone(), None);
        let session = Session::new(Transport::Tcp, [127, 0, 0, 1].into(), 1 << 20);
        let key = Key::new("key", Permissions::all(), &RateLimits::default());
        let admission = services.hub.authenticate(&session, Arc::new(key), None);
        services.hub.admit(&session, &admission);
        session.join(CHANNELS[0]);
        Self { services, router, session, now: Instant::now() }
    }

    fn link(&self, event: LinkEvent) {
        self.services.on_link(event);
        self.sent().iter().for_each(is_ours);
    }

    fn take(&self, text: &[u8], event: impl FnOnce(Packet) -> LinkEvent) {
        if let Ok(packet) = Packet::decode(text) {
            self.link(event(packet));
        }
    }

    fn wait(&mut self) {
        self.now += Duration::from_secs(6);
        self.services.on_second(self.now);
        self.sent().iter().for_each(is_ours);
    }

    /// One packet has at most one answer, and an error has none.
    fn receive(&self, text: &[u8]) {
        let Ok(packet) = Packet::decode(text) else { return };
        self.services.on_link(LinkEvent::Packet(packet.clone()));
        let sent = self.sent();
        assert!(sent.len() <= 1, "{sent:?} to {packet}");
        sent.iter().for_each(|answer| is_fit(answer, &packet));
    }

    /// Many muds make us say no more than may wait.
    fn flood(&self, text: &[u8]) {
        let Ok(mut packet) = Packet::decode(text) else { return };
        let origin = packet.header.origin_mud.clone();
        for number in 0..FLOOD {
            packet.header.origin_mud = format!("{origin}{number}");
            self.services.on_link(LinkEvent::Packet(packet.clone()));
        }
        let sent = self.sent();
        assert!(sent.len() <= 100, "{} packets are sent", sent.len());
        sent.iter().for_each(is_ours);
        assert!(sent.is_empty() || !matches!(packet.body, Body::Error(_)));
        self.hears();
    }

    /// What waits for the router, as it goes over the wire.
    fn sent(&self) -> Vec<Packet> {
        assert!(self.router.waiting() <= OUTBOX_PACKETS);
        let all = self.router.outbox().expired(Instant::now() + Duration::from_secs(3600));
        all.iter().map(|entry| Packet::decode(&entry.text).unwrap()).collect()
    }

    /// The client is sent notifications, and not too many of them.
    fn hears(&self) {
        for line in self.session.queue.take() {
            let event: Value = serde_json::from_str(line.text()).unwrap();
            assert!(event["jsonrpc"] == "2.0" && event["method"].is_string() && event["params"].is_object());
            assert!(event.get("id").is_none());
        }
        assert!(self.session.queue.closed().is_none_or(|reason| reason == CloseReason::SlowConsumer));
        for channel in CHANNELS {
            assert!(self.services.history(channel, usize::MAX, None, None).len() <= HISTORY);
        }
    }

    /// The lists are the same after they were kept and read again.
    fn is_kept(&self) {
        let Some(lists) = self.services.changed_lists() else { return };
        let restored = Services::new(setup(), RouterHandle::default(), None);
        for list in lists {
            let Ok(text) = list.encode() else { return };
            restored.restore_list(Packet::decode(&text).unwrap());
        }
        assert_eq!(restored.muds(), self.services.muds());
        assert_eq!(restored.channels(), self.services.channels());
    }
}

fn setup() -> Setup {
    let offer = Offer { port: 4003, mail: true, ..Offer::default() };
    Setup {
        metrics: Arc::default(),
        mud: MUD.to_owned(),
        oob: Rules { offer, ..Rules::default() },
        epoch: 1,
        channels: [(CHANNELS[1].to_owned(), Scope::Network.into())].into(),
        policy: Policy { ignore: vec![Pattern::parse("troll@*").unwrap()], ..Policy::default() },
        history: HISTORY,
        filter_default: FilterDefault::Pass,
        announce_users: true,
    }
}

/// Every packet we send is our own.
fn is_ours(packet: &Packet) {
    assert_eq!(packet.header.origin_mud, MUD);
}

/// An answer goes to who asked. Errors are answered by nothing, and by errors only what was for us.
fn is_fit(answer: &Packet, question: &Packet) {
    is_ours(answer);
    assert!(!matches!(question.body, Body::Error(_)), "{answer} to an error");
    match &answer.body {
        // A channel that nobody listens to is switched off at the router.
        Body::ChannelListen(listen) => assert!(!listen.on),
        body => {
            assert_eq!(answer.header.target_mud.as_ref(), Some(&question.header.origin_mud));
            let refused = matches!(body, Body::Error(_));
            assert!(!refused || question.header.target_mud.as_deref() == Some(MUD));
        }
    }
}
