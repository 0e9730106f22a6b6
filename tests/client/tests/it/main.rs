//! The client against a small server of each kind.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

mod client;
mod program;
mod server;
