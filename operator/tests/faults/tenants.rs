//! What one tenant's trouble costs another.

use std::time::Duration;

use serde_json::json;

use crate::api::Fault;
use crate::world::World;

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
