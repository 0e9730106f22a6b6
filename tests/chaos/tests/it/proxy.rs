//! What the proxy does to a link.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mudgateway_chaos::proxy::{Faults, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

/// Long enough to see that nothing comes.
const QUIET: Duration = Duration::from_millis(150);

/// A server that sends back what it gets, and ends a connection when the other end does.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                // It may be reset.
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

async fn proxy() -> Proxy {
    Proxy::start(echo().await).await.unwrap()
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

/// Sends a text and reads it back; how long that took.
async fn exchange(stream: &mut TcpStream, text: &[u8]) -> Duration {
    let start = Instant::now();
    stream.write_all(text).await.unwrap();
    assert_eq!(read(stream, text.len()).await, text);
    start.elapsed()
}

async fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    timeout(SOON, stream.read_exact(&mut bytes)).await.expect("nothing came").unwrap();
    bytes
}

async fn nothing_comes(stream: &mut TcpStream) {
    assert!(timeout(QUIET, stream.read_u8()).await.is_err(), "something came");
}

#[tokio::test]
async fn a_link_without_faults_carries_everything_and_its_end() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    let text: Vec<u8> = (0..300_000u32).map(|index| (index % 251) as u8).collect();
    let (mut from, mut to) = stream.split();
    let mut back = Vec::new();
    let sent = async {
        to.write_all(&text).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let (_, read) = tokio::join!(sent, timeout(SOON, from.read_to_end(&mut back)));
    read.expect("the end comes").unwrap();
    assert!(back == text, "{} of {} bytes", back.len(), text.len());
}

#[tokio::test]
async fn a_slow_link_delays_each_way_and_keeps_the_order() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    let (latency, jitter) = (Duration::from_millis(60), Duration::from_millis(30));
    proxy.set(Faults { latency, jitter, ..Faults::default() });
    for text in [b"one", b"two"] {
        assert!(exchange(&mut stream, text).await >= latency * 2);
    }
    for byte in 0..20 {
        stream.write_u8(byte).await.unwrap();
    }
    assert_eq!(read(&mut stream, 20).await, (0..20).collect::<Vec<u8>>());
    proxy.set(Faults::default());
    assert!(exchange(&mut stream, b"fast again").await < latency);
}

#[tokio::test]
async fn a_narrow_link_in_small_pieces_carries_everything_in_its_time() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    proxy.set(Faults { bandwidth: 10_000, slice: 7, ..Faults::default() });
    let took = exchange(&mut stream, &[7; 2000]).await;
    assert!(took >= Duration::from_millis(200), "{took:?}");
}

#[tokio::test]
async fn what_a_hole_in_one_direction_swallows_comes_when_it_is_closed() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    exchange(&mut stream, b"before").await;
    for hole in
        [Faults { hole_up: true, ..Faults::default() }, Faults { hole_down: true, ..Faults::default() }]
    {
        proxy.set(hole);
        stream.write_all(b"within").await.unwrap();
        nothing_comes(&mut stream).await;
        proxy.set(Faults::default());
        assert_eq!(read(&mut stream, 6).await, b"within");
    }
}

#[tokio::test]
async fn a_hole_swallows_the_end_of_a_connection_too() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
    let near = connect(&proxy).await;
    let (mut far, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
    proxy.set(Faults::HOLE);
    drop(near);
    nothing_comes(&mut far).await;
    proxy.set(Faults::default());
    let end = timeout(SOON, far.read_u8()).await.expect("the end comes");
    assert_eq!(end.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn what_is_frozen_stays_silent_and_open_and_new_connections_work() {
    let proxy = proxy().await;
    let mut old = connect(&proxy).await;
    exchange(&mut old, b"before").await;
    proxy.freeze();
    old.write_all(b"lost").await.unwrap();
    nothing_comes(&mut old).await;
    exchange(&mut connect(&proxy).await, b"new").await;
    nothing_comes(&mut old).await;
}

#[tokio::test]
async fn a_reset_ends_what_there_is_and_a_refusal_what_comes() {
    let proxy = proxy().await;
    let mut old = connect(&proxy).await;
    exchange(&mut old, b"before").await;
    proxy.reset();
    let end = timeout(SOON, old.read_u8()).await.expect("it ends");
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    exchange(&mut connect(&proxy).await, b"new").await;
    proxy.set(Faults { refuse: true, ..Faults::default() });
    let refused = || async {
        TcpStream::connect(proxy.address())
            .await
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    let start = Instant::now();
    while !refused().await {
        assert!(start.elapsed() < SOON, "it is not refused");
        tokio::task::yield_now().await;
    }
    proxy.set(Faults::default());
    while refused().await {
        assert!(start.elapsed() < SOON, "it is refused for ever");
        tokio::task::yield_now().await;
    }
    exchange(&mut connect(&proxy).await, b"newer").await;
}
