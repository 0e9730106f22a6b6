//! Watches that break.

use std::time::Duration;

use serde_json::json;

use crate::api::Fault;
use crate::target::Target;
use crate::world::{TENANT, World};

#[tokio::test(start_paused = true)]
async fn what_happened_while_a_watch_was_too_old_is_made_up_for() {
    let world = World::start().await;
    world.create("gone", json!({}));
    world.create("stays", json!({}));
    world
        .until("programmed", 5, async |world| world.is_programmed("gone") && world.is_programmed("stays"))
        .await;

    // Both forms: an event in the watch, and an answer to the request for it.
    for (round, fault) in
        [Fault::Expired, Fault::Answer(410, "Expired", "too old resource version")].into_iter().enumerate()
    {
        let lists = world.api.seen("list", "mudgateways").len();
        world.api.fail_times(1, "watch", "mudgateways", fault);
        // The watch that is open ends after a minute; in the gap before the list this happens.
        world
            .until("the end of the watch", 70, async |world| {
                world.api.seen("watch", "mudgateways").len() == 2 + 2 * round
            })
            .await;
        let fresh = format!("fresh-{round}");
        world.create(&fresh, json!({}));
        world.api.delete(&Target::new("intermud.dev/v1alpha1", TENANT, "mudgateways", "gone"));
        world.until("programmed", 35, async |world| world.is_programmed(&fresh)).await;
        assert!(world.api.seen("list", "mudgateways").len() > lists, "listed anew");
        world.assert_written_once(&fresh);
    }
    world.assert_written_once("stays");
    assert_eq!(world.metric("i3op_managed_mudgateways").await, 3.0, "gone is gone");
    let expired = "i3op_watch_errors_total{kind=\"MudGateway\",reason=\"Expired\"}";
    assert_eq!(world.metric(expired).await, 2.0);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_may_not_be_watched_holds_up_nothing_else() {
    for (kind, resource) in
        [("Ingress", "ingresses"), ("Secret", "secrets"), ("IntermudNetwork", "intermudnetworks")]
    {
        let mut world = World::new().await;
        world.api.fail("list", resource, Fault::Answer(403, "Forbidden", "not for you"));
        world.start_operator().await;
        // So long that the delays between the tries have grown to what they grow to.
        world.pass(300).await;
        for name in ["first", "second", "third"] {
            world.create(name, json!({}));
            let took = world.until("programmed", 60, async |world| world.is_programmed(name)).await;
            assert!(took < Duration::from_secs(2), "with {resource} forbidden it took {took:?}");
            world.pass(7).await;
        }
        let tries = world.api.seen("list", resource).len();
        assert!((5..=40).contains(&tries), "{tries} tries in five minutes");
        let errors = format!("i3op_watch_errors_total{{kind=\"{kind}\",reason=\"Forbidden\"}}");
        assert!(world.metric(&errors).await >= 5.0);
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_breaks_off_is_asked_for_again() {
    let mut world = World::new().await;
    world.create("dawn", json!({}));
    // The second list: the first one looks whether the definition is there.
    world.api.fail_times(3, "list", "intermudnetworks", Fault::Reset);
    world.api.fail_times(3, "list", "deployments", Fault::Reset);
    world.start_operator().await;
    world.until("programmed", 15, async |world| world.is_programmed("dawn")).await;
    world.assert_written_once("dawn");
    let errors = "i3op_watch_errors_total{kind=\"Deployment\",reason=\"ApiUnavailable\"}";
    world.until("the errors are counted", 15, async |world| world.metric(errors).await == 3.0).await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn watches_that_end_at_once_are_not_opened_in_a_loop() {
    let world = World::start().await;
    world.api.fail("watch", "*", Fault::Ends);
    // Those that are open end within a minute.
    world.pass(65).await;
    let before = world.api.seen("watch", "*").len();
    world.pass(60).await;
    let opened = world.api.seen("watch", "*").len() - before;
    assert!(opened <= 12 * 60, "{opened} watches opened in a minute");
    world.create("dawn", json!({}));
    world.api.heal();
    let opened = "i3op_watch_opened_timestamp_seconds{resource=\"mudgateways\"}";
    assert!(world.metric(opened).await > 1.7e9);
    world.until("programmed", 5, async |world| world.is_programmed("dawn")).await;
    world.stop().await;
}
