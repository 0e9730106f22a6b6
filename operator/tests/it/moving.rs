//! A MudGateway whose spec names another network: the name on the former one is given up as at its end.

use k8s_openapi::api::apps::v1::Deployment;
use mudgateway_crds::MudGateway;
use mudgateway_crds::bus::{STATE_BUCKET, state_key};
use mudgateway_crds::status::ConditionType;
use serde_json::json;

use crate::deletion::{MUD, elsewhere, end_pods, hear_of_the_end, left, on_the_network, take_leave};
use crate::harness::{Operator, Space, eventually, message};
use crate::nats::Nats;

/// Changes the network, as a user does.
async fn move_to(space: &Space, network: &str) {
    let routers = json!([{"name": network, "host": "router.example", "port": 8787}]);
    space.change::<MudGateway>("luminari", json!({"spec": {"routers": routers}})).await;
}

/// Waits until it is on a network, with pods.
async fn is_on(space: &Space, network: &str) {
    let is = |gateway: &MudGateway| {
        gateway.status.as_ref().is_some_and(|status| status.network.as_deref() == Some(network))
    };
    space.wait("luminari", network, is).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;
    let wanted = |deployment: &Deployment| deployment.metadata.deletion_timestamp.is_none();
    space.wait("luminari-gateway", "wanted", wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changes_its_network_gives_up_the_name_on_the_former_one() {
    let (space, other, nats) = (Space::new().await, Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    let stranger = Operator::start(&other, &nats.url()).await;
    let network = on_the_network(&space, &nats, "Delete").await;
    is_on(&space, &network).await;
    elsewhere(&other, "heir", &network).await;
    other.wait_for("heir", ConditionType::Accepted, "False", "NameConflict").await;
    other.delete::<MudGateway>("heir").await;
    let mut asked = hear_of_the_end(&nats, &network).await;

    let next = format!("*{}", other.name);
    move_to(&space, &next).await;
    let moving = space.wait_for("luminari", ConditionType::Programmed, "False", "Moving").await;
    assert!(message(&moving, ConditionType::Programmed).contains("takes its leave of the router"));
    take_leave(&nats, &mut asked).await;
    let end =
        |gateway: &MudGateway| message(gateway, ConditionType::Programmed).contains("the gateway pods end");
    space.wait("luminari", "the pods to end", end).await;
    assert_eq!(left(&space, &nats, &network).await[2..], [true, true], "pods that end still write");
    end_pods(&space, "luminari").await;
    is_on(&space, &next).await;
    assert_eq!(left(&space, &nats, &network).await, [false; 4]);
    elsewhere(&other, "heir", &network).await;
    other.wait_for("heir", ConditionType::Accepted, "True", "Accepted").await;
    operator.stop().await;
    stranger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_retained_on_the_former_network_is_there_when_it_comes_back() {
    let (space, other, nats) = (Space::new().await, Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    let stranger = Operator::start(&other, &nats.url()).await;
    let network = on_the_network(&space, &nats, "Retain").await;
    is_on(&space, &network).await;
    let next = format!("*{}", other.name);
    for to in [&next, &network] {
        move_to(&space, to).await;
        end_pods(&space, "luminari").await;
        is_on(&space, to).await;
        assert_eq!(left(&space, &nats, &network).await, [false, false, true, true]);
        elsewhere(&other, "heir", &network).await;
        other.wait_for("heir", ConditionType::Accepted, "False", "NameConflict").await;
        other.delete::<MudGateway>("heir").await;
    }
    // No router gave a password on the one between, so nothing of it is kept.
    let state = nats.jetstream().await.get_key_value(STATE_BUCKET).await.unwrap();
    assert_eq!(state.get(state_key(&next, MUD, "namespace")).await.unwrap(), None);
    operator.stop().await;
    stranger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_come_to_a_network_stays_and_gives_up_both_at_its_end() {
    let (space, other, nats) = (Space::new().await, Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    let stranger = Operator::start(&other, &nats.url()).await;
    let network = on_the_network(&space, &nats, "Delete").await;
    is_on(&space, &network).await;
    let taken = format!("*{}", other.name);
    elsewhere(&other, "first", &taken).await;
    other.wait_for("first", ConditionType::Accepted, "True", "Accepted").await;

    move_to(&space, &taken).await;
    space.wait_for("luminari", ConditionType::Accepted, "False", "NameConflict").await;
    assert_eq!(left(&space, &nats, &network).await[2..], [true, true], "it may come back");
    eventually("the end of the pods", async || {
        let deployment = space.api::<Deployment>().get("luminari-gateway").await.ok();
        deployment.is_none_or(|deployment| deployment.metadata.deletion_timestamp.is_some()).then_some(())
    })
    .await;
    space.delete::<MudGateway>("luminari").await;
    assert_eq!(left(&space, &nats, &network).await, [false; 4]);
    let state = nats.jetstream().await.get_key_value(STATE_BUCKET).await.unwrap();
    let holder = state.get(state_key(&taken, MUD, "namespace")).await.unwrap();
    assert_eq!(holder.as_deref(), Some(other.name.as_bytes()), "the end of a stranger");
    operator.stop().await;
    stranger.stop().await;
}
