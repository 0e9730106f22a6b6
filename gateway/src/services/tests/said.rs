//! What is said on channels, by the router, the bus and relays.

use proptest::prelude::*;

use super::*;
use crate::bus::{EmoteTarget, Relayed};

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
fn a_message_said_twice_is_heard_twice() {
    let (services, _, session) = connected();
    for _ in 0..2 {
        from_router(&services, CHAT);
        services.on_bus(PLACE, by_bus());
    }
    assert_eq!(events(&session).len(), 2);
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
