//! Configuration: flags, then environment, then a YAML file, and one error that lists all that is wrong.

mod announced;
mod channels;
mod egress;
mod keys;
mod layers;
mod logging;
mod settings;
mod source;
mod variables;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use mudgateway_identity::{LoginFiles, parse_servers};
use mudgateway_telemetry::traces::Endpoint;

use crate::api::Limits;
use crate::api::http::Served;
use crate::bus::Nats;
use crate::bus::report::ResourceName;
use crate::keys::{KeySpec, RateLimits};
use crate::mud::{Mud, Offer};
use crate::net::TlsFiles;
use crate::oob::Settings;
use crate::router::{PACKETS_PER_SECOND, RouterAddress, Rules};
use crate::services::{Configured, FilterDefault, Pattern, Policy};

pub use layers::{Ignored, Layers, Problem};
pub use logging::Log;
pub use settings::{SETTINGS, Setting};
pub use source::Source;
pub use variables::parse_env_file;

/// Where metrics are unless another port is given.
const METRICS_PORT: u16 = 9090;

/// The whole configuration, checked.
///
/// It holds secrets and so has no `Debug`.
pub struct Config {
    /// Who we are on the network.
    pub mud: Mud,
    /// The network's name on the bus: muds of one network hear each other.
    pub network: String,
    /// The routers and the way there.
    pub rules: Rules,
    /// A router password to start with, for a mud that is known to the router already.
    pub router_password: Option<i64>,
    /// The channels that are configured.
    pub channels: BTreeMap<String, Configured>,
    /// The rules for what comes in and goes out.
    pub policy: Policy,
    /// How many messages of each channel are remembered.
    pub history: usize,
    /// What becomes of a message on a filtered channel of ours that nobody decides about.
    pub filter_default: FilterDefault,
    /// Whether all muds are told what our users are called.
    pub announce_users: bool,
    /// How conversations with other muds are had.
    pub oob: Settings,
    /// The client API.
    pub api: Api,
    /// Where `/metrics` and health are served, if at all.
    pub metrics: Option<SocketAddr>,
    /// The bus; none in standalone mode.
    pub nats: Option<Nats>,
    /// The `MudGateway` this process works for, if any.
    pub kubernetes: Option<ResourceName>,
    /// This process' name in reports.
    pub holder: String,
    /// Where state is kept in standalone mode.
    pub state_directory: PathBuf,
    /// Where this comes from, if it is to be read again while the gateway runs.
    pub source: Option<Source>,
    /// What to log, and how.
    pub log: Log,
    /// Where traces are sent, if anywhere.
    pub traces: Option<Endpoint>,
    /// Settings of the file that change nothing, such as those of a Python gateway that have no meaning here.
    pub ignored: Vec<Ignored>,
}

/// The client API's listeners and keys.
pub struct Api {
    /// HTTP and WebSocket.
    pub websocket: SocketAddr,
    /// TCP lines, unless they are off.
    pub tcp: Option<SocketAddr>,
    /// TLS for both, if any.
    pub tls: Option<TlsFiles>,
    /// The keys that clients authenticate with.
    pub keys: Vec<KeySpec>,
    /// How fast keys may be used.
    pub rates: RateLimits,
    /// What a client may do to us.
    pub limits: Limits,
    /// What is served to clients besides health.
    pub served: Served,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        writeln!(f, "the configuration has {count} problem{}:", if count == 1 { "" } else { "s" })?;
        for problem in &self.problems {
            writeln!(f, "  {problem}")?;
        }
        Ok(())
    }
}

