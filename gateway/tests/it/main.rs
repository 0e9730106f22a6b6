//! The gateway as a process, with a real nats-server and a router. `make test-integration` runs it.

mod api;
mod bus;
mod lifecycle;
mod link;
mod lock;
mod oob;
mod owned;
mod raw_mud;
mod services;
mod support;
mod tls;
