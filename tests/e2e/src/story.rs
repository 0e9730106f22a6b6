//! The main job, step by step: two MUDs of two tenants talk by the router, and by NATS when a link is cut.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::install::{self, file};
use crate::kubectl::{get, kubectl, namespace, run, wait_condition};
use crate::{Error, Result, expect_equal};

/// How long a gateway may take to get ready: its image is on the node already.
const READY: Duration = Duration::from_secs(120);

/// How long a message may take.
const MESSAGE: Duration = Duration::from_secs(10);

/// The channel both muds are on.
const CHANNEL: &str = "imud_gossip";

/// Who is told how the story goes.
pub trait Narrator {
    /// A step begins.
    fn begin(&mut self, step: &str);
    /// A step went well.
    fn done(&mut self, took: Duration);
    /// Something worth seeing.
    fn show(&mut self, text: &str);
}

/// One MUD of the story.
struct Tenant {
    namespace: &'static str,
    name: &'static str,
    mud: &'static str,
}

const LUMINARI: Tenant = Tenant { namespace: "tenant-a", name: "luminari", mud: "LuminariMUD" };
const DAWN: Tenant = Tenant { namespace: "tenant-b", name: "dawn", mud: "DawnMUD" };

/// Tells the whole story.
///
/// # Errors
/// The first step that fails, by the name it began with.
pub fn tell(narrator: &mut dyn Narrator) -> Result<()> {
    let mut step = Steps { narrator };
    step.take("install the chart: CRD, operator, NATS", install::chart)?;
    step.take("start an Intermud-3 router in the cluster", install::router)?;
    step.take("apply a MudGateway for each of two tenants", apply_gateways)?;
    for tenant in [&LUMINARI, &DAWN] {
        step.take(&format!("wait until {} is on the network", tenant.mud), || {
            wait_condition(tenant.namespace, tenant.name, "Ready", "True", READY).map(drop)
        })?;
    }
    step.show(&kubectl(&["get", "mudgateways", "-A"])?);

    let luminari = &mut step.take("connect LuminariMUD to its WebSocket endpoint", || {
        connect(&LUMINARI, |endpoints| text(&endpoints["websocket"]))
    })?;
    let dawn = &mut step.take("connect DawnMUD to its TCP endpoint", || {
        connect(&DAWN, |endpoints| format!("tcp://{}", text(&endpoints["tcp"])))
    })?;
    step.take("both join the channel imud_gossip", || {
        join(luminari)?;
        join(dawn)
    })?;
    step.take("a message said twice arrives twice, at both, and no more", || {
        let texts = ["hello, Dawn", "hello, Dawn", "that was all"];
        say(luminari, "Gicker", &texts)?;
        hear(dawn, "Gicker", &texts)?;
        hear(luminari, "Gicker", &texts)
    })?;
    step.take("a tell goes from DawnMUD to LuminariMUD", || tell_once(dawn, luminari))?;

    step.take("cut DawnMUD's link to the router", || {
        install::router_control(&["cut", DAWN.mud])?;
        wait_condition(DAWN.namespace, DAWN.name, "Connected", "False", Duration::from_secs(30)).map(drop)
    })?;
    step.show(&kubectl(&["get", "mudgateways", "-A", "-o", "wide"])?);
    step.take("DawnMUD still hears LuminariMUD, through NATS, each message once", || {
        let texts = ["are you there?", "are you there?", "it seems so"];
        say(luminari, "Gicker", &texts)?;
        hear(dawn, "Gicker", &texts)?;
        hear(luminari, "Gicker", &texts)
    })?;
    step.take("LuminariMUD still hears DawnMUD, through NATS, once", || {
        say(dawn, "Aurora", &["the router is gone, I am not"])?;
        hear(luminari, "Aurora", &["the router is gone, I am not"])?;
        hear(dawn, "Aurora", &["the router is gone, I am not"])
    })?;
    step.take("let the link come back", || {
        install::router_control(&["restore", DAWN.mud])?;
        let within = Duration::from_secs(90);
        wait_condition(DAWN.namespace, DAWN.name, "Connected", "True", within).map(drop)
    })?;
    step.take("what was said meanwhile came once, also with the router's late copy", || {
        say(luminari, "Gicker", &["welcome back"])?;
        hear(dawn, "Gicker", &["welcome back"])?;
        hear(luminari, "Gicker", &["welcome back"])
    })
}

struct Steps<'a> {
    narrator: &'a mut dyn Narrator,
}

impl Steps<'_> {
    fn take<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        self.narrator.begin(name);
        let started = Instant::now();
        let result = step()?;
        self.narrator.done(started.elapsed());
        Ok(result)
    }

    fn show(&mut self, text: &str) {
        self.narrator.show(text);
    }
}

fn apply_gateways() -> Result<()> {
    for tenant in [&LUMINARI, &DAWN] {
        namespace(tenant.namespace)?;
        let example = file(&format!("deploy/examples/{}.yaml", tenant.name));
        run("kubectl", &["apply", "-n", tenant.namespace, "--validate=strict", "-f", &example], None)?;
    }
    Ok(())
}

/// Connects as the provider's customer would: by the endpoint and the key that the status names.
fn connect(tenant: &Tenant, endpoint: impl Fn(&Value) -> String) -> Result<Client> {
    let gateway = get(tenant.namespace, &format!("mudgateway/{}", tenant.name))?;
    let status = &gateway["status"];
    let secret = text(&status["apiKeySecret"]);
    let key = kubectl(&[
        "get",
        "secret",
        &secret,
        "-n",
        tenant.namespace,
        "-o",
        "go-template={{.data.token | base64decode}}",
    ])?;
    let endpoint = endpoint(&status["endpoints"]);
    Client::connect(&endpoint, &key)
}

fn join(client: &mut Client) -> Result<()> {
    let result = client.call("channel_join", &json!({"channel": CHANNEL}))?;
    expect_equal("the answer to channel_join", &result["status"], &json!("joined"))
}

/// Says texts on the channel. `queued` is as good as `sent`: the pace to the router is limited.
fn say(client: &mut Client, user: &str, texts: &[&str]) -> Result<()> {
    for message in texts {
        let params = json!({"channel": CHANNEL, "message": message, "from_user": user});
        let status = text(&client.call("channel_send", &params)?["status"]);
        if status != "sent" && status != "queued" {
            let what = "the answer to channel_send".to_owned();
            return Err(Error::Unexpected { what, expected: "sent or queued".into(), found: status });
        }
    }
    Ok(())
}

/// Hears exactly these texts, in this order: one that came twice would be the next one heard.
fn hear(client: &mut Client, user: &str, texts: &[&str]) -> Result<()> {
    for message in texts {
        let event = client.event("channel_message", MESSAGE)?;
        expect_equal("a message heard", &event["message"], &json!(message))?;
        expect_equal("its speaker", &event["from_user"], &json!(user))?;
    }
    Ok(())
}

fn tell_once(from: &mut Client, to: &mut Client) -> Result<()> {
    let message = "pst, are you awake?";
    let params = json!({
        "target_mud": LUMINARI.mud, "target_user": "Gicker", "message": message, "from_user": "Aurora",
    });
    let result = from.call("tell", &params)?;
    expect_equal("the answer to tell", &result["status"], &json!("sent"))?;
    let event = to.event("tell_received", MESSAGE)?;
    expect_equal("the tell's text", &event["message"], &json!(message))?;
    expect_equal("the tell's origin", &event["from_mud"], &json!(DAWN.mud))?;
    expect_equal("the tell's receiver", &event["to_user"], &json!("gicker"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
