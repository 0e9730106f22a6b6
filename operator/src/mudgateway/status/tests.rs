use k8s_openapi::api::apps::v1::Deployment;
use mudgateway_crds::status::Endpoints;
use serde_json::json;

use super::*;
use crate::mudgateway::exposure::Exposure;
use crate::mudgateway::rejection::Rejection;
use crate::mudgateway::verdict::Applied;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn report(reason: SessionReason) -> Session {
    Session::Reported(GatewayReport {
        holder: "luminari-gateway-1".to_owned(),
        reason,
        message: format!("the gateway says {}", reason.as_str()),
        router: Some("*demo".to_owned()),
        router_address: None,
        egress: None,
        clients: None,
        connected_since: Some("2026-11-23T07:00:00Z".to_owned()),
    })
}

fn observed(session: Session) -> Observation {
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": {"generation": 1},
        "spec": {"replicas": 2, "selector": {}, "template": {}},
        "status": {"observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "availableReplicas": 2},
    }))
    .unwrap();
    let endpoints = Endpoints {
        websocket: Some("ws://luminari".to_owned()),
        tcp: Some("luminari:8081".to_owned()),
        ..Endpoints::default()
    };
    let applied = Applied {
        deployment,
        exposure: Exposure { endpoints, problem: None },
        lacks_pull_secret: None,
        api_key_secret: Some("luminari-api-key".to_owned()),
        selector: "app=luminari".to_owned(),
        key_end: None,
        renew_login_in: None,
    };
    let (generation, network) = (Some(3), Some("*demo".to_owned()));
    Observation { generation, outcome: Outcome::Applied(Box::new(applied)), network, session }
}

fn rejected() -> Observation {
    let rejection = Rejection::ApiKeyLost("luminari-api-key".to_owned());
    Observation { outcome: Outcome::Rejected(rejection), ..observed(Session::Silent) }
}

fn reasons(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.reason.as_str()).collect()
}

#[test]
fn the_network_of_the_claim_is_kept_until_another_is_found() {
    let claimed = next(&MudGatewayStatus::default(), &observed(Session::Silent), at(0));
    assert_eq!(claimed.network.as_deref(), Some("*demo"));
    let moving = Outcome::Moving("the gateway pods end".to_owned());
    let moving = Observation { outcome: moving, network: None, ..observed(Session::Silent) };
    let kept = next(&claimed, &moving, at(1));
    assert_eq!(kept.network.as_deref(), Some("*demo"));
    let programmed = kept.condition(ConditionType::Programmed).unwrap();
    assert_eq!((programmed.status.as_str(), programmed.reason.as_str()), ("False", "Moving"));
}

#[test]
fn a_connected_gateway_in_full() {
    let status =
        next(&MudGatewayStatus::default(), &observed(report(SessionReason::SessionEstablished)), at(0));
    insta::assert_yaml_snapshot!(status);
}

#[test]
fn the_same_observation_again_changes_nothing() {
    let observation = observed(report(SessionReason::SessionEstablished));
    let once = next(&MudGatewayStatus::default(), &observation, at(0));
    assert_eq!(next(&once, &observation, at(100)), once);
}

#[test]
fn a_condition_gets_a_new_time_with_a_new_status_only() {
    let first = next(&MudGatewayStatus::default(), &observed(report(SessionReason::Connecting)), at(0));
    let second = next(&first, &observed(report(SessionReason::RouterRefused)), at(100));
    let third = next(&second, &observed(report(SessionReason::SessionEstablished)), at(200));
    let time = |status: &MudGatewayStatus| {
        status.condition(ConditionType::Connected).unwrap().last_transition_time.0
    };
    assert_eq!([time(&first), time(&second), time(&third)], [at(0), at(0), at(200)]);
}

#[test]
fn ready_says_what_the_first_says_that_does_not_hold() {
    let cases = [
        (observed(report(SessionReason::SessionEstablished)), ("True", "SessionEstablished")),
        (observed(report(SessionReason::RouterRefused)), ("False", "RouterRefused")),
        (observed(Session::Silent), ("Unknown", "WaitingForGateway")),
        (rejected(), ("False", "SecretNotFound")),
    ];
    for (observation, expected) in cases {
        let status = next(&MudGatewayStatus::default(), &observation, at(0));
        let ready = status.condition(ConditionType::Ready).unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), expected);
    }
}

