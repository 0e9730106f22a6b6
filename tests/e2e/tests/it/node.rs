//! A node that is lost: its processes die, its network is gone, and nobody says goodbye.

use std::time::{Duration, Instant};

use mudgateway_e2e::client::Client;
use mudgateway_e2e::install::{self, file};
use mudgateway_e2e::kubectl::{get, kubectl, run, wait};
use serde_json::{Value, json};

use super::{CHANNEL, READY, applied, cluster, fail, key, on_channel, removed, waited};

const LOST: &str = "node-lost";
const MUD: &str = "Mud-node-lost";
const LEFT: &str = "node-left";

/// The node that goes. NATS, the operator and the router are on the other one.
const NODE: &str = "2";

/// The cluster misses a node after 10 s; until then its Service sends half of all new clients to the dead pod.
const BACK_AT_THE_ENDPOINT: Duration = Duration::from_secs(45);

/// How long after a crash the next process has the right to the session: FAILOVER.md.
const TAKEN_OVER: Duration = Duration::from_secs(5);

fn cluster_script(command: &str) {
    run(&file("tests/cluster/cluster"), &[command, NODE], None).unwrap_or_else(|error| fail(&error));
}

/// A pod's name and address.
struct Pod {
    name: String,
    address: String,
}

fn selector() -> String {
    format!("app.kubernetes.io/instance={LOST}")
}

/// The mud's pod on the node that goes, and the one on the other.
fn pods() -> (Pod, Pod) {
    let pods = kubectl(&["get", "pods", "-n", LOST, "-l", &selector(), "-o", "json"]);
    let pods: Value = serde_json::from_str(&pods.unwrap_or_else(|error| fail(&error))).unwrap_or_default();
    let on = |lost: bool| {
        let pods = pods["items"].as_array().into_iter().flatten();
        let mut here = pods.filter(|pod| (node_number(&pod["spec"]["nodeName"]) == NODE) == lost);
        let pod = here.next().unwrap_or_else(|| panic!("not a pod on each node:\n{}", list_of_pods()));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Pod { name: text(&pod["metadata"]["name"]), address: text(&pod["status"]["podIP"]) }
    };
    (on(true), on(false))
}

fn list_of_pods() -> String {
    kubectl(&["get", "pods", "-n", LOST, "-l", &selector(), "-o", "wide"])
        .unwrap_or_else(|error| error.to_string())
}

fn node_number(name: &Value) -> String {
    let node = format!("node/{}", name.as_str().unwrap_or_default());
    let label = "jsonpath={.metadata.labels.test-node}";
    kubectl(&["get", &node, "-o", label]).unwrap_or_else(|error| fail(&error))
}

fn holder() -> String {
    let gateway = get(LOST, &format!("mudgateway/{LOST}")).unwrap_or_else(|error| fail(&error));
    gateway["status"]["holder"].as_str().unwrap_or_default().to_owned()
}

/// Whether a pod holds the session, by its own word: the status tells it up to two seconds later.
fn holds(pod: &Pod) -> Result<(), String> {
    let path = format!("/api/v1/namespaces/{LOST}/pods/{}:8080/proxy/health/ready", pod.name);
    let health = kubectl(&["get", "--raw", &path]).map_err(|error| error.to_string())?;
    let lock = serde_json::from_str::<Value>(&health).unwrap_or_default()["bus"]["lock"].clone();
    if lock == "holder" { Ok(()) } else { Err(health) }
}

/// Sees to it that the pod on the node that goes has the session, and tells which that is, and the other one.
fn held_there() -> (Pod, Pod) {
    if holder() != pods().0.name {
        handed_over();
    }
    waited(LOST, "Ready", "True");
    // A hand-over replaces the pod that had it.
    wait("two pods, of which the one on the node that goes holds the session", READY, || {
        let deployment = get(LOST, &format!("deployment/{LOST}-gateway"))?;
        let complete = deployment["status"]["readyReplicas"] == 2 && deployment["status"]["replicas"] == 2;
        Ok(complete.then(pods).filter(|(goes, _)| holder() == goes.name).ok_or_else(list_of_pods))
    })
    .unwrap_or_else(|error| fail(&error))
}

