//! The gateway itself.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Context, Example, Method, Nothing, Place};
use crate::api::rpc::RpcError;
use crate::keys::Permission;

/// `stats`.
pub(super) struct Stats;

/// Result of `stats`.
#[derive(Serialize, JsonSchema)]
pub(super) struct StatsOutput {
    /// Known muds.
    mud_count: usize,
    /// Those that are up.
    online_muds: usize,
    /// Known channels.
    channel_count: usize,
    /// Authenticated client sessions.
    session_count: usize,
    /// The same as `session_count`: clients differ.
    connections: usize,
    /// The id of the last mudlist.
    mudlist_id: i64,
    /// The id of the last channel list.
    chanlist_id: i64,
    /// Whether the mud is on the network.
    gateway_connected: bool,
    /// Packets sent to the router.
    packets_sent: u64,
    /// Packets from the router.
    packets_received: u64,
    /// Packets from the router that could not be read.
    errors: u64,
}

impl Method for Stats {
    const NAME: &'static str = "stats";
    const SUMMARY: &'static str = "What the gateway counts.";
    const PERMISSION: Option<Permission> = Some(Permission::Info);
    const EXAMPLE: Example = Example {
        params: r#"{}"#,
        result: r#"{"mud_count": 2, "online_muds": 2, "channel_count": 2, "session_count": 1, "connections": 1, "mudlist_id": 14,
            "chanlist_id": 8, "gateway_connected": true, "packets_sent": 120, "packets_received": 340, "errors": 0}"#,
    };
    const PLACE: Place = Place::HolderAgain;
    type Params = Nothing;
    type Output = StatsOutput;

    async fn call(context: Context<'_>, _: Nothing) -> Result<StatsOutput, RpcError> {
        let services = context.services();
        let muds = services.muds();
        let sessions = services.hub.count_all();
        let (mudlist_id, chanlist_id) = services.list_ids();
        let traffic = context.api.metrics.router.traffic();
        Ok(StatsOutput {
            mud_count: muds.len(),
            online_muds: muds.iter().filter(|mud| mud.entry.is_up()).count(),
            channel_count: services.channels().len(),
            session_count: sessions,
            connections: sessions,
            mudlist_id,
            chanlist_id,
            gateway_connected: services.router_status().is_connected(),
            packets_sent: traffic.sent,
            packets_received: traffic.received,
            errors: traffic.undecodable,
        })
    }
}

/// `reconnect`.
pub(super) struct Reconnect;

/// Result of `reconnect`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Reconnecting {
    /// Always `reconnecting`.
    status: &'static str,
}

impl Method for Reconnect {
    const NAME: &'static str = "reconnect";
    const SUMMARY: &'static str = "Close the session with the router and open a new one.";
    const PERMISSION: Option<Permission> = Some(Permission::Admin);
    const EXAMPLE: Example = Example { params: r#"{}"#, result: r#"{"status": "reconnecting"}"# };
    const PLACE: Place = Place::HolderOnce;
    type Params = Nothing;
    type Output = Reconnecting;

    async fn call(context: Context<'_>, _: Nothing) -> Result<Reconnecting, RpcError> {
        context.services().reconnect();
        Ok(Reconnecting { status: "reconnecting" })
    }
}
