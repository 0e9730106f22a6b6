//! The API's description for programs: an OpenRPC document, made from the types of the methods. The reference for
//! people, docs/API_REFERENCE.md, is made from this document.

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::methods::{Example, METHODS};
use super::{authenticate, rpc};
use crate::hub::{CloseReason, EVENTS};
use crate::keys::Permission;

/// The document (OpenRPC 1.3).
pub fn document() -> Value {
    // What we read may leave out what has a default; what we write is all there.
    let at = |path: &'static str| {
        SchemaSettings::draft07().with(|settings| settings.definitions_path = path.into())
    };
    let mut read = at("/components/schemas").into_generator();
    let mut written = at("/components/x-written").for_serialize().into_generator();
    let mut methods = vec![authenticate::description()];
    for entry in METHODS {
        methods.push(json!({
            "name": entry.name,
            "summary": entry.summary,
            "paramStructure": "by-name",
            "params": params(&(entry.params)(&mut read)),
            "result": {"name": "result", "schema": (entry.output)(&mut written)},
            "examples": [example(entry.example)],
            "x-permission": entry.permission.map(Permission::as_str),
        }));
    }
    let events: Vec<Value> = EVENTS
        .iter()
        .map(|kind| {
            json!({
                "name": kind.name,
                "summary": kind.summary.trim(),
                "params": params(&(kind.schema)(&mut written)),
                "example": parse(kind.example),
                "x-permission": kind.permission.map(Permission::as_str),
            })
        })
        .collect();
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "mudgateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What a MUD speaks with its Intermud-3 gateway, over WebSocket or TCP lines.",
            "license": {"name": "MIT"},
        },
        "methods": methods,
        "x-events": events,
        "x-permissions": Permission::ALL.map(|permission| {
            json!({"name": permission.as_str(), "summary": permission.summary()})
        }),
        "x-errors": rpc::ERRORS
            .iter()
            .map(|error| json!({"code": error.code, "transport": error.transport, "summary": error.when}))
            .collect::<Vec<_>>(),
        "x-close-codes": CloseReason::ALL.map(|reason| {
            json!({"code": reason.code(), "reason": reason.as_str(), "summary": reason.advice()})
        }),
        "components": {"schemas": definitions(&mut read), "x-written": definitions(&mut written)},
    })
}

/// A method's parameters one by one, as OpenRPC wants them.
fn params(schema: &Schema) -> Vec<Value> {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| param(name, required.contains(&name.as_str()), schema))
        .collect()
}

/// An example as OpenRPC wants it.
pub(super) fn example(example: Example) -> Value {
    let params = parse(example.params);
    let params = params.as_object().into_iter().flatten();
    let params: Vec<_> = params.map(|(name, value)| json!({"name": name, "value": value})).collect();
    let result = json!({"name": "result", "value": parse(example.result)});
    json!({"name": "example", "params": params, "result": result})
}

/// Reads an example; that all of them are JSON is tested.
fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn param(name: &str, required: bool, schema: &Value) -> Value {
    let mut param = json!({"name": name, "required": required, "schema": schema});
    if let (Some(description), Value::Object(param)) = (schema.get("description"), &mut param) {
        param.insert("description".to_owned(), description.clone());
    }
    param
}

fn definitions(schemas: &mut SchemaGenerator) -> Map<String, Value> {
    schemas.take_definitions(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_described_with_its_parameters() {
        let document = document();
        let methods = document["methods"].as_array().unwrap();
        assert_eq!(methods.len(), METHODS.len() + 1);
        let tell = methods.iter().find(|method| method["name"] == "tell").unwrap();
        let names: Vec<_> = tell["params"].as_array().unwrap().iter().map(|param| &param["name"]).collect();
        assert_eq!(names, ["from_user", "message", "target_mud", "target_user"]);
        assert_eq!(tell["params"][0]["required"], false);
        assert_eq!(tell["params"][1]["required"], true);
        assert_eq!(tell["x-permission"], "tell");
        for method in methods {
            for param in method["params"].as_array().unwrap() {
                assert!(param["description"].is_string(), "{} {}", method["name"], param["name"]);
            }
        }
    }

    #[test]
    fn every_example_is_json_and_gives_what_is_required() {
        for entry in METHODS {
            let params: Value = serde_json::from_str(entry.example.params).unwrap();
            let known = super::params(&(entry.params)(&mut SchemaGenerator::default()));
            for name in params.as_object().unwrap().keys() {
                assert!(known.iter().any(|param| param["name"] == *name), "{}: {name}", entry.name);
            }
            for param in known.iter().filter(|param| param["required"] == true) {
                assert!(params.get(param["name"].as_str().unwrap()).is_some(), "{}: {param}", entry.name);
            }
            let result: Value = serde_json::from_str(entry.example.result).unwrap();
            assert!(result.is_object(), "{}", entry.name);
        }
    }

    #[test]
    fn every_event_is_described_with_its_parameters() {
        let document = document();
        let events = document["x-events"].as_array().unwrap();
        let said = events.iter().find(|event| event["name"] == "channel_emote").unwrap();
        let names: Vec<_> = said["params"].as_array().unwrap().iter().map(|param| &param["name"]).collect();
        assert!(names.contains(&&json!("target_mud")) && names.contains(&&json!("visname")), "{names:?}");
        for event in events {
            assert!(
                event["example"].is_object() && event["summary"].as_str().unwrap().ends_with('.'),
                "{event}"
            );
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
