//! What other muds and the router tell and ask us, besides tells and channels.

use super::*;
use crate::packets;

#[test]
fn a_bell_that_rings_is_heard() {
    let (services, router, session) = connected();
    from_router(&services, r#"({"beep",5,"Dusk","bob","Dawn","ann","Bob",})"#);
    let event = events(&session).remove(0);
    assert_eq!(event["method"], "beep_received");
    assert_eq!((&event["params"]["to_user"], &event["params"]["visname"]), (&"ann".into(), &"Bob".into()));
    assert!(sent(&router).is_empty());
}

#[tokio::test]
async fn we_ring_bells() {
    let (services, router, _) = connected();
    services.beep("Ann", "Dusk", "Bob").await.unwrap();
    assert_eq!(sent(&router), [r#"({"beep",5,"Dawn","Ann","Dusk","bob","Ann",})"#]);
}

#[test]
fn the_routers_end_is_told_and_anothers_is_not_believed() {
    let (services, router, session) = connected();
    for from in ["Dusk", "*other"] {
        for to in [r#""Dawn""#, "0"] {
            from_router(&services, &format!(r#"({{"shutdown",5,"{from}",0,{to},0,60,}})"#));
        }
    }
    assert!(events(&session).is_empty() && sent(&router).is_empty());
    from_router(&services, r#"({"shutdown",5,"*test",0,"Dawn",0,60,})"#);
    let event = events(&session).remove(0);
    assert_eq!(event["method"], "maintenance_scheduled");
    assert_eq!(
        (&event["params"]["from_mud"], &event["params"]["restart_delay"]),
        (&"*test".into(), &60.into())
    );
}

#[test]
fn an_error_names_what_it_is_about_and_a_takeover_is_explained() {
    let (services, _, session) = connected();
    from_router(
        &services,
        r#"({"error",5,"*test",0,"Dawn",0,"bad-mojo","Another mud is trying to be you.",({"127.0.0.6","L","L","a",4000,}),})"#,
    );
    let event = events(&session).remove(0);
    assert_eq!(event["params"]["error_code"], "bad-mojo");
    let message = event["params"]["message"].as_str().unwrap();
    assert!(
        message.contains("trying to be you. Somebody else tries to register with the router as Dawn"),
        "{message}"
    );
    from_router(&services, r#"({"error",5,"*test",0,"Dawn","ann","unk-dst","who?",({"tell",5,"Dawn",}),})"#);
    assert_eq!(events(&session)[0]["params"]["packet_type"], "tell");
    // Anybody can say so.
    from_router(&services, r#"({"error",5,"Dusk",0,"Dawn",0,"bad-mojo","boo",0,})"#);
    assert_eq!(events(&session)[0]["params"]["message"], "boo");
}

#[test]
fn what_muds_tell_of_their_users_is_remembered_and_not_answered() {
    let (services, router, session) = connected();
    from_router(&services, r#"({"ucache-update",5,"Dusk",0,0,0,"bob","Bob",0,})"#);
    from_router(&services, r#"({"ucache-update",5,"Dawn",0,0,0,"ann","Ann",1,})"#);
    assert_eq!(services.known_user("Dusk", "BOB").unwrap().visname, "Bob");
    assert_eq!(services.known_user("Dawn", "ann"), None, "our own");
    assert!(events(&session).is_empty());
    from_router(&services, r#"({"chan-user-reply",5,"Dusk",0,"Dawn",0,"eve","Eve",1,})"#);
    let event = events(&session).remove(0);
    assert_eq!((&event["method"], &event["params"]["gender"]), (&"user_info_reply".into(), &"female".into()));
    assert_eq!(services.known_user("Dusk", "eve").unwrap().visname, "Eve");
    assert!(sent(&router).is_empty());
}

#[test]
fn our_users_are_announced_only_when_that_is_wanted_and_there_is_a_router() {
    let (quiet, router, _session) = connected();
    let services = Services::new(Setup { announce_users: true, ..setup(&[]) }, router.clone(), None);
    let users = || serde_json::from_value(serde_json::json!([{"name": "Ann", "gender": "female"}])).unwrap();
    quiet.sync_presence(users()).unwrap();
    assert!(sent(&router).is_empty());
    let established = router.status();
    router.set_status(SessionStatus { reason: SessionReason::SessionLost, ..established.clone() });
    services.sync_presence(users()).unwrap();
    router.set_status(established);
    assert!(sent(&router).is_empty());
    for expected in [&[r#"({"ucache-update",5,"Dawn",0,0,0,"ann","Ann",1,})"#][..], &[]] {
        services.sync_presence(users()).unwrap();
        assert_eq!(sent(&router), expected);
    }
    from_router(&services, r#"({"chan-user-req",5,"Dusk",0,"Dawn",0,"ANN",})"#);
    assert_eq!(sent(&router), [r#"({"chan-user-reply",5,"Dawn",0,"Dusk",0,"ANN","Ann",1,})"#]);
}

#[test]
fn who_asks_too_often_is_not_answered() {
    let (services, router, _) = connected();
    let mut answered = 0;
    for _ in 0..4 {
        for request in
            [r#"({"frobnicate",5,"Dusk","bob","Dawn",0,})"#, r#"({"who-req",5,"Dusk","bob","Dawn",0,})"#]
        {
            from_router(&services, request);
            router.outbox().registered(Instant::now() - Duration::from_secs(2));
            answered += sent(&router).len();
        }
    }
    assert_eq!((answered, services.requests_dropped()), (5, 3));
    from_router(&services, r#"({"who-req",5,"Other","eve","Dawn",0,})"#);
    assert_eq!(sent(&router).len(), 1);
}

#[test]
fn a_large_request_that_is_refused_does_not_go_back() {
    let (services, router, _) = connected();
    let long = "x".repeat(5000);
    from_router(&services, &format!(r#"({{"frobnicate",5,"Dusk","bob","Dawn",0,"{long}",}})"#));
    assert_eq!(
        sent(&router),
        [r#"({"error",5,"Dawn",0,"Dusk","bob","unk-type","frobnicate is not served here",0,})"#]
    );
}

#[test]
fn replies_nobody_waits_for_are_not_answered() {
    let (services, router, session) = connected();
    from_router(&services, r#"({"ping-reply",5,"Dusk",0,"Dawn",0,0,})"#);
    from_router(&services, r#"({"frob-reply",5,"Dusk",0,"Dawn",0,0,})"#);
    assert!(sent(&router).is_empty() && events(&session).is_empty());
}

#[test]
fn every_service_we_announce_is_served() {
    let request = |service: &str| match service {
        "tell" => r#"({"tell",5,"Dusk","bob","Dawn","ann","Bob","pst",})"#,
        "emoteto" => r#"({"emoteto",5,"Dusk","bob","Dawn","ann","Bob","$N waves.",})"#,
        "channel" => CHAT,
        "who" => r#"({"who-req",5,"Dusk","bob","Dawn",0,})"#,
        "finger" => r#"({"finger-req",5,"Dusk","bob","Dawn",0,"ann",})"#,
        "locate" => r#"({"locate-req",5,"Dusk","bob",0,0,"ann",})"#,
        "ucache" => r#"({"ucache-update",5,"Dusk",0,0,0,"bob","Bob",0,})"#,
        "auth" => r#"({"auth-mud-req",5,"Dusk",0,"Dawn",0,})"#,
        "beep" => r#"({"beep",5,"Dusk","bob","Dawn","ann","Bob",})"#,
        other => panic!("{other} is announced: say here how it is asked for"),
    };
    for service in packets::SERVICES {
        let (services, router, session) = connected();
        services
            .sync_presence(serde_json::from_value(serde_json::json!([{"name": "Ann"}])).unwrap())
            .unwrap();
        from_router(&services, request(service));
        let (told, answers) = (events(&session), sent(&router));
        assert!(!answers.iter().any(|answer| answer.contains(r#"({"error""#)), "{service}: {answers:?}");
        let kept = services.known_user("Dusk", "bob").is_some();
        assert!(kept || told.len() + answers.len() == 1, "{service}: {told:?} {answers:?}");
    }
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
