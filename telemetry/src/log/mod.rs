//! What is logged, and how: one line for each event. What is logged can be changed while the program runs.

mod follow;
mod levels;

use std::io::{self, IsTerminal};
use std::panic;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::traces::{Sending, Traced};

pub use follow::follow;
pub use levels::{Levels, LevelsError, PATTERN};
pub use tracing_subscriber::filter::LevelFilter;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Text for people.
    Text,
    /// One JSON object a line.
    #[default]
    Json,
}

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Levels of libraries that differ from the rest.
pub type Libraries = &'static [(&'static str, LevelFilter)];

/// Changes what is logged.
#[derive(Clone, Debug)]
pub struct Handle {
    filter: reload::Handle<Targets, Registry>,
    libraries: Libraries,
}

impl Handle {
    /// From now on, this is logged.
    pub fn set(&self, levels: &Levels) {
        // It fails only where another subscriber is in place, as in tests.
        if self.filter.reload(levels.targets(self.libraries)).is_ok() {
            tracing::info!(%levels, "what is logged has changed");
        }
    }
}

/// Starts logging for this process, of panics too: whatever task they end, they are not silent. Spans become traces, too,
/// if these are sent. A subscriber that is there already, as in tests, stays.
pub fn start(
    levels: &Levels,
    format: Format,
    libraries: Libraries,
    output: Output,
    traces: Option<(&Sending, &Traced)>,
) -> Handle {
    let (filter, handle) = reload::Layer::new(levels.targets(libraries));
    let (writer, colours) = match output {
        Output::Stdout => (BoxMakeWriter::new(io::stdout), io::stdout().is_terminal()),
        Output::Stderr => (BoxMakeWriter::new(io::stderr), io::stderr().is_terminal()),
    };
    let lines = fmt::layer().with_writer(writer);
    let lines = match format {
        // The spans, outermost first, say for whom something was done: the request, its trace, the object.
        Format::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
        Format::Text => lines.with_target(false).with_ansi(colours).boxed(),
    };
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(traces.map(|(sending, traced)| sending.layer(traced)))
        .try_init();
    panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a fault of the program's")));
    Handle { filter: handle, libraries }
}
