//! What the tests of the chart stand on: helm, run as a program, and the objects it renders.

pub mod schemas;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What went wrong, in words for whoever reads a test's output.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that is needed cannot be started.
    #[error("cannot run {program}: {source}. Is it on the PATH? tests/chart/run sees to that")]
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
        /// What it wrote.
        output: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Text that is not what it must be.
    #[error("{what} is not as expected: {why}")]
    Content {
        /// What was read.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

/// A result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The top of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a program at the top of the checkout and returns what it printed.
///
/// # Errors
/// [`Error::Missing`] or [`Error::Command`].
pub fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .map_err(|source| Error::Missing { program: program.to_owned(), source })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(Error::Command {
        command: format!("{program} {}", arguments.join(" ")),
        output: format!("{text}{}", String::from_utf8_lossy(&output.stderr)),
    })
}

/// What the chart renders with these arguments of helm, as text.
///
/// # Errors
/// As [`run`].
pub fn template(arguments: &[&str]) -> Result<String> {
    let command = ["template", "mudgateway", "charts/mudgateway", "--namespace", "mudgateway-system"];
    run("helm", &[&command, arguments].concat())
}

/// The objects in a stream of YAML documents.
///
/// # Errors
/// [`Error::Content`] when it is no YAML.
pub fn objects(yaml: &str) -> Result<Vec<Value>> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(yaml)
        .map_err(|error| Error::Content { what: "YAML".to_owned(), why: error.to_string() })?;
    Ok(objects.into_iter().filter(|object| !object.is_null()).collect())
}
