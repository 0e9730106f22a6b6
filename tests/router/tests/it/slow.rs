//! Rule 45: who does not read.

use std::net::{Ipv4Addr, SocketAddr};

use futures::StreamExt;
use i3_router::{Config, Mark, Router};
use intermud3::MudModeCodec;
use tokio::net::TcpSocket;
use tokio_util::codec::Framed;

use crate::mud::{Mud, NEVER, SOON, saw};

#[tokio::test]
async fn rule_45_a_slow_reader_gets_what_the_kernel_took_and_the_newest_packet() {
    // Nothing else of a strict router, whose news would be newer.
    let send_buffer = Config::strict().send_buffer;
    let config = Config { send_buffer, up_delay: NEVER, down_delay: NEVER, ..Config::default() };
    let router = Router::start(config).await.unwrap();
    let mut sender = Mud::up(&router, "MudA").await;

    // A small buffer, so that the kernel takes little.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let stream = socket.connect(router.addr()).await.unwrap();
    let mut slow = Framed::new(stream, MudModeCodec::new());
    let startup = crate::mud::startup("Slow", r#""*test""#, 0, "([])");
    futures::SinkExt::send(&mut slow, startup.into()).await.unwrap();
    saw(&router, Mark::START, |event| event.registered() == Some("Slow")).await;

    let filling = "x".repeat(60_000);
    for n in 0..151 {
        sender.send(format!(r#"({{"tell",5,"MudA","bob","Slow","ann","{n}","{filling}",}})"#)).await;
    }
    sender.has_read_all().await;
    let mut got = Vec::new();
    while got.last() != Some(&150) {
        let frame = tokio::time::timeout(SOON, slow.next()).await.unwrap().unwrap().unwrap();
        let text = String::from_utf8(frame.to_vec()).unwrap();
        if text.starts_with("({\"tell\"") {
            got.push(text.split('"').nth(11).unwrap().parse::<usize>().unwrap());
        }
    }
    // Neither an error nor an end: what comes now arrives.
    sender.send(r#"({"tell",5,"MudA","bob","Slow","ann","Bob","later",})"#).await;
    let later = tokio::time::timeout(SOON, slow.next()).await.unwrap().unwrap().unwrap();
    assert!(later.ends_with(b"\"later\",})"));

    let first = got.len() - 1;
    assert_eq!(got[..first], (0..first).collect::<Vec<_>>()[..], "the first ones, without a gap");
    assert!(first < 150, "and then only the newest");
}
