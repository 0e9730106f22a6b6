//! API keys and how fast they may be used, as configured.

use jiff::Timestamp;
use serde_json::Value;

use super::Layers;
use super::layers::number_of;
use crate::keys::{KeySource, KeySpec, Permissions, Rate, RateLimits};

const KEYS: &str = "api.auth.api_keys";
const FILES: &str = "api.auth.key_files";
const BY_METHOD: &str = "api.rate_limits.by_method";

/// Keys that were published with the Python gateway's file: everybody knows them.
const PUBLIC_KEYS: [&str; 3] = ["luminari-i3-gateway-2025", "demo-key-123", "admin-key-456"];

/// All keys of a mud: the one secret, those given with their text, and those in files.
pub(super) fn specs(layers: &mut Layers<'_>, mud: &str) -> Vec<KeySpec> {
    let all = |source| KeySpec { source, permissions: Permissions::all(), rate: None, expires: None };
    let mut specs: Vec<_> =
        layers.text("gateway.auth.secret").map(|key| all(KeySource::Given(key))).into_iter().collect();
    for (index, item) in layers.items(KEYS).into_iter().enumerate() {
        // A gateway speaks for one mud: a key of another would make it speak under a name that is not its own.
        if let Some(other) = other_mud(&item, mud) {
            let reason =
                format!("entry {} is for the mud {other:?}, and this gateway is for {mud:?}", index + 1);
            layers.ignore(KEYS, reason);
            continue;
        }
        let source = |text: &str| KeySource::Given(text.to_owned());
        specs.extend(spec(layers, KEYS, "key", index + 1, &item, source));
    }
    for (index, item) in layers.items(FILES).into_iter().enumerate() {
        let source = |path: &str| KeySource::File(path.into());
        specs.extend(spec(layers, FILES, "file", index + 1, &item, source));
    }
    for spec in &specs {
        if let KeySource::Given(key) = &spec.source
            && PUBLIC_KEYS.contains(&key.as_str())
        {
            layers.problem(
                "api.auth",
                "a key is one of those published with the Python gateway, so that anybody can use it: make a new one",
            );
        }
    }
    specs
}

/// The mud a key is for, if it is not ours.
fn other_mud<'a>(item: &'a Value, mud: &str) -> Option<&'a str> {
    let named = item.get("mud_name").and_then(Value::as_str).filter(|name| !name.is_empty())?;
    (!named.eq_ignore_ascii_case(mud)).then_some(named)
}

/// One key: a text alone, or a mapping with the text under `field` and what the key allows.
fn spec(
    layers: &mut Layers<'_>,
    path: &'static str,
    field: &str,
    number: usize,
    item: &Value,
    source: impl Fn(&str) -> KeySource,
) -> Option<KeySpec> {
    let text = item.get(field).unwrap_or(item).as_str().filter(|text| !text.is_empty());
    let Some(text) = text else {
        layers.problem(path, format!("entry {number} has no {field}"));
        return None;
    };
    let mut problem = |message: String| layers.problem(path, format!("entry {number}: {message}"));
    let permissions = permissions(item).unwrap_or_else(|message| {
        problem(message);
        Permissions::default()
    });
    let given = item.get("requests_per_minute").or_else(|| item.get("rate_limit_override"));
    let rate = given.filter(|rate| !rate.is_null()).and_then(|given| {
        let rate = number_of(given).map(Rate::per_minute);
        if rate.is_none() {
            problem("requests_per_minute must be a whole number, at least 1".to_owned());
        }
        rate
    });
    let expires = item.get("expires").filter(|expires| !expires.is_null()).and_then(|given| {
        let expires = given.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        if expires.is_none() {
            problem("expires must be a time such as 2027-01-01T00:00:00Z".to_owned());
        }
        expires
    });
    Some(KeySpec { source: source(text), permissions, rate, expires })
}

fn permissions(item: &Value) -> Result<Permissions, String> {
    match item.get("permissions") {
        None | Some(Value::Null) => Ok(Permissions::all()),
        Some(Value::Array(names)) => {
            let names = names.iter().map(|name| name.as_str().unwrap_or_default());
            Permissions::parse(names).map_err(|error| error.to_string())
        }
        Some(_) => Err("permissions must be a list".to_owned()),
    }
}

/// How fast keys may be used.
pub(super) fn rates(layers: &mut Layers<'_>) -> RateLimits {
    let expected = "a whole number, at least 1";
    let mut limits = RateLimits::default();
    if let Some(per_minute) = layers.parsed("api.rate_limits.default.per_minute", expected) {
        limits.default = Rate::per_minute(per_minute);
    }
    if let Some(burst) = layers.parsed("api.rate_limits.default.burst", expected) {
        limits.default.burst = burst;
    }
    for (method, per_minute) in layers.mapping(BY_METHOD) {
        match number_of(&per_minute) {
            Some(per_minute) => {
                limits.by_method.insert(method, Rate::per_minute(per_minute));
            }
            None => layers.problem(BY_METHOD, format!("{method} must be {expected}")),
        }
    }
    limits
}
