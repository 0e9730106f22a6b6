//! Nothing a client sends, however large, deep, slow, wrong or early, affects another session or the router link.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use i3_router::{Config, Event, Mark, Router, RunningRouter};
use mudclient::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::support::{Gateway, KEY, WITHIN, is};

/// How many messages the healthy client is sent, and how long after one another.
const MESSAGES: usize = 500;
const PACE: Duration = Duration::from_millis(20);

/// How long an adversary rests between two rounds: what is measured is the gateway, not how many cores there are.
const REST: Duration = Duration::from_millis(250);

/// Adversaries with a key have an address of their own: too many wrong keys shut an address out.
const OTHER_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Where the gateway listens.
#[derive(Clone, Copy)]
struct Ports {
    websocket: SocketAddr,
    lines: SocketAddr,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_healthy_client_and_the_link_are_not_affected_by_any_of_them() {
    let router = Router::start(Config::strict()).await.unwrap();
    let environment = [
        ("API_REQUESTS_PER_MINUTE", "1000000"),
        ("API_WRITE_SECONDS", "2"),
        ("API_AUTHENTICATION_SECONDS", "3"),
        ("LOG_LEVEL", "info"),
    ];
    let gateway = Gateway::start("Dawn", &router, &environment).await;
    gateway.logged("SessionEstablished").await;
    let healthy = gateway.listener().await;
    let (mark, memory) = (router.mark(), gateway.memory());

    let ports = Ports {
        websocket: gateway.address("WebSocket and health").await,
        lines: gateway.address("TCP lines").await,
    };
    let stop = CancellationToken::new();
    let mut adversaries = all(ports, &stop);
    let (latencies, most) = serve(&router, &gateway, &healthy).await;
    stop.cancel();
    while let Some(done) = adversaries.join_next().await {
        let (name, rounds) = done.unwrap();
        println!("{name}: {rounds} rounds");
    }
    let p99 = latencies[latencies.len() * 99 / 100];
    println!("p50 {:?}, p99 {p99:?}, {} MiB more", latencies[latencies.len() / 2], (most - memory) >> 20);
    // Other tests share the machine, so the bound is wide: what is meant is that nobody waits for an adversary.
    assert!(p99 < Duration::from_secs(1), "{p99:?}");
    assert!(most < memory + (64 << 20), "from {memory} to {most} bytes");
    assert_one_session(&router, mark).await;
    assert_eq!(healthy.call("status", json!({})).await.unwrap()["connected"], true);
    let metrics = gateway.get("metrics", "/metrics").await.1;
    for reason in ["slow consumer", "authentication timeout"] {
        let line = format!("api_connections_closed_total{{transport=\"tcp\",reason=\"{reason}\"}} ");
        let counted = metrics.lines().find_map(|served| served.strip_prefix(&line));
        assert!(counted.is_some_and(|count| count != "0"), "{line} in\n{metrics}");
    }
    let log = gateway.whole_log();
    assert!(!log.contains("a fault of the gateway's"), "{log}");
}

/// Sends the healthy client its messages and measures; each must come, once and in order. Returns how long they took,
/// sorted, and the most memory the gateway had.
async fn serve(router: &RunningRouter, gateway: &Gateway, healthy: &Client) -> (Vec<Duration>, usize) {
    let listener = healthy.clone();
    let received = tokio::spawn(async move {
        let mut received = Vec::new();
        for number in 0..MESSAGES {
            let event = listener.wait_event(is("channel_message"), WITHIN).await.unwrap();
            received.push(Instant::now());
            assert_eq!(event["params"]["message"], format!("message {number}"));
        }
        received
    });
    let (mut sent, mut most, mut pace) = (Vec::new(), 0, tokio::time::interval(PACE));
    for number in 0..MESSAGES {
        pace.tick().await;
        let text = format!(r#"({{"channel-m",5,"Dusk","bob",0,0,"imud_gossip","Bob","message {number}",}})"#);
        sent.push(Instant::now());
        assert!(router.send_packet("Dawn", text).await);
        most = most.max(gateway.memory());
    }
    let received = received.await.unwrap();
    let more = healthy.wait_event(is("channel_message"), Duration::ZERO).await;
    assert!(more.is_err(), "nothing came twice: {more:?}");
    let mut latencies: Vec<_> =
        sent.iter().zip(&received).map(|(sent, received)| *received - *sent).collect();
    latencies.sort();
    (latencies, most)
}

async fn assert_one_session(router: &RunningRouter, since: Mark) {
    let other = |event: &Event| event.registered().is_some() || event.closed().is_some();
    let other = router.wait_for(since, other, Duration::ZERO).await;
    assert!(other.is_none(), "the session with the router ended: {other:?}");
}

/// Starts all adversaries, each again and again until it is to stop, and at least once.
fn all(ports: Ports, stop: &CancellationToken) -> JoinSet<(&'static str, u32)> {
    let mut set = JoinSet::new();
    macro_rules! adversaries {
        ($($name:ident),*) => {$({
            let stop = stop.clone();
            set.spawn(async move {
                let mut rounds = 0;
                while rounds == 0 || !stop.is_cancelled() {
                    let round = timeout(Duration::from_secs(20), $name(ports)).await;
                    round.unwrap_or_else(|_| panic!("{} is stuck", stringify!($name)));
                    rounds += 1;
                    tokio::time::sleep(REST).await;
                }
                (stringify!($name), rounds)
            });
        })*};
    }
    adversaries!(
        deep,
        long,
        half,
        slow_reader,
        slow_sender,
        wrong_text,
        early,
        notifications,
        batches,
        pings,
        fragments,
        comes_and_goes,
        wrong_keys,
        garbage,
        tls_hello
    );
    set
}

/// Writes, and does not mind when the gateway has had enough.
async fn write(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes).await;
}

/// Reads until the gateway closes. A reset is as good.
async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    bytes
}

