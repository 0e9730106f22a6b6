//! Sockets: their options, listeners with or without TLS, and HTTP connections.

pub(crate) mod http;
mod listener;
mod tls;
mod tune;

pub use listener::{Listener, Stream};
pub use tls::{Tls, TlsError, TlsFiles};
pub(crate) use tune::tune_router;
