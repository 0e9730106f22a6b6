//! A client of the mudgateway API, for tests and for trying things by hand.
//!
//! The API is JSON-RPC 2.0 over WebSocket (`ws://host:port/path`) or over TCP with one object a line
//! (`tcp://host:port`). An answer carries the id of its request; whatever has no id is an event.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use mudclient::Client;
//! use serde_json::json;
//!
//! let client = Client::connect("ws://127.0.0.1:8080/ws").await?;
//! client.authenticate("a key").await?;
//! client.call("channel_join", json!({"channel": "imud_gossip"})).await?;
//! let said = |event: &serde_json::Value| event["method"] == "channel_message";
//! let event = client.wait_event(said, Duration::from_secs(5)).await?;
//! println!("{}", event["params"]["message"]);
//! # Ok(()) }
//! ```

mod client;
mod error;
mod inbox;
mod transport;

pub use client::{Client, Options};
pub use error::{CallError, Closed, ConnectError, RpcError, WaitError};
