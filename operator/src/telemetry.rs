//! Logging.

use mudgateway_telemetry::log::{self, Handle, LevelFilter, Levels, Libraries, Output};

use crate::settings::LogFormat;

const LIBRARIES: Libraries = &[
    // The NATS client logs each attempt to connect as an error of its own; [`crate::bus`] says the same, once.
    ("async_nats", LevelFilter::OFF),
    // Says with each line which object it is about, and why that was looked at.
    ("kube_runtime::controller", LevelFilter::INFO),
];

/// Starts logging to standard output, for this process.
pub fn start(levels: &Levels, format: LogFormat) -> Handle {
    log::start(levels, format.into(), LIBRARIES, Output::Stdout)
}
