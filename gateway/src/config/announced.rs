//! What a mud says of itself in the mudlist besides what the gateway knows.

use serde_json::Value;

use super::Layers;
use crate::packets::SERVICES;

const OWN_SERVICES: &str = "mud.own_services";
const OTHER_DATA: &str = "mud.other_data";

/// The services that the mud itself has, with their ports.
pub(super) fn own_services(layers: &mut Layers<'_>) -> Vec<(String, u16)> {
    let mut services = Vec::new();
    for (index, item) in layers.items(OWN_SERVICES).into_iter().enumerate() {
        let port = item.get("port").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
        let name = text(&item, "name").filter(|name| !name.is_empty());
        let (Some(name), Some(port)) = (name, port.filter(|port| *port > 0)) else {
            layers.problem(OWN_SERVICES, format!("entry {} must have a name and a port", index + 1));
            continue;
        };
        if SERVICES.contains(&name.as_str()) {
            layers.problem(OWN_SERVICES, format!("{name:?} is announced by the gateway: leave it out"));
            continue;
        }
        services.push((name, port));
    }
    services
}

/// Further facts about the mud.
pub(super) fn other_data(layers: &mut Layers<'_>) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    for (index, item) in layers.items(OTHER_DATA).into_iter().enumerate() {
        match (text(&item, "name").filter(|name| !name.is_empty()), text(&item, "value")) {
            (Some(name), Some(value)) => facts.push((name, value)),
            _ => layers.problem(OTHER_DATA, format!("entry {} must have a name and a value", index + 1)),
        }
    }
    facts
}

fn text(item: &Value, key: &str) -> Option<String> {
    item.get(key).and_then(Value::as_str).map(str::to_owned)
}
