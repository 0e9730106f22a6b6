//! What a gateway tells the operator about its router session, over the bus.

use serde::{Deserialize, Serialize};

use crate::words::words;

/// How long a report holds. A gateway renews its report three times within this.
pub const REPORT_TTL_SECONDS: u64 = 30;

/// One gateway's account of its router session: the value under [`crate::bus::report_key`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayReport {
    /// The pod (or host) that reports.
    pub holder: String,
    /// The state of the router session.
    pub reason: SessionReason,
    /// The same for a person: what happened and what the likely causes are.
    pub message: String,
    /// The router that is meant: the one connected to, or the one tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<String>,
    /// The host and port of that router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router_address: Option<String>,
    /// What names the address that the router sees, such as that of a proxy or of the pod's node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<String>,
    /// How many clients are connected to this gateway process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<i32>,
    /// Since when the session is established, as an RFC 3339 timestamp; none while it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected_since: Option<String>,
}

impl GatewayReport {
    /// Whether the mud is on the network now.
    pub fn is_connected(&self) -> bool {
        self.reason == SessionReason::SessionEstablished
    }
}

words! {
    /// Why the router session is as it is. The one vocabulary for conditions, events, metrics and logs.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    pub enum SessionReason {
        /// No attempt has ended yet.
        Connecting,
        /// The router accepted the mud.
        SessionEstablished,
        /// No TCP connection to the router could be made.
        RouterUnreachable,
        /// The router took the connection but never answered the registration, which is how routers refuse.
        RouterRefused,
        /// The router closed the session.
        SessionLost,
        /// The session was open, but the router no longer answered.
        RouterSilent,
        /// The router sent something that cannot be a mudmode frame.
        ProtocolError,
        /// The router named another one as preferred, and the mud goes there.
        Redirected,
        /// Another process of this mud holds the session.
        Standby,
        /// The router password cannot be read or kept, so the mud must not register.
        StateUnavailable,
        /// Other muds connect before this one: routers take one connection a second.
        WaitingForPermit,
        /// Too many muds leave by this address for one that the router does not know.
        AddressFull,
        /// The SOCKS5 proxy cannot be reached, or refuses.
        ProxyFailed,
        /// The gateway is shutting down.
        ShuttingDown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_on_the_bus_is_the_reason_everywhere_else() {
        for reason in SessionReason::all() {
            let json = serde_json::to_value(reason).unwrap();
            assert_eq!(json, reason.as_str());
        }
    }
}
