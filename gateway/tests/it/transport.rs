//! What a client may do to its connection, and what it is told.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use mudclient::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::support::{Gateway, KEY, WITHIN, is, router};

const WEBSOCKET: &str = "WebSocket and health";

/// All that comes until the other side closes. A reset is a close too.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(WITHIN, stream.read_to_end(&mut bytes)).await.expect("it is closed in time");
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn send(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn who_does_not_finish_the_head_of_a_request_is_closed_and_holds_no_place() {
    let router = router().await;
    let limits = [("API_AUTHENTICATION_SECONDS", "1"), ("API_MAX_CONNECTIONS", "1")];
    let gateway = Gateway::start("Dawn", &router, &limits).await;
    for what in [WEBSOCKET, "metrics"] {
        let address = gateway.address(what).await;
        let started = Instant::now();
        // One that says nothing, one that stops in the middle, and one that was served and stays.
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut half = send(address, "GET /ws HTTP/1.1\r\nHost: x\r\nX-Half: ").await;
        let mut idle = send(address, "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(gateway.get(what, "/health/live").await.0, 200, "others are served");
        assert_eq!(until_closed(&mut silent).await, "");
        until_closed(&mut half).await;
        assert!(until_closed(&mut idle).await.contains("alive"));
        assert!(started.elapsed() >= Duration::from_millis(900), "{what}: not before their time");
    }
    gateway.client().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    let address = gateway.address(WEBSOCKET).await;
    let long = format!("GET /health HTTP/1.1\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("GET /health HTTP/1.1\r\n{}\r\n", "X-Many: x\r\n".repeat(100));
    for head in [long, many] {
        let answer = until_closed(&mut send(address, &head).await).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}

/// The `connection_closing` that ends what a TCP client got.
async fn closing(stream: &mut TcpStream) -> Value {
    let all = until_closed(stream).await;
    let last: Value = serde_json::from_str(all.lines().last().unwrap()).unwrap();
    assert_eq!((&last["jsonrpc"], &last["method"]), (&json!("2.0"), &json!("connection_closing")));
    last["params"].clone()
}

#[tokio::test]
async fn a_tcp_client_is_told_why_it_is_closed() {
    let router = router().await;
    let limits = [("API_AUTHENTICATION_SECONDS", "1"), ("API_MAX_CONNECTIONS", "1")];
    let gateway = Gateway::start("Dawn", &router, &limits).await;
    let address = gateway.address("TCP lines").await;

    let mut idle = TcpStream::connect(address).await.unwrap();
    let mut welcome = [0; 10];
    idle.read_exact(&mut welcome).await.unwrap();
    // It has the only place. What the next one says at once does not cost it the answer.
    let mut second = send(address, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n").await;
    let full = json!({"code": 1013, "reason": "too many connections", "reconnect": true});
    assert_eq!(closing(&mut second).await, full);
    let late = json!({"code": 1008, "reason": "authentication timeout", "reconnect": false});
    assert_eq!(closing(&mut idle).await, late);
    let (_, metrics) = gateway.get("metrics", "/metrics").await;
    let counted = "api_connections_closed_total{transport=\"tcp\",reason=\"too many connections\"} 1";
    assert!(metrics.contains(counted), "{metrics}");

    let mut last = loop {
        // The place is free as soon as the gateway has seen that its client is gone.
        idle.shutdown().await.unwrap_or_default();
        let mut next = TcpStream::connect(address).await.unwrap();
        let mut first_line = [0; 40];
        next.read_exact(&mut first_line).await.unwrap();
        if String::from_utf8_lossy(&first_line).contains("welcome") {
            break next;
        }
    };
    let login = json!({"jsonrpc": "2.0", "id": 1, "method": "authenticate", "params": {"api_key": KEY}});
    last.write_all(format!("{login}\n").as_bytes()).await.unwrap();
    gateway.terminate().await;
    let ending = json!({"code": 1001, "reason": "Server shutting down", "reconnect": true});
    assert_eq!(closing(&mut last).await, ending);
}

#[tokio::test]
async fn at_the_end_clients_are_warned_and_closed_in_waves() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    gateway.logged("SessionEstablished").await;
    let mut clients = Vec::new();
    for index in 0..120 {
        let url = if index % 2 == 0 { gateway.websocket().await } else { gateway.tcp().await };
        let client = Client::connect(&url).await.unwrap();
        client.authenticate(KEY).await.unwrap();
        clients.push(client);
    }
    gateway.terminate().await;
    let mut hints = HashSet::new();
    for client in &clients {
        let warning = client.wait_event(is("shutdown_warning"), WITHIN).await.unwrap();
        assert_eq!(warning["params"]["reason"], "Server shutting down");
        hints.insert(warning["params"]["reconnect_in"].to_string());
    }
    assert!(hints.len() > 20, "{hints:?}");
    // A hundred clients have to wait for their wave; meanwhile nobody new should come.
    assert_eq!(gateway.get(WEBSOCKET, "/health/ready").await.0, 503);
    assert_eq!(gateway.get(WEBSOCKET, "/health/live").await.0, 200);
    let refused = Client::connect(&gateway.websocket().await).await.err().unwrap().to_string();
    assert!(refused.contains("503"), "{refused}");
    let ends = clients.iter().map(|client| async {
        let closed = client.closed(WITHIN).await.unwrap();
        (Instant::now(), closed)
    });
    let ends = futures::future::join_all(ends).await;
    let times = || ends.iter().map(|(at, _)| *at);
    assert!(times().max().unwrap() - times().min().unwrap() > Duration::from_millis(400), "not all at once");
    let codes = ends.iter().filter(|(_, closed)| closed.code == Some(1001)).count();
    assert_eq!(codes, 60, "every WebSocket was closed with its code");
    assert!(gateway.ended().await.0.success());
}

#[tokio::test]
async fn echo_is_there_only_when_it_is_wanted() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    let url = format!("ws://{}/echo", gateway.address(WEBSOCKET).await);
    let refused = tokio_tungstenite::connect_async(&url).await.unwrap_err();
    assert!(matches!(&refused, Error::Http(answer) if answer.status() == 404), "{refused}");

    let gateway = Gateway::start("Dawn", &router, &[("WEBSOCKET_ECHO", "true")]).await;
    gateway.logged("serving /echo").await;
    let url = format!("ws://{}/echo", gateway.address(WEBSOCKET).await);
    let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
    for message in [Message::text("no JSON"), Message::binary(vec![0; 100_000])] {
        socket.send(message.clone()).await.unwrap();
        let answer = timeout(WITHIN, socket.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(answer, message);
    }
}

#[tokio::test]
async fn who_breaks_the_rules_of_websocket_is_told_which() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    // A text that is not UTF-8, a frame with a reserved bit, and a length past all limits; masked with zeros.
    let cases: [(&[u8], u16); 3] = [
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
        (&[0xc1, 0x81, 0, 0, 0, 0, b'x'], 1002),
        (&[0x81, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], 1009),
    ];
    for (frame, code) in cases {
        let head = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let mut stream = send(gateway.address(WEBSOCKET).await, head).await;
        stream.write_all(frame).await.unwrap();
        let mut bytes = Vec::new();
        let _ = timeout(WITHIN, stream.read_to_end(&mut bytes)).await.expect("it is closed in time");
        let start = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        assert_eq!((bytes[start], &bytes[start + 2..start + 4]), (0x88, &code.to_be_bytes()[..]), "{code}");
    }
}
