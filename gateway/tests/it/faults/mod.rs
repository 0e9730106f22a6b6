//! One test for each known fault of the Python gateway, by its number: here it is not so. The router is the strict one.

mod clients;
mod link;
mod load;
mod memory;
mod packets;
mod services;

use std::cell::RefCell;

use i3_router::{Config, Event, Mark, Router, RunningRouter};
use mudclient::Client;
use serde_json::{Value, json};

use super::support::{Gateway, WITHIN};

/// As many requests as a test makes.
const BUSY: &[(&str, &str)] = &[("API_REQUESTS_PER_MINUTE", "60000")];

async fn strict() -> RunningRouter {
    Router::start(Config::strict()).await.unwrap()
}

/// Dawn at the strict router, with a client on the channel.
async fn dawn() -> (RunningRouter, Gateway, Client) {
    let router = strict().await;
    let gateway = Gateway::start("Dawn", &router, BUSY).await;
    gateway.logged("SessionEstablished").await;
    let client = gateway.listener().await;
    (router, gateway, client)
}

/// A gateway with a configuration file and no other keys.
async fn configured(router: &RunningRouter, config: &str) -> Gateway {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    std::fs::write(&path, config).unwrap();
    // Read before it listens, so that it may go after that.
    Gateway::start_with("Dawn", router, &["--config", path.to_str().unwrap()]).await
}

fn frame(event: &Event) -> Option<String> {
    match event {
        Event::Received { text, .. } => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    }
}

/// Waits for a frame from Dawn that holds a text, and returns it as it came.
async fn raw(router: &RunningRouter, since: Mark, text: &str) -> String {
    sent_until(router, since, text).await.pop().unwrap()
}

/// The frames from Dawn since a mark, up to the first one that holds a text.
async fn sent_until(router: &RunningRouter, since: Mark, text: &str) -> Vec<String> {
    let frames = RefCell::new(Vec::new());
    let wanted = |event: &Event| {
        frame(event).is_some_and(|frame| {
            let last = frame.contains(text);
            frames.borrow_mut().push(frame);
            last
        })
    };
    let found = router.wait_for(since, wanted, WITHIN).await;
    assert!(found.is_some(), "the router did not get {text:?} but {:#?}", frames.borrow());
    frames.into_inner()
}

/// Sends Dawn a packet of a mud that the router has only heard of.
async fn send(router: &RunningRouter, packet: &str) {
    assert!(router.send_packet("Dawn", packet.as_bytes().to_vec()).await, "there is a link");
}

async fn tell(client: &Client, message: &str) -> Value {
    let params = json!({"target_mud": "Dawn", "target_user": "ann", "from_user": "ann", "message": message});
    client.call("tell", params).await.unwrap()
}
