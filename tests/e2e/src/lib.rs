//! The main job on a real Kubernetes: what the demo shows and the end-to-end tests check.
//!
//! Everything here drives the cluster as a provider would, with kubectl and helm, and talks to the gateways as a MUD
//! would, with a client in a pod that connects to the assigned endpoint.

pub mod client;
pub mod install;
pub mod kubectl;
pub mod story;
pub mod volumes;

use std::time::{Duration, Instant};

/// What went wrong, in words for whoever runs the demo or reads a test's output.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that is needed cannot be started.
    #[error("cannot run {program}: {source}. Is it on the PATH? tests/e2e/run sets everything up")]
    Missing {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A command failed.
    #[error("`{command}` failed: {output}")]
    Command {
        /// The command.
        command: String,
        /// What it wrote to standard error.
        output: String,
    },
    /// What was waited for did not happen.
    #[error("waited {} s for {what}; last seen: {last}", within.as_secs())]
    Timeout {
        /// What it was.
        what: String,
        /// How long.
        within: Duration,
        /// The last state seen.
        last: String,
    },
    /// An answer that is not what it must be.
    #[error("{what}: expected {expected}, got {found}")]
    Unexpected {
        /// What was looked at.
        what: String,
        /// What it should have been.
        expected: String,
        /// What it was.
        found: String,
    },
}

/// A result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Takes a step of a test, and says how long it took.
///
/// # Panics
/// When it fails, with what helps to understand that.
pub fn step<T>(name: &str, step: impl FnOnce() -> Result<T>) -> T {
    let started = Instant::now();
    let result = step().unwrap_or_else(|error| panic!("{name}: {error}\n{}", install::diagnosis()));
    println!("{:6.1} s  {name}", started.elapsed().as_secs_f64());
    result
}

/// Fails unless two values are equal.
///
/// # Errors
/// [`Error::Unexpected`].
pub fn expect_equal<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Unexpected {
        what: what.to_owned(),
        expected: format!("{expected:?}"),
        found: format!("{found:?}"),
    })
}
