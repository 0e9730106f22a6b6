//! `status`.

use std::fmt::Write;

use jiff::Timestamp;
use mudgateway_crds::status::ConditionType;
use serde_json::json;

use super::{print, print_json};
use crate::cli::Output;
use crate::cluster::Cluster;
use crate::error::Result;
use crate::gateway::{self, Gateway};
use crate::table::{age, harmless, or_dash, table};

/// Shows one MudGateway or all.
pub(super) async fn run(
    cluster: &Cluster,
    name: Option<&str>,
    everywhere: bool,
    output: Output,
) -> Result<()> {
    if let Some(name) = name {
        let gateway = gateway::get(cluster, name).await?;
        return match output {
            Output::Json => print_json(&gateway.raw),
            Output::Text => print(&details(&gateway, Timestamp::now())),
        };
    }
    let namespace = (!everywhere).then_some(cluster.namespace.as_str());
    let gateways = gateway::list(&cluster.client, namespace).await?;
    match output {
        Output::Json => {
            let items: Vec<_> = gateways.iter().map(|gateway| &gateway.raw).collect();
            print_json(&json!({"apiVersion": "v1", "kind": "List", "items": items}))
        }
        Output::Text if gateways.is_empty() => {
            let place =
                namespace.map_or_else(|| "this cluster".to_owned(), |name| format!("namespace {name}"));
            eprintln!("There is no MudGateway in {place}.");
            Ok(())
        }
        Output::Text => print(&overview(&gateways, everywhere, Timestamp::now())),
    }
}

/// A line for each.
fn overview(gateways: &[Gateway], everywhere: bool, now: Timestamp) -> String {
    let cells = |gateway: &Gateway| {
        let (ready, reason, _) = gateway.condition(ConditionType::Ready).unwrap_or(("Unknown", "", ""));
        let status = &gateway.status;
        let endpoints = status.endpoints.as_ref();
        let endpoint = endpoints.and_then(|one| one.websocket.as_deref().or(one.tcp.as_deref()));
        [
            gateway.name.clone(),
            harmless(&gateway.mud),
            or_dash(status.router.as_ref().map(|router| router.name.as_str())),
            ready.to_owned(),
            or_dash(Some(reason)),
            or_dash(status.holder.as_deref()),
            or_dash(endpoint),
            or_dash(gateway.created.map(|created| age(created, now)).as_deref()),
        ]
    };
    let head = ["NAME", "MUD", "ROUTER", "READY", "REASON", "HOLDER", "ENDPOINT", "AGE"];
    if !everywhere {
        return table(head, &gateways.iter().map(cells).collect::<Vec<_>>());
    }
    let [a, b, c, d, e, f, g, h] = head;
    let rows: Vec<_> = gateways
        .iter()
        .map(|gateway| {
            let [a, b, c, d, e, f, g, h] = cells(gateway);
            [gateway.namespace.clone(), a, b, c, d, e, f, g, h]
        })
        .collect();
    table(["NAMESPACE", a, b, c, d, e, f, g, h], &rows)
}

/// All about one.
fn details(gateway: &Gateway, now: Timestamp) -> String {
    let status = &gateway.status;
    let ago =
        |time: Option<Timestamp>| time.map(|time| format!(", for {}", age(time, now))).unwrap_or_default();
    let router = status
        .router
        .as_ref()
        .map(|router| format!("{}{}", router.name, ago(router.connected_since.as_ref().map(|time| time.0))));
    let key = gateway.key_place().map(|place| format!("Secret {}, entry {}", place.name, place.key));
    let endpoints = status.endpoints.as_ref();
    let lines = [
        ("mud", Some(harmless(&gateway.mud))),
        ("router", router),
        ("holder", status.holder.clone()),
        ("websocket", endpoints.and_then(|one| one.websocket.clone())),
        ("tcp", endpoints.and_then(|one| one.tcp.clone())),
        ("api key", key),
        ("standbys", Some(status.standbys.to_string())),
        ("clients", status.clients.map(|clients| clients.to_string())),
        ("age", gateway.created.map(|created| age(created, now))),
    ];
    let mut text = format!("{}\n", gateway.path());
    for (name, value) in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<10} {}", or_dash(value.as_deref()));
    }
    let rows: Vec<_> = status
        .conditions
        .iter()
        .map(|one| [&one.type_, &one.status, &one.reason, &one.message].map(|text| harmless(text)))
        .collect();
    if rows.is_empty() {
        text.push_str("\nThe operator has not looked at it yet; if that stays so: kubectl mudgw doctor\n");
    } else {
        text.push('\n');
        text.push_str(&table(["CONDITION", "STATUS", "REASON", "MESSAGE"], &rows));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gateway::tests::gateway;

    fn dawn() -> Gateway {
        let condition = |type_: &str, status: &str, reason: &str| json!({"type": type_, "status": status, "reason": reason, "message": "in words", "lastTransitionTime": "2026-11-25T10:00:00Z"});
        gateway(
            "dawn",
            json!({"mud": {"name": "Dawn"}}),
            json!({
                "apiKeySecret": "dawn-api-key",
                "holder": "dawn-gateway-1",
                "endpoints": {"websocket": "ws://dawn.tenant-a.svc:8080/ws", "tcp": "dawn.tenant-a.svc:8081"},
                "router": {"name": "*i4", "connectedSince": "2026-11-25T10:00:00Z"},
                "conditions": [condition("Accepted", "True", "Accepted"), condition("Ready", "True", "SessionEstablished")],
            }),
        )
    }

    fn noon() -> Timestamp {
        "2026-11-25T13:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_line_for_each() {
        let text =
            overview(&[dawn(), gateway("new", json!({"mud": {"name": "New"}}), json!(null))], true, noon());
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0].join(" "), "NAMESPACE NAME MUD ROUTER READY REASON HOLDER ENDPOINT AGE");
        assert_eq!(
            lines[1].join(" "),
            "tenant-a dawn Dawn *i4 True SessionEstablished dawn-gateway-1 ws://dawn.tenant-a.svc:8080/ws 3h"
        );
        assert_eq!(lines[2].join(" "), "tenant-a new New - Unknown - - - 3h");
        assert!(overview(&[dawn()], false, noon()).starts_with("NAME "));
    }

    #[test]
    fn all_about_one_but_never_its_key() {
        let text = details(&dawn(), noon());
        for part in [
            "tenant-a/dawn\n",
            "router     *i4, for 3h\n",
            "api key    Secret dawn-api-key, entry token\n",
            "Ready       True     SessionEstablished   in words",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(
            details(&gateway("new", json!({}), json!(null)), noon()).contains("has not looked at it yet")
        );
    }
}
