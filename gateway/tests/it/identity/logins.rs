//! The ways to log in: by TLS, by a password or a token, and the servers of a cluster among themselves.

use std::time::Duration;

use async_nats::jetstream;
use mudgateway_crds::bus::{STATE_BUCKET, bucket_stream, bucket_subject, state_key};
use mudgateway_identity::{Authority, Credentials, Login, LoginFiles, Subject, Validity, issue};
use mudgateway_layout::Layout;

use super::super::bus::on_bus;
use super::super::support::{Gateway, LAYOUT, Nats, router};
use super::intruder::Intruder;
use super::{issuer, metrics, now, seeds};

#[tokio::test]
async fn tls_to_nats_by_a_ca_and_with_a_certificate_of_our_own() {
    let router = router().await;
    let files = tempfile::tempdir().unwrap();
    let path = |name: &str| files.path().join(name).display().to_string();
    for name in ["ca", "stranger"] {
        let params = ca_params();
        let key = rcgen::KeyPair::generate().unwrap();
        let ca = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
        std::fs::write(path(&format!("{name}.crt")), ca.pem()).unwrap();
        if name == "ca" {
            for (leaf, host) in [("server", "127.0.0.1"), ("client", "gateway")] {
                let key = rcgen::KeyPair::generate().unwrap();
                let params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
                let certificate = params.signed_by(&key, &ca).unwrap();
                std::fs::write(path(&format!("{leaf}.crt")), certificate.pem()).unwrap();
                std::fs::write(path(&format!("{leaf}.key")), key.serialize_pem()).unwrap();
            }
        }
    }
    let config = format!(
        "tls {{cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true}}\n",
        path("server.crt"),
        path("server.key"),
        path("ca.crt")
    );
    let admin = Login::new(LoginFiles {
        ca: Some(path("ca.crt").into()),
        certificate: Some(path("client.crt").into()),
        key: Some(path("client.key").into()),
        ..LoginFiles::default()
    });
    let nats = Nats::start_with(&config, admin).await;
    let url = nats.url().replace("nats://", "tls://");
    let (certificate, key) = (path("client.crt"), path("client.key"));
    let own = [
        ("NATS_URL", url.as_str()),
        ("NATS_CERTIFICATE_FILE", certificate.as_str()),
        ("NATS_KEY_FILE", key.as_str()),
    ];
    let by = async |mud: &str, ca: &str| {
        let ca = path(ca);
        let environment = [&own[..], &[("NATS_CA_FILE", ca.as_str())]].concat();
        Gateway::start(mud, &router, &environment).await
    };
    let dawn = by("Dawn", "ca.crt").await;
    dawn.logged("SessionEstablished").await;
    assert!(metrics(&dawn).await.contains("bus_connected 1"));

    for (mud, ca, reason) in
        [("Dusk", "stranger.crt", "CertificateUntrusted"), ("Noon", "missing.crt", "TlsFilesUnusable")]
    {
        let refused = by(mud, ca).await;
        refused.logged(&format!("\"reason\":\"{reason}\"")).await;
        let metrics = metrics(&refused).await;
        assert!(!metrics.contains(&format!("bus_troubles_total{{reason=\"{reason}\"}} 0")), "{metrics}");
    }
}

fn ca_params() -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params
}

#[tokio::test]
async fn a_password_or_a_token_in_a_file_will_do() {
    let router = router().await;
    let files = tempfile::tempdir().unwrap();
    for (config, mine) in [
        ("authorization {user: ann, password: hunter2}\n", "ann:hunter2"),
        ("authorization {token: hunter2}\n", "hunter2"),
    ] {
        let admin = Login::default().with_credentials(Credentials::parse(mine).unwrap());
        let nats = Nats::start_with(config, admin).await;
        let file = files.path().join("login").display().to_string();
        std::fs::write(&file, mine).unwrap();
        let mud = if mine.contains(':') { "Dawn" } else { "Dusk" };
        let gateway = on_bus(mud, &router, &nats, &[("NATS_CREDENTIALS_FILE", &file)]).await;
        assert!(metrics(&gateway).await.contains("bus_connected 1"));
        assert!(!gateway.whole_log().contains("hunter2"));
    }
}

