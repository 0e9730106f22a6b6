//! Flags and environment variables.

use std::net::SocketAddr;
use std::path::PathBuf;

use async_nats::jetstream::stream::StorageType;
use clap::{Parser, ValueEnum};
use mudgateway_layout::Layout;
use mudgateway_telemetry::log::{Format, Levels};
use mudgateway_telemetry::traces::Endpoint;

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

    /// An image that MudGateways may name besides the gateway image in any version: a repository, all below one as in
    /// "registry.example/muds/*", or "*" for any; may be repeated
    #[arg(long = "allowed-image", env = "ALLOWED_IMAGES", value_delimiter = ',')]
    pub allowed_images: Vec<String>,

    /// NATS servers, as URLs separated by commas, without passwords
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    pub nats_url: String,

    /// The NATS servers the gateways are told, if theirs differ
    #[arg(long, env = "GATEWAY_NATS_URL", hide_env_values = true)]
    pub gateway_nats_url: Option<String>,

    /// The Secret, in the operator's namespace, with the keys of a NATS of our own. Made when it is not there
    #[arg(long, env = "NATS_AUTH_SECRET", conflicts_with_all = ["nats_credentials_file", "nats_signing_key_file"])]
    pub nats_auth_secret: Option<String>,

    /// The hosts of the servers of our own NATS, if it may be a cluster
    #[arg(long, env = "NATS_ROUTE_HOSTS", value_delimiter = ',')]
    pub nats_route_hosts: Vec<String>,

    /// The operator's credentials: NATS' own form with JWT and key, or one line with user:password or a token
    #[arg(long, env = "NATS_CREDENTIALS_FILE")]
    pub nats_credentials_file: Option<PathBuf>,

    /// The seed of a signing key of the operator's account: each gateway gets an identity of its own
    #[arg(long, env = "NATS_SIGNING_KEY_FILE", requires = "nats_credentials_file")]
    pub nats_signing_key_file: Option<PathBuf>,

    /// How long an identity lasts, in seconds. It is renewed at half of that
    #[arg(long, env = "NATS_IDENTITY_SECONDS", default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(600..))]
    pub nats_identity_seconds: u32,

    /// Credentials that all gateways share, where no key signs one for each: they may do then what these allow
    #[arg(long, env = "GATEWAY_NATS_CREDENTIALS_FILE", conflicts_with_all = ["nats_auth_secret", "nats_signing_key_file"])]
    pub gateway_nats_credentials_file: Option<PathBuf>,

    /// TLS to NATS, whose certificate must be signed by one of these (PEM); gateways get the file, too
    #[arg(long, env = "NATS_CA_FILE")]
    pub nats_ca_file: Option<PathBuf>,

    /// A certificate for the operator to show to NATS (PEM)
    #[arg(long, env = "NATS_CERTIFICATE_FILE", requires_all = ["nats_key_file", "nats_ca_file"])]
    pub nats_certificate_file: Option<PathBuf>,

    /// Its private key (PEM)
    #[arg(long, env = "NATS_KEY_FILE", requires = "nats_certificate_file")]
    pub nats_key_file: Option<PathBuf>,

    /// A certificate for all gateways to show to NATS (PEM)
    #[arg(long, env = "GATEWAY_NATS_CERTIFICATE_FILE", requires_all = ["gateway_nats_key_file", "nats_ca_file"])]
    pub gateway_nats_certificate_file: Option<PathBuf>,

    /// Its private key (PEM)
    #[arg(long, env = "GATEWAY_NATS_KEY_FILE", requires = "gateway_nats_certificate_file")]
    pub gateway_nats_key_file: Option<PathBuf>,

    /// Whether NATS keeps channel events and the muds' state in files or in memory
    #[arg(long, env = "NATS_STORAGE", value_enum, default_value_t)]
    pub nats_storage: NatsStorage,

    /// How many servers of a NATS cluster keep each thing
    #[arg(long, env = "NATS_REPLICAS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub nats_replicas: u8,

    /// How much NATS keeps of the muds' state, in MiB: passwords, mudlists. When it is full, nothing new is kept
    #[arg(long, env = "NATS_STATE_MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    pub nats_state_mib: u32,

    /// A namespace from which the gateways' metrics and health may be reached; may be repeated. None: all namespaces
    #[arg(long = "gateway-metrics-namespace", env = "GATEWAY_METRICS_NAMESPACES", value_delimiter = ',')]
    pub gateway_metrics_namespaces: Vec<String>,

    /// A namespace to watch; may be repeated. None: all namespaces
    #[arg(long = "watch-namespace", env = "WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,

    /// Where health and metrics are served; [::] is everywhere, by IPv4 and IPv6
    #[arg(long, env = "HTTP_LISTEN", default_value = "[::]:9090")]
    pub http_listen: SocketAddr,

    /// How many MudGateways to reconcile at the same time, new ones in three quarters of the places; and how many that are deleted
    #[arg(long, env = "CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,

    /// How long a deleted MudGateway is held, in seconds, while NATS is away or its pods do not end
    #[arg(long, env = "DELETION_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub deletion_seconds: u16,

    /// The namespace of the Lease by which one of several operators leads. None: this one leads, and there must be no
    /// other
    #[arg(long, env = "LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,

    /// The name of that Lease
    #[arg(long, env = "LEASE_NAME", default_value = "mudgateway-operator")]
    pub lease_name: String,

    /// What to log: off, error, warn, info, debug or trace, and MODULE=LEVEL, with commas between, as in
    /// "info,mudgateway_operator::bus=debug"
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub log_level: Levels,

    /// A file that says the same, and wins; followed while the operator runs
    #[arg(long, env = "LOG_LEVEL_FILE")]
    pub log_level_file: Option<PathBuf>,

    /// An OpenTelemetry collector to send traces to (OTLP over HTTP), as in http://collector:4318. None: no traces
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<Endpoint>,

    /// The same for the gateways
    #[arg(long, env = "GATEWAY_OTLP_ENDPOINT")]
    pub gateway_otlp_endpoint: Option<Endpoint>,

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

