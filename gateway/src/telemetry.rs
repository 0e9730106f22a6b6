//! Logging, and traces.

use mudgateway_telemetry::log::{self, Handle, LevelFilter, Output};
use mudgateway_telemetry::traces::{Sending, Traced};

use crate::config::Config;

const TRACED: Traced = Traced {
    service: "mudgateway",
    version: env!("CARGO_PKG_VERSION"),
    modules: &[("mudgateway", LevelFilter::INFO)],
};

/// Starts logging to standard error, and sending traces, if they are wanted.
///
/// # Errors
/// A message, when traces are wanted and cannot be sent.
pub fn start(config: &Config) -> Result<(Handle, Option<Sending>), String> {
    let about = || {
        vec![
            ("service.instance.id", config.holder.clone()),
            ("mud.name", config.mud.name.clone()),
            ("mud.network", config.network.clone()),
        ]
    };
    let sending = config.traces.as_ref().map(|to| Sending::start(to, &TRACED, about())).transpose()?;
    let traces = sending.as_ref().map(|sending| (sending, &TRACED));
    Ok((log::start(&config.log.levels, config.log.format, &[], Output::Stderr, traces), sending))
}
