//! Every check, by the facts it is about.

use mudgateway_crds::report::SessionReason;
use mudgateway_crds::status::Reason;
use serde_json::json;

use super::*;
use crate::gateway::tests::gateway;

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-11-25T10:00:00Z"})
}

/// The status of a gateway that is well, with other conditions.
fn status(others: &[Value]) -> Value {
    let well = [
        condition("Accepted", "True", "Accepted", ""),
        condition("Programmed", "True", "MinimumReplicasAvailable", ""),
        condition("Connected", "True", "SessionEstablished", ""),
    ];
    let kept = well.into_iter().filter(|one| others.iter().all(|other| other["type"] != one["type"]));
    json!({
        "observedGeneration": 2,
        "apiKeySecret": "dawn-api-key",
        "router": {"name": "*i4"},
        "endpoints": {"websocket": "ws://dawn.tenant-a.svc:8080/ws", "tcp": "dawn.tenant-a.svc:8081"},
        "conditions": kept.chain(others.iter().cloned()).collect::<Vec<_>>(),
    })
}

fn pod(status: Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "dawn-1", "namespace": "tenant-a"}, "status": status}))
        .unwrap()
}

fn ready() -> Pod {
    pod(json!({"conditions": [{"type": "Ready", "status": "True"}]}))
}

