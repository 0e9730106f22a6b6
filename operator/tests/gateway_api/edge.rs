//! Contour and Envoy as a Gateway or for Ingresses, and gateway processes behind them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, Patch, PatchParams};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Space, root, run_ok};

/// The control plane's address in the cluster's own network, where everything here runs.
pub(crate) const ADDRESS: &str = "192.0.2.1";

/// Contour has Envoy listen at ports that need no rights: so much above those of the Gateway's listeners.
const SHIFT: u16 = 8000;

const LISTENERS: [u16; 5] = [80, 443, 7001, 7443, 7444];

/// The one certificate of this test, for muds.example and all below it.
fn certificate() -> &'static (String, String) {
    static MADE: std::sync::OnceLock<(String, String)> = std::sync::OnceLock::new();
    MADE.get_or_init(|| {
        let names = ["*.muds.example".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    })
}

/// A Secret of type kubernetes.io/tls with it.
pub(crate) fn make_certificate(space: &Space, name: &str) {
    let (certificate, key) = certificate();
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": space.name},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate, "tls.key": key},
    });
    run_ok("kubectl", &["apply", "--server-side", "--filename", "-"], secret.to_string().as_bytes());
}

/// Installs the definitions of the Gateway API and of Contour.
pub(crate) fn install_definitions() {
    for (variable, how) in [("GATEWAY_API_DEFINITIONS", "--kustomize"), ("CONTOUR_DEFINITIONS", "--filename")]
    {
        let path = std::env::var(variable)
            .unwrap_or_else(|_| panic!("{variable} is not set: run tests/gateway-api"));
        run_ok("kubectl", &["apply", "--server-side", how, &path], b"");
    }
    let served =
        ["wait", "--for=condition=Established", "customresourcedefinitions", "--all", "--timeout=60s"];
    run_ok("kubectl", &served, b"");
}

/// A running Contour, and its Envoy. They end with this value.
pub(crate) struct Edge {
    folder: TempDir,
    children: Vec<Child>,
}

impl Edge {
    /// Makes the Gateway `edge` and starts what carries it out.
    pub(crate) fn gateway(space: &Space) -> Self {
        make_certificate(space, "edge-cert");
        let gateway = json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "edge", "namespace": space.name},
            "spec": {"gatewayClassName": "contour", "listeners": [
                {"name": "http", "port": 80, "protocol": "HTTP"},
                {"name": "https", "port": 443, "protocol": "HTTPS", "hostname": "*.muds.example",
                 "tls": {"certificateRefs": [{"name": "edge-cert"}]}},
                {"name": "mud", "port": 7001, "protocol": "TCP"},
                {"name": "tls", "port": 7443, "protocol": "TLS", "hostname": "*.muds.example",
                 "tls": {"mode": "Passthrough"}},
                {"name": "ended", "port": 7444, "protocol": "TLS", "hostname": "*.muds.example",
                 "tls": {"mode": "Terminate", "certificateRefs": [{"name": "edge-cert"}]}},
            ]},
        });
        let class = json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "metadata": {"name": "contour"},
            "spec": {"controllerName": "projectcontour.io/gateway-controller"},
        });
        for object in [class, gateway] {
            run_ok("kubectl", &["apply", "--server-side", "--filename", "-"], object.to_string().as_bytes());
        }
        for port in LISTENERS {
            let (from, to) = (port.to_string(), (port + SHIFT).to_string());
            let table = ["-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-d", ADDRESS, "--dport", &from];
            run_ok("iptables", &[&table[..], &["-j", "REDIRECT", "--to-ports", &to]].concat(), b"");
        }
        Self::start(&format!("gateway:\n  gatewayRef:\n    namespace: {}\n    name: edge\n", space.name))
    }

    /// Starts what carries out Ingresses, in the place of a Gateway that has ended: at the ports 80 and 443.
    pub(crate) fn ingresses() -> Self {
        Self::start("")
    }

    fn start(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("contour.yaml"), config).unwrap();
        let kubeconfig = std::env::var("KUBECONFIG").unwrap();
        let xds = ["--xds-address=127.0.0.1", "--xds-port=8001"];
        run_ok(
            "contour",
            &[&["bootstrap", &path("envoy.json")], &xds[..], &["--admin-address", &path("admin.sock")]]
                .concat(),
            b"",
        );
        let contour = [
            "serve",
            "--insecure",
            "--disable-leader-election",
            "--kubeconfig",
            &kubeconfig,
            "--config-path",
            &path("contour.yaml"),
            "--ingress-status-address",
            ADDRESS,
        ];
        let contour = spawn("contour", &[&contour[..], &xds[..]].concat(), &path("contour.log"));
        let envoy = [
            "--config-path",
            &path("envoy.json"),
            "--service-cluster",
            "edge",
            "--service-node",
            "edge",
            "--log-level",
            "warn",
        ];
        let envoy = spawn("envoy", &envoy, &path("envoy.log"));
        Self { folder, children: vec![contour, envoy] }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let kinds = "httproutes,tcproutes,tlsroutes,ingresses";
            let routes = ["get", kinds, "--all-namespaces", "--output", "yaml"];
            eprintln!("{}", String::from_utf8_lossy(&run_ok("kubectl", &routes, b"").stdout));
            for log in ["contour.log", "envoy.log"] {
                let text = fs::read_to_string(self.folder.path().join(log)).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                eprintln!("--- {log}\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
            }
        }
    }
}

