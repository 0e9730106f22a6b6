//! The session itself.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Context, Example, Method, Nothing};
use crate::api::rpc::{INVALID_PARAMS, RpcError};
use crate::hub::{Options, timestamp};
use crate::keys::Permission;
use crate::mud::Position;
use crate::packets::SERVICES;

/// `session_options`.
pub(super) struct SetOptions;

/// Result of `session_options`.
#[derive(Serialize, JsonSchema)]
pub(super) struct OptionsSet {
    /// Always `success`.
    status: &'static str,
    /// What holds now.
    options: Options,
}

impl Method for SetOptions {
    const NAME: &'static str = "session_options";
    const SUMMARY: &'static str =
        "Choose which events this session gets, and how; what is not given is reset.";
    const PERMISSION: Option<Permission> = None;
    const EXAMPLE: Example = Example {
        params: r#"{"channels": {"deny": ["imud_code"]}, "exclude_self": true, "colour": "plain"}"#,
        result: r#"{"status": "success", "options": {"events": {"deny": []}, "channels": {"deny": ["imud_code"]}, "muds": {"deny": []},
            "users": {"deny": []}, "exclude_self": true, "colour": "plain"}}"#,
    };
    type Params = Options;
    type Output = OptionsSet;

    async fn call(context: Context<'_>, options: Options) -> Result<OptionsSet, RpcError> {
        if !options.is_bounded() {
            return Err(RpcError::new(
                INVALID_PARAMS,
                "Invalid parameter: too many entries in the selections",
            ));
        }
        context.session.set_options(options.clone());
        context.services().hub.changed(context.session, None);
        Ok(OptionsSet { status: "success", options })
    }
}

/// `status`.
pub(super) struct Status;

/// Result of `status`.
#[derive(Serialize, JsonSchema)]
pub(super) struct StatusOutput {
    /// Whether the mud is on the network.
    connected: bool,
    /// The mud.
    mud_name: String,
    /// This session.
    session_id: String,
    /// Seconds since this client connected.
    uptime: f64,
    /// The router.
    router: Option<String>,
    /// Why it is connected or not, in a word.
    reason: &'static str,
    /// The reason in words.
    message: String,
    /// What this mud offers to others.
    services: Vec<&'static str>,
    /// The place of the last event.
    position: Position,
}

impl Method for Status {
    const NAME: &'static str = "status";
    const SUMMARY: &'static str = "How the mud's session with the router is.";
    const PERMISSION: Option<Permission> = None;
    const EXAMPLE: Example = Example {
        params: r#"{}"#,
        result: r#"{"connected": true, "mud_name": "Dawn", "session_id": "8e7d3b52-6f0a-4a7e-9d52-0b1f6f5f3c11", "uptime": 12.5,
            "router": "*test", "reason": "SessionEstablished", "message": "registered with *test",
            "services": ["tell", "emoteto", "channel", "who", "finger", "locate", "ucache", "beep", "auth", "mail", "file",
                         "news"],
            "position": {"epoch": 1795510800000, "seq": 42}}"#,
    };
    type Params = Nothing;
    type Output = StatusOutput;

    async fn call(context: Context<'_>, _: Nothing) -> Result<StatusOutput, RpcError> {
        let link = context.services().network_status();
        Ok(StatusOutput {
            connected: link.is_connected(),
            mud_name: context.services().mud().to_owned(),
            session_id: context.session.id.to_string(),
            uptime: context.session.uptime().as_secs_f64(),
            router: link.router,
            reason: link.reason.as_str(),
            message: link.message,
            services: SERVICES.iter().copied().chain(context.services().oob.offer().services()).collect(),
            position: context.services().hub.position(),
        })
    }
}

/// `ping`.
pub(super) struct Ping;

/// Result of `ping`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Pong {
    /// Always true.
    pong: bool,
    /// The time, UTC.
    timestamp: String,
}

impl Method for Ping {
    const NAME: &'static str = "ping";
    const SUMMARY: &'static str = "Find out whether the connection is alive.";
    const PERMISSION: Option<Permission> = None;
    const EXAMPLE: Example =
        Example { params: r#"{}"#, result: r#"{"pong": true, "timestamp": "2026-11-24T09:00:00.000000"}"# };
    type Params = Nothing;
    type Output = Pong;

    async fn call(_: Context<'_>, _: Nothing) -> Result<Pong, RpcError> {
        Ok(Pong { pong: true, timestamp: now() })
    }
}

/// `heartbeat`.
pub(super) struct Heartbeat;

/// Result of `heartbeat`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Alive {
    /// Always `ok`.
    status: &'static str,
    /// The time, UTC.
    timestamp: String,
}

impl Method for Heartbeat {
    const NAME: &'static str = "heartbeat";
    const SUMMARY: &'static str = "Keep the connection alive.";
    const PERMISSION: Option<Permission> = None;
    const EXAMPLE: Example =
        Example { params: r#"{}"#, result: r#"{"status": "ok", "timestamp": "2026-11-24T09:00:00.000000"}"# };
    type Params = Nothing;
    type Output = Alive;

    async fn call(_: Context<'_>, _: Nothing) -> Result<Alive, RpcError> {
        Ok(Alive { status: "ok", timestamp: now() })
    }
}

/// The time in the form these two methods have always had: without the `Z`.
fn now() -> String {
    timestamp().trim_end_matches('Z').to_owned()
}
