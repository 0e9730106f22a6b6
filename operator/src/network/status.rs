//! The status of networks: what the reports of the gateways on each add up to. Written only when it says something new.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use kube::api::{Api, Patch};
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
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
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
    let after = next(seen, facts, now);
    let sees_all = context.settings.scopes().contains(&None);
    if seen.status.as_ref() == Some(&after) || !sees_all && is_for_others(seen, facts) {
        return Ok(());
    }
    let patch = json!({
        "apiVersion": IntermudNetwork::api_version(&()),
        "kind": IntermudNetwork::kind(&()),
        // The uid, so that an object created anew under this name meanwhile does not get it.
        "metadata": {"uid": seen.metadata.uid},
        "status": after,
    });
    let resource = ApiResource::erase::<IntermudNetwork>(&());
    let api: Api<DynamicObject> = Api::all_with(context.client.clone(), &resource);
    api.patch_status(name, &params(), &Patch::Apply(patch)).await?;
    context.networks.wrote(name, after);
    Ok(())
}

/// Whether a status is left to other operators, who have muds on the network where we have none. Each would else write
/// over what the other wrote, for ever.
fn is_for_others(seen: &Seen, facts: &Facts) -> bool {
    let is_current = |status: &IntermudNetworkStatus| status.observed_generation == seen.metadata.generation;
    facts.reports.is_empty() && !seen.is_ours && seen.status.as_ref().is_some_and(is_current)
}

/// The status after an observation. The same observation twice gives the same status.
fn next(seen: &Seen, facts: &Facts, now: Timestamp) -> IntermudNetworkStatus {
    let routers = seen.spec().map_or(&[][..], |spec| &spec.routers);
    let routers: Vec<RouterView> = routers.iter().map(|router| view(&router.name, facts)).collect();
    let registered = facts.reports.iter().flatten().filter(|report| report.is_connected()).count();
    let before = seen.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let generation = seen.metadata.generation;
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
            condition(NetworkConditionType::Accepted, accepted(seen)),
            condition(NetworkConditionType::Ready, ready(facts, registered)),
        ],
        muds: number(facts.reports.len()),
        registered: number(registered),
        routers_up: number(routers.iter().filter(|router| router.state == RouterState::Up).count()),
        permits_waiting: number(facts.waiting),
        routers,
    }
}

fn accepted(seen: &Seen) -> (&'static str, NetworkReason, String) {
    let Some(error) = &seen.error else {
        return ("True", NetworkReason::Accepted, "the spec can be used".to_owned());
    };
    let muds = if seen.network.is_some() { "its muds go on by what it was" } else { "its muds wait" };
    let message = format!("this version of the operator cannot read the object, and {muds}: {error}");
    ("False", NetworkReason::InvalidSpec, message)
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
    use serde_json::Value;

    use super::*;

    fn network() -> Seen {
        seen(
            3,
            &json!([
                {"name": "*i4", "host": "h", "port": 1},
                {"name": "*dalet", "host": "h", "port": 2},
                {"name": "*spare", "host": "h", "port": 3},
            ]),
            None,
        )
    }

    fn seen(generation: i64, routers: &Value, before: Option<&Seen>) -> Seen {
        let object =
            json!({"metadata": {"name": "i4", "generation": generation}, "spec": {"routers": routers}});
        Seen::read(serde_json::from_value(object).unwrap(), before)
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
        let status = next(&network(), &Facts { reports, waiting: 2 }, seconds(5));
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
        network.status = Some(next(&network, &facts, seconds(5)));
        assert_eq!(network.status, Some(next(&network, &facts, seconds(99))));
        let reports = vec![report("*i4", SessionReason::RouterUnreachable)];
        network.error = Some("routers: expected a list".to_owned());
        let after = next(&network, &Facts { reports, waiting: 0 }, seconds(99));
        for condition in &after.conditions {
            assert_eq!((condition.status.as_str(), condition.last_transition_time.0), ("False", seconds(99)));
        }
    }

    #[test]
    fn who_has_no_mud_on_a_network_leaves_its_status_to_others() {
        let (nobody, somebody) = (Facts::default(), Facts { reports: vec![None], waiting: 0 });
        let mut network = network();
        assert!(!is_for_others(&network, &nobody), "nobody has said anything");
        network.status = Some(next(&network, &somebody, seconds(5)));
        assert!(is_for_others(&network, &nobody) && !is_for_others(&network, &somebody));
        network.is_ours = true;
        assert!(!is_for_others(&network, &nobody), "its last mud has gone");
        network.is_ours = false;
        network.metadata.generation = Some(4);
        assert!(!is_for_others(&network, &nobody), "it is about an older spec");
    }

    #[test]
    fn one_that_cannot_be_read_has_a_status_of_its_own_generation_that_is_written_once() {
        let facts = Facts::default();
        for (before, routers, says) in
            [(Some(network()), 3, "its muds go on by what it was"), (None, 0, "its muds wait")]
        {
            let mut seen = seen(4, &json!(5), before.as_ref());
            let once = next(&seen, &facts, seconds(5));
            assert_eq!((once.observed_generation, once.routers.len()), (Some(4), routers));
            let accepted = once.condition(NetworkConditionType::Accepted).unwrap();
            assert_eq!((accepted.status.as_str(), accepted.reason.as_str()), ("False", "InvalidSpec"));
            assert!(accepted.message.contains(says), "{}", accepted.message);
            seen.status = Some(once.clone());
            assert_eq!(next(&seen, &facts, seconds(99)), once);
        }
    }
}
