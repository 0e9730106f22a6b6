//! The plug-in against a real kube-apiserver, without nodes and without an operator:
//!
//! ```sh
//! tests/cluster/cluster up --control-plane
//! tests/cluster/cluster exec cargo test -p kubectl-mudgw --features cluster-tests --test it
//! ```
//!
//! Every test has a namespace of its own. What an operator would write, the tests write.

// Clippy knows tests by their attribute; the helpers beside them are tests too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

const NOT_HERE: &str = "\n\nThese tests need a kube-apiserver. Run: tests/cluster/cluster up --control-plane && \
    tests/cluster/cluster exec cargo test -p kubectl-mudgw --features cluster-tests --test it\n\n";

fn run(program: &str, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; `tests/cluster/cluster exec` has it on PATH"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn kubectl(args: &[&str], input: &str) -> String {
    let output = run("kubectl", args, input);
    assert!(output.status.success(), "kubectl {args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// A namespace with the definition installed.
struct Space(String);

impl Space {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        static DEFINITION: OnceLock<()> = OnceLock::new();
        if std::env::var_os("KUBECONFIG").is_none() {
            // Once, and past the test harness, which would say it once for every test.
            let _ = std::io::stderr().write_all(NOT_HERE.as_bytes());
            std::process::exit(1);
        }
        DEFINITION.get_or_init(|| {
            let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds/mudgateways.intermud.dev.yaml");
            kubectl(&["apply", "--server-side", "--force-conflicts", "-f", crds], "");
            let name = "crd/mudgateways.intermud.dev";
            kubectl(&["wait", "--for=condition=Established", name, "--timeout=30s"], "");
        });
        let name = format!("plugin-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        kubectl(&["create", "namespace", &name], "");
        Self(name)
    }

    /// Applies an object in this namespace; its status too, if it has one.
    fn apply(&self, object: &Value) {
        kubectl(&["apply", "-n", &self.0, "--server-side", "-f", "-"], &object.to_string());
        if object["status"].is_object() {
            let subresource = ["apply", "-n", &self.0, "--server-side", "--subresource=status", "-f", "-"];
            kubectl(&subresource, &object.to_string());
        }
    }

    fn gateway(&self, name: &str, status: Value) {
        self.apply(&json!({
            "apiVersion": "intermud.dev/v1alpha1",
            "kind": "MudGateway",
            "metadata": {"name": name},
            "spec": {
                "mud": {"name": format!("Mud {name}")},
                "routers": [{"name": "*i4", "host": "router.example", "port": 8080}],
            },
            "status": status,
        }));
    }

    fn secret(&self, name: &str, entries: Value) {
        self.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": entries,
        }));
    }

    fn secret_entry(&self, name: &str, entry: &str) -> String {
        let template = format!("go-template={{{{index .data {entry:?} | base64decode}}}}");
        kubectl(&["get", "secret", name, "-n", &self.0, "-o", &template], "")
    }

    /// Runs the plug-in as the admin: its exit code, what it prints, and what it says of its doings.
    fn mudgw(&self, args: &[&str]) -> (i32, String, String) {
        let args = [&["-n", &self.0], args].concat();
        let output = run(env!("CARGO_BIN_EXE_kubectl-mudgw"), &args, "");
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    /// Creates a user who may do this in the namespace, and no more.
    fn user(&self, rules: &Value) -> String {
        let user = format!("{}-user", self.0);
        self.apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "some"}, "rules": rules,
        }));
        self.apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "some"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "some"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        }));
        user
    }
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-11-25T10:00:00Z"})
}

fn refused() -> Value {
    json!({
        "observedGeneration": 1,
        "apiKeySecret": "dawn-api-key",
        "conditions": [
            condition("Accepted", "True", "Accepted", "the spec can be carried out"),
            condition("Programmed", "True", "MinimumReplicasAvailable", "the gateway pod is available"),
            condition("Connected", "False", "RouterRefused", "no answer"),
            condition("Ready", "False", "RouterRefused", "no answer"),
        ],
    })
}

#[test]
fn status_shows_what_the_operator_says() {
    let space = Space::new();
    let (code, out, err) = space.mudgw(&["status"]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(err.contains(&format!("no MudGateway in namespace {}", space.0)), "{err}");

    space.gateway("dawn", refused());
    space.gateway("new", json!(null));
    let (_, out, _) = space.mudgw(&["status"]);
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with("NAME") && lines.len() == 3, "{out}");
    assert!(lines[1].contains("Mud dawn") && lines[1].contains("RouterRefused"), "{out}");
    let (_, out, _) = space.mudgw(&["status", "dawn"]);
    assert!(out.contains("Secret dawn-api-key, entry token") && out.contains("no answer"), "{out}");
    let (_, out, _) = space.mudgw(&["status", "-A", "-o", "json"]);
    let list: Value = serde_json::from_str(&out).unwrap();
    let found =
        list["items"].as_array().unwrap().iter().find(|item| item["metadata"]["namespace"] == space.0);
    assert_eq!(found.unwrap()["spec"]["mud"]["name"], "Mud dawn");

    let (code, _, err) = space.mudgw(&["status", "nosuch"]);
    assert_eq!(code, 2);
    assert!(err.contains(&format!("there is no MudGateway nosuch in namespace {}", space.0)), "{err}");
}

