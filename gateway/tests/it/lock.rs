//! Several processes of one mud: one of them holds the session with the router.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use i3_router::{Mark, RunningRouter};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket};

use super::support::{Gateway, Nats, hear, registered, registered_since, router, say, until};

/// The goal for a hand-over after a crash.
const AFTER_A_CRASH: Duration = Duration::from_secs(5);

/// A process of Dawn that reaches the router directly.
pub async fn process(router: &RunningRouter, nats: &Nats) -> Gateway {
    Gateway::start("Dawn", router, &[("NATS_URL", nats.url().as_str())]).await
}

/// The one that holds the session, and one that stands by.
async fn two(router: &RunningRouter, nats: &Nats) -> (Gateway, Gateway) {
    let holder = process(router, nats).await;
    holder.logged("SessionEstablished").await;
    let standby = process(router, nats).await;
    standby.logged("\"reason\":\"Standby\"").await;
    (holder, standby)
}

/// How long it took from one moment to the next registration.
async fn registration_since(router: &RunningRouter, mark: Mark, start: Instant) -> Duration {
    registered_since(router, mark, "Dawn").await;
    start.elapsed()
}

#[tokio::test]
async fn one_of_two_processes_registers_and_the_other_tells_how_its_session_is() {
    let (router, nats) = (router().await, Nats::start().await);
    let (holder, standby) = two(&router, &nats).await;
    assert_eq!(router.links().await.len(), 1);
    let client = standby.client().await;
    let status = until(&client, "status", json!({}), |status| status["connected"] == true).await;
    assert_eq!(status["router"], router.name());
    assert_eq!(holder.client().await.call("status", json!({})).await.unwrap()["connected"], true);
}

#[tokio::test]
async fn a_process_that_ends_hands_over_within_a_second() {
    let (router, nats) = (router().await, Nats::start().await);
    let (holder, standby) = two(&router, &nats).await;
    let listener = standby.listener().await;
    let mark = router.mark();
    holder.terminate().await;
    let (status, _) = holder.ended().await;
    assert!(status.success());
    let start = Instant::now();
    let gap = registration_since(&router, mark, start).await;
    assert!(gap < Duration::from_secs(1), "{gap:?}");
    standby.logged("SessionEstablished").await;
    say(&listener, &["on we go"]).await;
    hear(&listener, &["on we go"]).await;
}

#[tokio::test]
async fn a_process_that_is_killed_is_replaced_within_five_seconds() {
    let (router, nats) = (router().await, Nats::start().await);
    let (holder, standby) = two(&router, &nats).await;
    let (mark, start) = (router.mark(), Instant::now());
    holder.killed().await;
    let gap = registration_since(&router, mark, start).await;
    assert!(gap <= AFTER_A_CRASH, "{gap:?}");
    standby.logged("SessionEstablished").await;
}

#[tokio::test]
async fn a_process_that_is_paused_is_replaced_and_does_not_come_back_by_itself() {
    let (router, nats) = (router().await, Nats::start().await);
    let (holder, standby) = two(&router, &nats).await;
    let (mark, start) = (router.mark(), Instant::now());
    holder.signal("-STOP").await;
    let gap = registration_since(&router, mark, start).await;
    assert!(gap <= AFTER_A_CRASH, "{gap:?}");
    let mark = router.mark();
    holder.signal("-CONT").await;
    holder.logged("another process of this mud took over").await;
    // It closes its deaf link, and the other one stays.
    let closed = |event: &i3_router::Event| event.closed().is_some();
    let _ = router.wait_for(mark, closed, Duration::from_secs(2)).await;
    let again = |event: &i3_router::Event| event.registered().is_some();
    assert!(
        router.wait_for(mark, again, Duration::from_secs(2)).await.is_none(),
        "it must not register again"
    );
    let status = standby.client().await.call("status", json!({})).await.unwrap();
    assert_eq!(status["connected"], true);
}