/// Hands the session over to the pod on the node that goes. The one that comes in place of the holder would be there before
/// the holder has ended, and may take the session as well: so it finds no node until that is done.
fn handed_over() {
    let nodes = "test-node";
    let done = kubectl(&["cordon", "-l", nodes]).and_then(|_| kubectl(&["mudgw", "-n", LOST, "failover"]));
    kubectl(&["uncordon", "-l", nodes]).and(done).unwrap_or_else(|error| fail(&error));
}

/// Says a number.
fn say(client: &mut Client, number: usize) {
    let params = json!({"channel": CHANNEL, "message": format!("#{number}"), "from_user": "ann"});
    client.call("channel_send", &params).unwrap_or_else(|error| fail(&error));
}

/// Hears these numbers next, in their order, and each once.
fn hear(client: &mut Client, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let event = client.event("channel_message", READY).unwrap_or_else(|error| fail(&error));
        assert_eq!(event["message"], format!("#{number}"), "{event}");
    }
}

#[test]
fn when_a_node_is_lost_its_mud_is_taken_over_and_hears_all_that_hosted_muds_say() {
    cluster();
    applied(LEFT, |spec| spec["scheduling"] = json!({"nodeSelector": {"test-node": "1"}}));
    applied(LOST, |spec| spec["replicas"] = json!(2));
    let [key_of_left, key_of_lost] = [LEFT, LOST].map(|name| key(name, &waited(name, "Ready", "True")));
    let (_, stays) = held_there();
    let url = format!("ws://{LOST}.{LOST}.svc:8080/ws");
    let mut listener = on_channel(&format!("ws://{}:8080/ws", stays.address), &key_of_lost);
    let mut speaker = on_channel(&format!("ws://{LEFT}.{LEFT}.svc:8080/ws"), &key_of_left);
    say(&mut speaker, 0);
    hear(&mut listener, 0..1);

    cluster_script("kill-node");
    let lost = Instant::now();
    let mut said = 1;
    wait("the other pod to take the session over", READY, || {
        say(&mut speaker, said);
        said += 1;
        Ok(holds(&stays))
    })
    .unwrap_or_else(|error| fail(&error));
    println!("taken over after {:?}", lost.elapsed());
    assert!(lost.elapsed() < TAKEN_OVER, "the session was taken over after {:?}", lost.elapsed());
    hear(&mut listener, 1..said);
    wait("the status to say so", READY, || {
        let holder = holder();
        Ok(if holder == stays.name { Ok(()) } else { Err(holder) })
    })
    .unwrap_or_else(|error| fail(&error));

    let mut mud = wait("a client to get in at the endpoint", BACK_AT_THE_ENDPOINT, || {
        Ok(Client::connect(&url, &key_of_lost).map_err(|error| error.to_string()))
    })
    .unwrap_or_else(|error| fail(&error));
    println!("back at the endpoint after {:?}", lost.elapsed());
    mud.call("channel_join", &json!({"channel": CHANNEL})).unwrap_or_else(|error| fail(&error));
    say(&mut speaker, said);
    hear(&mut mud, said..said + 1);
    hear(&mut listener, said..said + 1);

    // The router's system may take many minutes to give the dead connection up, and the router keeps the name for it until then.
    for command in ["cut", "restore"] {
        install::router_control(&[command, MUD]).unwrap_or_else(|error| fail(&error));
    }
    waited(LOST, "Connected", "True");
    println!("logged in again {:?} after the node was lost", lost.elapsed());
    cluster_script("revive-node");
    waited(LOST, "Ready", "True");
    say(&mut speaker, said + 1);
    hear(&mut listener, said + 1..said + 2);
    for name in [LEFT, LOST] {
        removed(name);
    }
}
