//! The operator against a real kube-apiserver and a real nats-server, without nodes and without controllers:
//!
//! ```sh
//! tests/cluster/tools/build nats-server
//! tests/cluster/cluster up --control-plane
//! tests/cluster/cluster exec cargo test -p mudgateway-operator --features cluster-tests --test it
//! ```
//!
//! Every test has a namespace of its own, and an operator of its own that watches it, with the rights that the
//! chart gives it and no others.

// Clippy knows tests by their attribute; the helpers beside them are tests too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod acceptance;
mod bus;
mod chart;
mod children;
mod definition;
mod deletion;
mod economy;
mod exposure;
mod harness;
mod identity;
mod leader;
mod moving;
mod nats;
mod network;
mod password;
mod prompt;
mod scoped;
mod secret;
mod tenancy;
mod wrong;
