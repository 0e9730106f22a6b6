//! A real nats-server.

use std::net::TcpListener;
use std::path::Path;

use async_nats::jetstream::{self, kv};
use mudgateway_crds::bus::{REPORT_BUCKET, report_key};
use mudgateway_crds::report::{GatewayReport, SessionReason};
use testnats::{NatsServer, Options};

use crate::harness::{Space, eventually, run_ok};

/// A nats-server, on loopback. It ends with this value.
pub(crate) struct Nats(NatsServer);

impl Nats {
    /// Starts a server with an empty store.
    pub(crate) async fn start() -> Self {
        Self::start_with(None, "").await
    }

    /// Starts a server, at a port if one is given, with more in its configuration.
    pub(crate) async fn start_with(port: Option<u16>, config: &str) -> Self {
        let folder = run_ok("tests/cluster/tools/build", &["--path", "nats-server"], b"").stdout;
        let program = Path::new(String::from_utf8(folder).unwrap().trim()).join("nats-server");
        let options = Options { port, config: config.to_owned(), ..Options::default() };
        Self(NatsServer::start(program, options).await.unwrap_or_else(|error| panic!("{error}")))
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    /// Kills it.
    pub(crate) async fn kill(&mut self) {
        self.0.kill().await.unwrap();
    }

    /// Starts it again at the same place, with nothing in its store.
    pub(crate) async fn revive_empty(&mut self) {
        *self = Self::start_with(Some(self.0.address().port()), "").await;
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

/// A port that nobody listens at.
pub(crate) fn unused_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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
