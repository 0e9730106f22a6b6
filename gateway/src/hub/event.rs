//! What clients are told without having asked.

use serde_json::{Value, json};

use super::log::Position;
use super::queue::Line;
use crate::keys::Permission;

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

    /// The event's name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ChannelMessage { .. } => "channel_message",
            Self::TellReceived { .. } => "tell_received",
            Self::ErrorOccurred { .. } => "error_occurred",
            Self::GatewayReconnected => "gateway_reconnected",
        }
    }

    /// The permission a session needs to get it; none: everybody gets it.
    pub fn permission(&self) -> Option<Permission> {
        match self {
            Self::ChannelMessage { .. } => Some(Permission::Channel),
            Self::TellReceived { .. } => Some(Permission::Tell),
            Self::ErrorOccurred { .. } | Self::GatewayReconnected => None,
        }
    }

    /// The mud and the user it comes from, for filters.
    pub fn origin(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::ChannelMessage { from_mud, from_user, .. }
            | Self::TellReceived { from_mud, from_user, .. } => (Some(from_mud), Some(from_user)),
            Self::ErrorOccurred { from_mud, .. } => (Some(from_mud), None),
            Self::GatewayReconnected => (None, None),
        }
    }

    /// Encodes it for the wire: a JSON-RPC notification, which never has an `id`.
    pub fn encode(&self, position: Position, timestamp: &str) -> Line {
        let mut params = self.params();
        if let Value::Object(params) = &mut params {
            params.insert("timestamp".to_owned(), Value::from(timestamp));
            params.insert("epoch".to_owned(), Value::from(position.epoch));
            params.insert("seq".to_owned(), Value::from(position.seq));
        }
        Line::new(&json!({"jsonrpc": "2.0", "method": self.name(), "params": params}))
    }

    fn params(&self) -> Value {
        match self {
            Self::ChannelMessage { channel, from_mud, from_user, message, visname } => json!({
                "channel": channel, "from_mud": from_mud, "from_user": from_user,
                "message": message, "visname": visname,
            }),
            Self::TellReceived { from_mud, from_user, to_mud, to_user, message, visname } => json!({
                "from_mud": from_mud, "from_user": from_user, "to_mud": to_mud,
                "to_user": to_user, "message": message, "visname": visname,
            }),
            Self::ErrorOccurred { error_code, error_message, from_mud, to_mud, to_user } => json!({
                "error_code": error_code, "error_message": error_message, "from_mud": from_mud,
                "to_mud": to_mud, "to_user": to_user, "context": "i3_packet_error",
            }),
            Self::GatewayReconnected => {
                json!({"message": "Gateway reconnected to I3 router", "status": "connected"})
            }
        }
    }
}

/// The current time as events carry it: ISO 8601, UTC, microseconds, with a `Z`.
pub fn timestamp() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::hub) fn chat(channel: &str) -> Event {
        Event::ChannelMessage {
            channel: channel.into(),
            from_mud: "Dawn".into(),
            from_user: "ann".into(),
            message: "hi".into(),
            visname: "Ann".into(),
        }
    }

    pub(in crate::hub) fn tell(message: &str) -> Event {
        Event::TellReceived {
            from_mud: "Dawn".into(),
            from_user: "ann".into(),
            to_mud: "Dusk".into(),
            to_user: "bob".into(),
            message: message.into(),
            visname: "Ann".into(),
        }
    }

    #[test]
    fn events_have_the_shapes_that_clients_know_and_no_id() {
        let encoded = |event: Event| -> Value {
            serde_json::from_str(event.encode(Position { epoch: 1, seq: 2 }, "T").text()).unwrap()
        };
        assert_eq!(
            encoded(chat("c")),
            json!({"jsonrpc": "2.0", "method": "channel_message", "params": {
                "channel": "c", "from_mud": "Dawn", "from_user": "ann", "message": "hi", "visname": "Ann",
                "timestamp": "T", "epoch": 1, "seq": 2,
            }})
        );
        assert_eq!(
            encoded(tell("t")),
            json!({"jsonrpc": "2.0", "method": "tell_received", "params": {
                "from_mud": "Dawn", "from_user": "ann", "to_mud": "Dusk", "to_user": "bob", "message": "t",
                "visname": "Ann", "timestamp": "T", "epoch": 1, "seq": 2,
            }})
        );
        assert_eq!(
            encoded(Event::GatewayReconnected),
            json!({"jsonrpc": "2.0", "method": "gateway_reconnected", "params": {
                "message": "Gateway reconnected to I3 router", "status": "connected",
                "timestamp": "T", "epoch": 1, "seq": 2,
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
