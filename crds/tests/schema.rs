//! The facts of the generated schema, and its CEL rules, evaluated without a cluster.

// Clippy knows tests by their attribute; the helpers beside them are tests too.
#![allow(clippy::unwrap_used)]

use kube::CustomResourceExt;
use mudgateway_crds::{IntermudNetwork, MudGateway};
use serde_json::{Value, json};

fn definition() -> Value {
    serde_json::to_value(MudGateway::crd()).unwrap()
}

fn schema() -> Value {
    definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

fn network_schema() -> Value {
    let definition = serde_json::to_value(IntermudNetwork::crd()).unwrap();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

fn minimal() -> Value {
    json!({
        "apiVersion": "intermud.dev/v1alpha1",
        "kind": "MudGateway",
        "metadata": {"name": "luminari", "namespace": "tenant-a"},
        "spec": {
            "mud": {"name": "LuminariMUD"},
            "routers": [{"name": "*demo", "host": "router.example", "port": 8787}],
        },
    })
}

/// The minimal object with the value at one JSON pointer replaced.
fn with(pointer: &str, value: Value) -> Value {
    let mut object = minimal();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[key] = value;
    object
}

/// The messages of the rules that an object, or a change from an older object, breaks.
fn violations(object: &Value, old: Option<&Value>) -> Vec<String> {
    violations_of(&schema(), object, old)
}

fn violations_of(schema: &Value, object: &Value, old: Option<&Value>) -> Vec<String> {
    let object = kube_cel::apply_defaults(schema, object);
    match kube_cel::validate(schema, &object, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_vec().into_iter().map(|error| error.message).collect(),
    }
}

fn assert_refused(object: &Value, message: &str) {
    let violations = violations(object, None);
    assert!(
        violations.iter().any(|violation| violation.starts_with(message)),
        "expected {message:?}, got {violations:?} for {object}"
    );
}

/// Calls `visit` with the path and schema of every node below `node`.
fn walk(path: &str, node: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, node);
    for (name, property) in node["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    if node["additionalProperties"].is_object() {
        walk(&format!("{path}{{}}"), &node["additionalProperties"], visit);
    }
    if node["items"].is_object() {
        walk(&format!("{path}[]"), &node["items"], visit);
    }
}

#[test]
fn the_definition_names_what_kubectl_users_type() {
    let definition = definition();
    let names = &definition["spec"]["names"];
    assert_eq!(definition["metadata"]["name"], "mudgateways.intermud.dev");
    assert_eq!(names["shortNames"], json!(["mudgw"]));
    assert_eq!(names["categories"], json!(["intermud"]));
    assert_eq!(definition["spec"]["scope"], "Namespaced");
    let version = &definition["spec"]["versions"][0];
    assert_eq!(version["name"], "v1alpha1");
    assert_eq!(version["subresources"]["status"], json!({}));
    assert_eq!(
        version["subresources"]["scale"],
        json!({
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        })
    );
    assert_eq!(version["selectableFields"], json!([{"jsonPath": ".spec.mud.name"}]));
    let columns: Vec<&Value> = version["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| &column["name"])
        .collect();
    assert_eq!(
        columns,
        ["MUD", "ROUTER", "READY", "ENDPOINT", "PODS", "HOLDER", "CLIENTS", "TCP", "REASON", "AGE"]
    );
}

/// Types of Kubernetes itself: what they have of descriptions, numbers and patterns is Kubernetes' own.
const KUBERNETES: [&str; 2] = ["spec.scheduling.affinity", "spec.scheduling.tolerations[]"];

#[test]
fn every_field_of_the_spec_is_documented_and_bounded() {
    for schema in [schema(), network_schema()] {
        assert_documented_and_bounded(&schema["properties"]["spec"]);
    }
}

fn assert_documented_and_bounded(spec: &Value) {
    walk("spec", spec, &mut |path, node| {
        let theirs = KUBERNETES.iter().any(|theirs| path.starts_with(theirs));
        let described = node["description"].is_string() || path.ends_with([']', '}']);
        assert!(theirs || described, "{path} has no description");
        match node["type"].as_str().unwrap_or_default() {
            "string" => assert!(
                node["maxLength"].is_u64() || node["enum"].is_array() || node["format"] == "date-time",
                "{path} has no maxLength"
            ),
            "array" => assert!(node["maxItems"].is_u64(), "{path} has no maxItems"),
            "integer" if theirs => {}
            "integer" => assert!(
                node["minimum"].is_number() && node["maximum"].is_number(),
                "{path} has no minimum and maximum"
            ),
            "boolean" => {}
            "object" => assert!(
                node["properties"].is_object() || node["maxProperties"].is_u64(),
                "{path} takes anything"
            ),
            other => panic!("{path} has the unexpected type {other:?}"),
        }
    });
}

/// What breaks a pattern is answered with the pattern itself; a rule has a message.
#[test]
fn every_rule_says_what_to_do() {
    for schema in [schema(), network_schema()] {
        let mut rules = 0;
        walk("", &schema, &mut |path, node| {
            if !KUBERNETES.iter().any(|theirs| path.contains(theirs)) {
                assert!(node["pattern"].is_null(), "{path} has a pattern: give it a rule of rule.rs");
            }
            for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
                rules += 1;
                assert!(rule["message"].is_string(), "a rule of {path} has no message");
            }
        });
        assert!(rules > 0);
    }
}

#[test]
fn defaults_stand_in_the_schema() {
    let spec = schema()["properties"]["spec"]["properties"].clone();
    assert_eq!(spec["replicas"]["default"], 1);
    assert_eq!(spec["api"]["default"]["websocket"], json!({"enabled": true}));
    assert_eq!(spec["resources"]["default"]["limits"], json!({"memory": "128Mi"}));
    assert_eq!(spec["deletionPolicy"]["default"], "Retain");
    let scope = &spec["channels"]["items"]["properties"]["scope"];
    assert_eq!((&scope["default"], &scope["enum"]), (&json!("network"), &json!(["network", "provider"])));
    let mud = &spec["mud"]["properties"];
    let defaults: Vec<Value> = ["port", "adminEmail", "mudlib", "baseMudlib", "driver", "type", "openStatus"]
        .iter()
        .map(|field| mud[field]["default"].clone())
        .collect();
    assert_eq!(json!(defaults), json!([4000, "", "Custom", "Custom", "Custom", "LP", "open"]));
}

#[test]
fn the_defaults_of_the_schema_are_those_of_the_type() {
    let gateway: MudGateway = serde_json::from_value(minimal()).unwrap();
    assert_eq!(gateway.spec.mud.port, 4000);
    assert_eq!(gateway.spec.replicas, 1);
    assert_eq!(gateway.spec.network(), "*demo");
}

#[test]
fn good_objects_break_no_rule() {
    let good = [
        minimal(),
        with("/spec/mud/name", json!("The Émigré's MUD (2)")),
        with("/spec/replicas", json!(0)),
        with("/spec/channels", json!([{"name": "imud_gossip"}, {"name": "staff", "scope": "provider"}])),
        with("/metadata/name", json!("a".repeat(52))),
        with(
            "/spec/api",
            json!({"keys": [{"secretRef": {"name": "a"}}, {"secretRef": {"name": "a", "key": "b"}}]}),
        ),
    ];
    for object in good {
        assert_eq!(violations(&object, None), [""; 0], "for {object}");
    }
}

#[test]
fn bad_objects_are_refused_with_the_way_out() {
    let router = |name: &str| json!({"name": name, "host": "h", "port": 1});
    let key = json!({"secretRef": {"name": "a"}});
    let cases = [
        ("/metadata/name", json!("a".repeat(53)), "metadata.name must have at most 52"),
        ("/metadata/name", json!("1mud"), "metadata.name becomes the name of a Service"),
        ("/metadata/name", json!("my.mud"), "metadata.name becomes the name of a Service"),
        ("/spec/mud/name", json!("Bad\u{7}Name"), "mud.name must be printable"),
        ("/spec/mud/name", json!(" Spaced"), "mud.name must be printable"),
        ("/spec/mud/name", json!("*router"), "mud.name must be printable"),
        ("/spec/routers", json!([router("i4")]), "a router's name begins with '*'"),
        ("/spec/routers", json!([router("*i4"), router("*i4")]), "routers must have different names"),
        ("/spec/channels", json!([{"name": "a\nb"}]), "a channel's name must be printable"),
        (
            "/spec/api",
            json!({"websocket": {"enabled": false}, "tcp": {"enabled": false}}),
            "api: without WebSocket and TCP no mud can connect",
        ),
        (
            "/spec/mud",
            json!({"name": "Mud", "services": [{"name": "tell", "port": 1}]}),
            "mud.services: the gateway announces",
        ),
        ("/spec/oob", json!({"port": 4003}), "oob offers nothing"),
        (
            "/spec/oob",
            json!({"mail": true, "port": 9090}),
            "the gateway itself listens at 8080, 8081 and 9090",
        ),
        ("/spec/logLevel", json!("info,mudgateway=loud"), "write off, error, warn, info, debug or trace"),
        (
            "/spec/resources",
            json!({"requests": {"memory": "1Gi"}, "limits": {"memory": "64Mi"}}),
            "resources.requests.memory is more than resources.limits.memory",
        ),
        (
            "/spec/podMetadata",
            json!({"labels": {"app.kubernetes.io/name": "x"}}),
            "podMetadata.labels: labels under app.kubernetes.io/",
        ),
        (
            "/spec/podMetadata",
            json!({"annotations": {"intermud.dev/config-hash": "x"}}),
            "podMetadata.annotations: annotations under intermud.dev/",
        ),
        ("/spec/api", json!({"keys": [key, key]}), "api.keys must differ"),
    ];
    for (pointer, value, message) in cases {
        assert_refused(&with(pointer, value), message);
    }
}

#[test]
fn ways_out_that_do_not_fit_together_are_refused_with_the_way_out() {
    let gateway = |more: Value| {
        let mut gateway = json!({"parentRef": {"name": "edge"}, "hostname": "mud.example"});
        gateway.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"gateway": gateway})
    };
    let ingress = json!({"ingress": {"host": "mud.example"}});
    let tls = json!({"tls": {"secretName": "cert"}});
    let tcp_only = json!({"tls": {"secretName": "cert"}, "websocket": {"enabled": false}});
    let no_tcp = json!({"tcp": {"enabled": false}});
    let cases = [
        (
            json!({}),
            json!({"ingress": {"host": "a.example"}, "service": {"type": "LoadBalancer"}}),
            "expose takes one of service, gateway and ingress",
        ),
        (
            json!({}),
            json!({"service": {"type": "NodePort"}}),
            "expose.service.host is required for a NodePort",
        ),
        (
            json!({}),
            json!({"service": {"type": "NodePort", "host": "h", "loadBalancerClass": "x"}}),
            "expose.service.loadBalancerClass is for type LoadBalancer only",
        ),
        (
            json!({}),
            gateway(json!({"tcpSection": "a", "tlsSection": "b"})),
            "expose.gateway takes tcpSection or",
        ),
        (tls.clone(), ingress.clone(), "an Ingress ends TLS itself"),
        (json!({"websocket": {"enabled": false}}), ingress, "an Ingress is for WebSocket only"),
        (tls, gateway(json!({})), "a Gateway ends TLS for the WebSocket itself"),
        (json!({}), gateway(json!({"tlsSection": "tls"})), "expose.gateway.tlsSection passes TLS through"),
        (no_tcp, gateway(json!({"tcpSection": "tcp"})), "expose.gateway leads to the TCP API, which is off"),
    ];
    for (api, expose, message) in cases {
        let mut object = with("/spec/api", api);
        object["spec"]["expose"] = expose;
        assert_refused(&object, message);
    }
    let mut good = with("/spec/api", tcp_only);
    good["spec"]["expose"] = gateway(json!({"tlsSection": "tls"}));
    assert_eq!(violations(&good, None), [""; 0]);
}