fn request(id: impl Into<Value>, method: &str, params: Value) -> String {
    format!("{}\n", json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params}))
}

async fn from_other_address(to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((OTHER_ADDRESS, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// A TCP client with a key, by lines.
async fn with_key(ports: Ports) -> BufReader<TcpStream> {
    let mut client = BufReader::new(from_other_address(ports.lines).await);
    client.write_all(request(0, "authenticate", json!({"api_key": KEY})).as_bytes()).await.unwrap();
    until(&mut client, "authenticated\"").await;
    client
}

/// Reads lines until one holds a text, and returns that.
async fn until(client: &mut BufReader<TcpStream>, text: &str) -> String {
    find(client, text).await.unwrap_or_else(|| panic!("closed before {text:?} came"))
}

/// The same; none: the gateway closed before. A reset is as good.
async fn find(client: &mut BufReader<TcpStream>, text: &str) -> Option<String> {
    loop {
        let mut line = String::new();
        if client.read_line(&mut line).await.unwrap_or_default() == 0 {
            return None;
        }
        if line.contains(text) {
            return Some(line);
        }
    }
}

/// A WebSocket that is open; the frames are the adversary's own.
async fn upgraded(ports: Ports) -> TcpStream {
    let mut stream = from_other_address(ports.websocket).await;
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-API-Key: {KEY}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    stream
}

/// A frame of a client, masked with zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(short @ ..126) => frame.push(0x80 | u8::try_from(short).unwrap()),
        Ok(middle) => {
            frame.push(0x80 | 126);
            frame.extend(middle.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend(u64::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// JSON nested 30,000 deep.
async fn deep(ports: Ports) {
    let mut client = with_key(ports).await;
    for open in ["[", "{\"a\":"] {
        client.write_all(format!("{}\n", open.repeat(60_000 / open.len())).as_bytes()).await.unwrap();
        until(&mut client, "-32700").await;
    }
    let mut socket = upgraded(ports).await;
    write(&mut socket, &frame(0x81, "[".repeat(60_000).as_bytes())).await;
    write(&mut socket, &frame(0x88, &1000_u16.to_be_bytes())).await;
    until_closed(&mut socket).await;
}

/// 8 MB in one line, and in one frame.
async fn long(ports: Ports) {
    let mut client = with_key(ports).await;
    let line = vec![b'x'; 8 << 20];
    client.write_all(&line).await.unwrap();
    client.write_all(b"\n").await.unwrap();
    until(&mut client, "Message too long").await;
    let mut socket = upgraded(ports).await;
    write(&mut socket, &frame(0x81, &line)).await;
    until_closed(&mut socket).await;
}

/// Half a line, and no more.
async fn half(ports: Ports) {
    let mut stream = TcpStream::connect(ports.lines).await.unwrap();
    write(&mut stream, b"{\"jsonrpc\":\"2.0\",\"id\":1,\"me").await;
    let said = until_closed(&mut stream).await;
    assert!(String::from_utf8_lossy(&said).contains("authentication timeout"));
}

/// Asks for much and reads nothing of it.
async fn slow_reader(ports: Ports) {
    let client = with_key(ports).await;
    let (_unread, mut writer) = client.into_inner().into_split();
    let request = request("x".repeat(60_000), "ping", json!({}));
    while writer.write_all(request.as_bytes()).await.is_ok() {}
}

/// One byte at a time.
async fn slow_sender(ports: Ports) {
    let mut client = with_key(ports).await;
    client.get_ref().set_nodelay(true).unwrap();
    for byte in request("slow", "ping", json!({})).bytes() {
        client.write_all(&[byte]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    until(&mut client, "\"slow\"").await;
}

/// Text that is not UTF-8.
async fn wrong_text(ports: Ports) {
    let mut client = with_key(ports).await;
    client.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"\xff\xfe\"}\n").await.unwrap();
    until(&mut client, "-32700").await;
    let mut socket = upgraded(ports).await;
    write(&mut socket, &frame(0x81, b"\xff\xfe")).await;
    until_closed(&mut socket).await;
}

/// Requests before a key.
async fn early(ports: Ports) {
    let mut client = BufReader::new(TcpStream::connect(ports.lines).await.unwrap());
    let params = json!({"target_mud": "Dusk", "target_user": "bob", "message": "not yet"});
    for number in 0..100 {
        client.write_all(request(number, "tell", params.clone()).as_bytes()).await.unwrap();
    }
    let last = until(&mut client, "\"id\":99").await;
    assert!(last.contains("-32000"), "{last}");
}

/// 10,000 notifications at once.
async fn notifications(ports: Ports) {
    let mut client = with_key(ports).await;
    let notifications = "{\"jsonrpc\":\"2.0\",\"method\":\"status\"}\n".repeat(10_000);
    client.write_all(notifications.as_bytes()).await.unwrap();
    client.write_all(request("last", "ping", json!({})).as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_line(&mut answer).await.unwrap();
    assert!(answer.contains("\"last\""), "{answer}");
}

/// The largest batch there may be, and one that is too large.
async fn batches(ports: Ports) {
    let mut client = with_key(ports).await;
    let batch = |count: usize| {
        let requests: Vec<_> =
            (0..count).map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "ping"})).collect();
        format!("{}\n", json!(requests))
    };
    for _ in 0..20 {
        client.write_all(batch(100).as_bytes()).await.unwrap();
        let answers: Value = serde_json::from_str(&until(&mut client, "\"id\":99").await).unwrap();
        assert_eq!(answers.as_array().unwrap().len(), 100);
        client.write_all(batch(101).as_bytes()).await.unwrap();
        until(&mut client, "a batch may hold 100 requests").await;
    }
}

/// A flood of pings, of which no pong is read.
async fn pings(ports: Ports) {
    let mut socket = upgraded(ports).await;
    write(&mut socket, &frame(0x89, &[b'x'; 125]).repeat(5_000)).await;
    write(&mut socket, &frame(0x88, &1000_u16.to_be_bytes())).await;
    until_closed(&mut socket).await;
}

/// A message in a thousand fragments with pings between them, then one that never ends.
async fn fragments(ports: Ports) {
    let mut socket = upgraded(ports).await;
    let text = request("fragments", "ping", json!({"padding": "x".repeat(1000)}));
    let (first, rest) = text.as_bytes().split_at(1);
    let mut frames = frame(0x01, first);
    for byte in rest {
        frames.extend(frame(0x00, &[*byte]));
        frames.extend(frame(0x89, b"?"));
    }
    frames.extend(frame(0x80, b""));
    write(&mut socket, &frames).await;
    write(&mut socket, &frame(0x01, b"[")).await;
    for _ in 0..400 {
        write(&mut socket, &frame(0x00, &[b'['; 1000])).await;
    }
    let said = until_closed(&mut socket).await;
    assert!(String::from_utf8_lossy(&said).contains("\"fragments\""), "the first one was answered");
}

/// Connects and is gone, 300 times.
async fn comes_and_goes(ports: Ports) {
    for number in 0..300 {
        let address = if number % 2 == 0 { ports.lines } else { ports.websocket };
        drop(TcpStream::connect(address).await.unwrap());
    }
}

/// Wrong keys, from the address of the healthy client, a few on each connection: without a right one it is closed in time.
async fn wrong_keys(ports: Ports) {
    for first in (0..50).step_by(5) {
        let mut client = BufReader::new(TcpStream::connect(ports.lines).await.unwrap());
        for number in first..first + 5 {
            let guess = request(number, "authenticate", json!({"api_key": format!("guess {number}")}));
            write(client.get_mut(), guess.as_bytes()).await;
            // Where all waits for a core it may be closed before the last one.
            if find(&mut client, "-32000").await.is_none() {
                break;
            }
        }
    }
}

/// What is neither HTTP nor JSON, and HTTP where JSON is spoken.
async fn garbage(ports: Ports) {
    let noise: Vec<u8> =
        (0..20_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for text in [&noise[..], b"BREW /ws COFFEE/1.1\r\n\r\n", b"GET /ws HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\n\0"] {
        for address in [ports.websocket, ports.lines] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            write(&mut stream, text).await;
            stream.shutdown().await.unwrap_or_default();
            until_closed(&mut stream).await;
        }
    }
}

/// The start of a TLS handshake where there is no TLS.
async fn tls_hello(ports: Ports) {
    let hello = [&[0x16, 3, 1, 0x02, 0, 1, 0, 0x01, 0xfc, 3, 3][..], &[7; 500]].concat();
    for address in [ports.websocket, ports.lines] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        write(&mut stream, &hello).await;
        stream.shutdown().await.unwrap_or_default();
        until_closed(&mut stream).await;
    }
}