impl Config {
    /// Resolves and checks all settings.
    ///
    /// # Errors
    /// One [`ConfigError`] with everything that is missing or wrong in any layer.
    pub fn resolve(mut layers: Layers<'_>, hostname: &str) -> Result<Self, ConfigError> {
        let routers = routers(&mut layers);
        let host = layers.parsed("api.host", "an IP address").unwrap_or(Ipv6Addr::UNSPECIFIED.into());
        let tcp_host = layers.parsed("api.tcp.host", "an IP address").unwrap_or(host);
        let metrics_host = layers.parsed("metrics.host", "an IP address").unwrap_or(host);
        let metrics_port = layers.port("metrics.port").unwrap_or(METRICS_PORT);
        let metrics_on = layers.boolean("metrics.enabled").unwrap_or(true);
        let (oob, offer) = oob(&mut layers, host);
        let tcp_on = layers.boolean("api.tcp.enabled").unwrap_or(true);
        let tcp_port = layers.port("api.tcp.port").unwrap_or(8081);
        let mud = Mud { oob: offer, ..mud(&mut layers) };
        let nats = nats(&mut layers);
        let mut config = Self {
            oob,
            network: layers.text("network").unwrap_or_else(|| first_name(&routers)),
            router_password: layers.parsed("router.primary.password", "a whole number"),
            channels: channels::channels(&mut layers, nats.is_some()),
            policy: policy(&mut layers),
            history: layers.parsed("channels.history_size", "a whole number").unwrap_or(100),
            filter_default: filter_default(&mut layers),
            announce_users: layers.boolean("services.announce_users").unwrap_or(false),
            api: Api {
                websocket: (host, layers.port("api.port").unwrap_or(8080)).into(),
                tcp: tcp_on.then_some((tcp_host, tcp_port).into()),
                tls: tls(&mut layers),
                keys: keys::specs(&mut layers, &mud.name),
                rates: keys::rates(&mut layers),
                limits: limits(&mut layers),
                served: Served {
                    websocket: layers.boolean("api.websocket.enabled").unwrap_or(true),
                    echo: layers.boolean("development.websocket_echo").unwrap_or(false),
                    status_page: layers.boolean("api.status_page").unwrap_or(false),
                },
            },
            metrics: metrics_on.then_some((metrics_host, metrics_port).into()),
            nats,
            kubernetes: resource_name(&mut layers),
            holder: layers.text("holder").unwrap_or_else(|| hostname.to_owned()),
            state_directory: layers.text("state.directory").unwrap_or_else(|| "state".to_owned()).into(),
            source: None,
            log: logging::log(&mut layers),
            traces: logging::traces(&mut layers),
            ignored: Vec::new(),
            mud,
            rules: Rules {
                routers,
                packets_per_second: packets_per_second(&mut layers),
                egress: egress::egress(&mut layers),
            },
        };
        layers.unknown_entries();
        layers.unresolved_references();
        separate_metrics(&mut layers, &mut config);
        config.ignored = layers.take_ignored();
        if config.api.keys.is_empty() {
            layers.problem(
                "gateway.auth.secret",
                "no API key is given: set I3_GATEWAY_SECRET, or name a file in api.auth.key_files",
            );
        }
        layers.finish(config)
    }
}

/// The Python gateway serves metrics at the API's port, and its file says so; here they have one of their own.
fn separate_metrics(layers: &mut Layers<'_>, config: &mut Config) {
    if let Some(metrics) = &mut config.metrics
        && *metrics == config.api.websocket
        && metrics.port() != 0
    {
        metrics.set_port(METRICS_PORT);
        layers.ignore("metrics.port", format!("it is the API's port: metrics are at {METRICS_PORT}"));
    }
}

fn mud(layers: &mut Layers<'_>) -> Mud {
    let mut text = |path, default: &str| layers.text(path).unwrap_or_else(|| default.to_owned());
    let mut mud = Mud {
        name: text("mud.name", ""),
        port: 4000,
        admin_email: text("mud.admin_email", ""),
        mudlib: text("mud.mudlib", "Custom"),
        base_mudlib: text("mud.base_mudlib", "Custom"),
        driver: text("mud.driver", "Custom"),
        mud_type: text("mud.mud_type", "LP"),
        open_status: text("mud.open_status", "open"),
        own_services: Vec::new(),
        other_data: Vec::new(),
        oob: Offer::default(),
    };
    mud.own_services = announced::own_services(layers);
    mud.other_data = announced::other_data(layers);
    if let Some(port) = layers.port("mud.port") {
        mud.port = port;
    }
    if mud.name.is_empty() {
        layers.missing("mud.name");
    } else if mud.name.chars().any(char::is_control) || mud.name.chars().count() > 64 {
        layers.problem("mud.name", "must be 1 to 64 printable characters");
    }
    mud
}

