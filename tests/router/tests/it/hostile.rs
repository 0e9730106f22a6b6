//! What a hostile router would do, done on purpose.

use std::time::{Duration, Instant};

use i3_router::{Config, Mark, Refusal, Router, RunningRouter};

use crate::mud::{Mud, router, saw};

async fn with_mud() -> (RunningRouter, Mud) {
    let router = router().await;
    let mud = Mud::up(&router, "MudA").await;
    (router, mud)
}

#[tokio::test]
async fn any_bytes_reach_a_mud_as_they_are() {
    let (router, mut mud) = with_mud().await;
    let nested = |levels: usize| format!("{}1,{}", "({".repeat(levels), "}),".repeat(levels));
    let large = "x".repeat(2 * 1024 * 1024);
    for bytes in [
        &b"\x7f\xff\xff\xff"[..],
        b"\0\0\0\0",
        b"\xff\xf1",
        nested(3_000).as_bytes(),
        "({\u{b2},})".as_bytes(),
        b"\0\0\0\x08({\0\0,})\0",
        b"({\"caf\xe9\",})",
        large.as_bytes(),
    ] {
        assert!(router.send_raw("MudA", bytes.to_vec()).await);
        assert_eq!(mud.bytes(bytes.len()).await, bytes);
    }
    mud.has_read_all().await;
}

#[tokio::test]
async fn any_text_reaches_a_mud_as_a_frame() {
    let (router, mut mud) = with_mud().await;
    let forged = r#"({"startup-reply",5,"*other",0,"MudA",0,({({"*other","127.0.0.1 1",}),}),1,})"#;
    assert!(router.send_packet("MudA", forged).await);
    assert_eq!(mud.recv().await, forged);
    assert!(!router.send_packet("Nobody", forged).await);
}

#[tokio::test]
async fn who_is_not_registered_can_be_spoken_to_as_well() {
    let router = router().await;
    router.cut("MudA").await;
    let mut mud = Mud::connect(&router, "MudA").await;
    mud.send(mud.startup()).await;
    saw(&router, Mark::START, |event| event.refused() == Some(("MudA", Refusal::Cut))).await;
    let links = router.links().await;
    assert_eq!(links.len(), 1);
    assert_eq!((links[0].mud.as_deref(), links[0].asked.as_deref()), (None, Some("MudA")));
    assert!(router.send_packet("MudA", "junk").await);
    assert_eq!(mud.recv().await, "junk");
}

#[tokio::test]
async fn a_half_open_link_neither_reads_nor_writes_until_it_is_resumed() {
    let (router, mut mud) = with_mud().await;
    let mut other = Mud::up(&router, "MudB").await;
    assert!(router.half_open("MudA").await);
    mud.send(mud.probe()).await;
    let tell = r#"({"tell",5,"MudB","ann","MudA","bob","Ann","hi",})"#;
    other.send(tell).await;
    other.has_read_all().await;

    let since = router.mark();
    assert!(router.muds().await.iter().all(|mud| mud.up), "nobody noticed");
    assert!(router.resume("MudA").await);
    saw(&router, since, |event| event.packet().is_some_and(|packet| packet.kind() == "auth-mud-req")).await;
    assert_eq!(mud.recv().await, tell);
    assert_eq!(mud.recv().await, mud.probe());
}

#[tokio::test]
async fn a_half_open_link_can_be_taken_over_and_cut() {
    let (router, old) = with_mud().await;
    router.half_open("MudA").await;
    let mut new = Mud::connect(&router, "MudA").await;
    new.password = old.password;
    new.register().await;
    router.cut("MudA").await;
    assert_eq!(new.rest().await, [""; 0]);

    router.restore("MudA").await;
    let mut frozen = Mud::connect(&router, "MudA").await;
    frozen.password = old.password;
    frozen.register().await;
    router.half_open("MudA").await;
    router.cut("MudA").await;
    assert_eq!(frozen.rest().await, [""; 0]);
}

#[tokio::test]
async fn delays_last_for_the_links_to_come() {
    let (router, mud) = with_mud().await;
    let delay = Duration::from_millis(60);
    router.delay("MudA", delay).await;
    drop(mud);
    saw(&router, Mark::START, |event| event.closed() == Some("MudA")).await;
    let begin = Instant::now();
    let mut mud = Mud::up(&router, "MudA").await;
    assert!(begin.elapsed() >= delay);
    router.delay("MudA", Duration::ZERO).await;
    mud.has_read_all().await;
}

#[tokio::test]
async fn slices_come_one_by_one() {
    let (router, mut mud) = with_mud().await;
    router.slice("MudA", 1).await;
    let text = "x".repeat(1_000);
    router.send_packet("MudA", text.clone()).await;
    let mut pieces = 0;
    let mut came = 0;
    while came < 4 + 1_000 + 1 {
        came += mud.bytes(1).await.len();
        pieces += 1;
    }
    assert!(pieces > 3, "{pieces} pieces");
    assert_eq!(came, 1_005);
    router.slice("MudA", 0).await;
    mud.has_read_all().await;
}

#[tokio::test]
async fn an_array_too_large_takes_everybody_down_if_it_is_to() {
    let router = Router::start(Config { crash_above: Some(15_000), ..Config::default() }).await.unwrap();
    let mut mud = Mud::up(&router, "MudA").await;
    let other = Mud::up(&router, "MudB").await;
    mud.send(format!(r#"({{"frob",5,"MudA","bob","MudB","ann",({{{}}}),}})"#, "0,".repeat(20_000))).await;
    assert!(!other.rest().await.iter().any(|packet| packet.contains("frob")));
    mud.rest().await;
    // It is back with what it knew.
    let known = router.muds().await;
    assert_eq!(
        known.iter().map(|mud| (&*mud.name, mud.up)).collect::<Vec<_>>(),
        [("MudA", false), ("MudB", false)]
    );
}

#[tokio::test]
async fn a_restart_is_a_plain_end_and_the_port_stays() {
    let (router, mud) = with_mud().await;
    let password = mud.password;
    router.restart().await;
    assert_eq!(mud.rest().await, [""; 0]);
    let mut mud = Mud::connect_from(&router, "MudA", [127, 0, 0, 9]).await;
    mud.password = password;
    mud.register().await;
    assert_eq!(mud.password, password);
}
