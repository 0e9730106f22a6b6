//! The mudgateway gateway: one MUD's link to an Intermud-3 router, served as JSON-RPC.
//!
//! From the rim inwards: [`api`] speaks with clients and [`router`] with the router; [`services`] decide what
//! happens to messages; [`hub`] holds the clients' sessions and [`keys`] what they may do; [`bus`] connects the gateways of one provider,
//! [`replicas`] the processes of one MUD; [`oob`] carries mail, files and news from mud to mud.

mod allowance;
pub mod api;
pub mod bus;
pub mod config;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod hub;
pub mod keys;
pub mod metrics;
pub mod net;
pub mod oob;
pub mod replicas;
pub mod router;
pub mod run;
pub mod services;
mod supervise;
mod sync;
pub mod telemetry;
