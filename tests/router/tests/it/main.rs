//! What the router does, seen from the other end of real sockets.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

mod control;
mod faults;
mod hostile;
mod irn;
mod mud;
mod program;
mod replay;
mod rules;
mod sim;
mod slow;
mod ways;
