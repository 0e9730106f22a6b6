//! Checks values against the JSON schemas of `/api/docs`: the part of JSON Schema (draft 7) that they use. A keyword
//! that is not known here fails, so that no check is left out in silence.

use serde_json::Value;

/// What does not restrict a value.
const NOTES: [&str; 4] = ["description", "default", "title", "format"];

/// What is wrong with a value, with the place of it; empty when it is as the schema says.
pub fn problems(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(document, schema, value, "result", &mut found);
    found
}

fn check(document: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let rules = match schema {
        Value::Bool(true) => return,
        Value::Object(rules) => rules,
        other => return found.push(format!("{place}: {other} is no schema")),
    };
    for (rule, wanted) in rules {
        let holds = match rule.as_str() {
            "$ref" => {
                let target = wanted.as_str().and_then(|to| document.pointer(to.trim_start_matches('#')));
                match target {
                    Some(target) => check(document, target, value, place, found),
                    None => found.push(format!("{place}: {wanted} leads nowhere")),
                }
                true
            }
            "type" => list(wanted).any(|name| is_a(name, value)),
            "const" => wanted == value,
            "enum" => list(wanted).any(|one| one == value),
            "minimum" => value.as_f64() >= wanted.as_f64(),
            "maximum" => value.as_f64() <= wanted.as_f64(),
            "uniqueItems" => list(value)
                .enumerate()
                .all(|(index, one)| list(value).skip(index + 1).all(|other| other != one)),
            "required" => {
                list(wanted).all(|name| value.is_null() || value.get(name.as_str().unwrap_or("")).is_some())
            }
            "anyOf" => list(wanted).any(|one| problems(document, one, value).is_empty()),
            "oneOf" => list(wanted).filter(|one| problems(document, one, value).is_empty()).count() == 1,
            "allOf" => {
                list(wanted).for_each(|one| check(document, one, value, place, found));
                true
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(document, wanted, item, &format!("{place}[{index}]"), found);
                }
                true
            }
            "properties" => {
                for (name, schema) in wanted.as_object().into_iter().flatten() {
                    if let Some(inner) = value.get(name) {
                        check(document, schema, inner, &format!("{place}.{name}"), found);
                    }
                }
                true
            }
            "additionalProperties" => {
                let known =
                    |name: &str| rules.get("properties").is_some_and(|known| known.get(name).is_some());
                for (name, inner) in value.as_object().into_iter().flatten().filter(|(name, _)| !known(name))
                {
                    check(document, wanted, inner, &format!("{place}.{name}"), found);
                }
                true
            }
            note if NOTES.contains(&note) => true,
            unknown => return found.push(format!("{place}: this checker does not know {unknown:?}")),
        };
        if !holds {
            found.push(format!("{place}: {value} is not as {rule:?}: {wanted} wants it"));
        }
    }
}

/// A list's items, or the value itself: `type` may be either.
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}

fn is_a(name: &Value, value: &Value) -> bool {
    match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    }
}

#[test]
fn values_are_checked() {
    use serde_json::json;
    let document = json!({"n": {"type": "integer", "minimum": 0}});
    let schema = json!({
        "type": "object", "required": ["a"], "additionalProperties": {"type": "string"},
        "properties": {"a": {"type": "array", "items": {"anyOf": [{"$ref": "#/n"}, {"type": "null"}]}}, "b": {"const": "x"}},
    });
    let wrong = |value: Value| problems(&document, &schema, &value).len();
    assert_eq!(wrong(json!({"a": [1, null], "b": "x", "more": "y"})), 0);
    for value in [
        json!({}),
        json!([]),
        json!({"a": [-1]}),
        json!({"a": ["1"]}),
        json!({"a": [], "b": "y"}),
        json!({"a": [], "c": 1}),
    ] {
        assert!(wrong(value.clone()) > 0, "{value}");
    }
    assert_eq!(problems(&document, &json!({"pattern": "x"}), &json!("y")).len(), 1);
    assert_eq!(problems(&document, &json!({"$ref": "#/nowhere"}), &json!("y")).len(), 1);
}
