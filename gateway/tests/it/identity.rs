//! Gateways that log in to a real nats-server with an identity of their own: what they may do, and what they may not.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::jetstream;
use async_nats::{Client, Event, ServerError};
use i3_router::RunningRouter;
use mudgateway_crds::bus::{
    CHANNEL_STREAM, LOCK_BUCKET, REPORT_BUCKET, STATE_BUCKET, bucket_stream, bucket_subject, channel_filter,
    channel_subject, direct_filter, direct_subject, everyone_subject, inbox_prefix, links_subject, lock_key,
    report_key, state_key,
};
use mudgateway_identity::{
    Authority, Credentials, Issuer, Login, LoginFiles, Seeds, Subject, Validity, issue,
};
use serde_json::json;
use tempfile::TempDir;

use super::bus::on_bus;
use super::support::{Gateway, Nats, WITHIN, hear, is, received, registered_since, router, say};

/// The keys of the servers that the tests start.
fn seeds() -> Seeds {
    Seeds {
        operator: [1; 32],
        account: [2; 32],
        signing: [3; 32],
        user: [4; 32],
        system: [5; 32],
        system_user: [6; 32],
        route: [7; 32],
    }
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
        let issuer = Issuer::new(&authority.signing_seed, &admin.account().unwrap()).unwrap();
        let config = format!("max_control_line: 64KB\n{}", authority.server);
        let nats = Nats::start_with(&config, Login::default().with_credentials(admin)).await;
        Self { nats, issuer, files: tempfile::tempdir().unwrap() }
    }

    /// A signing key that the server does not know.
    fn sign_as(seed: [u8; 32]) -> Issuer {
        let zeros = [0; 32];
        let seeds = Seeds {
            operator: zeros,
            account: zeros,
            signing: seed,
            user: zeros,
            system: zeros,
            system_user: zeros,
            route: zeros,
        };
        let authority = Authority::new(&seeds, now(), &[]).unwrap();
        let account = Credentials::parse(&authority.operator_credentials).unwrap().account().unwrap();
        Issuer::new(&authority.signing_seed, &account).unwrap()
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

    /// Somebody with the identity of a mud and a client of its own.
    async fn intruder(&self, mud: &str) -> Intruder {
        let refusals = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&refusals);
        let credentials = Credentials::parse(&self.identity(mud, 3600, 9)).unwrap();
        let client = Login::default()
            .with_credentials(credentials)
            .options()
            .custom_inbox_prefix(inbox_prefix("*test", mud))
            .event_callback(move |event| {
                if let Event::ServerError(ServerError::Other(error)) = event {
                    noted.lock().unwrap().push(error);
                }
                std::future::ready(())
            })
            .connect(self.nats.url())
            .await
            .unwrap();
        Intruder { client, refusals }
    }
}

struct Intruder {
    client: Client,
    refusals: Arc<Mutex<Vec<String>>>,
}