impl From<LogFormat> for Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
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

    /// Whether a MudGateway may name this image.
    pub fn allows_image(&self, image: &str) -> bool {
        let wanted = repository(image);
        wanted == repository(&self.gateway_image)
            || self.allowed_images.iter().any(|allowed| match allowed.strip_suffix('*') {
                Some(prefix) => wanted.starts_with(prefix) && (prefix.is_empty() || prefix.ends_with('/')),
                None => wanted == repository(allowed),
            })
    }

    /// The NATS servers that the gateways are told.
    pub fn nats_url_of_gateways(&self) -> &str {
        self.gateway_nats_url.as_deref().unwrap_or(&self.nats_url)
    }

    /// How NATS is to keep things.
    pub fn layout(&self) -> Layout {
        Layout {
            storage: match self.nats_storage {
                NatsStorage::File => StorageType::File,
                NatsStorage::Memory => StorageType::Memory,
            },
            replicas: self.nats_replicas.into(),
            state_bytes: i64::from(self.nats_state_mib) << 20,
        }
    }
}

/// An image without its tag and digest.
fn repository(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.rsplit_once(':') {
        // The colon of a port comes before the last slash.
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
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
        assert_eq!((settings.concurrency, settings.deletion_seconds), (16, 60));
        assert_eq!(settings.http_listen, "[::]:9090".parse().unwrap());
        assert_eq!(settings.gateway_image_pull_policy.as_str(), "IfNotPresent");
        assert_eq!(settings.log_format, LogFormat::Json);
        assert_eq!((settings.nats_storage, settings.nats_replicas), (NatsStorage::File, 1));
    }

    #[test]
    fn images_are_allowed_by_repository() {
        let settings = parse(&["--allowed-image", "r.example:5000/muds/*,other/gateway:1,near*"]).unwrap();
        for image in [
            "gateway",
            "gateway:2",
            "gateway@sha256:00",
            "gateway:2@sha256:00",
            "r.example:5000/muds/a:1",
            "r.example:5000/muds/b/c",
            "other/gateway:9",
        ] {
            assert!(settings.allows_image(image), "{image}");
        }
        for image in ["gateway2", "x/gateway:1", "r.example:5000/mudsx:1", "r.example:5000/other", "nearby"] {
            assert!(!settings.allows_image(image), "{image}");
        }
        assert!(parse(&["--allowed-image=*"]).unwrap().allows_image("any/thing"));
    }

    #[test]
    fn each_watched_namespace_counts_once() {
        let settings = parse(&["--watch-namespace", "b", "--watch-namespace", "a,b,"]).unwrap();
        assert_eq!(settings.scopes(), [Some("a".to_owned()), Some("b".to_owned())]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for extra in [
            ["--nats-identity-seconds", "10"],
            ["--nats-signing-key-file", "x"],
            ["--nats-certificate-file", "x"],
            ["--concurrency", "0"],
            ["--nats-replicas", "6"],
            ["--nats-state-mib", "0"],
            ["--gateway-image-pull-policy", "often"],
            ["--log-level", "info,kube=loud"],
            ["--gateway-otlp-endpoint", "https://collector"],
        ] {
            assert!(parse(&extra).is_err(), "{extra:?}");
        }
    }
}
