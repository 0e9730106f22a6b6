//! What the router does, seen from the other end of real sockets.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

mod channel;
mod faults;
mod lists;
mod mud;
mod program;
mod route;
mod startup;
