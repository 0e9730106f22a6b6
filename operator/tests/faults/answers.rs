//! Answers that are errors.

use std::time::Duration;

use serde_json::json;

use crate::api::Fault;
use crate::world::{TENANT, World};

#[tokio::test(start_paused = true)]
async fn without_faults_each_object_is_written_once() {
    let world = World::start().await;
    world.create("dawn", json!({}));
    let took = world.until("programmed", 5, async |world| world.is_programmed("dawn")).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    world.assert_written_once("dawn");
    // And then nothing at all, for ten minutes.
    let writes = world.api.seen("patch", "*").len() + world.api.seen("create", "*").len();
    world.pass(600).await;
    assert_eq!(world.api.seen("patch", "*").len() + world.api.seen("create", "*").len(), writes);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_tried_again_and_writes_nothing_twice() {
    let world = World::start().await;
    world.api.fail_times(3, "patch", "deployments", Fault::Answer(409, "Conflict", "try again"));
    world.create("dawn", json!({}));
    // After one, two and four seconds at most.
    world.until("programmed", 8, async |world| world.is_programmed("dawn")).await;
    world.assert_written_once("dawn");
    assert_eq!(world.api.seen("patch", "deployments").len(), 4);
    assert_eq!(world.metric("i3op_reconcile_errors_total{reason=\"Conflict\"}").await, 3.0);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_conflict_about_the_status_is_tried_again() {
    let world = World::start().await;
    world.api.fail_times(2, "patch", "mudgateways/status", Fault::Answer(409, "Conflict", "try again"));
    world.create("dawn", json!({}));
    world.until("programmed", 5, async |world| world.is_programmed("dawn")).await;
    world.assert_written_once("dawn");
    assert_eq!(world.metric("i3op_reconcile_errors_total{reason=\"Conflict\"}").await, 2.0);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_object_is_told_of_tried_ever_more_rarely_and_taken_up_when_it_may_be() {
    for (code, reason, message, expected) in [
        (422, "Invalid", "spec.clusterIP: field is immutable", "ImmutableField"),
        (
            422,
            "Invalid",
            r#"spec.loadBalancerClass: Invalid value: "b": may not change once set"#,
            "ImmutableField",
        ),
        (422, "Invalid", "spec.ports: Required value", "ApplyFailed"),
        (403, "Forbidden", "exceeded quota: muds", "ApplyFailed"),
        // As the API server passes on what a webhook says that gives neither code nor reason.
        (400, "", "admission webhook \"muds.example\" denied the request: no muds here", "ApplyFailed"),
    ] {
        let world = World::start().await;
        world.api.fail("patch", "services", Fault::Answer(code, reason, message));
        world.create("dawn", json!({}));
        world.until("told", 3, async |world| world.says("dawn", "Programmed", expected)).await;
        let (_, _, told) = world.condition("dawn", "Programmed").unwrap();
        assert_eq!(told, format!("applying Service dawn: {message}"));
        assert!(world.events("dawn").contains(&expected.to_owned()));

        world.pass(600).await;
        let tries = world.api.seen("patch", "services").len();
        assert!((5..=14).contains(&tries), "{tries} tries in ten minutes");
        assert_eq!(world.api.changes("deployments", "dawn-gateway"), 0, "pods come last");
        let label = if reason.is_empty() { "Refused" } else { reason };
        assert!(world.metric(&format!("i3op_reconcile_errors_total{{reason=\"{label}\"}}")).await >= 5.0);

        world.api.heal();
        // Nothing tells that it may be now: it is found out by trying.
        world.until("programmed", 310, async |world| world.is_programmed("dawn")).await;
        world.assert_written_once("dawn");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_again_and_again_is_told_whatever_it_is() {
    let typed = "failed to create typed patch object (tenant-a/dawn; /v1, Kind=Service): errors: .spec.x: field not declared";
    for (resource, verb, fault, says) in [
        ("services", "patch", Fault::Answer(500, "", typed), "applying Service dawn: failed to create typed"),
        (
            "services",
            "get",
            Fault::Answer(500, "InternalError", "no leader"),
            "reading Service dawn: no leader",
        ),
        ("services", "patch", Fault::Hang, "not done within 60s"),
    ] {
        let world = World::start().await;
        world.api.fail_times(2, verb, resource, fault.clone());
        world.create("once", json!({}));
        // Twice is bad luck.
        world.until("programmed", 150, async |world| world.is_programmed("once")).await;
        assert_eq!(world.events("once"), [""; 0]);

        world.api.fail(verb, resource, fault);
        world.create("dawn", json!({}));
        world.until("told", 200, async |world| world.says("dawn", "Programmed", "ApplyFailed")).await;
        let (_, _, told) = world.condition("dawn", "Programmed").unwrap();
        assert!(told.starts_with(says), "{told}");
        world.until("an event", 5, async |world| world.events("dawn") == ["ApplyFailed"]).await;
        let writes = world.api.seen("patch", "mudgateways/status").len();
        world.pass(600).await;
        assert_eq!(world.api.seen("patch", "mudgateways/status").len(), writes, "it is said once");

        world.api.heal();
        world.until("programmed", 310, async |world| world.is_programmed("dawn")).await;
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_api_server_is_left_alone_for_as_long_as_it_says() {
    let world = World::start().await;
    world.api.fail_times(3, "patch", "configmaps", Fault::Busy(7));
    world.create("dawn", json!({}));
    let took = world.until("programmed", 40, async |world| world.is_programmed("dawn")).await;
    assert!(took >= Duration::from_secs(21), "{took:?}");
    let tries = world.api.seen("patch", "configmaps");
    let pauses = tries.windows(2).map(|pair| pair[1].at - pair[0].at);
    assert!(pauses.into_iter().all(|pause| pause >= Duration::from_secs(7)), "{tries:?}");
    assert_eq!(tries.len(), 4);
    world.assert_written_once("dawn");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn minutes_of_errors_cost_few_requests_and_are_made_up_for() {
    for fault in [
        Fault::Answer(500, "InternalError", "etcd has no leader"),
        Fault::Answer(503, "ServiceUnavailable", "starting"),
        Fault::Busy(1),
        Fault::Reset,
    ] {
        let world = World::start().await;
        world.create("dawn", json!({}));
        world.until("programmed", 5, async |world| world.is_programmed("dawn")).await;
        world.api.fail("*", "*", fault.clone());
        world.change("dawn", json!({"replicas": 2}));
        world.create("dusk", json!({}));
        let before = world.api.seen("*", "*").len();
        world.pass(300).await;
        let requests = world.api.seen("*", "*").len() - before;
        // A dozen watches, each tried every 15 s at most, and two objects; of 429 and 503 the client repeats each request
        // up to 15 times by itself.
        assert!(requests <= 1800, "{requests} requests in five minutes of {fault:?}");
        world.api.heal();
        let replicas = |world: &World| {
            let target = crate::target::Target::new("apps/v1", TENANT, "deployments", "dawn-gateway");
            world.api.get(&target).unwrap()["spec"]["replicas"].clone()
        };
        world
            .until("made up for", 310, async |world| world.is_programmed("dusk") && replicas(world) == 2)
            .await;
        world.assert_written_once("dusk");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_written_though_the_answer_was_lost_is_not_written_again() {
    let world = World::start().await;
    // Each of these once: the API key, which is created, among them.
    for (verb, resource) in [
        ("create", "secrets"),
        ("patch", "services"),
        ("patch", "deployments"),
        ("patch", "mudgateways/status"),
    ] {
        world.api.fail_times(1, verb, resource, Fault::LoseAnswer);
    }
    world.create("dawn", json!({}));
    world.until("programmed", 30, async |world| world.is_programmed("dawn")).await;
    world.assert_written_once("dawn");
    // The third failure is told, and that is the write of the status whose answer is lost.
    assert_eq!(world.metric("i3op_reconcile_errors_total{reason=\"ApiUnavailable\"}").await, 3.0);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_refused_fails_nothing() {
    let world = World::start().await;
    world.api.fail("create", "events", Fault::Answer(403, "Forbidden", "no events here"));
    world.create("dawn", json!({"paused": true}));
    world.until("paused", 5, async |world| world.says("dawn", "Programmed", "Paused")).await;
    world.pass(60).await;
    assert_eq!(world.api.seen("create", "events").len(), 1);
    assert_eq!(world.metric("i3op_reconcile_total{outcome=\"Failed\"}").await, 0.0);
    world.stop().await;
}
