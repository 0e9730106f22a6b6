//! The gateway's configuration file.
//!
//! A running gateway reads it again and follows some of it at once, above all what the network says. Only a change of
//! the rest needs a new pod.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::ConfigMap;
use mudgateway_crds::mudgateway::{
    ApiKey, ApiTls, Channel, MethodLimit, Oob, OtherData, Permission, Router, Scope, Service,
};
use mudgateway_crds::network::{AddressOf, Proxy};
use serde::Serialize;

use super::deployment::{LOGIN_FOLDER, NODE_ADDRESS, TLS_FOLDER, key_file, nats_file};
use super::{Error, METRICS_PORT, TCP_PORT, WEBSOCKET_PORT, metadata, workload_name};
use crate::access::{CA, CERTIFICATE, CREDENTIALS, KEY};
use crate::mudgateway::validate::{Gateway, Keys};
use crate::network::Effective;
use crate::settings::Settings;

/// The file's name in the ConfigMap, and in the pod.
pub(super) const FILE: &str = "config.yaml";

/// The file as the gateway reads it.
#[derive(Serialize)]
struct Config<'a> {
    mud: Mud<'a>,
    network: &'a str,
    /// What running gateways follow; left out of what tells whether they must be replaced.
    #[serde(flatten)]
    followed: Option<Followed<'a>>,
    channels: Channels<'a>,
    api: Api<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oob: Option<OutOfBand<'a>>,
    metrics: Metrics,
    nats: Nats<'a>,
    kubernetes: Kubernetes<'a>,
    logging: Logging<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    otlp: Option<Otlp>,
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
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    own_services: &'a [Service],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    other_data: &'a [OtherData],
    #[serde(skip_serializing_if = "Option::is_none")]
    oob_services: Option<OobServices>,
}

#[derive(Serialize)]
struct OobServices {
    mail: bool,
    news: bool,
    file: bool,
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
    default_channels: Vec<DefaultChannel<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_message_length: Option<i32>,
}

/// A channel. What is as usual is left out: a pod that runs is not replaced for it.
#[derive(Serialize)]
struct DefaultChannel<'a> {
    name: &'a str,
    scope: Scope,
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscribe: Option<bool>,
}

#[derive(Serialize)]
struct Api<'a> {
    port: u16,
    websocket: WebSocket,
    tcp: Tcp,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
    limits: Limits,
    rate_limits: RateLimits<'a>,
    auth: Auth<'a>,
}

#[derive(Serialize)]
struct WebSocket {
    enabled: bool,
}

#[derive(Serialize)]
struct Tcp {
    enabled: bool,
    port: u16,
}

#[derive(Serialize)]
struct Tls {
    certificate_file: PathBuf,
    key_file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ca_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Limits {
    connections: i32,
    message_bytes: i32,
    queue_bytes: i32,
}

#[derive(Serialize)]
struct RateLimits<'a> {
    default: Rate,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    by_method: BTreeMap<&'a str, i32>,
}

#[derive(Serialize)]
struct Rate {
    per_minute: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<i32>,
}

#[derive(Serialize)]
struct Auth<'a> {
    key_files: Vec<KeyFile<'a>>,
}

#[derive(Serialize)]
struct KeyFile<'a> {
    file: PathBuf,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    permissions: &'a [Permission],
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_minute: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

#[derive(Serialize)]
struct OutOfBand<'a> {
    enabled: bool,
    port: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    advertised_address: Option<&'a str>,
}

#[derive(Serialize)]
struct Metrics {
    enabled: bool,
    port: u16,
}

#[derive(Serialize)]
struct Nats<'a> {
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
}

/// Which MudGateway the gateway reports for.
#[derive(Serialize)]
struct Kubernetes<'a> {
    namespace: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct Logging<'a> {
    level: &'a str,
    format: &'static str,
}

/// Where traces are sent.
#[derive(Serialize)]
struct Otlp {
    endpoint: String,
}

/// The content of the file.
pub(super) struct Content {
    /// All of it.
    pub(super) text: String,
    /// What a gateway only reads when it starts.
    pub(super) read_once: String,
}

/// The content of the file.
pub(super) fn config(gateway: &Gateway, settings: &Settings) -> Result<Content, Error> {
    let mut config = whole(gateway, settings);
    let text = serde_saphyr::to_string(&config)?;
    config.followed = None;
    config.channels.max_message_length = None;
    config.logging.level = "info";
    Ok(Content { text, read_once: serde_saphyr::to_string(&config)? })
}

