//! Where packets go, and what comes back for those that go nowhere.

use i3_router::Mark;

use crate::mud::{Mud, router, saw};

fn error(user: &str, code: &str, message: &str, about: &str) -> String {
    format!(r#"({{"error",5,"*test",0,"MudA",{user},"{code}","{message}",{about},}})"#)
}

#[tokio::test]
async fn packets_to_a_mud_arrive_as_they_were_sent() {
    let router = router().await;
    let mut a = Mud::up(&router, "MudA").await;
    let mut b = Mud::up(&router, "MudB").await;
    for text in [
        r#"({"tell",5,"MudA","bob","MudB","ann","Bob","hi",})"#,
        r#"({"tell",5,"MudA","bob","MudB","ann",})"#,
        r#"({"tell",-1,"MudA","bob","MudB","ann","Bob","hi","more",})"#,
        r#"({"emoteto",5,"MudA","bob","MudB","ann","Bob","$N waves",})"#,
        r#"({"who-req",5,"MudA","bob","MudB",0,})"#,
        r#"({"error",5,"MudA","bob","MudB","ann","unk-user","no such",0,})"#,
        r#"({"frobnicate",5,"MudA","bob","MudB",0,1,({2,}),(["a":1.500000,]),(/1,/),})"#,
        "({\"tell\",5,\"MudA\",\"bob\",\"MudB\",\"ann\",\"Bob\",\"two\rlines \\\"é\\\"\",})",
        r#"({"tell",5,"Ghost","bob","MudB","ann","Bob","a name nobody has",})"#,
    ] {
        a.send(text).await;
        assert_eq!(b.recv().await, text);
    }
    a.has_read_all().await;
}

#[tokio::test]
async fn packets_to_oneself_come_back() {
    let router = router().await;
    let mut mud = Mud::up(&router, "MudA").await;
    for kind in ["auth-mud-req", "ping-req", "tell"] {
        let text = format!(r#"({{"{kind}",5,"MudA",0,"MudA",0,}})"#);
        mud.send(&*text).await;
        assert_eq!(mud.recv().await, text);
    }
}

#[tokio::test]
async fn only_a_name_never_heard_of_is_unknown() {
    let router = router().await;
    let mut a = Mud::up(&router, "MudA").await;
    drop(Mud::up(&router, "MudZ").await);
    saw(&router, Mark::START, |event| event.closed() == Some("MudZ")).await;
    a.send(r#"({"tell",5,"MudA","bob","MudZ","ann","Bob","into the void",})"#).await;
    for name in ["Nowhere", "mudz"] {
        let tell = format!(r#"({{"tell",5,"MudA","bob","{name}","ann","Bob","hi",}})"#);
        a.send(&*tell).await;
        assert_eq!(a.recv().await, error(r#""bob""#, "unk-dst", "destination unknown", &tell));
    }
}

#[tokio::test]
async fn a_packet_without_a_target_is_for_everybody() {
    let router = router().await;
    let mut a = Mud::up(&router, "MudA").await;
    let mut b = Mud::up(&router, "MudB").await;
    for text in [
        r#"({"locate-req",5,"MudA","bob",0,0,"ann",})"#,
        r#"({"ucache-update",5,"MudA",0,0,0,"bob","Bob",0,})"#,
        r#"({"mudlist",5,"MudA",0,0,0,1,(["Fake":0,]),})"#,
        r#"({"shutdown",5,"MudA",0,0,0,0,})"#,
    ] {
        a.send(text).await;
        assert_eq!(a.recv().await, text);
        assert_eq!(b.recv().await, text);
    }
}

#[tokio::test]
async fn what_the_router_does_not_do_it_says() {
    let router = router().await;
    let mut mud = Mud::up(&router, "MudA").await;
    for kind in ["ping-req", "who-req", "tell", "error", "mudlist", "frobnicate"] {
        let text = format!(r#"({{"{kind}",5,"MudA","bob","*test",0,}})"#);
        mud.send(&*text).await;
        let message = format!("Unknown command sent to router: {kind}");
        assert_eq!(mud.recv().await, error(r#""bob""#, "not-imp", &message, &text));
    }
    for kind in ["irn-ping", "irn-startup-req"] {
        mud.send(format!(r#"({{"{kind}",5,"MudA",0,"*test",0,}})"#)).await;
    }
    mud.has_read_all().await;
}

#[tokio::test]
async fn router_packets_to_one_mud_are_not_allowed() {
    let router = router().await;
    let mut a = Mud::up(&router, "MudA").await;
    let mut b = Mud::up(&router, "MudB").await;
    for kind in ["startup-reply", "mudlist", "chanlist-reply"] {
        let text = format!(r#"({{"{kind}",5,"MudA",0,"MudB",0,1,([]),}})"#);
        a.send(&*text).await;
        let message = "You are not allowed to send this kind of packet.";
        assert_eq!(a.recv().await, error("0", "not-allowed", message, &text));
    }
    b.has_read_all().await;
}

#[tokio::test]
async fn a_bad_header_is_answered_if_there_is_enough_of_it() {
    let router = router().await;
    let mut mud = Mud::up(&router, "MudA").await;
    for (text, user) in [
        (r#"({"tell","5","MudA","bob","MudB","ann","Bob","x",})"#, r#""bob""#),
        (r#"({"tell",5,"MudA",1,"MudB","ann","Bob","x",})"#, "1"),
        (r#"({"tell",5,"MudA","bob","MudB",})"#, r#""bob""#),
    ] {
        mud.send(text).await;
        assert_eq!(mud.recv().await, error(user, "bad-pkt", "Invalid initial data", text));
    }
    for text in [r#"({"tell",5,"MudA",})"#, "({})", "([])", "123", r#""str""#, r#"({5,"x",})"#, "junk"] {
        mud.send(text).await;
    }
    mud.has_read_all().await;
}

#[tokio::test]
async fn the_name_of_a_connected_mud_cannot_be_borrowed() {
    let router = router().await;
    let mut a = Mud::up(&router, "MudA").await;
    let mut b = Mud::up(&router, "MudB").await;
    a.send(r#"({"tell",5,"MudB","ann","MudA","bob","Ann","spoof",})"#).await;
    a.send(r#"({"shutdown",5,"Ghost",0,"*test",0,0,})"#).await;
    a.has_read_all().await;
    b.has_read_all().await;
}

#[tokio::test]
async fn what_cannot_be_echoed_is_not_answered() {
    let router = router().await;
    let mut mud = Mud::up(&router, "MudA").await;
    let nested = |levels: usize| {
        let value = format!("{}1,{}", "({".repeat(levels), "}),".repeat(levels));
        format!(r#"({{"frob",5,"MudA","bob","*test",0,{value}}})"#)
    };
    // The error adds a level to the packet's own and the hundredth is the last.
    mud.send(nested(98)).await;
    assert!(mud.recv().await.contains("not-imp"));
    mud.send(nested(99)).await;
    mud.send(nested(3_000)).await;
    mud.has_read_all().await;
}

#[tokio::test]
async fn odd_names_are_names() {
    let router = router().await;
    let long = "x".repeat(300);
    let mut muds = Vec::new();
    for name in [" blank ", "Münze", &long] {
        muds.push(Mud::up(&router, name).await);
    }
    let tell = r#"({"tell",5," blank ","bob","Münze","ann","Bob","hi",})"#;
    muds[0].send(tell).await;
    assert_eq!(muds[1].recv().await, tell);
    let known = router.muds().await;
    assert_eq!(known.iter().map(|mud| &*mud.name).collect::<Vec<_>>(), [" blank ", "Münze", &long]);
}

#[tokio::test]
async fn the_routers_own_name_can_be_taken_but_packets_to_it_stay_with_the_router() {
    let router = router().await;
    let mut mud = Mud::connect(&router, "*test").await;
    mud.send(mud.startup()).await;
    for start in ["startup-reply", "mudlist", "chanlist-reply"] {
        let packet = mud.recv().await;
        assert!(packet.starts_with(&format!(r#"({{"{start}",5,"*test",0,"*test""#)), "{packet}");
    }
    mud.send(mud.probe()).await;
    assert!(mud.recv().await.contains("Unknown command sent to router: auth-mud-req"));
}
