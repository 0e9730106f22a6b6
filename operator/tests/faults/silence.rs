//! Answers that do not come, or come late.

use std::time::Duration;

use serde_json::json;

use crate::api::Fault;
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn a_watch_that_fell_silent_is_noticed_within_its_minute() {
    let world = World::start().await;
    world.api.fail_times(1, "watch", "mudgateways", Fault::Mute);
    world.until("the mute watch", 65, async |world| world.api.seen("watch", "mudgateways").len() == 2).await;
    world.create("dawn", json!({}));
    let took = world.until("programmed", 70, async |world| world.is_programmed("dawn")).await;
    assert!(took > Duration::from_secs(50), "the watch was not mute: {took:?}");
    world.assert_written_once("dawn");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_never_answered_is_asked_for_again() {
    for resource in ["intermudnetworks", "services", "secrets"] {
        let mut world = World::new().await;
        world.create("dawn", json!({}));
        // Beside the watch there is the look whether the definition is there.
        let looks = usize::from(resource == "intermudnetworks");
        world.api.fail_times(1 + looks, "list", resource, Fault::Hang);
        world.start_operator().await;
        let took = world.until("programmed", 5, async |world| world.is_programmed("dawn")).await;
        assert!(took < Duration::from_secs(1), "nothing waits for it: {took:?}");
        world.until("listed", 80, async |world| world.api.seen("list", resource).len() == 2 + looks).await;
        world.assert_written_once("dawn");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_of_gateways_that_is_never_answered_is_asked_for_again() {
    let world = World::start().await;
    world.api.fail_times(1, "watch", "mudgateways", Fault::Expired);
    world.api.fail_times(1, "list", "mudgateways", Fault::Hang);
    let lists = world.api.seen("list", "mudgateways").len();
    world.until("the list", 70, async |world| world.api.seen("list", "mudgateways").len() > lists).await;
    world.create("dawn", json!({}));
    let took = world.until("programmed", 80, async |world| world.is_programmed("dawn")).await;
    assert!(took > Duration::from_secs(60), "the list was answered: {took:?}");
    world.assert_written_once("dawn");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_api_server_makes_everything_slow_and_nothing_wrong() {
    let mut world = World::new().await;
    world.api.fail("*", "*", Fault::Slow(Duration::from_secs(2)));
    world.start_operator().await;
    world.create("dawn", json!({}));
    let took = world.until("programmed", 60, async |world| world.is_programmed("dawn")).await;
    assert!(took >= Duration::from_secs(16), "{took:?}");
    world.assert_written_once("dawn");
    assert_eq!(world.metric("i3op_reconcile_total{outcome=\"Failed\"}").await, 0.0);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reconciliation_that_hangs_is_given_up_and_tried_again() {
    let world = World::start().await;
    world.api.fail_times(2, "patch", "deployments", Fault::Hang);
    world.create("dawn", json!({}));
    let took = world.until("programmed", 140, async |world| world.is_programmed("dawn")).await;
    assert!(took >= Duration::from_secs(120), "{took:?}");
    assert_eq!(world.metric("i3op_reconcile_errors_total{reason=\"Timeout\"}").await, 2.0);
    world.assert_written_once("dawn");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_status_of_one_network_that_hangs_holds_up_no_other_for_long() {
    let world = World::start().await;
    let network =
        |name: &str| crate::target::Target::new("intermud.dev/v1alpha1", "", "intermudnetworks", name);
    let spec = json!({"spec": {"routers": [{"name": "*i4", "host": "h", "port": 1}]}});
    world.api.fail_times(1, "patch", "intermudnetworks/status", Fault::Hang);
    for name in ["a", "b"] {
        world.api.put(&network(name), spec.clone());
    }
    let ready = |world: &World| {
        ["a", "b"]
            .iter()
            .all(|name| world.api.get(&network(name)).unwrap()["status"]["conditions"].is_array())
    };
    world.until("both statuses", 25, async |world| ready(world)).await;
    world.stop().await;
}
