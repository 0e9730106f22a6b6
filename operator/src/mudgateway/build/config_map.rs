//! The gateway's configuration file.
//!
//! A running gateway reads it again and follows some of it at once, above all what the network says. Only a change of
//! the rest needs a new pod.

use std::collections::BTreeMap;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::ConfigMap;
use mudgateway_crds::mudgateway::{Channel, Router};
use mudgateway_crds::network::{AddressOf, Proxy};
use serde::Serialize;

use super::deployment::{LOGIN_FOLDER, NODE_ADDRESS, key_file};
use super::{Error, METRICS_PORT, TCP_PORT, WEBSOCKET_PORT, metadata, workload_name};
use crate::mudgateway::validate::Gateway;
use crate::network::Effective;
use crate::settings::Settings;

/// The file's name in the ConfigMap, and in the pod.
pub(super) const FILE: &str = "config.yaml";

const EVERYWHERE: &str = "0.0.0.0";

/// The file as the gateway reads it.
#[derive(Serialize)]
struct Config<'a> {
    mud: Mud<'a>,
    network: &'a str,
    /// What running gateways follow; left out of what tells whether they must be replaced.
    #[serde(flatten)]
    followed: Option<Followed<'a>>,
    channels: Channels<'a>,
    api: Api,
    metrics: Metrics,
    nats: Nats<'a>,
    kubernetes: Kubernetes<'a>,
    logging: Logging,
}

/// What a running gateway follows.
#[derive(Serialize)]
struct Followed<'a> {
    router: Routers<'a>,
    egress: Egress<'a>,
    policies: Policies<'a>,
}

#[derive(Serialize)]
struct Mud<'a> {
    name: &'a str,
    port: i32,
    admin_email: &'a str,
    mudlib: &'a str,
    base_mudlib: &'a str,
    driver: &'a str,
    mud_type: &'a str,
    open_status: &'a str,
}

#[derive(Serialize)]
struct Routers<'a> {
    primary: Option<&'a Router>,
    fallback: &'a [Router],
    packets_per_second: i32,
}

#[derive(Serialize)]
struct Egress<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<String>,
    /// Where the login for the proxy is.
    #[serde(skip_serializing_if = "Option::is_none")]
    login_folder: Option<&'a str>,
    /// What names the address that routers see.
    address: String,
}

#[derive(Serialize)]
struct Policies<'a> {
    ignore: &'a [String],
}

#[derive(Serialize)]
struct Channels<'a> {
    default_channels: &'a [Channel],
    #[serde(skip_serializing_if = "Option::is_none")]
    max_message_length: Option<i32>,
}

#[derive(Serialize)]
struct Api {
    host: &'static str,
    port: u16,
    tcp: Tcp,
    auth: Auth,
}

#[derive(Serialize)]
struct Tcp {
    port: u16,
}

#[derive(Serialize)]
struct Auth {
    key_files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Metrics {
    enabled: bool,
    host: &'static str,
    port: u16,
}

#[derive(Serialize)]
struct Nats<'a> {
    url: &'a str,
}

/// Which MudGateway the gateway reports for.
#[derive(Serialize)]
struct Kubernetes<'a> {
    namespace: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct Logging {
    level: &'static str,
    format: &'static str,
}

/// The content of the file.
pub(super) struct Content {
    /// All of it.
    pub(super) text: String,
    /// What a gateway only reads when it starts.
    pub(super) read_once: String,
}

/// The content of the file, for a gateway with so many API keys.
pub(super) fn config(gateway: &Gateway, keys: usize, settings: &Settings) -> Result<Content, Error> {
    let mut config = whole(gateway, keys, settings);
    let text = serde_saphyr::to_string(&config)?;
    config.followed = None;
    config.channels.max_message_length = None;
    Ok(Content { text, read_once: serde_saphyr::to_string(&config)? })
}

fn whole<'a>(gateway: &'a Gateway, keys: usize, settings: &'a Settings) -> Config<'a> {
    let spec = &gateway.spec;
    Config {
        mud: Mud {
            name: &spec.mud.name,
            port: spec.mud.port,
            admin_email: &spec.mud.admin_email,
            mudlib: &spec.mud.mudlib,
            base_mudlib: &spec.mud.base_mudlib,
            driver: &spec.mud.driver,
            mud_type: &spec.mud.mud_type,
            open_status: &spec.mud.open_status,
        },
        network: &gateway.network.name,
        followed: Some(followed(&gateway.network)),
        channels: Channels {
            default_channels: &spec.channels,
            max_message_length: gateway.network.policies.max_message_length,
        },
        api: Api {
            host: EVERYWHERE,
            port: WEBSOCKET_PORT,
            tcp: Tcp { port: TCP_PORT },
            auth: Auth { key_files: (0..keys).map(key_file).collect() },
        },
        metrics: Metrics { enabled: true, host: EVERYWHERE, port: METRICS_PORT },
        nats: Nats { url: settings.gateway_nats_url.as_deref().unwrap_or(&settings.nats_url) },
        kubernetes: Kubernetes { namespace: &gateway.key.namespace, name: &gateway.key.name },
        logging: Logging { level: "info", format: "json" },
    }
}

fn followed(network: &Effective) -> Followed<'_> {
    Followed {
        router: Routers {
            primary: network.routers.first(),
            fallback: network.routers.get(1..).unwrap_or_default(),
            packets_per_second: network.limits.packets_per_second,
        },
        egress: egress(network),
        policies: Policies { ignore: &network.policies.ignore },
    }
}

fn egress(network: &Effective) -> Egress<'_> {
    let url = |proxy: &Proxy| match proxy.host.contains(':') {
        true => format!("socks5://[{}]:{}", proxy.host, proxy.port),
        false => format!("socks5://{}:{}", proxy.host, proxy.port),
    };
    let has_login = network.proxy.as_ref().is_some_and(|proxy| proxy.secret_ref.is_some());
    Egress {
        proxy: network.proxy.as_ref().map(url),
        login_folder: has_login.then_some(LOGIN_FOLDER),
        address: match network.address_of {
            AddressOf::Node => format!("${{{NODE_ADDRESS}}}"),
            AddressOf::Cluster => "cluster".to_owned(),
        },
    }
}

pub(super) fn config_map(gateway: &Gateway, config: String) -> ConfigMap {
    ConfigMap {
        metadata: metadata(gateway, workload_name(&gateway.key.name)),
        data: Some(BTreeMap::from([(FILE.to_owned(), config)])),
        ..Default::default()
    }
}
