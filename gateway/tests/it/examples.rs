//! What the API's description shows is what a live gateway does.

use std::collections::BTreeSet;

use mudclient::Client;
use serde_json::{Value, json};

use super::schema::problems;
use super::stage::{TRANSPORTS, VARYING, entries, example, line, record};
use super::support::{Gateway, KEY, router};

/// Events that other tests provoke.
const ELSEWHERE: [&str; 0] = [];

/// The prose of the reference, with the examples that are written by hand.
const PROSE: &str = include_str!("../../../docs/api_reference.template.md");

#[test]
fn every_method_answers_as_its_example_and_its_schema_say() {
    let record = record();
    for ((name, method), (_, _, answers)) in entries(&record.document, "methods").zip(&record.calls) {
        for (transport, answer) in TRANSPORTS.iter().zip(answers) {
            let answer: Value = serde_json::from_str(answer).unwrap();
            let result = answer.get("result").unwrap_or_else(|| panic!("{name} on {transport}: {answer}"));
            assert_same(&format!("{name} on {transport}"), example(name, method).1, result);
            let wrong = problems(&record.document, &method["result"]["schema"], result);
            assert!(wrong.is_empty(), "{name} on {transport}: {wrong:#?}");
        }
    }
}

#[test]
fn every_event_is_as_its_example_and_its_schema_say() {
    let record = record();
    let provoked: BTreeSet<_> =
        record.events.iter().map(|(name, _)| name.as_str()).chain(ELSEWHERE).collect();
    let described: BTreeSet<_> = entries(&record.document, "x-events").map(|(name, _)| name).collect();
    assert_eq!(provoked, described, "each event is provoked, in stage.rs or elsewhere");
    for (name, lines) in &record.events {
        let (_, kind) = entries(&record.document, "x-events").find(|(kind, _)| kind == name).unwrap();
        for (transport, line) in TRANSPORTS.iter().zip(lines) {
            let event: Value = serde_json::from_str(line).unwrap();
            let mut expected = kind["example"].clone();
            expected.as_object_mut().unwrap().extend(placed());
            assert_eq!(keys(&event), ["jsonrpc", "method", "params"], "{name} on {transport}");
            assert_same(&format!("{name} on {transport}"), &expected, &event["params"]);
            let wrong = problems(&record.document, &schema_of(kind), &event["params"]);
            assert!(wrong.is_empty(), "{name} on {transport}: {wrong:#?}");
        }
    }
}

#[tokio::test]
async fn the_examples_in_the_prose_are_true() {
    let router = router().await;
    let gateway = Gateway::start("Dawn", &router, &[]).await;
    let wire = Client::connect(&gateway.websocket().await).await.unwrap();
    let (before, after) = PROSE.split_once("\n## Methods\n").unwrap();
    let mut replayed = 0;
    for text in [before, after] {
        for block in text.split("```json\n").skip(1) {
            let (block, _) = block.split_once("\n```").unwrap();
            // What stands alone is no answer, and is provoked elsewhere.
            let Some((request, expected)) = block.split_once('\n') else {
                serde_json::from_str::<Value>(block).expect("JSON");
                continue;
            };
            let expected: Value = serde_json::from_str(expected).unwrap();
            wire.send_raw(request).await;
            let answer = line(&wire, request, |line| line["id"] == expected["id"]).await;
            assert_same(request, &expected, &serde_json::from_str(&answer).unwrap());
            replayed += 1;
        }
        let key =
            json!({"jsonrpc": "2.0", "id": "key", "method": "authenticate", "params": {"api_key": KEY}});
        wire.send_raw(&key.to_string()).await;
        line(&wire, "authenticate", |line| line["id"] == "key").await;
    }
    assert!(replayed >= 3, "only {replayed} examples were found");
}

/// What is added to the parameters of each event.
fn placed() -> [(String, Value); 3] {
    [("timestamp", json!("2026-11-24T09:00:00.000000Z")), ("epoch", json!(1)), ("seq", json!(1))]
        .map(|(name, value)| (name.to_owned(), value))
}

/// The parameters' schema, from the list that the description has of them.
fn schema_of(kind: &Value) -> Value {
    let params = kind["params"].as_array().unwrap();
    let named = |param: &Value| (param["name"].as_str().unwrap().to_owned(), param["schema"].clone());
    let required = params.iter().filter(|param| param["required"] == true).map(|param| &param["name"]);
    let mut properties: serde_json::Map<_, _> = params.iter().map(named).collect();
    properties.extend(placed().map(|(name, _)| (name, json!(true))));
    json!({
        "type": "object",
        "required": required.collect::<Vec<_>>(),
        "properties": properties,
        "additionalProperties": {"enum": []},
    })
}

fn keys(value: &Value) -> Vec<&String> {
    value.as_object().map(|object| object.keys().collect()).unwrap_or_default()
}

/// Fails unless two values are the same but for what varies.
#[track_caller]
fn assert_same(what: &str, expected: &Value, actual: &Value) {
    assert_eq!(masked("", expected), masked("", actual), "{what}: {actual}");
}

/// A value without what varies in it: of numbers only the type is left, of texts the form.
fn masked(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            object.iter().map(|(name, value)| (name.clone(), masked(name, value))).collect()
        }
        Value::Array(list) => list.iter().map(|value| masked(name, value)).collect(),
        Value::Number(number) if VARYING.contains(&name) => {
            json!(if number.is_f64() { "a number" } else { "a whole number" })
        }
        Value::String(text) if VARYING.contains(&name) => {
            text.replace(|digit: char| digit.is_ascii_hexdigit(), "0").into()
        }
        other => other.clone(),
    }
}
