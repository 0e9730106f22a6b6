//! Modules depend on each other one way only: on those of the layers below theirs.

use std::fs;
use std::path::{Path, PathBuf};

/// From the lowest up. Those of one layer know nothing of each other.
const LAYERS: &[&[&str]] = &[
    &["supervise", "sync"],
    &["mud"],
    &["allowance", "keys", "net", "oob"],
    &["bus"],
    &["packets"],
    &["hub", "router"],
    &["metrics"],
    &["services"],
    &["calls", "replicas"],
    &["api"],
    &["config"],
    &["fuzzing", "run", "telemetry"],
];

/// It counts for those below it too, in their words.
const USED_BY_ALL: &str = "metrics";

/// No modules of the library, or not in the program.
const NONE: [&str; 3] = ["layers", "lib", "main"];

/// The files of a folder and of those in it, without those that are for tests alone.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The modules of this crate that a file uses besides its own; doc comments and tests may speak of any.
fn uses(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("\n#[cfg(test)]\nmod tests {").take(1).flat_map(str::lines);
    let code = code.filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1)).map(|rest| {
        let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
        &rest[..end.unwrap_or(rest.len())]
    })
}

#[test]
fn no_module_uses_one_of_its_own_layer_or_above() {
    let layer = |module: &str| {
        let layer = LAYERS.iter().position(|layer| layer.contains(&module));
        layer.unwrap_or_else(|| panic!("{module:?} stands in no layer"))
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in files(&root) {
        let path = file.strip_prefix(&root).unwrap();
        let module = path.iter().next().and_then(|first| first.to_str()).unwrap().trim_end_matches(".rs");
        if NONE.contains(&module) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for used in uses(&text).filter(|used| ![module, USED_BY_ALL].contains(used)) {
            if layer(used) >= layer(module) {
                wrong.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
