//! Muds of one provider whose links to the router are cut: what goes by the bus then, and what never does.

use std::time::{Duration, Instant};

use async_nats::{Request, RequestErrorKind};
use futures::StreamExt;
use i3_router::RunningRouter;
use mudclient::Client;
use mudgateway_crds::bus::{
    CHANNEL_STREAM, STATE_BUCKET, direct_filter, direct_subject, everyone_subject, inbox_prefix, state_key,
};
use serde_json::{Value, json};

use super::bus::on_bus;
use super::support::{CHANNEL, Gateway, Nats, WITHIN, is, received, registered_since, router};

/// How soon a packet must have gone by the bus, and its answer be there.
const SOON: Duration = Duration::from_secs(1);

/// A mud with one user, and that user's client.
struct Side {
    mud: &'static str,
    user: &'static str,
    gateway: Gateway,
    client: Client,
}

impl Side {
    async fn start(mud: &'static str, user: &'static str, router: &RunningRouter, nats: &Nats) -> Self {
        let gateway = on_bus(mud, router, nats, &[]).await;
        let client = gateway.listener().await;
        tell_users(&client, user).await;
        Self { mud, user, gateway, client }
    }

    async fn call(&self, method: &str, params: Value) -> Value {
        self.client.call(method, params).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    async fn metrics(&self) -> String {
        self.gateway.get("metrics", "/metrics").await.1
    }

    /// Cuts the link, and waits until the gateway knows.
    async fn cut(&self, router: &RunningRouter) {
        router.cut(self.mud).await;
        self.gateway.logged("SessionLost").await;
    }

    /// Waits until the last that the gateway heard of the link of another mud is this.
    async fn knows(&self, mud: &str, connected: bool) {
        let heard = format!("\"mud\":\"{mud}\",\"connected\":");
        let expected = format!("{heard}{connected}");
        let knows = async || {
            let log = self.gateway.whole_log();
            log.lines().rfind(|line| line.contains(&heard)).is_some_and(|line| line.contains(&expected))
        };
        until(knows, "heard of the link").await;
    }
}

/// Waits until something is true.
async fn until(is_true: impl AsyncFn() -> bool, what: &str) {
    let start = Instant::now();
    while !is_true().await {
        assert!(start.elapsed() < Duration::from_secs(20), "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn tell_users(client: &Client, user: &str) {
    let users = json!({"users": [{"name": user, "title": "the Bold", "level": 9, "idle": 60}]});
    client.call("presence_sync", users).await.unwrap();
}

async fn two(router: &RunningRouter, nats: &Nats) -> (Side, Side) {
    let dawn = Side::start("Dawn", "ann", router, nats).await;
    let dusk = Side::start("Dusk", "bob", router, nats).await;
    known_up(&dawn, "Dusk").await;
    (dawn, dusk)
}

/// All that the user of one mud can do to the other's, and ask about it, each within a time.
async fn reaches(from: &Side, to: &Side, within: Duration) {
    let told = |more: Value| {
        let mut params = json!({"target_mud": to.mud, "target_user": to.user, "from_user": from.user});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };
    for (method, text, event) in [
        ("tell", json!({"message": "pst"}), "tell_received"),
        ("emoteto", json!({"emote": "$N nods."}), "emoteto_received"),
        ("beep", json!({}), "beep_received"),
    ] {
        let start = Instant::now();
        let status = from.call(method, told(text)).await["status"].clone();
        // After a registration the pace lets what goes by the router wait a moment.
        assert!(status == "sent" || (within > SOON && status == "queued"), "{method}: {status}");
        let event = to.client.wait_event(is(event), within).await.unwrap();
        assert_eq!(
            (&event["params"]["from_mud"], &event["params"]["to_user"]),
            (&json!(from.mud), &json!(to.user))
        );
        assert!(start.elapsed() < within, "{method}: {:?}", start.elapsed());
    }
    let wait = || told(json!({"timeout": within.as_secs(), "channel": CHANNEL}));
    assert_eq!(from.call("who", wait()).await["users"][0]["name"], to.user);
    assert_eq!(from.call("finger", wait()).await["user_info"]["title"], "the Bold");
    assert_eq!(from.call("channel_who", wait()).await["users"], json!([to.user]));
    assert_eq!(from.call("user_info", wait()).await["visname"], to.user);
    assert_eq!(found(from, to.user).await, [to.mud]);
    let unknown = told(json!({"target_user": "zoe", "wait": true}));
    let unknown = from.client.call("finger", unknown).await.unwrap_err();
    assert_eq!(unknown.rpc().unwrap().data, Some(json!({"error_code": "unk-user", "from_mud": to.mud})));
}

/// The muds at which a search finds a user, sorted.
async fn found(from: &Side, user: &str) -> Vec<String> {
    let params = json!({"target_user": user, "from_user": from.user, "timeout": 1});
    let answer = from.call("locate", params).await;
    let places = answer["locations"].as_array().unwrap().iter();
    let mut muds: Vec<_> = places.map(|place| place["mud"].as_str().unwrap().to_owned()).collect();
    muds.sort();
    muds
}

#[tokio::test]
async fn users_reach_each_other_by_the_bus_while_one_link_is_cut_and_not_before() {
    let (router, nats) = (router().await, Nats::start().await);
    let (dawn, dusk) = two(&router, &nats).await;
    reaches(&dawn, &dusk, WITHIN).await;
    reaches(&dusk, &dawn, WITHIN).await;
    for side in [&dawn, &dusk] {
        let metrics = side.metrics().await;
        assert!(!metrics.contains("bus_packets_total{") && !metrics.contains("bus_handed_over_total{"));
    }

    dusk.cut(&router).await;
    dawn.knows("Dusk", false).await;
    reaches(&dawn, &dusk, SOON).await;
    reaches(&dusk, &dawn, SOON).await;
    let metrics = dawn.metrics().await;
    for line in [
        "bus_packets_total{direction=\"out\",type=\"tell\"} 1",
        "bus_packets_total{direction=\"in\",type=\"tell\"} 1",
        "bus_packets_total{direction=\"in\",type=\"who-reply\"} 1",
        "bus_packets_total{direction=\"in\",type=\"locate-reply\"} 1",
        "bus_handed_over_total{outcome=\"taken\"} 7",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn users_reach_each_other_by_the_bus_while_both_links_are_cut_and_not_after() {
    let (router, nats) = (router().await, Nats::start().await);
    let (dawn, dusk) = two(&router, &nats).await;
    for side in [&dawn, &dusk] {
        side.cut(&router).await;
    }
    reaches(&dawn, &dusk, SOON).await;
    reaches(&dusk, &dawn, SOON).await;

    let (mark, before) = (router.mark(), dawn.metrics().await);
    for side in [&dawn, &dusk] {
        router.restore(side.mud).await;
        side.call("reconnect", json!({})).await;
        registered_since(&router, mark, side.mud).await;
    }
    dawn.knows("Dusk", true).await;
    dusk.knows("Dawn", true).await;
    known_up(&dawn, "Dusk").await;
    let params = json!({"target_mud": "Dusk", "target_user": "bob", "message": "by the router"});
    dawn.call("tell", params).await;
    received(&router, mark, "by the router").await;
    let handed_over = |metrics: &str| {
        let lines = metrics.lines().filter(|line| line.starts_with("bus_handed_over_total{"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(handed_over(&dawn.metrics().await), handed_over(&before));
}

/// Waits until the router has told that a mud is up.
async fn known_up(side: &Side, mud: &str) {
    let is_up = async || {
        let muds = side.call("mudlist", json!({})).await;
        muds["muds"].as_array().unwrap().iter().any(|entry| entry["name"] == mud && entry["status"] == "up")
    };
    until(is_up, "the mud is up").await;
}

#[tokio::test]
async fn a_search_finds_each_mud_once_whichever_links_are_cut() {
    let (router, nats) = (router().await, Nats::start().await);
    let (dawn, dusk) = two(&router, &nats).await;
    let noon = Side::start("Noon", "bob", &router, &nats).await;
    assert_eq!(found(&dawn, "bob").await, ["Dusk", "Noon"]);
    dusk.cut(&router).await;
    for side in [&dawn, &noon] {
        side.knows("Dusk", false).await;
    }
    assert_eq!(found(&dawn, "bob").await, ["Dusk", "Noon"]);
    assert_eq!(found(&noon, "ann").await, ["Dawn"]);
    assert_eq!(found(&dusk, "ann").await, ["Dawn"]);
    assert_eq!(found(&dusk, "bob").await, ["Noon"]);
}

#[tokio::test]
async fn what_is_for_a_mud_nobody_hosts_waits_for_the_router_as_ever() {
    let (router, nats) = (router().await, Nats::start().await);
    let (dawn, _dusk) = two(&router, &nats).await;
    dawn.cut(&router).await;
    let tell = |mud: &str| json!({"target_mud": mud, "target_user": "eve", "message": "later"});
    assert_eq!(dawn.call("tell", tell("Elsewhere")).await["status"], "queued");
    assert_eq!(dawn.call("tell", tell(&"x".repeat(5000))).await["status"], "queued");
    let metrics = dawn.metrics().await;
    assert!(metrics.contains("bus_handed_over_total{outcome=\"nobody\"} 2"), "{metrics}");
    let mark = router.mark();
    router.restore("Dawn").await;
    dawn.call("reconnect", json!({})).await;
    received(&router, mark, "later").await;
}

#[tokio::test]
async fn a_cut_mud_whose_gateway_is_gone_too_is_away() {
    let (router, nats) = (router().await, Nats::start().await);
    let (dawn, dusk) = two(&router, &nats).await;
    dusk.cut(&router).await;
    dawn.knows("Dusk", false).await;
    dusk.gateway.killed().await;
    nobody_on(&direct_subject(router.name(), "Dusk", "Test"), &nats).await;
    let params = json!({"target_mud": "Dusk", "target_user": "bob", "message": "hi"});
    let refused = dawn.client.call("tell", params).await.unwrap_err();
    assert!(refused.to_string().contains("Dusk is not connected now; nothing was sent"), "{refused}");
    assert_eq!(refused.rpc().unwrap().data, Some(json!({"field": "target_mud", "mud_name": "Dusk"})));
    assert_eq!(dawn.call("who", json!({"target_mud": "Dusk"})).await["status"], "unavailable");
}

/// Waits until the bus has noticed that nobody takes a subject any more.
async fn nobody_on(subject: &str, nats: &Nats) {
    let bus = async_nats::connect(nats.url()).await.unwrap();
    let asked = async || {
        let request = Request::new().timeout(Some(Duration::from_millis(100)));
        bus.send_request(subject.to_owned(), request).await
    };
    let nobody = async || asked().await.is_err_and(|error| error.kind() == RequestErrorKind::NoResponders);
    until(nobody, "nobody is there").await;
}

#[tokio::test]
async fn what_may_have_arrived_is_said_to_be_unknown_and_goes_no_other_way() {
    let (router, nats) = (router().await, Nats::start().await);
    let (dawn, _dusk) = two(&router, &nats).await;
    let bus = async_nats::connect(nats.url()).await.unwrap();
    let mut mute = bus.subscribe(direct_filter(router.name(), "Mute")).await.unwrap();
    bus.flush().await.unwrap();
    dawn.cut(&router).await;
    let params = json!({"target_mud": "Mute", "target_user": "eve", "message": "hello?"});
    let unknown = dawn.client.call("tell", params).await.unwrap_err();
    assert!(unknown.to_string().contains("it is not known whether this arrived"), "{unknown}");
    assert!(mute.next().await.is_some(), "it did arrive");
    let metrics = dawn.metrics().await;
    assert!(metrics.contains("bus_handed_over_total{outcome=\"unknown\"} 1"), "{metrics}");
    assert!(metrics.contains("i3_packet_queue_size 0"), "{metrics}");
}

#[tokio::test]
async fn what_is_forged_on_the_bus_is_dropped_and_counted() {
    let (router, nats) = (router().await, Nats::start().await);
    let (dawn, _dusk) = two(&router, &nats).await;
    let inbox = format!("{}.answer", inbox_prefix(router.name(), "Dusk"));
    let bus = async_nats::ConnectOptions::new().custom_inbox_prefix(inbox).connect(nats.url()).await.unwrap();
    let hand_over = async |text: &str| {
        let ours = direct_subject(router.name(), "Dawn", "Dusk");
        let request = Request::new().payload(text.to_owned().into()).inbox(bus.new_inbox());
        let answer = bus.send_request(ours, request).await.unwrap();
        String::from_utf8(answer.payload.to_vec()).unwrap()
    };
    for (forged, reason) in [
        (r#"({"tell",5,"*test","root","Dawn","ann","Root","obey",})"#, "origin"),
        (r#"({"tell",5,"Dawn","ann","Dawn","ann","Ann","it is I",})"#, "origin"),
        (r#"({"tell",5,"Noon","ann","Dawn","ann","Ann","I am Noon",})"#, "origin"),
        (r#"({"tell",5,"Dusk","bob","Noon","ann","Bob","not for you",})"#, "target"),
        (r#"({"startup-reply",5,"Dusk",0,"Dawn",0,({({"*evil","127.0.0.1 1",}),}),1,})"#, "type"),
        (r#"({"mudlist",5,"Dusk",0,"Dawn",0,1,(["Dusk":0,]),})"#, "type"),
        ("gibberish", "unreadable"),
    ] {
        assert_eq!(hand_over(forged).await, "refused", "{forged}");
        let line = format!("bus_packets_refused_total{{reason=\"{reason}\"}}");
        assert!(dawn.metrics().await.contains(&line), "{line}");
    }
    // To everyone nothing but a search may go, and it needs no answer.
    let everyone = everyone_subject(router.name(), "Dusk");
    let shutdown = r#"({"shutdown",5,"Dusk",0,0,0,0,})"#;
    bus.publish(everyone, shutdown.into()).await.unwrap();
    // Nobody has us answer where we may publish, and the asker may not.
    let elsewhere = format!("$KV.{STATE_BUCKET}.{}", state_key(router.name(), "Dawn", "password"));
    let tell = r#"({"tell",5,"Dusk","bob","Dawn","ann","Bob","to elsewhere",})"#;
    let ours = direct_subject(router.name(), "Dawn", "Dusk");
    bus.publish_with_reply(ours, elsewhere, tell.into()).await.unwrap();
    let told = dawn.client.wait_event(is("tell_received"), WITHIN).await.unwrap();
    assert_eq!(told["params"]["message"], "to elsewhere");
    let bucket = nats.context().await.get_key_value(STATE_BUCKET).await.unwrap();
    let password = bucket.get(state_key(router.name(), "Dawn", "password")).await.unwrap().unwrap();
    assert_ne!(*password, *b"taken");
    let honest = r#"({"tell",5,"Dusk","bob","Dawn","ann","Bob","honestly",})"#;
    assert_eq!(hand_over(honest).await, "taken");
    let told = dawn.client.wait_event(is("tell_received"), WITHIN).await.unwrap();
    assert_eq!(told["params"]["message"], "honestly", "nothing else came before");
    let metrics = dawn.metrics().await;
    for line in [
        "bus_packets_refused_total{reason=\"origin\"} 3",
        "bus_packets_refused_total{reason=\"type\"} 3",
        "bus_packets_total{direction=\"in\",type=\"tell\"} 2",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let known = dawn.call("mudlist", json!({})).await;
    assert!(known["muds"].as_array().unwrap().iter().any(|mud| mud["name"] == "Dusk"), "{known}");
}

#[tokio::test]
async fn a_mud_that_floods_another_over_the_bus_is_bounded() {
    let (router, nats) = (router().await, Nats::start().await);
    let (dawn, _dusk) = two(&router, &nats).await;
    let bus = async_nats::connect(nats.url()).await.unwrap();
    for _ in 0..500 {
        let tell = r#"({"tell",5,"Noon","bob","Dawn","ann","Bob","buy",})"#;
        bus.publish(direct_subject(router.name(), "Dawn", "Noon"), tell.into()).await.unwrap();
    }
    bus.flush().await.unwrap();
    let all_counted = async || {
        let metrics = dawn.metrics().await;
        let count = |name: &str| -> u32 {
            let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
            value.unwrap_or_default()
        };
        let taken = count("bus_packets_total{direction=\"in\",type=\"tell\"}");
        let refused = count("bus_packets_refused_total{reason=\"rate\"}");
        assert!(taken <= 200, "{taken} taken within a few seconds");
        taken + refused == 500
    };
    until(all_counted, "all counted").await;
}

#[tokio::test]
async fn after_an_outage_of_the_bus_packets_go_by_it_again() {
    let (router, mut nats) = (router().await, Nats::start().await);
    let (dawn, dusk) = two(&router, &nats).await;
    dusk.cut(&router).await;
    dawn.knows("Dusk", false).await;
    let tell = async |text: &str| {
        let params = json!({"target_mud": "Dusk", "target_user": "bob", "message": text, "from_user": "ann"});
        dawn.client.call("tell", params).await
    };
    nats.stop().await;
    dawn.gateway.logged("disconnected").await;
    let refused = tell("into the void").await.unwrap_err();
    assert!(refused.to_string().contains("Dusk is not connected now"), "{refused}");
    nats.restart().await;
    // Dawn may be back before Dusk is.
    until(async || tell("back again").await.is_ok(), "by the bus").await;
    let told = dusk.client.wait_event(is("tell_received"), WITHIN).await.unwrap();
    assert_eq!(told["params"]["message"], "back again");
}

#[tokio::test]
async fn of_two_processes_of_a_mud_the_one_that_holds_the_session_takes_packets() {
    let (router, nats) = (router().await, Nats::start().await);
    let (dawn, dusk) = two(&router, &nats).await;
    let standby = Gateway::start("Dusk", &router, &[("NATS_URL", nats.url().as_str())]).await;
    standby.logged("\"reason\":\"Standby\"").await;
    let bystander = standby.listener().await;
    dawn.cut(&router).await;
    reaches(&dawn, &dusk, SOON).await;
    let metrics = standby.get("metrics", "/metrics").await.1;
    assert!(!metrics.contains("bus_packets_total{"), "{metrics}");
    // A process that stands by has no link, so what its clients say goes by the bus.
    let params = json!({"target_mud": "Dawn", "target_user": "ann", "message": "hi", "from_user": "bob"});
    assert_eq!(bystander.call("tell", params).await.unwrap()["status"], "sent");
    let told = dawn.client.wait_event(is("tell_received"), WITHIN).await.unwrap();
    assert_eq!(told["params"]["from_mud"], "Dusk");
    // Nobody spoke on a channel, so the stream of the channels is empty: it captures none of this.
    let stream = nats.context().await.get_stream(CHANNEL_STREAM).await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 0);
}

#[tokio::test]
async fn a_process_that_hangs_takes_no_share_of_what_is_for_the_one_that_took_over() {
    let (router, nats) = (router().await, Nats::start().await);
    let (dawn, dusk) = two(&router, &nats).await;
    let standby = Gateway::start("Dusk", &router, &[("NATS_URL", nats.url().as_str())]).await;
    standby.logged("\"reason\":\"Standby\"").await;
    let bob = standby.listener().await;
    tell_users(&bob, "bob").await;
    dawn.cut(&router).await;
    dusk.gateway.signal("-STOP").await;
    standby.logged("SessionEstablished").await;
    let reaches_bob = async |text: &str| {
        let tell = json!({"target_mud": "Dusk", "target_user": "bob", "message": text, "from_user": "ann"});
        assert_eq!(dawn.call("tell", tell).await["status"], "sent", "{text}");
        let told = bob.wait_event(is("tell_received"), WITHIN).await.unwrap();
        assert_eq!(told["params"]["message"], text);
    };
    for number in 0..10 {
        reaches_bob(&number.to_string()).await;
    }

    // When it goes on it takes nothing either.
    dusk.gateway.signal("-CONT").await;
    dusk.gateway.logged("another process of this mud took over").await;
    reaches_bob("last").await;
    let metrics = dusk.metrics().await;
    assert!(!metrics.contains("bus_packets_total{direction=\"in\""), "{metrics}");
}
