//! What a reconciliation found, as conditions. Pure.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use mudgateway_crds::report::GatewayReport;
use mudgateway_crds::status::{Endpoints, Reason};

use super::validate::Rejection;
use crate::bus::Session;

/// What a reconciliation found.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The generation of the spec it is about.
    pub generation: Option<i64>,
    /// What became of the spec.
    pub outcome: Outcome,
    /// The state of the router session.
    pub session: Session,
}

/// What became of a spec.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is carried out.
    Applied(Box<Applied>),
    /// It cannot be carried out. What runs goes on, except under a name that another has.
    Rejected(Rejection),
    /// The API server refused an object.
    Failed(String),
    /// The object cannot be decoded.
    Undecodable(String),
}

/// A spec that is carried out.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The Deployment as the API server has it.
    pub deployment: Deployment,
    /// Where the mud connects to.
    pub endpoints: Endpoints,
    /// The Secret with the API key we made.
    pub api_key_secret: Option<String>,
}

/// The state of one condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// True, False or Unknown.
    pub status: Status,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, for a person.
    pub message: String,
    /// Nothing was found out: what the condition said before still stands.
    pub tentative: bool,
}

/// The three states of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody can tell.
    Unknown,
}

impl Status {
    /// The state as it stands in conditions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl Verdict {
    fn new(status: Status, reason: Reason, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into(), tentative: false }
    }

    fn tentative(reason: Reason, message: &str) -> Self {
        Self { tentative: true, ..Self::new(Status::Unknown, reason, message) }
    }
}

/// Whether the spec can be carried out.
pub fn accepted(outcome: &Outcome) -> Verdict {
    match outcome {
        Outcome::Rejected(rejection) if rejection.reason() != Reason::ObjectExists => {
            Verdict::new(Status::False, rejection.reason(), rejection.to_string())
        }
        Outcome::Undecodable(error) => {
            let message = format!("this version of the operator cannot read the object: {error}");
            Verdict::new(Status::False, Reason::InvalidSpec, message)
        }
        Outcome::Applied(_) | Outcome::Rejected(_) | Outcome::Failed(_) => {
            Verdict::new(Status::True, Reason::Accepted, "the spec can be carried out")
        }
    }
}

/// Whether the objects exist and the pod runs.
pub fn programmed(outcome: &Outcome) -> Verdict {
    match outcome {
        Outcome::Applied(applied) => deployed(&applied.deployment),
        Outcome::Rejected(rejection) => {
            Verdict::new(Status::False, rejection.reason(), rejection.to_string())
        }
        Outcome::Failed(message) => Verdict::new(Status::False, Reason::ApplyFailed, message.as_str()),
        Outcome::Undecodable(_) => {
            Verdict::tentative(Reason::InvalidSpec, "the operator cannot read the object and changes nothing")
        }
    }
}

/// Whether the mud is on the network.
pub fn connected(outcome: &Outcome, session: &Session) -> Verdict {
    match (session, without_pod(outcome)) {
        (Session::Reported(report), _) => reported(report),
        (_, Some(reason)) => Verdict::new(Status::False, reason, "there is no gateway pod"),
        (Session::Silent, None) => Verdict::new(
            Status::Unknown,
            Reason::WaitingForGateway,
            "the gateway has not reported lately; its pod's events and log say why",
        ),
        (Session::BusAway, None) => Verdict::new(
            Status::Unknown,
            Reason::BusUnavailable,
            "the operator cannot reach NATS, over which the gateways report; the muds may well be connected",
        ),
        (Session::NotYetKnown, None) => {
            Verdict::tentative(Reason::WaitingForGateway, "the gateway has not reported yet")
        }
    }
}

/// Why there is no pod that could report, if there is none.
fn without_pod(outcome: &Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Applied(applied) if wants_no_pod(&applied.deployment) => Some(Reason::ScaledToZero),
        Outcome::Rejected(Rejection::NameConflict { .. }) => Some(Reason::NameConflict),
        _ => None,
    }
}

fn reported(report: &GatewayReport) -> Verdict {
    let status = if report.is_connected() { Status::True } else { Status::False };
    Verdict::new(status, Reason::Session(report.reason), report.message.as_str())
}

fn wants_no_pod(deployment: &Deployment) -> bool {
    deployment.spec.replicas == Some(0)
}

fn deployed(deployment: &Deployment) -> Verdict {
    if wants_no_pod(deployment) {
        return Verdict::new(Status::True, Reason::ScaledToZero, "spec.replicas is 0");
    }
    if holds(deployment, "Available") {
        return Verdict::new(Status::True, Reason::MinimumReplicasAvailable, "the gateway pod is available");
    }
    let why = condition(deployment, "ReplicaFailure").and_then(|condition| condition.message.as_deref());
    match condition(deployment, "Progressing") {
        Some(progress) if progress.reason.as_deref() == Some("ProgressDeadlineExceeded") => {
            let message =
                why.unwrap_or("the gateway pod does not become available; its events and log say why");
            Verdict::new(Status::False, Reason::ProgressDeadlineExceeded, message)
        }
        _ => Verdict::new(
            Status::False,
            Reason::Progressing,
            why.unwrap_or("the gateway pod is not available yet"),
        ),
    }
}

