//! Faults made on purpose, and those of the wire.

use i3_router::{Config, Event, Mark, MudInfo, Refusal, Router};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::mud::{Mud, SOON, router, saw};

#[tokio::test]
async fn a_mud_that_is_cut_off_meets_silence_until_it_is_restored() {
    let router = router().await;
    let mud = Mud::up(&router, "MudA").await;
    let mut other = Mud::up(&router, "MudB").await;
    let password = mud.password;
    router.cut("MudA").await;
    assert_eq!(mud.rest().await, [""; 0]);
    let info = |name: &str, up| MudInfo {
        name: name.into(),
        up,
        address: "127.0.0.1".into(),
        cut: !up,
        router: None,
    };
    assert_eq!(router.muds().await, [info("MudA", false), info("MudB", true)]);

    let mut mud = Mud::connect(&router, "MudA").await;
    mud.password = password;
    mud.send(mud.startup()).await;
    saw(&router, Mark::START, |event| event.refused() == Some(("MudA", Refusal::Cut))).await;
    other.has_read_all().await;

    router.restore("MudA").await;
    mud.register().await;
    assert_eq!(mud.password, password);
}

#[tokio::test]
async fn a_name_can_be_cut_off_before_it_is_known() {
    let router = router().await;
    router.cut("MudA").await;
    let mut mud = Mud::connect(&router, "MudA").await;
    mud.send(mud.startup()).await;
    saw(&router, Mark::START, |event| event.refused() == Some(("MudA", Refusal::Cut))).await;
    assert_eq!(router.muds().await, []);
}

#[tokio::test]
async fn a_length_that_cannot_be_closes_the_connection() {
    let router = router().await;
    for header in [0_u32, 262_145, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
        let mut stream = TcpStream::connect(router.addr()).await.unwrap();
        stream.write_all(&header.to_be_bytes()).await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "{header:#x}");
    }
}

#[tokio::test]
async fn the_largest_frame_is_passed_on() {
    let router = router().await;
    let mut a = Mud::up(&router, "MudA").await;
    let mut b = Mud::up(&router, "MudB").await;
    let frame = r#"({"tell",5,"MudA","bob","MudB","ann","Bob","",})"#;
    let text = frame.replace(r#""",})"#, &format!(r#""{}",}})"#, "x".repeat(262_143 - frame.len())));
    a.send(&*text).await;
    assert_eq!(b.recv().await, text);
}

#[tokio::test]
async fn bytes_may_come_one_by_one_and_without_a_nul() {
    let router = router().await;
    let mut stream = TcpStream::connect(router.addr()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let text = crate::mud::startup("MudA", r#""*test""#, 0, crate::mud::SERVICES);
    let mut bytes = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    for byte in bytes {
        stream.write_all(&[byte]).await.unwrap();
    }
    saw(&router, Mark::START, |event| event.registered() == Some("MudA")).await;
}

#[tokio::test]
async fn a_client_that_half_closes_is_closed() {
    let router = router().await;
    let mut stream = TcpStream::connect(router.addr()).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn the_end_of_the_router_closes_every_link() {
    let router = router().await;
    let addr = router.addr();
    let mud = Mud::up(&router, "MudA").await;
    drop(router);
    assert_eq!(mud.rest().await, [""; 0]);

    let config = Config { listen: addr, ..Config::default() };
    let router = Router::start(config.clone()).await.unwrap();
    router.stop().await;
    Router::start(config).await.expect("the port is free at once");
}

#[tokio::test]
async fn a_strict_router_turns_connections_away() {
    let router = Router::start(Config::strict()).await.unwrap();
    let mut links = Vec::new();
    for _ in 0..3 {
        links.push(TcpStream::connect(router.addr()).await.unwrap());
    }
    // They came in two clock seconds at most.
    saw(&router, Mark::START, |event| matches!(event, Event::TurnedAway { .. })).await;
    let ends = links.iter_mut().map(|link| Box::pin(async { link.read(&mut [0; 1]).await.unwrap() }));
    let (read, ..) = tokio::time::timeout(SOON, futures::future::select_all(ends)).await.unwrap();
    assert_eq!(read, 0);
}

#[tokio::test]
async fn events_tell_what_was_seen_without_secrets() {
    let router = router().await;
    let mut mud = Mud::up(&router, "MudA").await;
    mud.register().await;
    let sent = saw(&router, Mark::START, |event| event.packet().is_some()).await;
    assert!(matches!(&sent, Event::Received { mud: None, .. }));
    assert_eq!(
        sent.to_string(),
        r#"#1 sent startup-req-3 MudA -> *test: password none, port 4000, driver Drv"#
    );
    let password = mud.password.to_string();
    let again = |event: &Event| {
        matches!(event, Event::Received { mud: Some(_), .. }) && event.to_string().contains("password")
    };
    let line = saw(&router, Mark::START, again).await.to_string();
    assert!(line.contains("password ***") && !line.contains(&password), "{line}");
}
