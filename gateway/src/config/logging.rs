//! What is logged, and where traces go.

use mudgateway_telemetry::log::{Format, LevelFilter, Levels};
use mudgateway_telemetry::traces::{Endpoint, EndpointError};

use super::Layers;

/// What to log, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// What is written. It may change while the gateway runs.
    pub levels: Levels,
    /// How a line looks.
    pub format: Format,
}

pub(super) fn traces(layers: &mut Layers<'_>) -> Option<Endpoint> {
    // Not what stands there: there may be a login in it.
    let endpoint = layers.text("otlp.endpoint")?.parse();
    endpoint.map_err(|error: EndpointError| layers.problem("otlp.endpoint", error.to_string())).ok()
}

pub(super) fn log(layers: &mut Layers<'_>) -> Log {
    let levels = layers.text("logging.level").map_or_else(|| Ok(Levels::default()), |text| text.parse());
    let levels = levels.unwrap_or_else(|error| {
        layers.problem("logging.level", error.to_string());
        Levels::default()
    });
    let debug = layers.boolean("development.debug").unwrap_or(false);
    let format = match layers.text("logging.format").as_deref() {
        None | Some("json") => Format::Json,
        Some("text") => Format::Text,
        Some(other) => {
            layers.problem("logging.format", format!("{other:?} is not json or text"));
            Format::Json
        }
    };
    Log { levels: if debug { levels.at_least(LevelFilter::DEBUG) } else { levels }, format }
}
