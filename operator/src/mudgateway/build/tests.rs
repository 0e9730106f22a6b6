use clap::Parser;
use mudgateway_crds::MudGateway;
use serde_json::json;

use super::*;
use crate::key::Key;
use crate::mudgateway::dereference::{Facts, SecretFacts};
use crate::mudgateway::validate::validate;
use crate::testing::gateway;

fn settings() -> Settings {
    Settings::parse_from(["operator", "--gateway-image", "gateway:1", "--nats-url", "nats://nats:4222"])
}

fn full() -> MudGateway {
    let mut gateway = gateway("tenant-a", "luminari", "LuminariMUD");
    gateway.spec = serde_json::from_value(json!({
        "mud": {
            "name": "LuminariMUD",
            "port": 4100,
            "adminEmail": "admin@luminari.example",
            "mudlib": "Luminari",
            "baseMudlib": "CircleMUD",
            "driver": "CircleMUD",
            "type": "Diku",
            "openStatus": "beta: \"testing\"",
        },
        "routers": [
            {"name": "*demo", "host": "router.example", "port": 8787},
            {"name": "*spare", "host": "192.0.2.7", "port": 8080},
        ],
        "channels": [{"name": "imud_gossip"}, {"name": "yes", "scope": "provider"}],
        "api": {"keys": [
            {"secretRef": {"name": "bot", "key": "key"}},
            {"secretRef": {"name": "staff"}},
        ]},
        "image": "mirror.example/gateway:2",
    }))
    .unwrap();
    gateway
}

