//! The checks of what all MudGateways need.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::Value;

use super::facts::{ClusterFacts, Lease, Operator, Read};
use super::finding::{Check, Finding};
use super::pod;
use crate::forward;

const SUBJECT: &str = "cluster";

/// How many missing fields of a definition are named.
const NAMED_FIELDS: usize = 5;

/// All checks of the cluster.
pub fn check(facts: &ClusterFacts, now: Timestamp) -> Vec<Finding> {
    let mut findings = definition(facts);
    match &facts.operators {
        Err(error) => findings.push(named("operator").unknown(error)),
        Ok(operators) => findings.extend(self::operators(operators, now)),
    }
    findings.extend(nats(&facts.nats));
    findings
}

fn named(name: &'static str) -> Check<'static> {
    Check { subject: SUBJECT, name }
}

const INSTALL: &str = "install the chart, or the definition alone: kubectl apply --server-side -f crds/";

/// Is there a definition, is it served, and has it the fields that this plug-in knows?
fn definition(facts: &ClusterFacts) -> Vec<Finding> {
    let check = named("definition");
    let installed = match &facts.definition {
        Err(error) => return vec![check.unknown(error)],
        Ok(None) => return vec![check.wrong("the cluster does not know MudGateways", INSTALL)],
        Ok(Some(installed)) => installed,
    };
    if !holds(installed, "Established") {
        let why = condition(installed, "NamesAccepted")["message"].as_str().unwrap_or("it is not served yet");
        let remedy = "see: kubectl describe crd mudgateways.intermud.dev";
        return vec![check.wrong(format!("the definition of MudGateways is not served: {why}"), remedy)];
    }
    let (known, present) = (fields(&facts.known_definition), fields(installed));
    let missing: Vec<_> = known.difference(&present).map(String::as_str).collect();
    if missing.is_empty() {
        return vec![check.ok("MudGateways are served as v1alpha1, with all fields this plug-in knows")];
    }
    let more = if missing.len() > NAMED_FIELDS { " and more" } else { "" };
    let message = format!(
        "the definition of MudGateways is older than this plug-in: it lacks {}{more}",
        missing[..missing.len().min(NAMED_FIELDS)].join(", ")
    );
    vec![
        check.warning(
            message,
            "upgrade the chart; with crds.enabled=false: kubectl apply --server-side -f crds/",
        ),
    ]
}

fn condition<'a>(object: &'a Value, type_: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions.and_then(|all| all.iter().find(|one| one["type"] == type_)).unwrap_or(&Value::Null)
}

fn holds(object: &Value, type_: &str) -> bool {
    condition(object, type_)["status"] == "True"
}

/// The paths of all fields of a definition's version v1alpha1.
fn fields(definition: &Value) -> BTreeSet<String> {
    let versions = definition["spec"]["versions"].as_array();
    let version = versions.and_then(|all| all.iter().find(|one| one["name"] == "v1alpha1"));
    let mut found = BTreeSet::new();
    if let Some(version) = version {
        walk(&version["schema"]["openAPIV3Schema"], "", &mut found);
    }
    found
}

fn walk(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        walk(schema, &path, found);
        found.insert(path);
    }
    if schema["items"].is_object() {
        walk(&schema["items"], &format!("{path}[]"), found);
    }
}

/// Is there one operator, does it run and lead, and has it NATS?
fn operators(operators: &[Operator], now: Timestamp) -> Vec<Finding> {
    let check = named("operator");
    let Some(first) = operators.first() else {
        let remedy =
            "install the chart; without an operator nothing that changes takes effect, and what runs runs on";
        return vec![check.wrong("there is no operator in this cluster", remedy)];
    };
    let mut findings = Vec::new();
    if operators.len() > 1 {
        let names: Vec<_> = operators.iter().map(|one| format!("{}/{}", one.namespace, one.name)).collect();
        findings.push(check.warning(
            format!("there is more than one operator: {}", names.join(", ")),
            "keep one, or give each its own namespaces (watchNamespaces): two on the same ones undo each other's work",
        ));
    }
    findings.push(runs(first, check));
    findings.extend(leads(first, now));
    findings.extend(has_bus(first));
    findings
}

