mod listening;
mod others;
mod owned;
mod said;
mod tells;

use std::sync::Arc;

use mudgateway_crds::report::SessionReason;
use serde_json::Value;

use super::*;
use crate::bus::{ChannelEvent, ChannelKind, ChannelMessage};
use crate::hub::{Session, Transport};
use crate::keys::{Key, Permissions, RateLimits};
use crate::router::Next;

const CHANNEL: &str = "imud_gossip";

const PLACE: StreamPlace = StreamPlace { sequence: 1, published: std::time::SystemTime::UNIX_EPOCH, part: 0 };

fn setup(channels: &[&str]) -> Setup {
    let channels = channels.iter().map(|channel| ((*channel).to_owned(), Scope::Network.into())).collect();
    let ignore = vec![Pattern::parse("troll@*").unwrap()];
    let policy = Policy { ignore, ..Policy::default() };
    Setup { mud: "Dawn".into(), epoch: 1, channels, policy, history: 10, ..Setup::default() }
}

/// A client that may do all.
fn client(services: &Services) -> Arc<Session> {
    let session = Session::new(Transport::Tcp, [127, 0, 0, 1].into(), 1 << 20);
    let key = Key::new("key", Permissions::all(), &RateLimits::default());
    let admission = services.hub.authenticate(&session, Arc::new(key), None);
    services.hub.admit(&session, &admission);
    session
}

/// Services that are connected to a router, and a client that is on the channel.
fn connected() -> (Services, RouterHandle, Arc<Session>) {
    let router = RouterHandle::default();
    router.set_status(SessionStatus {
        reason: SessionReason::SessionEstablished,
        message: String::new(),
        router: Some("*test".to_owned()),
        address: None,
        egress: None,
        since: None,
    });
    let services = Services::new(setup(&[]), router.clone(), None);
    let session = client(&services);
    session.join(CHANNEL);
    (services, router, session)
}

fn packet(text: &str) -> Packet {
    Packet::decode(text.as_bytes()).unwrap()
}

fn from_router(services: &Services, text: &str) {
    services.on_link(LinkEvent::Packet(packet(text)));
}

fn events(session: &Session) -> Vec<Value> {
    session.queue.take().iter().map(|line| serde_json::from_str(line.text()).unwrap()).collect()
}

/// The packets that wait for the router, as text.
fn sent(router: &RouterHandle) -> Vec<String> {
    let mut packets = Vec::new();
    while let Next::Send(entry) = router.outbox().next(Instant::now()) {
        packets.push(String::from_utf8(entry.packet.encode().unwrap().to_vec()).unwrap());
    }
    packets
}

const CHAT: &str = r#"({"channel-m",5,"Dusk","bob",0,0,"imud_gossip","Bob","hi",})"#;

fn by_bus() -> ChannelEvent {
    let message = ChannelMessage {
        mud: "Dusk".into(),
        user: "bob".into(),
        channel: CHANNEL.into(),
        kind: ChannelKind::Message,
        visname: "Bob".into(),
        message: "hi".into(),
        target: None,
    };
    ChannelEvent::new(message, Scope::Network)
}