#[test]
fn a_gateway_is_on_one_network() {
    let mut both = minimal();
    both["spec"]["networkRef"] = json!({"name": "i4"});
    let mut neither = minimal();
    neither["spec"].as_object_mut().unwrap().remove("routers");
    for object in [&both, &neither] {
        assert_refused(object, "give either spec.networkRef");
    }
    let mut referring = neither;
    referring["spec"]["networkRef"] = json!({"name": "i4"});
    assert_eq!(violations(&referring, None), [""; 0]);
    let gateway: MudGateway = serde_json::from_value(referring).unwrap();
    assert_eq!(gateway.spec.network(), "i4");
}

fn network() -> Value {
    json!({
        "apiVersion": "intermud.dev/v1alpha1",
        "kind": "IntermudNetwork",
        "metadata": {"name": "demo"},
        "spec": {"routers": [{"name": "*demo", "host": "router.example", "port": 8787}]},
    })
}

#[test]
fn a_network_needs_only_routers() {
    let network: IntermudNetwork = serde_json::from_value(network()).unwrap();
    assert_eq!(network.spec.limits.connect_interval_milliseconds, 1100);
    assert_eq!(network.spec.limits.muds_per_address, 32);
    assert_eq!(network.spec.limits.packets_per_second, 8);
    let spec = network_schema()["properties"]["spec"]["properties"].clone();
    let limits = &spec["limits"]["properties"];
    assert_eq!(limits["connectIntervalMilliseconds"]["default"], 1100);
    assert_eq!(limits["mudsPerAddress"]["default"], 32);
    assert_eq!(limits["packetsPerSecond"]["default"], 8);
    assert_eq!(spec["egress"]["properties"]["addressOf"]["default"], "Node");
}

