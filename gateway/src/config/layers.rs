//! The layers settings come from, and the problems found in them.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;

use super::ConfigError;
use super::settings::{IGNORED, LISTS, ORIGINALS, SETTINGS};
use super::variables::{self, Unresolved};
use crate::router::RouterAddress;

/// One thing that is wrong, and where it came from.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting, by its place in the file.
    pub setting: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.message)
    }
}

/// Flags, environment and file, in that order of precedence.
pub struct Layers<'a> {
    flags: BTreeMap<&'static str, String>,
    environment: &'a dyn Fn(&str) -> Option<String>,
    file: Value,
    unresolved: Vec<Unresolved>,
    ignored: Vec<Ignored>,
    problems: Vec<Problem>,
}

/// A setting of the file that changes nothing here.
#[derive(Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The setting, by its place in the file.
    pub setting: String,
    /// Why, and what to use instead if there is something.
    pub reason: String,
}

impl<'a> Layers<'a> {
    /// Layers from flags (by [`super::Setting::path`]), a look-up of environment variables, and the file's content, in
    /// which references to variables are replaced.
    pub fn new(
        flags: BTreeMap<&'static str, String>,
        environment: &'a dyn Fn(&str) -> Option<String>,
        mut file: Value,
    ) -> Self {
        let unresolved = variables::expand(&mut file, environment);
        Self { flags, environment, file, unresolved, ignored: Vec::new(), problems: Vec::new() }
    }

    /// Reads a YAML file's text into what [`Layers::new`] takes.
    ///
    /// # Errors
    /// A [`ConfigError`] when it is not YAML or not a mapping.
    pub fn parse_file(name: &str, text: &str) -> Result<Value, ConfigError> {
        let fail =
            |message: String| ConfigError { problems: vec![Problem { setting: name.to_owned(), message }] };
        if text.trim().is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        match serde_saphyr::from_str::<Value>(text) {
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(_) => Err(fail("must hold a mapping of settings".to_owned())),
            // Not the lines around it, for there may be a secret in them.
            Err(error) => Err(fail(format!("is not valid YAML: {}", error.without_snippet()))),
        }
    }

    /// Records a problem of a setting.
    pub(super) fn problem(&mut self, setting: &str, message: impl Into<String>) {
        self.problems.push(Problem { setting: setting.to_owned(), message: message.into() });
    }

    /// Records that a setting of the file changes nothing.
    pub(super) fn ignore(&mut self, setting: &str, reason: impl Into<String>) {
        self.ignored.push(Ignored { setting: setting.to_owned(), reason: reason.into() });
    }

    /// Records that a required setting is missing, with every way to set it.
    pub(super) fn missing(&mut self, path: &'static str) {
        let ways = SETTINGS.iter().find(|setting| setting.path == path).map_or_else(String::new, |setting| {
            format!(": use --{}, {} or {} in the file", setting.flag, setting.env, setting.path)
        });
        self.problem(path, format!("is required{ways}"));
    }

    /// A setting's text from the first layer that has it. An empty text counts as not set.
    pub(super) fn text(&mut self, path: &'static str) -> Option<String> {
        self.sourced(path).map(|(text, _)| text)
    }