fn runs(operator: &Operator, check: Check<'_>) -> Finding {
    let Operator { namespace, name, .. } = operator;
    let ready = operator.pods.iter().filter(|pod| forward::is_ready(pod)).count();
    let place = format!("Deployment {name} in namespace {namespace}");
    if operator.wanted == 0 {
        let remedy = format!("kubectl scale deployment {name} -n {namespace} --replicas=1");
        return check.wrong(format!("{place} is scaled to zero"), remedy);
    }
    if ready > 0 {
        let version =
            operator.version.as_deref().map(|version| format!(", version {version}")).unwrap_or_default();
        return check.ok(format!("{place} runs ({ready} of {} pods ready{version})", operator.wanted));
    }
    match operator.pods.iter().find_map(pod::problem) {
        Some(problem) => check.wrong(format!("no pod of {place} is ready: {}", problem.message), problem.remedy),
        None => check.wrong(
            format!("no pod of {place} is ready"),
            format!("see: kubectl describe deployment {name} -n {namespace}; kubectl logs deployment/{name} -n {namespace}"),
        ),
    }
}

/// With a Lease: has somebody renewed it lately?
fn leads(operator: &Operator, now: Timestamp) -> Option<Finding> {
    let check = named("leader");
    let Lease { holder, renewed, seconds } = match operator.lease.as_ref()? {
        Err(error) => return Some(check.unknown(error)),
        Ok(lease) => lease,
    };
    let age = renewed.map_or(i64::MAX, |renewed| now.duration_since(renewed).as_secs());
    let holder = holder.as_deref().filter(|holder| !holder.is_empty());
    Some(match holder {
        Some(holder) if age <= i64::from(*seconds) => check.ok(format!("{holder} leads")),
        _ => {
            let Operator { namespace, name, .. } = operator;
            check.wrong(
                "no operator leads: nothing that changes takes effect, and what runs runs on",
                format!(
                    "see why its pods do not take the Lease: kubectl logs deployment/{name} -n {namespace}"
                ),
            )
        }
    })
}

/// Does the operator reach NATS, by its own account?
fn has_bus(operator: &Operator) -> Option<Finding> {
    let check = named("nats");
    let metrics = match operator.metrics.as_ref()? {
        Err(error) => return Some(check.unknown(error)),
        Ok(metrics) => metrics,
    };
    let connected = metrics.lines().find_map(|line| line.strip_prefix("i3op_bus_connected "))?;
    let Operator { namespace, name, .. } = operator;
    Some(if connected.trim() == "1" {
        check.ok("the operator has a session with NATS")
    } else {
        check.wrong(
            "the operator has no session with NATS: muds stay connected, but nothing is known of them, and a pod that \
             dies loses its session until NATS is back",
            format!("look at NATS; the operator's log says why: kubectl logs deployment/{name} -n {namespace} | grep NATS"),
        )
    })
}

