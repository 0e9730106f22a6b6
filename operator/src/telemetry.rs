//! Logging, and traces.

use mudgateway_telemetry::log::{self, Handle, LevelFilter, Levels, Libraries, Output};
use mudgateway_telemetry::traces::{Endpoint, Sending, Traced};

use crate::settings::LogFormat;

const LIBRARIES: Libraries = &[
    // The NATS client logs each attempt to connect as an error of its own; [`crate::bus`] says the same, once.
    ("async_nats", LevelFilter::OFF),
    // Says with each line which object it is about, and why that was looked at.
    ("kube_runtime::controller", LevelFilter::INFO),
];

const TRACED: Traced = Traced {
    service: "mudgateway-operator",
    version: env!("CARGO_PKG_VERSION"),
    modules: &[
        ("mudgateway", LevelFilter::INFO),
        // Why a MudGateway was looked at.
        ("kube_runtime::controller", LevelFilter::INFO),
        // Each request to the API server.
        ("kube_client::client::builder", LevelFilter::DEBUG),
    ],
};

/// Starts logging to standard output, for this process.
pub fn start(levels: &Levels, format: LogFormat) -> Handle {
    log::start(levels, format.into(), LIBRARIES, Output::Stdout, None)
}

/// The same, and sends traces, if they are wanted.
///
/// # Errors
/// A message, when traces are wanted and cannot be sent.
pub fn start_traced(
    levels: &Levels,
    format: LogFormat,
    to: Option<&Endpoint>,
) -> Result<(Handle, Option<Sending>), String> {
    let about = || std::env::var("POD_NAME").map(|pod| ("service.instance.id", pod)).into_iter().collect();
    let sending = to.map(|to| Sending::start(to, &TRACED, about())).transpose()?;
    let traces = sending.as_ref().map(|sending| (sending, &TRACED));
    Ok((log::start(levels, format.into(), LIBRARIES, Output::Stdout, traces), sending))
}
