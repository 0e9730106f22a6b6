//! A mud whose link to the router is cut hears from another hosted mud what muds elsewhere say.

use std::time::{Duration, Instant};

use i3_router::RunningRouter;
use mudclient::Client;
use mudgateway_crds::bus::relay_subject;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::interval;

use super::bus::on_bus;
use super::raw_mud::RawMud;
use super::support::{CHANNEL, Gateway, Nats, WITHIN, hear, is, registered_since, router, say};

/// How long the speaker elsewhere waits between two messages: less than the ten a second of the router's limit.
const EVERY: Duration = Duration::from_millis(120);

/// A mud elsewhere that counts aloud.
struct Counter {
    said: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Counter {
    async fn start(router: &RunningRouter) -> Self {
        let mut mud = RawMud::start(router, "Far", 0, r#""channel":1,"#).await;
        let (sender, said) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut due = interval(EVERY);
            while !sender.is_closed() {
                due.tick().await;
                let number = *sender.borrow() + 1;
                mud.say(CHANNEL, &number.to_string()).await;
                sender.send_replace(number);
            }
        });
        Self { said, task }
    }

    fn now(&self) -> u64 {
        *self.said.borrow()
    }

    /// Waits until it has counted on.
    async fn counts(&mut self, more: u64) -> u64 {
        let wanted = self.now() + more;
        *self.said.wait_for(|said| *said >= wanted).await.unwrap()
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens up to a number: each one after the first is heard once, and in order. Returns the longest silence.
async fn hears(client: &Client, after: u64, to: u64) -> Duration {
    let (mut last, mut heard, mut silence) = (after, Instant::now(), Duration::ZERO);
    while last < to {
        let event = client.wait_event(is("channel_message"), WITHIN).await;
        let event = event.unwrap_or_else(|error| panic!("heard {last} last: {error}"));
        assert_eq!(event["params"]["from_mud"], "Far");
        let number: u64 = event["params"]["message"].as_str().unwrap().parse().unwrap();
        if after == 0 && last == 0 {
            last = number - 1;
        }
        assert_eq!(number, last + 1, "after {last}");
        (last, silence, heard) = (number, silence.max(heard.elapsed()), Instant::now());
    }
    silence
}

async fn metric(gateway: &Gateway, name: &str) -> u64 {
    let metrics = gateway.get("metrics", "/metrics").await.1;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.map_or(0, |value| value.parse().unwrap())
}

async fn is_relaying(gateway: &Gateway) -> bool {
    metric(gateway, "bus_relay_channels").await > 0
}

const OUT: &str = "bus_relayed_total{direction=\"out\"}";
const IN: &str = "bus_relayed_total{direction=\"in\"}";

#[tokio::test]
async fn a_mud_that_is_cut_hears_each_message_once_and_none_is_relayed_before_or_after() {
    let (router, nats) = (router().await, Nats::start().await);
    let mut gateways = Vec::new();
    let mut listeners = Vec::new();
    for mud in ["Dawn", "Noon", "Dusk"] {
        let gateway = on_bus(mud, &router, &nats, &[]).await;
        listeners.push(gateway.listener().await);
        gateways.push(gateway);
    }
    let dusk = &gateways[2];
    // After a registration a mud hears of relays for a while, should there be any.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let before = [metric(&gateways[0], OUT).await, metric(&gateways[1], OUT).await];
    let mut far = Counter::start(&router).await;
    let first = far.counts(5).await;
    hears(&listeners[2], 0, first).await;
    assert_eq!([metric(&gateways[0], OUT).await, metric(&gateways[1], OUT).await], before, "nobody needs it");

    router.cut("Dusk").await;
    dusk.logged("SessionLost").await;
    let cut = far.counts(20).await;
    let silence = hears(&listeners[2], first, cut).await;
    assert!(silence < Duration::from_secs(1), "{silence:?}");
    let relaying = [is_relaying(&gateways[0]).await, is_relaying(&gateways[1]).await];
    assert!(relaying[0] != relaying[1], "one of the two relays: {relaying:?}");
    assert!(metric(dusk, IN).await >= 20);

    let mark = router.mark();
    router.restore("Dusk").await;
    listeners[2].call("reconnect", json!({})).await.unwrap();
    registered_since(&router, mark, "Dusk").await;
    let back = far.counts(80).await;
    hears(&listeners[2], cut, back).await;
    let relaying = [is_relaying(&gateways[0]).await, is_relaying(&gateways[1]).await];
    assert_eq!(relaying, [false, false]);
    for listener in &listeners[..2] {
        hears(listener, 0, back).await;
    }
}

#[tokio::test]
async fn a_relay_that_dies_or_is_cut_is_replaced_and_nothing_is_lost_or_doubled() {
    let (router, nats) = (router().await, Nats::start().await);
    let mut gateways = std::collections::BTreeMap::new();
    for mud in ["Dawn", "Noon", "Eve", "Dusk"] {
        gateways.insert(mud, on_bus(mud, &router, &nats, &[]).await);
    }
    let dusk = gateways.remove("Dusk").unwrap();
    let mut others = Vec::new();
    for gateway in gateways.values() {
        others.push(gateway.listener().await);
    }
    let client = dusk.listener().await;
    let mut far = Counter::start(&router).await;
    router.cut("Dusk").await;
    dusk.logged("SessionLost").await;
    let begun = far.counts(30).await;
    hears(&client, 0, begun).await;
    let relay = relaying(&gateways).await;
    router.cut(relay).await;
    let cut = far.counts(20).await;
    assert!(hears(&client, begun, cut).await < Duration::from_secs(1));

    let relay = relaying(&gateways).await;
    gateways.remove(relay).unwrap().killed().await;
    let start = far.now();
    let killed = far.counts(60).await;
    let silence = hears(&client, cut, killed).await;
    assert!(silence < Duration::from_secs(5), "{silence:?} since {start}");
    assert_ne!(relaying(&gateways).await, relay);
}

/// The mud that relays.
async fn relaying<'m>(gateways: &std::collections::BTreeMap<&'m str, Gateway>) -> &'m str {
    let start = Instant::now();
    while start.elapsed() < WITHIN {
        for (mud, gateway) in gateways {
            if is_relaying(gateway).await {
                return mud;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody relays");
}

#[tokio::test]
async fn what_is_forged_is_not_heard() {
    let (router, nats) = (router().await, Nats::start().await);
    let _dawn = on_bus("Dawn", &router, &nats, &[]).await;
    let dusk = on_bus("Dusk", &router, &nats, &[]).await;
    let bob = dusk.listener().await;
    router.cut("Dusk").await;
    dusk.logged("SessionLost").await;
    // Dusk knows Dawn by then.
    dusk.logged("the link of another mud").await;
    let bus = async_nats::connect(nats.url()).await.unwrap();
    let relayed = |relay: &str, mud: &str, channel: &str, text: &str| {
        json!({"relay": relay, "by": 1, "number": text.len(), "age": 0, "mud": mud, "user": "eve", "channel": channel,
            "kind": "message", "visname": "Eve", "message": text})
    };
    let publish = async |subject: String, value: Value| {
        bus.publish(subject, value.to_string().into()).await.unwrap();
    };
    let subject = |relay: &str| relay_subject(router.name(), CHANNEL, relay);
    publish(subject("Dawn"), relayed("Dawn", "Dawn", CHANNEL, "as a hosted mud")).await;
    publish(subject("Dawn"), relayed("Dawn", "Dusk", CHANNEL, "as ourselves")).await;
    publish(subject("Dawn"), relayed("Dawn", router.name(), CHANNEL, "as the router")).await;
    publish(subject("Noon"), relayed("Dawn", "Far", CHANNEL, "as another relay")).await;
    publish(subject("Dawn"), relayed("Dawn", "Far", "other", "on another channel")).await;
    publish(subject("Dawn"), json!({"message": "half of one"})).await;
    publish(subject("Dawn"), relayed("Dawn", "Far", CHANNEL, "honest")).await;
    hear(&bob, &["honest"]).await;
    for (reason, count) in [("origin", 5), ("unreadable", 1)] {
        assert_eq!(metric(&dusk, &format!("bus_relay_refused_total{{reason=\"{reason}\"}}")).await, count);
    }
}

#[tokio::test]
async fn an_island_goes_on_talking_when_the_router_is_gone() {
    let (router, nats) = (router().await, Nats::start().await);
    const MUDS: [&str; 3] = ["Dawn", "Noon", "Dusk"];
    let mut sides = Vec::new();
    for mud in MUDS {
        let gateway = on_bus(mud, &router, &nats, &[]).await;
        sides.push((gateway.listener().await, gateway));
    }
    for (mud, (_, gateway)) in MUDS.into_iter().zip(&sides) {
        router.cut(mud).await;
        gateway.logged("SessionLost").await;
    }
    for (speaker, _) in &sides {
        say(speaker, &["hi", "hi"]).await;
        for (listener, _) in &sides {
            hear(listener, &["hi", "hi"]).await;
        }
    }
    for (_, gateway) in &sides {
        assert_eq!(gateway.get("metrics", "/health/ready").await.0, 200);
        assert_eq!(metric(gateway, OUT).await, 0, "there is nothing to relay");
    }
}
