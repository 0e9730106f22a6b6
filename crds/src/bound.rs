//! Bounds for types of Kubernetes itself, which have none in its schema.

use schemars::Schema;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;

/// The most entries of a list or map, and the longest text: more than anybody needs, and not without end. The longest
/// name of a label has 317 characters.
const ENTRIES: usize = 64;
const CHARACTERS: usize = 512;

/// Bounds each list, map and text that has no bound of its own.
pub(crate) fn bounded(schema: &mut Schema) {
    RecursiveTransform(bound).transform(schema);
}

fn bound(schema: &mut Schema) {
    let is_map = schema.get("additionalProperties").is_some_and(Value::is_object);
    let bound = match schema.get("type").and_then(Value::as_str) {
        Some("array") => ("maxItems", ENTRIES),
        Some("object") if is_map => ("maxProperties", ENTRIES),
        Some("string") => ("maxLength", CHARACTERS),
        _ => return,
    };
    if schema.get(bound.0).is_none() {
        schema.insert(bound.0.to_owned(), bound.1.into());
    }
}
