//! The pod.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction,
    KeyToPath, ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
    ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use mudgateway_crds::api_key;
use mudgateway_crds::mudgateway::LocalSecret;
use sha2::{Digest, Sha256};

use super::config_map::FILE;
use super::{METRICS_PORT, TCP_PORT, WEBSOCKET_PORT, labels, metadata, selector_labels, workload_name};
use crate::mudgateway::validate::{Gateway, MountedKey, PROXY_LOGIN};
use crate::settings::Settings;

/// Of the API keys and of that part of the configuration which a pod reads only when it starts: a change must start a
/// new one.
const HASH_ANNOTATION: &str = "intermud.dev/config-hash";

const FOLDER: &str = "/etc/mudgateway";
const CONFIG_VOLUME: &str = "config";
const LOGIN_VOLUME: &str = "proxy-login";

/// Where the pod finds its configuration. A folder of its own: a single mounted file would never change.
const CONFIG_FOLDER: &str = "/etc/mudgateway/config";

/// Where the pod finds the login for the proxy.
pub(super) const LOGIN_FOLDER: &str = "/etc/mudgateway/proxy";

/// The environment variable with the address of the pod's node.
pub(super) const NODE_ADDRESS: &str = "NODE_ADDRESS";

/// The file of an API key, in a folder of its own.
const KEY_FILE: &str = "token";

/// The user of distroless images; any will do that is not root.
const USER: i64 = 65532;

/// The new pod is there before the old one ends, and takes the router session over from it by the session lock.
fn new_before_old() -> DeploymentStrategy {
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(1)),
            max_unavailable: Some(IntOrString::Int(0)),
        }),
    }
}

/// The file of the API key with this index, in the pod.
pub(super) fn key_file(index: usize) -> PathBuf {
    [FOLDER, "keys", &index.to_string(), KEY_FILE].iter().collect()
}

pub(super) fn deployment(
    gateway: &Gateway,
    config: &str,
    keys: &[MountedKey],
    settings: &Settings,
) -> Deployment {
    Deployment {
        metadata: metadata(gateway, workload_name(&gateway.key.name)),
        spec: DeploymentSpec {
            replicas: Some(gateway.spec.replicas),
            selector: LabelSelector { match_labels: Some(selector_labels(gateway)), ..Default::default() },
            strategy: Some(new_before_old()),
            revision_history_limit: Some(2),
            progress_deadline_seconds: Some(120),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels(gateway)),
                    annotations: Some(BTreeMap::from([(HASH_ANNOTATION.to_owned(), hash(config, keys))])),
                    ..Default::default()
                }),
                spec: Some(pod(gateway, keys, settings)),
            },
            ..Default::default()
        },
        ..Default::default()
    }
}

fn pod(gateway: &Gateway, keys: &[MountedKey], settings: &Settings) -> PodSpec {
    PodSpec {
        // The gateway needs nothing of the API server, nor to know of other Services.
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(30),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        containers: vec![container(gateway, keys.len(), settings)],
        volumes: Some(volumes(gateway, keys)),
        ..Default::default()
    }
}

fn container(gateway: &Gateway, keys: usize, settings: &Settings) -> Container {
    Container {
        name: "gateway".to_owned(),
        image: Some(gateway.spec.image.clone().unwrap_or_else(|| settings.gateway_image.clone())),
        image_pull_policy: Some(settings.gateway_image_pull_policy.as_str().to_owned()),
        args: Some(vec!["--config".to_owned(), format!("{CONFIG_FOLDER}/{FILE}")]),
        env: Some(vec![field("POD_NAME", "metadata.name"), field(NODE_ADDRESS, "status.hostIP")]),
        ports: Some(vec![
            port("websocket", WEBSOCKET_PORT),
            port("tcp", TCP_PORT),
            port("metrics", METRICS_PORT),
        ]),
        // A start is quick, but the image may run on a slow node.
        startup_probe: Some(Probe {
            failure_threshold: Some(30),
            period_seconds: Some(1),
            ..probe("/health/live")
        }),
        liveness_probe: Some(Probe {
            failure_threshold: Some(3),
            period_seconds: Some(10),
            ..probe("/health/live")
        }),
        readiness_probe: Some(Probe {
            failure_threshold: Some(2),
            period_seconds: Some(5),
            ..probe("/health/ready")
        }),
        resources: Some(ResourceRequirements {
            requests: Some(quantities(&[("cpu", "10m"), ("memory", "32Mi")])),
            // No limit on the CPU: it would delay a burst of chatter and save nothing on an idle node.
            limits: Some(quantities(&[("memory", "128Mi")])),
            ..Default::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Default::default() }),
            ..Default::default()
        }),
        volume_mounts: Some(mounts(gateway, keys)),
        ..Default::default()
    }
}

