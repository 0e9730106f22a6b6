//! Channels.

use i3_router::Mark;

use crate::mud::{Mud, router, saw, startup};

async fn two_listeners() -> (i3_router::RunningRouter, Mud, Mud) {
    let router = router().await;
    let mut a = Mud::up(&router, "MudA").await;
    let mut b = Mud::up(&router, "MudB").await;
    a.listen("imud_gossip", "1").await;
    b.listen("imud_gossip", "1").await;
    (router, a, b)
}

#[tokio::test]
async fn what_is_said_goes_to_every_listener_the_sender_included() {
    let (_router, mut a, mut b) = two_listeners().await;
    let table = [
        (r#""channel-m",5,"MudA","bob",0,0,"imud_gossip","Bob","hello \"q\" \\ back","#, None),
        (r#""channel-m",5,"MudA","bob",0,0,"imud_gossip","","","#, Some((r#""","","#, r#""bob","","#))),
        (r#""channel-m",5,"MudA","bob",0,0,"imud_gossip",0,"x","#, Some((",0,\"x\"", ",\"bob\",\"x\""))),
        (r#""channel-e",5,"MudA","bob",0,0,"imud_gossip","Bob","$N waves.","#, None),
        (
            r#""channel-e",5,"MudA","bob",0,0,"imud_gossip","Bob","waves.","#,
            Some(("waves.", "waves. (from Bob@MudA)")),
        ),
        (
            r#""channel-t",5,"MudA","bob",0,0,"imud_gossip","MudB","ann","$N pokes $O.","$N pokes you.","Bob","Ann","#,
            None,
        ),
        (
            r#""channel-t",5,"MudA","bob",0,0,"imud_gossip","MudB","ann","pokes $O.","pokes you.","Bob","Ann","#,
            Some((
                r#""pokes $O.","pokes you.""#,
                r#""pokes $O. (from Bob@MudA)","pokes you. (from Bob@MudA)""#,
            )),
        ),
        (r#""channel-m",5,"Ghost","bob",0,0,"imud_gossip","Bob","a name nobody has","#, None),
    ];
    for (text, change) in table {
        let sent = format!("({{{text}}})");
        let heard = change.map_or(sent.clone(), |(from, to)| sent.replace(from, to));
        a.send(sent).await;
        assert_eq!(a.recv().await, heard);
        assert_eq!(b.recv().await, heard);
    }
}

#[tokio::test]
async fn what_is_malformed_comes_back() {
    let (_router, mut a, mut b) = two_listeners().await;
    let format = ("bad-pkt", "Bad packet format.");
    for (text, (code, message)) in [
        (r#""channel-m",5,"MudA","bob",0,0,"imud_gossip","Bob","#, format),
        (r#""channel-m",5,"MudA","bob",0,0,"imud_gossip","Bob","x","extra","#, format),
        (r#""channel-m",5,"MudA","",0,0,"imud_gossip","Bob","x","#, format),
        (r#""channel-m",5,"MudA","bob",0,0,"imud_gossip","Bob",7,"#, format),
        (r#""channel-m",5,"MudA","bob","MudB",0,"imud_gossip","Bob","x","#, format),
        (r#""channel-t",5,"MudA","bob",0,0,"imud_gossip",0,0,"$N pokes.","","Bob","","#, format),
        (
            r#""channel-x",5,"MudA","bob",0,0,"imud_gossip","Bob","x","#,
            ("unk-type", "I don't know what channel-x means."),
        ),
        (r#""channel-m",5,"MudA","bob",0,0,"nosuch","Bob","x","#, ("unk-channel", "Unknown channel: nosuch")),
        (
            r#""channel-m",5,"MudA","bob",0,0,"Imud_gossip","Bob","x","#,
            ("unk-channel", "Unknown channel: Imud_gossip"),
        ),
    ] {
        a.send(format!("({{{text}}})")).await;
        let user = if text.contains(r#""MudA","","#) { r#""""# } else { r#""bob""# };
        assert_eq!(
            a.recv().await,
            format!(r#"({{"error",5,"*test",0,"MudA",{user},"{code}","{message}",({{{text}}}),}})"#)
        );
    }
    b.has_read_all().await;
}

#[tokio::test]
async fn a_listener_is_one_until_it_says_zero() {
    let (_router, mut a, mut b) = two_listeners().await;
    let said = r#"({"channel-m",5,"MudA","bob",0,0,"imud_gossip","Bob","x",})"#;
    for on in [r#""0""#, "5", "1"] {
        b.listen("imud_gossip", on).await;
        a.send(said).await;
        assert_eq!(b.recv().await, said);
    }
    b.listen("imud_gossip", "0").await;
    a.send(said).await;
    for _ in 0..4 {
        assert_eq!(a.recv().await, said);
    }
    b.has_read_all().await;
}

#[tokio::test]
async fn listening_to_nothing_is_an_error() {
    let router = router().await;
    let mut mud = Mud::up(&router, "MudA").await;
    let text = r#"({"channel-listen",5,"MudA",0,"*test",0,"nosuch",1,})"#;
    mud.send(text).await;
    assert_eq!(
        mud.recv().await,
        format!(r#"({{"error",5,"*test",0,"MudA",0,"unk-channel","Unknown channel: nosuch",{text},}})"#)
    );
    mud.send(r#"({"channel-listen",5,"MudA",0,"*test",0,"imud_gossip",})"#).await;
    mud.has_read_all().await;
}

#[tokio::test]
async fn a_subscription_outlives_the_connection() {
    let (router, a, mut b) = two_listeners().await;
    let password = a.password;
    drop(a);
    saw(&router, Mark::START, |event| event.closed() == Some("MudA")).await;
    let mut a = Mud::connect(&router, "MudA").await;
    a.password = password;
    a.register().await;
    let said = r#"({"channel-m",5,"MudB","ann",0,0,"imud_gossip","Ann","x",})"#;
    b.send(said).await;
    assert_eq!(a.recv().await, said);
}

#[tokio::test]
async fn a_mud_without_the_service_may_listen() {
    let (router, mut a, _b) = two_listeners().await;
    let mut c = Mud::connect(&router, "MudC").await;
    c.register_with(&startup("MudC", r#""*test""#, 0, r#"(["tell":1,])"#)).await;
    c.listen("imud_gossip", "1").await;
    let said = r#"({"channel-m",5,"MudA","bob",0,0,"imud_gossip","Bob","x",})"#;
    a.send(said).await;
    assert_eq!(c.recv().await, said);
}

#[tokio::test]
async fn who_speaks_without_listening_is_made_to_listen() {
    let (router, mut a, _b) = two_listeners().await;
    let mut c = Mud::up(&router, "MudC").await;
    let said = r#"({"channel-m",5,"MudC","carl",0,0,"imud_gossip","Carl","hi",})"#;
    c.send(said).await;
    assert_eq!(
        c.recv().await,
        format!(
            r#"({{"error",5,"*test",0,"MudC","carl","warning","Your mud wasn't listening to imud_gossip, so I'll start you listening right now.",{said},}})"#
        )
    );
    assert_eq!(c.recv().await, said);
    assert_eq!(a.recv().await, said);
    let answer = r#"({"channel-m",5,"MudA","bob",0,0,"imud_gossip","Bob","welcome",})"#;
    a.send(answer).await;
    assert_eq!(c.recv().await, answer);
}

#[tokio::test]
async fn a_channel_nobody_ever_listened_to_is_silent() {
    let (_router, mut a, mut b) = two_listeners().await;
    a.send(r#"({"channel-m",5,"MudA","bob",0,0,"imud_code","Bob","hello?",})"#).await;
    a.has_read_all().await;
    b.has_read_all().await;
}
