//! Gateways that log in to a real nats-server with an identity of their own: what they may do, and what they may not.

mod answers;
mod intruder;
mod logins;
mod permissions;
mod renewal;
mod work;

use std::time::{SystemTime, UNIX_EPOCH};

use i3_router::RunningRouter;
use mudgateway_identity::{
    Authority, Credentials, Issuer, Login, Seeds, Subject, Validity, issue, signing_key,
};
use tempfile::TempDir;

use super::bus::on_bus;
use super::support::{Gateway, Nats};

/// The keys of the servers that the tests start.
fn seeds() -> Seeds {
    Seeds::new([1, 2, 3, 4, 5, 6, 7, 8].map(|byte| [byte; 32]))
}

/// A nats-server that lets in whom it knows.
struct Secured {
    nats: Nats,
    issuer: Issuer,
    files: TempDir,
}

impl Secured {
    async fn start() -> Self {
        let authority = Authority::new(&seeds(), now(), &[]).unwrap();
        let admin = Credentials::parse(&authority.operator_credentials).unwrap();
        let issuer = issuer(&authority);
        let config = format!("max_control_line: 64KB\n{}", authority.server);
        let nats = Nats::start_with(&config, Login::default().with_credentials(admin)).await;
        Self { nats, issuer, files: tempfile::tempdir().unwrap() }
    }

    /// An identity for a mud of the network, good for some seconds.
    fn identity(&self, mud: &str, seconds: i64, number: u8) -> String {
        let subject = Subject { network: "*test", mud, namespace: "tenant", name: &mud.to_lowercase() };
        issue(&self.issuer, &subject, Validity { now: now(), lasts: seconds }, [number; 32]).unwrap()
    }

    /// The file with a mud's identity.
    fn file(&self, mud: &str) -> String {
        self.files.path().join(mud).display().to_string()
    }

    /// A gateway with an identity for an hour.
    async fn gateway(&self, mud: &str, router: &RunningRouter) -> Gateway {
        std::fs::write(self.file(mud), self.identity(mud, 3600, mud.len() as u8)).unwrap();
        self.gateway_by_file(mud, router).await
    }

    async fn gateway_by_file(&self, mud: &str, router: &RunningRouter) -> Gateway {
        let (file, name) = (self.file(mud), mud.to_lowercase());
        let environment = [
            ("NATS_CREDENTIALS_FILE", file.as_str()),
            ("MUDGATEWAY_NAMESPACE", "tenant"),
            ("MUDGATEWAY_NAME", &name),
        ];
        on_bus(mud, router, &self.nats, &environment).await
    }
}

/// Who signs what the server of an authority lets in.
fn issuer(authority: &Authority) -> Issuer {
    let (seed, account) = signing_key(&authority.signing_key);
    Issuer::new(seed, account.unwrap()).unwrap()
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

async fn metrics(gateway: &Gateway) -> String {
    gateway.get("metrics", "/metrics").await.1
}

async fn never_refused(gateway: &Gateway) {
    let metrics = metrics(gateway).await;
    assert!(
        metrics.contains("bus_troubles_total{reason=\"PermissionViolation\"} 0"),
        "{}",
        gateway.whole_log()
    );
}
