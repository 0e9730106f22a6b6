//! What the demo and the tests stand on: the chart installed, and a router in the cluster.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::kubectl::{kubectl, run};

/// The namespace of the operator.
pub const SYSTEM: &str = "mudgateway-system";

/// The namespace of the router.
pub const ROUTER: &str = "i3-demo";

/// The top of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of the checkout, as text for a command line.
pub fn file(path: &str) -> String {
    root().join(path).display().to_string()
}

/// Installs the chart, or brings an installed one up to date, and waits until it runs.
///
/// # Errors
/// When helm fails or the operator does not get ready.
pub fn chart() -> Result<()> {
    let chart = file("charts/mudgateway");
    let values = file("tests/e2e/manifests/values.yaml");
    run(
        "helm",
        &[
            "upgrade",
            "--install",
            "mudgateway",
            &chart,
            "--namespace",
            SYSTEM,
            "--create-namespace",
            "--values",
            &values,
            "--wait",
            "--timeout",
            "180s",
        ],
        None,
    )
    .map(drop)
}

/// Starts the router and waits until it runs.
///
/// # Errors
/// When kubectl fails or the router does not get ready.
pub fn router() -> Result<()> {
    kubectl(&["apply", "-f", &file("tests/e2e/manifests/router.yaml")])?;
    kubectl(&["rollout", "status", "-n", ROUTER, "deploy/i3-router", "--timeout=120s"]).map(drop)
}

/// Tells the router to cut a mud's link, to let it come back, or to list its muds.
///
/// # Errors
/// When kubectl or the router fails.
pub fn router_control(arguments: &[&str]) -> Result<String> {
    let command = ["exec", "-n", ROUTER, "deploy/i3-router", "--", "/i3-router", "ctl"];
    let control = ["--control", "127.0.0.1:8788"];
    kubectl(&[&command[..], &control, arguments].concat())
}

/// What helps to understand a failure.
pub fn diagnosis() -> String {
    let look = |arguments: &[&str]| kubectl(arguments).unwrap_or_else(|error| error.to_string());
    format!(
        "{}\n{}\n{}\n{}",
        look(&["get", "pods", "-A", "-o", "wide"]),
        look(&["get", "mudgateways", "-A", "-o", "yaml"]),
        look(&["get", "events", "-A", "--sort-by=.lastTimestamp"]),
        look(&["logs", "-n", SYSTEM, "deploy/mudgateway-operator", "--tail=40"]),
    )
}
