//! Writes docs/API_REFERENCE.md: the prose of docs/api_reference.template.md with the tables that the API's own
//! description gives. Run it with `cargo run -p mudgateway --example api-reference`.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use mudgateway::api::openrpc;
use mudgateway::config::SETTINGS;
use serde_json::{Map, Value, json};

const NOTICE: &str = "<!-- Generated from docs/api_reference.template.md and the Rust types by `make generate`. Do not edit. -->\n\n";

/// What the settings that are limits for clients begin with.
const LIMITS: [&str; 3] = ["api.limits.", "api.rate_limits.", "channels."];

fn main() -> Result<(), Box<dyn Error>> {
    let path = docs("API_REFERENCE.md");
    fs::write(&path, reference()?)?;
    println!("wrote {}", path.display());
    Ok(())
}

fn docs(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "docs", file].iter().collect()
}

/// The whole reference.
fn reference() -> Result<String, Box<dyn Error>> {
    let document = openrpc::document();
    let mut text = fs::read_to_string(docs("api_reference.template.md"))?;
    let parts = [
        ("close-codes", close_codes(&document)),
        ("limits", limits()),
        ("permissions", permissions(&document)),
        ("overview", overview(&document)),
        ("methods", methods(&document)),
        ("events", events(&document)),
        ("errors", errors(&document)),
    ];
    for (name, part) in parts {
        let place = format!("{{{{{name}}}}}");
        if !text.contains(&place) {
            return Err(format!("the template has no place {place}").into());
        }
        text = text.replace(&place, part.trim_end());
    }
    match text.split_once("{{") {
        Some((_, rest)) => {
            Err(format!("nothing belongs at {{{{{}", rest.lines().next().unwrap_or("")).into())
        }
        None => Ok(format!("{NOTICE}{text}")),
    }
}

/// A table, without a head when no column has a name, and nothing at all without rows.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(head.to_vec());
    text += &format!("|{}\n", "---|".repeat(head.len()));
    for row in rows {
        text += &line(row.iter().map(String::as_str).collect());
    }
    text + "\n"
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn code(name: &str) -> String {
    format!("`{name}`")
}

fn close_codes(document: &Value) -> String {
    let row = |entry: &Value| vec![entry["code"].to_string(), text(&entry["summary"]).to_owned()];
    table(
        &["close code", "why, and what to do"],
        &list(&document["x-close-codes"]).map(row).collect::<Vec<_>>(),
    )
}

fn errors(document: &Value) -> String {
    let row = |entry: &Value| {
        vec![
            entry["code"].to_string(),
            text(&entry["transport"]).to_owned(),
            text(&entry["summary"]).to_owned(),
        ]
    };
    table(&["code", "transport", "when"], &list(&document["x-errors"]).map(row).collect::<Vec<_>>())
}

fn limits() -> String {
    let is_limit =
        |path: &str| LIMITS.iter().any(|start| path.starts_with(start)) || path.ends_with("ping_interval");
    let rows: Vec<_> = SETTINGS
        .iter()
        .filter(|setting| is_limit(setting.path))
        .map(|setting| {
            let (what, default) =
                setting.help.trim_end_matches(']').split_once(" [default: ").unwrap_or((setting.help, ""));
            vec![what.to_owned(), default.to_owned(), code(setting.path), code(setting.env)]
        })
        .collect();
    table(&["limit", "default", "setting", "environment"], &rows)
}

fn permissions(document: &Value) -> String {
    let with = |kind: &str, permission: &Value| {
        let entries = list(&document[kind]).filter(|entry| entry["x-permission"] == *permission);
        entries.map(|entry| code(text(&entry["name"]))).collect::<Vec<_>>().join(", ")
    };
    let row = |name: String, summary: &Value, permission: &Value| {
        vec![name, text(summary).to_owned(), with("methods", permission), with("x-events", permission)]
    };
    let mut rows: Vec<_> = list(&document["x-permissions"])
        .map(|permission| row(code(text(&permission["name"])), &permission["summary"], &permission["name"]))
        .collect();
    rows.push(row("none".to_owned(), &json!("Whatever any key may do."), &Value::Null));
    table(&["permission", "for", "methods", "events"], &rows)
}

fn overview(document: &Value) -> String {
    let row = |entry: &Value| {
        let name = text(&entry["name"]);
        vec![format!("[`{name}`](#{name})"), permission(entry), text(&entry["summary"]).to_owned()]
    };
    table(&["method", "permission", ""], &list(&document["methods"]).map(row).collect::<Vec<_>>())
}

fn permission(entry: &Value) -> String {
    entry["x-permission"].as_str().map(code).unwrap_or_default()
}

fn needs(entry: &Value) -> String {
    entry["x-permission"].as_str().map(|name| format!(" Permission: `{name}`.")).unwrap_or_default()
}

fn methods(document: &Value) -> String {
    let mut all = String::new();
    for method in list(&document["methods"]) {
        let name = text(&method["name"]);
        let _ = write!(all, "### `{name}`\n\n{}{}\n\n", text(&method["summary"]), needs(method));
        all += &table(&["parameter", "type", "default", ""], &fields(document, &method["params"], true));
        let result = properties(&method["result"]["schema"]);
        all += &table(&["result", "type", ""], &fields(document, &result, false));
        if method["result"]["schema"]["additionalProperties"] == true {
            all +=
                "The result also repeats what was asked and has the answer's fields, as in the example.\n\n";
        }
        for example in list(&method["examples"]) {
            let params: Map<_, _> = list(&example["params"])
                .map(|param| (text(&param["name"]).to_owned(), param["value"].clone()))
                .collect();
            let _ = write!(
                all,
                "```json\n{{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"{name}\", \"params\": {}}}\n\
                 {{\"jsonrpc\": \"2.0\", \"id\": 1, \"result\": {}}}\n```\n\n",
                spaced(&Value::Object(params)),
                spaced(&example["result"]["value"])
            );
        }
    }
    all
}

