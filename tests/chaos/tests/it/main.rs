//! The fault proxy against real sockets.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

mod proxy;