/// How conversations are had, and what is offered in them: nothing unless they are switched on. A file of the Python
/// gateway, which served none of it, may want something offered all the same: the third are such settings.
fn oob(layers: &mut Layers<'_>, host: IpAddr) -> (Settings, Offer) {
    let host = layers.parsed("oob.host", "an IP address").unwrap_or(host);
    let port = layers.port("oob.port").unwrap_or(4003);
    let advertised_port = layers.port("oob.advertised_port").unwrap_or(port);
    let address = layers.parsed("oob.advertised_address", "an IP address");
    let allow_private = layers.boolean("oob.allow_private").unwrap_or(false);
    let paths = ["mud.oob_services.mail", "mud.oob_services.news", "mud.oob_services.file"];
    let [mail, news, file] = paths.map(|path| layers.boolean(path).unwrap_or(false));
    if !layers.boolean("oob.enabled").unwrap_or(false) {
        for (path, _) in paths.into_iter().zip([mail, news, file]).filter(|(_, wanted)| *wanted) {
            layers.ignore(path, "oob.enabled is off");
        }
        return (Settings { listen: None, allow_private }, Offer::default());
    }
    if !(mail || news || file) {
        let message = "offers nothing: switch ENABLE_OOB_MAIL, ENABLE_OOB_NEWS or ENABLE_OOB_FILE on, too";
        layers.problem("oob.enabled", message);
    }
    let offer = Offer { port: advertised_port, address, mail, news, file };
    (Settings { listen: Some((host, port).into()), allow_private }, offer)
}

fn routers(layers: &mut Layers<'_>) -> Vec<RouterAddress> {
    let primary = RouterAddress {
        name: layers.text("router.primary.name").unwrap_or_default(),
        host: layers.text("router.primary.host").unwrap_or_default(),
        port: layers.port("router.primary.port").unwrap_or(8080),
    };
    if primary.host.is_empty() {
        layers.missing("router.primary.host");
    }
    if primary.name.is_empty() {
        layers.missing("router.primary.name");
    } else {
        check_router_name(layers, "router.primary.name", &primary.name);
    }
    let mut routers = vec![primary];
    routers.extend(layers.fallback_routers());
    for router in &routers[1..] {
        check_router_name(layers, "router.fallback", &router.name);
    }
    routers
}

/// A registration counts as six packets, and probes of the link come on top of the pace.
fn packets_per_second(layers: &mut Layers<'_>) -> usize {
    let path = "router.packets_per_second";
    match layers.count(path) {
        None => PACKETS_PER_SECOND,
        Some(pace @ 6..=9) => pace,
        Some(other) => {
            layers.problem(path, format!("{other} is not 6 to 9"));
            PACKETS_PER_SECOND
        }
    }
}

fn check_router_name(layers: &mut Layers<'_>, path: &'static str, name: &str) {
    if !name.starts_with('*') || name.len() < 2 {
        layers.problem(path, format!("{name:?} is not a router's name: these start with a star, as in *i4"));
    }
}

fn first_name(routers: &[RouterAddress]) -> String {
    routers.first().map(|router| router.name.clone()).unwrap_or_default()
}

fn tls(layers: &mut Layers<'_>) -> Option<TlsFiles> {
    let client_ca = layers.text("api.tls.client_ca_file").map(PathBuf::from);
    let required = layers.boolean("api.auth.require_tls").unwrap_or(false);
    match (layers.text("api.tls.certificate_file"), layers.text("api.tls.key_file")) {
        (Some(certificate), Some(key)) => {
            Some(TlsFiles { certificate: certificate.into(), key: key.into(), client_ca })
        }
        (None, None) if required => {
            layers.problem(
                "api.auth.require_tls",
                "is on, but there is no TLS: set api.tls.certificate_file and api.tls.key_file",
            );
            None
        }
        (None, None) if client_ca.is_none() => None,
        _ => {
            layers.problem("api.tls", "needs both certificate_file and key_file");
            None
        }
    }
}

