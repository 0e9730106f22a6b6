//! Channels of our own.

use uuid::Uuid;

use super::*;

const LIST: &str =
    r#"({"chanlist-reply",5,"*test",0,"Dawn",0,1,(["ours":({"Dawn",2,}),"theirs":({"Dusk",2,}),]),})"#;

const SAID: &str = r#"({"channel-m",5,"Dusk","bob",0,0,"ours","Bob","damn",})"#;

fn filter_request(channel: &str, origin: &str) -> String {
    format!(r#"({{"chan-filter-req",5,"{origin}",0,"Dawn",0,"{channel}",{SAID},}})"#)
}

fn filter_reply(said: &str) -> String {
    format!(r#"({{"chan-filter-reply",5,"Dawn",0,"*test",0,"ours",{said},}})"#)
}

#[tokio::test]
async fn what_is_asked_of_the_router_goes_to_it() {
    let (services, router, _) = connected();
    from_router(&services, LIST);
    services.create_channel("ann", "new", 1).await.unwrap();
    let (add, remove) = (vec!["Spam".to_owned()], vec!["Dusk".to_owned()]);
    services.administer_channel("ann", "ours", add, remove).await.unwrap();
    services.remove_channel("ann", "ours").await.unwrap();
    services.ask_channel_admins("ann", "theirs").await.unwrap();
    assert_eq!(
        sent(&router),
        [
            r#"({"channel-add",5,"Dawn","ann","*test",0,"new",1,})"#,
            r#"({"channel-admin",5,"Dawn","ann","*test",0,"ours",({"Spam",}),({"Dusk",}),})"#,
            r#"({"channel-remove",5,"Dawn","ann","*test",0,"ours",})"#,
            r#"({"chan-adminlist",5,"Dawn","ann","*test",0,"theirs",})"#,
        ]
    );
    from_router(
        &services,
        r#"({"chanlist-reply",5,"*test",0,"Dawn",0,2,(["new":({"Dawn",({}),}),"theirs":({"Dusk",2,}),]),})"#,
    );
    assert_eq!(services.channel_owner("new").as_deref(), Some("Dawn"));
    assert_eq!(services.channel_owner("ours"), None);
}

#[tokio::test]
async fn what_the_router_would_refuse_is_not_asked() {
    let (services, router, _) = connected();
    from_router(&services, LIST);
    let name = "x".repeat(81);
    for bad in ["", "a\nb", &name] {
        assert_eq!(services.create_channel("ann", bad, 0).await, Err(ChannelError::Name));
    }
    let refused = services.create_channel("ann", "theirs", 0).await.unwrap_err();
    assert_eq!(refused.to_string(), "the channel theirs is there already; it belongs to Dusk");
    let refused = services.remove_channel("ann", "theirs").await.unwrap_err();
    assert_eq!(refused.to_string(), "the channel theirs belongs to Dusk, and only its owner may do this");
    let mud = || vec!["Spam".to_owned()];
    assert!(services.administer_channel("ann", "theirs", mud(), vec![]).await.is_err());
    let unknown = services.administer_channel("ann", "none", mud(), vec![]).await.unwrap_err();
    assert_eq!(unknown, ChannelError::Unknown { channel: "none".into() });
    for bad in [vec![], vec![String::new()], vec!["a".to_owned(); 101]] {
        assert_eq!(services.administer_channel("ann", "ours", bad, vec![]).await, Err(ChannelError::Muds));
    }
    router.set_status(SessionStatus { reason: SessionReason::SessionLost, ..router.status() });
    assert_eq!(services.create_channel("ann", "new", 0).await, Err(ChannelError::NoRouter));
    assert!(sent(&router).is_empty());
}

#[test]
fn a_client_decides_what_is_said_on_a_filtered_channel() {
    let (services, router, session) = connected();
    from_router(&services, LIST);
    let ask = || {
        from_router(&services, &filter_request("ours", "*test"));
        let event = events(&session).remove(0);
        assert_eq!(event["method"], "channel_filter_requested");
        assert_eq!(
            (&event["params"]["message"], &event["params"]["from_mud"]),
            (&"damn".into(), &"Dusk".into())
        );
        Uuid::parse_str(event["params"]["request_id"].as_str().unwrap()).unwrap()
    };
    let (passed, changed, dropped) = (ask(), ask(), ask());
    assert!(services.decide(passed, &Decision::default()));
    let decision = Decision { message: Some("d**n".into()), ..Decision::default() };
    assert!(services.decide(changed, &decision));
    assert!(services.decide(dropped, &Decision { drop: true, ..Decision::default() }));
    assert!(!services.decide(changed, &decision), "it was decided about");
    assert_eq!(sent(&router), [filter_reply(SAID), filter_reply(&SAID.replace("damn", "d**n"))]);
}

#[test]
fn what_nobody_decides_about_passes_or_not_as_configured() {
    let (services, router, session) = connected();
    from_router(&services, LIST);
    from_router(&services, &filter_request("ours", "*test"));
    services.on_second(Instant::now());
    assert!(sent(&router).is_empty());
    services.on_second(Instant::now() + Duration::from_secs(5));
    assert_eq!(sent(&router), [filter_reply(SAID)]);
    // Without a client there is nobody to wait for.
    services.hub.remove(&session);
    from_router(&services, &filter_request("ours", "*test"));
    assert_eq!(sent(&router), [filter_reply(SAID)]);

    let setup = Setup { filter_default: FilterDefault::Drop, ..setup(&[]) };
    let services = Services::new(setup, router.clone(), None);
    from_router(&services, LIST);
    from_router(&services, &filter_request("ours", "*test"));
    assert!(sent(&router).is_empty());
}

#[test]
fn more_messages_than_may_wait_are_treated_as_undecided() {
    let (services, router, _session) = connected();
    from_router(&services, LIST);
    for _ in 0..65 {
        from_router(&services, &filter_request("ours", "*test"));
    }
    assert_eq!(sent(&router), [filter_reply(SAID)]);
}

#[test]
fn nobody_but_the_router_is_answered_and_only_about_our_channels() {
    let (services, router, session) = connected();
    from_router(&services, LIST);
    for (request, to) in
        [(filter_request("ours", "Dusk"), "Dusk"), (filter_request("theirs", "*test"), "*test")]
    {
        from_router(&services, &request);
        let error = format!(
            r#"({{"error",5,"Dawn",0,"{to}",0,"not-allowed","only the router may ask, and only the owner of a channel",{request},}})"#
        );
        assert_eq!(sent(&router), [error]);
    }
    // Of another channel than the request says, and no message at all.
    from_router(&services, &filter_request("ours", "*test").replace(r#""ours","Bob""#, r#""theirs","Bob""#));
    from_router(&services, r#"({"chan-filter-req",5,"*test",0,"Dawn",0,"ours",({"tell",}),})"#);
    from_router(&services, r#"({"chan-filter-req",5,"Dusk",0,0,0,"ours",0,})"#);
    assert!(sent(&router).is_empty() && events(&session).is_empty());
}

#[test]
fn a_channels_list_is_believed_of_the_router_only() {
    let (services, router, session) = connected();
    let reply = |origin: &str| {
        format!(r#"({{"chan-adminlist-reply",5,"{origin}",0,"Dawn","ann","ours",({{"Spam",}}),}})"#)
    };
    from_router(&services, &reply("Dusk"));
    assert!(events(&session).is_empty() && sent(&router).is_empty());
    from_router(&services, &reply("*test"));
    let event = events(&session).remove(0);
    assert_eq!(
        (&event["method"], &event["params"]["muds"][0]),
        (&"channel_admins_reply".into(), &"Spam".into())
    );
}