#[test]
fn a_restarted_operator_keeps_what_it_does_not_know_yet() {
    let before =
        next(&MudGatewayStatus::default(), &observed(report(SessionReason::SessionEstablished)), at(0));
    assert_eq!(next(&before, &observed(Session::NotYetKnown), at(100)), before);
}

#[test]
fn silence_takes_holder_and_router_away() {
    let before =
        next(&MudGatewayStatus::default(), &observed(report(SessionReason::SessionEstablished)), at(0));
    let after = next(&before, &observed(Session::Silent), at(100));
    assert_eq!((after.holder, after.router), (None, None));
    assert!(after.endpoints.is_some());
}

#[test]
fn a_router_is_named_only_while_connected() {
    let status = next(&MudGatewayStatus::default(), &observed(report(SessionReason::RouterRefused)), at(0));
    assert_eq!(status.router, None);
    assert_eq!(status.holder.as_deref(), Some("luminari-gateway-1"));
}

#[test]
fn an_undecodable_object_keeps_all_but_its_acceptance() {
    let before =
        next(&MudGatewayStatus::default(), &observed(report(SessionReason::SessionEstablished)), at(0));
    let outcome = Outcome::Undecodable("unknown variant".to_owned());
    let observation = Observation { outcome, ..observed(report(SessionReason::SessionEstablished)) };
    let after = next(&before, &observation, at(100));
    let brief: Vec<(&str, &str)> = after
        .conditions
        .iter()
        .map(|condition| (condition.type_.as_str(), condition.reason.as_str()))
        .collect();
    assert_eq!(
        brief,
        [
            ("Accepted", "InvalidSpec"),
            ("Programmed", "MinimumReplicasAvailable"),
            ("Connected", "SessionEstablished"),
            ("Ready", "InvalidSpec")
        ]
    );
    assert_eq!(after.endpoints, before.endpoints);
}

#[test]
fn events_tell_changes_once() {
    let nothing = MudGatewayStatus::default();
    let refused = observed(report(SessionReason::RouterRefused));
    let first = events(&nothing, &refused);
    assert_eq!(reasons(&first), ["RouterRefused"]);
    assert_eq!(first[0].type_, EventType::Warning);
    assert_eq!(first[0].note.as_deref(), Some("the gateway says RouterRefused"));

    let status = next(&nothing, &refused, at(0));
    assert_eq!(reasons(&events(&status, &refused)), [""; 0]);
    let connected = observed(report(SessionReason::SessionEstablished));
    assert_eq!(reasons(&events(&status, &connected)), ["SessionEstablished"]);
    assert_eq!(reasons(&events(&nothing, &rejected())), ["SecretNotFound"]);
    assert_eq!(reasons(&events(&nothing, &observed(Session::Silent))), [""; 0]);
}

#[test]
fn long_messages_are_cut_between_characters() {
    let fits = "é".repeat(MESSAGE_LIMIT / 2);
    assert_eq!(shortened(&fits), fits);
    let cut = shortened(&"é".repeat(MESSAGE_LIMIT));
    assert_eq!(cut, format!("{}…", "é".repeat(510)));
    // What the API server counts in an event's note.
    assert!(cut.len() <= 1024);
}

/// What is told of one observation after the other, and the status in the end.
fn told(observations: &[Observation]) -> (MudGatewayStatus, Vec<Event>) {
    let mut status = MudGatewayStatus::default();
    let mut told = Vec::new();
    for observation in observations {
        told.extend(events(&status, observation));
        status = next(&status, observation, at(0));
    }
    (status, told)
}

fn by(pod: u32, reason: SessionReason) -> Observation {
    let Session::Reported(report) = report(reason) else { panic!() };
    let holder = format!("luminari-gateway-{pod}");
    observed(Session::Reported(GatewayReport { holder, ..report }))
}

