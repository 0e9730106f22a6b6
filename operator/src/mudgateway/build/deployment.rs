//! The pods.

use std::collections::BTreeMap;
use std::path::PathBuf;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction,
    KeyToPath, LocalObjectReference, ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec,
    Probe, ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext,
    TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use mudgateway_crds::api_key;
use mudgateway_crds::mudgateway::{Amounts, LabelValue, LocalSecret, PullPolicy, SecretRef};

use super::config_map::FILE;
use super::{
    METRICS_PORT, TCP_PORT, WEBSOCKET_PORT, labels, metadata, nats_login_name, selector_labels, workload_name,
};
use crate::mudgateway::drift::digest;
use crate::mudgateway::validate::{Gateway, PROXY_LOGIN};
use crate::settings::Settings;

/// Of that part of the configuration which a pod reads only when it starts: a change must start a new one. Not of the
/// API keys and the certificate: the gateway looks for changes of these files itself.
const HASH_ANNOTATION: &str = "intermud.dev/config-hash";

const FOLDER: &str = "/etc/mudgateway";

/// Where certificate and key are in the pod.
pub(super) const TLS_FOLDER: &str = "/etc/mudgateway/tls";
const TLS_VOLUME: &str = "tls";

/// The file of an API key, in a folder of its own.
const KEY_FILE: &str = "token";
const NATS_VOLUME: &str = "nats";
const CONFIG_VOLUME: &str = "config";
const LOGIN_VOLUME: &str = "proxy-login";

/// Where the pod finds its configuration. A folder of its own: a single mounted file would never change.
const CONFIG_FOLDER: &str = "/etc/mudgateway/config";

/// Where the pod finds the login for the proxy.
pub(super) const LOGIN_FOLDER: &str = "/etc/mudgateway/proxy";

/// The environment variable with the address of the pod's node.
pub(super) const NODE_ADDRESS: &str = "NODE_ADDRESS";

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

/// A file of the login for NATS, in the pod.
pub(super) fn nats_file(name: &str) -> PathBuf {
    [FOLDER, "nats", name].iter().collect()
}

pub(super) fn deployment(
    gateway: &Gateway,
    config: &str,
    keys: &[SecretRef],
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
                metadata: Some(pod_metadata(gateway, config)),
                spec: Some(pod(gateway, keys, settings)),
            },
            ..Default::default()
        },
        ..Default::default()
    }
}

fn pod_metadata(gateway: &Gateway, config: &str) -> ObjectMeta {
    let theirs = &gateway.spec.pod_metadata;
    let mut all_labels = plain(&theirs.labels);
    all_labels.extend(labels(gateway));
    let mut annotations: BTreeMap<String, String> =
        theirs.annotations.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect();
    annotations.insert(HASH_ANNOTATION.to_owned(), digest(config));
    ObjectMeta { labels: Some(all_labels), annotations: Some(annotations), ..Default::default() }
}

fn plain(labels: &BTreeMap<String, LabelValue>) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect()
}

fn pod(gateway: &Gateway, keys: &[SecretRef], settings: &Settings) -> PodSpec {
    let scheduling = &gateway.spec.scheduling;
    let pull_secrets = gateway.spec.image_pull_secrets.iter();
    PodSpec {
        // The gateway needs nothing of the API server, nor to know of other Services.
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(30),
        image_pull_secrets: some(
            pull_secrets.map(|secret| LocalObjectReference { name: secret.name.clone() }).collect::<Vec<_>>(),
        ),
        node_selector: some(plain(&scheduling.node_selector)),
        tolerations: some(scheduling.tolerations.clone()),
        affinity: scheduling.affinity.clone(),
        priority_class_name: scheduling.priority_class_name.clone(),
        topology_spread_constraints: (gateway.spec.replicas > 1).then(|| vec![one_for_each_node(gateway)]),
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

/// Nothing where there is nothing: an empty list is a change to what the API server has.
fn some<T: Default + PartialEq>(list: T) -> Option<T> {
    (list != T::default()).then_some(list)
}

/// A node that goes should not take all pods of a mud with it, but a single node is no reason not to run.
fn one_for_each_node(gateway: &Gateway) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(LabelSelector {
            match_labels: Some(selector_labels(gateway)),
            ..Default::default()
        }),
        // Of one generation of pods: in a rollout the old ones do not count.
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        ..Default::default()
    }
}

