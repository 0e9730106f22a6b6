//! The kubectl plug-in, each command once, as kubectl runs it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use mudgateway_e2e::client::Client;
use mudgateway_e2e::kubectl::{apply, kubectl, namespace};
use serde_json::{Value, json};

use super::{CHANNEL, applied, cluster, fail, key, on_channel, removed, waited};

const NAME: &str = "plugin";
const HEARD: Duration = Duration::from_secs(20);

fn mudgw(arguments: &[&str]) -> String {
    kubectl(&[&["mudgw", "-n", NAME], arguments].concat()).unwrap_or_else(|error| fail(&error))
}

/// `tail`, as it runs on.
struct Tail {
    child: Child,
    lines: Receiver<String>,
}

impl Tail {
    fn start() -> Self {
        let mut child = Command::new("kubectl")
            .args(["mudgw", "-n", NAME, "tail", CHANNEL])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("kubectl does not start: {error}"));
        let Some(stdout) = child.stdout.take() else { unreachable!("it was asked for") };
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    fn hear(&self, text: &str) {
        let deadline = Instant::now() + HEARD;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.ends_with(text) => return,
                Ok(_) => {}
                Err(_) => panic!("tail did not show {text:?}"),
            }
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // It may have ended by itself already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn event(client: &mut Client, kind: &str) -> Value {
    client.event(kind, HEARD).unwrap_or_else(|error| fail(&error))
}

#[test]
fn the_plugin_does_each_of_its_commands() {
    cluster();
    applied(NAME, |_| {});
    let gateway = waited(NAME, "Ready", "True");
    let status = mudgw(&["status"]);
    assert!(status.contains("Mud-plugin") && status.contains("SessionEstablished"), "{status}");

    let old = key(NAME, &gateway);
    let url = gateway["status"]["endpoints"]["websocket"].as_str().unwrap();
    let mut mud = on_channel(url, &old);
    assert_eq!(mudgw(&["say", CHANNEL, "before", "the", "tail"]).trim(), "sent by Mud-plugin");
    assert_eq!(event(&mut mud, "channel_message")["message"], "before the tail");
    let tail = Tail::start();
    tail.hear("Operator@Mud-plugin: before the tail");
    mudgw(&["say", CHANNEL, "--from", "Ann", "and", "after", "it"]);
    tail.hear("Ann@Mud-plugin: and after it");
    mudgw(&["tell", "Gicker@Mud-plugin", "pst"]);
    assert_eq!(event(&mut mud, "tell_received")["message"], "pst");

    let doctor = mudgw(&["doctor"]);
    assert!(doctor.contains("the mud is connected to *demo"), "{doctor}");

    let printed = mudgw(&["key", "rotate"]);
    assert_eq!(printed, "", "the key is not printed unasked");
    let new = key(NAME, &gateway);
    assert_ne!(old, new);
    for key in [&old, &new] {
        drop(Client::connect(url, key).unwrap_or_else(|error| fail(&error)));
    }

    let holder = waited(NAME, "Connected", "True")["status"]["holder"].clone();
    let handed_over = mudgw(&["failover"]);
    assert!(
        handed_over.contains("holds the router session") && !handed_over.contains(holder.as_str().unwrap()),
        "{handed_over}"
    );
    mudgw(&["say", CHANNEL, "from the new pod"]);
    tail.hear("from the new pod");
    removed(NAME);
}

#[test]
fn the_plugin_shows_a_certificate_where_one_is_wanted() {
    const NAME: &str = "certified";
    cluster();
    // Server, client, and the CA of both, in one.
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "cert"},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate, "tls.key": key, "ca.crt": certificate},
    });
    namespace(NAME).and_then(|()| apply(NAME, &secret.to_string())).unwrap_or_else(|error| fail(&error));
    applied(NAME, |spec| {
        spec["api"] = json!({"tls": {"secretName": "cert", "requireClientCertificate": true}});
    });
    waited(NAME, "Ready", "True");

    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = (write("tls.crt", &certificate), write("tls.key", &key));
    let say = |flags: &[&str]| {
        kubectl(&[&["mudgw", "-n", NAME, "say"], flags, &[CHANNEL, "who", "goes", "there"]].concat())
    };
    let said = say(&["--client-certificate", &certificate, "--client-key", &key]);
    assert_eq!(said.unwrap_or_else(|error| fail(&error)).trim(), "sent by Mud-certified");
    let error = say(&[]).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("give one with --client-certificate"), "{error}");
    removed(NAME);
}
