//! The servers of the chart's NATS among themselves: real ones, with the configuration that the chart renders.

use std::collections::BTreeSet;
use std::fs::{File, create_dir, read_to_string, write};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mudgateway_chart::{objects, template};
use mudgateway_identity::{Authority, Seeds};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

/// How long servers may take to find each other, or to refuse one.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, in a folder of its own. It is killed when dropped.
struct Server {
    child: Child,
    host: String,
    folder: TempDir,
}

impl Server {
    fn start(host: &str, config: &str, authority: &Authority, issuer: &Issuer, trusted: &Issuer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let config = config
            .replace("0.0.0.0", host)
            .replace("/etc/nats-routes-tls", &path("tls"))
            .replace("/data", &path("data"));
        for (name, text) in
            [("nats.conf", &config), ("auth.conf", &authority.server), ("cluster.conf", &authority.cluster)]
        {
            write(path(name), text).unwrap();
        }
        create_dir(path("tls")).unwrap();
        issuer.certify(host, &folder.path().join("tls"));
        write(path("tls/ca.crt"), trusted.pem()).unwrap();
        let child = Command::new("nats-server")
            .args(["--config", &path("nats.conf")])
            .env("POD_NAME", host)
            .stdout(Stdio::null())
            .stderr(File::create(path("log")).unwrap())
            .spawn()
            .expect("nats-server on the PATH");
        Self { child, host: host.to_owned(), folder }
    }

    fn log(&self) -> String {
        read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// The servers it has routes to; none while it does not answer.
    fn peers(&self) -> BTreeSet<String> {
        let ask = || {
            let mut stream = TcpStream::connect((self.host.as_str(), 8222)).ok()?;
            stream.write_all(b"GET /routez HTTP/1.0\r\n\r\n").ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            serde_json::from_str::<Value>(answer.split_once("\r\n\r\n")?.1).ok()
        };
        let answer = ask().unwrap_or_default();
        let routes = answer["routes"].as_array().into_iter().flatten();
        routes.filter_map(|route| route["remote_name"].as_str().map(str::to_owned)).collect()
    }

    fn wait(&self, what: &str, met: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !met(self) {
            assert!(
                Instant::now() < deadline,
                "{}: not {what}; it has {:?}\n{}",
                self.host,
                self.peers(),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One who signs certificates.
struct Issuer(CertifiedIssuer<'static, KeyPair>);

impl Issuer {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn certify(&self, host: &str, folder: &Path) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        write(folder.join("tls.crt"), certificate.pem()).unwrap();
        write(folder.join("tls.key"), key.serialize_pem()).unwrap();
    }
}

/// NATS' configuration, as the chart has it for three servers.
fn configuration(more: &[&str]) -> String {
    let rendered = template(&[&["--set", "nats.replicas=3"], more].concat()).unwrap();
    let objects = objects(&rendered).unwrap();
    let mut found = objects.iter().filter_map(|object| object["data"]["nats.conf"].as_str());
    found.next().unwrap().to_owned()
}

#[test]
fn a_server_without_a_certificate_does_not_join_though_it_knows_the_password() {
    // Addresses of this process alone: the ports are always the same.
    let pid = std::process::id();
    let host = |index: u32| format!("127.{}.{}.{index}", 1 + pid / 250 % 250, pid % 250);
    let names = |hosts: &[u32]| hosts.iter().map(|index| host(*index)).collect::<BTreeSet<_>>();
    let hosts: Vec<_> = (1..=3).map(host).collect();
    let seeds = Seeds::new([1, 2, 3, 4, 5, 6, 7, 8].map(|byte| [byte; 32]));
    let authority = Authority::new(&seeds, 1_750_000_000, &hosts).unwrap();
    let (ours, another) = (Issuer::new(), Issuer::new());
    let with_tls = configuration(&["--set", "nats.tls.routesSecret=nats-routes"]);
    let start = |index, config: &str, issuer| Server::start(&host(index), config, &authority, issuer, &ours);

    let servers: Vec<_> = (1..=3).map(|index| start(index, &with_tls, &ours)).collect();
    for (index, others) in [[2, 3], [1, 3], [1, 2]].iter().enumerate() {
        servers[index].wait("joined", |server| server.peers() == names(others));
    }
    // One speaks no TLS at all, the other has a certificate that somebody else signed.
    for (index, config, issuer, reason) in [
        (4, configuration(&[]), &ours, "first record does not look like a TLS handshake"),
        (5, with_tls.clone(), &another, "certificate signed by unknown authority"),
    ] {
        let stranger = start(index, &config, issuer);
        for server in &servers {
            server.wait("refused for its certificate", |server| server.log().contains(reason));
        }
        assert_eq!(stranger.peers(), BTreeSet::new());
    }
    for (server, others) in servers.iter().zip([[2, 3], [1, 3], [1, 2]]) {
        assert_eq!(server.peers(), names(&others));
    }
    // With a certificate the same server gets in.
    start(4, &with_tls, &ours).wait("joined", |server| server.peers() == names(&[1, 2, 3]));
}
