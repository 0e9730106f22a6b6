//! Metrics that are named once, where they are made: a [`Book`] serves them and documents them.

mod book;
mod by;
mod document;
mod process;
mod reference;
mod runtime;

pub use book::{Book, FloatGauge, Kind, Row};
pub use by::By;
pub use document::{document, faults, in_place};
pub use reference::Reference;
pub use runtime::EventLoop;

/// Buckets in seconds for what is done within a moment: from 100 microseconds to 10 seconds.
pub const MOMENTS: &[f64] = &[0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0];

/// Buckets in seconds for what may have to wait for others: from 1 millisecond to 5 minutes.
pub const WAITS: &[f64] = &[0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0];

/// The content type of what [`Book::encode`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;