    /// A setting parsed to a type; a text that does not parse is a problem and counts as not set.
    pub(super) fn parsed<T: FromStr>(&mut self, path: &'static str, expected: &str) -> Option<T> {
        let (text, source) = self.sourced(path)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            // A value that should be a number may still be a secret that went into the wrong place.
            let shown = if path.ends_with("password") { "the value".to_owned() } else { format!("{text:?}") };
            self.problem(path, format!("{shown} ({source}) is not {expected}"));
        }
        parsed
    }

    /// A TCP port. Port 0 is allowed for listeners: the system chooses.
    pub(super) fn port(&mut self, path: &'static str) -> Option<u16> {
        self.parsed(path, "a port (0 to 65535)")
    }

    /// A number of things or bytes, at least 1.
    pub(super) fn count(&mut self, path: &'static str) -> Option<usize> {
        let count: std::num::NonZeroUsize = self.parsed(path, "a whole number, at least 1")?;
        Some(count.get())
    }

    /// The sum of numbers of the Python gateway's file, as far as they are given.
    pub(super) fn original_count(&mut self, paths: &[&'static str]) -> Option<usize> {
        let mut sum = None;
        for path in paths {
            debug_assert!(ORIGINALS.contains(path), "{path} is not in the table of original settings");
            let Some(value) = entry(&self.file, path).filter(|value| !value.is_null()) else { continue };
            match number_of(value) {
                Some(count) => sum = Some(sum.unwrap_or(0usize).saturating_add(count.get() as usize)),
                None => self.problem(path, "is not a whole number, at least 1"),
            }
        }
        sum
    }

    /// A time in seconds, at least 1.
    pub(super) fn seconds(&mut self, path: &'static str) -> Option<Duration> {
        let seconds: std::num::NonZeroU32 = self.parsed(path, "a whole number of seconds, at least 1")?;
        Some(Duration::from_secs(seconds.get().into()))
    }

    /// A yes or no.
    pub(super) fn boolean(&mut self, path: &'static str) -> Option<bool> {
        let (text, source) = self.sourced(path)?;
        let truth = truth_of(&text);
        if truth.is_none() {
            self.problem(path, format!("{text:?} ({source}) is not true or false"));
        }
        truth
    }

    /// A list of the file: of texts, or of mappings that hold the text under `field`.
    pub(super) fn list(&mut self, path: &'static str, field: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for (index, item) in self.items(path).into_iter().enumerate() {
            match item.get(field).unwrap_or(&item).as_str() {
                Some(text) if !text.is_empty() => texts.push(text.to_owned()),
                _ if field.is_empty() => self.problem(path, format!("entry {} must be a text", index + 1)),
                _ => self.problem(path, format!("entry {} must be a text or have a {field}", index + 1)),
            }
        }
        texts
    }

    /// The routers to fall back to. An entry without a host is skipped: the Python gateway's own file has one.
    pub(super) fn fallback_routers(&mut self) -> Vec<RouterAddress> {
        let mut routers = Vec::new();
        for (index, item) in self.items("router.fallback").into_iter().enumerate() {
            let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let port = match item.get("port") {
                None => Some(8080),
                Some(Value::String(port)) => port.parse().ok(),
                Some(port) => port.as_u64().and_then(|port| u16::try_from(port).ok()),
            };
            let (host, Some(port)) = (text("host"), port) else {
                self.problem("router.fallback", format!("entry {} has no valid port", index + 1));
                continue;
            };
            if !host.is_empty() {
                routers.push(RouterAddress { name: text("name"), host, port });
            }
        }
        routers
    }

    /// Entries of the file that nobody reads: known ones of the Python gateway are ignored, others are problems.
    pub(super) fn unknown_entries(&mut self) {
        let mut leaves = Vec::new();
        collect_leaves(&self.file, String::new(), &mut leaves);
        for leaf in leaves {
            let known = SETTINGS.iter().any(|setting| setting.path == leaf)
                || ORIGINALS.contains(&leaf.as_str())
                || LISTS.iter().any(|list| covers(list, &leaf));
            if known {
                continue;
            }
            match IGNORED.iter().find(|(path, _)| covers(path, &leaf)) {
                Some((_, reason)) => self.ignore(&leaf, *reason),
                None => self.problem(&leaf, "is not a setting: check the spelling, or take it out"),
            }
        }
    }

    /// References of the file to variables that are not set are problems where they matter: not in what is ignored,
    /// and not where a flag or the setting's own variable wins.
    pub(super) fn unresolved_references(&mut self) {
        for Unresolved { path, message } in std::mem::take(&mut self.unresolved) {
            let setting = SETTINGS.iter().find(|setting| setting.path == path);
            let overridden = setting.is_some_and(|setting| {
                let flag = self.flags.get(setting.path).is_some_and(|text| !text.is_empty());
                flag || (self.environment)(setting.env).is_some_and(|text| !text.is_empty())
            });
            let ignored = setting.is_none() && IGNORED.iter().any(|(ignored, _)| covers(ignored, &path));
            if !overridden && !ignored {
                self.problem(&path, message);
            }
        }
    }

    /// What was ignored so far.
    pub(super) fn take_ignored(&mut self) -> Vec<Ignored> {
        std::mem::take(&mut self.ignored)
    }

    /// The result, if no problem was found.
    pub(super) fn finish<T>(self, result: T) -> Result<T, ConfigError> {
        if self.problems.is_empty() { Ok(result) } else { Err(ConfigError { problems: self.problems }) }
    }

    fn sourced(&mut self, path: &'static str) -> Option<(String, String)> {
        let setting = SETTINGS.iter().find(|setting| setting.path == path);
        debug_assert!(setting.is_some(), "{path} is not in the table of settings");
        let setting = setting?;
        if let Some(text) = self.flags.get(path).filter(|text| !text.is_empty()) {
            return Some((text.clone(), format!("flag --{}", setting.flag)));
        }
        if let Some(text) = (self.environment)(setting.env).filter(|text| !text.is_empty()) {
            return Some((text, format!("environment variable {}", setting.env)));
        }
        let text = match entry(&self.file, path) {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) => text.clone(),
            Some(scalar @ (Value::Bool(_) | Value::Number(_))) => scalar.to_string(),
            Some(Value::Array(_) | Value::Object(_)) => {
                self.problem(path, "must be a single value in the file");
                return None;
            }
        };
        (!text.is_empty()).then(|| (text, "file".to_owned()))
    }

    /// A mapping of the file.
    pub(super) fn mapping(&mut self, path: &'static str) -> serde_json::Map<String, Value> {
        match entry(&self.file, path) {
            None | Some(Value::Null) => serde_json::Map::new(),
            Some(Value::Object(mapping)) => mapping.clone(),
            Some(_) => {
                self.problem(path, "must be a mapping");
                serde_json::Map::new()
            }
        }
    }

    /// A list of the file.
    pub(super) fn items(&mut self, path: &'static str) -> Vec<Value> {
        match entry(&self.file, path) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items.clone(),
            Some(_) => {
                self.problem(path, "must be a list");
                Vec::new()
            }
        }
    }
}

fn entry<'v>(file: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(file, |value, key| value.get(key))
}

fn covers(path: &str, leaf: &str) -> bool {
    leaf.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A yes or no, in words or as a number.
pub(super) fn truth_of(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A whole number of the file, at least 1; as text, too, for it may come from a variable.
pub(super) fn number_of(value: &Value) -> Option<NonZeroU32> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64().and_then(|number| u32::try_from(number).ok()).and_then(NonZeroU32::new),
    }
}

/// The paths of all values that are not mappings. The parser's own cap bounds the depth.
fn collect_leaves(value: &Value, path: String, leaves: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect_leaves(inner, path, leaves);
            }
        }
        _ => leaves.push(path),
    }
}
