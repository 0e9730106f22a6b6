//! What must hold for any input from outside. The fuzz targets (`gateway/fuzz`) call these checks with bytes of their
//! own, the ordinary tests with the corpus. Not a part of the gateway: only the feature `fuzzing` and tests have it.
#![allow(clippy::unwrap_used, reason = "a panic is how a fuzz target reports")]

mod api;
mod config;
mod conversation;
mod services;

pub use api::{request, session};
pub use config::config;
pub use conversation::conversation;
pub use services::services;

#[cfg(test)]
mod tests;
