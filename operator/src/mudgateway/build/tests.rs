mod api_key;

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResourceExt;
use mudgateway_crds::MudGateway;
use mudgateway_crds::status::Endpoints;
use mudgateway_telemetry::log::PATTERN;
use serde_json::{Value, json};

use super::*;
use crate::key::Key;
use crate::mudgateway::dereference::{Facts, SecretFacts};
use crate::mudgateway::own_secrets::OwnSecret;
use crate::mudgateway::validate::validate;
use crate::testing::{gateway, settings};

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
        "channels": [
            {"name": "imud_gossip", "subscribe": true},
            {"name": "imud_code", "listen": false},
            {"name": "yes", "scope": "provider"},
        ],
        "policies": {"ban": ["SpamMUD"], "packetsPerSecond": 6},
        "api": {"keys": [
            {"secretRef": {"name": "bot", "key": "key"}},
            {"secretRef": {"name": "staff"}},
        ]},
        "image": "gateway:2",
    }))
    .unwrap();
    gateway
}

/// The minimal gateway with this in its spec besides.
fn with(more: Value) -> Gateway {
    let mut object = serde_json::to_value(gateway("tenant-a", "luminari", "LuminariMUD")).unwrap();
    object["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    valid(&serde_json::from_value(object).unwrap(), &made())
}

fn made() -> Facts {
    let metadata = ObjectMeta {
        uid: Some("secret-uid".to_owned()),
        owner_references: Some(vec![k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference {
            uid: "uid-of-luminari".to_owned(),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let data = [(API_KEY_ENTRY.to_owned(), ByteString(b"the-key\n".to_vec()))].into();
    Facts { api_key: Some(OwnSecret { metadata, data }), secrets: secrets(), ..Facts::default() }
}

fn secrets() -> BTreeMap<String, SecretFacts> {
    let secret =
        |entries: &[&str]| SecretFacts { entries: entries.iter().map(|&entry| entry.to_owned()).collect() };
    BTreeMap::from([
        ("bot".to_owned(), secret(&["key"])),
        ("staff".to_owned(), secret(&["token"])),
        ("login".to_owned(), secret(&["username", "password"])),
        ("cert".to_owned(), secret(&["tls.crt", "tls.key", "ca.crt"])),
    ])
}

fn given() -> Facts {
    Facts { secrets: secrets(), ..Facts::default() }
}

fn valid(gateway: &MudGateway, facts: &Facts) -> Gateway {
    validate(&Key::of(gateway), gateway, facts, &settings()).unwrap()
}

fn minimal() -> Gateway {
    with(json!({}))
}

fn made_of(gateway: &Gateway) -> Resources {
    resources(gateway, &settings()).unwrap()
}

fn config(gateway: &Gateway) -> String {
    made_of(gateway).config_map.data.unwrap()["config.yaml"].clone()
}

fn hash(gateway: &Gateway) -> String {
    let template = made_of(gateway).deployment.spec.template;
    template.metadata.unwrap().annotations.unwrap()["intermud.dev/config-hash"].clone()
}

#[test]
fn config_of_a_minimal_gateway() {
    insta::assert_snapshot!(config(&minimal()));
}

#[test]
fn config_of_a_full_gateway() {
    insta::assert_snapshot!(config(&valid(&full(), &given())));
}

#[test]
fn config_of_an_api_with_every_option() {
    let gateway = with(json!({
        "api": {
            "websocket": {"enabled": false},
            "tls": {"secretName": "cert", "requireClientCertificate": true},
            "limits": {
                "connections": 7,
                "requestsPerMinute": 60,
                "requestBurst": 5,
                "methods": [{"name": "tell", "requestsPerMinute": 10}],
            },
            "keys": [{
                "secretRef": {"name": "bot", "key": "key"},
                "permissions": ["channel", "tell"],
                "requestsPerMinute": 600,
                "expires": "2027-01-01T00:00:00Z",
            }],
        },
        "oob": {"mail": true, "port": 4100, "advertisedAddress": "192.0.2.7"},
    }));
    insta::assert_snapshot!(config(&gateway));
    let pod = made_of(&gateway).deployment.spec.template.spec.unwrap();
    insta::assert_yaml_snapshot!(
        "pod_of_an_api_with_every_option",
        (&pod.volumes, &pod.containers[0].volume_mounts, &pod.containers[0].ports)
    );
}

#[test]
fn config_tells_of_the_muds_own_services() {
    let gateway = with(json!({"mud": {
        "name": "LuminariMUD",
        "services": [{"name": "http", "port": 80}],
        "otherData": [{"name": "url", "value": "https://luminari.example"}],
    }}));
    let config = config(&gateway);
    let mud = config.split("router:").next().unwrap();
    insta::assert_snapshot!(mud);
}

#[test]
fn a_gateway_on_a_network_is_told_what_the_network_says() {
    let mut object = full();
    object.spec.routers.clear();
    object.spec.policies = None;
    object.spec.network_ref = serde_json::from_str(r#"{"name": "i4"}"#).unwrap();
    let network = json!({"metadata": {"name": "i4"}, "spec": {
        "routers": [{"name": "*i4", "host": "router.example", "port": 8080}],
        "limits": {"packetsPerSecond": 7},
        "egress": {"proxy": {"host": "2001:db8::1", "secretRef": {"name": "login"}}, "addressOf": "Cluster"},
        "policies": {"ignore": ["troll@*"], "maxMessageLength": 512},
        "bans": ["*@SpamMUD"],
    }});
    let network = Some(std::sync::Arc::new(serde_json::from_value(network).unwrap()));
    let gateway = valid(&object, &Facts { network, ..given() });
    insta::assert_snapshot!(config(&gateway));
    let pod = made_of(&gateway).deployment.spec.template.spec.unwrap();
    let login = pod.volumes.unwrap().into_iter().find(|volume| volume.name == "proxy-login").unwrap();
    insta::assert_yaml_snapshot!(login);
    let egress = made_of(&gateway).network_policy.spec.unwrap().egress.unwrap();
    insta::assert_yaml_snapshot!(egress.last());
}

#[test]
fn deployment_of_a_minimal_gateway() {
    insta::assert_yaml_snapshot!(made_of(&minimal()).deployment);
}

#[test]
fn deployment_with_every_option() {
    let gateway = with(json!({
        "replicas": 3,
        "image": "gateway@sha256:00",
        "imagePullPolicy": "Always",
        "imagePullSecrets": [{"name": "pull"}],
        "resources": {"requests": {"cpu": "50m"}, "limits": {"cpu": "1", "memory": "256Mi"}},
        "scheduling": {
            "nodeSelector": {"pool": "games"},
            "tolerations": [{"key": "games", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "preference": {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}},
            ]}},
            "priorityClassName": "muds",
        },
        "podMetadata": {"labels": {"team": "games"}, "annotations": {"note": "kept"}},
    }));
    insta::assert_yaml_snapshot!(made_of(&gateway).deployment);
}

#[test]
fn a_single_pod_can_be_evicted_and_one_of_several_at_a_time() {
    assert_eq!(made_of(&minimal()).disruption_budget, None);
    insta::assert_yaml_snapshot!(made_of(&with(json!({"replicas": 2}))).disruption_budget);
}

#[test]
fn network_policy_of_a_minimal_gateway() {
    insta::assert_yaml_snapshot!(made_of(&minimal()).network_policy);
}

#[test]
fn network_policy_with_every_option() {
    let gateway = with(json!({
        "routers": [{"name": "*a", "host": "192.0.2.7", "port": 8080}, {"name": "*b", "host": "2001:db8::7", "port": 8787}],
        "api": {"tcp": {"enabled": false}},
        "oob": {"file": true},
    }));
    insta::assert_yaml_snapshot!(made_of(&gateway).network_policy);
}

#[test]
fn what_a_full_gateway_mounts() {
    let pod = made_of(&valid(&full(), &given())).deployment.spec.template.spec.unwrap();
    assert_eq!(pod.containers[0].image.as_deref(), Some("gateway:2"));
    insta::assert_yaml_snapshot!((&pod.volumes, &pod.containers[0].volume_mounts));
}

#[test]
fn service_for_the_inside_of_the_cluster() {
    insta::assert_yaml_snapshot!(made_of(&minimal()).service);
}

#[test]
fn service_for_each_way_out() {
    let balancer = with(json!({
        "expose": {"service": {
            "type": "LoadBalancer",
            "loadBalancerClass": "example.com/internal",
            "annotations": {"example.com/ip": "192.0.2.8"},
        }},
        "oob": {"mail": true},
    }));
    let nodes = with(json!({"expose": {"service": {"type": "NodePort", "host": "nodes.example"}}}));
    insta::assert_yaml_snapshot!("service_of_a_load_balancer", made_of(&balancer).service);
    assert_eq!(made_of(&nodes).service.spec.unwrap().type_.as_deref(), Some("NodePort"));
}

#[test]
fn ingress_with_every_option() {
    let gateway = with(json!({"expose": {"ingress": {
        "className": "edge",
        "host": "luminari.muds.example",
        "tlsSecretName": "cert",
        "annotations": {"example.com/idle": "1d"},
    }}}));
    insta::assert_yaml_snapshot!(made_of(&gateway).ingress);
}

fn routes_of(gateway: &Gateway) -> Vec<DynamicObject> {
    made_of(gateway).routes.into_iter().map(|(_, route)| route).collect()
}

#[test]
fn routes_of_a_gateway() {
    let by = |more: Value| {
        let mut exposed =
            json!({"parentRef": {"name": "edge", "namespace": "infra"}, "hostname": "a.example"});
        exposed.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        exposed
    };
    let plain = with(json!({"expose": {"gateway": by(json!({"path": "/luminari", "tcpSection": "mud"}))}}));
    insta::assert_yaml_snapshot!("routes_of_a_gateway", routes_of(&plain));
    let shared = with(json!({
        "api": {"websocket": {"enabled": false}, "tls": {"secretName": "cert"}},
        "expose": {"gateway": by(json!({"tlsSection": "tls"}))},
    }));
    insta::assert_yaml_snapshot!("route_of_passed_through_tls", routes_of(&shared));
    let default = with(json!({"expose": {"gateway": {"parentRef": {"name": "edge"}}}}));
    let routes = made_of(&default).routes;
    assert_eq!(routes.len(), 1);
    let rule = &routes[0].1.data["spec"]["rules"][0];
    assert_eq!((&rule["matches"][0]["path"]["value"], &rule["filters"]), (&json!("/ws"), &json!(null)));
}

#[test]
fn everything_belongs_to_the_gateway_and_is_found_by_the_watches() {
    let gateway = with(json!({
        "replicas": 2,
        "expose": {"gateway": {"parentRef": {"name": "edge"}, "tcpSection": "mud"}},
    }));
    let gateway = with_login(gateway);
    let Resources {
        config_map,
        service,
        network_policy,
        disruption_budget,
        ingress,
        routes,
        nats_login,
        deployment,
    } = made_of(&gateway);
    assert!(ingress.is_none());
    let mut all = vec![
        config_map.metadata,
        service.metadata,
        network_policy.metadata,
        disruption_budget.unwrap().metadata,
        api_key::kept(&gateway, &Endpoints::default()).unwrap().metadata,
        nats_login.unwrap().metadata,
        deployment.metadata,
    ];
    all.extend(routes.into_iter().map(|(_, route)| route.metadata));
    assert_eq!(all.len(), 9);
    for metadata in all {
        let owners = metadata.owner_references.unwrap();
        assert_eq!((owners.len(), owners[0].uid.as_str()), (1, "uid-of-luminari"));
        let labels = metadata.labels.unwrap();
        for label in SELECTOR.split(',') {
            let (name, value) = label.split_once('=').unwrap();
            assert_eq!(labels[name], value);
        }
    }
}

fn with_login(mut gateway: Gateway) -> Gateway {
    gateway.nats.texts =
        [("nats.creds", "secret"), ("ca.crt", "a CA")].map(|(name, text)| (name, text.to_owned())).into();
    gateway
}

#[test]
fn the_login_for_nats_is_a_secret_that_the_pod_sees_change() {
    let gateway = with_login(minimal());
    let resources = made_of(&gateway);
    assert_eq!(resources.nats_login.unwrap().data.unwrap()["nats.creds"].0, b"secret");
    let config = &resources.config_map.data.unwrap()["config.yaml"];
    assert!(!config.contains("secret"), "{config}");
    assert!(config.contains("credentials_file: /etc/mudgateway/nats/nats.creds"), "{config}");
    assert!(config.contains("ca_file: /etc/mudgateway/nats/ca.crt") && !config.contains("certificate_file"));
    let pod = resources.deployment.spec.template.spec.unwrap();
    let mount = pod.containers[0].volume_mounts.iter().flatten().find(|mount| mount.name == "nats").unwrap();
    assert_eq!((mount.mount_path.as_str(), &mount.sub_path), ("/etc/mudgateway/nats", &None));
    // Renewal starts no new pod.
    let mut renewed = with_login(minimal());
    renewed.nats.texts.insert("nats.creds", "another".to_owned());
    assert_eq!(hash(&renewed), hash(&gateway));
}

#[test]
fn what_is_built_is_what_is_said_to_be_wanted() {
    let cases = [
        json!({}),
        json!({"replicas": 2}),
        json!({"expose": {"ingress": {"host": "a.example"}}}),
        json!({"expose": {"gateway": {"parentRef": {"name": "edge"}, "tcpSection": "mud"}}}),
        json!({
            "api": {"websocket": {"enabled": false}, "tls": {"secretName": "cert"}},
            "expose": {"gateway": {"parentRef": {"name": "edge"}, "hostname": "a.example", "tlsSection": "t"}},
        }),
        json!({
            "api": {"tcp": {"enabled": false}},
            "expose": {"gateway": {"parentRef": {"name": "edge"}}},
        }),
    ];
    for case in cases {
        let gateway = with(case.clone());
        let made = made_of(&gateway);
        let mut kinds_made: BTreeSet<Kind> = made.routes.iter().map(|(kind, _)| *kind).collect();
        kinds_made.extend([Kind::ConfigMap, Kind::Service, Kind::NetworkPolicy, Kind::Deployment]);
        kinds_made.extend(made.disruption_budget.map(|_| Kind::PodDisruptionBudget));
        kinds_made.extend(made.ingress.map(|_| Kind::Ingress));
        assert_eq!(kinds_made, kinds(&gateway.spec), "{case}");
    }
}

#[test]
fn the_hash_follows_what_the_pod_reads_at_its_start_and_nothing_else() {
    let before = hash(&minimal());
    assert_eq!(hash(&minimal()), before);
    assert_ne!(hash(&with(json!({"channels": [{"name": "imud_code"}]}))), before);
    assert_eq!(hash(&with(json!({"replicas": 0}))), before);
    let followed = json!({
        "routers": [{"name": "*demo", "host": "elsewhere.example", "port": 8787}],
        "policies": {"ignore": ["*@SpamMUD"], "maxMessageLength": 99},
        "egress": {"proxy": {"host": "proxy.example"}},
        "logLevel": "warn,mudgateway::router=debug",
    });
    assert_eq!(hash(&with(followed)), before, "a running gateway follows these");
    assert_eq!(hash(&with(json!({"podMetadata": {"labels": {"team": "games"}}}))), before);
}

#[test]
fn gateways_log_what_the_spec_says_and_the_api_takes_only_what_they_understand() {
    let verbose = with(json!({"logLevel": "warn,mudgateway::router=debug"}));
    let data = resources(&verbose, &settings()).unwrap().config_map.data.unwrap();
    assert!(data["config.yaml"].contains("level: warn,mudgateway::router=debug"), "{data:?}");
    let definition = serde_json::to_value(MudGateway::crd()).unwrap();
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/logLevel";
    let schema = definition.pointer(schema).unwrap();
    assert_eq!(schema["default"], "info");
    assert_eq!(schema["x-kubernetes-validations"][0]["rule"], format!("self.matches('{PATTERN}')"));
}

#[test]
fn other_muds_are_not_waited_for_at_ports_that_the_gateway_has() {
    let definition = serde_json::to_value(MudGateway::crd()).unwrap();
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/oob/properties/port";
    let rule = &definition.pointer(schema).unwrap()["x-kubernetes-validations"][0]["rule"];
    assert_eq!(*rule, format!("!(self in [{WEBSOCKET_PORT}, {TCP_PORT}, {METRICS_PORT}])"));
}

#[test]
fn gateways_may_be_told_another_bus() {
    let other = Settings { gateway_nats_url: Some("nats://elsewhere:4222".to_owned()), ..settings() };
    let made = resources(&minimal(), &other).unwrap();
    let data = made.config_map.data.unwrap();
    assert!(data["config.yaml"].contains("nats://elsewhere:4222"));
}

#[test]
fn gateways_are_told_where_traces_go() {
    let config = |settings: &Settings| resources(&minimal(), settings).unwrap().config_map.data.unwrap();
    assert!(!config(&settings())["config.yaml"].contains("otlp"));
    let to = Some("http://collector:4318/".parse().unwrap());
    let with_traces = Settings { gateway_otlp_endpoint: to, ..settings() };
    let traced = config(&with_traces);
    assert!(traced["config.yaml"].contains("otlp:\n  endpoint: http://collector:4318\n"), "{traced:?}");
    let policy = resources(&minimal(), &with_traces).unwrap().network_policy.spec.unwrap();
    let ports = policy.egress.unwrap().into_iter().flat_map(|rule| rule.ports.unwrap_or_default());
    assert!(ports.filter_map(|port| port.port).any(|port| port == IntOrString::Int(4318)));
}

#[test]
fn a_secret_leads_to_its_mudgateway() {
    for secret in [api_key_name("a"), nats_login_name("a"), router_password_name("a")] {
        assert_eq!(secret_of(&secret).collect::<Vec<_>>(), ["a"], "{secret}");
    }
    assert_eq!(secret_of("bot").next(), None);
}
