//! The status page: what a MUD's admin wants to see without a client. The page itself holds nothing; what it shows comes as
//! JSON for who has a key. Names come from other muds, so the script makes texts of them and never markup.

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Api, authenticate};
use crate::hub::{Session, Transport};
use crate::keys::{Key, Permission};
use crate::net::http::Peer;
use crate::services::Said;

/// What the browser may do for the page: run our script, use our style and ask us. Nothing else, from nowhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// How many of the last messages of a channel are shown.
const MESSAGES: usize = 5;

/// How many sessions, channels and muds are shown.
const ROWS: usize = 1000;

/// The routes of the page.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/status", get(async || asset("text/html; charset=utf-8", include_str!("page.html"))))
        .route(
            "/status/page.js",
            get(async || asset("text/javascript; charset=utf-8", include_str!("page.js"))),
        )
        .route("/status/page.css", get(async || asset("text/css; charset=utf-8", include_str!("page.css"))))
        .route("/status/data", get(data))
}

fn asset(content_type: &'static str, content: &'static str) -> Response {
    guarded(([(header::CONTENT_TYPE, content_type)], content).into_response())
}

/// An answer with the headers that keep a browser from doing more than it should.
fn guarded(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What the page shows, for who shows a key that allows it. Wrong keys count as everywhere.
async fn data(
    State(api): State<Api>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    headers: HeaderMap,
) -> Response {
    let shown = headers.get("x-api-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    let visitor = Session::new(Transport::WebSocket, peer.ip(), 0);
    let answer = match authenticate::check(&api, &visitor, shown) {
        Err(refused) => (StatusCode::UNAUTHORIZED, json!({"error": refused.to_string()})),
        Ok(key) if !key.permissions().grant(Some(Permission::Info)) => {
            (StatusCode::FORBIDDEN, json!({"error": "The key needs the permission info"}))
        }
        Ok(key) => (StatusCode::OK, overview(&api, &key)),
    };
    guarded((answer.0, Json(answer.1)).into_response())
}

fn overview(api: &Api, key: &Key) -> Value {
    let services = &api.services;
    let link = services.router_status();
    json!({
        "mud": services.mud(),
        "version": env!("CARGO_PKG_VERSION"),
        "router": {
            "connected": link.is_connected(),
            "name": link.router,
            "state": link.reason.as_str(),
            "message": link.message,
            "since": link.since.map(|since| since.to_string()),
        },
        "bus": services.bus_state(),
        "waiting": services.waiting(),
        "sessions": sessions(api),
        "channels": channels(api, key.permissions().grant(Some(Permission::Channel))),
        "muds": muds(api),
    })
}

fn sessions(api: &Api) -> Vec<Value> {
    let mut sessions = api.services.hub.sessions();
    sessions.sort_by_key(|session| session.uptime());
    let shown = sessions.iter().take(ROWS);
    shown
        .map(|session| {
            json!({
                "transport": session.transport.as_str(),
                "from": session.peer,
                "seconds": session.uptime().as_secs(),
                "channels": session.subscription().channels.len(),
                "waiting_bytes": session.queue.bytes(),
            })
        })
        .collect()
}

/// The channels that clients are on, with what was said last where the key allows to hear it.
fn channels(api: &Api, may_hear: bool) -> Vec<Value> {
    let services = &api.services;
    let sessions = services.hub.sessions();
    let mut channels: Vec<_> = services.hub.channels().into_iter().collect();
    channels.sort();
    channels
        .iter()
        .take(ROWS)
        .map(|channel| {
            let said = if may_hear { services.history(channel, MESSAGES, None, None) } else { Vec::new() };
            json!({
                "name": channel,
                "clients": sessions.iter().filter(|session| session.is_on(channel)).count(),
                "said": said.iter().map(line).collect::<Vec<_>>(),
            })
        })
        .collect()
}

fn line(said: &Said) -> Value {
    json!({
        "at": said.at.to_string(),
        "who": format!("{}@{}", said.message.visname, said.message.mud),
        "kind": said.message.kind.as_str(),
        "text": said.message.message,
    })
}

fn muds(api: &Api) -> Vec<Value> {
    let mut muds = api.services.muds();
    muds.sort_by_key(|mud| !mud.entry.is_up());
    muds.iter()
        .take(ROWS)
        .map(|mud| {
            json!({
                "name": mud.name,
                "status": mud.status(),
                "driver": mud.entry.driver,
                "mudlib": mud.entry.mudlib,
                "open": mud.entry.open_status,
                "address": format!("{} {}", mud.entry.address, mud.entry.player_port),
            })
        })
        .collect()
}
