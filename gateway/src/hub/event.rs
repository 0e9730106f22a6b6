//! What clients are told without having asked.

use serde_json::{Value, json};

use super::queue::Line;

/// An event, with the fields the published clients read.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Somebody spoke on a channel.
    ChannelMessage {
        /// The channel.
        channel: String,
        /// The speaker's mud.
        from_mud: String,
        /// The speaker.
        from_user: String,
        /// The text.
        message: String,
        /// The speaker's name as shown.
        visname: String,
    },
    /// Somebody told one of our users something.
    TellReceived {
        /// The speaker's mud.
        from_mud: String,
        /// The speaker.
        from_user: String,
        /// Our mud.
        to_mud: String,
        /// The user it is for.
        to_user: String,
        /// The text.
        message: String,
        /// The speaker's name as shown.
        visname: String,
    },
    /// A router or mud reported an error, or a packet could not be sent in time.
    ErrorOccurred {
        /// The protocol's code, such as `unk-dst`, or `not-sent`.
        error_code: String,
        /// The same in words.
        error_message: String,
        /// Who reports it.
        from_mud: String,
        /// Our mud.
        to_mud: String,
        /// The user it concerns; empty when it concerns none.
        to_user: String,
    },
    /// The router session is established, the first time or again.
    GatewayReconnected,
}

impl Event {
    /// The channel whose listeners it concerns; none: everybody.
    pub fn channel(&self) -> Option<&str> {
        match self {
            Self::ChannelMessage { channel, .. } => Some(channel),
            Self::TellReceived { .. } | Self::ErrorOccurred { .. } | Self::GatewayReconnected => None,
        }
    }

    /// Encodes it for the wire: a JSON-RPC notification, which never has an `id`.
    pub fn encode(&self, timestamp: &str) -> Line {
        let (method, mut params) = self.parts();
        if let Value::Object(params) = &mut params {
            params.insert("timestamp".to_owned(), Value::from(timestamp));
        }
        Line::new(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
    }

    fn parts(&self) -> (&'static str, Value) {
        match self {
            Self::ChannelMessage { channel, from_mud, from_user, message, visname } => (
                "channel_message",
                json!({
                    "channel": channel, "from_mud": from_mud, "from_user": from_user,
                    "message": message, "visname": visname,
                }),
            ),
            Self::TellReceived { from_mud, from_user, to_mud, to_user, message, visname } => (
                "tell_received",
                json!({
                    "from_mud": from_mud, "from_user": from_user, "to_mud": to_mud,
                    "to_user": to_user, "message": message, "visname": visname,
                }),
            ),
            Self::ErrorOccurred { error_code, error_message, from_mud, to_mud, to_user } => (
                "error_occurred",
                json!({
                    "error_code": error_code, "error_message": error_message, "from_mud": from_mud,
                    "to_mud": to_mud, "to_user": to_user, "context": "i3_packet_error",
                }),
            ),
            Self::GatewayReconnected => (
                "gateway_reconnected",
                json!({"message": "Gateway reconnected to I3 router", "status": "connected"}),
            ),
        }
    }
}

/// The current time as events carry it: ISO 8601, UTC, microseconds, with a `Z`.
pub fn timestamp() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_shapes_that_clients_know_and_no_id() {
        let encoded = |event: Event| -> Value { serde_json::from_str(event.encode("T").text()).unwrap() };
        assert_eq!(
            encoded(Event::ChannelMessage {
                channel: "c".into(),
                from_mud: "m".into(),
                from_user: "u".into(),
                message: "t".into(),
                visname: "U".into(),
            }),
            json!({"jsonrpc": "2.0", "method": "channel_message", "params": {
                "channel": "c", "from_mud": "m", "from_user": "u", "message": "t", "visname": "U", "timestamp": "T",
            }})
        );
        assert_eq!(
            encoded(Event::TellReceived {
                from_mud: "m".into(),
                from_user: "u".into(),
                to_mud: "n".into(),
                to_user: "v".into(),
                message: "t".into(),
                visname: "U".into(),
            }),
            json!({"jsonrpc": "2.0", "method": "tell_received", "params": {
                "from_mud": "m", "from_user": "u", "to_mud": "n", "to_user": "v", "message": "t",
                "visname": "U", "timestamp": "T",
            }})
        );
        assert_eq!(
            encoded(Event::GatewayReconnected),
            json!({"jsonrpc": "2.0", "method": "gateway_reconnected", "params": {
                "message": "Gateway reconnected to I3 router", "status": "connected", "timestamp": "T",
            }})
        );
    }

    #[test]
    fn timestamps_are_iso_8601_in_utc_with_microseconds() {
        let now = timestamp();
        assert_eq!(now.len(), "2026-11-23T07:00:00.123456Z".len());
        assert!(now.ends_with('Z') && now.parse::<jiff::Timestamp>().is_ok(), "{now}");
    }
}