fn whole<'a>(gateway: &'a Gateway, settings: &'a Settings) -> Config<'a> {
    let spec = &gateway.spec;
    Config {
        mud: mud(gateway),
        network: &gateway.network.name,
        followed: Some(followed(&gateway.network)),
        channels: Channels {
            default_channels: spec.channels.iter().map(channel).collect(),
            max_message_length: gateway.network.policies.max_message_length,
        },
        api: api(gateway),
        oob: spec.oob.as_ref().map(out_of_band),
        metrics: Metrics { enabled: true, port: METRICS_PORT },
        nats: nats(gateway, settings),
        kubernetes: Kubernetes { namespace: &gateway.key.namespace, name: &gateway.key.name },
        logging: Logging { level: &spec.log_level, format: "json" },
        otlp: settings.gateway_otlp_endpoint.as_ref().map(|to| Otlp { endpoint: to.to_string() }),
    }
}

fn channel(channel: &Channel) -> DefaultChannel<'_> {
    DefaultChannel {
        name: &channel.name,
        scope: channel.scope,
        listen: (!channel.listen).then_some(false),
        subscribe: channel.subscribe.then_some(true),
    }
}

fn nats<'a>(gateway: &Gateway, settings: &'a Settings) -> Nats<'a> {
    let file = |name| gateway.nats.texts.contains_key(name).then(|| nats_file(name));
    Nats {
        url: settings.nats_url_of_gateways(),
        credentials_file: file(CREDENTIALS),
        ca_file: file(CA),
        certificate_file: file(CERTIFICATE),
        key_file: file(KEY),
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

fn mud(gateway: &Gateway) -> Mud<'_> {
    let mud = &gateway.spec.mud;
    let oob = gateway.spec.oob.as_ref();
    Mud {
        name: &mud.name,
        port: mud.port,
        admin_email: &mud.admin_email,
        mudlib: &mud.mudlib,
        base_mudlib: &mud.base_mudlib,
        driver: &mud.driver,
        mud_type: &mud.mud_type,
        open_status: &mud.open_status,
        own_services: &mud.services,
        other_data: &mud.other_data,
        oob_services: oob.map(|oob| OobServices { mail: oob.mail, news: oob.news, file: oob.file }),
    }
}

fn api(gateway: &Gateway) -> Api<'_> {
    let api = &gateway.spec.api;
    let limits = &api.limits;
    let by_method = limits.methods.iter();
    Api {
        port: WEBSOCKET_PORT,
        websocket: WebSocket { enabled: api.websocket.enabled },
        tcp: Tcp { enabled: api.tcp.enabled, port: TCP_PORT },
        tls: api.tls.as_ref().map(tls),
        limits: Limits {
            connections: limits.connections,
            message_bytes: limits.message_bytes,
            queue_bytes: limits.queue_bytes,
        },
        rate_limits: RateLimits {
            default: Rate { per_minute: limits.requests_per_minute, burst: limits.request_burst },
            by_method: by_method
                .map(|MethodLimit { name, requests_per_minute }| (name.as_str(), *requests_per_minute))
                .collect(),
        },
        auth: Auth { key_files: key_files(gateway) },
    }
}

fn tls(tls: &ApiTls) -> Tls {
    let file = |name: &str| Path::new(TLS_FOLDER).join(name);
    Tls {
        certificate_file: file("tls.crt"),
        key_file: file("tls.key"),
        client_ca_file: tls.require_client_certificate.then(|| file("ca.crt")),
    }
}

fn key_files(gateway: &Gateway) -> Vec<KeyFile<'_>> {
    match gateway.keys {
        Keys::Given => gateway.spec.api.keys.iter().enumerate().map(given_key).collect(),
        Keys::Made { .. } => {
            vec![KeyFile { file: key_file(0), permissions: &[], requests_per_minute: None, expires: None }]
        }
        Keys::Missing => Vec::new(),
    }
}

fn given_key((index, key): (usize, &ApiKey)) -> KeyFile<'_> {
    KeyFile {
        file: key_file(index),
        permissions: &key.permissions,
        requests_per_minute: key.requests_per_minute,
        expires: key.expires.as_ref().map(|time| time.0.to_string()),
    }
}

fn out_of_band(oob: &Oob) -> OutOfBand<'_> {
    OutOfBand { enabled: true, port: oob.port, advertised_address: oob.advertised_address.as_deref() }
}

pub(super) fn config_map(gateway: &Gateway, config: String) -> ConfigMap {
    ConfigMap {
        metadata: metadata(gateway, workload_name(&gateway.key.name)),
        data: Some(BTreeMap::from([(FILE.to_owned(), config)])),
        ..Default::default()
    }
}