fn spawn(program: &str, args: &[&str], log: &str) -> Child {
    let log = fs::File::create(log).unwrap();
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; tests/gateway-api has it on PATH"))
}

/// A gateway process of a MudGateway, as its pod would run it. It ends with this value.
pub(crate) struct Process {
    port: u16,
    folder: TempDir,
    child: Child,
}

impl Process {
    /// Starts one at this port and the next two.
    pub(crate) async fn start(space: &Space, name: &str, port: u16) -> Self {
        let folder = TempDir::new().unwrap();
        let map: ConfigMap = space.api().get(&format!("{name}-gateway")).await.unwrap();
        let here = folder.path().display().to_string();
        let config = map.data.unwrap()["config.yaml"].replace("/etc/mudgateway", &here);
        write(&folder.path().join("config.yaml"), &config);
        write(&folder.path().join("keys/0/token"), &api_key(space, name).await);
        let (certificate, key) = certificate();
        write(&folder.path().join("tls/tls.crt"), certificate);
        write(&folder.path().join("tls/tls.key"), key);
        let program = program();
        let ports = [port, port + 1, port + 2].map(|port| port.to_string());
        let child = Command::new(&program)
            .args(["--config", &format!("{here}/config.yaml"), "--holder", &format!("{name}-{port}")])
            .args(["--ws-port", &ports[0], "--tcp-port", &ports[1], "--metrics-port", &ports[2]])
            .env("NODE_ADDRESS", ADDRESS)
            .env("POD_NAME", format!("{name}-{port}"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; tests/gateway-api builds it", program.display()));
        Self { port, folder, child }
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(self) {}
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            eprintln!("--- gateway at {}\n{log}", self.port);
        }
    }
}

fn program() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("debug/mudgateway")
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The API key that the operator made.
pub(crate) async fn api_key(space: &Space, name: &str) -> String {
    let secret: Secret = space.api().get(&format!("{name}-api-key")).await.unwrap();
    String::from_utf8(secret.data.unwrap()["token"].0.clone()).unwrap()
}

/// Says that the pods of a MudGateway are there, as the controllers that do not run here would.
pub(crate) async fn make_available(space: &Space, name: &str) {
    let name = format!("{name}-gateway");
    let deployment: Deployment = space.wait(&name, "there", |_: &Deployment| true).await;
    let status = json!({"status": {
        "observedGeneration": deployment.metadata.generation.unwrap() + 100,
        "replicas": 1, "readyReplicas": 1, "availableReplicas": 1,
    }});
    let deployments: Api<Deployment> = space.api();
    deployments.patch_status(&name, &Default::default(), &Patch::Merge(status)).await.unwrap();
}

/// Says that a MudGateway's Service leads to these processes, as the controllers that do not run here would.
pub(crate) async fn lead_to(space: &Space, name: &str, processes: &[&Process]) {
    let slices = processes.iter().map(|process| {
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": name,
                "namespace": space.name,
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": true}}],
            "ports": [
                {"name": "websocket", "port": process.port, "protocol": "TCP"},
                {"name": "tcp", "port": process.port + 1, "protocol": "TCP"},
            ],
        })
    });
    for slice in slices {
        let api: Api<k8s_openapi::api::discovery::v1::EndpointSlice> = space.api();
        api.patch(name, &PatchParams::apply("it").force(), &Patch::Apply(slice)).await.unwrap();
    }
}

/// A TLS connection to a port of the Gateway, for a host name; none while that cannot be had.
pub(crate) async fn tls_stream(host: &'static str, port: u16) -> Option<TlsStream<TcpStream>> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate().0.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect((ADDRESS, port)).await.ok()?;
    let name = ServerName::try_from(host).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()
}
