//! Logging.

use mudgateway_telemetry::log::{self, Handle, Output};

use crate::config::Log;

/// Starts logging to standard error.
pub fn start(log: &Log) -> Handle {
    log::start(&log.levels, log.format, &[], Output::Stderr)
}