fn pull_policy(gateway: &Gateway, settings: &Settings) -> &'static str {
    match gateway.spec.image_pull_policy {
        Some(PullPolicy::Always) => "Always",
        Some(PullPolicy::IfNotPresent) => "IfNotPresent",
        Some(PullPolicy::Never) => "Never",
        None => settings.gateway_image_pull_policy.as_str(),
    }
}

fn container(gateway: &Gateway, keys: usize, settings: &Settings) -> Container {
    let spec = &gateway.spec;
    let oob = spec.oob.as_ref().and_then(|oob| u16::try_from(oob.port).ok());
    Container {
        name: "gateway".to_owned(),
        image: Some(spec.image.clone().unwrap_or_else(|| settings.gateway_image.clone())),
        image_pull_policy: Some(pull_policy(gateway, settings).to_owned()),
        args: Some(vec!["--config".to_owned(), format!("{CONFIG_FOLDER}/{FILE}")]),
        env: Some(vec![field("POD_NAME", "metadata.name"), field(NODE_ADDRESS, "status.hostIP")]),
        ports: Some(
            [("websocket", WEBSOCKET_PORT), ("tcp", TCP_PORT), ("metrics", METRICS_PORT)]
                .into_iter()
                .chain(oob.map(|port| ("oob", port)))
                .map(|(name, number)| port(name, number))
                .collect(),
        ),
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
            requests: quantities(&spec.resources.requests),
            limits: quantities(&spec.resources.limits),
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

/// A fact about the pod as an environment variable.
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

fn quantities(amounts: &Amounts) -> Option<BTreeMap<String, Quantity>> {
    let given = [("cpu", &amounts.cpu), ("memory", &amounts.memory)];
    let given =
        given.into_iter().filter_map(|(name, amount)| Some((name.to_owned(), Quantity(amount.clone()?))));
    some(given.collect())
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
    let tls = gateway.spec.api.tls.iter().map(|_| mount(TLS_VOLUME.to_owned(), TLS_FOLDER.to_owned()));
    // Whole, so that the kubelet brings new files to a pod that runs.
    let nats =
        (!gateway.nats.texts.is_empty()).then(|| mount(NATS_VOLUME.to_owned(), format!("{FOLDER}/nats")));
    std::iter::once(config).chain(login).chain(nats).chain(keys).chain(tls).collect()
}

/// The Secret with the login for the proxy.
fn login(gateway: &Gateway) -> Option<&LocalSecret> {
    gateway.network.proxy.as_ref()?.secret_ref.as_ref()
}

fn volumes(gateway: &Gateway, keys: &[SecretRef]) -> Vec<Volume> {
    let config = Volume {
        name: CONFIG_VOLUME.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: workload_name(&gateway.key.name),
            ..Default::default()
        }),
        ..Default::default()
    };
    let login = login(gateway).map(|login| {
        let entries = PROXY_LOGIN.map(|entry| (entry.to_owned(), entry.to_owned()));
        secret_volume(LOGIN_VOLUME.to_owned(), &login.name, entries)
    });
    let keys = keys.iter().enumerate().map(|(index, key)| {
        let entries = [
            (key.key.clone(), KEY_FILE.to_owned()),
            (api_key::previous(&key.key), api_key::previous(KEY_FILE)),
        ];
        secret_volume(key_volume(index), &key.name, entries)
    });
    let tls = gateway.spec.api.tls.iter().map(|tls| {
        let ca = tls.require_client_certificate.then_some("ca.crt");
        let entries = ["tls.crt", "tls.key"].into_iter().chain(ca);
        let entries = entries.map(|entry| (entry.to_owned(), entry.to_owned()));
        secret_volume(TLS_VOLUME.to_owned(), &tls.secret_name, entries)
    });
    let nats = (!gateway.nats.texts.is_empty()).then(|| {
        let entries = gateway.nats.texts.keys().map(|name| ((*name).to_owned(), (*name).to_owned()));
        secret_volume(NATS_VOLUME.to_owned(), &nats_login_name(&gateway.key.name), entries)
    });
    std::iter::once(config).chain(login).chain(nats).chain(keys).chain(tls).collect()
}

/// Entries of a Secret, each under the name of its file, and nothing else of it.
fn secret_volume(name: String, secret: &str, entries: impl IntoIterator<Item = (String, String)>) -> Volume {
    let items = entries.into_iter().map(|(key, path)| KeyToPath { key, path, ..Default::default() });
    Volume {
        name,
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            default_mode: Some(0o440),
            items: Some(items.collect()),
            // The key before the present one need not exist. That the others do was looked at, and without them the
            // gateway says so.
            optional: Some(true),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn key_volume(index: usize) -> String {
    format!("key-{index}")
}