impl Intruder {
    /// The server says that this was refused.
    async fn is_refused(&self, what: &str, subject: &str) {
        let wanted = format!("permissions violation for {what} to \"{}\"", subject.to_lowercase());
        let refused = async {
            loop {
                self.client.flush().await.unwrap();
                if self.refusals.lock().unwrap().iter().any(|text| text.to_lowercase().contains(&wanted)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let refused = tokio::time::timeout(WITHIN, refused).await;
        assert!(refused.is_ok(), "{what} {subject} was not refused: {:?}", self.refusals.lock().unwrap());
    }

    async fn cannot_publish(&self, subject: &str) {
        self.client.publish(subject.to_owned(), "x".into()).await.unwrap();
        self.is_refused("publish", subject).await;
    }

    async fn cannot_subscribe(&self, subject: &str) {
        let _subscription = self.client.subscribe(subject.to_owned()).await.unwrap();
        self.is_refused("subscription", subject).await;
    }
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

#[tokio::test]
async fn a_gateway_does_all_its_work_with_its_own_identity() {
    let (router, secured) = (router().await, Secured::start().await);
    let (dawn, dusk) = (secured.gateway("Dawn", &router).await, secured.gateway("Dusk", &router).await);
    let (ann, bob) = (dawn.listener().await, dusk.listener().await);
    say(&ann, &["hi", "there"]).await;
    hear(&bob, &["hi", "there"]).await;
    hear(&ann, &["hi", "there"]).await;

    // The state is kept, and the operator is told.
    let context = secured.nats.context().await;
    let state = context.get_key_value(STATE_BUCKET).await.unwrap();
    assert!(state.get(state_key("*test", "Dawn", "password")).await.unwrap().is_some());
    let reports = context.get_key_value(REPORT_BUCKET).await.unwrap();
    assert!(reports.get(report_key("tenant", "dawn")).await.unwrap().is_some());

    // What goes by the bus alone.
    router.cut("Dusk").await;
    dusk.logged("SessionLost").await;
    say(&ann, &["by the bus"]).await;
    hear(&bob, &["by the bus"]).await;
    dawn.logged("\"mud\":\"Dusk\",\"connected\":false").await;
    let tell = json!({"target_mud": "Dusk", "target_user": "bob", "message": "pst", "from_user": "ann"});
    assert_eq!(ann.call("tell", tell).await.unwrap()["status"], "sent");
    bob.wait_event(is("tell_received"), WITHIN).await.unwrap();
    let users = json!({"users": [{"name": "bob"}]});
    bob.call("presence_sync", users).await.unwrap();
    let found =
        ann.call("locate", json!({"target_user": "bob", "from_user": "ann", "timeout": 1})).await.unwrap();
    assert_eq!(found["locations"][0]["mud"], "Dusk", "{found}");

    // The lock: another process of the mud takes over when the first one goes.
    let mark = router.mark();
    let second = Gateway::start(
        "Dawn",
        &router,
        &[("NATS_URL", &secured.nats.url()), ("NATS_CREDENTIALS_FILE", &secured.file("Dawn"))],
    )
    .await;
    second.logged("\"reason\":\"Standby\"").await;
    never_refused(&dawn).await;
    dawn.terminate().await;
    registered_since(&router, mark, "Dawn").await;
    second.logged("SessionEstablished").await;
    for gateway in [&second, &dusk] {
        never_refused(gateway).await;
    }
}

#[tokio::test]
async fn a_mud_may_neither_speak_for_another_nor_read_what_is_anothers() {
    let (_router, secured) = (router().await, Secured::start().await);
    let intruder = secured.intruder("Dawn").await;
    let of_dusk = |field: &str| bucket_subject(STATE_BUCKET, &state_key("*test", "Dusk", field));
    let own = bucket_subject(STATE_BUCKET, &state_key("*test", "Dawn", "password"));
    let lock = bucket_subject(LOCK_BUCKET, &lock_key("*test", "Dusk"));
    let (states, locks) = (bucket_stream(STATE_BUCKET), bucket_stream(LOCK_BUCKET));
    for subject in [
        direct_subject("*test", "Noon", "Dusk"),
        direct_subject("*other", "Noon", "Dawn"),
        everyone_subject("*test", "Dusk"),
        links_subject("*test", "Dusk"),
        channel_subject("*test", "c", "Dusk"),
        channel_subject("*other", "c", "Dawn"),
        "i3.v1.=2Atest.own.Dusk.log".to_owned(),
        "i3.v1.=2Atest.relay.c.Dusk".to_owned(),
        "i3.v1.=2Atest.permit.Dusk".to_owned(),
        format!("{}.x", inbox_prefix("*test", "Dusk")),
        "_INBOX.x".to_owned(),
        of_dusk("password"),
        bucket_subject(STATE_BUCKET, &state_key("*test", "Dawn", "anything")),
        lock.clone(),
        bucket_subject(REPORT_BUCKET, &report_key("tenant", "dusk")),
        format!("$JS.API.DIRECT.GET.{states}.{}", of_dusk("password")),
        // By number, or by a subject in the request.
        format!("$JS.API.DIRECT.GET.{states}"),
        format!("$JS.API.STREAM.MSG.GET.{states}"),
        format!("$JS.API.STREAM.MSG.GET.{CHANNEL_STREAM}"),
        format!("$JS.API.DIRECT.GET.{locks}.{lock}"),
        format!("$JS.API.CONSUMER.CREATE.{locks}.x.{lock}"),
        format!("$JS.API.CONSUMER.CREATE.{locks}"),
        format!("$JS.API.CONSUMER.CREATE.{locks}.x"),
        format!("$JS.API.CONSUMER.CREATE.{states}.x.{own}"),
        format!("$JS.API.CONSUMER.DURABLE.CREATE.{locks}.x"),
        format!("$JS.API.CONSUMER.CREATE.{CHANNEL_STREAM}.x.{}", channel_filter("*other")),
        format!("$JS.API.CONSUMER.CREATE.{CHANNEL_STREAM}.x"),
        format!("$JS.API.CONSUMER.MSG.NEXT.{states}.x"),
        format!("$JS.API.CONSUMER.MSG.NEXT.{locks}.x"),
        format!("$JS.API.CONSUMER.DELETE.{CHANNEL_STREAM}.x"),
        format!("$JS.API.CONSUMER.NAMES.{states}"),
        format!("$JS.API.STREAM.INFO.{states}"),
        "$JS.API.STREAM.CREATE.x".to_owned(),
        format!("$JS.API.STREAM.UPDATE.{states}"),
        format!("$JS.API.STREAM.DELETE.{states}"),
        format!("$JS.API.STREAM.PURGE.{states}"),
        format!("$JS.API.STREAM.MSG.DELETE.{states}"),
        format!("$JS.API.STREAM.SNAPSHOT.{states}"),
        "$JS.API.STREAM.NAMES".to_owned(),
        "$JS.API.INFO".to_owned(),
        "$SYS.REQ.SERVER.PING".to_owned(),
    ] {
        intruder.cannot_publish(&subject).await;
    }
    for subject in [
        ">".to_owned(),
        direct_filter("*test", "Dusk"),
        "i3.v1.=2Atest.direct.*.*".to_owned(),
        "i3.v1.=2Atest.own.Dusk.>".to_owned(),
        "i3.v1.=2Atest.permit.*".to_owned(),
        "i3.v1.*.links.*".to_owned(),
        channel_filter("*test"),
        format!("{}.>", inbox_prefix("*test", "Dusk")),
        "_INBOX.>".to_owned(),
        of_dusk("password"),
        "$KV.>".to_owned(),
        "$JS.API.>".to_owned(),
        "$JS.EVENT.>".to_owned(),
    ] {
        intruder.cannot_subscribe(&subject).await;
    }
}

#[tokio::test]
async fn what_a_consumer_reads_is_what_its_subject_says() {
    let secured = Secured::start().await;
    let intruder = secured.intruder("Dawn").await;
    let context = jetstream::new(intruder.client.clone());
    let own = bucket_subject(LOCK_BUCKET, &lock_key("*test", "Dawn"));
    let other = bucket_subject(LOCK_BUCKET, &lock_key("*test", "Dusk"));
    let subject = format!("CONSUMER.CREATE.{}.x.{own}", bucket_stream(LOCK_BUCKET));
    for filter in [
        json!({"filter_subject": other}),
        json!({"filter_subjects": [other]}),
        json!({"filter_subjects": [own, other]}),
        json!({}),
    ] {
        let mut config = json!({"name": "x", "deliver_subject": intruder.client.new_inbox(), "ack_policy": "none",
            "deliver_policy": "all"});
        config.as_object_mut().unwrap().extend(filter.as_object().unwrap().clone());
        let request = json!({"stream_name": bucket_stream(LOCK_BUCKET), "config": config});
        let answer: serde_json::Value = context.request(subject.clone(), &request).await.unwrap();
        assert!(answer["error"]["code"].is_number(), "{filter}: {answer}");
    }
    assert!(intruder.refusals.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nobody_sweeps_the_keys_of_others_away_with_his_own() {
    let secured = Secured::start().await;
    let state = secured.nats.context().await.get_key_value(STATE_BUCKET).await.unwrap();
    let key = state_key("*test", "Dusk", "password");
    state.put(&key, "1".into()).await.unwrap();
    let intruder = secured.intruder("Dawn").await;
    let own = bucket_subject(STATE_BUCKET, &state_key("*test", "Dawn", "password"));
    for rollup in ["all", "sub"] {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Rollup", rollup);
        let request = async_nats::Request::new().headers(headers).payload("x".into());
        let answer = intruder.client.send_request(own.clone(), request).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        assert!(answer["error"]["code"].is_number(), "{answer}");
    }
    assert_eq!(state.get(&key).await.unwrap().as_deref(), Some(&b"1"[..]));
}

#[tokio::test]
async fn new_credentials_take_effect_and_neither_router_nor_client_notices() {
    let (router, secured) = (router().await, Secured::start().await);
    // These end while the test runs.
    std::fs::write(secured.file("Dawn"), secured.identity("Dawn", 12, 1)).unwrap();
    let dawn = secured.gateway_by_file("Dawn", &router).await;
    let dusk = secured.gateway("Dusk", &router).await;
    let (ann, bob) = (dawn.listener().await, dusk.listener().await);
    let expiry = |metrics: &str| -> i64 {
        let line =
            metrics.lines().find_map(|line| line.strip_prefix("bus_credentials_expiry_timestamp_seconds "));
        line.unwrap().trim().parse::<f64>().unwrap() as i64
    };
    let ends = expiry(&metrics(&dawn).await);
    assert!((now()..=now() + 12).contains(&ends), "{ends}");

    let mark = router.mark();
    replace(Path::new(&secured.file("Dawn")), &secured.identity("Dawn", 3600, 2));
    dawn.logged("the files for NATS have changed").await;
    let wait = Duration::from_secs(u64::try_from(ends - now() + 2).unwrap_or(0));
    // Until the old ones have ended for certain.
    tokio::time::sleep(wait).await;
    say(&ann, &["with the new ones"]).await;
    hear(&bob, &["with the new ones"]).await;
    received(&router, mark, "with the new ones").await;
    assert!(expiry(&metrics(&dawn).await) > now() + 3000);
    let registered_again = |event: &i3_router::Event| event.registered() == Some("Dawn");
    assert!(router.wait_for(mark, registered_again, Duration::from_millis(200)).await.is_none());
    assert_eq!(ann.call("status", json!({})).await.unwrap()["connected"], true);
    let metrics = metrics(&dawn).await;
    assert!(
        metrics.contains("reason=\"CredentialsExpired\"} 0") && metrics.contains("bus_connected 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn credentials_that_ended_are_told_and_new_ones_bring_the_bus_back() {
    let (router, secured) = (router().await, Secured::start().await);
    std::fs::write(secured.file("Dawn"), secured.identity("Dawn", 8, 1)).unwrap();
    let dawn = secured.gateway_by_file("Dawn", &router).await;
    let client = dawn.listener().await;
    dawn.logged("\"reason\":\"CredentialsExpired\"").await;
    assert_eq!(client.call("status", json!({})).await.unwrap()["connected"], true, "the session is kept");
    let told = metrics(&dawn).await;
    assert!(!told.contains("bus_troubles_total{reason=\"CredentialsExpired\"} 0"), "{told}");
    replace(Path::new(&secured.file("Dawn")), "no credentials at all");
    dawn.logged("\"reason\":\"CredentialsUnreadable\"").await;
    let foreign = Secured::sign_as([8; 32]);
    let subject = Subject { network: "*test", mud: "Dawn", namespace: "tenant", name: "dawn" };
    let foreign = issue(&foreign, &subject, Validity { now: now(), lasts: 3600 }, [2; 32]).unwrap();
    replace(Path::new(&secured.file("Dawn")), &foreign);
    dawn.logged("\"reason\":\"AuthorizationViolation\"").await;
    replace(Path::new(&secured.file("Dawn")), &secured.identity("Dawn", 3600, 2));
    let back = async {
        while !metrics(&dawn).await.contains("bus_connected 1") {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let back = tokio::time::timeout(Duration::from_secs(20), back).await;
    assert!(back.is_ok(), "{}", dawn.whole_log());
    assert!(!dawn.whole_log().contains("NKEY SEED"), "no secret is logged");
}

/// As the kubelet does: a reader sees the old file or the new one.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

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
}
