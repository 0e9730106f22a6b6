//! A real nats-server.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use async_nats::jetstream::{self, kv};
use mudgateway_crds::bus::{REPORT_BUCKET, report_key};
use mudgateway_crds::report::{GatewayReport, SessionReason};
use tempfile::TempDir;

use crate::harness::{Space, eventually, run_ok};

/// A nats-server with JetStream, on loopback. It ends with this value.
pub(crate) struct Nats {
    port: u16,
    store: TempDir,
    child: Child,
}

impl Nats {
    /// Starts a server with an empty store.
    pub(crate) fn start() -> Self {
        Self::start_with(unused_port(), "")
    }

    /// Starts a server at a port, with more in its configuration.
    pub(crate) fn start_with(port: u16, config: &str) -> Self {
        let store = TempDir::new().unwrap();
        std::fs::write(store.path().join("nats.conf"), config).unwrap();
        let child = spawn(port, store.path());
        Self { port, store, child }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again at the same place, with nothing in its store.
    pub(crate) fn revive_empty(&mut self) {
        self.store = TempDir::new().unwrap();
        std::fs::write(self.store.path().join("nats.conf"), "").unwrap();
        self.child = spawn(self.port, self.store.path());
    }

    /// A client of it.
    pub(crate) async fn jetstream(&self) -> jetstream::Context {
        let client = eventually("nats-server", async || async_nats::connect(self.url()).await.ok()).await;
        jetstream::new(client)
    }

    /// The bucket of the reports, once the operator has made it.
    pub(crate) async fn reports(&self) -> kv::Store {
        let jetstream = self.jetstream().await;
        eventually("the bucket of the reports", async || jetstream.get_key_value(REPORT_BUCKET).await.ok())
            .await
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens at.
pub(crate) fn unused_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(port: u16, store: &Path) -> Child {
    let folder = run_ok("tests/cluster/tools/build", &["--path", "nats-server"], b"").stdout;
    let folder = String::from_utf8(folder).unwrap();
    Command::new(Path::new(folder.trim()).join("nats-server"))
        .args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--jetstream", "--store_dir"])
        .arg(store)
        .arg("--config")
        .arg(store.join("nats.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Reports as the gateway of a MudGateway does.
pub(crate) async fn report(bucket: &kv::Store, space: &Space, name: &str, reason: SessionReason) {
    report_by(bucket, space, name, "pod", reason).await;
}

/// The same, as one of several pods.
pub(crate) async fn report_by(
    bucket: &kv::Store,
    space: &Space,
    name: &str,
    pod: &str,
    reason: SessionReason,
) {
    let report = GatewayReport {
        holder: format!("{name}-gateway-{pod}"),
        reason,
        message: format!("the gateway says {}", reason.as_str()),
        router: Some("*demo".to_owned()),
        router_address: None,
        egress: None,
        clients: None,
        connected_since: Some("2026-11-23T07:00:00Z".to_owned()),
    };
    let value = serde_json::to_vec(&report).unwrap();
    bucket.put(report_key(&space.name, name), value.into()).await.unwrap();
}
