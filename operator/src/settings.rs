//! Flags and environment variables.

use std::net::SocketAddr;

use async_nats::jetstream::stream::StorageType;
use clap::{Parser, ValueEnum};

use crate::bus::Layout;
use crate::index::Scope;

/// Turns MudGateway resources into gateway pods.
#[derive(Clone, Debug, Parser)]
#[command(name = "mudgateway-operator", version)]
pub struct Settings {
    /// The gateway image, for MudGateways that name none
    #[arg(long, env = "GATEWAY_IMAGE")]
    pub gateway_image: String,

    /// When nodes pull the gateway image
    #[arg(long, env = "GATEWAY_IMAGE_PULL_POLICY", value_enum, default_value_t)]
    pub gateway_image_pull_policy: PullPolicy,

    /// NATS servers, as URLs separated by commas
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    pub nats_url: String,

    /// The NATS servers the gateways are told, if theirs differ
    #[arg(long, env = "GATEWAY_NATS_URL", hide_env_values = true)]
    pub gateway_nats_url: Option<String>,

    /// Whether NATS keeps channel events and the muds' state in files or in memory
    #[arg(long, env = "NATS_STORAGE", value_enum, default_value_t)]
    pub nats_storage: NatsStorage,

    /// How many servers of a NATS cluster keep each thing
    #[arg(long, env = "NATS_REPLICAS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub nats_replicas: u8,

    /// A namespace to watch; may be repeated. None: all namespaces
    #[arg(long = "watch-namespace", env = "WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,

    /// Where health and metrics are served
    #[arg(long, env = "HTTP_LISTEN", default_value = "0.0.0.0:9090")]
    pub http_listen: SocketAddr,

    /// How many MudGateways to reconcile at the same time
    #[arg(long, env = "CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,

    /// What to log: a level, or a filter such as "info,mudgateway_operator=debug"
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub log_level: String,

    /// How to log
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// When nodes pull an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum PullPolicy {
    /// Before each start of a container.
    Always,
    /// When a node does not have it.
    #[default]
    IfNotPresent,
    /// Never.
    Never,
}

impl PullPolicy {
    /// The policy as it stands in a pod.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// Where NATS keeps things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum NatsStorage {
    /// In files.
    #[default]
    File,
    /// In memory: gone when NATS restarts.
    Memory,
}

/// How to log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object a line.
    #[default]
    Json,
}

impl Settings {
    /// What to watch: the named namespaces, each once, or all.
    pub fn scopes(&self) -> Vec<Scope> {
        let mut namespaces: Vec<Scope> =
            self.watch_namespaces.iter().filter(|name| !name.is_empty()).cloned().map(Some).collect();
        namespaces.sort();
        namespaces.dedup();
        if namespaces.is_empty() { vec![None] } else { namespaces }
    }

    /// How NATS is to keep things.
    pub fn layout(&self) -> Layout {
        Layout {
            storage: match self.nats_storage {
                NatsStorage::File => StorageType::File,
                NatsStorage::Memory => StorageType::Memory,
            },
            replicas: self.nats_replicas.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(extra: &[&str]) -> Result<Settings, clap::Error> {
        let required =
            ["mudgateway-operator", "--gateway-image", "gateway:1", "--nats-url", "nats://nats:4222"];
        Settings::try_parse_from(required.iter().chain(extra))
    }

    #[test]
    fn the_flags_are_sound() {
        Settings::command().debug_assert();
    }

    #[test]
    fn defaults_suit_a_cluster() {
        let settings = parse(&[]).unwrap();
        assert_eq!(settings.scopes(), [None]);
        assert_eq!(settings.concurrency, 16);
        assert_eq!(settings.http_listen, "0.0.0.0:9090".parse().unwrap());
        assert_eq!(settings.gateway_image_pull_policy.as_str(), "IfNotPresent");
        assert_eq!(settings.log_format, LogFormat::Json);
        assert_eq!((settings.nats_storage, settings.nats_replicas), (NatsStorage::File, 1));
    }

    #[test]
    fn each_watched_namespace_counts_once() {
        let settings = parse(&["--watch-namespace", "b", "--watch-namespace", "a,b,"]).unwrap();
        assert_eq!(settings.scopes(), [Some("a".to_owned()), Some("b".to_owned())]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for extra in
            [["--concurrency", "0"], ["--nats-replicas", "6"], ["--gateway-image-pull-policy", "often"]]
        {
            assert!(parse(&extra).is_err(), "{extra:?}");
        }
    }
}
