//! Sockets: their options, and listeners with or without TLS.

mod listener;
mod tls;
mod tune;

pub(crate) use listener::Peer;
pub use listener::{Listener, Stream};
pub use tls::{Tls, TlsError, TlsFiles};
pub(crate) use tune::tune_router;