fn waiting(reason: &str, message: &str) -> Pod {
    pod(
        json!({"containerStatuses": [{"name": "gateway", "image": "gateway:9", "imageID": "", "ready": false, "restartCount": 4,
        "state": {"waiting": {"reason": reason, "message": message}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}),
    )
}

fn key_facts() -> KeyFacts {
    let (secret, entry) = ("dawn-api-key".to_owned(), "token".to_owned());
    KeyFacts { secret, entry, exists: true, has_entry: true, previous_until: None }
}

fn facts_of(gateway: Gateway) -> GatewayFacts {
    GatewayFacts {
        gateway,
        pods: Ok(vec![ready()]),
        key: Some(Ok(key_facts())),
        addresses: Ok(Some(1)),
        health: Some(Ok(json!({"active_sessions": 2}))),
        quotas: Ok(Vec::new()),
        endpoint: None,
    }
}

fn well() -> GatewayFacts {
    facts_of(gateway("dawn", json!({"mud": {"name": "Dawn"}}), status(&[])))
}

fn with(conditions: &[Value]) -> GatewayFacts {
    facts_of(gateway("dawn", json!({"mud": {"name": "Dawn"}}), status(conditions)))
}

fn is(facts: &GatewayFacts, name: &str, level: Level, words: &str) {
    let found = check(facts, now());
    let finding = found.iter().filter(|finding| finding.check == name).max_by_key(|finding| finding.level);
    let finding = finding.unwrap_or_else(|| panic!("{name} found nothing: {found:?}"));
    assert_eq!(finding.level, level, "{finding:?}");
    let text = format!("{} {}", finding.message, finding.remedy.clone().unwrap_or_default());
    assert!(text.contains(words), "{words:?} is not in {text:?}");
    assert!(level < Level::Warning || finding.remedy.is_some(), "{finding:?} has no remedy");
    assert_eq!(finding.subject, "tenant-a/dawn");
}

#[test]
fn a_gateway_that_is_well_is_said_to_be() {
    let found = check(&well(), now());
    assert_eq!(worst(&found), Level::Ok, "{found:?}");
    let checks: Vec<_> = found.iter().map(|finding| finding.check).collect();
    assert_eq!(checks, ["accepted", "key", "programmed", "pods", "router", "endpoint", "clients"]);
}

#[test]
fn a_spec_that_cannot_be_carried_out_comes_with_its_remedy() {
    let accepted = |reason: &str| with(&[condition("Accepted", "False", reason, "in words")]);
    is(&accepted("NameConflict"), "accepted", Level::Wrong, "delete one of the two");
    is(&accepted("InvalidSpec"), "accepted", Level::Wrong, "InvalidSpec: in words");
    is(&accepted("NetworkNotFound"), "accepted", Level::Wrong, "the provider knows");
    is(&accepted("ImageNotAllowed"), "accepted", Level::Wrong, "have the provider allow");
    let expiring = with(&[condition("Accepted", "True", "KeyExpiring", "key 1 ends")]);
    is(&expiring, "accepted", Level::Warning, "key 1 ends");
    is(&accepted("SomethingNew"), "accepted", Level::Wrong, "kubectl describe mudgateway dawn -n tenant-a");
}

#[test]
fn an_operator_that_does_not_look_is_noticed() {
    let unseen = |created: &str| {
        let mut gateway = gateway("dawn", json!({}), json!(null));
        gateway.created = Some(created.parse().unwrap());
        facts_of(gateway)
    };
    is(&unseen("2026-11-25T11:00:00Z"), "accepted", Level::Wrong, "watchNamespaces");
    is(&unseen("2026-11-25T11:59:50Z"), "accepted", Level::Ok, "just created");
    let mut late = well();
    late.gateway.generation = Some(3);
    is(&late, "accepted", Level::Warning, "the last change");
}

#[test]
fn objects_that_cannot_be_made_come_with_their_remedy() {
    let programmed = |reason: &str, message: &str| with(&[condition("Programmed", "False", reason, message)]);
    is(&programmed("ObjectExists", ""), "programmed", Level::Wrong, "belongs to someone else");
    is(&programmed("ApplyFailed", "forbidden"), "programmed", Level::Wrong, "grant what");
    for reason in
        ["GatewayApiMissing", "GatewayNotFound", "RouteNotAccepted", "AddressPending", "ImmutableField"]
    {
        let found = programmed(reason, "in words");
        is(&found, "programmed", Level::Wrong, "in words");
        assert!(
            check(&found, now())
                .iter()
                .all(|finding| !finding.remedy.iter().any(|text| text.contains("describe")))
        );
    }
    is(
        &with(&[condition("Programmed", "Unknown", "Paused", "")]),
        "programmed",
        Level::Warning,
        "\"paused\":false",
    );
    let quota = "pods \"dawn-1\" is forbidden: exceeded quota: small, requested: pods=1";
    is(
        &programmed("Progressing", quota),
        "programmed",
        Level::Warning,
        "kubectl describe resourcequota -n tenant-a",
    );
    is(&programmed("ProgressDeadlineExceeded", quota), "programmed", Level::Wrong, "describe resourcequota");
    is(&programmed("Progressing", "not yet"), "programmed", Level::Warning, "check of the pods");
}

#[test]
fn pods_that_do_not_run_are_explained() {
    let of = |pods: Vec<Pod>| GatewayFacts { pods: Ok(pods), ..well() };
    is(
        &of(vec![waiting("ImagePullBackOff", "not found")]),
        "pods",
        Level::Wrong,
        "the image gateway:9 cannot be pulled: not found",
    );
    is(
        &of(vec![waiting("CrashLoopBackOff", "")]),
        "pods",
        Level::Wrong,
        "4 restarts); the last time: Error, exit code 1",
    );
    is(&of(vec![waiting("CreateContainerConfigError", "secret x")]), "pods", Level::Wrong, "secret x");
    let nowhere =
        json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes"}]});
    is(&of(vec![pod(nowhere)]), "pods", Level::Wrong, "no node for it: 0/2 nodes");
    is(&of(vec![]), "pods", Level::Wrong, "there is no pod");
    is(&of(vec![pod(json!({}))]), "pods", Level::Wrong, "no pod is ready");
    let mut two = well();
    two.gateway.replicas = 2;
    is(&two, "pods", Level::Warning, "a standby is missing");
    is(&GatewayFacts { pods: Err("no right".to_owned()), ..well() }, "pods", Level::Unknown, "no right");
    let mut none = well();
    none.gateway.replicas = 0;
    is(&none, "pods", Level::Warning, "--replicas=1");
    assert!(
        check(&none, now()).iter().all(|finding| finding.check != "router"),
        "nobody expects it to be connected"
    );
}

#[test]
fn a_secret_that_is_missing_is_advised_by_what_it_is_for() {
    let spec = json!({"mud": {"name": "Dawn"}, "api": {
        "tls": {"secretName": "cert", "requireClientCertificate": true},
        "keys": [{"secretRef": {"name": "bots", "key": "a"}}, {"secretRef": {"name": "bots", "key": "b"}}],
    }, "imagePullSecrets": [{"name": "registry"}], "expose": {"ingress": {"host": "h", "tlsSecretName": "web"}}});
    for (message, words) in [
        ("Secret web has no entries …", "kubectl create secret tls web -n tenant-a"),
        ("Secret registry does not exist …", "kubectl create secret docker-registry registry -n tenant-a"),
        (
            "Secret bots has no entry \"b\", or does not exist: …",
            "kubectl create secret generic bots -n tenant-a --from-literal=b=KEY",
        ),
        (
            "Secret cert has no entry \"ca.crt\", or does not exist: …",
            "generic cert -n tenant-a --from-file=tls.crt --from-file=tls.key --from-file=ca.crt",
        ),
        (
            "Secret proxy has no entries \"username\" and \"password\", or …",
            "generic proxy -n tenant-a --type=kubernetes.io/basic-auth --from-literal=username=USER",
        ),
        (
            "Secret dawn-api-key has lost its entry \"token\": …",
            "kubectl delete secret dawn-api-key -n tenant-a",
        ),
        ("in other words", "the Secret that the message names in namespace tenant-a"),
    ] {
        let conditions = status(&[condition("Accepted", "False", "SecretNotFound", message)]);
        is(&facts_of(gateway("dawn", spec.clone(), conditions)), "accepted", Level::Wrong, words);
    }
}

/// All reasons that the API has, whichever condition has them.
#[test]
fn every_reason_has_a_remedy_of_its_own() {
    for reason in Reason::all() {
        let remedy = remedy::of(reason.as_str(), "in words", &well().gateway);
        assert!(!remedy.contains("describe") && remedy.len() > 20, "{reason}: {remedy}");
    }
    let session = SessionReason::all().map(Reason::Session);
    let waits = session.filter(|reason| remedy::passes(reason.as_str())).map(Reason::as_str);
    let passing = ["Connecting", "Redirected", "Standby", "WaitingForPermit", "ShuttingDown"];
    assert_eq!(waits.collect::<Vec<_>>(), passing);
}

#[test]
fn what_the_check_of_the_spec_says_is_not_advised_twice() {
    let conflict = |type_: &str| condition(type_, "False", "NameConflict", "another has it");
    let facts = with(&["Accepted", "Programmed", "Connected"].map(conflict));
    is(&facts, "accepted", Level::Wrong, "delete one of the two");
    for name in ["programmed", "router"] {
        is(&facts, name, Level::Wrong, "what is said of the spec above");
    }
}

#[test]
fn a_mud_that_is_away_comes_with_its_remedy() {
    let cases = [
        ("RouterUnreachable", Level::Wrong, "NetworkPolicy"),
        ("RouterRefused", Level::Wrong, "password"),
        ("SessionLost", Level::Wrong, "tries again"),
        ("RouterSilent", Level::Wrong, "tries again"),
        ("ProtocolError", Level::Wrong, "tries again"),
        ("StateUnavailable", Level::Wrong, "NATS"),
        ("AddressFull", Level::Wrong, "spec.egress.proxy"),
        ("ProxyFailed", Level::Wrong, "SOCKS5"),
        ("WaitingForPermit", Level::Warning, "one connection a second"),
        ("WaitingForGateway", Level::Wrong, "kubectl logs deployment/dawn-gateway -n tenant-a"),
        ("BusUnavailable", Level::Wrong, "may well be connected"),
        ("Connecting", Level::Warning, "in a moment"),
        ("Redirected", Level::Warning, "in a moment"),
        ("Standby", Level::Warning, "in a moment"),
        ("ShuttingDown", Level::Warning, "in a moment"),
    ];
    for (reason, level, words) in cases {
        is(
            &with(&[condition("Connected", "False", reason, "in the gateway's words")]),
            "router",
            level,
            words,
        );
    }
}

#[test]
fn a_key_that_is_gone_is_noticed_and_one_that_was_replaced_is_told() {
    let with = |key| GatewayFacts { key: Some(Ok(key)), ..well() };
    is(
        &with(KeyFacts { exists: false, has_entry: false, ..key_facts() }),
        "key",
        Level::Wrong,
        "Secret dawn-api-key is gone",
    );
    is(&with(KeyFacts { has_entry: false, ..key_facts() }), "key", Level::Wrong, "no entry token");
    let until = Some("2026-11-25T15:00:00Z".parse().unwrap());
    is(&with(KeyFacts { previous_until: until, ..key_facts() }), "key", Level::Ok, "works for another 3h");
    let over = Some("2026-11-25T11:00:00Z".parse().unwrap());
    is(&with(KeyFacts { previous_until: over, ..key_facts() }), "key", Level::Ok, "entry token");
    let mut given = with(KeyFacts { exists: false, has_entry: false, ..key_facts() });
    given.gateway.status.api_key_secret = None;
    is(
        &given,
        "key",
        Level::Wrong,
        "kubectl create secret generic dawn-api-key -n tenant-a --from-literal=token=KEY",
    );
}

#[test]
fn an_endpoint_must_lead_somewhere() {
    let with = |addresses| GatewayFacts { addresses: Ok(addresses), ..well() };
    is(&with(None), "endpoint", Level::Wrong, "Service dawn does not exist");
    is(&with(Some(0)), "endpoint", Level::Wrong, "leads to no pod");
    let outside = GatewayFacts { endpoint: Some(Err("no such host".to_owned())), ..well() };
    is(&outside, "endpoint", Level::Warning, "does not answer from this machine: no such host");
}

#[test]
fn a_mud_that_is_not_connected_to_its_gateway_is_told() {
    let none = GatewayFacts { health: Some(Ok(json!({"active_sessions": 0}))), ..well() };
    is(&none, "clients", Level::Warning, "dawn.tenant-a.svc:8081 and the key of Secret dawn-api-key");
    is(
        &GatewayFacts { health: Some(Err("no right".to_owned())), ..well() },
        "clients",
        Level::Unknown,
        "no right",
    );
    assert!(
        check(&GatewayFacts { health: None, ..well() }, now())
            .iter()
            .all(|finding| finding.check != "clients")
    );
    // The operator's count is of all pods.
    let mut counted = none.clone();
    counted.gateway.status.clients = Some(3);
    is(&counted, "clients", Level::Ok, "3 connected");
}

#[test]
fn a_quota_that_is_used_up_is_told() {
    let quota = |hard: &str, used: &str| Quota {
        name: "small".to_owned(),
        resource: "count/mudgateways.intermud.dev".to_owned(),
        hard: hard.to_owned(),
        used: used.to_owned(),
    };
    let with = |quota| GatewayFacts { quotas: Ok(vec![quota]), ..well() };
    is(&with(quota("5", "5")), "quota", Level::Warning, "count/mudgateways.intermud.dev is used up (5)");
    for fine in [quota("5", "4"), quota("0", "0")] {
        assert!(check(&with(fine), now()).iter().all(|finding| finding.check != "quota"));
    }
}
