//! Requests by HTTP.

use i3_router::{ChannelInfo, LinkInfo, MudInfo, RunningRouter, control};
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;

use crate::mud::{Mud, router};

/// A router and where it takes requests.
async fn controlled() -> (RunningRouter, String) {
    let router = router().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(control::serve(listener, router.clone()));
    (router, address)
}

async fn list<T: DeserializeOwned>(address: &str, path: &str) -> Vec<T> {
    serde_json::from_slice(&control::request(address, "GET", path, b"").await.unwrap()).unwrap()
}

async fn post(address: &str, mud: &str, action: &str, body: &[u8]) {
    let answer = control::request(address, "POST", &control::path(mud, action), body).await;
    assert_eq!(answer.unwrap(), b"", "{action}");
}

#[tokio::test]
async fn lists_are_json() {
    let (router, address) = controlled().await;
    let mut mud = Mud::up(&router, "Mud A/\u{fc}").await;
    mud.listen("imud_code").await;
    let muds: Vec<MudInfo> = list(&address, "/muds").await;
    assert_eq!(muds, router.muds().await);
    assert_eq!((&*muds[0].name, muds[0].up, muds[0].router.is_none()), ("Mud A/\u{fc}", true, true));
    let channels: Vec<ChannelInfo> = list(&address, "/channels").await;
    assert_eq!(channels, router.channels().await);
    assert_eq!(channels[0].listeners, Some(vec![mud.name.clone()]));
    assert_eq!(
        (&*channels[1].name, &*channels[1].owner, &channels[1].listeners),
        ("imud_gossip", "*test", &None)
    );
    let links: Vec<LinkInfo> = list(&address, "/links").await;
    assert_eq!(links, router.links().await);
    assert_eq!(links[0].mud, Some(mud.name));
}

#[tokio::test]
async fn faults_are_made_on_request_whatever_the_mud_is_called() {
    let (router, address) = controlled().await;
    for name in ["MudA", "Mud A/\u{fc}", "*odd", "?", "..", "a b%20c"] {
        let mut mud = Mud::up(&router, name).await;
        post(&address, name, "slice", b"").await;
        post(&address, name, "slice?bytes=3", b"").await;
        post(&address, name, "delay?ms=5", b"").await;
        post(&address, name, "packet", b"a frame").await;
        assert_eq!(mud.recv().await, "a frame");
        post(&address, name, "raw", b"\0\0\0\x01x").await;
        assert_eq!(mud.recv().await, "x");
        post(&address, name, "half-open", b"").await;
        post(&address, name, "resume", b"").await;
        post(&address, name, "cut", b"").await;
        assert_eq!(mud.rest().await, [""; 0]);
        post(&address, name, "restore", b"").await;
        Mud::up(&router, name).await;
    }
    let mud = Mud::up(&router, "MudA").await;
    control::request(&address, "POST", "/restart", b"").await.unwrap();
    assert_eq!(mud.rest().await, [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_done_is_an_error_with_a_reason() {
    let (_router, address) = controlled().await;
    for (action, reason) in [
        ("raw", "\"Nobody\" has no link"),
        ("half-open", "\"Nobody\" has no link"),
        ("frob", "there is no action \"frob\""),
        ("delay?ms=x", "invalid digit"),
    ] {
        let answer = control::request(&address, "POST", &control::path("Nobody", action), b"").await;
        let error = answer.unwrap_err().to_string();
        assert!(error.contains(reason), "{action}: {error}");
    }
    assert!(control::request(&address, "GET", "/nothing", b"").await.is_err());
}
