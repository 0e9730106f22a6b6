//! The library.

use std::time::Duration;

use mudclient::{CallError, Client, Closed, ConnectError, Options, WaitError};
use serde_json::{Value, json};

use crate::server;

const SOON: Duration = Duration::from_secs(10);
const AT_ONCE: Duration = Duration::from_millis(1);

/// A client of each kind.
async fn clients() -> [Client; 2] {
    let [ws, tcp] = [server::web_socket().await, server::tcp().await];
    [Client::connect(&ws).await.unwrap(), Client::connect(&tcp).await.unwrap()]
}

fn n(event: &Value) -> u64 {
    event["params"]["n"].as_u64().unwrap()
}

#[tokio::test]
async fn a_call_has_a_result_or_an_error() {
    for client in clients().await {
        assert_eq!(client.authenticate("good").await.unwrap()["mud_name"], "MudA");
        let params = json!({ "text": "naïve\nand \"quoted\"" });
        assert_eq!(client.call("echo", params.clone()).await, Ok(params));
        let error = client.authenticate("bad").await.unwrap_err();
        assert_eq!(error.to_string(), format!("{}: authenticate: Invalid API key (-32000)", client.url()));
        let rpc = error.rpc().unwrap();
        assert_eq!((rpc.code, &rpc.data), (-32000, &Some(json!({ "method": "authenticate" }))));
        assert_eq!(rpc.id, json!(3));
        assert_eq!(client.call("nonsense", json!({})).await.unwrap_err().code(), Some(-32601));
    }
}

#[tokio::test]
async fn a_stream_that_is_there_already_will_do() {
    let url = server::tcp().await;
    let connect = || tokio::net::TcpStream::connect(url.trim_start_matches("tcp://"));
    let client = Client::over("forwarded", connect().await.unwrap(), Options::default()).await.unwrap();
    assert_eq!(client.call("echo", json!({ "a": 1 })).await, Ok(json!({ "a": 1 })));
    let error = client.call("nonsense", json!({})).await.unwrap_err();
    assert!(error.to_string().starts_with("forwarded: "), "{error}");
    let url = server::web_socket().await;
    let address = url.trim_start_matches("ws://").trim_end_matches("/ws");
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let client = Client::over_web_socket("forwarded", stream, Options::default()).await.unwrap();
    assert_eq!(client.call("echo", json!({ "a": 2 })).await, Ok(json!({ "a": 2 })));
    let (silent, _kept) = tokio::io::duplex(64);
    let options = Options { connect_timeout: AT_ONCE, ..Options::default() };
    assert!(matches!(Client::over("silent", silent, options).await, Err(ConnectError::TimedOut { .. })));
}

#[tokio::test]
async fn answers_are_matched_by_id() {
    for client in clients().await {
        let (late, early) =
            tokio::join!(client.call("later", json!({})), client.call("echo", json!({ "a": 1 })));
        assert_eq!((late, early), (Ok(json!("late")), Ok(json!({ "a": 1 }))));
        let request = json!({ "jsonrpc": "2.0", "id": "mine-1", "method": "echo", "params": { "b": 2 } });
        assert_eq!(client.request(request).await, Ok(json!({ "b": 2 })));
    }
}

#[tokio::test]
async fn events_wait_until_they_are_wanted() {
    for client in clients().await {
        client.call("events", json!({ "count": 5 })).await.unwrap();
        assert_eq!(n(&client.wait_event(|event| n(event) == 3, SOON).await.unwrap()), 3);
        for expected in [0, 1, 2, 4] {
            assert_eq!(n(&client.next_event(SOON).await.unwrap()), expected, "others keep their order");
        }
        let error = client.next_event(AT_ONCE).await.unwrap_err();
        assert_eq!(error, WaitError::TimedOut { url: client.url().into(), after: AT_ONCE });

        let waiting = client.wait_event(|event| n(event) == 1, SOON);
        let (event, called) = tokio::join!(waiting, client.call("events", json!({ "count": 2 })));
        assert_eq!((n(&event.unwrap()), called), (1, Ok(Value::Null)));
    }
}