#[test]
fn bad_networks_are_refused_with_the_way_out() {
    let router = |name: &str| json!({"name": name, "host": "h", "port": 1});
    let cases = [
        ("/metadata/name", json!("a".repeat(64)), "metadata.name must have at most 63"),
        ("/spec/routers", json!([router("i4")]), "a router's name begins with '*'"),
        ("/spec/routers", json!([router("*i4"), router("*i4")]), "routers must have different names"),
        ("/spec/bans", json!(["SpamMUD"]), "a ban is a pattern user@mud"),
        ("/spec/bans", json!(["*@"]), "a ban is a pattern user@mud"),
        ("/spec/policies", json!({"ignore": ["@SpamMUD"]}), "what is ignored is a pattern user@mud"),
        ("/spec/policies", json!({"ban": ["Spam*"]}), "who is banned is a mud by its exact name"),
    ];
    let schema = network_schema();
    assert_eq!(violations_of(&schema, &network(), None), [""; 0]);
    for (pointer, value, message) in cases {
        let mut object = network();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[key] = value;
        let violations = violations_of(&schema, &object, None);
        assert!(
            violations.iter().any(|violation| violation.starts_with(message)),
            "{object}: {violations:?}"
        );
    }
}

#[test]
fn the_name_of_the_mud_cannot_change() {
    let renamed = with("/spec/mud/name", json!("Other"));
    let violations = violations(&renamed, Some(&minimal()));
    assert_eq!(violations, ["mud.name is immutable: create another MudGateway for another name"]);
}
