//! The operator goes under clients that talk: neither they nor the router notice.

use std::time::Duration;

use mudgateway_e2e::Result;
use mudgateway_e2e::client::Client;
use mudgateway_e2e::install::SYSTEM;
use mudgateway_e2e::kubectl::{condition, get, kubectl, wait};
use serde_json::{Value, json};

use super::{CHANNEL, READY, applied, cluster, fail, key, login, on_channel, removed, waited};

const MUDS: [&str; 2] = ["speaker", "listener"];
const OPERATORS: &str = "app.kubernetes.io/component=operator,app.kubernetes.io/part-of=mudgateway";

/// Longer than any message takes.
const HEARD: Duration = Duration::from_secs(20);

/// A client of each mud, of which one speaks and both hear it.
struct Talk {
    clients: Vec<Client>,
    said: u32,
}

impl Talk {
    fn begin() -> Self {
        let clients = MUDS.map(|name| {
            let gateway = waited(name, "Ready", "True");
            let url = gateway["status"]["endpoints"]["websocket"].as_str().unwrap_or_default();
            on_channel(url, &key(name, &gateway))
        });
        Self { clients: clients.into(), said: 0 }
    }

    /// Says the next number. It is what both hear next: one that was lost, or came twice, would not fit.
    fn go_on(&mut self) {
        self.said += 1;
        let text = format!("number {}", self.said);
        let params = json!({"channel": CHANNEL, "message": text, "from_user": "Ann"});
        self.clients[0].call("channel_send", &params).unwrap_or_else(|error| fail(&error));
        for client in &mut self.clients {
            let heard = client.event("channel_message", HEARD).unwrap_or_else(|error| fail(&error));
            assert_eq!(heard["message"], text.as_str());
        }
    }
}

/// What must stay: the muds' logins at the router, and their pods with the count of their restarts.
fn untouched() -> Vec<String> {
    let of = |name: &str| {
        let selector = format!("app.kubernetes.io/instance={name}");
        let what =
            "jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[*].restartCount} {end}";
        let pods = kubectl(&["get", "pods", "-n", name, "-l", &selector, "-o", what]);
        let login = login(&format!("Mud-{name}")).unwrap_or_else(|| panic!("{name} is not logged in"));
        [login, pods.unwrap_or_else(|error| fail(&error))]
    };
    MUDS.into_iter().flat_map(of).collect()
}

/// The names of the operator's pods, and whether each is ready.
fn operators() -> Result<Vec<(String, bool)>> {
    let list = kubectl(&["get", "pods", "-n", SYSTEM, "-l", OPERATORS, "-o", "json"])?;
    let list: Value = serde_json::from_str(&list).unwrap_or_default();
    let pods = list["items"].as_array().cloned().unwrap_or_default();
    let is_ready = |pod: &Value| condition(pod, "Ready").starts_with("True");
    let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    Ok(pods.iter().map(|pod| (name(pod), is_ready(pod))).collect())
}

/// Who leads, by the Lease.
fn leader() -> Result<String> {
    kubectl(&["get", "lease", "mudgateway-operator", "-n", SYSTEM, "-o", "jsonpath={.spec.holderIdentity}"])
}

#[test]
fn nobody_who_talks_notices_that_the_operator_is_killed_and_replaced() {
    cluster();
    for name in MUDS {
        applied(name, |_| {});
    }
    let mut talk = Talk::begin();
    talk.go_on();
    let (before, old) = (untouched(), operators().unwrap_or_else(|error| fail(&error)));
    assert!(!old.is_empty());

    // All of them at once, without a word: nobody gives the Lease back.
    let kill =
        ["delete", "pods", "-n", SYSTEM, "-l", OPERATORS, "--grace-period=0", "--force", "--wait=false"];
    kubectl(&kill).unwrap_or_else(|error| fail(&error));
    wait("a new operator to lead", READY, || {
        talk.go_on();
        let (now, leader) = (operators()?, leader()?);
        let is_new = |name: &str| old.iter().all(|(before, _)| before != name);
        let all = now.len() == old.len() && now.iter().all(|(name, ready)| *ready && is_new(name));
        let leads = now.iter().any(|(name, _)| is_new(name) && leader.starts_with(name));
        if all && leads { Ok(Ok(())) } else { Ok(Err(format!("{now:?}, {leader} leads"))) }
    })
    .unwrap_or_else(|error| fail(&error));

    // It does its work, and what was there stays as it was.
    applied("newcomer", |_| {});
    wait("the newcomer to be ready", READY, || {
        talk.go_on();
        let gateway = get("newcomer", "mudgateway/newcomer")?;
        let ready = condition(&gateway, "Ready");
        if ready.starts_with("True") { Ok(Ok(())) } else { Ok(Err(ready)) }
    })
    .unwrap_or_else(|error| fail(&error));
    talk.go_on();
    assert_eq!(untouched(), before);
    println!("{} messages, each heard once by both", talk.said);
    for name in MUDS.into_iter().chain(["newcomer"]) {
        removed(name);
    }
}
