//! The chart without a cluster. `tests/chart/run` sets everything up.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

mod conform;
mod kustomize;
mod rendered;
mod routes;
mod values;

use mudgateway_chart::template;

/// Values for the ways to install it that matter, each by its name.
const WAYS: [(&str, &str); 4] = [
    ("ha", "charts/mudgateway/values-ha.yaml"),
    ("every-option", "tests/chart/values/every-option.yaml"),
    ("own-nats", "tests/chart/values/own-nats.yaml"),
    ("trial", "tests/chart/values/trial.yaml"),
];

/// What the chart renders with the values of a file.
fn with(file: &str) -> String {
    template(&["--values", file]).unwrap()
}
