//! The gateway as a process, with a real nats-server and a router. `make test-integration` runs it.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

mod adversaries;
mod api;
mod bus;
mod direct;
mod egress;
mod ending;
mod examples;
mod faults;
mod golden;
mod identity;
mod lifecycle;
mod link;
mod lock;
mod logging;
mod oob;
mod oob_elsewhere;
mod owned;
mod provider;
mod raw_mud;
mod relay;
mod replicas;
mod retire;
mod schema;
mod services;
mod stage;
mod state;
mod status_page;
mod support;
mod take_over;
mod tls;
mod traces;
mod transport;
