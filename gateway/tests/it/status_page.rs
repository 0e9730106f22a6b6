//! The status page without a browser: who gets what. What a browser makes of it is in tests/observe/page.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{Gateway, KEY, router};

const WEBSOCKET: &str = "WebSocket and health";

/// The head and the body of an answer.
async fn get(gateway: &Gateway, path: &str, key: &str) -> (String, String) {
    let mut stream = TcpStream::connect(gateway.address(WEBSOCKET).await).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: gateway\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn the_page_is_served_where_it_is_wanted_and_shows_its_data_for_a_key_only() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[("STATUS_PAGE", "true")]).await;
    gateway.logged("SessionEstablished").await;
    for path in ["/status", "/status/page.js", "/status/page.css", "/status/data"] {
        let (head, body) = get(&gateway, path, "").await;
        let status = if path == "/status/data" { "http/1.1 401" } else { "http/1.1 200" };
        assert!(head.starts_with(status), "{path}: {head}");
        for header in ["content-security-policy: default-src 'none'", "nosniff", "no-referrer", "no-store"] {
            assert!(head.contains(header), "{path}: {header}: {head}");
        }
        assert!(!body.contains("Dawn"), "nothing of the mud is told without a key: {body}");
    }
    let (head, body) = get(&gateway, "/status/data", KEY).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let data: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&data["mud"], &data["router"]["connected"]), (&"Dawn".into(), &true.into()));
    assert_eq!(data["bus"], "none");

    // Who guesses is not listened to any more, not even with the right key.
    for _ in 0..12 {
        get(&gateway, "/status/data", "wrong").await;
    }
    let (head, body) = get(&gateway, "/status/data", KEY).await;
    assert!(head.starts_with("http/1.1 401") && body.contains("Too many"), "{head} {body}");
}

#[tokio::test]
async fn without_being_asked_for_there_is_no_page() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    for path in ["/status", "/status/data"] {
        assert!(get(&gateway, path, KEY).await.0.starts_with("http/1.1 404"), "{path}");
    }
}
