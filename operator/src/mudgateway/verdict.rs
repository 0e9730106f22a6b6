//! What a reconciliation found, as conditions. Pure.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use mudgateway_crds::report::GatewayReport;
use mudgateway_crds::status::Reason;

use super::exposure::Exposure;
use super::rejection::Rejection;
use crate::bus::Session;

/// What a reconciliation found.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The generation of the spec it is about.
    pub generation: Option<i64>,
    /// What became of the spec.
    pub outcome: Outcome,
    /// The network on which the mud's name is claimed now, if that was found out.
    pub network: Option<String>,
    /// The state of the router session.
    pub session: Session,
}

/// What became of a spec.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is carried out.
    Applied(Box<Applied>),
    /// It may not be carried out now: it is paused. What runs goes on.
    Paused,
    /// It waits until the mud has left the network that it was on.
    Moving(String),
    /// It cannot be carried out. What runs goes on, except under a name that another has.
    Rejected(Rejection),
    /// The API server refused an object.
    Failed {
        /// Why, in one word.
        reason: Reason,
        /// Why, in its words.
        message: String,
    },
    /// The object cannot be decoded.
    Undecodable(String),
    /// The object is deleted, and that waits for something.
    Deleting(String),
}

/// A spec that is carried out.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The Deployment as the API server has it.
    pub deployment: Deployment,
    /// Where the mud connects to, and what is wrong with the way there.
    pub exposure: Exposure,
    /// A Secret to pull the image with that does not exist.
    pub lacks_pull_secret: Option<String>,
    /// The Secret with the API key we made.
    pub api_key_secret: Option<String>,
    /// The labels by which the pods are found.
    pub selector: String,
    /// The API key that ends next.
    pub key_end: Option<KeyEnd>,
    /// When its login for NATS is to be made anew.
    pub renew_login_in: Option<Duration>,
}

/// The end of an API key that is near, or past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEnd {
    /// The Secret of the key.
    pub secret: String,
    /// When it ends, in words.
    pub when: String,
    /// Whether it has ended.
    pub past: bool,
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
        Outcome::Applied(applied) if applied.key_end.is_some() => key_ends(applied.key_end.as_ref()),
        Outcome::Applied(_)
        | Outcome::Rejected(_)
        | Outcome::Failed { .. }
        | Outcome::Paused
        | Outcome::Moving(_)
        | Outcome::Deleting(_) => Verdict::new(Status::True, Reason::Accepted, "the spec can be carried out"),
    }
}

/// Whether the objects exist and the pod runs.
pub fn programmed(outcome: &Outcome) -> Verdict {
    match outcome {
        Outcome::Applied(applied) => {
            let pods = deployed(&applied.deployment);
            match (pods.status, &applied.lacks_pull_secret, &applied.exposure.problem) {
                (Status::False, Some(secret), _) => lacks_pull_secret(secret),
                // What is wrong with the pods comes first: without them no way leads anywhere.
                (Status::True, _, Some(problem)) => {
                    Verdict::new(Status::False, problem.reason, problem.message.as_str())
                }
                _ => pods,
            }
        }
        Outcome::Paused => Verdict::new(
            Status::Unknown,
            Reason::Paused,
            "spec.paused is true: what runs goes on, and changes wait until it is false",
        ),
        Outcome::Moving(why) => Verdict::new(
            Status::False,
            Reason::Moving,
            format!("the mud moves to another network; waiting: {why}"),
        ),
        Outcome::Rejected(rejection) => {
            Verdict::new(Status::False, rejection.reason(), rejection.to_string())
        }
        Outcome::Failed { reason, message } => Verdict::new(Status::False, *reason, message.as_str()),
        Outcome::Deleting(why) => Verdict::new(
            Status::False,
            Reason::Deleting,
            format!("the MudGateway is deleted; waiting: {why}"),
        ),
        Outcome::Undecodable(_) => {
            Verdict::tentative(Reason::InvalidSpec, "the operator cannot read the object and changes nothing")
        }
    }
}

