//! Both transports under TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;

use super::support::{Gateway, KEY, WITHIN, router};

/// Writes a new certificate for localhost, signed by itself, and its key.
fn write_certificate(directory: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(directory.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(directory.join("tls.crt"), made.cert.pem()).unwrap();
}

fn certificate(directory: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(directory.join("tls.crt")).unwrap()
}

/// Connects, trusting that certificate and no other, and shows it too when asked to.
async fn connect(address: SocketAddr, directory: &Path, show: bool) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(directory)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = if show {
        let key = PrivateKeyDer::from_pem_file(directory.join("tls.key")).unwrap();
        builder.with_client_auth_cert(vec![certificate(directory)], key).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

async fn gateway(router: &i3_router::RunningRouter, directory: &Path, more: &[(&str, &str)]) -> Gateway {
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (path("tls.crt"), path("tls.key"));
    let tls = [("API_TLS_CERTIFICATE_FILE", certificate.as_str()), ("API_TLS_KEY_FILE", key.as_str())];
    Gateway::start("Dawn", router, &[&tls, more].concat()).await
}

#[tokio::test]
async fn both_transports_work_under_tls_and_a_new_certificate_is_shown_soon() {
    let (router, directory) = (router().await, tempfile::tempdir().unwrap());
    write_certificate(directory.path());
    let gateway = gateway(&router, directory.path(), &[]).await;
    let authenticate =
        json!({"jsonrpc": "2.0", "id": 1, "method": "authenticate", "params": {"api_key": KEY}});

    let stream = connect(gateway.address("TCP lines").await, directory.path(), false).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let next = async |lines: &mut tokio::io::Lines<BufReader<TlsStream<TcpStream>>>| -> Value {
        let line = timeout(WITHIN, lines.next_line()).await.unwrap().unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    };
    assert_eq!(next(&mut lines).await["method"], "welcome");
    lines.get_mut().write_all(format!("{authenticate}\n").as_bytes()).await.unwrap();
    assert_eq!(next(&mut lines).await["result"]["status"], "authenticated");

    let address = gateway.address("WebSocket and health").await;
    let stream = connect(address, directory.path(), false).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async("wss://localhost/ws", stream).await.unwrap();
    socket.send(Message::text(authenticate.to_string())).await.unwrap();
    let answer = timeout(WITHIN, socket.next()).await.unwrap().unwrap().unwrap().into_text().unwrap();
    assert!(answer.contains("authenticated"), "{answer}");

    write_certificate(directory.path());
    gateway.logged("the TLS certificate has changed").await;
    connect(address, directory.path(), false).await.unwrap();
    lines.get_mut().write_all(b"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}\n").await.unwrap();
    let mut answer = next(&mut lines).await;
    while answer["id"] != 2 {
        answer = next(&mut lines).await;
    }
    assert_eq!(answer["result"]["pong"], true, "connections that were open stay");
    assert_eq!(gateway.get("metrics", "/health/live").await.0, 200, "probes need no TLS");
}

#[tokio::test]
async fn who_does_not_finish_the_handshake_is_closed() {
    let (router, directory) = (router().await, tempfile::tempdir().unwrap());
    write_certificate(directory.path());
    let gateway = gateway(&router, directory.path(), &[("API_AUTHENTICATION_SECONDS", "1")]).await;
    for what in ["WebSocket and health", "TCP lines"] {
        let mut stream = TcpStream::connect(gateway.address(what).await).await.unwrap();
        // The first bytes of a client hello.
        stream.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
        let mut byte = [0];
        let read = timeout(WITHIN, stream.read(&mut byte)).await.expect("it is closed in time");
        assert!(matches!(read, Ok(0) | Err(_)), "{what}: {read:?}");
    }
}

#[tokio::test]
async fn a_client_without_the_certificate_asked_for_is_refused() {
    let (router, directory) = (router().await, tempfile::tempdir().unwrap());
    write_certificate(directory.path());
    let ca = directory.path().join("tls.crt").to_str().unwrap().to_owned();
    let gateway = gateway(&router, directory.path(), &[("API_TLS_CLIENT_CA_FILE", &ca)]).await;
    let address = gateway.address("TCP lines").await;
    let first_line = async |show: bool| -> std::io::Result<Option<String>> {
        let stream = connect(address, directory.path(), show).await?;
        timeout(WITHIN, BufReader::new(stream).lines().next_line()).await.unwrap()
    };
    assert!(first_line(true).await.unwrap().unwrap().contains("welcome"));
    // In TLS 1.3 the client learns that it was refused with the first thing it reads.
    assert!(first_line(false).await.is_err());
}
