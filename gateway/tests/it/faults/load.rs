//! Fault 19: order and bounds under load. What happens to a task that fails is shown in `supervise::tests`: its end is
//! logged and ends the gateway, and a panic that takes a client's task is logged as well.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{dawn, send};
use crate::support::{Gateway, KEY, WITHIN, hear, is};

#[tokio::test]
async fn fault_19_messages_stay_in_order_under_load() {
    let (router, gateway, client) = dawn().await;
    let busy = gateway.client().await;
    let load = tokio::spawn(async move {
        loop {
            busy.call("mudlist", json!({})).await.unwrap();
        }
    });
    let texts: Vec<String> = (0..2000).map(|index| format!("message {index}")).collect();
    for text in &texts {
        send(&router, &format!(r#"({{"channel-m",5,"Dusk","bob",0,0,"imud_gossip","Bob","{text}",}})"#))
            .await;
    }
    hear(&client, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    load.abort();
    assert!(client.wait_event(is("channel_message"), Duration::ZERO).await.is_err(), "none came twice");
}

#[tokio::test]
async fn fault_19_what_waits_for_the_router_is_bounded_and_the_rest_refused() {
    let (router, gateway, client) = dawn().await;
    router.cut("Dawn").await;
    gateway.logged("SessionLost").await;
    let params = json!({"target_mud": "Dusk", "target_user": "bob", "message": "hi"});
    for number in 0..1000 {
        let queued = client.call("tell", params.clone()).await.unwrap();
        assert_eq!(queued["status"], "queued", "{number}");
    }
    let refused = client.call("tell", params).await.unwrap_err();
    assert_eq!(refused.code(), Some(-32004));
    assert!(refused.to_string().contains("too much waits for the router"), "{refused}");
    let metrics = gateway.get("metrics", "/metrics").await.1;
    assert!(metrics.contains("i3_packet_queue_size 1000"), "{metrics}");
}

/// A client that does not read: what waits for it is bounded, it is closed, and others hear everything.
#[tokio::test]
async fn fault_19_a_slow_client_is_closed_and_costs_nobody_else() {
    let (router, limits) = (super::strict().await, [super::BUSY[0], ("API_MAX_QUEUE_BYTES", "65536")]);
    let gateway = Gateway::start("Dawn", &router, &limits).await;
    gateway.logged("SessionEstablished").await;
    let healthy = gateway.listener().await;
    let mut slow = TcpStream::connect(gateway.address("TCP lines").await).await.unwrap();
    let request = |id: &str, method: &str, params: serde_json::Value| {
        format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
    };
    let key = request("1", "authenticate", json!({"api_key": KEY}));
    let join = request("joined", "channel_join", json!({"channel": "imud_gossip"}));
    slow.write_all(format!("{key}{join}").as_bytes()).await.unwrap();
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains("joined") {
        slow.read_buf(&mut said).await.unwrap();
    }
    let long = "x".repeat(20_000);
    for number in 0..400 {
        let text = format!("{number} {long}");
        send(&router, &format!(r#"({{"channel-m",5,"Dusk","bob",0,0,"imud_gossip","Bob","{text}",}})"#))
            .await;
        hear(&healthy, &[&text]).await;
    }
    gateway.logged("slow consumer").await;
    let mut rest = Vec::new();
    let ended = timeout(WITHIN, slow.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "it is closed");
}