#[tokio::test]
async fn a_bus_that_is_away_ends_no_session_and_a_lost_lock_is_taken_again_by_its_holder() {
    let (router, mut nats) = (router().await, Nats::start().await);
    let (holder, _standby) = two(&router, &nats).await;
    let mark = router.mark();
    nats.stop().await;
    holder.logged("\"to\":\"Holdover\"").await;
    let client = holder.listener().await;
    say(&client, &["all the same"]).await;
    hear(&client, &["all the same"]).await;
    nats.restart().await;
    holder.logged("\"from\":\"Holdover\",\"to\":\"Holder\"").await;
    let again = |event: &i3_router::Event| event.registered().is_some();
    assert!(router.wait_for(mark, again, Duration::from_secs(1)).await.is_none(), "nobody registered anew");
}

/// A way to the router from another address of this machine.
async fn way_from(address: [u8; 4], router: &RunningRouter) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = router.addr();
    tokio::spawn(async move {
        while let Ok((mut inner, _)) = listener.accept().await {
            tokio::spawn(async move {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind(SocketAddr::from((address, 0))).unwrap();
                if let Ok(mut outer) = socket.connect(target).await {
                    // Either end may break off.
                    let _ = copy_bidirectional(&mut inner, &mut outer).await;
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn from_another_address_a_login_waits_until_the_old_one_has_closed() {
    let (router, nats) = (router().await, Nats::start().await);
    let (first, second) = (way_from([127, 0, 0, 2], &router).await, way_from([127, 0, 0, 3], &router).await);
    let url = nats.url();
    let holder = process_from(&router, &url, first).await;
    registered(&router, "Dawn").await;
    holder.logged("SessionEstablished").await;
    let standby = process_from(&router, &url, second).await;
    standby.logged("\"reason\":\"Standby\"").await;

    // Paused, it cannot close its connection: the router knows nobody but it.
    let mark = router.mark();
    holder.signal("-STOP").await;
    standby.logged("registering with the router").await;
    let refused = |event: &i3_router::Event| event.refused().is_some();
    assert!(router.wait_for(mark, refused, AFTER_A_CRASH).await.is_some());
    // When it goes on it sees that it was replaced, and closes; the login that waits is heard at its next try.
    let (mark, start) = (router.mark(), Instant::now());
    holder.signal("-CONT").await;
    let gap = registration_since(&router, mark, start).await;
    assert!(gap <= Duration::from_secs(3), "{gap:?}");
    standby.logged("SessionEstablished").await;

    // Planned, it closes first, and the other one is there within a second.
    let back = process_from(&router, &url, first).await;
    back.logged("\"reason\":\"Standby\"").await;
    let mark = router.mark();
    standby.terminate().await;
    standby.ended().await;
    let gap = registration_since(&router, mark, Instant::now()).await;
    assert!(gap < Duration::from_secs(1), "{gap:?}");
}

#[tokio::test]
async fn a_login_that_waits_is_not_repeated_when_the_lock_may_be_lost() {
    let (router, mut nats) = (router().await, Nats::start().await);
    let (first, second) = (way_from([127, 0, 0, 2], &router).await, way_from([127, 0, 0, 3], &router).await);
    let url = nats.url();
    let holder = process_from(&router, &url, first).await;
    holder.logged("SessionEstablished").await;
    let standby = process_from(&router, &url, second).await;
    standby.logged("\"reason\":\"Standby\"").await;
    holder.signal("-STOP").await;
    standby.logged("registering with the router").await;
    nats.stop().await;
    standby.logged("\"to\":\"Holdover\"").await;

    // The name is free, and the lock perhaps another's by now.
    let mark = router.mark();
    holder.killed().await;
    let registers = |event: &i3_router::Event| event.registered().is_some();
    assert!(router.wait_for(mark, registers, Duration::from_secs(4)).await.is_none());
    nats.restart().await;
    registered_since(&router, mark, "Dawn").await;
    standby.logged("SessionEstablished").await;
}

async fn process_from(router: &RunningRouter, url: &str, port: u16) -> Gateway {
    let port = port.to_string();
    Gateway::start("Dawn", router, &[("NATS_URL", url), ("I3_ROUTER_PORT", port.as_str())]).await
}