/// Nodes do without where they have the image, or need no leave to pull it. So it is told only when there is no pod.
fn lacks_pull_secret(secret: &str) -> Verdict {
    let message = format!(
        "Secret {secret} does not exist, and the gateway pod is not available: create it in this namespace, or change \
         spec.imagePullSecrets"
    );
    Verdict::new(Status::False, Reason::SecretNotFound, message)
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
pub fn without_pod(outcome: &Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Applied(applied) if wants_no_pod(&applied.deployment) => Some(Reason::ScaledToZero),
        _ if has_lost_its_name(outcome) => Some(Reason::NameConflict),
        _ => None,
    }
}

/// Whether another has the mud's name, so that its pods are taken away.
pub fn has_lost_its_name(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Rejected(rejection) if rejection.reason() == Reason::NameConflict)
}

fn reported(report: &GatewayReport) -> Verdict {
    let status = if report.is_connected() { Status::True } else { Status::False };
    Verdict::new(status, Reason::Session(report.reason), report.message.as_str())
}

fn wants_no_pod(deployment: &Deployment) -> bool {
    deployment.spec.replicas == Some(0)
}

/// A key that ends soon, or has ended, is no reason not to carry the spec out, but somebody should know.
fn key_ends(end: Option<&KeyEnd>) -> Verdict {
    let Some(KeyEnd { secret, when, past }) = end else {
        return Verdict::new(Status::True, Reason::Accepted, "the spec can be carried out");
    };
    if *past {
        let message = format!(
            "the API key in Secret {secret} has ended at {when}: remove it from spec.api.keys, or renew it"
        );
        return Verdict::new(Status::True, Reason::KeyExpired, message);
    }
    let message = format!("the API key in Secret {secret} ends at {when}: give the mud another one before");
    Verdict::new(Status::True, Reason::KeyExpiring, message)
}

fn deployed(deployment: &Deployment) -> Verdict {
    if wants_no_pod(deployment) {
        return Verdict::new(Status::True, Reason::ScaledToZero, "spec.replicas is 0");
    }
    let why = condition(deployment, "ReplicaFailure").and_then(|condition| condition.message.as_deref());
    let progress = condition(deployment, "Progressing");
    if progress.is_some_and(|progress| progress.reason.as_deref() == Some("ProgressDeadlineExceeded")) {
        let message = why.unwrap_or("a gateway pod does not become available; its events and log say why");
        return Verdict::new(Status::False, Reason::ProgressDeadlineExceeded, message);
    }
    let (available, wanted) = (available(deployment), deployment.spec.replicas.unwrap_or(1));
    if available > 0 {
        let message = format!("{} of {wanted} gateway pods are available", available.min(wanted));
        return Verdict::new(Status::True, Reason::MinimumReplicasAvailable, message);
    }
    Verdict::new(Status::False, Reason::Progressing, why.unwrap_or("the gateway pod is not available yet"))
}

