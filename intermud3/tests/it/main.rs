//! Tests of the public API.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

mod frame;
mod lpc;
mod packet;
mod properties;
mod recorded;
