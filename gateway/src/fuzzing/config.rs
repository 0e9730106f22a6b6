//! The configuration: a file of variables and the file itself.

use serde_json::Value;

use crate::config::{Config, Layers, parse_env_file};

/// Stands for a secret in the corpus. What cannot be read at all must not be repeated, so it is in no such error.
const WRITTEN: &str = "hush-hush";

/// Takes the place of every secret of a file that can be read.
const SECRET: &str = "s3cr3t-of-the-file";

/// Lines of variables, a line `---`, then the file. Whatever is wrong with it, no secret is in what is said about it.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (variables, file) = text.split_once("---\n").unwrap_or(("", text));
    let variables = parse_env_file("variables", variables).unwrap_or_else(|error| {
        keeps(WRITTEN, &error.to_string());
        Default::default()
    });
    let environment = |name: &str| {
        let given = variables.get(name).cloned();
        // A file may refer to it in any place, also where it is no secret.
        if is_secret(name) && !file.contains(name) { given.map(|_| SECRET.to_owned()) } else { given }
    };
    let mut settings = match Layers::parse_file("config.yaml", file) {
        Ok(settings) => settings,
        Err(error) => return keeps(WRITTEN, &error.to_string()),
    };
    if text.contains(SECRET) {
        return;
    }
    hide(&mut settings, "");
    match Config::resolve(Layers::new(Default::default(), &environment, settings), "host-1") {
        Ok(config) => {
            assert!(
                !config.mud.name.is_empty()
                    && !config.rules.routers.is_empty()
                    && !config.api.keys.is_empty()
            );
            config.ignored.iter().for_each(|ignored| keeps(SECRET, &ignored.reason));
        }
        Err(error) => {
            assert!(!error.problems.is_empty());
            keeps(SECRET, &error.to_string());
        }
    }
}

fn keeps(secret: &str, said: &str) {
    assert!(!said.contains(secret), "{said}");
}

/// Whether a variable holds a secret.
fn is_secret(variable: &str) -> bool {
    ["I3_GATEWAY_SECRET", "I3_ROUTER_PASSWORD"].contains(&variable)
}

/// Puts [`SECRET`] in place of each text that is a secret by its place in the file.
fn hide(value: &mut Value, path: &str) {
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                hide(value, &format!("{path}.{name}"));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, &format!("{path}.*"))),
        Value::String(text) if SECRETS.contains(&path) => *text = hidden(text),
        _ => {}
    }
}

/// Where secrets are.
const SECRETS: [&str; 4] =
    [".gateway.auth.secret", ".router.primary.password", ".api.auth.api_keys.*", ".api.auth.api_keys.*.key"];

/// A reference to a variable stays one, and its default is the secret.
fn hidden(text: &str) -> String {
    match text.strip_prefix("${").and_then(|inside| inside.split_once(':')) {
        Some((name, _)) => format!("${{{name}:{SECRET}}}"),
        None if text.starts_with("${") => text.to_owned(),
        None => SECRET.to_owned(),
    }
}
