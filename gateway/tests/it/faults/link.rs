//! Faults 10 to 12: the link to the router.

use i3_router::{Config, Mark, Router};
use serde_json::json;

use super::{dawn, raw, tell};
use crate::support::{Gateway, WITHIN, is, registered_since};

#[tokio::test]
async fn fault_10_nobody_is_ready_before_the_router_has_answered() {
    let router = Router::start(Config::strict()).await.unwrap();
    router.cut("Dawn").await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    let client = gateway.listener().await;
    assert_eq!(gateway.get("metrics", "/health/ready").await.0, 503);
    assert_eq!(client.call("status", json!({})).await.unwrap()["connected"], false);
    assert_eq!(tell(&client, "early").await["status"], "queued");
    let (_, health) = gateway.get("metrics", "/health").await;
    assert!(health.contains("degraded"), "{health}");
}

#[tokio::test]
async fn fault_11_the_link_comes_back_each_time() {
    let (router, _dawn, client) = dawn().await;
    for _ in 0..3 {
        let mark = router.mark();
        router.restart().await;
        registered_since(&router, mark, "Dawn").await;
        client.wait_event(is("gateway_reconnected"), WITHIN).await.unwrap();
    }
}

#[tokio::test]
async fn fault_12_a_fallback_router_is_called_by_its_own_name() {
    let primary = Router::start(Config::strict()).await.unwrap();
    let second = Router::start(Config { name: "*second".to_owned(), ..Config::strict() }).await.unwrap();
    primary.clone().stop().await;
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.yaml");
    let port = second.addr().port();
    let fallback = format!("router: {{fallback: [{{name: '*second', host: 127.0.0.1, port: {port}}}]}}");
    std::fs::write(&config, format!("{fallback}\napi: {{auth: {{api_keys: [{{key: any}}]}}}}")).unwrap();
    let gateway = Gateway::start_with("Dawn", &primary, &["--config", config.to_str().unwrap()]).await;
    raw(&second, Mark::START, r#"({"startup-req-3",5,"Dawn",0,"*second",0,"#).await;
    gateway.logged("SessionEstablished").await;
}