fn events(document: &Value) -> String {
    let mut all = String::new();
    for event in list(&document["x-events"]) {
        let name = text(&event["name"]);
        let _ = write!(all, "### `{name}`\n\n{}{}\n\n", text(&event["summary"]), needs(event));
        all += &table(&["parameter", "type", ""], &fields(document, &event["params"], false));
        let _ = write!(all, "```json\n{}\n```\n\n", spaced(&event["example"]));
    }
    all
}

/// A schema's properties as the list that OpenRPC has for parameters.
fn properties(schema: &Value) -> Value {
    let required: Vec<_> = list(&schema["required"]).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, schema)| {
            json!({
                "name": name,
                "schema": schema,
                "description": schema["description"],
                "required": required.iter().any(|required| **required == *name),
            })
        })
        .collect()
}

/// The rows of a table of fields, the required ones first; those inside others follow them with a dot.
fn fields(document: &Value, params: &Value, defaults: bool) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut shown = BTreeSet::new();
    add_fields(document, params, "", defaults, &mut shown, &mut rows);
    rows
}

fn add_fields(
    document: &Value,
    params: &Value,
    before: &str,
    defaults: bool,
    shown: &mut BTreeSet<String>,
    rows: &mut Vec<Vec<String>>,
) {
    let mut params: Vec<&Value> = list(params).collect();
    params.sort_by_key(|param| param["required"] != true);
    for param in params {
        let schema = resolve(document, &param["schema"]);
        let name = format!("{before}{}", text(&param["name"]));
        let mut row = vec![code(&name), type_of(document, schema)];
        if defaults {
            // Null counts as not given, so it is no type of a parameter.
            row[1] = row[1].trim_end_matches(" or null").to_owned();
            row.push(default(param));
        } else if param["required"] == false {
            row[1] += ", not always";
        }
        row.push(described(param, schema));
        rows.push(row);
        let (inner, mark) = match &schema["items"] {
            Value::Null => (schema, "."),
            items => (resolve(document, items), "[]."),
        };
        // What holds the same fields as one before is not told twice.
        if !inner["properties"].is_object() {
            continue;
        }
        if shown.insert(inner.to_string()) {
            add_fields(document, &properties(inner), &format!("{name}{mark}"), defaults, shown, rows);
        } else if let Some(description) = rows.last_mut().and_then(|row| row.last_mut()) {
            *description += " Its fields are as above.";
        }
    }
}

fn described(param: &Value, schema: &Value) -> String {
    let description = param["description"].as_str().or(schema["description"].as_str());
    let values: Vec<_> = list(&schema["oneOf"])
        .map(|value| {
            let description = text(&value["description"]).trim_end_matches('.');
            format!("`{}`: {description}", text(&value["const"]))
        })
        .collect();
    let mut all = description.unwrap_or_default().replace('\n', " ").replace('|', "\\|");
    if !values.is_empty() {
        let _ = write!(all, " {}.", values.join("; "));
    }
    all
}

fn default(param: &Value) -> String {
    match (&param["required"], &param["schema"]["default"]) {
        (Value::Bool(true), _) => "**required**".to_owned(),
        (_, Value::Null | Value::Object(_)) => String::new(),
        (_, Value::Array(list)) if list.is_empty() => String::new(),
        (_, default) => code(&default.to_string()),
    }
}

/// Follows a reference, or the one that stands beside null.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let inner = ["allOf", "anyOf"].iter().find_map(|of| list(&schema[*of]).find(|one| one["type"] != "null"));
    if let Some(inner) = inner {
        return resolve(document, inner);
    }
    match schema["$ref"].as_str().and_then(|pointer| document.pointer(pointer.trim_start_matches('#'))) {
        Some(target) => resolve(document, target),
        None => schema,
    }
}

fn type_of(document: &Value, schema: &Value) -> String {
    let one = |name: &str| match name {
        "array" => match type_of(document, resolve(document, &schema["items"])).as_str() {
            "" => "list".to_owned(),
            inner => format!("list of {inner}s"),
        },
        "object" => "object".to_owned(),
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(name) => one(name),
        Value::Array(names) => {
            let names: Vec<_> = names.iter().map(|name| one(text(name))).collect();
            names.join(" or ")
        }
        _ if schema["oneOf"].is_array() => "string".to_owned(),
        _ => String::new(),
    }
}

/// JSON in one line, with a space behind each comma and colon.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("[{}]", list.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        Value::Object(object) => {
            let field = |(name, value): (&String, &Value)| format!("{}: {}", json!(name), spaced(value));
            format!("{{{}}}", object.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_reference_is_what_the_types_say() {
        let committed = fs::read_to_string(docs("API_REFERENCE.md")).unwrap_or_default();
        assert!(committed == reference().unwrap(), "docs/API_REFERENCE.md is out of date: make generate");
    }

    #[test]
    fn every_field_is_described() {
        let document = openrpc::document();
        for method in list(&document["methods"]) {
            let result = properties(&method["result"]["schema"]);
            let rows =
                [fields(&document, &method["params"], true), fields(&document, &result, false)].concat();
            for row in rows {
                assert!(
                    row.iter().all(|cell| !cell.is_empty()) || row.len() == 4 && !row[3].is_empty(),
                    "{method}: {row:?}"
                );
            }
        }
    }
}