/// How many pods are available, unless that is said of an older state of the Deployment.
fn available(deployment: &Deployment) -> i32 {
    let status = deployment.status.as_ref();
    let status = status.filter(|status| status.observed_generation >= deployment.metadata.generation);
    status.and_then(|status| status.available_replicas).unwrap_or(0)
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
    use crate::mudgateway::exposure::Problem;

    fn with(status: &serde_json::Value, replicas: i32, generation: i64) -> Applied {
        let mut status = status.clone();
        status["observedGeneration"] = json!(2);
        let deployment = json!({
            "metadata": {"generation": generation},
            "spec": {"replicas": replicas, "selector": {}, "template": {}},
            "status": status,
        });
        Applied {
            deployment: serde_json::from_value(deployment).unwrap(),
            exposure: Exposure::default(),
            lacks_pull_secret: None,
            api_key_secret: None,
            selector: String::new(),
            key_end: None,
            renew_login_in: None,
        }
    }

    fn applied(replicas: i32, generation: i64, status: &serde_json::Value) -> Outcome {
        Outcome::Applied(Box::new(with(status, replicas, generation)))
    }

    fn brief(verdict: &Verdict) -> (&'static str, &'static str) {
        (verdict.status.as_str(), verdict.reason.as_str())
    }

    #[test]
    fn programmed_follows_the_deployment() {
        let available = json!({"availableReplicas": 1});
        let stuck = json!({
            "availableReplicas": 1,
            "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}],
        });
        let cases = [
            (applied(1, 2, &available), ("True", "MinimumReplicasAvailable")),
            (applied(3, 2, &available), ("True", "MinimumReplicasAvailable")),
            (applied(1, 3, &available), ("False", "Progressing")),
            (applied(1, 2, &stuck), ("False", "ProgressDeadlineExceeded")),
            (applied(1, 2, &json!({})), ("False", "Progressing")),
            (applied(0, 2, &json!({})), ("True", "ScaledToZero")),
            (Outcome::Paused, ("Unknown", "Paused")),
        ];
        for (outcome, expected) in cases {
            assert_eq!(brief(&programmed(&outcome)), expected, "{outcome:?}");
        }
        assert_eq!(programmed(&applied(3, 2, &available)).message, "1 of 3 gateway pods are available");
    }

    #[test]
    fn a_pod_that_cannot_be_made_is_explained() {
        let refused = json!({"conditions": [
            {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"},
        ]});
        assert_eq!(programmed(&applied(1, 2, &refused)).message, "exceeded quota");
    }

    #[test]
    fn pods_without_a_way_to_them_are_not_programmed() {
        let problem = Problem { reason: Reason::GatewayApiMissing, message: "install it".to_owned() };
        let mut no_way = with(&json!({"availableReplicas": 1}), 1, 2);
        no_way.exposure.problem = Some(problem.clone());
        let verdict = programmed(&Outcome::Applied(Box::new(no_way)));
        assert_eq!(
            (brief(&verdict), verdict.message.as_str()),
            (("False", "GatewayApiMissing"), "install it")
        );
        let mut nothing = with(&json!({}), 1, 2);
        nothing.exposure.problem = Some(problem);
        assert_eq!(brief(&programmed(&Outcome::Applied(Box::new(nothing)))), ("False", "Progressing"));
    }

    #[test]
    fn a_secret_to_pull_with_is_missed_only_without_a_pod() {
        for (status, expected) in [
            (json!({}), ("False", "SecretNotFound")),
            (json!({"availableReplicas": 1}), ("True", "MinimumReplicasAvailable")),
        ] {
            let mut lacks = with(&status, 1, 2);
            lacks.lacks_pull_secret = Some("registry".to_owned());
            assert_eq!(brief(&programmed(&Outcome::Applied(Box::new(lacks)))), expected);
        }
    }

    #[test]
    fn the_end_of_a_key_is_told_and_stops_nothing() {
        for (past, expected) in [(false, "KeyExpiring"), (true, "KeyExpired")] {
            let mut ends = with(&json!({}), 1, 2);
            let (secret, when) = ("bot".to_owned(), "2027-01-01T00:00:00Z".to_owned());
            ends.key_end = Some(KeyEnd { secret, when, past });
            let verdict = accepted(&Outcome::Applied(Box::new(ends)));
            assert_eq!(brief(&verdict), ("True", expected));
            assert!(verdict.message.contains("Secret bot") && verdict.message.contains("2027"));
        }
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
                clients: None,
                connected_since: None,
            })
        };
        let runs = applied(1, 2, &json!({}));
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
            let zero = applied(0, 2, &json!({}));
            assert_eq!(brief(&connected(&zero, &session)), ("False", "ScaledToZero"));
            assert_eq!(brief(&connected(&conflict, &session)), ("False", "NameConflict"));
        }
    }

    #[test]
    fn only_a_spec_that_cannot_be_carried_out_is_not_accepted() {
        let failed = Outcome::Failed { reason: Reason::ApplyFailed, message: "forbidden".to_owned() };
        let exists = Rejection::ObjectExists { kind: "Service", name: "luminari".to_owned() };
        let cases = [
            (applied(1, 2, &json!({})), ("True", "Accepted")),
            (failed, ("True", "Accepted")),
            (Outcome::Rejected(exists), ("True", "Accepted")),
            (Outcome::Rejected(Rejection::InvalidSpec("no routers")), ("False", "InvalidSpec")),
            (Outcome::Undecodable("unknown field".to_owned()), ("False", "InvalidSpec")),
        ];
        for (outcome, expected) in cases {
            assert_eq!(brief(&accepted(&outcome)), expected, "{outcome:?}");
        }
    }
}
