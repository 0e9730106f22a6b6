//! Tests of the public API.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

#[path = "../../examples/decode/capture.rs"]
mod capture;
mod corpus;
mod frame;
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;
mod lpc;
mod oob;
mod packet;
mod properties;
mod recorded;
mod text;
mod vectors;