#[tokio::test]
async fn unread_events_are_bounded() {
    for client in clients().await {
        client.call("events", json!({ "count": 16_390 })).await.unwrap();
        assert_eq!(client.lost_events(), 6);
        assert_eq!(n(&client.next_event(SOON).await.unwrap()), 6, "the oldest give way");
    }
}

#[tokio::test]
async fn raw_messages_go_both_ways() {
    let [ws, tcp] = clients().await;
    assert!(tcp.next_raw(SOON).await.unwrap().contains("welcome"));
    for client in [ws, tcp] {
        client.send_raw("{junk").await;
        let answer = r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"Invalid JSON"}}"#;
        assert_eq!(client.next_raw(SOON).await.unwrap(), answer);
        assert_eq!(
            client.next_event(SOON).await.unwrap()["error"]["code"],
            -32700,
            "without an id, so an event"
        );
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_an_error() {
    let url = server::tcp().await;
    let options = Options { call_timeout: AT_ONCE, ..Options::default() };
    let client = Client::connect_with(&url, options).await.unwrap();
    let error = client.call("silent", json!({})).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{url}: silent: no answer within 0.001 s"));
}

#[tokio::test]
async fn the_end_of_the_connection_ends_all_waiting() {
    let how = [Closed { code: Some(4008), reason: "slow consumer".into() }, Closed::default()];
    for (client, closed) in clients().await.into_iter().zip(how) {
        let url = client.url().to_owned();
        let (call, event) = tokio::join!(client.call("close", json!({})), client.next_event(SOON));
        let method = "close".to_owned();
        assert_eq!(call, Err(CallError::Closed { url: url.clone(), method, closed: closed.clone() }));
        assert_eq!(event, Err(WaitError::Closed { url, closed: closed.clone() }));
        assert_eq!(client.closed(SOON).await, Ok(closed));
        assert!(matches!(client.call("echo", json!({})).await, Err(CallError::Closed { .. })));
    }
}

#[tokio::test]
async fn the_key_can_be_sent_in_a_header() {
    let options = Options { api_key: Some("good".into()), ..Options::default() };
    let client = Client::connect_with(&server::web_socket().await, options.clone()).await.unwrap();
    assert_eq!(client.next_event(SOON).await.unwrap()["params"]["key"], "good");
    let refused = Client::connect_with(&server::tcp().await, options).await;
    assert!(matches!(refused, Err(ConnectError::Header { .. })));
}

#[tokio::test]
async fn what_cannot_be_reached_is_named() {
    for url in ["ws://127.0.0.1:1/ws", "tcp://127.0.0.1:1"] {
        let error = Client::connect(url).await.err().unwrap().to_string();
        assert!(
            error.starts_with(&format!("{url}: cannot connect: ")) && error.contains("refused"),
            "{error}"
        );
    }
    for url in [
        "",
        "localhost:80",
        "http://localhost/",
        "tcp://localhost",
        "tcp://:80",
        "tcp://localhost:x",
        "ws://",
    ] {
        let error = Client::connect(url).await.err().unwrap();
        assert!(matches!(error, ConnectError::Url { .. }), "{url}: {error}");
    }
}

#[tokio::test]
async fn over_tcp_a_welcome_must_come() {
    let options = Options { connect_timeout: AT_ONCE, ..Options::default() };
    let silent = server::tcp_saying(&[]).await;
    let error = Client::connect_with(&silent, options).await.err().unwrap();
    assert_eq!(error.to_string(), format!("{silent}: no answer within 0.001 s"));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let closing = async { drop(listener.accept().await.unwrap()) };
    let (refused, ()) = tokio::join!(Client::connect(&url), closing);
    assert!(matches!(refused, Err(ConnectError::Closed { .. })), "{:?}", refused.err());
}
