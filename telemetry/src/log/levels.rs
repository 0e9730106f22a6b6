//! A level for the program, and others for parts of it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::Libraries;

/// What the names of all our crates begin with.
const OURS: &str = "mudgateway";

/// The texts that are [`Levels`], as far as users of Kubernetes may write them.
pub const PATTERN: &str =
    r"^([a-z0-9_:]+=)?(off|error|warn|info|debug|trace)(,([a-z0-9_:]+=)?(off|error|warn|info|debug|trace))*$";

/// What is logged: a level for the program itself, and levels for modules of it or of libraries, which otherwise speak
/// up only when something is wrong. As text, `info,mudgateway::router=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    ours: LevelFilter,
    modules: BTreeMap<String, LevelFilter>,
}

/// A text that does not say what to log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither a level (off, error, warn, info, debug, trace) nor MODULE=LEVEL; an example of both is \
     info,mudgateway::router=debug"
)]
pub struct LevelsError(String);

impl Default for Levels {
    fn default() -> Self {
        Self { ours: LevelFilter::INFO, modules: BTreeMap::new() }
    }
}

impl FromStr for Levels {
    type Err = LevelsError;

    fn from_str(text: &str) -> Result<Self, LevelsError> {
        let mut levels = Self::default();
        for part in text.split(',').map(str::trim) {
            let error = || LevelsError(part.to_owned());
            match part.split_once('=') {
                None => levels.ours = level(part).ok_or_else(error)?,
                Some((module, name)) if is_module(module) => {
                    levels.modules.insert(module.to_owned(), level(name).ok_or_else(error)?);
                }
                Some(_) => return Err(error()),
            }
        }
        Ok(levels)
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ours)?;
        self.modules.iter().try_for_each(|(module, level)| write!(f, ",{module}={level}"))
    }
}

impl Levels {
    /// The same, but with at least this much of the program itself.
    pub fn at_least(self, level: LevelFilter) -> Self {
        Self { ours: self.ours.max(level), ..self }
    }

    pub(super) fn targets(&self, libraries: Libraries) -> Targets {
        Targets::new()
            .with_default(LevelFilter::WARN)
            .with_target(OURS, self.ours)
            .with_targets(libraries.iter().copied())
            .with_targets(
                self.modules.iter().map(|(module, level)| (module.as_str(), allowed(module, *level))),
            )
    }
}

/// At the level of traces libraries log what goes over the wire, keys and passwords with it.
fn allowed(module: &str, level: LevelFilter) -> LevelFilter {
    if module.starts_with(OURS) { level } else { level.min(LevelFilter::DEBUG) }
}

/// A level, also under the names that Python has.
fn level(name: &str) -> Option<LevelFilter> {
    match name.to_ascii_lowercase().as_str() {
        "off" => Some(LevelFilter::OFF),
        "error" | "critical" => Some(LevelFilter::ERROR),
        "warn" | "warning" => Some(LevelFilter::WARN),
        "info" => Some(LevelFilter::INFO),
        "debug" => Some(LevelFilter::DEBUG),
        "trace" => Some(LevelFilter::TRACE),
        _ => None,
    }
}

fn is_module(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::string::string_regex;
    use tracing::Level;

    use super::*;

    fn logs(text: &str, target: &str, level: Level) -> bool {
        let libraries = &[("async_nats", LevelFilter::OFF)];
        text.parse::<Levels>().unwrap().targets(libraries).would_enable(target, &level)
    }

    #[test]
    fn a_level_is_for_the_program_and_libraries_only_warn() {
        assert!(logs("info", "mudgateway::router", Level::INFO));
        assert!(logs("info", "mudgateway_operator::bus", Level::INFO));
        assert!(!logs("info", "mudgateway::router", Level::DEBUG));
        assert!(logs("trace", "rustls", Level::WARN) && !logs("trace", "rustls", Level::INFO));
        assert!(!logs("trace", "async_nats", Level::ERROR));
        assert!(!logs("off", "mudgateway", Level::ERROR));
    }

    #[test]
    fn a_module_may_have_a_level_of_its_own() {
        let text = "warn, mudgateway::router=Trace,async_nats=info";
        assert!(logs(text, "mudgateway::router::link", Level::TRACE));
        assert!(!logs(text, "mudgateway::api", Level::INFO));
        assert!(logs(text, "async_nats", Level::INFO));
        assert_eq!(
            text.parse::<Levels>().unwrap().to_string(),
            "warn,async_nats=info,mudgateway::router=trace"
        );
    }

    #[test]
    fn what_goes_over_the_wire_is_not_logged() {
        assert!(logs("tungstenite=trace", "tungstenite::protocol", Level::DEBUG));
        assert!(!logs("tungstenite=trace", "tungstenite::protocol", Level::TRACE), "there are keys in it");
    }

    #[test]
    fn the_names_of_python_will_do_and_more_can_be_asked_for() {
        assert_eq!("WARNING".parse::<Levels>().unwrap().to_string(), "warn");
        assert_eq!("CRITICAL".parse::<Levels>().unwrap().to_string(), "error");
        let debug = |text: &str| text.parse::<Levels>().unwrap().at_least(LevelFilter::DEBUG).to_string();
        assert_eq!(
            (debug("warn,rustls=info"), debug("trace")),
            ("debug,rustls=info".to_owned(), "trace".to_owned())
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_an_example() {
        for (text, wrong) in [
            ("loud", "loud"),
            ("info,a=loud", "a=loud"),
            ("=info", "=info"),
            ("a b=info", "a b=info"),
            ("info,", ""),
        ] {
            let error = text.parse::<Levels>().unwrap_err();
            assert_eq!(error, LevelsError(wrong.to_owned()), "{text}");
            assert!(error.to_string().contains("info,mudgateway::router=debug"));
        }
    }

    proptest! {
        #[test]
        fn what_the_pattern_allows_can_be_read(text in string_regex(PATTERN.trim_matches(['^', '$'])).unwrap()) {
            let levels: Levels = text.parse().unwrap();
            prop_assert_eq!(levels.to_string().parse::<Levels>().unwrap(), levels);
        }
    }
}
