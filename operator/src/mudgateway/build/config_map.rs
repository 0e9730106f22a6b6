//! The gateway's configuration file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::ConfigMap;
use mudgateway_crds::mudgateway::{Channel, Router};
use serde::Serialize;

use super::deployment::key_file;
use super::{Error, METRICS_PORT, TCP_PORT, WEBSOCKET_PORT, metadata, workload_name};
use crate::mudgateway::validate::Gateway;
use crate::settings::Settings;

/// The file's name in the ConfigMap, and in the pod.
pub(super) const FILE: &str = "config.yaml";

const EVERYWHERE: &str = "0.0.0.0";

/// The file as the gateway reads it.
#[derive(Serialize)]
struct Config<'a> {
    mud: Mud<'a>,
    router: Routers<'a>,
    channels: Channels<'a>,
    api: Api,
    metrics: Metrics,
    nats: Nats<'a>,
    kubernetes: Kubernetes<'a>,
    logging: Logging,
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
}

#[derive(Serialize)]
struct Channels<'a> {
    default_channels: &'a [Channel],
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

/// The content of the file, for a gateway with so many API keys.
pub(super) fn config(gateway: &Gateway, keys: usize, settings: &Settings) -> Result<String, Error> {
    let spec = &gateway.spec;
    let config = Config {
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
        router: Routers {
            primary: spec.routers.first(),
            fallback: spec.routers.get(1..).unwrap_or_default(),
        },
        channels: Channels { default_channels: &spec.channels },
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
    };
    Ok(serde_saphyr::to_string(&config)?)
}

pub(super) fn config_map(gateway: &Gateway, config: String) -> ConfigMap {
    ConfigMap {
        metadata: metadata(gateway, workload_name(&gateway.key.name)),
        data: Some(BTreeMap::from([(FILE.to_owned(), config)])),
        ..Default::default()
    }
}
