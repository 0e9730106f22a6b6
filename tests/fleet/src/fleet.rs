//! The gateways, all in this process.

use std::collections::BTreeMap;

use mudgateway::config::{Config, Layers};
use mudgateway::run::run;
use mudgateway_telemetry::log::{self, Format, Handle, Levels, LevelsError, Output};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::NETWORK;

/// The API key of every gateway here.
const KEY: &str = "a key for the fleet";

/// Where the gateways find things.
pub(crate) struct Places {
    pub(crate) router: String,
    pub(crate) port: u16,
    pub(crate) nats: String,
}

/// Running gateways.
pub(crate) struct Fleet {
    tasks: JoinSet<Result<(), String>>,
    stop: CancellationToken,
    /// What the gateways log, which nobody reads.
    log: Handle,
    /// Of each mud's first process.
    stops: BTreeMap<String, CancellationToken>,
}

impl Fleet {
    /// Starts so many gateways at once.
    pub(crate) fn start(muds: usize, places: &Places) -> Result<Self, String> {
        let levels: Levels = "off".parse().map_err(|error: LevelsError| error.to_string())?;
        let mut fleet = Self {
            tasks: JoinSet::new(),
            stop: CancellationToken::new(),
            log: log::start(&levels, Format::Text, &[], Output::Stderr, None),
            stops: BTreeMap::new(),
        };
        for index in 0..muds {
            fleet.add(&name(index), "first", places)?;
        }
        Ok(fleet)
    }

    /// Starts one more gateway.
    pub(crate) fn add(&mut self, mud: &str, process: &str, places: &Places) -> Result<(), String> {
        let config = config(mud, process, places)?;
        let stop = self.stop.child_token();
        self.stops.entry(mud.to_owned()).or_insert_with(|| stop.clone());
        let (mud, log) = (mud.to_owned(), self.log.clone());
        self.tasks.spawn_local(async move {
            run(config, log, stop.cancelled_owned()).await.map_err(|error| format!("{mud}: {error}"))
        });
        Ok(())
    }

    /// Ends a mud's first process.
    pub(crate) fn leave(&self, mud: &str) {
        if let Some(stop) = self.stops.get(mud) {
            stop.cancel();
        }
    }

    /// Resolves when a gateway fails, with what it said.
    pub(crate) async fn failed(&mut self) -> String {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(said))) => return said,
                Some(Err(error)) => return error.to_string(),
                None => return "there are no gateways".to_owned(),
            }
        }
    }

    /// Ends all.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// The name of a mud.
pub(crate) fn name(index: usize) -> String {
    format!("Mud{index:03}")
}

fn config(mud: &str, process: &str, places: &Places) -> Result<Config, String> {
    let holder = format!("{mud}-{process}");
    let port = places.port.to_string();
    let environment: BTreeMap<&str, &str> = BTreeMap::from([
        ("MUD_NAME", mud),
        ("I3_ROUTER_NAME", places.router.as_str()),
        ("I3_ROUTER_HOST", "127.0.0.1"),
        ("I3_ROUTER_PORT", port.as_str()),
        ("I3_NETWORK", NETWORK),
        ("I3_GATEWAY_SECRET", KEY),
        ("NATS_URL", places.nats.as_str()),
        ("POD_NAME", holder.as_str()),
        ("API_WS_HOST", "127.0.0.1"),
        ("API_WS_PORT", "0"),
        ("API_TCP_ENABLED", "false"),
        ("ENABLE_METRICS", "false"),
    ]);
    let look_up = |name: &str| environment.get(name).map(|value| (*value).to_owned());
    Layers::parse_file("", "")
        .and_then(|file| Config::resolve(Layers::new(BTreeMap::new(), &look_up, file), "fleet"))
        .map_err(|error| error.to_string())
}