#[tokio::test]
async fn servers_of_a_cluster_know_each_other_by_the_same_authority() {
    // Addresses of this process alone: the port of a cluster is always the same.
    let pid = std::process::id();
    let host = |index: u32| format!("127.{}.{}.{index}", 1 + pid / 250 % 250, pid % 250);
    let hosts: Vec<String> = (1..=3).map(host).collect();
    let authority = Authority::new(&seeds(), now(), &hosts).unwrap();
    let admin =
        Login::default().with_credentials(Credentials::parse(&authority.operator_credentials).unwrap());
    let config = |host: &str, routes: &str| {
        let cluster = format!("cluster {{name: it, listen: \"{host}:6222\"\n{routes}}}\n");
        format!("server_name: \"{host}\"\nmax_control_line: 64KB\n{}{cluster}", authority.server)
    };
    let mut servers = Vec::new();
    for host in &hosts {
        servers.push(Nats::bare(&config(host, &authority.cluster), admin.clone()).await);
    }
    // Nobody else joins.
    let stranger = authority.cluster.replace("0707", "0808");
    let stranger_host = host(4);
    let stranger = Nats::bare(&config(&stranger_host, &stranger), admin.clone()).await;
    let context = servers[0].context().await;
    let config = jetstream::stream::Config { name: "x".to_owned(), num_replicas: 3, ..Default::default() };
    let made = async {
        loop {
            if let Ok(stream) = context.create_stream(config.clone()).await {
                return stream;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let mut stream = tokio::time::timeout(Duration::from_secs(30), made).await.expect("three servers agree");
    let cluster = stream.info().await.unwrap().cluster.clone().unwrap();
    let mut peers: Vec<_> =
        cluster.replicas.iter().map(|peer| peer.name.clone()).chain(cluster.leader).collect();
    peers.sort();
    assert_eq!(peers, hosts);
    drop(stranger);

    // Whichever server a gateway is at: it reaches its own keys, and no answer goes to those of others.
    let (state, other) = (state_key("*test", "Dawn", "password"), state_key("*test", "Dusk", "password"));
    let (state, other) = (bucket_subject(STATE_BUCKET, &state), bucket_subject(STATE_BUCKET, &other));
    Layout { replicas: 3, ..LAYOUT }.ensure(&context).await.unwrap();
    context.publish(other.clone(), "1234".into()).await.unwrap().await.unwrap();
    let get = |subject: &str| format!("$JS.API.DIRECT.GET.{}.{subject}", bucket_stream(STATE_BUCKET));
    for server in &servers {
        let login = Login::default().with_credentials(Credentials::parse(&identity(&authority)).unwrap());
        let gateway = Intruder::connect(login.options(), "Dawn", &server.url()).await.client;
        for request in [state.clone(), get(&state)] {
            gateway.publish_with_reply(request, other.clone(), "666".into()).await.unwrap();
        }
        let stored = gateway.request(state.clone(), "1".into()).await.unwrap();
        assert!(String::from_utf8_lossy(&stored.payload).contains("\"seq\""), "{stored:?}");
        assert!(gateway.request(get(&state), "".into()).await.unwrap().headers.is_some());
    }
    let found = context.get_stream(bucket_stream(STATE_BUCKET)).await.unwrap();
    let found = found.get_last_raw_message_by_subject(&other).await.unwrap();
    assert_eq!(found.payload, "1234");
}

fn identity(authority: &Authority) -> String {
    let subject = Subject { network: "*test", mud: "Dawn", namespace: "tenant", name: "dawn" };
    issue(&issuer(authority), &subject, Validity { now: now(), lasts: 3600 }, [9; 32]).unwrap()
}
