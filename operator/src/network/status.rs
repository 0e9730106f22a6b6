//! The status of networks: what the reports of the gateways on each add up to. Written only when it says something new.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch};
use kube::{Resource, ResourceExt};
use mudgateway_crds::network::{NetworkConditionType, NetworkReason, RouterState, RouterView};
use mudgateway_crds::report::{GatewayReport, SessionReason};
use mudgateway_crds::{IntermudNetwork, IntermudNetworkStatus};
use serde_json::json;
use tokio::time::interval;
use tracing::warn;

use super::Seen;
use crate::bus::Session;
use crate::context::Context;
use crate::mudgateway::{api_error, params};

/// How often it is looked at what has changed: the most writes that a busy network costs.
const EVERY: Duration = Duration::from_secs(5);

/// How long one network may hold up the others.
const WRITE: Duration = Duration::from_secs(10);

/// What is seen of a network.
#[derive(Clone, Debug, Default)]
struct Facts {
    /// The reports of its muds; none: one that has not reported.
    reports: Vec<Option<GatewayReport>>,
    waiting: usize,
}

/// Keeps the statuses of all networks, and the gauges, in line with what is seen, for ever.
pub async fn keep_statuses(context: Context) {
    context.listed().await;
    let mut ticks = interval(EVERY);
    loop {
        ticks.tick().await;
        count(&context);
        for (name, seen) in context.networks.all() {
            let facts = facts(&context, &name);
            let update = update(&context, &name, &seen, &facts);
            match tokio::time::timeout(WRITE, update).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!(
                    reason = api_error::reason(&error), network = name, %error,
                    "the status of a network could not be written"
                ),
                Err(_) => warn!(
                    reason = "Timeout",
                    network = name,
                    "the status of a network was not written in time"
                ),
            }
        }
    }
}

fn facts(context: &Context, network: &str) -> Facts {
    let keys = context.index().on_network(network);
    let reports = keys.iter().map(|key| match context.session(key) {
        Session::Reported(report) => Some(report),
        _ => None,
    });
    let reports = reports.collect();
    Facts { reports, waiting: context.permits().waiting(Instant::now(), network) }
}

/// Sets the gauges of who waits, and of how many muds share an address.
fn count(context: &Context) {
    let mut registered: BTreeMap<_, usize> = BTreeMap::new();
    for (_, report) in context.reports().connected(Instant::now()) {
        *registered.entry((report.router_address.clone(), report.egress.clone())).or_default() += 1;
    }
    let waiting = context.permits().all_waiting(Instant::now());
    context.metrics.fleet(waiting, registered.into_values().max().unwrap_or_default());
}

async fn update(context: &Context, name: &str, seen: &Seen, facts: &Facts) -> kube::Result<()> {
    // One that never could be decoded has no object to show what it says now.
    let Some(network) = &seen.network else { return Ok(()) };
    let before = network.status.clone().unwrap_or_default();
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
    let after = next(network, seen.error.as_deref(), facts, now);
    if network.status.is_some() && before == after {
        return Ok(());
    }
    let patch = json!({
        "apiVersion": IntermudNetwork::api_version(&()),
        "kind": IntermudNetwork::kind(&()),
        // The uid, so that an object created anew under this name meanwhile does not get it.
        "metadata": {"uid": network.uid()},
        "status": after,
    });
    let api: Api<IntermudNetwork> = Api::all(context.client.clone());
    api.patch_status(name, &params(), &Patch::Apply(patch)).await.map(|_| ())
}

/// The status after an observation. The same observation twice gives the same status.
fn next(
    network: &IntermudNetwork,
    error: Option<&str>,
    facts: &Facts,
    now: Timestamp,
) -> IntermudNetworkStatus {
    let routers: Vec<RouterView> =
        network.spec.routers.iter().map(|router| view(&router.name, facts)).collect();
    let registered = facts.reports.iter().flatten().filter(|report| report.is_connected()).count();
    let before = network.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let generation = network.metadata.generation;
    let condition = |type_: NetworkConditionType, (status, reason, message): (_, NetworkReason, String)| {
        let old = before.iter().find(|old| old.type_ == type_.as_str() && old.status == status);
        Condition {
            type_: type_.as_str().to_owned(),
            status: String::from(status),
            reason: reason.as_str().to_owned(),
            message,
            observed_generation: generation,
            last_transition_time: old.map_or(Time(now), |old| old.last_transition_time.clone()),
        }
    };
    IntermudNetworkStatus {
        observed_generation: generation,
        conditions: vec![
            condition(NetworkConditionType::Accepted, accepted(error)),
            condition(NetworkConditionType::Ready, ready(facts, registered)),
        ],
        muds: number(facts.reports.len()),
        registered: number(registered),
        routers_up: number(routers.iter().filter(|router| router.state == RouterState::Up).count()),
        permits_waiting: number(facts.waiting),
        routers,
    }
}

