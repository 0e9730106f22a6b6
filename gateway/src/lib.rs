//! The mudgateway gateway: one MUD's link to an Intermud-3 router, served as JSON-RPC.
//!
//! From the rim inwards: [`api`] speaks with clients, [`router`] with the router and [`calls`] with other muds;
//! [`services`] decide what happens to messages; [`hub`] holds the clients' sessions and [`keys`] what they may do;
//! [`bus`] connects the gateways of one provider, [`replicas`] the processes of one MUD; [`oob`] has the rules by which
//! mail, files and news are carried, [`packets`] makes what goes out, and [`mud`] has the words that all of them use.

mod allowance;
pub mod api;
pub mod bus;
pub mod calls;
pub mod config;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod hub;
pub mod keys;
#[cfg(test)]
mod layers;
pub mod metrics;
pub mod mud;
pub mod net;
pub mod oob;
pub mod packets;
pub mod replicas;
pub mod router;
pub mod run;
pub mod services;
mod supervise;
mod sync;
pub mod telemetry;
