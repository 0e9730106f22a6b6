//! The operator against an API server that fails: what each fault costs, what is told of it, and that it heals by itself.
//!
//! The operator is the shipped one with its real client. The API server is in memory ([`api`]), and the clock runs as
//! fast as it can, so ten minutes of an outage take a second.

// Clippy knows tests by their attribute; the helpers beside them are tests too.
#![allow(clippy::unwrap_used)]

mod answers;
mod api;
mod networks;
mod silence;
mod target;
mod tenants;
mod watches;
mod world;
