//! What waits for the router, handed by the process that accepted it to the one that holds the session.

use std::time::Duration;

use intermud3::Packet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Answer;
use crate::api::rpc::{GATEWAY_ERROR, RpcError};
use crate::router::{Class, Left, RouterHandle};

/// A packet that waits for the router, as one process hands it to another.
#[derive(Serialize, Deserialize)]
pub(super) struct Waiting {
    /// Older gateways tell none.
    #[serde(default)]
    id: u64,
    packet: String,
    is_channel: bool,
    millis: u64,
}

impl Waiting {
    /// None: it has no form on the wire.
    pub(super) fn new(left: &Left) -> Option<Self> {
        let packet = String::from_utf8(left.packet.encode().ok()?.to_vec()).ok()?;
        let millis = u64::try_from(left.time.as_millis()).ok()?;
        Some(Self { id: left.id, packet, is_channel: left.class == Class::Channel, millis })
    }

    fn read(&self) -> Option<Left> {
        let class = if self.is_channel { Class::Channel } else { Class::Direct };
        let packet = Packet::decode(self.packet.as_bytes()).ok()?;
        Some(Left { id: self.id, class, packet, time: Duration::from_millis(self.millis) })
    }
}

/// Takes what another process hands over.
pub(super) fn take(router: &RouterHandle, mut params: Map<String, Value>) -> Answer {
    let packets = params.remove("packets").unwrap_or_default();
    let packets: Vec<Waiting> =
        serde_json::from_value(packets).map_err(|error| RpcError::internal(&error))?;
    let packets = packets.iter().filter_map(Waiting::read).collect();
    router.take_in(packets).map_err(|error| RpcError::new(GATEWAY_ERROR, error.to_string()))?;
    Ok(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_handed_over_whole() {
        let packet =
            Packet::decode(b"({\"tell\",5,\"Dawn\",\"ann\",\"Dusk\",\"bob\",\"Ann\",\"hi\",})").unwrap();
        for class in [Class::Direct, Class::Channel] {
            let waits = Left { id: 5, class, packet: packet.clone(), time: Duration::from_secs(7) };
            assert_eq!(Waiting::new(&waits).unwrap().read().unwrap(), waits);
        }
    }
}