/// A variable with a field of the pod.
fn field(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: path.to_owned(), ..Default::default() }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn port(name: &str, port: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: port.into(),
        protocol: Some("TCP".to_owned()),
        ..Default::default()
    }
}

fn probe(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("metrics".to_owned()),
            ..Default::default()
        }),
        timeout_seconds: Some(2),
        ..Default::default()
    }
}

fn quantities(pairs: &[(&str, &str)]) -> BTreeMap<String, Quantity> {
    pairs.iter().map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned()))).collect()
}

fn mounts(gateway: &Gateway, keys: usize) -> Vec<VolumeMount> {
    let mount = |name: String, path: String| VolumeMount {
        name,
        mount_path: path,
        read_only: Some(true),
        ..Default::default()
    };
    let config = mount(CONFIG_VOLUME.to_owned(), CONFIG_FOLDER.to_owned());
    let login = login(gateway).map(|_| mount(LOGIN_VOLUME.to_owned(), LOGIN_FOLDER.to_owned()));
    let keys = (0..keys).map(|index| mount(key_volume(index), format!("{FOLDER}/keys/{index}")));
    std::iter::once(config).chain(login).chain(keys).collect()
}

/// The Secret with the login for the proxy.
fn login(gateway: &Gateway) -> Option<&LocalSecret> {
    gateway.network.proxy.as_ref()?.secret_ref.as_ref()
}

fn volumes(gateway: &Gateway, keys: &[MountedKey]) -> Vec<Volume> {
    let config = Volume {
        name: CONFIG_VOLUME.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: workload_name(&gateway.key.name),
            ..Default::default()
        }),
        ..Default::default()
    };
    let login = login(gateway).map(|login| Volume {
        name: LOGIN_VOLUME.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(login.name.clone()),
            default_mode: Some(0o440),
            items: Some(PROXY_LOGIN.map(|entry| entry_of(entry, entry)).into()),
            ..Default::default()
        }),
        ..Default::default()
    });
    let keys = keys.iter().enumerate().map(|(index, key)| Volume {
        name: key_volume(index),
        secret: Some(SecretVolumeSource {
            secret_name: Some(key.secret.name.clone()),
            default_mode: Some(0o440),
            items: Some(vec![
                entry_of(&key.secret.key, KEY_FILE),
                entry_of(&api_key::previous(&key.secret.key), &api_key::previous(KEY_FILE)),
            ]),
            // The key before this one need not exist. That this one does was looked at, and without it the gateway
            // says so.
            optional: Some(true),
            ..Default::default()
        }),
        ..Default::default()
    });
    std::iter::once(config).chain(login).chain(keys).collect()
}

/// An entry of a Secret as a file.
fn entry_of(entry: &str, file: &str) -> KeyToPath {
    KeyToPath { key: entry.to_owned(), path: file.to_owned(), ..Default::default() }
}

fn key_volume(index: usize) -> String {
    format!("key-{index}")
}

/// Tells one state of what the pod reads from another. Of the keys only their version goes in: from a hash of a
/// weak key, which everyone may read who sees the pod, the key could be guessed.
fn hash(config: &str, keys: &[MountedKey]) -> String {
    let mut digest = Sha256::new();
    digest.update(config);
    for MountedKey { secret, version } in keys {
        digest.update(format!("\0{}\0{}\0{version}", secret.name, secret.key));
    }
    digest.finalize().iter().take(16).fold(String::with_capacity(32), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
