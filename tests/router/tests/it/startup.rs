//! Registration, and the many ways not to get it.

use i3_router::{Mark, Refusal};

use crate::mud::{Mud, entry, router, saw, startup};

const SERVICES: &str = r#"(["tell":1,"channel":1,])"#;

#[tokio::test]
async fn a_mud_gets_a_password_and_both_lists_in_order() {
    let router = router().await;
    let mut mud = Mud::connect(&router, "MudA").await;
    mud.send(mud.startup()).await;
    let reply = mud.recv().await;
    let address = format!("127.0.0.1 {}", router.addr().port());
    let (head, password) = reply.rsplit_once("}),}),").unwrap();
    assert_eq!(head, format!(r#"({{"startup-reply",5,"*test",0,"MudA",0,({{({{"*test","{address}","#));
    let password = password.strip_suffix(",})").unwrap();
    assert!(password.len() == 9 && password.parse::<u32>().is_ok(), "nine digits: {password}");
    assert_eq!(
        mud.recv().await,
        format!(r#"({{"mudlist",5,"*test",0,"MudA",0,1,([{}]),}})"#, entry("MudA", -1))
    );
    assert_eq!(
        mud.recv().await,
        r#"({"chanlist-reply",5,"*test",0,"MudA",0,1,(["imud_code":({"*test",0,}),"imud_gossip":({"*test",0,}),]),})"#
    );
    mud.has_read_all().await;
}

#[tokio::test]
async fn the_chanlist_is_for_muds_with_the_service() {
    let router = router().await;
    for (services, lists) in [(r#"(["channel":0,])"#, 2), (r#"(["tell":1,])"#, 1), ("([])", 1)] {
        let mut mud = Mud::connect(&router, "MudA").await;
        let startup = startup("MudA", r#""*test""#, 0, services);
        let packets = mud.register_with(&startup).await;
        assert_eq!(packets.len(), lists, "{services}: {packets:?}");
        mud.send(r#"({"chanlist-req",5,"MudA",0,"*test",0,})"#).await;
        if lists == 2 {
            assert_eq!(mud.recv().await, packets[1]);
        }
        mud.has_read_all().await;
    }
}

#[tokio::test]
async fn an_advertised_address_is_passed_on() {
    let config = i3_router::Config { advertise: Some("router.test 8787".into()), ..Default::default() };
    let router = i3_router::Router::start(config).await.unwrap();
    let mut mud = Mud::connect(&router, "MudA").await;
    mud.send(mud.startup()).await;
    assert!(mud.recv().await.contains(r#"({({"*test","router.test 8787",}),})"#));
}

/// After each of these the same socket is accepted, and what comes first is the reply to that.
#[tokio::test]
async fn a_refusal_is_silence_on_an_open_socket() {
    let router = router().await;
    let good = startup("MudA", r#""*test""#, 0, SERVICES);
    let refused = [
        (startup("MudA", r#""*other""#, 0, SERVICES), Some(Refusal::WrongRouter)),
        (startup("", r#""*test""#, 0, SERVICES), Some(Refusal::NoName)),
        (startup("MudA", r#""*test""#, 0, "0"), Some(Refusal::Malformed)),
        (good.replace(",([]),})", ",})"), Some(Refusal::Malformed)),
        (good.replace(",([]),})", ",([]),0,})"), Some(Refusal::Malformed)),
        (good.replace("4000", r#""4000""#), Some(Refusal::Malformed)),
        (good.replace(r#""open""#, "1.5"), Some(Refusal::Malformed)),
        (good.replace("req-3", "req-4"), None),
        ("junk".into(), None),
        ("({})".into(), None),
        ("123".into(), None),
        (r#"({"tell",5,"MudA","bob","Nowhere","ann","Bob","hi",})"#.into(), None),
        (r#"({"tell",5,"MudA",})"#.into(), None),
        (r#"({"tell","5","MudA","bob","Nowhere","ann","Bob","hi",})"#.into(), None),
        (r#"({"channel-listen",5,"MudA",0,"*test",0,"nosuch",1,})"#.into(), None),
        (r#"({"chanlist-req",5,"MudA",0,"*test",0,})"#.into(), None),
        (r#"({"ping-req",5,"MudA",0,"*test",0,})"#.into(), None),
        (r#"({"shutdown",5,"MudA",0,"*test",0,0,})"#.into(), None),
    ];
    for (text, why) in refused {
        let since = router.mark();
        let mut mud = Mud::connect(&router, "MudA").await;
        mud.send(&*text).await;
        if let Some(why) = why {
            saw(&router, since, |event| event.refused().is_some_and(|(_, reason)| reason == why)).await;
        }
        mud.send(&*good).await;
        let reply = mud.recv().await;
        assert!(reply.starts_with(r#"({"startup-reply""#), "after {text}: {reply}");
        drop(mud);
        saw(&router, since, |event| event.closed() == Some("MudA")).await;
    }
}

#[tokio::test]
async fn zero_and_the_name_of_a_known_mud_are_router_names_too() {
    let router = router().await;
    for target in ["0", r#""MudA""#] {
        let mut mud = Mud::connect(&router, "MudA").await;
        mud.register_with(&startup("MudA", target, 0, SERVICES)).await;
        drop(mud);
        saw(&router, Mark::START, |event| event.closed() == Some("MudA")).await;
    }
}

#[tokio::test]
async fn a_password_opens_a_name_from_anywhere() {
    let router = router().await;
    let since = router.mark();
    let mut mud = Mud::up(&router, "MudA").await;
    let password = mud.password;
    drop(mud);
    saw(&router, since, |event| event.closed() == Some("MudA")).await;

    // Wrong from a new address: silence. Then right, on the same socket.
    mud = Mud::connect_from(&router, "MudA", [127, 0, 0, 9]).await;
    mud.password = password + 1;
    mud.send(mud.startup()).await;
    saw(&router, since, |event| event.refused() == Some(("MudA", Refusal::WrongPassword))).await;
    mud.password = password;
    mud.register().await;
    assert_eq!(mud.password, password);
    assert_eq!(router.muds().await[0].address, "127.0.0.9");
}

#[tokio::test]
async fn a_known_address_opens_a_name_without_its_password() {
    let router = router().await;
    let mud = Mud::up(&router, "MudA").await;
    let password = mud.password;
    drop(mud);
    saw(&router, Mark::START, |event| event.closed() == Some("MudA")).await;
    let mud = Mud::up(&router, "MudA").await;
    assert_ne!(mud.password, password, "a new one is given");
}

#[tokio::test]
async fn a_takeover_leaves_the_old_link_open_and_deaf() {
    let router = router().await;
    let mut old = Mud::up(&router, "MudA").await;
    let mut other = Mud::up(&router, "MudB").await;
    let mut new = Mud::connect(&router, "MudA").await;
    new.password = old.password;
    new.register().await;
    assert_eq!(new.password, old.password);

    // Its packets are dropped, and nothing is sent to it.
    let since = router.mark();
    old.send(r#"({"tell",5,"MudA","bob","MudB","ann","Bob","from the deaf",})"#).await;
    old.send(old.probe()).await;
    saw(&router, since, |event| event.packet().is_some_and(|packet| packet.kind() == "auth-mud-req")).await;
    other.has_read_all().await;
    other.send(r#"({"tell",5,"MudB","ann","MudA","bob","Ann","hi",})"#).await;
    assert!(new.recv().await.contains(r#""Ann","hi""#));

    // Its end does not hurt the new one.
    let since = router.mark();
    drop(old);
    saw(&router, since, |event| matches!(event, i3_router::Event::Closed { mud: None, .. })).await;
    new.has_read_all().await;
    assert!(router.muds().await.iter().all(|mud| mud.up));
}

#[tokio::test]
async fn a_deaf_link_hears_nothing_to_its_end() {
    let router = router().await;
    let old = Mud::up(&router, "MudA").await;
    let mut new = Mud::connect(&router, "MudA").await;
    new.password = old.password;
    new.register().await;
    router.stop().await;
    assert_eq!(old.rest().await, [""; 0]);
}

#[tokio::test]
async fn the_owner_of_a_name_hears_of_others_who_want_it() {
    let router = router().await;
    let mut owner = Mud::up(&router, "Dup").await;
    let mut other = Mud::connect_from(&router, "Dup", [127, 0, 0, 6]).await;
    other.password = owner.password;
    let since = router.mark();
    other.send(other.startup()).await;
    assert_eq!(
        owner.recv().await,
        r#"({"error",5,"*test",0,"Dup",0,"bad-mojo","Another mud is trying to be you.",({"127.0.0.6","Lib","Base","a@b.c",4000,}),})"#
    );
    saw(&router, since, |event| event.refused() == Some(("Dup", Refusal::Taken))).await;
    owner.has_read_all().await;

    // The other waits in silence; once the owner is gone the same socket may try again.
    drop(owner);
    saw(&router, since, |event| event.closed() == Some("Dup")).await;
    other.register().await;
}

#[tokio::test]
async fn a_link_may_register_again() {
    let router = router().await;
    let mut mud = Mud::up(&router, "MudA").await;
    let password = mud.password;
    mud.register().await;
    assert_eq!(mud.password, password);

    mud.password = 5;
    mud.send(mud.startup()).await;
    let error = mud.recv().await;
    assert!(error.contains(r#""bad-proto","MUD already connected",({"startup-req-3""#), "{error}");
    assert!(mud.recv().await.contains(r#""bad-mojo""#));
    mud.has_read_all().await;

    // Under another name it is another mud.
    mud.name = "MudC".into();
    mud.register().await;
    let muds = router.muds().await;
    assert_eq!(
        muds.iter().map(|mud| (&*mud.name, mud.up)).collect::<Vec<_>>(),
        [("MudA", false), ("MudC", true)]
    );
}
