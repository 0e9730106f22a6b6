//! The methods: parameters checked, the service asked, the result in the shape clients know.

use std::sync::Arc;

use intermud3::{Mapping, Value as Lpc};
use serde_json::{Map, Value, json};

use super::rpc::{GATEWAY_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, Request, RpcError};
use super::{Api, invalid_key_code, not_authenticated_code};
use crate::hub::{Session, Transport, timestamp};
use crate::router::{Accepted, Full};
use crate::services::{Channel, MudInfo, Services};

type Answer = Result<Value, RpcError>;

/// Calls a method. The name that comes back is one of ours, also for a method we do not have: it is a metric label.
pub(super) async fn call(api: &Api, session: &Arc<Session>, request: &Request) -> (&'static str, Answer) {
    let params = Params(&request.params);
    if request.method == "authenticate" {
        return ("authenticate", authenticate(api, session, params));
    }
    if !session.is_authenticated() {
        let code = not_authenticated_code(session.transport);
        let error = RpcError::new(code, "Not authenticated. Please authenticate first.");
        return ("unauthenticated", Err(error));
    }
    let services = &api.services;
    match request.method.as_str() {
        "channel_join" => ("channel_join", channel_join(services, session, params)),
        "channel_leave" => ("channel_leave", channel_leave(services, session, params)),
        "channel_send" => ("channel_send", channel_send(services, params).await),
        "channel_list" => ("channel_list", channel_list(services, session, params)),
        "tell" => ("tell", tell(services, params).await),
        "mudlist" => ("mudlist", mudlist(services, params)),
        "status" => ("status", Ok(status(services, session))),
        "ping" => ("ping", Ok(json!({"pong": true, "timestamp": timestamp().trim_end_matches('Z')}))),
        "heartbeat" => {
            ("heartbeat", Ok(json!({"status": "ok", "timestamp": timestamp().trim_end_matches('Z')})))
        }
        unknown => {
            let shown: String = unknown.chars().take(64).collect();
            ("unknown", Err(RpcError::new(METHOD_NOT_FOUND, format!("Unknown method: {shown}"))))
        }
    }
}

fn authenticate(api: &Api, session: &Arc<Session>, params: Params<'_>) -> Answer {
    let mud = api.services.mud();
    if session.is_authenticated() {
        return Ok(json!({"status": "success", "mud_name": mud, "session_id": session.id}));
    }
    let Some(key) = params.text("api_key")? else {
        return Err(RpcError::new(INVALID_PARAMS, "Missing api_key parameter"));
    };
    if !api.keyring.accepts(key) {
        tracing::warn!(session = %session.id, "a client showed a wrong API key");
        return Err(RpcError::new(invalid_key_code(session.transport), "Invalid API key"));
    }
    api.services.hub.admit(session);
    let mut result = json!({"status": "authenticated", "mud_name": mud});
    if session.transport == Transport::Tcp {
        result["session_id"] = json!(session.id);
    }
    Ok(result)
}

fn channel_join(services: &Services, session: &Session, params: Params<'_>) -> Answer {
    let [channel] = params.required(["channel"])?;
    let upstream = !params.flag("listen_only")?;
    if !session.join(channel) {
        return Err(RpcError::new(GATEWAY_ERROR, "Too many channels: leave one first"));
    }
    if upstream {
        services.listen(channel);
    }
    Ok(json!({"status": "joined", "channel": channel}))
}

fn channel_leave(services: &Services, session: &Session, params: Params<'_>) -> Answer {
    let [channel] = params.required(["channel"])?;
    session.leave(channel);
    services.unlisten_if_unused(channel);
    Ok(json!({"status": "left", "channel": channel}))
}

async fn channel_send(services: &Services, params: Params<'_>) -> Answer {
    let [channel, message] = params.required(["channel", "message"])?;
    let user = params.text("from_user")?.unwrap_or("Someone");
    let visname = params.text("visname")?.unwrap_or(user);
    let accepted = services.say(channel, user, visname, message).await;
    sent(accepted, "channel", channel)
}

async fn tell(services: &Services, params: Params<'_>) -> Answer {
    let [target_mud, target_user, message] = params.required(["target_mud", "target_user", "message"])?;
    let user = params.text("from_user")?.unwrap_or("Someone");
    let accepted = services.tell(user, target_mud, target_user, message).await;
    sent(accepted, "tell", target_mud)
}

