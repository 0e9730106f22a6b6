//! What values may be. Each has a type, a description and a default; what is wrong is refused with words that say so.

use std::collections::BTreeSet;

use mudgateway_chart::{root, template};
use serde_json::Value;

fn chart_file(name: &str) -> String {
    std::fs::read_to_string(root().join("charts/mudgateway").join(name)).unwrap()
}

#[test]
fn what_is_wrong_is_refused_and_said() {
    for (value, message) in [
        ("nats.bogus=1", "additional properties 'bogus' not allowed"),
        ("operator.tolerations[0].efect=NoSchedule", "additional properties 'efect' not allowed"),
        ("operator.affinity.podAntiAfinity.x=1", "additional properties 'podAntiAfinity' not allowed"),
        ("operator.resources.limit.memory=1Gi", "additional properties 'limit' not allowed"),
        ("nats.enabled=false", "nats.url is required when nats.enabled is false"),
        ("nats.replicas=2", "value must be one of 1, 3"),
        ("nats.replicas=3,nats.auth.enabled=false", "nats.replicas 3 needs nats.auth.enabled"),
        ("nats.storage.size=big", "'big' does not match pattern"),
        ("operator.concurrency=0", "minimum: got 0, want 1"),
        ("operator.concurrency=many", "got string, want integer"),
        ("operator.replicas=9", "maximum: got 9, want 5"),
        ("operator.log.format=xml", "value must be one of 'json', 'text'"),
        ("image.digest=latest", "'latest' does not match pattern"),
        ("imagePullSecrets[0]=registry", "got string, want object"),
        ("watchNamespaces={Tenant A}", "'Tenant A' does not match pattern"),
        ("metrics.serviceMonitor.interval=often", "'often' does not match pattern"),
    ] {
        let error = template(&["--set", value]).expect_err(value).to_string();
        assert!(error.contains(message), "{value}: {error}");
    }
}

/// Every way through the schema that ends in something without properties of its own, such as `operator.log.level`.
fn leaves(schema: &Value, node: &Value, above: &str, found: &mut BTreeSet<String>) {
    let node = resolved(schema, node);
    let Some(properties) = node["properties"].as_object().filter(|_| node["additionalProperties"] == false)
    else {
        found.insert(above.to_owned());
        return;
    };
    for (name, node) in properties {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        leaves(schema, node, &path, found);
    }
}

/// What a node refers to, or the node itself.
fn resolved<'a>(schema: &'a Value, node: &'a Value) -> &'a Value {
    let reference = node["$ref"].as_str().and_then(|path| path.strip_prefix("#/definitions/"));
    reference.map_or(node, |name| &schema["definitions"][name])
}

/// The place of a value in the schema.
fn place<'a>(schema: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(schema, |node, name| &resolved(schema, node)["properties"][name])
}

#[test]
fn every_value_is_in_the_schema_with_a_type_and_a_description() {
    let schema: Value = serde_json::from_str(&chart_file("values.schema.json")).unwrap();
    let defaults: Value = serde_saphyr::from_str(&chart_file("values.yaml")).unwrap();
    let mut paths = BTreeSet::new();
    leaves(&schema, &schema, "", &mut paths);
    paths.remove("global");
    assert!(paths.len() > 80, "only {} values", paths.len());
    for path in &paths {
        let node = place(&schema, path);
        let inner = resolved(&schema, node);
        assert!(inner.get("type").is_some() || inner.get("enum").is_some(), "{path} has no type");
        let words = |text: &Value| text.as_str().is_some_and(|text| !text.is_empty());
        let described = path.match_indices('.').map(|(end, _)| &path[..end]).chain([path.as_str()]);
        let mut described = described.map(|path| &place(&schema, path)["description"]);
        assert!(described.any(words), "{path} has no description");
        let default = path.split('.').try_fold(&defaults, |value, name| value.get(name));
        // Requests, limits and the like are all optional: the part above them has the default.
        let above = path.rsplit_once('.').map_or("", |(above, _)| above);
        let optional = matches!(above.rsplit('.').next(), Some("resources" | "affinity"));
        assert!(default.is_some() || optional, "{path} has no default in values.yaml");
    }
}

#[test]
fn no_value_is_outside_the_schema() {
    fn closed(node: &Value, path: &str) {
        if node["properties"].is_object() && node["type"] == "object" {
            let named = node["required"].as_array().is_some_and(|names| names.contains(&"name".into()));
            assert!(node["additionalProperties"] == false || named, "{path} takes anything");
        }
        match node {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, node)| closed(node, &format!("{path}.{name}")))
            }
            Value::Array(items) => items.iter().for_each(|node| closed(node, path)),
            _ => {}
        }
    }
    closed(&serde_json::from_str(&chart_file("values.schema.json")).unwrap(), "");
}
