//! IntermudNetworks that cannot be had, or not be read.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::Fault;
use crate::target::Target;
use crate::world::World;

fn network() -> Target {
    Target::new("intermud.dev/v1alpha1", "", "intermudnetworks", "i4")
}

fn put(world: &World, spec: Value) {
    let mut object = world.api.get(&network()).unwrap_or_else(|| json!({}));
    object["spec"] = spec;
    world.api.put(&network(), object);
}

fn routers() -> Value {
    json!({"routers": [{"name": "*i4", "host": "h", "port": 1}]})
}

/// Makes a MudGateway on the network.
fn create(world: &World, name: &str) {
    world.create(name, json!({"routers": null, "networkRef": {"name": "i4"}}));
}

#[tokio::test(start_paused = true)]
async fn muds_on_networks_that_may_not_be_listed_hold_no_place_and_are_told() {
    let mut world = World::new().await;
    world.api.fail("list", "intermudnetworks", Fault::Answer(403, "Forbidden", "not for you"));
    put(&world, routers());
    for index in 0..20 {
        create(&world, &format!("on-it-{index}"));
    }
    world.start_operator().await;
    world.pass(1).await;
    world.create("dawn", json!({}));
    let took = world.until("programmed", 60, async |world| world.is_programmed("dawn")).await;
    assert!(took < Duration::from_secs(1), "it took {took:?}");

    let all =
        |world: &World, reason| (0..20).all(|at| world.says(&format!("on-it-{at}"), "Accepted", reason));
    world.until("told", 15, async |world| all(world, "NetworkUnavailable")).await;
    let (status, _, told) = world.condition("on-it-7", "Accepted").unwrap();
    assert!(status == "False" && told.contains("the right to list them"), "{status} {told}");
    let read = world.api.seen("get", "services");
    assert!(read.iter().all(|seen| seen.name == "dawn"), "nothing is read for them: {read:?}");
    let writes = world.api.seen("patch", "*").len();
    world.pass(300).await;
    assert_eq!(world.api.seen("patch", "*").len(), writes, "it is said once");
    assert_eq!(world.metric("i3op_reconcile_errors_total{reason=\"Timeout\"}").await, 0.0);

    world.api.heal();
    world.until("accepted", 20, async |world| all(world, "Accepted")).await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_starts_takes_no_network_for_missing() {
    let mut world = World::new().await;
    put(&world, routers());
    create(&world, "dawn");
    world.api.fail_times(2, "list", "intermudnetworks", Fault::Slow(Duration::from_secs(5)));
    world.start_operator().await;
    world.until("programmed", 10, async |world| world.is_programmed("dawn")).await;
    assert_eq!(world.events("dawn"), [""; 0]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_network_that_cannot_be_read_is_told_once_and_its_muds_too() {
    let world = World::start().await;
    put(&world, json!({"routers": "none"}));
    create(&world, "dawn");
    let says = |world: &World, reason: &str| {
        let conditions = world.api.get(&network()).unwrap()["status"]["conditions"].clone();
        conditions.as_array().is_some_and(|all| all[0]["reason"] == reason)
    };
    world.until("told", 10, async |world| says(world, "InvalidSpec")).await;
    world.until("the mud", 5, async |world| world.says("dawn", "Accepted", "NetworkUnavailable")).await;
    let (_, _, told) = world.condition("dawn", "Accepted").unwrap();
    assert!(told.starts_with("IntermudNetwork i4 cannot be read"), "{told}");
    assert_eq!(world.metric("i3op_invalid_objects").await, 1.0);

    // As it was when it could be read, muds go on by it.
    put(&world, routers());
    world.until("programmed", 5, async |world| world.is_programmed("dawn")).await;
    world.until("healed", 10, async |world| says(world, "Accepted")).await;
    put(&world, json!({"routers": "none"}));
    world.until("told again", 10, async |world| says(world, "InvalidSpec")).await;
    let now = world.api.get(&network()).unwrap();
    assert_eq!(now["status"]["observedGeneration"], now["metadata"]["generation"]);
    let writes = world.api.seen("patch", "*").len();
    world.pass(300).await;
    assert_eq!(world.api.seen("patch", "*").len(), writes, "and then nothing, for five minutes");
    assert!(world.says("dawn", "Accepted", "Accepted"));
    world.stop().await;
}
