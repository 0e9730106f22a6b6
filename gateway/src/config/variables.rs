//! Environment variables: those named in the configuration file, and files that hold them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{ConfigError, Problem};

/// A value of the file that names a variable which is not set and gives no default, or that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unresolved {
    /// Where in the file.
    pub(super) path: String,
    /// What is wrong. The value is not in it: a default may be a secret.
    pub(super) message: String,
}

/// Replaces every text that starts with `${VAR}` or `${VAR:default}`; what follows the brace is kept. As everywhere, an
/// empty variable counts as not set. What cannot be replaced becomes null and is returned.
pub(super) fn expand(file: &mut Value, environment: &dyn Fn(&str) -> Option<String>) -> Vec<Unresolved> {
    let mut unresolved = Vec::new();
    expand_at(file, String::new(), environment, &mut unresolved);
    unresolved
}

/// The parser's own cap bounds the depth.
fn expand_at(
    value: &mut Value,
    path: String,
    environment: &dyn Fn(&str) -> Option<String>,
    unresolved: &mut Vec<Unresolved>,
) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                expand_at(inner, path, environment, unresolved);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter_mut().enumerate() {
                expand_at(inner, format!("{path}.{}", index + 1), environment, unresolved);
            }
        }
        Value::String(text) => match expanded(text, environment) {
            None => {}
            Some(Ok(expanded)) => *text = expanded,
            Some(Err(message)) => {
                unresolved.push(Unresolved { path, message });
                *value = Value::Null;
            }
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text a reference stands for, or why there is none; `None` when the text is no reference.
fn expanded(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Option<Result<String, String>> {
    let inside = text.strip_prefix("${")?;
    let Some((reference, rest)) = inside.split_once('}') else {
        return Some(Err("starts with ${ but has no } after it".to_owned()));
    };
    let (name, default) = match reference.split_once(':') {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if !is_name(name) {
        return Some(Err("starts with ${ but no name of a variable follows".to_owned()));
    }
    let set = environment(name).filter(|value| !value.is_empty());
    Some(match set.or_else(|| default.map(str::to_owned)) {
        Some(value) => Ok(value + rest),
        None => Err(format!(
            "the variable {name} is not set: set it, or write a default as in ${{{name}:default}}"
        )),
    })
}

fn is_name(text: &str) -> bool {
    text.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
        && text.starts_with(|char: char| !char.is_ascii_digit())
}

/// Reads a file of variables: `KEY=VALUE` lines, `export` before them or not, the value in quotes or not; `#` starts
/// a comment.
///
/// # Errors
/// A [`ConfigError`] that names each line which is something else. No line is repeated: it may hold a secret.
pub fn parse_env_file(name: &str, text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut variables = BTreeMap::new();
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match assignment(line) {
            Some((key, value)) => {
                variables.insert(key.to_owned(), value.to_owned());
            }
            None => {
                let message = format!("line {} is not of the form KEY=VALUE", index + 1);
                problems.push(Problem { setting: name.to_owned(), message });
            }
        }
    }
    if problems.is_empty() { Ok(variables) } else { Err(ConfigError { problems }) }
}

fn assignment(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    if !is_name(key) {
        return None;
    }
    for quote in ['"', '\''] {
        if let Some(quoted) = value.strip_prefix(quote) {
            let (inside, rest) = quoted.split_once(quote)?;
            let rest = rest.trim();
            return (rest.is_empty() || rest.starts_with('#')).then_some((key, inside));
        }
    }
    let value = value.split_once(" #").map_or(value, |(value, _)| value.trim_end());
    Some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn environment(name: &str) -> Option<String> {
        match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn references_are_replaced_wherever_they_are_and_the_rest_is_kept() {
        let mut file = json!({"a": "${SET:x}", "b": [{"c": "${UNSET:4000}"}, "${SET}/rest"], "d": "${EMPTY:x}", "e": 1,
            "f": "not ${SET}", "g": "${UNSET:}", "h": "${UNSET:nats://h:4222}", "$": "$SET"});
        assert_eq!(expand(&mut file, &environment), []);
        let expected = json!({"a": "value", "b": [{"c": "4000"}, "value/rest"], "d": "x", "e": 1,
            "f": "not ${SET}", "g": "", "h": "nats://h:4222", "$": "$SET"});
        assert_eq!(file, expected);
    }

    #[test]
    fn what_cannot_be_replaced_is_named_without_what_it_holds() {
        let mut file = json!({"a": {"b": ["${UNSET}"]}, "c": "${SECRET:hunter2", "d": "${no name:hunter2}"});
        let unresolved = expand(&mut file, &environment);
        let text = format!("{unresolved:?}");
        assert_eq!(unresolved.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), ["a.b.1", "c", "d"]);
        assert!(text.contains("the variable UNSET is not set") && !text.contains("hunter2"), "{text}");
        assert_eq!(file, json!({"a": {"b": [null]}, "c": null, "d": null}));
    }

    #[test]
    fn a_file_of_variables_is_read_as_shells_do() {
        let text = "# comment\n\nA=1\n export B = two words # comment\r\nC=\"in quotes # all\" # comment\nD='x'\nE=\nF=a=b#c\n";
        let variables = parse_env_file(".env", text).unwrap();
        let pairs: Vec<_> = variables.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let expected =
            [("A", "1"), ("B", "two words"), ("C", "in quotes # all"), ("D", "x"), ("E", ""), ("F", "a=b#c")];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn a_line_that_is_no_assignment_is_named_and_not_repeated() {
        let error = parse_env_file(".env", "A=1\nhunter2\n1A=x\nB=\"open\n").unwrap_err().to_string();
        for line in [2, 3, 4] {
            assert!(error.contains(&format!(".env: line {line} is not of the form KEY=VALUE")), "{error}");
        }
        assert!(!error.contains("hunter2"), "{error}");
    }
}
