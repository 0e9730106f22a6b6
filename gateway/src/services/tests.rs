mod others;
mod owned;

use std::sync::Arc;

use mudgateway_crds::report::SessionReason;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::bus::{ChannelEvent, ChannelKind, ChannelMessage, EmoteTarget, Relayed};
use crate::hub::{Resume, Session, Transport};
use crate::keys::{Key, Permissions, RateLimits};
use crate::router::{Accepted, Next};

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

#[test]
fn a_message_that_comes_by_both_ways_is_heard_once() {
    let (services, _, session) = connected();
    services.on_bus(PLACE, by_bus());
    from_router(&services, CHAT);
    let heard = events(&session);
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0]["params"]["from_mud"], "Dusk");
    assert_eq!(heard[0]["params"]["message"], "hi");
}

fn far(number: u64) -> String {
    format!(r##"({{"channel-m",5,"Far","bob",0,0,"imud_gossip","Bob","#{number}",}})"##)
}

fn relayed(number: u64) -> Relayed {
    let message = ChannelMessage { mud: "Far".into(), message: format!("#{number}"), ..by_bus().message };
    Relayed { relay: "Dusk".into(), by: 1, number, age: 0, message }
}

/// The numbers of what was heard of the mud elsewhere.
fn numbers(session: &Session) -> Vec<u64> {
    let number = |event: &Value| event["params"]["message"].as_str()?.strip_prefix('#')?.parse().ok();
    events(session).iter().filter_map(number).collect()
}

#[test]
fn what_was_lost_before_the_session_before_is_not_heard_now() {
    let (services, _, session) = connected();
    services.on_link(LinkEvent::Established);
    from_router(&services, &far(7));
    services.on_link(LinkEvent::Ended);
    // It was said before a session that brought what was said later; the other one after it.
    services.on_relayed(Relayed { age: 3000, ..relayed(5) });
    services.on_relayed(Relayed { age: 500, ..relayed(8) });
    assert_eq!(numbers(&session), [7, 8]);
}

#[test]
fn what_others_relay_when_the_router_brings_talk_itself_comes_too_late() {
    let (services, _, session) = connected();
    services.on_link(LinkEvent::Established);
    services.on_relayed(relayed(1));
    from_router(&services, &far(3));
    // The relay waited for a core.
    services.on_relayed(relayed(2));
    from_router(&services, &far(4));
    services.on_link(LinkEvent::Ended);
    for number in 3..=5 {
        services.on_relayed(relayed(number));
    }
    services.on_link(LinkEvent::Established);
    services.on_relayed(relayed(6));
    from_router(&services, &far(6));
    assert_eq!(numbers(&session), [1, 3, 4, 5, 6]);
}

proptest! {
    /// However the two ways interleave, where the relay tells from no later on than the router: what is heard is in order,
    /// once, and all that the router brings.
    #[test]
    fn what_router_and_relay_bring_is_heard_in_order(
        before in 0u64..10,
        ways in proptest::collection::vec(any::<bool>(), 0..40),
    ) {
        let (services, _, session) = connected();
        let (mut relay, mut router) = (0, before);
        for by_router in ways {
            if by_router {
                from_router(&services, &far(router));
                router += 1;
            } else {
                services.on_relayed(relayed(relay));
                relay += 1;
            }
        }
        let heard = numbers(&session);
        prop_assert!(heard.windows(2).all(|pair| pair[0] < pair[1]), "{heard:?}");
        prop_assert!((before..router).all(|number| heard.contains(&number)), "{heard:?}");
    }
}

#[test]
fn a_channel_stays_on_while_its_only_client_changes_its_connection() {
    let (services, router, session) = connected();
    let unwanted = || {
        from_router(&services, CHAT);
        sent(&router)
    };
    services.hub.remove(&session);
    assert!(unwanted().is_empty(), "it may come back, and wants to hear this then");
    let next = Session::new(Transport::Tcp, [127, 0, 0, 1].into(), 1 << 20);
    let key = Arc::new(Key::new("key", Permissions::all(), &RateLimits::default()));
    let resume = Resume { session: session.id, position: Position { epoch: 1, seq: 0 } };
    let admission = services.hub.authenticate(&next, key, Some(resume));
    assert!(unwanted().is_empty(), "its answer is on the way");
    services.hub.admit(&next, &admission);
    assert_eq!(events(&next).len(), 2);
    next.leave(CHANNEL);
    assert_eq!(unwanted(), [r#"({"channel-listen",5,"Dawn",0,"*test",0,"imud_gossip",0,})"#]);
}

#[test]
fn a_message_said_twice_is_heard_twice() {
    let (services, _, session) = connected();
    for _ in 0..2 {
        from_router(&services, CHAT);
        services.on_bus(PLACE, by_bus());
    }
    assert_eq!(events(&session).len(), 2);
}

#[test]
fn a_tell_reaches_the_clients() {
    let (services, _, session) = connected();
    from_router(&services, r#"({"tell",5,"Dusk","bob","Dawn","ann","Bob","pst",})"#);
    let event = events(&session).remove(0);
    assert_eq!(event["method"], "tell_received");
    assert_eq!(event["params"]["to_user"], "ann");
    assert_eq!(event["params"]["visname"], "Bob");
}

#[test]
fn an_error_becomes_an_event_and_is_never_answered() {
    let (services, router, session) = connected();
    from_router(&services, r#"({"error",5,"*test",0,"Dawn","ann","unk-dst","destination unknown",0,})"#);
    let event = events(&session).remove(0);
    assert_eq!(event["method"], "error_occurred");
    assert_eq!(event["params"]["error_code"], "unk-dst");
    assert_eq!(event["params"]["to_user"], "ann");
    assert!(sent(&router).is_empty());
}

#[test]
fn a_request_we_do_not_serve_is_answered_and_a_broadcast_is_not() {
    let (services, router, _) = connected();
    from_router(&services, r#"({"ucache-update",5,"Dusk",0,0,0,"bob","Bob",0,})"#);
    assert!(sent(&router).is_empty());
    from_router(&services, r#"({"frobnicate",5,"Dusk","bob","Dawn",0,})"#);
    assert_eq!(
        sent(&router),
        [
            r#"({"error",5,"Dawn",0,"Dusk","bob","unk-type","frobnicate is not served here",({"frobnicate",5,"Dusk","bob","Dawn",0,}),})"#
        ]
    );
}

#[test]
fn every_mud_that_asks_gets_a_key_and_only_who_waits_is_given_one() {
    let (services, router, _) = connected();
    from_router(&services, r#"({"auth-mud-req",5,"Dusk",0,"Dawn",0,})"#);
    from_router(&services, r#"({"auth-mud-reply",5,"Dusk",0,"Dawn",0,42,})"#);
    let answers = sent(&router);
    assert_eq!(answers.len(), 1);
    assert!(answers[0].starts_with(r#"({"auth-mud-reply",5,"Dawn",0,"Dusk",0,"#), "{answers:?}");
    // Nothing is offered out of band here, so nobody need announce a call.
    from_router(&services, r#"({"oob-req",5,"Dusk",0,"Dawn",0,})"#);
    assert!(sent(&router)[0].contains("oob-req is not served here"));
}

#[test]
fn others_questions_are_answered_from_what_our_mud_told() {
    let (services, router, _session) = connected();
    let users = serde_json::json!([{"name": "Ann", "title": "the Brave", "level": 5, "idle": 7}]);
    services.sync_presence(serde_json::from_value(users).unwrap()).unwrap();
    let cases = [
        (
            r#"({"who-req",5,"Dusk","bob","Dawn",0,})"#,
            Some(r#"({"who-reply",5,"Dawn",0,"Dusk","bob",({({"Ann",7,"Level 5 the Brave",}),}),})"#),
        ),
        (
            r#"({"finger-req",5,"Dusk","bob","Dawn",0,"ann",})"#,
            Some(r#"({"finger-reply",5,"Dawn",0,"Dusk","bob","Ann","the Brave",0,0,0,7,0,"5",0,})"#),
        ),
        (
            r#"({"finger-req",5,"Dusk","bob","Dawn",0,"zoe",})"#,
            Some(
                r#"({"error",5,"Dawn",0,"Dusk","bob","unk-user","zoe is not known here",({"finger-req",5,"Dusk","bob","Dawn",0,"zoe",}),})"#,
            ),
        ),
        (
            r#"({"locate-req",5,"Dusk","bob",0,0,"ann",})"#,
            Some(r#"({"locate-reply",5,"Dawn",0,"Dusk","bob","Dawn","Ann",7,0,})"#),
        ),
        (r#"({"locate-req",5,"Dusk","bob",0,0,"zoe",})"#, None),
        (r#"({"locate-req",5,"Dawn","ann",0,0,"ann",})"#, None),
        (
            r#"({"chan-who-req",5,"Dusk","bob","Dawn",0,"imud_gossip",})"#,
            Some(r#"({"chan-who-reply",5,"Dawn",0,"Dusk","bob","imud_gossip",({"Ann",}),})"#),
        ),
        (
            r#"({"chan-who-req",5,"Dusk","bob","Dawn",0,"nobody_here",})"#,
            Some(r#"({"chan-who-reply",5,"Dawn",0,"Dusk","bob","nobody_here",({}),})"#),
        ),
        (r#"({"ping-req",5,"*test",0,"Dawn",0,0,})"#, Some(r#"({"ping-reply",5,"Dawn",0,"*test",0,0,})"#)),
    ];
    for (request, expected) in cases {
        // Each in a second of its own, as far as the pace is concerned.
        *lock(&services.allowance) = Allowance::new(ANSWERS);
        router.outbox().registered(Instant::now() - Duration::from_secs(2));
        from_router(&services, request);
        assert_eq!(sent(&router).first().map(String::as_str), expected, "{request}");
    }
}

#[test]
fn muds_that_come_and_go_are_told_but_not_the_first_list() {
    let (services, _, session) = connected();
    let list = |state: i64| {
        format!(
            r#"({{"mudlist",5,"*test",0,0,0,1,(["Dusk":({{{state},"127.0.0.1",4000,0,0,"L","B","D","LP","open","a",([]),([]),}}),]),}})"#
        )
    };
    services.on_link(LinkEvent::Established);
    events(&session);
    from_router(&services, &list(-1));
    assert!(events(&session).is_empty());
    from_router(&services, &list(0));
    from_router(&services, &list(-1));
    let names: Vec<_> = events(&session).iter().map(|event| event["method"].clone()).collect();
    assert_eq!(names, ["mud_offline", "mud_online"]);
}

#[test]
fn a_lost_search_is_no_error() {
    let (services, _, session) = connected();
    let error = |kind: &str| {
        format!(
            r#"({{"error",5,"Dusk",0,"Dawn","ann","unk-type","no",({{"{kind}",5,"Dawn","ann",0,0,"x",}}),}})"#
        )
    };
    from_router(&services, &error("locate-req"));
    assert!(events(&session).is_empty());
    from_router(&services, &error("finger-req"));
    assert_eq!(events(&session).len(), 1);
}

#[test]
fn a_channel_nobody_wants_is_switched_off_once_for_each_registration() {
    let (services, router, _) = connected();
    let unwanted = r#"({"channel-m",5,"Dusk","bob",0,0,"old_chat","Bob","hi",})"#;
    let off = r#"({"channel-listen",5,"Dawn",0,"*test",0,"old_chat",0,})"#;
    from_router(&services, unwanted);
    from_router(&services, unwanted);
    from_router(&services, CHAT);
    assert_eq!(sent(&router), [off]);
    services.on_link(LinkEvent::Established);
    let on = r#"({"channel-listen",5,"Dawn",0,"*test",0,"imud_gossip",1,})"#;
    assert_eq!(sent(&router), [on]);
    from_router(&services, unwanted);
    assert_eq!(sent(&router), [off]);
}

#[test]
fn the_last_client_that_leaves_switches_the_channel_off_unless_it_is_configured() {
    let (services, router, session) = connected();
    let other = client(&services);
    other.join(CHANNEL);
    session.leave(CHANNEL);
    services.unlisten_if_unused(CHANNEL);
    assert!(sent(&router).is_empty());
    other.leave(CHANNEL);
    services.unlisten_if_unused(CHANNEL);
    assert_eq!(sent(&router), [r#"({"channel-listen",5,"Dawn",0,"*test",0,"imud_gossip",0,})"#]);

    let configured = Services::new(setup(&[CHANNEL]), router.clone(), None);
    configured.unlisten_if_unused(CHANNEL);
    assert!(sent(&router).is_empty());
}

/// Services with one channel that is configured so.
fn with_channel(listen: bool, subscribe: bool) -> (Services, RouterHandle) {
    let (_, router, _) = connected();
    sent(&router);
    let configured = Configured { scope: Scope::Network, listen, subscribe };
    let channels = [(CHANNEL.to_owned(), configured)].into();
    (Services::new(Setup { channels, ..setup(&[]) }, router.clone(), None), router)
}

/// A client with a key, which resumes a session or not.
fn client_with(services: &Services, permissions: Permissions, resume: Option<Resume>) -> Arc<Session> {
    let session = Session::new(Transport::Tcp, [127, 0, 0, 1].into(), 1 << 20);
    let key = Arc::new(Key::new("key", permissions, &RateLimits::default()));
    let admission = services.hub.authenticate(&session, key, resume);
    services.admit(&session, &admission);
    session
}

#[test]
fn clients_are_on_the_channels_they_are_subscribed_to_until_they_leave_them() {
    let (services, router) = with_channel(true, true);
    let session = client_with(&services, Permissions::all(), None);
    let tells_only = client_with(&services, Permissions::parse(["tells"]).unwrap(), None);
    from_router(&services, CHAT);
    assert_eq!((events(&session).len(), events(&tells_only).len()), (1, 0));
    assert!(!tells_only.is_on(CHANNEL));
    assert!(sent(&router).is_empty(), "it is on from the start");
    session.leave(CHANNEL);
    let resume = Resume { session: session.id, position: services.hub.position() };
    let resumed = client_with(&services, Permissions::all(), Some(resume));
    assert!(!resumed.is_on(CHANNEL), "it had left");
    let unknown = Resume { session: uuid::Uuid::from_u128(1), position: services.hub.position() };
    assert!(client_with(&services, Permissions::all(), Some(unknown)).is_on(CHANNEL));
}

#[test]
fn a_channel_that_is_not_listened_to_is_on_while_a_client_is() {
    let switched = |on: u8| [format!(r#"({{"channel-listen",5,"Dawn",0,"*test",0,"imud_gossip",{on},}})"#)];
    let (services, router) = with_channel(false, true);
    assert!(services.wanted().network.is_empty());
    services.on_link(LinkEvent::Established);
    assert!(sent(&router).is_empty());
    let first = client_with(&services, Permissions::all(), None);
    assert_eq!(sent(&router), switched(1));
    let second = client_with(&services, Permissions::all(), None);
    assert!(sent(&router).is_empty(), "it is on already");
    for session in [first, second] {
        session.leave(CHANNEL);
        services.unlisten_if_unused(CHANNEL);
    }
    assert_eq!(sent(&router), switched(0));
}

#[tokio::test]
async fn what_is_said_while_the_router_is_away_is_queued_and_its_loss_is_told() {
    let router = RouterHandle::default();
    let services = Services::new(setup(&[]), router.clone(), None);
    let session = client(&services);
    assert_eq!(services.tell(false, "ann", "Dusk", "Bob", "pst").await, Ok(Accepted::Queued));
    let Next::Send(entry) = router.outbox().next(Instant::now()) else { panic!("a tell waits") };
    services.on_link(LinkEvent::Expired(entry.packet));
    let event = events(&session).remove(0);
    assert_eq!(event["params"]["error_code"], "not-sent");
    assert_eq!(event["params"]["to_user"], "ann");
}

#[test]
fn who_is_ignored_is_not_heard_by_either_way() {
    let (services, _, session) = connected();
    from_router(&services, r#"({"channel-m",5,"Dusk","Troll",0,0,"imud_gossip","Troll","hi",})"#);
    from_router(&services, r#"({"tell",5,"Dusk","troll","Dawn","ann","Troll","pst",})"#);
    let mut event = by_bus();
    event.message.user = "TROLL".into();
    services.on_bus(PLACE, event);
    assert!(events(&session).is_empty());
    assert_eq!(services.ignored(), 3);
}

#[test]
fn what_comes_by_the_bus_has_the_bounds_of_what_comes_by_the_router_and_no_voice_of_its_own() {
    let (services, router, session) = connected();
    services.on_direct(packet(r#"({"tell",5,"Dusk","troll","Dawn","ann","Troll","pst",})"#));
    assert_eq!(services.ignored(), 1);
    let who = r#"({"who-req",5,"Dusk","bob","Dawn",0,})"#;
    for _ in 0..3 {
        services.on_direct(packet(who));
        from_router(&services, who);
    }
    assert_eq!(services.requests_dropped(), 1);
    // A router's name is none on the bus.
    services.on_direct(packet(r#"({"shutdown",5,"*test",0,"Dawn",0,5,})"#));
    assert!(events(&session).is_empty());
    sent(&router);
    services.on_direct(packet(r#"({"tell",5,"Dusk","bob","Dawn","ann","Bob","pst",})"#));
    assert_eq!(events(&session)[0]["method"], "tell_received");
    assert!(sent(&router).is_empty());
}

#[test]
fn what_is_heard_is_remembered_once() {
    let (services, _, _session) = connected();
    services.on_bus(PLACE, by_bus());
    from_router(&services, CHAT);
    let said = services.history(CHANNEL, 10, None, None);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].message, by_bus().message);
}

fn poke() -> ChannelMessage {
    ChannelMessage {
        mud: "Dawn".into(),
        user: "ann".into(),
        channel: CHANNEL.into(),
        kind: ChannelKind::Emote,
        visname: String::new(),
        message: "pokes $O.".into(),
        target: Some(EmoteTarget {
            target_mud: "Dusk".into(),
            target_user: "BOB".into(),
            target_visname: "Bob".into(),
            message_target: String::new(),
        }),
    }
}

#[tokio::test]
async fn a_targeted_emote_is_heard_as_it_was_sent_and_once() {
    let (services, router, session) = connected();
    services.say(poke()).await.unwrap();
    let packets = sent(&router);
    let text = r#"({"channel-t",5,"Dawn","ann",0,0,"imud_gossip","Dusk","bob","$N pokes $O.","$N pokes $O.","ann","Bob",})"#;
    assert_eq!(packets, [text]);
    // What the other gateways get by the bus is what the router's copy says.
    from_router(&services, text);
    let message = inbound::channel_message(&packet(text)).unwrap();
    services.on_bus(PLACE, ChannelEvent::new(message, Scope::Network));
    let heard = events(&session);
    assert_eq!((heard.len(), &heard[0]["method"]), (1, &Value::from("channel_emote")));
    let params = &heard[0]["params"];
    assert_eq!((&params["target_mud"], &params["target_user"]), (&"Dusk".into(), &"bob".into()));
    assert_eq!(
        (&params["target_visname"], &params["message_target"]),
        (&"Bob".into(), &"$N pokes $O.".into())
    );
    let said = services.history(CHANNEL, 10, None, None);
    assert_eq!(said[0].message.target.as_ref().unwrap().target_mud, "Dusk");
}

#[test]
fn an_emote_to_another_is_another_emote() {
    let (services, _, session) = connected();
    let poke = |user: &str| {
        format!(
            r#"({{"channel-t",5,"Dusk","eve",0,0,"imud_gossip","Dawn","{user}","$N pokes $O.","$N pokes you.","Eve","X",}})"#
        )
    };
    let message = inbound::channel_message(&packet(&poke("ann"))).unwrap();
    services.on_bus(PLACE, ChannelEvent::new(message, Scope::Network));
    from_router(&services, &poke("zoe"));
    assert_eq!(events(&session).len(), 2);
}