fn holds(deployment: &Deployment, type_: &str) -> bool {
    condition(deployment, type_).is_some_and(|condition| condition.status.as_deref() == Some("True"))
}

/// A condition of the Deployment, unless it is about an older state of it.
fn condition<'a>(deployment: &'a Deployment, type_: &str) -> Option<&'a DeploymentCondition> {
    let status = deployment.status.as_ref()?;
    if status.observed_generation < deployment.metadata.generation {
        return None;
    }
    status.conditions.as_ref()?.iter().find(|condition| condition.type_.as_deref() == Some(type_))
}

#[cfg(test)]
mod tests {
    use mudgateway_crds::report::SessionReason;
    use serde_json::json;

    use super::*;
    use crate::key::Key;

    fn applied(replicas: i32, generation: i64, conditions: &serde_json::Value) -> Outcome {
        let deployment = json!({
            "metadata": {"generation": generation},
            "spec": {"replicas": replicas, "selector": {}, "template": {}},
            "status": {"observedGeneration": 2, "conditions": conditions},
        });
        Outcome::Applied(Box::new(Applied {
            deployment: serde_json::from_value(deployment).unwrap(),
            endpoints: Endpoints::default(),
            api_key_secret: None,
        }))
    }

    fn brief(verdict: &Verdict) -> (&'static str, &'static str) {
        (verdict.status.as_str(), verdict.reason.as_str())
    }

    #[test]
    fn programmed_follows_the_deployment() {
        let available = json!([{"type": "Available", "status": "True"}]);
        let stuck = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
        let cases = [
            (applied(1, 2, &available), ("True", "MinimumReplicasAvailable")),
            (applied(1, 3, &available), ("False", "Progressing")),
            (applied(1, 2, &stuck), ("False", "ProgressDeadlineExceeded")),
            (applied(1, 2, &json!([])), ("False", "Progressing")),
            (applied(0, 2, &json!([])), ("True", "ScaledToZero")),
        ];
        for (outcome, expected) in cases {
            assert_eq!(brief(&programmed(&outcome)), expected, "{outcome:?}");
        }
    }

    #[test]
    fn a_pod_that_cannot_be_made_is_explained() {
        let refused = json!([{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]);
        assert_eq!(programmed(&applied(1, 2, &refused)).message, "exceeded quota");
    }

    #[test]
    fn connected_follows_the_report() {
        let report = |reason| {
            Session::Reported(GatewayReport {
                holder: "pod".to_owned(),
                reason,
                message: "in the gateway's words".to_owned(),
                router: Some("*demo".to_owned()),
                router_address: None,
                egress: None,
                connected_since: None,
            })
        };
        let runs = applied(1, 2, &json!([]));
        let cases = [
            (report(SessionReason::SessionEstablished), ("True", "SessionEstablished")),
            (report(SessionReason::RouterRefused), ("False", "RouterRefused")),
            (Session::Silent, ("Unknown", "WaitingForGateway")),
            (Session::BusAway, ("Unknown", "BusUnavailable")),
        ];
        for (session, expected) in cases {
            assert_eq!(brief(&connected(&runs, &session)), expected, "{session:?}");
        }
        assert!(connected(&runs, &Session::NotYetKnown).tentative);
        let refused = connected(&runs, &report(SessionReason::RouterRefused));
        assert_eq!(refused.message, "in the gateway's words");
    }

    #[test]
    fn nobody_waits_for_a_pod_that_is_not_wanted() {
        let conflict = Outcome::Rejected(Rejection::NameConflict {
            mud: "Mud".to_owned(),
            network: "*demo".to_owned(),
            holder: Key::new("ns", "other"),
        });
        for session in [Session::Silent, Session::BusAway, Session::NotYetKnown] {
            let zero = applied(0, 2, &json!([]));
            assert_eq!(brief(&connected(&zero, &session)), ("False", "ScaledToZero"));
            assert_eq!(brief(&connected(&conflict, &session)), ("False", "NameConflict"));
        }
    }

    #[test]
    fn only_a_spec_that_cannot_be_carried_out_is_not_accepted() {
        let exists = Rejection::ObjectExists { kind: "Service", name: "luminari".to_owned() };
        let cases = [
            (applied(1, 2, &json!([])), ("True", "Accepted")),
            (Outcome::Failed("forbidden".to_owned()), ("True", "Accepted")),
            (Outcome::Rejected(exists), ("True", "Accepted")),
            (Outcome::Rejected(Rejection::InvalidSpec("no routers")), ("False", "InvalidSpec")),
            (Outcome::Undecodable("unknown field".to_owned()), ("False", "InvalidSpec")),
        ];
        for (outcome, expected) in cases {
            assert_eq!(brief(&accepted(&outcome)), expected, "{outcome:?}");
        }
    }
}
