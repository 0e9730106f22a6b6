//! The chart as a provider installs it, upgrades it, takes it back, removes it and installs it again. `make test-install`
//! brings up a cluster for it.

mod dry_run;
mod release;

use std::time::{Duration, Instant};

use mudgateway_e2e::client::Client;
use mudgateway_e2e::kubectl::{apply, condition, get, kubectl, namespace, wait, wait_condition};
use mudgateway_e2e::{Result, expect_equal, install, step, volumes};
use serde_json::{Value, json};

use release::Version;

/// How long a gateway may take to get ready after a change.
const READY: Duration = Duration::from_secs(150);

/// What is promised: from `helm install` to a MUD that is connected, with the images on the nodes.
const INSTALLED: Duration = Duration::from_secs(60);

/// The tenant's namespace and its MudGateway.
const TENANT: &str = "tenant-a";
const NAME: &str = "luminari";

#[test]
fn a_providers_installation_through_all_its_days() {
    assert!(std::env::var_os("KUBECONFIG").is_some(), "no cluster: run this with `make test-install`");
    let (present, previous) = (Version::present(), Version::previous());

    step("make namespaces and volumes, start a router", || {
        release::system_namespace()?;
        namespace(TENANT)?;
        volumes::make(3)?;
        install::router()
    });
    step("dry runs: every way to install it, plain manifests, overlays", dry_run::everything);

    // A first installation, from nothing to a connected MUD.
    let notes = step("helm install, a MudGateway, and a MUD connects", || {
        let started = Instant::now();
        let notes = release::install(&present)?;
        apply_gateway("TrialMUD")?;
        connected()?;
        let took = started.elapsed();
        println!("          {:.1} s from `helm install` to a connected MUD", took.as_secs_f64());
        assert!(took < INSTALLED, "took {took:?}, and {INSTALLED:?} is promised");
        Ok(notes)
    });
    step("the notes' commands work", || release::follow(&notes));
    step("helm test", release::test);
    step("dry runs: the examples", dry_run::examples);
    step("remove every trace", release::purge);

    // What the version before leaves behind is taken over.
    step("install the previous version; a MUD connects", || {
        release::install(&previous)?;
        apply_gateway("LuminariMUD")?;
        connected().map(drop)
    });
    let (key, before) = (api_key().unwrap(), pod().unwrap());
    step("upgrade to this version; the gateways follow", || {
        release::upgrade(&present)?;
        rolled_to(&present)?;
        connected().map(drop)
    });
    step("roll back; the gateways follow", || {
        release::roll_back(1)?;
        rolled_to(&previous)?;
        connected().map(drop)
    });
    step("upgrade once more", || {
        release::upgrade(&present)?;
        rolled_to(&present)?;
        connected().map(drop)
    });
    expect_equal("the API key", &api_key().unwrap(), &key).unwrap();
    assert_ne!(pod().unwrap(), before, "no pod was replaced");

    step("uninstall: definitions, MudGateways, volume and keys stay, and the MUD stays connected", || {
        let mut client = connected()?;
        release::uninstall()?;
        release::kept()?;
        get(TENANT, &format!("mudgateway/{NAME}"))
            .map(|gateway| assert!(gateway.is_object(), "it is gone"))?;
        // By the router alone: the operator and NATS are gone.
        client.call("channel_join", &json!({"channel": "imud_gossip"}))?;
        let said = json!({"channel": "imud_gossip", "message": "still here", "from_user": "Gicker"});
        let answer = client.call("channel_send", &said)?;
        expect_equal("the answer to channel_send", &answer["status"], &json!("sent"))?;
        client.event("channel_message", Duration::from_secs(10)).map(drop)
    });
    step("install it again: all is taken up", || {
        release::install(&present)?;
        release::running()?;
        connected().map(drop)
    });
    step("a new pod, with another address, logs in with the old password", || {
        let old = pod()?;
        kubectl(&["delete", "pod", "-n", TENANT, &old.name, "--wait=true"])?;
        let new = next_holder(&old)?;
        // The router lets in who comes from a known address, or has the password. This one was not known.
        assert_ne!(new.address, old.address);
        connected().map(drop)
    });
    step("NATS loses all it kept: a new pod logs in with the password of the Secret", || {
        let old = pod()?;
        scale(0)?;
        kubectl(&["wait", "--for=delete", "pod", &old.name, "-n", TENANT, "--timeout=60s"])?;
        release::lose_what_nats_keeps()?;
        scale(1)?;
        let new = next_holder(&old)?;
        assert_ne!(new.address, old.address);
        connected().map(drop)
    });
    expect_equal("the API key", &api_key().unwrap(), &key).unwrap();
    step("remove every trace", release::purge);
}

