//! Tells, errors, and what is not listened to.

use super::*;
use crate::router::Accepted;

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
