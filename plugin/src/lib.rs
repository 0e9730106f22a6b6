//! `kubectl mudgw`: looks at gateways, speaks through them, and says what is wrong with them.
//!
//! Everything is done with the rights of the caller: the API server is asked as kubectl asks it ([`cluster`]), and a
//! gateway is reached by a forwarded port with the API key of its Secret ([`gateway_client`]). What [`doctor`] finds it
//! finds by pure functions over facts that were collected before.

pub mod access;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod completion;
pub mod doctor;
pub mod error;
pub mod forward;
pub mod gateway;
pub mod gateway_client;
pub mod table;
pub mod tls;

pub use error::Error;