#[test]
fn who_lacks_a_right_is_told_which() {
    let space = Space::new();
    space.gateway("dawn", refused());
    let read = json!({"apiGroups": ["intermud.dev"], "resources": ["mudgateways"], "verbs": ["get", "list"]});
    let user = space.user(&json!([read]));
    let (code, out, _) = space.mudgw(&["status", "--as", &user]);
    assert!(code == 0 && out.contains("Mud dawn"), "{out}");
    for (command, resource) in [
        (&["status", "-A"][..], "mudgateways"),
        (&["say", "imud_gossip", "hi"], "secrets"),
        (&["tail", "imud_gossip"], "secrets"),
        (&["key", "rotate"], "secrets"),
    ] {
        let (code, _, err) = space.mudgw(&[&["--as", &user], command].concat());
        assert_eq!(code, 2, "{command:?}");
        let rule = format!("resources: [{resource:?}]");
        assert!(err.contains("you have no right to") && err.contains(&rule), "{command:?}: {err}");
    }
    let (code, out, _) = space.mudgw(&["doctor", "--as", &user]);
    assert_eq!(code, 1, "the router refuses, which this user may see");
    assert!(out.contains("could not be looked at: you have no right to get secrets"), "{out}");
}

#[test]
fn a_key_is_replaced_and_the_old_one_kept_for_a_while() {
    let space = Space::new();
    space.gateway("dawn", refused());
    space.secret("dawn-api-key", json!({"token": "the old key"}));
    let (code, out, err) = space.mudgw(&["key", "rotate", "--no-wait"]);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    let new = space.secret_entry("dawn-api-key", "token");
    assert!(new.len() == 64 && !err.contains(&new), "a new key, and not printed: {err}");
    let previous = space.secret_entry("dawn-api-key", "token.previous");
    assert!(previous.starts_with("the old key\n2"), "{previous}");

    let (code, _, err) = space.mudgw(&["key", "rotate", "--no-wait"]);
    assert_eq!(code, 2);
    assert!(err.contains("the key before the present one works until"), "{err}");
    assert_eq!(space.secret_entry("dawn-api-key", "token"), new);
    let (code, out, _) = space.mudgw(&["key", "rotate", "--no-wait", "--again", "--show", "--grace", "0s"]);
    assert_eq!(code, 0);
    assert_eq!(out.trim(), space.secret_entry("dawn-api-key", "token"));
    assert!(space.secret_entry("dawn-api-key", "token.previous").starts_with(&format!("{new}\n")));
}

#[test]
fn doctor_says_what_is_wrong_here() {
    let space = Space::new();
    space.gateway("dawn", refused());
    space.apply(&json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"},
        "spec": {"hard": {"count/mudgateways.intermud.dev": "1"}},
        "status": {"hard": {"count/mudgateways.intermud.dev": "1"}, "used": {"count/mudgateways.intermud.dev": "1"}}}));
    let (code, out, err) = space.mudgw(&["doctor", "-o", "json"]);
    assert_eq!(code, 1, "{err}");
    let findings: Vec<Value> = serde_json::from_str(&out).unwrap();
    let level = |check: &str| {
        let found = findings.iter().filter(|finding| finding["check"] == check);
        found.map(|finding| finding["level"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(level("definition"), ["ok"], "{out}");
    assert_eq!(level("operator"), ["wrong"], "there is none here");
    assert_eq!(level("router"), ["wrong"]);
    assert_eq!(level("key"), ["wrong"], "the Secret does not exist");
    assert_eq!(level("pods"), ["wrong"]);
    assert_eq!(level("quota"), ["warning"]);
    let (_, out, _) = space.mudgw(&["doctor"]);
    assert!(out.contains("-> ") && out.contains(&format!("{}/dawn", space.0)), "{out}");
}

#[test]
fn a_way_that_leads_nowhere_is_said_so() {
    let space = Space::new();
    let nowhere = std::env::temp_dir().join(format!("{}.kubeconfig", space.0));
    let config = "{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}], \
        users: [{name: u, user: {}}], contexts: [{name: x, context: {cluster: c, user: u}}], current-context: x}";
    std::fs::write(&nowhere, config).unwrap();
    let path = nowhere.to_str().unwrap();
    let (code, _, err) = space.mudgw(&["doctor", "--kubeconfig", path]);
    assert_eq!(code, 2);
    assert!(err.contains("the API server does not answer") && err.contains("refused"), "{err}");
    let (_, _, err) = space.mudgw(&["status", "--kubeconfig", path, "--context", "other"]);
    assert!(err.contains("no way to the cluster") && err.contains("other"), "{err}");
    std::fs::remove_file(nowhere).unwrap();
}

#[test]
fn completion_names_what_is_there() {
    let space = Space::new();
    space.gateway("dawn", json!(null));
    let directory = std::env::temp_dir().join(format!("{}-bin", space.0));
    std::fs::create_dir(&directory).unwrap();
    let link = directory.join("kubectl_complete-mudgw");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kubectl-mudgw"), &link).unwrap();
    let complete = |args: &[&str]| text(&run(link.to_str().unwrap(), args, "").stdout);
    assert_eq!(complete(&["-n", &space.0, "status", "d"]), "dawn\n:4\n");
    assert!(complete(&["st"]).starts_with("status\n"));
    std::fs::remove_dir_all(directory).unwrap();
}