/// `sent` once the router link took the packet, `queued` while it waits for the router.
fn sent(accepted: Result<Accepted, Full>, kind: &str, target: &str) -> Answer {
    match accepted {
        Ok(accepted) => {
            let message_id = format!("{kind}_{target}_{}", jiff::Timestamp::now().as_millisecond());
            Ok(json!({"status": accepted.as_str(), "message_id": message_id}))
        }
        Err(full) => Err(RpcError::new(GATEWAY_ERROR, full.to_string())),
    }
}

fn channel_list(services: &Services, session: &Session, params: Params<'_>) -> Answer {
    let filter = params.filter()?;
    let channels: Vec<Value> = services
        .channels()
        .iter()
        .filter(|channel| {
            filter.matches("owner", &json!(channel.owner)) && filter.matches("type", &json!(channel.kind))
        })
        .map(channel_json)
        .collect();
    Ok(json!({
        "status": "success",
        "count": channels.len(),
        "channels": channels,
        "subscribed_channels": session.channels(),
    }))
}

fn channel_json(channel: &Channel) -> Value {
    // Routers do not tell how many listen.
    json!({"name": channel.name, "owner": channel.owner, "type": channel.kind, "member_count": 0})
}

fn mudlist(services: &Services, params: Params<'_>) -> Answer {
    let filter = params.filter()?;
    let muds: Vec<Value> =
        services
            .muds()
            .iter()
            .map(mud_json)
            .filter(|mud| {
                filter.matches("status", &mud["status"])
                    && filter.matches("driver", &mud["driver"])
                    && filter.0.get("has_service").and_then(Value::as_str).is_none_or(|service| {
                        mud["services"].get(service).is_some_and(|port| *port != json!(0))
                    })
            })
            .collect();
    Ok(json!({"status": "success", "count": muds.len(), "muds": muds}))
}

fn mud_json(mud: &MudInfo) -> Value {
    let entry = &mud.entry;
    json!({
        "name": mud.name,
        "status": mud.status(),
        "host": entry.address,
        "address": entry.address,
        "port": entry.player_port,
        "tcp_port": entry.imud_tcp_port,
        "udp_port": entry.imud_udp_port,
        "driver": entry.driver,
        "mudlib": entry.mudlib,
        "lib": entry.mudlib,
        "mud_type": entry.mud_type,
        "open_status": entry.open_status,
        "admin_email": entry.admin_email,
        "services": services_json(&entry.services),
    })
}

fn services_json(services: &Mapping) -> Value {
    let pairs = services.iter().filter_map(|(key, value)| match (key, value) {
        (Lpc::String(name), Lpc::Int(port)) => Some((name.clone(), json!(port))),
        _ => None,
    });
    Value::Object(pairs.collect())
}

fn status(services: &Services, session: &Session) -> Value {
    let link = services.router_status();
    json!({
        "connected": link.is_connected(),
        "mud_name": services.mud(),
        "session_id": session.id,
        "uptime": session.uptime().as_secs_f64(),
        "router": link.router,
    })
}

/// A request's parameters, with errors that name the field.
#[derive(Clone, Copy)]
struct Params<'a>(&'a Map<String, Value>);

impl<'a> Params<'a> {
    /// The texts of all required parameters, or one error that names all that are missing.
    fn required<const N: usize>(self, names: [&'static str; N]) -> Result<[&'a str; N], RpcError> {
        let mut texts = [""; N];
        let mut missing = Vec::new();
        for (text, name) in texts.iter_mut().zip(names) {
            match self.text(name)?.filter(|text| !text.trim().is_empty()) {
                Some(found) => *text = found,
                None => missing.push(name),
            }
        }
        if missing.is_empty() {
            return Ok(texts);
        }
        let mut error =
            RpcError::new(INVALID_PARAMS, format!("Missing required parameters: {}", missing.join(", ")));
        error.data = Some(json!({"missing": missing}));
        Err(error)
    }

    fn text(self, name: &str) -> Result<Option<&'a str>, RpcError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(RpcError::invalid_param(name, "a string")),
        }
    }

    fn flag(self, name: &str) -> Result<bool, RpcError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(RpcError::invalid_param(name, "true or false")),
        }
    }

    fn filter(self) -> Result<Filter, RpcError> {
        match self.0.get("filter") {
            None | Some(Value::Null) => Ok(Filter(Map::new())),
            Some(Value::Object(filter)) => Ok(Filter(filter.clone())),
            Some(_) => Err(RpcError::invalid_param("filter", "an object")),
        }
    }
}

/// The optional `filter` of the list methods.
struct Filter(Map<String, Value>);

impl Filter {
    fn matches(&self, key: &str, value: &Value) -> bool {
        self.0.get(key).is_none_or(|wanted| wanted.is_null() || wanted == value)
    }
}