fn accepted(error: Option<&str>) -> (&'static str, NetworkReason, String) {
    match error {
        None => ("True", NetworkReason::Accepted, "the spec can be used".to_owned()),
        Some(error) => {
            let message = format!(
                "this version of the operator cannot read the object, and goes on by what it was: {error}"
            );
            ("False", NetworkReason::InvalidSpec, message)
        }
    }
}

fn ready(facts: &Facts, registered: usize) -> (&'static str, NetworkReason, String) {
    let tried = facts.reports.iter().flatten().any(|report| fails(report.reason));
    if registered > 0 {
        ("True", NetworkReason::RouterUp, "muds are registered".to_owned())
    } else if tried {
        let message = "muds try to register, and none is: see the Connected condition of each MudGateway";
        ("False", NetworkReason::RoutersDown, message.to_owned())
    } else {
        ("Unknown", NetworkReason::NobodyConnects, "no mud tries to register".to_owned())
    }
}

fn view(name: &str, facts: &Facts) -> RouterView {
    let of_router = facts.reports.iter().flatten().filter(|report| report.router.as_deref() == Some(name));
    let registered = of_router.clone().filter(|report| report.is_connected()).count();
    let fails = of_router.into_iter().any(|report| fails(report.reason));
    let state = match (registered, fails) {
        (1.., _) => RouterState::Up,
        (0, true) => RouterState::Down,
        (0, false) => RouterState::Unknown,
    };
    RouterView { name: name.to_owned(), state, registered: number(registered) }
}

/// Whether a reason says that a router does not do what it should.
fn fails(reason: SessionReason) -> bool {
    matches!(
        reason,
        SessionReason::RouterUnreachable
            | SessionReason::RouterRefused
            | SessionReason::RouterSilent
            | SessionReason::SessionLost
            | SessionReason::ProtocolError
    )
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> IntermudNetwork {
        serde_json::from_value(json!({
            "metadata": {"name": "i4", "generation": 3},
            "spec": {"routers": [
                {"name": "*i4", "host": "h", "port": 1},
                {"name": "*dalet", "host": "h", "port": 2},
                {"name": "*spare", "host": "h", "port": 3},
            ]},
        }))
        .unwrap()
    }

    fn report(router: &str, reason: SessionReason) -> Option<GatewayReport> {
        Some(GatewayReport {
            holder: "pod".to_owned(),
            reason,
            message: String::new(),
            router: Some(router.to_owned()),
            router_address: None,
            egress: None,
            clients: None,
            connected_since: None,
        })
    }

    fn seconds(count: i64) -> Timestamp {
        Timestamp::from_second(count).unwrap()
    }

    #[test]
    fn the_reports_add_up() {
        let reports = vec![
            report("*i4", SessionReason::SessionEstablished),
            report("*i4", SessionReason::SessionEstablished),
            report("*i4", SessionReason::RouterRefused),
            report("*dalet", SessionReason::RouterUnreachable),
            None,
        ];
        let status = next(&network(), None, &Facts { reports, waiting: 2 }, seconds(5));
        assert_eq!((status.muds, status.registered, status.routers_up, status.permits_waiting), (5, 2, 1, 2));
        let states: Vec<_> = status.routers.iter().map(|router| (router.state, router.registered)).collect();
        assert_eq!(states, [(RouterState::Up, 2), (RouterState::Down, 0), (RouterState::Unknown, 0)]);
        let ready = status.condition(NetworkConditionType::Ready).unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("True", "RouterUp"));
        assert_eq!((status.observed_generation, ready.observed_generation), (Some(3), Some(3)));
    }

    #[test]
    fn what_has_not_changed_keeps_its_time_and_writes_nothing() {
        let mut network = network();
        let facts = Facts::default();
        network.status = Some(next(&network, None, &facts, seconds(5)));
        assert_eq!(network.status, Some(next(&network, None, &facts, seconds(99))));
        let reports = vec![report("*i4", SessionReason::RouterUnreachable)];
        let after =
            next(&network, Some("routers: expected a list"), &Facts { reports, waiting: 0 }, seconds(99));
        for condition in &after.conditions {
            assert_eq!((condition.status.as_str(), condition.last_transition_time.0), ("False", seconds(99)));
        }
    }
}
