//! How the operator starts, or says why it does not: against an API server that knows nothing.

// Clippy knows tests by their attribute; the helpers beside them are tests too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use clap::Parser;
use kube::Config;
use mudgateway_operator::Error;
use mudgateway_operator::settings::Settings;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longer than a start takes that fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// An API server that answers every request with this.
async fn api_server(code: StatusCode, body: &'static str) -> Config {
    serving(Router::new().fallback(move || async move { (code, body) })).await
}

/// One with these routes, and no others.
async fn serving(routes: Router) -> Config {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, routes).await });
    // The connector is made for TLS, whether it is used or not.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Config::new(format!("http://{address}").parse().unwrap())
}

async fn start(config: Config, listen: SocketAddr) -> Error {
    let listen = listen.to_string();
    let args = ["operator", "--gateway-image=g:1", "--nats-url=nats://127.0.0.1:9", "--http-listen", &listen];
    let run = mudgateway_operator::run(config, Settings::parse_from(args), CancellationToken::new());
    timeout(PATIENCE, run).await.expect("it neither ends nor says why").expect_err("started")
}

fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[tokio::test]
async fn without_the_definition_it_says_how_to_install_it() {
    let client = api_server(StatusCode::NOT_FOUND, "404 page not found\n").await;
    let error = start(client, anywhere()).await;
    assert!(matches!(error, Error::NoDefinition(_)), "{error}");
    assert!(error.to_string().contains("kubectl apply --server-side -f crds/"));
}

#[tokio::test]
async fn without_the_definition_of_networks_it_says_so_too() {
    let none = r#"{"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}"#;
    let gateways = "/apis/intermud.dev/v1alpha1/mudgateways";
    let routes = Router::new().route(gateways, get(move || async move { none }));
    let error = start(serving(routes).await, anywhere()).await;
    assert!(error.to_string().contains("does not know IntermudNetworks"), "{error}");
}

#[tokio::test]
async fn a_file_says_what_is_logged_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (file, kubeconfig) = (folder.path().join("level"), folder.path().join("config"));
    std::fs::write(&file, "warn\n").unwrap();
    // An API server that never answers keeps the operator at its start.
    let silent = std::net::TcpListener::bind(anywhere()).unwrap();
    let server = silent.local_addr().unwrap();
    let config = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}], \
         clusters: [{{name: c, cluster: {{server: 'http://{server}'}}}}], users: [{{name: u, user: {{}}}}]}}"
    );
    std::fs::write(&kubeconfig, config).unwrap();
    let mut operator = tokio::process::Command::new(env!("CARGO_BIN_EXE_mudgateway-operator"))
        .args(["--gateway-image=g:1", "--nats-url=nats://127.0.0.1:9", "--http-listen=127.0.0.1:0"])
        .arg("--log-level-file")
        .arg(&file)
        .env_clear()
        .env("KUBECONFIG", kubeconfig)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(operator.stdout.take().unwrap()).lines();
    for (text, expected) in [
        ("loud", "\"loud\\\" is neither a level"),
        ("info,mudgateway_operator::bus=debug", "\"levels\":\"info,mudgateway_operator::bus=debug\""),
        ("debug", "\"levels\":\"debug\""),
    ] {
        std::fs::write(&file, text).unwrap();
        let said = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains(expected) {
                    return;
                }
            }
            panic!("the operator ended");
        };
        timeout(PATIENCE, said).await.unwrap_or_else(|_| panic!("nothing was said of {text}"));
    }
}

#[tokio::test]
async fn without_rights_it_says_what_it_wanted() {
    let status = r#"{"kind": "Status", "status": "Failure", "message": "nobody may", "reason": "Forbidden", "code": 403}"#;
    let client = api_server(StatusCode::FORBIDDEN, status).await;
    let error = start(client, anywhere()).await;
    assert!(error.to_string().starts_with("listing MudGateways: "), "{error}");
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let taken = TcpListener::bind(anywhere()).await.unwrap();
    let client = api_server(StatusCode::NOT_FOUND, "").await;
    let error = start(client, taken.local_addr().unwrap()).await;
    assert!(
        error.to_string().starts_with(&format!("listening on {}", taken.local_addr().unwrap())),
        "{error}"
    );
}
