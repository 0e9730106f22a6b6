//! JSON schemas for kubeconform, one for each kind, from what Kubernetes and others publish with each version.
//!
//! The API server takes unknown fields and drops them; these schemas refuse them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{Error, Result, objects};

/// The schema of each kind, by the name kubeconform asks for: group, kind and version, all small letters.
pub type Schemas = BTreeMap<String, Value>;

/// The name of the schema of a kind. Kubeconform takes the version for the group of the core's kinds.
pub fn name(group: &str, version: &str, kind: &str) -> String {
    let group = if group.is_empty() { version } else { group };
    format!("{group}-{}-{version}", kind.to_lowercase())
}

/// Schemas of all kinds in Kubernetes' own `swagger.json`.
///
/// # Errors
/// [`Error::Content`] when it is none.
pub fn of_kubernetes(swagger: &str) -> Result<Schemas> {
    let bad = |why: &str| Error::Content { what: "swagger.json".to_owned(), why: why.to_owned() };
    let swagger: Value = serde_json::from_str(swagger).map_err(|error| bad(&error.to_string()))?;
    let definitions = swagger["definitions"].as_object().ok_or_else(|| bad("it has no definitions"))?;
    let mut schemas = Schemas::new();
    for (id, definition) in definitions {
        let kinds = definition["x-kubernetes-group-version-kind"].as_array();
        for kind in kinds.into_iter().flatten() {
            let text = |key: &str| kind[key].as_str().unwrap_or_default();
            let schema = json!({
                "$ref": format!("#/definitions/{id}"),
                "definitions": closure(id, definitions),
            });
            schemas.insert(name(text("group"), text("version"), text("kind")), schema);
        }
    }
    Ok(schemas)
}

/// Schemas of the kinds that definitions of custom resources define.
///
/// # Errors
/// [`Error::Content`] when it is no YAML.
pub fn of_definitions(yaml: &str) -> Result<Schemas> {
    let mut schemas = Schemas::new();
    for definition in objects(yaml)? {
        let spec = &definition["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for version in spec["versions"].as_array().into_iter().flatten() {
            let mut schema = version["schema"]["openAPIV3Schema"].clone();
            // It says nothing of metadata, which is as everywhere.
            schema["properties"]["metadata"] =
                json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
            let key = name(&text(&spec["group"]), &text(&version["name"]), &text(&spec["names"]["kind"]));
            schemas.insert(key, strict(&schema));
        }
    }
    Ok(schemas)
}

/// A definition and all that it refers to.
fn closure(id: &str, definitions: &Map<String, Value>) -> Map<String, Value> {
    let (mut found, mut open) = (Map::new(), BTreeSet::from([id.to_owned()]));
    while let Some(id) = open.pop_first() {
        let Some(definition) = definitions.get(&id).filter(|_| !found.contains_key(&id)) else { continue };
        references(definition, &mut open);
        let schema = match id.rsplit('.').next() {
            Some("IntOrString" | "Quantity") => json!({"type": ["string", "number"]}),
            _ => strict(definition),
        };
        found.insert(id, schema);
    }
    found
}

fn references(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            let reference = fields.get("$ref").and_then(Value::as_str);
            found.extend(reference.and_then(|path| path.rsplit('/').next()).map(ToOwned::to_owned));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// The same schema, that takes no field it does not name, and knows what only Kubernetes' own dialect says.
fn strict(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let is = |key: &str| fields.get(key).and_then(Value::as_bool).unwrap_or_default();
    if is("x-kubernetes-int-or-string") {
        return json!({"type": ["string", "number"]});
    }
    let mut made = Map::new();
    for (key, value) in fields {
        let value = match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => properties
                .iter()
                .map(|(name, schema)| (name.clone(), strict(schema)))
                .collect::<Map<_, _>>()
                .into(),
            ("items" | "additionalProperties", value) => strict(value),
            ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => parts.clone().into(),
            // Formats are Go's, patterns may be too, and the rest is for people.
            (
                "type" | "enum" | "required" | "$ref" | "minItems" | "maxItems" | "minimum" | "maximum",
                value,
            ) => value.clone(),
            _ => continue,
        };
        made.insert(key.clone(), value);
    }
    let open = is("x-kubernetes-preserve-unknown-fields") || fields.contains_key("additionalProperties");
    if fields.contains_key("properties") && !open {
        made.insert("additionalProperties".to_owned(), false.into());
    }
    if is("nullable")
        && let Some(kind) = made.get_mut("type")
    {
        *kind = json!([kind.clone(), "null"]);
    }
    made.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_all_that_it_refers_to_and_nothing_else() {
        let swagger = json!({"definitions": {
            "a.Pod": {
                "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Pod"}],
                "properties": {"port": {"$ref": "#/definitions/a.IntOrString"}, "spec": {"$ref": "#/definitions/a.Spec"}},
            },
            "a.IntOrString": {"type": "string", "format": "int-or-string"},
            "a.Spec": {"properties": {"spec": {"$ref": "#/definitions/a.Spec"}}},
            "a.Other": {"properties": {}},
        }});
        let schemas = of_kubernetes(&swagger.to_string()).unwrap();
        let pod = &schemas["v1-pod-v1"];
        let definitions: Vec<_> = pod["definitions"].as_object().unwrap().keys().collect();
        assert_eq!(definitions, ["a.IntOrString", "a.Pod", "a.Spec"]);
        assert_eq!(pod["definitions"]["a.Pod"]["additionalProperties"], false);
        assert_eq!(pod["definitions"]["a.IntOrString"], json!({"type": ["string", "number"]}));
    }

    #[test]
    fn a_definition_takes_what_it_names_and_any_metadata() {
        let yaml = "spec:\n  group: example.org\n  names: {kind: Mud}\n  versions:\n  - name: v1\n    schema:\n      openAPIV3Schema:\n        \
                    properties:\n          spec: {properties: {port: {x-kubernetes-int-or-string: true, type: string}}}\n";
        let schemas = of_definitions(yaml).unwrap();
        let mud = &schemas["example.org-mud-v1"];
        assert_eq!(mud["additionalProperties"], false);
        assert_eq!(mud["properties"]["spec"]["properties"]["port"], json!({"type": ["string", "number"]}));
        assert_eq!(mud["properties"]["metadata"], json!({"type": "object"}));
    }
}
