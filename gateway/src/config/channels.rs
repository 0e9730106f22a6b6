//! The channels a mud is on from the start.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Layers;
use super::layers::truth_of;
use crate::services::{Configured, Scope};

const PATH: &str = "channels.default_channels";

/// The channels by name. `bus`: there is one, without which nobody hears a channel of the provider's.
pub(super) fn channels(layers: &mut Layers<'_>, bus: bool) -> BTreeMap<String, Configured> {
    let mut channels = BTreeMap::new();
    for (index, item) in layers.items(PATH).into_iter().enumerate() {
        match channel(&item, bus) {
            Ok((name, configured)) => {
                if channels.insert(name, configured).is_some_and(|before| before != configured) {
                    let problem = "is there already with other settings: remove one of the two";
                    layers.problem(PATH, format!("entry {} {problem}", index + 1));
                }
            }
            Err(problem) => layers.problem(PATH, format!("entry {} {problem}", index + 1)),
        }
    }
    channels
}

/// One entry: the name alone, or a mapping that has it.
fn channel(item: &Value, bus: bool) -> Result<(String, Configured), String> {
    let name = item.get("name").unwrap_or(item).as_str().filter(|name| !name.is_empty());
    let name = name.ok_or("must be a text or have a name")?;
    let scope = match item.get("scope").map(Value::as_str) {
        None | Some(Some("network")) => Scope::Network,
        Some(Some("provider")) if bus => Scope::Provider,
        Some(Some("provider")) => {
            return Err(
                "has the scope provider, which needs nats.url: without it nobody else hears the channel"
                    .to_owned(),
            );
        }
        Some(_) => return Err("has a scope that is neither network nor provider".to_owned()),
    };
    let switch = |field: &str, default| match item.get(field) {
        None | Some(Value::Null) => Ok(default),
        // As text, too, for it may come from a variable.
        Some(value) => value
            .as_bool()
            .or_else(|| truth_of(value.as_str()?))
            .ok_or_else(|| format!("has a {field} that is neither true nor false")),
    };
    Ok((
        name.to_owned(),
        Configured { scope, listen: switch("listen", true)?, subscribe: switch("subscribe", false)? },
    ))
}
