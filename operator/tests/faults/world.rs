//! An operator as it is shipped, an API server that fails, and a clock that runs as fast as it can.

use std::time::Duration;

use clap::Parser;
use kube::Config;
use mudgateway_operator::Error;
use mudgateway_operator::settings::{LogFormat, Settings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::{Api, overlay};
use crate::target::Target;

const GROUP: &str = "intermud.dev/v1alpha1";
pub(crate) const TENANT: &str = "tenant-a";

/// How far the clock jumps at most while requests are on their way: they take no time by it.
const TICK: Duration = Duration::from_millis(20);

/// All that takes part.
pub(crate) struct World {
    pub(crate) api: Api,
    url: String,
    http: std::net::SocketAddr,
    operator: Option<(CancellationToken, JoinHandle<Result<(), Error>>)>,
}

impl World {
    /// An API server without an operator. The clock must be paused: `#[tokio::test(start_paused = true)]`.
    pub(crate) async fn new() -> Self {
        // Not without being asked: where logging is on, and says nothing, nobody sees a panic.
        if let Ok(levels) = std::env::var("FAULTS_LOG") {
            mudgateway_operator::telemetry::start(&levels.parse().unwrap(), LogFormat::Text);
        }
        tokio::spawn(async {
            loop {
                tokio::time::sleep(TICK).await;
            }
        });
        let (api, url) = Api::start().await;
        Self { api, url, http: ([127, 0, 0, 1], 0).into(), operator: None }
    }

    /// The same, with an operator that has seen everything.
    pub(crate) async fn start() -> Self {
        let mut world = Self::new().await;
        world.start_operator().await;
        let listed = |world: &Self| world.api.seen("watch", "mudgateways").len() == 1;
        world.until("the operator's watch", 5, async |world| listed(world)).await;
        world
    }

    pub(crate) async fn start_operator(&mut self) {
        let settings = ["operator", "--gateway-image=gateway:it", "--nats-url=nats://127.0.0.1:9"];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.http = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let config = Config::new(self.url.parse().unwrap());
        let settings = Settings::parse_from(settings);
        let serving = mudgateway_operator::serve(config, settings, listener, shutdown.clone());
        self.operator = Some((shutdown, tokio::spawn(serving)));
    }

    /// Ends the operator, which must end by itself and without an error.
    pub(crate) async fn stop(mut self) {
        let (shutdown, task) = self.operator.take().unwrap();
        assert!(!task.is_finished(), "the operator ended by itself");
        shutdown.cancel();
        task.await.unwrap().unwrap();
    }

    /// Makes a MudGateway of this name, in [`TENANT`], with additions to its spec.
    pub(crate) fn create(&self, name: &str, more: Value) {
        self.create_in(TENANT, name, more);
    }

    pub(crate) fn create_in(&self, namespace: &str, name: &str, more: Value) {
        let mut spec = json!({
            "mud": {"name": name},
            "routers": [{"name": "*demo", "host": "router.example", "port": 8787}],
        });
        overlay(&mut spec, more);
        self.api
            .put(&gateway(namespace, name), json!({"apiVersion": GROUP, "kind": "MudGateway", "spec": spec}));
    }

    /// Changes the spec of a MudGateway.
    pub(crate) fn change(&self, name: &str, spec: Value) {
        let target = gateway(TENANT, name);
        let mut object = self.api.get(&target).unwrap();
        overlay(&mut object["spec"], spec);
        self.api.put(&target, object);
    }

    /// Status, reason and message of a condition.
    pub(crate) fn condition(&self, name: &str, type_: &str) -> Option<(String, String, String)> {
        self.condition_in(TENANT, name, type_)
    }

    pub(crate) fn condition_in(
        &self,
        namespace: &str,
        name: &str,
        type_: &str,
    ) -> Option<(String, String, String)> {
        let object = self.api.get(&gateway(namespace, name))?;
        let found = object["status"]["conditions"].as_array()?.iter().find(|found| found["type"] == type_)?;
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        Some((text("status"), text("reason"), text("message")))
    }

    /// Whether a condition has this reason.
    pub(crate) fn says(&self, name: &str, type_: &str, reason: &str) -> bool {
        self.condition(name, type_).is_some_and(|(_, now, _)| now == reason)
    }

    /// Whether a gateway's objects are all there: it waits for its pods, which nobody runs here.
    pub(crate) fn is_programmed(&self, name: &str) -> bool {
        self.says(name, "Programmed", "Progressing")
    }

    /// The reasons of the events about a MudGateway.
    pub(crate) fn events(&self, name: &str) -> Vec<String> {
        let about = |event: &Value| event["regarding"]["name"] == name;
        let events = self.api.all("events").into_iter().filter(about);
        events.map(|event| event["reason"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Waits until something holds, so many seconds at most, and tells how long that took.
    pub(crate) async fn until(
        &self,
        what: &str,
        seconds: u64,
        mut holds: impl AsyncFnMut(&Self) -> bool,
    ) -> Duration {
        let start = Instant::now();
        while !holds(self).await {
            assert!(start.elapsed() <= Duration::from_secs(seconds), "{what}: not within {seconds} s");
            tokio::time::sleep(TICK).await;
        }
        start.elapsed()
    }

    /// Lets time go by.
    pub(crate) async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// The value of a metric, with its labels as it stands in the text; 0 when it is not there.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(self.http).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Nothing of a gateway was written twice: its objects once each, and each event once.
    pub(crate) fn assert_written_once(&self, name: &str) {
        let workload = format!("{name}-gateway");
        for (resource, object) in [
            ("configmaps", workload.as_str()),
            ("deployments", &workload),
            ("networkpolicies", &workload),
            ("services", name),
            ("secrets", &format!("{name}-api-key")),
        ] {
            assert_eq!(self.api.changes(resource, object), 1, "changes of {resource} {object}");
        }
        let mut events = self.events(name);
        let all = events.len();
        events.sort();
        events.dedup();
        assert_eq!(events.len(), all, "an event came twice: {events:?}");
    }
}

fn gateway(namespace: &str, name: &str) -> Target {
    Target::new(GROUP, namespace, "mudgateways", name)
}
