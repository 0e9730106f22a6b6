//! The facts of the generated schema, and its CEL rules, evaluated without a cluster.

// Clippy knows tests by their attribute; the helpers beside them are tests too.
#![allow(clippy::unwrap_used)]

use kube::CustomResourceExt;
use mudgateway_crds::MudGateway;
use serde_json::{Value, json};

fn definition() -> Value {
    serde_json::to_value(MudGateway::crd()).unwrap()
}

fn schema() -> Value {
    definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
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
    match kube_cel::validate(&schema(), object, old) {
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
    assert_eq!(version["subresources"], json!({"status": {}}));
    assert_eq!(version["selectableFields"], json!([{"jsonPath": ".spec.mud.name"}]));
    let columns: Vec<&Value> = version["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| &column["name"])
        .collect();
    assert_eq!(columns, ["MUD", "ROUTER", "READY", "ENDPOINT", "REASON", "AGE"]);
}

#[test]
fn every_field_of_the_spec_is_documented_and_bounded() {
    walk("spec", &schema()["properties"]["spec"], &mut |path, node| {
        assert!(node["description"].is_string(), "{path} has no description");
        match node["type"].as_str().unwrap_or_default() {
            "string" => assert!(node["maxLength"].is_u64(), "{path} has no maxLength"),
            "array" => assert!(node["maxItems"].is_u64(), "{path} has no maxItems"),
            "integer" => assert!(node["minimum"].is_number(), "{path} has no minimum"),
            "object" => assert!(node["properties"].is_object(), "{path} takes anything"),
            other => panic!("{path} has the unexpected type {other:?}"),
        }
    });
}

#[test]
fn every_rule_says_what_to_do() {
    let mut rules = 0;
    walk("", &schema(), &mut |path, node| {
        for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
            rules += 1;
            assert!(rule["message"].is_string(), "a rule of {path} has no message");
        }
    });
    assert_eq!(rules, 9);
}

#[test]
fn defaults_stand_in_the_schema() {
    let spec = schema()["properties"]["spec"]["properties"].clone();
    assert_eq!(spec["replicas"]["default"], 1);
    assert_eq!(spec["api"]["default"], json!({}));
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
        with("/spec/channels", json!([{"name": "imud_gossip"}, {"name": "intermud"}])),
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
        ("/spec/replicas", json!(2), "replicas must be 0 or 1"),
        ("/spec/api", json!({"keys": [key, key]}), "api.keys must differ"),
    ];
    for (pointer, value, message) in cases {
        assert_refused(&with(pointer, value), message);
    }
}

#[test]
fn the_name_of_the_mud_cannot_change() {
    let renamed = with("/spec/mud/name", json!("Other"));
    let violations = violations(&renamed, Some(&minimal()));
    assert_eq!(violations, ["mud.name is immutable: create another MudGateway for another name"]);
}