/// Applies the MudGateway of a MUD. One whose password was thrown away would have to take another name: the router still knows it.
fn apply_gateway(mud: &str) -> Result<()> {
    // The definition was made a moment ago, and the API server begins to serve it now.
    kubectl(&["wait", "--for=condition=Established", "crd/mudgateways.intermud.dev", "--timeout=30s"])?;
    let gateway = json!({
        "apiVersion": "intermud.dev/v1alpha1",
        "kind": "MudGateway",
        "metadata": {"name": NAME},
        "spec": {
            "mud": {"name": mud, "port": 4100, "adminEmail": "admin@luminari.example"},
            "routers": [{"name": "*demo", "host": "i3-router.i3-demo.svc", "port": 8787}],
            "channels": [{"name": "imud_gossip"}],
        },
    });
    apply(TENANT, &gateway.to_string())
}

/// Waits until the MUD is on the network, and connects as it would: by the endpoint and the key that the status names.
fn connected() -> Result<Client> {
    let gateway = wait_condition(TENANT, NAME, "Ready", "True", READY)?;
    let endpoint = gateway["status"]["endpoints"]["websocket"].as_str().unwrap_or_default();
    Client::connect(endpoint, &api_key()?)
}

fn api_key() -> Result<String> {
    let secret = format!("{NAME}-api-key");
    let token = "go-template={{.data.token | base64decode}}";
    kubectl(&["get", "secret", &secret, "-n", TENANT, "-o", token])
}

/// A gateway's pod.
#[derive(Debug, PartialEq)]
struct Pod {
    name: String,
    address: String,
    image: String,
}

/// The MUD's one pod that is not about to go.
fn pod() -> Result<Pod> {
    let selector = format!("app.kubernetes.io/instance={NAME}");
    wait("one pod of the gateway", READY, || {
        let list = kubectl(&["get", "pods", "-n", TENANT, "-l", &selector, "-o", "json"])?;
        let list: Value = serde_json::from_str(&list).unwrap_or_default();
        let pods = list["items"].as_array().into_iter().flatten();
        let staying: Vec<_> = pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match staying[..] {
            [pod] if pod["status"]["podIP"].is_string() => Ok(Ok(Pod {
                name: text(&pod["metadata"]["name"]),
                address: text(&pod["status"]["podIP"]),
                image: text(&pod["spec"]["containers"][0]["image"]),
            })),
            _ => Ok(Err(format!("{} pods", staying.len()))),
        }
    })
}

/// Waits until another pod than this one holds the session.
fn next_holder(old: &Pod) -> Result<Pod> {
    wait("another pod to hold the session", READY, || {
        let gateway = get(TENANT, &format!("mudgateway/{NAME}"))?;
        let status = &gateway["status"];
        if !condition(&gateway, "Connected").starts_with("True") || status["holder"] == old.name.as_str() {
            return Ok(Err(status.to_string()));
        }
        let new = pod()?;
        if status["holder"] == new.name.as_str() { Ok(Ok(new)) } else { Ok(Err(status.to_string())) }
    })
}

/// Has so many pods for the gateway.
fn scale(replicas: u32) -> Result<()> {
    kubectl(&["scale", "mudgateway", NAME, "-n", TENANT, &format!("--replicas={replicas}")]).map(drop)
}

/// Waits until the gateway's pod runs the image of a version.
fn rolled_to(version: &Version) -> Result<()> {
    let image = version.gateway_image();
    wait(&format!("the gateway to run {image}"), READY, || {
        let pod = pod()?;
        if pod.image == image { Ok(Ok(())) } else { Ok(Err(format!("{pod:?}"))) }
    })?;
    let deployment = format!("deployment/{NAME}-gateway");
    kubectl(&["rollout", "status", "-n", TENANT, &deployment, "--timeout=120s"]).map(drop)
}