/// Do the pods of the chart's own NATS run?
fn nats(pods: &Read<Vec<k8s_openapi::api::core::v1::Pod>>) -> Vec<Finding> {
    let check = named("nats-pods");
    let pods = match pods {
        Err(error) => return vec![check.unknown(error)],
        // A NATS of the provider's own is none of our business.
        Ok(pods) => pods,
    };
    let failing = pods.iter().filter(|pod| !forward::is_ready(pod));
    failing
        .map(|pod| {
            let name = pod.name_any();
            let namespace = pod.namespace().unwrap_or_default();
            match pod::problem(pod) {
                Some(problem) => check.wrong(format!("NATS pod {name}: {}", problem.message), problem.remedy),
                None => check.wrong(
                    format!("NATS pod {name} is not ready"),
                    format!("see: kubectl describe pod {name} -n {namespace}"),
                ),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::finding::Level;

    fn definition(properties: Value) -> Value {
        json!({
            "spec": {"versions": [{"name": "v1alpha1", "schema": {"openAPIV3Schema": {"properties": {"spec": {"properties": properties}}}}}]},
            "status": {"conditions": [{"type": "Established", "status": "True"}]},
        })
    }

    fn operator(pods: &[Value]) -> Operator {
        let pods = pods.iter().map(|pod| serde_json::from_value(pod.clone()).unwrap()).collect();
        let (namespace, name) = ("system".to_owned(), "op".to_owned());
        Operator { namespace, name, wanted: 1, pods, ..Operator::default() }
    }

    fn ready() -> Value {
        json!({"metadata": {"name": "op-1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    }

    fn facts() -> ClusterFacts {
        let known = definition(
            json!({"mud": {"properties": {"name": {}}}, "keys": {"items": {"properties": {"a": {}}}}}),
        );
        ClusterFacts {
            definition: Ok(Some(known.clone())),
            known_definition: known,
            operators: Ok(vec![operator(&[ready()])]),
            nats: Ok(Vec::new()),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The worst finding of a check.
    fn worst(facts: &ClusterFacts, name: &str) -> Option<Finding> {
        let found = check(facts, at(1_000)).into_iter().filter(|finding| finding.check == name);
        found.max_by_key(|finding| finding.level)
    }

    fn is(facts: &ClusterFacts, name: &str, level: Level, words: &str) {
        let finding = worst(facts, name).unwrap_or_else(|| panic!("{name} found nothing"));
        assert_eq!(finding.level, level, "{finding:?}");
        let text = format!("{} {}", finding.message, finding.remedy.clone().unwrap_or_default());
        assert!(text.contains(words), "{words:?} is not in {text:?}");
        assert!(level < Level::Warning || finding.remedy.is_some(), "{finding:?} has no remedy");
    }

    #[test]
    fn a_cluster_that_is_well_is_said_to_be() {
        let found = check(&facts(), at(1_000));
        assert!(found.iter().all(|finding| finding.level == Level::Ok), "{found:?}");
        assert_eq!(found.iter().map(|finding| finding.check).collect::<Vec<_>>(), ["definition", "operator"]);
    }

    #[test]
    fn the_definition_may_be_missing_old_or_not_served() {
        let with = |definition| ClusterFacts { definition, ..facts() };
        is(&with(Ok(None)), "definition", Level::Wrong, "kubectl apply --server-side -f crds/");
        let old = definition(json!({"mud": {"properties": {}}}));
        is(
            &with(Ok(Some(old))),
            "definition",
            Level::Warning,
            "it lacks spec.keys, spec.keys[].a, spec.mud.name",
        );
        let mut refused = definition(json!({}));
        refused["status"] =
            json!({"conditions": [{"type": "NamesAccepted", "status": "False", "message": "taken"}]});
        is(&with(Ok(Some(refused))), "definition", Level::Wrong, "taken");
        is(&with(Err("no right\nask".to_owned())), "definition", Level::Unknown, "no right");
    }

    #[test]
    fn the_operator_may_be_absent_twice_stopped_or_failing() {
        let with = |operators| ClusterFacts { operators: Ok(operators), ..facts() };
        is(&with(vec![]), "operator", Level::Wrong, "install the chart");
        is(
            &with(vec![operator(&[ready()]), operator(&[])]),
            "operator",
            Level::Warning,
            "system/op, system/op",
        );
        is(&with(vec![Operator { wanted: 0, ..operator(&[]) }]), "operator", Level::Wrong, "--replicas=1");
        is(&with(vec![operator(&[])]), "operator", Level::Wrong, "kubectl logs deployment/op -n system");
        let pulling = json!({"metadata": {"name": "op-1", "namespace": "system"}, "spec": {"containers": []}, "status": {
            "containerStatuses": [{"name": "operator", "image": "operator:9", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}});
        is(&with(vec![operator(&[pulling])]), "operator", Level::Wrong, "operator:9");
    }

    #[test]
    fn somebody_must_lead_where_there_is_a_lease() {
        let with = |lease| {
            let operator = Operator { lease: Some(lease), ..operator(&[ready()]) };
            ClusterFacts { operators: Ok(vec![operator]), ..facts() }
        };
        let lease = |holder: Option<&str>, second| Lease {
            holder: holder.map(str::to_owned),
            renewed: Some(at(second)),
            seconds: 15,
        };
        is(&with(Ok(lease(Some("op-1"), 990))), "leader", Level::Ok, "op-1 leads");
        is(&with(Ok(lease(Some("op-1"), 980))), "leader", Level::Wrong, "kubectl logs");
        is(&with(Ok(lease(None, 999))), "leader", Level::Wrong, "no operator leads");
        assert_eq!(worst(&facts(), "leader"), None);
    }

    #[test]
    fn nats_is_asked_after_at_the_operator() {
        let with = |metrics: &str| {
            let operator = Operator { metrics: Some(Ok(metrics.to_owned())), ..operator(&[ready()]) };
            ClusterFacts { operators: Ok(vec![operator]), ..facts() }
        };
        is(&with("# x\ni3op_bus_connected 1\n"), "nats", Level::Ok, "session with NATS");
        is(&with("i3op_bus_connected 0\n"), "nats", Level::Wrong, "look at NATS");
        let pod =
            serde_json::from_value(json!({"metadata": {"name": "nats-0", "namespace": "system"}})).unwrap();
        is(
            &ClusterFacts { nats: Ok(vec![pod]), ..facts() },
            "nats-pods",
            Level::Wrong,
            "describe pod nats-0",
        );
    }
}
