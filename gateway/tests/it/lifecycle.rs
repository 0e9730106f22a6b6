//! Start and end.

use std::process::Stdio;
use std::time::Duration;

use i3_router::Mark;
use mudclient::Client;
use serde_json::json;
use tokio::process::Command;

use super::support::{Gateway, KEY, received, router};

#[tokio::test]
async fn sigterm_sends_what_waits_tells_the_router_and_clients_and_ends_with_success() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    gateway.logged("SessionEstablished").await;
    let client = gateway.client().await;
    let lines = Client::connect(&gateway.tcp().await).await.unwrap();
    lines.authenticate(KEY).await.unwrap();
    // More than the pace allows at once, so some of it still waits at the end.
    for index in 0..12 {
        let params = json!({"target_mud": "Dawn", "target_user": "x", "message": format!("tell {index}.")});
        client.call("tell", params).await.unwrap();
    }
    gateway.terminate().await;
    received(&router, Mark::START, "tell 11.").await;
    received(&router, Mark::START, "shutdown").await;
    let closed = client.closed(Duration::from_secs(5)).await.unwrap().to_string();
    assert!(closed.contains("1001"), "{closed}");
    lines.closed(Duration::from_secs(5)).await.unwrap();
    let (status, _) = gateway.ended().await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_second_gateway_on_the_same_port_says_so() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    let port = gateway.address("TCP lines").await.port().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_mudgateway"))
        .env_clear()
        .envs([("MUD_NAME", "Dusk"), ("I3_ROUTER_NAME", "*test"), ("I3_ROUTER_HOST", "127.0.0.1")])
        .envs([("I3_GATEWAY_SECRET", KEY), ("API_WS_PORT", "0"), ("API_WS_HOST", "127.0.0.1")])
        .env("API_TCP_PORT", &port)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(&format!("cannot listen on 127.0.0.1:{port} for TCP lines")), "{text}");
}

#[tokio::test]
async fn a_wrong_configuration_ends_it_with_all_that_is_wrong() {
    let output = Command::new(env!("CARGO_BIN_EXE_mudgateway"))
        .args(["--ws-port", "many", "--dry-run"])
        .env_clear()
        .env("MUD_PORT", "-1")
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    for expected in
        ["mud.name: is required", "mud.port: \"-1\"", "api.port: \"many\" (flag --ws-port)", "no API key"]
    {
        assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
    }
}

#[tokio::test]
async fn a_file_of_variables_fills_in_what_the_environment_lacks() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let variables = format!("MUD=FromFile\nPORT=many\nKEY={KEY}\nI3_ROUTER_NAME='*test' # a comment\n");
    std::fs::write(path(".env"), variables).unwrap();
    let config = "mud: {name: '${MUD}', port: '${PORT}', services: {tell: 1}}\n\
                  router: {primary: {host: '${HOST:127.0.0.1}'}}\ngateway: {auth: {secret: '${KEY}'}}\n";
    std::fs::write(path("config.yaml"), config).unwrap();
    let check = async |port: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mudgateway"));
        command.args(["--dry-run", "-c"]).arg(path("config.yaml")).arg("-e").arg(path(".env"));
        let output = command.env_clear().env("PORT", port).output().await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let (valid, text) = check("4000").await;
    assert!(valid && text.contains("mud.services.tell changes nothing: the gateway announces"), "{text}");
    let (valid, text) = check("").await;
    assert!(!valid && text.contains("mud.port: \"many\" (file) is not a port"), "{text}");
    assert!(!text.contains(KEY), "{text}");
}

#[tokio::test]
async fn metrics_and_health_are_served() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    gateway.logged("SessionEstablished").await;
    let _client = gateway.client().await;
    let (status, metrics) = gateway.get("metrics", "/metrics").await;
    assert_eq!(status, 200);
    for expected in [
        "i3_router_connected 1",
        "i3_packets_total{direction=\"in\",type=\"startup-reply\"} 1",
        "api_sessions{transport=\"websocket\"} 1",
        "api_requests_total{method=\"authenticate\",outcome=\"ok\"} 1",
        "# EOF",
    ] {
        assert!(metrics.contains(expected), "{expected:?} is missing in:\n{metrics}");
    }
    let (_, health) = gateway.get("WebSocket and health", "/health").await;
    let health: serde_json::Value = serde_json::from_str(&health).unwrap();
    assert_eq!(health["service"], "i3-gateway-api");
    assert_eq!((&health["websocket_connections"], &health["active_sessions"]), (&json!(1), &json!(1)));
    assert_eq!(
        gateway.get("WebSocket and health", "/metrics").await.0,
        404,
        "only where nobody else reaches it"
    );
}
