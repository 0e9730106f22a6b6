//! The channels a mud is on from the start.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Layers;
use crate::services::Scope;

const PATH: &str = "channels.default_channels";

/// The channels by name, and how far each reaches. `bus`: there is one, without which nobody hears a channel of the
/// provider's.
pub(super) fn channels(layers: &mut Layers<'_>, bus: bool) -> BTreeMap<String, Scope> {
    let mut channels = BTreeMap::new();
    for (index, item) in layers.items(PATH).into_iter().enumerate() {
        let mut problem = |what: &str| layers.problem(PATH, format!("entry {} {what}", index + 1));
        let Some(name) = item.get("name").unwrap_or(&item).as_str().filter(|name| !name.is_empty()) else {
            problem("must be a text or have a name");
            continue;
        };
        let scope = match item.get("scope").map(Value::as_str) {
            None | Some(Some("network")) => Scope::Network,
            Some(Some("provider")) if bus => Scope::Provider,
            Some(Some("provider")) => {
                problem(
                    "has the scope provider, which needs nats.url: without it nobody else hears the channel",
                );
                continue;
            }
            Some(_) => {
                problem("has a scope that is neither network nor provider");
                continue;
            }
        };
        if channels.insert(name.to_owned(), scope).is_some_and(|before| before != scope) {
            problem("is there already with another scope: remove one of the two");
        }
    }
    channels
}
