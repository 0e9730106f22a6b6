//! Logging.

use std::io::{self, IsTerminal};
use std::panic;

use tracing_subscriber::EnvFilter;

use crate::config::Log;

/// Starts logging to standard error, of panics too: whatever task they end, they are not silent.
pub fn start(log: Log) {
    // Libraries speak up only when something is wrong.
    let filter = EnvFilter::new(format!("warn,mudgateway={}", log.level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if log.json {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_target(false).with_ansi(io::stderr().is_terminal()).init();
    }
    panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a fault of the gateway's")));
}
