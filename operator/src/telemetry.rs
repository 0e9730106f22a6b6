//! Logging.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::settings::LogFormat;

/// The NATS client logs each attempt to connect as an error of its own; [`crate::bus`] says the same, once.
const QUIET: &str = "async_nats=off";

/// Starts logging to standard output, for this process.
///
/// # Errors
/// When the level is neither a level nor a filter.
pub fn start(level: &str, format: LogFormat) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(format!("{QUIET},{level}"))?;
    let colours = std::io::stdout().is_terminal();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    // A subscriber that is there already, as in tests, stays.
    let _ = match format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().try_init(),
    };
    Ok(())
}