#[test]
fn a_fail_over_is_an_event_whatever_the_new_pod_says_before() {
    use SessionReason::{Connecting, SessionEstablished, ShuttingDown, Standby};
    let (status, told) = told(&[
        by(1, SessionEstablished),
        by(1, ShuttingDown),
        by(2, Standby),
        by(2, Connecting),
        by(2, SessionEstablished),
        // Nobody else comes.
        by(2, SessionReason::SessionLost),
        observed(Session::Silent),
        by(2, SessionEstablished),
    ]);
    assert_eq!(
        reasons(&told),
        ["SessionEstablished", "FailedOver", "SessionEstablished", "SessionLost", "SessionEstablished"]
    );
    let note = told[1].note.as_deref().unwrap();
    assert_eq!(note, "pod luminari-gateway-2 is logged in at the router, after pod luminari-gateway-1");
    assert_eq!(status.last_connected.as_deref(), Some("luminari-gateway-2"));
}

#[test]
fn a_restarted_operator_tells_of_no_fail_over_that_was_none() {
    let (before, _) = told(&[by(1, SessionReason::SessionEstablished)]);
    // All that outlives it is the status, as it is stored.
    let stored: MudGatewayStatus = serde_json::from_value(json!(before)).unwrap();
    assert_eq!(reasons(&events(&stored, &by(1, SessionReason::SessionEstablished))), [""; 0]);
    assert_eq!(
        reasons(&events(&stored, &by(2, SessionReason::SessionEstablished))),
        ["FailedOver"],
        "meanwhile"
    );
}

#[test]
fn after_a_time_without_pods_nobody_takes_over() {
    let mut none = observed(Session::Silent);
    let Outcome::Applied(applied) = &mut none.outcome else { panic!() };
    applied.deployment.spec.replicas = Some(0);
    let (_, told) =
        told(&[by(1, SessionReason::SessionEstablished), none, by(2, SessionReason::SessionEstablished)]);
    assert_eq!(reasons(&told), ["SessionEstablished", "SessionEstablished"]);
}

#[test]
fn what_belongs_to_a_hand_over_is_no_error() {
    for reason in [SessionReason::Standby, SessionReason::Redirected] {
        let (status, told) = told(&[by(1, reason)]);
        assert_eq!((status.last_error, reasons(&told)), (None, vec![]));
    }
}

#[test]
fn who_has_lost_its_name_has_no_pods_and_leads_nowhere() {
    let rejection =
        Rejection::NameKept { mud: "Luminari".into(), network: "i4".into(), namespace: "other".into() };
    let lost = Observation { outcome: Outcome::Rejected(rejection), ..observed(Session::Silent) };
    let (status, _) = told(&[by(1, SessionReason::SessionEstablished), lost]);
    assert_eq!((status.replicas, status.standbys, status.endpoints), (0, 0, None));
    // While others that cannot be carried out run on as they are.
    let (status, _) = told(&[by(1, SessionReason::SessionEstablished), rejected()]);
    assert_eq!((status.replicas, status.endpoints.is_some()), (2, true));
}

#[test]
fn every_reason_stands_in_the_documentation() {
    let page = include_str!("../../../../docs/OPERATOR.md");
    let missing: Vec<Reason> =
        Reason::all().filter(|reason| !page.contains(&format!("`{reason}`"))).collect();
    assert_eq!(missing, []);
}

#[test]
fn the_last_error_stays_with_the_time_it_was_first_heard_of() {
    let refused = observed(report(SessionReason::RouterRefused));
    let once = next(&MudGatewayStatus::default(), &refused, at(5));
    let again = next(&once, &refused, at(50));
    let mended = next(&again, &observed(report(SessionReason::SessionEstablished)), at(60));
    for status in [once, again, mended] {
        let error = status.last_error.unwrap();
        assert_eq!((error.reason.as_str(), error.time), ("RouterRefused", Time(at(5))));
    }
}

#[test]
fn pods_beside_the_one_that_is_logged_in_stand_by() {
    let standbys = |session| next(&MudGatewayStatus::default(), &observed(session), at(0)).standbys;
    assert_eq!(standbys(report(SessionReason::SessionEstablished)), 1);
    assert_eq!(standbys(report(SessionReason::Connecting)), 2);
}