fn made() -> Facts {
    let metadata = ObjectMeta {
        uid: Some("secret-uid".to_owned()),
        resource_version: Some("7".to_owned()),
        owner_references: Some(vec![k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference {
            uid: "uid-of-luminari".to_owned(),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let entries = [API_KEY_ENTRY.to_owned()].into();
    Facts { api_key: Some(SecretFacts { metadata, entries }), ..Facts::default() }
}

fn given(version: &str) -> Facts {
    let secret = |name: &str, entry: &str| {
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            uid: Some(format!("uid-of-{name}")),
            resource_version: Some(version.to_owned()),
            ..Default::default()
        };
        Some(SecretFacts { metadata, entries: [entry.to_owned()].into() })
    };
    Facts { keys: vec![secret("bot", "key"), secret("staff", "token")], ..Facts::default() }
}

fn valid(gateway: &MudGateway, facts: &Facts) -> Gateway {
    validate(&Key::of(gateway), gateway, facts).unwrap()
}

fn minimal() -> Gateway {
    valid(&gateway("tenant-a", "luminari", "LuminariMUD"), &made())
}

fn hash(gateway: &Gateway, settings: &Settings) -> String {
    let template = resources(gateway, settings).unwrap().deployment.spec.template;
    template.metadata.unwrap().annotations.unwrap()["intermud.dev/config-hash"].clone()
}

#[test]
fn config_of_a_minimal_gateway() {
    let data = resources(&minimal(), &settings()).unwrap().config_map.data.unwrap();
    insta::assert_snapshot!(data["config.yaml"]);
}

#[test]
fn config_of_a_full_gateway() {
    let gateway = valid(&full(), &given("7"));
    let data = resources(&gateway, &settings()).unwrap().config_map.data.unwrap();
    insta::assert_snapshot!(data["config.yaml"]);
}

#[test]
fn a_gateway_on_a_network_is_told_what_the_network_says() {
    let mut object = full();
    object.spec.routers.clear();
    object.spec.network_ref = serde_json::from_str(r#"{"name": "i4"}"#).unwrap();
    let network = json!({"metadata": {"name": "i4"}, "spec": {
        "routers": [{"name": "*i4", "host": "router.example", "port": 8080}],
        "limits": {"packetsPerSecond": 7},
        "egress": {"proxy": {"host": "2001:db8::1", "secretRef": {"name": "login"}}, "addressOf": "Cluster"},
        "policies": {"ignore": ["troll@*"], "maxMessageLength": 512},
        "bans": ["*@SpamMUD"],
    }});
    let login =
        SecretFacts { entries: ["username".to_owned(), "password".to_owned()].into(), ..Default::default() };
    let facts = Facts {
        network: Some(std::sync::Arc::new(serde_json::from_value(network).unwrap())),
        proxy_login: Some(login),
        ..given("7")
    };
    let resources = resources(&valid(&object, &facts), &settings()).unwrap();
    insta::assert_snapshot!(resources.config_map.data.unwrap()["config.yaml"]);
    let pod = resources.deployment.spec.template.spec.unwrap();
    let login = pod.volumes.unwrap().into_iter().find(|volume| volume.name == "proxy-login").unwrap();
    insta::assert_yaml_snapshot!(login);
}

#[test]
fn deployment_of_a_minimal_gateway() {
    insta::assert_yaml_snapshot!(resources(&minimal(), &settings()).unwrap().deployment);
}

#[test]
fn what_a_full_gateway_mounts() {
    let gateway = valid(&full(), &given("7"));
    let pod = resources(&gateway, &settings()).unwrap().deployment.spec.template.spec.unwrap();
    assert_eq!(pod.containers[0].image.as_deref(), Some("mirror.example/gateway:2"));
    insta::assert_yaml_snapshot!((&pod.volumes, &pod.containers[0].volume_mounts));
}

#[test]
fn service_and_its_endpoints() {
    let gateway = minimal();
    insta::assert_yaml_snapshot!((resources(&gateway, &settings()).unwrap().service, endpoints(&gateway)));
}

#[test]
fn a_made_key_is_all_of_the_randomness() {
    let secret = api_key(&minimal(), &[0xa5; 32]);
    assert_eq!(secret.data.unwrap()[API_KEY_ENTRY].0, "a5".repeat(32).into_bytes());
    assert_eq!(secret.metadata.name.as_deref(), Some("luminari-api-key"));
}

#[test]
fn of_the_made_key_only_metadata_is_kept_in_shape() {
    let patch = resources(&minimal(), &settings()).unwrap().api_key.unwrap();
    let patch = serde_json::to_value(patch).unwrap();
    assert_eq!((&patch["kind"], &patch["metadata"]["uid"]), (&json!("Secret"), &json!("secret-uid")));
    assert_eq!((&patch["data"], &patch["stringData"]), (&json!(null), &json!(null)));
    assert!(resources(&valid(&full(), &given("7")), &settings()).unwrap().api_key.is_none());
}

#[test]
fn everything_belongs_to_the_gateway_and_is_found_by_the_watches() {
    let Resources { config_map, service, api_key, deployment } = resources(&minimal(), &settings()).unwrap();
    for metadata in [config_map.metadata, service.metadata, api_key.unwrap().metadata, deployment.metadata] {
        let owners = metadata.owner_references.unwrap();
        assert_eq!((owners.len(), owners[0].uid.as_str()), (1, "uid-of-luminari"));
        let labels = metadata.labels.unwrap();
        for label in SELECTOR.split(',') {
            let (name, value) = label.split_once('=').unwrap();
            assert_eq!(labels[name], value);
        }
    }
}

#[test]
fn the_hash_follows_what_the_pod_reads_and_nothing_else() {
    let settings = settings();
    let before = hash(&minimal(), &settings);
    assert_eq!(hash(&minimal(), &settings), before);

    let mut other_channel = gateway("tenant-a", "luminari", "LuminariMUD");
    other_channel.spec.channels = serde_json::from_str(r#"[{"name": "imud_code"}]"#).unwrap();
    assert_ne!(hash(&valid(&other_channel, &made()), &settings), before);

    let mut zero = gateway("tenant-a", "luminari", "LuminariMUD");
    zero.spec.replicas = 0;
    assert_eq!(hash(&valid(&zero, &made()), &settings), before);

    let mut relabelled = made();
    relabelled.api_key.as_mut().unwrap().metadata.resource_version = Some("8".to_owned());
    let same = valid(&gateway("tenant-a", "luminari", "LuminariMUD"), &relabelled);
    assert_eq!(hash(&same, &settings), before);

    let mut ignoring = gateway("tenant-a", "luminari", "LuminariMUD");
    ignoring.spec.routers[0].host = "elsewhere.example".to_owned();
    ignoring.spec.policies =
        serde_json::from_str(r#"{"ignore": ["*@SpamMUD"], "maxMessageLength": 99}"#).unwrap();
    ignoring.spec.egress = serde_json::from_str(r#"{"proxy": {"host": "proxy.example"}}"#).unwrap();
    assert_eq!(hash(&valid(&ignoring, &made()), &settings), before, "a running gateway follows these");

    let with_key = |version| hash(&valid(&full(), &given(version)), &settings);
    assert_ne!(with_key("7"), with_key("8"));
}

#[test]
fn gateways_may_be_told_another_bus() {
    let other = Settings { gateway_nats_url: Some("nats://elsewhere:4222".to_owned()), ..settings() };
    let data = resources(&minimal(), &other).unwrap().config_map.data.unwrap();
    assert!(
        data["config.yaml"].contains("url: nats://elsewhere:4222")
            || data["config.yaml"].contains("url: \"nats://elsewhere:4222\"")
    );
}