fn policy(layers: &mut Layers<'_>) -> Policy {
    let mut policy = Policy::default();
    if let Some(length) = layers.count("channels.max_message_length") {
        policy.message_length = length;
    }
    for path in ["policies.ignore", "policies.bans"] {
        for text in layers.list(path, "") {
            match Pattern::parse(&text) {
                Ok(pattern) => policy.ignore.push(pattern),
                Err(error) => layers.problem(path, error.to_string()),
            }
        }
    }
    policy
}

fn filter_default(layers: &mut Layers<'_>) -> FilterDefault {
    match layers.text("channels.filter_default").as_deref() {
        None | Some("pass") => FilterDefault::Pass,
        Some("drop") => FilterDefault::Drop,
        Some(other) => {
            layers.problem("channels.filter_default", format!("{other:?} is not pass or drop"));
            FilterDefault::Pass
        }
    }
}

fn limits(layers: &mut Layers<'_>) -> Limits {
    let default = Limits::default();
    // The Python gateway counts both transports apart; here they share one limit.
    let connections = layers.original_count(&["api.websocket.max_connections", "api.tcp.max_connections"]);
    let message_bytes = layers.original_count(&["api.websocket.max_frame_size"]);
    let mut count =
        |path, original: Option<usize>, default| layers.count(path).or(original).unwrap_or(default);
    Limits {
        connections: count("api.limits.connections", connections, default.connections),
        message_bytes: count("api.limits.message_bytes", message_bytes, default.message_bytes),
        queue_bytes: layers.count("api.limits.queue_bytes").unwrap_or(default.queue_bytes),
        authentication: layers.seconds("api.limits.authentication_seconds").unwrap_or(default.authentication),
        write: layers.seconds("api.limits.write_seconds").unwrap_or(default.write),
        drain: layers.seconds("api.limits.drain_seconds").unwrap_or(default.drain),
        ping_interval: layers.seconds("api.websocket.ping_interval").unwrap_or(default.ping_interval),
    }
}

fn nats(layers: &mut Layers<'_>) -> Option<Nats> {
    let mut file = |path| layers.text(path).map(PathBuf::from);
    let files = LoginFiles {
        credentials: file("nats.credentials_file"),
        ca: file("nats.ca_file"),
        certificate: file("nats.certificate_file"),
        key: file("nats.key_file"),
    };
    if files.certificate.is_some() != files.key.is_some() {
        layers.problem("nats.certificate_file", "must be given together with nats.key_file");
    } else if files.certificate.is_some() && files.ca.is_none() {
        layers.problem("nats.certificate_file", "needs nats.ca_file besides, by which the server is known");
    }
    let url = layers.text("nats.url");
    if url.is_none() && files != LoginFiles::default() {
        layers.problem("nats.url", "is missing: files for NATS are given, but no server");
    }
    match parse_servers(&url?) {
        Ok(servers) => Some(Nats { servers, files }),
        Err(error) => {
            layers.problem("nats.url", error.to_string());
            None
        }
    }
}

fn resource_name(layers: &mut Layers<'_>) -> Option<ResourceName> {
    match (layers.text("kubernetes.namespace"), layers.text("kubernetes.name")) {
        (Some(namespace), Some(name)) => Some(ResourceName { namespace, name }),
        (None, None) => None,
        (_, None) => {
            layers.problem("kubernetes.name", "must be given together with kubernetes.namespace");
            None
        }
        (None, _) => {
            layers.problem("kubernetes.namespace", "must be given together with kubernetes.name");
            None
        }
    }
}

#[cfg(test)]
mod tests;
