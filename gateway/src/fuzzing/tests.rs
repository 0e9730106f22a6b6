use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::api::openrpc::document;

type Check = fn(&[u8]);

const TARGETS: [(&str, Check); 5] = [
    ("request", super::request),
    ("session", super::session),
    ("config", super::config),
    ("conversation", super::conversation),
    ("services", super::services),
];

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(folder(target)).unwrap().map(|file| file.unwrap().path());
    let inputs: Vec<_> = files.map(|file| fs::read(file).unwrap()).collect();
    assert!(!inputs.is_empty(), "{target} has no corpus");
    inputs
}

#[test]
fn every_check_holds_for_every_corpus() {
    let inputs: Vec<_> = TARGETS.iter().flat_map(|(target, _)| corpus(target)).collect();
    for (_, check) in TARGETS {
        inputs.iter().for_each(|input| check(input));
    }
}

/// A request of every method, by its name: the example of the API's description.
fn examples() -> Vec<(String, String)> {
    let example = |method: &Value| {
        let given = method["examples"][0]["params"].as_array().unwrap();
        let params: Map<_, _> = given
            .iter()
            .map(|param| (param["name"].as_str().unwrap().to_owned(), param["value"].clone()))
            .collect();
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method["name"], "params": params});
        (method["name"].as_str().unwrap().to_owned(), request.to_string())
    };
    document()["methods"].as_array().unwrap().iter().map(example).collect()
}

/// `UPDATE_CORPUS=1 cargo test -p mudgateway --lib fuzzing` writes what is missing.
#[test]
fn the_corpus_holds_the_example_of_every_method() {
    for (method, request) in examples() {
        let file = folder("request").join(format!("example-{method}"));
        if std::env::var_os("UPDATE_CORPUS").is_some() {
            fs::write(&file, &request).unwrap();
        }
        assert!(fs::read_to_string(&file).is_ok_and(|found| found == request), "{method}: UPDATE_CORPUS=1");
    }
}
