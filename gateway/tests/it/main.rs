//! The gateway as a process, with a real nats-server and a router. `make test-integration` runs it.

mod api;
mod bus;
mod lifecycle;
mod link;
mod services;
mod support;
mod tls;
mod transport;
