//! What one tenant's trouble costs another.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::api::Fault;
use crate::target::Target;
use crate::world::{TENANT, World};

const MANY: usize = 1000;

#[tokio::test(start_paused = true)]
async fn a_thousand_objects_that_hang_do_not_hold_up_anothers_one() {
    let mut world = World::new().await;
    world.api.fail_in("noisy", "*", "*", Fault::Hang);
    for index in 0..MANY {
        world.create_in("noisy", &format!("bad-{index}"), json!({}));
    }
    world.start_operator().await;
    world.pass(1).await;
    for name in ["one", "two"] {
        world.create(name, json!({}));
        let took = world.until("programmed", 60, async |world| world.is_programmed(name)).await;
        assert!(took < Duration::from_secs(2), "it took {took:?}");
    }
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_to_go_does_not_wait_for_those_that_hang() {
    let world = World::start().await;
    world.create("leaves", json!({}));
    world.until("programmed", 5, async |world| world.is_programmed("leaves")).await;
    // Nothing of its own is under way any more.
    world.pass(10).await;
    world.api.fail("get", "secrets", Fault::Hang);
    for index in 0..40 {
        world.create(&format!("bad-{index}"), json!({}));
    }
    // A tenant has a quarter of the sixteen places, and its new ones three of these four.
    let size = "i3op_reconcile_queue_size";
    world.until("they wait", 5, async |world| world.metric(size).await == 37.0).await;

    let leaves = Target::new("intermud.dev/v1alpha1", TENANT, "mudgateways", "leaves");
    let mut object = world.api.get(&leaves).unwrap();
    object["metadata"]["deletionTimestamp"] = json!("2026-11-28T00:00:00Z");
    world.api.put(&leaves, object);
    let took = world.until("its end", 60, async |world| world.says("leaves", "Programmed", "Deleting")).await;
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    let oldest = "i3op_reconcile_queue_oldest_seconds";
    world.until("that is told", 90, async |world| world.metric(oldest).await >= 20.0).await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_runs_does_not_wait_for_those_that_are_new() {
    let world = World::start().await;
    world.create("runs", json!({}));
    world.until("programmed", 5, async |world| world.is_programmed("runs")).await;
    // Nothing of its own is under way any more.
    world.pass(10).await;
    world.api.fail("create", "secrets", Fault::Hang);
    for index in 0..40 {
        world.create(&format!("new-{index}"), json!({}));
    }
    // As above.
    let size = "i3op_reconcile_queue_size";
    world.until("they wait", 5, async |world| world.metric(size).await == 37.0).await;

    world.change("runs", json!({"mud": {"driver": "FluffOS"}}));
    let map = Target::new("v1", TENANT, "configmaps", "runs-gateway");
    let has = |world: &World| world.api.get(&map).is_some_and(|map| map.to_string().contains("FluffOS"));
    let took = world.until("its change", 60, async |world| has(world)).await;
    assert!(took < Duration::from_secs(2), "it took {took:?}");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_host_of_a_listener_is_for_one_whether_it_is_named_or_not() {
    for hostnames in [[json!(null), json!("muds.example")], [json!("muds.example"), json!(null)]] {
        let mut world = World::new().await;
        let edge = Target::new("gateway.networking.k8s.io/v1", TENANT, "gateways", "edge");
        let listener = json!({"name": "http", "port": 80, "protocol": "HTTP", "hostname": "muds.example"});
        world.api.put(&edge, json!({"spec": {"listeners": [listener]}}));
        // Of one second the first by name is the older.
        for (name, hostname) in ["first", "second"].into_iter().zip(&hostnames) {
            let way = json!({"parentRef": {"name": "edge"}, "hostname": hostname});
            world.create(name, json!({"expose": {"gateway": way}}));
        }
        world.start_operator().await;
        for (name, reason) in [("first", "RouteNotAccepted"), ("second", "EndpointConflict")] {
            let deployment = Target::new("apps/v1", TENANT, "deployments", &format!("{name}-gateway"));
            world.until("pods", 5, async |world| world.api.get(&deployment).is_some()).await;
            let mut object = world.api.get(&deployment).unwrap();
            object["status"] = json!({"observedGeneration": 9, "availableReplicas": 1});
            world.api.put(&deployment, object);
            world.until(reason, 5, async |world| world.says(name, "Programmed", reason)).await;
        }
        let (_, _, message) = world.condition("second", "Programmed").unwrap();
        assert!(message.starts_with("the path /ws"), "{message}");
        assert!(message.contains("is that of the older MudGateway tenant-a/first"), "{message}");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_objects_that_are_refused_do_not_hold_up_anothers_one() {
    let mut world = World::new().await;
    world.api.fail_in(
        "noisy",
        "patch",
        "services",
        Fault::Answer(422, "Invalid", "spec.ports: Required value"),
    );
    for index in 0..MANY / 5 {
        world.create_in("noisy", &format!("bad-{index}"), json!({}));
    }
    world.start_operator().await;
    world.create("one", json!({}));
    let took = world.until("programmed", 60, async |world| world.is_programmed("one")).await;
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn many_that_claim_one_name_cost_a_few_requests_each() {
    let mut world = World::new().await;
    for index in 0..MANY / 5 {
        world.create_in("noisy", &format!("bad-{index}"), json!({"mud": {"name": "Same"}}));
    }
    world.start_operator().await;
    let told = |world: &World| world.api.seen("patch", "mudgateways/status").len() >= MANY / 5;
    world.until("all are told", 60, async |world| told(world)).await;
    world.pass(60).await;
    let requests = world.api.seen("*", "*").len();
    assert!(requests < MANY / 5 * 15, "{requests} requests for {} objects", MANY / 5);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_secrets_only_those_that_a_spec_names_are_read() {
    let world = World::start().await;
    let secret = |name| Target::new("v1", TENANT, "secrets", name);
    for name in ["bot", "unrelated", "cert"] {
        world
            .api
            .put(&secret(name), json!({"apiVersion": "v1", "kind": "Secret", "data": {"token": "aw=="}}));
    }
    world.create("dawn", json!({"api": {"keys": [{"secretRef": {"name": "bot"}}]}}));
    world.until("programmed", 5, async |world| world.is_programmed("dawn")).await;
    world
        .api
        .put(&secret("unrelated"), json!({"apiVersion": "v1", "kind": "Secret", "data": {"token": "bA=="}}));
    world.pass(120).await;

    for verb in ["list", "watch"] {
        let seen = world.api.seen(verb, "secrets");
        assert!(
            !seen.is_empty() && seen.iter().all(|seen| seen.brief),
            "whole Secrets were asked for: {seen:?}"
        );
    }
    let read: BTreeSet<String> = world.api.seen("get", "secrets").into_iter().map(|seen| seen.name).collect();
    let named = ["bot", "dawn-gateway-nats", "dawn-router-password"].map(str::to_owned);
    assert!(read.iter().all(|name| named.contains(name)), "{read:?}");
    assert!(read.contains("bot"));
    world.stop().await;
}
