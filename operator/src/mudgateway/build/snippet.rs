//! What the Secret with the API key says besides the key: how clients connect, ready to be pasted. Pure.

use mudgateway_crds::status::Endpoints;
use serde_json::json;

use crate::mudgateway::validate::Gateway;

/// How clients connect at these endpoints with this key. It is a secret as much as the key.
pub(super) fn snippet(gateway: &Gateway, endpoints: &Endpoints, key: &str) -> String {
    let mud = &gateway.spec.mud.name;
    let first = json!({"jsonrpc": "2.0", "id": 1, "method": "authenticate", "params": {"api_key": key}});
    let websocket = endpoints.websocket.iter().map(|url| websocket(url, key));
    let tcp = endpoints.tcp.iter().map(|address| tcp(mud, address, endpoints.tcp_tls, key));
    let ways: String = websocket.chain(tcp).collect();
    format!(
        "# How clients of {mud} connect. The API key is in it. It follows the key and status.endpoints.\n{ways}\n\
         # The first line, where no header has the key:\n{first}\n"
    )
}

fn websocket(url: &str, key: &str) -> String {
    // In a shell's single quotes one of its own has to stand outside.
    let quoted = key.replace('\'', r"'\''");
    format!(
        "\n# WebSocket; clients of the Python gateway take the URL and the key. To try it:\n\
         websocat --header='X-API-Key: {quoted}' '{url}'\n"
    )
}

/// In the words of the configuration of CircleMUD's client.
fn tcp(mud: &str, address: &str, tls: bool, key: &str) -> String {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let under = if tls { ", under TLS" } else { "" };
    format!(
        "\n# TCP{under}, a line for each message; as CircleMUD's client has it in its configuration:\n\
         gateway_host = {host}\ngateway_port = {port}\napi_key = {key}\nmud_name = {mud}\n"
    )
}
