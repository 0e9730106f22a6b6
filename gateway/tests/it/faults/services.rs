//! Fault 20: what is advertised.

use i3_router::Mark;
use serde_json::json;

use super::{dawn, raw};

#[tokio::test]
async fn fault_20_what_is_advertised_is_what_is_answered() {
    let (router, _dawn, client) = dawn().await;
    let startup = raw(&router, Mark::START, "startup-req-3").await;
    let services = client.call("status", json!({})).await.unwrap()["services"].clone();
    for service in ["tell", "emoteto", "channel", "who", "finger", "locate"] {
        assert!(startup.contains(&format!("\"{service}\":1")), "{startup}");
        assert!(services.as_array().unwrap().contains(&json!(service)), "{services}");
    }
    for service in ["mail", "news", "file"] {
        assert!(!startup.contains(&format!("\"{service}\"")), "{startup}");
    }
}
