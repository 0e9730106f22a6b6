//! Mudlists: at registration, again, and when something changes.

use std::time::Duration;

use i3_router::Mark;

use crate::mud::{Mud, NEVER, entry, router, router_with, saw};

/// Short enough for a test; what is tested does not depend on it.
const SHORT: Duration = Duration::from_millis(20);

fn mudlist(target: &str, id: i64, muds: &str) -> String {
    format!(r#"({{"mudlist",5,"*test",0,{target},0,{id},([{muds}]),}})"#)
}

#[tokio::test]
async fn long_lists_come_ten_muds_at_a_time() {
    let router = router().await;
    let mut muds = Vec::new();
    for n in 10..32 {
        muds.push(Mud::up(&router, &format!("Mud{n}")).await);
    }
    let mut last = Mud::connect(&router, "Mud32").await;
    let lists = last.register_with(&last.startup()).await;
    let lengths: Vec<usize> = lists[..3].iter().map(|list| list.matches("\"Mud").count() - 1).collect();
    assert_eq!(lengths, [10, 10, 3]);
    assert_eq!(
        lists[2],
        mudlist("\"Mud32\"", 23, &(30..33).map(|n| entry(&format!("Mud{n}"), -1)).collect::<String>())
    );
    let id = |list: &str| list.split(',').nth(6).unwrap().parse::<i64>().unwrap();
    assert_ne!(id(&lists[0]), id(&lists[1]), "at random");
    assert!(lists[3].starts_with("({\"chanlist-reply\""));
}

#[tokio::test]
async fn the_list_comes_again_one_mud_a_packet_and_then_the_news() {
    let router = router_with(SHORT, NEVER).await;
    let mut a = Mud::up(&router, "MudA").await;
    assert_eq!(a.recv().await, mudlist("0", 1, &entry("MudA", -1)));
    assert_eq!(a.recv().await, mudlist("\"MudA\"", 2, &entry("MudA", -1)));
    let mut b = Mud::up(&router, "MudB").await;
    assert_eq!(a.recv().await, mudlist("\"MudA\"", 4, &entry("MudB", -1)));
    assert_eq!(b.recv().await, mudlist("0", 3, &entry("MudA", -1)));
    assert_eq!(b.recv().await, mudlist("0", 3, &entry("MudB", -1)));
    assert_eq!(b.recv().await, mudlist("\"MudB\"", 4, &entry("MudB", -1)));
}

#[tokio::test]
async fn the_others_hear_of_an_end() {
    let router = router_with(NEVER, SHORT).await;
    let mut a = Mud::up(&router, "MudA").await;
    let b = Mud::up(&router, "MudB").await;
    drop(b);
    assert_eq!(a.recv().await, mudlist("\"MudA\"", 3, &entry("MudB", 0)));
    let mut c = Mud::connect(&router, "MudC").await;
    let lists = c.register_with(&c.startup()).await;
    assert!(lists[0].contains(&entry("MudB", 0)), "it stays in the list: {}", lists[0]);
}

#[tokio::test]
async fn who_comes_back_in_time_was_never_gone() {
    let router = router_with(SHORT, NEVER).await;
    let mut a = Mud::up(&router, "MudA").await;
    a.recv().await;
    a.recv().await;
    let b = Mud::up(&router, "MudB").await;
    assert_eq!(a.recv().await, mudlist("\"MudA\"", 4, &entry("MudB", -1)));
    drop(b);
    saw(&router, Mark::START, |event| event.closed() == Some("MudB")).await;
    let _b = Mud::up(&router, "MudB").await;
    assert_eq!(a.recv().await, mudlist("\"MudA\"", 6, &entry("MudB", -1)));
}

#[tokio::test]
async fn shutdown_ends_a_link_at_once() {
    let router = router_with(NEVER, SHORT).await;
    let mut a = Mud::up(&router, "MudA").await;
    let mut b = Mud::up(&router, "MudB").await;
    b.send(r#"({"shutdown",5,"MudB",0,"*test",0,300,})"#).await;
    assert_eq!(b.rest().await, [""; 0]);
    assert_eq!(a.recv().await, mudlist("\"MudA\"", 3, &entry("MudB", 0)));
}

#[tokio::test]
async fn a_long_shutdown_deletes_the_mud() {
    let router = router_with(NEVER, SHORT).await;
    let mut a = Mud::up(&router, "MudA").await;
    let mut b = Mud::connect_from(&router, "MudB", [127, 0, 0, 5]).await;
    b.register().await;
    b.send(r#"({"shutdown",5,"MudB",0,"*test",0,604801,})"#).await;
    assert_eq!(b.rest().await, [""; 0]);
    assert_eq!(a.recv().await, mudlist("\"MudA\"", 3, r#""MudB":0,"#));
    // The password is forgotten, so the name is free for anyone.
    Mud::up(&router, "MudB").await;
}

#[tokio::test]
async fn a_malformed_shutdown_does_nothing() {
    let router = router().await;
    let mut mud = Mud::up(&router, "MudA").await;
    mud.send(r#"({"shutdown",5,"MudA",0,"*test",0,})"#).await;
    assert!(mud.recv().await.contains(r#""bad-pkt","Wrong number of elements for packet: shutdown""#));
    mud.send(r#"({"shutdown",5,"MudA",0,"*test",0,"0",})"#).await;
    mud.has_read_all().await;
}
