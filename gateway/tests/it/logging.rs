//! What is logged, and what never is.

use mudclient::{CallError, Client};
use mudgateway_crds::bus::{STATE_BUCKET, state_key};
use mudgateway_identity::{Credentials, Login};
use serde_json::{Value, json};
use tokio::process::Command;

use super::bus::on_bus;
use super::lock::process;
use super::support::{Gateway, KEY, Nats, router, until};

/// Everything that anything can log.
const ALL: &str = "trace,async_nats=trace,hyper=trace,mio=trace,rustls=trace,tokio=trace,tokio_util=trace,\
                   tokio_tungstenite=trace,tungstenite=trace";

fn id_of(line: &Value) -> Option<&str> {
    line["spans"].as_array()?.iter().find_map(|span| span["request_id"].as_str())
}

/// The password that the router gave the mud.
async fn kept_password(nats: &Nats, router: &str) -> String {
    let bucket = nats.context().await.get_key_value(STATE_BUCKET).await.unwrap();
    let kept = bucket.get(state_key(router, "Dawn", "password")).await.unwrap();
    String::from_utf8(kept.unwrap().to_vec()).unwrap()
}

/// What the gateway says of a configuration file that it does not take.
async fn refusal(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mudgateway"));
    let output = command.arg("--config").arg(path).arg("--dry-run").env_clear().output().await.unwrap();
    assert!(!output.status.success());
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn no_secret_is_ever_logged_by_anything() {
    let router = router().await;
    let login = "ann:hunter2hunter2";
    let admin = Login::default().with_credentials(Credentials::parse(login).unwrap());
    let nats = Nats::start_with("authorization {user: ann, password: hunter2hunter2}\n", admin).await;
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("login").display().to_string();
    std::fs::write(&file, login).unwrap();
    let gateway =
        on_bus("Dawn", &router, &nats, &[("NATS_CREDENTIALS_FILE", &file), ("LOG_LEVEL", ALL)]).await;
    let wrong = "a wrong key somebody typed";
    for address in [gateway.tcp().await, gateway.websocket().await] {
        let client = Client::connect(&address).await.unwrap();
        let refused = client.authenticate(wrong).await;
        assert!(matches!(refused, Err(CallError::Rpc { .. })), "{refused:?}");
        let client = Client::connect(&address).await.unwrap();
        client.authenticate(KEY).await.unwrap();
        client.call("status", json!({})).await.unwrap();
    }
    gateway.logged("wrong API key").await;
    gateway.terminate().await;
    gateway.logged("\"stopped\"").await;
    let log = gateway.whole_log();
    let password = kept_password(&nats, router.name()).await;
    assert_eq!(password.len(), 9);
    for secret in [KEY, wrong, "hunter2hunter2", &password] {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(secret)).collect();
        assert!(lines.is_empty(), "{secret:?} stands in the log: {lines:#?}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_yaml_or_a_server_with_a_password_is_refused_without_its_secrets() {
    let broken = format!("gateway: {{auth: {{secret: '{KEY}'}}\nmud: [");
    let misplaced = "nats: {url: 'nats://ann:hunter2@localhost'}\nrouter: {primary: {password: hunter2}}\n";
    for file in [broken.as_str(), misplaced] {
        let said = refusal(file).await;
        assert!(said.contains("is not valid YAML") || said.contains("nats.url: "), "{said}");
        for secret in [KEY, "hunter2"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

#[tokio::test]
async fn what_is_logged_follows_the_file_and_a_wrong_level_changes_nothing() {
    let router = router().await;
    let file = |level: &str| format!("logging: {{level: '{level}'}}\n");
    let gateway = Gateway::start_with_file("Dawn", &router, &file("info"), &[("LOG_LEVEL", "")]).await;
    let client = gateway.client().await;
    client.call("ping", json!({})).await.unwrap();

    std::fs::write(gateway.file(), file("loud")).unwrap();
    gateway.signal("-HUP").await;
    let line = gateway.logged("is neither a level").await;
    assert_eq!(line["message"], "keeping the configuration that was read before");
    assert!(!gateway.whole_log().contains("\"level\":\"DEBUG\""), "{}", gateway.whole_log());

    std::fs::write(gateway.file(), file("info,mudgateway::api=debug")).unwrap();
    gateway.signal("-HUP").await;
    gateway.logged("what is logged has changed").await;
    client.call("mudlist", json!({})).await.unwrap();
    let line = gateway.logged("\"method\":\"mudlist\"").await;
    assert_eq!((&line["message"], &line["level"]), (&json!("answered a request"), &json!("DEBUG")));
    assert!(id_of(&line).is_some_and(uuid), "{line}");
    assert!(!gateway.whole_log().contains("\"method\":\"ping\""), "that was before");
}

fn uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[tokio::test]
async fn a_request_has_one_id_in_the_process_it_came_to_and_in_the_one_that_does_it() {
    let (router, nats) = (router().await, Nats::start().await);
    let holder = process(&router, &nats).await;
    holder.logged("SessionEstablished").await;
    let standby = process(&router, &nats).await;
    let client = standby.client().await;
    until(&client, "status", json!({}), |status| status["connected"] == true).await;
    let tell = json!({"target_mud": "Dawn", "target_user": "ann", "from_user": "bob", "message": "hi"});
    client.call("tell", tell).await.unwrap();
    let here = standby.logged("\"method\":\"tell\"").await;
    let there = holder.logged("\"method\":\"tell\"").await;
    assert_eq!(there["message"], "answered a request of another process");
    assert!(id_of(&here).is_some());
    assert_eq!(id_of(&here), id_of(&there));
}
